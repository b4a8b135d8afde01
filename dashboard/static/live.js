// Moves the numbers of a page: one stream while the tab is seen, none in the background.
"use strict";

(() => {
  const prefix = document.body.dataset.prefix;
  const shown = document.querySelector("[data-stream]");
  const number = new Intl.NumberFormat("en-US");
  let stream = null;

  const say = (text) => { if (shown && shown.textContent !== text) shown.textContent = text; };

  // What was done today only grows: by what its counter has grown, and from nothing at midnight UTC.
  const day = () => Math.floor(Date.now() / 86400000);
  function addToday(element, counts) {
    const data = element.dataset;
    const count = counts[data.liveToday];
    if (count === undefined) return;
    if (data.day && Number(data.day) !== day()) data.today = 0;
    data.day = day();
    data.today = Number(data.today) + Math.max(0, count - Number(data.before));
    data.before = count;
    element.textContent = number.format(Number(data.today));
  }

  function listen() {
    if (stream || document.hidden || !shown) return;
    stream = new EventSource(`${prefix}/live`);
    stream.addEventListener("open", () => say("live"));
    stream.addEventListener("error", () => say("not live"));
    stream.addEventListener("counts", (event) => {
      const counts = JSON.parse(event.data);
      for (const element of document.querySelectorAll("[data-live]")) {
        const count = counts[element.dataset.live];
        if (count !== undefined) element.textContent = number.format(count);
      }
      for (const element of document.querySelectorAll("[data-live-today]")) addToday(element, counts);
      document.dispatchEvent(new CustomEvent("celeriac:counts", { detail: counts }));
    });
  }

  function stop() {
    if (stream) stream.close();
    stream = null;
    say("not live");
  }

  const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  function distance(at) {
    const seconds = Math.round((at - Date.now()) / 1000);
    if (Math.abs(seconds) < 1) return "now";
    const [size, unit] = units.find(([size]) => Math.abs(seconds) >= size);
    const text = `${Math.floor(Math.abs(seconds) / size)} ${unit}`;
    return seconds > 0 ? `in ${text}` : `${text} ago`;
  }
  function tick() {
    if (document.hidden) return;
    for (const element of document.querySelectorAll("time[data-at]")) {
      element.textContent = distance(Number(element.dataset.at));
    }
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? stop() : listen()));
  window.addEventListener("pagehide", stop);
  window.addEventListener("pageshow", listen);
  setInterval(tick, 10000);
  listen();
})();
