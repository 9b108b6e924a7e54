// Without this, words show their title attribute; with it, the same text appears at once.
(() => {
  const tip = document.getElementById("tip");
  for (const word of document.querySelectorAll(".w[title]")) {
    word.dataset.tip = word.title;
    word.removeAttribute("title");
  }
  document.addEventListener("pointerover", (event) => {
    const word = event.target.closest ? event.target.closest(".w[data-tip]") : null;
    tip.hidden = !word;
    if (!word) return;
    tip.textContent = word.dataset.tip;
    const box = word.getBoundingClientRect();
    const right = window.innerWidth - tip.offsetWidth - 8;
    const above = box.top - tip.offsetHeight - 6;
    tip.style.left = Math.max(8, Math.min(right, box.left)) + "px";
    tip.style.top = (above > 4 ? above : box.bottom + 6) + "px";
  });
  document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
})();
