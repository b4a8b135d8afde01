// A list of items: choose all that are shown, and say how many are chosen.
"use strict";

(() => {
  const form = document.querySelector("form[data-items]");
  if (!form) return;
  const chosen = form.querySelector("[data-chosen]");
  const head = form.querySelector("th.choose");
  const boxes = () => [...form.querySelectorAll("tbody input[name=item]")];

  if (head) {
    const all = document.createElement("input");
    all.type = "checkbox";
    all.setAttribute("aria-label", "Choose all that are shown");
    all.addEventListener("change", () => {
      for (const box of boxes()) box.checked = all.checked;
      say();
    });
    head.replaceChildren(all);
  }

  function say() {
    const count = boxes().filter((box) => box.checked).length;
    if (chosen) chosen.textContent = count ? `(${count})` : "";
    if (count) form.querySelector("input[name=which][value=chosen]").checked = true;
  }
  form.addEventListener("change", (event) => { if (event.target.name === "item") say(); });
  say();
})();
