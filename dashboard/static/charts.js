// Draws each [data-chart]: its numbers come from that address, as {"at": [seconds], "lines": [{"name", "values"}]},
// or from one part of what comes. Drag to look closer, double click for all; arrow keys move along when it has focus.
"use strict";

(() => {
  const number = new Intl.NumberFormat("en-US", { maximumFractionDigits: 4 });
  const REFRESH_MS = 20000;
  const fetched = new Map();
  const drawn = new Map();

  const read = (url) => {
    if (!fetched.has(url)) {
      fetched.set(url, fetch(url, { headers: { accept: "application/json" } }).then((answer) => {
        if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
        return answer.json();
      }));
    }
    return fetched.get(url);
  };

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function say(element, text) {
    const words = document.createElement("p");
    words.className = "muted";
    words.textContent = text;
    element.append(words);
  }

  // 24 hours a day, and the date where a day begins.
  function sayTimes(_, times, __, ___, step) {
    return times.map((seconds, index) => {
      const iso = new Date(seconds * 1000).toISOString();
      if (step >= 86400) return iso.slice(5, 10);
      return index === 0 || seconds % 86400 === 0 ? `${iso.slice(11, 16)}\n${iso.slice(5, 10)}` : iso.slice(11, 16);
    });
  }

  function optionsOf(element, chart) {
    const ink = colour("--pico-muted-color"), rule = colour("--pico-muted-border-color");
    const axis = { stroke: ink, grid: { stroke: rule, width: 1 }, ticks: { stroke: rule, width: 1 } };
    const show = (value) => (value == null ? "" : (chart.is_usd ? "$" : "") + number.format(value));
    return {
      width: element.clientWidth,
      height: 220,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      axes: [{ ...axis, values: sayTimes }, { ...axis, size: 60, values: (_, values) => values.map(show) }],
      scales: { y: { range: (_, low, high) => [0, high > 0 ? high * 1.05 : 1] } },
      series: [
        { label: "UTC", value: "{YYYY}-{MM}-{DD} {HH}:{mm}" },
        ...chart.lines.map((line, index) => {
          const stroke = colour(line.is_failed ? "--failed" : `--line-${(index % 6) + 1}`);
          const dash = line.is_failed ? [4, 3] : undefined;
          return { label: line.name, stroke, dash, width: 1.5, value: (_, value) => show(value), points: { show: false } };
        }),
      ],
    };
  }

  const partOf = (element, whole) => (element.dataset.part ? whole[element.dataset.part] : whole);

  function draw(element, whole) {
    const chart = partOf(element, whole);
    if (!chart.lines.some((line) => line.values.some((value) => value > 0))) {
      say(element, "Nothing in this time.");
      return;
    }
    const plot = new uPlot(optionsOf(element, chart), list(chart), element);
    drawn.set(element, { plot, names: namesOf(chart) });
    element.tabIndex = 0;
  }

  const namesOf = (chart) => JSON.stringify(chart.lines.map((line) => line.name));
  const list = (chart) => [chart.at, ...chart.lines.map((line) => line.values)];

  // What came since; somebody who looks closer goes on looking at the same, unless the lines are others now.
  async function refresh() {
    fetched.clear();
    for (const [element, { plot, names }] of [...drawn]) {
      const whole = await read(element.dataset.chart), chart = partOf(element, whole);
      if (namesOf(chart) !== names) {
        plot.destroy();
        drawn.delete(element);
        draw(element, whole);
        continue;
      }
      const times = plot.data[0], { min, max } = plot.scales.x;
      const isWhole = min <= times[0] && max >= times[times.length - 1];
      plot.setData(list(chart), isWhole);
      if (!isWhole) plot.redraw();
    }
  }

  let isDue = false;
  document.addEventListener("celeriac:counts", () => {
    if (isDue || !drawn.size) return;
    isDue = true;
    setTimeout(() => {
      isDue = false;
      if (!document.hidden) refresh().catch(() => {}); // they stay as they were until the next time
    }, REFRESH_MS);
  });

  function move(event) {
    if (!drawn.has(event.currentTarget)) return;
    const { plot } = drawn.get(event.currentTarget), times = plot.data[0], last = times.length - 1;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape") plot.setScale("x", { min: times[0], max: times[last] });
    if (!step) return;
    const index = Math.min(last, Math.max(0, (plot.cursor.idx ?? times.length) + step));
    plot.setCursor({ left: plot.valToPos(times[index], "x"), top: 0 });
    event.preventDefault();
  }

  for (const element of document.querySelectorAll("[data-chart]")) {
    element.addEventListener("keydown", move);
    read(element.dataset.chart).then(
      (whole) => draw(element, whole),
      (error) => say(element, `The numbers could not be had: ${error.message}`),
    );
  }
  window.addEventListener("resize", () => {
    for (const [element, { plot }] of drawn) plot.setSize({ width: element.clientWidth, height: 220 });
  });
})();
