// Brings a part of a page up to date when something was committed: no more often than it says, and not while it is used.
"use strict";

(() => {
  const MOST_ROWS = 500;
  const waiting = new WeakSet();

  function follow(element) {
    if (waiting.has(element)) return;
    waiting.add(element);
    setTimeout(() => {
      waiting.delete(element);
      if (!element.isConnected || document.hidden) return;
      if (element.contains(document.activeElement)) follow(element);
      else htmx.trigger(element, "follow");
    }, Number(element.dataset.follow));
  }

  document.addEventListener("celeriac:counts", () => {
    for (const element of document.querySelectorAll("[data-follow]")) follow(element);
  });

  document.addEventListener("htmx:afterSettle", () => {
    for (const body of document.querySelectorAll("[data-at-most] tbody")) {
      const rows = document.querySelectorAll("[data-at-most] tbody tr").length;
      if (rows > MOST_ROWS && body === body.parentElement.lastElementChild) body.remove();
    }
  });
})();
