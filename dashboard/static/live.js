// Keeps a page up to date: one stream while the tab is seen, none in the background.
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

  // -- parts of the page, which come as HTML -----------------------------------------------------------------

  const waiting = new Map();
  let order = null;
  let isOutOfOrder = false;
  const focusable = "a, button, input, select, summary, [tabindex]";

  const find = (name) => document.querySelector(`[data-part="${CSS.escape(name)}"]`);

  function parse(html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    return template.content.querySelector("[data-part]");
  }

  function isBeingRead(element) {
    const selection = getSelection();
    return Boolean(selection && !selection.isCollapsed && selection.containsNode(element, true));
  }

  // What somebody stands on: in the row of the same name, by where it leads, else by its place. Null if its row is gone.
  function findAgain(before, after) {
    const here = document.activeElement;
    if (!before.contains(here)) return null;
    const row = here.closest("[data-row]");
    const from = row || before;
    const to = row ? after.querySelector(`[data-row="${CSS.escape(row.dataset.row)}"]`) : after;
    if (!to) return null;
    const all = (element) => [...element.querySelectorAll(focusable)];
    const alike = (element) => all(element).filter((one) => one.getAttribute("href") === here.getAttribute("href"));
    return alike(to)[alike(from).indexOf(here)] || all(to)[all(from).indexOf(here)] || null;
  }

  // What somebody has opened, scrolled to or stands on stays so.
  function replace(before, after) {
    const each = (selector, act) => {
      const now = after.querySelectorAll(selector);
      before.querySelectorAll(selector).forEach((was, index) => now[index] && act(was, now[index]));
    };
    each("details", (was, now) => { now.open = was.open; });
    const scrolled = [];
    each(".table", (was, now) => { if (was.scrollLeft || was.scrollTop) scrolled.push([now, was.scrollLeft, was.scrollTop]); });
    const focused = findAgain(before, after);
    before.replaceWith(after);
    for (const [element, left, top] of scrolled) element.scrollTo(left, top);
    if (focused) focused.focus({ preventScroll: true });
  }

  function markHere() {
    const stand = (url) => new URL(url).searchParams.get("stand") || "";
    for (const link of document.querySelectorAll("[data-part] nav.choices a")) {
      if (stand(link.href) === stand(location.href)) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }

  // Puts the cards in their order, and only those that are asked for.
  function arrange(box, order) {
    const known = new Map([...box.children].map((card) => [card.dataset.part, card]));
    const wanted = order.map((name) => known.get(name))
      .filter((card) => card && (!box.dataset.cards || card.dataset.stand === box.dataset.cards));
    for (const child of [...box.children]) if (child.dataset.part && !wanted.includes(child)) child.remove();
    if (wanted.length) for (const child of [...box.children]) if (!child.dataset.part) child.remove();
    wanted.forEach((card, index) => {
      if (box.children[index] !== card) box.insertBefore(card, box.children[index] || null);
    });
  }

  function bring() {
    const box = document.querySelector("[data-cards]");
    for (const [name, html] of waiting) {
      const before = find(name);
      if (before && isBeingRead(before)) continue;
      waiting.delete(name);
      const after = parse(html);
      if (!after) continue;
      if (before) replace(before, after);
      else if (box) box.append(after);
    }
    if (box && order) {
      isOutOfOrder = isBeingRead(box);  // a card that is moved is no longer marked
      if (!isOutOfOrder) arrange(box, order);
    }
    markHere();
    tick();
  }

  function listen() {
    if (stream || document.hidden || !shown) return;
    const watched = document.body.dataset.watch;
    stream = new EventSource(`${prefix}/live${watched ? `?${watched}` : ""}`);
    stream.addEventListener("parts", (event) => {
      const parts = JSON.parse(event.data);
      if (parts.order) order = JSON.parse(parts.order);
      delete parts.order;
      for (const [name, html] of Object.entries(parts)) waiting.set(name, html);
      bring();
    });
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
  document.addEventListener("selectionchange", () => { if (waiting.size || isOutOfOrder) bring(); });
  setInterval(tick, 10000);
  listen();
})();
