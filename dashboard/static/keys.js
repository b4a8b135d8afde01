// The keyboard: / searches, ? shows the keys, g and a letter goes to a page. And what must be confirmed, is.
"use strict";

(() => {
  const prefix = document.body.dataset.prefix;
  const dialog = document.getElementById("keys");
  const places = { o: "/", f: "/failures", c: "/costs", w: "/workers", e: "/events" };
  let going = false;

  const writes = (element) => element.closest("input, textarea, select, [contenteditable]");

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || writes(event.target)) return;
    if (event.key === " " && event.target.matches("a[role=button]")) {  // it says that it is a button
      event.target.click();
      event.preventDefault();
    }
    if (going && places[event.key]) {
      window.location.assign(prefix + places[event.key]);
    } else if (event.key === "/") {
      const search = document.querySelector("[data-search]");
      if (search) { search.focus(); event.preventDefault(); }
    } else if (event.key === "?") {
      dialog.showModal();
    }
    going = event.key === "g";
  });

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-keys]")) dialog.showModal();
  });

  document.addEventListener("submit", (event) => {
    const question = event.submitter?.dataset.confirm ?? event.target.dataset.confirm;
    if (question && !window.confirm(question)) event.preventDefault();
  });
})();
