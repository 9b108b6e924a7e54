// The slider puts the words, and what was measured, of another setting in the place of these.
(() => {
  const slider = document.getElementById("threshold");
  if (!slider) return;
  const { stops, notes } = JSON.parse(document.getElementById("stops").textContent);
  const texts = [...document.querySelectorAll(".words")];
  const heads = document.querySelectorAll(".readout dd");
  const means = document.querySelectorAll(".texts .depth");
  const saved = texts.map((text) => [...text.childNodes]);
  const depths = [...means].map((mean) => mean.textContent);
  const look = (span, layer, flags, kind) => {
    span.className = "w" + kind + " f" + layer + (flags & 1 ? " x" : "") + (flags & 2 ? " e" : "");
    if (flags & 8) span.className += " s";
  };
  const labelled = (text, cells) => {
    text.querySelectorAll(".w").forEach((span, place) => {
      const [layer, flags, note] = cells[place];
      look(span, layer, flags, "");
      const head = span.dataset.head;
      span.dataset.tip = (head ? head + "\n" : "") + notes[note];
    });
  };
  const written = (text, cells) => {
    text.replaceChildren(...cells.flatMap(([layer, flags, note, word, head]) => {
      const span = document.createElement("span");
      look(span, layer, flags, " t");
      span.textContent = word;
      span.dataset.tip = head + "\n" + notes[note];
      return flags & 4 ? [" ", span] : [span];
    }));
  };
  texts.forEach((text) => text.querySelectorAll(".w").forEach((span) => {
    if (!span.classList.contains("t")) {
      span.dataset.start = span.className;
      span.dataset.startTip = span.dataset.tip;
      if (span.dataset.tip.startsWith(span.textContent + "\n")) span.dataset.head = span.textContent;
    }
  }));
  const back = (text, place) => {
    text.replaceChildren(...saved[place]);
    text.querySelectorAll("[data-start]").forEach((span) => {
      span.className = span.dataset.start;
      span.dataset.tip = span.dataset.startTip;
    });
  };
  const move = () => {
    const stop = stops[slider.value];
    document.getElementById("setting").textContent = stop.name;
    slider.setAttribute("aria-valuetext", stop.name);
    heads.forEach((head, place) => { head.textContent = stop.figures[place]; });
    texts.forEach((text, place) => {
      const cells = stop.lines && stop.lines[place];
      if (!cells) back(text, place);
      else if (cells[0] && cells[0].length > 3) written(text, cells);
      else labelled(text, cells);
      const sum = cells ? cells.reduce((total, cell) => total + cell[0], 0) / cells.length : 0;
      means[place].textContent = cells && cells.length ? sum.toFixed(2) : depths[place];
    });
  };
  document.querySelector(".track").hidden = false;
  slider.addEventListener("input", move);
  slider.value = slider.dataset.start; // browsers keep the place of before
  move();
})();
