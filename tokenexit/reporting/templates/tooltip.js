// What a word or a mark tells, at once and without a pointer: Tab goes to the words, arrows move.
(() => {
  const tip = document.getElementById("tip");
  const told = ".w, .marks path, .bar, .strip > span";
  const tell = (node) => {
    if (node.title) { node.dataset.tip = node.title; node.removeAttribute("title"); }
    const title = node.querySelector("title");
    if (title) { node.dataset.tip = title.textContent; title.remove(); }
  };
  document.querySelectorAll(told).forEach(tell);
  const show = (node) => {
    tip.hidden = !node;
    if (!node) return;
    tip.textContent = node.dataset.tip;
    const box = node.getBoundingClientRect();
    const right = window.innerWidth - tip.offsetWidth - 8;
    const above = box.top - tip.offsetHeight - 6;
    tip.style.left = Math.max(8, Math.min(right, box.left)) + "px";
    tip.style.top = (above > 4 ? above : box.bottom + 6) + "px";
  };
  const near = (event) => (event.target.closest ? event.target.closest("[data-tip]") : null);
  document.addEventListener("pointerover", (event) => show(near(event)));
  document.addEventListener("scroll", () => { // a word that has the focus keeps its tip
    const word = document.activeElement;
    show(!tip.hidden && word.matches(".w") ? word : null);
  }, { passive: true });
  document.addEventListener("focusout", () => show(null));
  const texts = document.querySelectorAll(".words");
  texts.forEach((text) => {
    text.tabIndex = 0;
    text.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const words = [...text.querySelectorAll(".w")];
      const place = Math.min(words.length - 1, Math.max(0, words.indexOf(near(event)) + step));
      words.forEach((word) => word.removeAttribute("tabindex"));
      words[place].tabIndex = -1;
      words[place].focus();
      show(words[place]);
    });
  });
})();
