// A link opens the section that it leads to, and on paper all are open.
(() => {
  const folded = () => document.querySelectorAll("details");
  const open = () => {
    const section = location.hash && document.getElementById(location.hash.slice(1));
    const details = section && section.querySelector("details");
    if (details) details.open = true;
  };
  addEventListener("hashchange", open);
  document.querySelectorAll("nav a").forEach((link) => link.addEventListener("click", () => {
    setTimeout(open);
  }));
  addEventListener("beforeprint", () => folded().forEach((one) => { one.open = true; }));
  open();
})();
