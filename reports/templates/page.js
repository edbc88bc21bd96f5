"use strict";
(() => {
  // Buttons appear only where there is something that can copy.
  const copy = async (button) => {
    const text = button.parentElement.querySelector("code").textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "copied";
    } catch {
      button.textContent = "select it, please";
    }
    setTimeout(() => { button.textContent = "copy"; }, 2000);
  };
  if (navigator.clipboard) {
    for (const button of document.querySelectorAll("button.copy")) {
      button.hidden = false;
      button.addEventListener("click", () => copy(button));
    }
  }

  // One tooltip for all charts; its texts are never markup.
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);
  const line = (name, text) => {
    const row = document.createElement("p");
    const label = document.createElement("span");
    label.textContent = name;
    row.append(label, String(text));
    return row;
  };
  const tell = (_, event, __, value) => {
    tip.hidden = value === null || value === undefined || value === "";
    if (tip.hidden) return;
    const rows = typeof value === "object" ? Object.entries(value) : [["", value]];
    tip.replaceChildren(...rows.map(([name, text]) => line(name, text)));
    const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
    const below = event.clientY + 16;
    const fits = below + tip.offsetHeight < innerHeight;
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${fits ? below : event.clientY - tip.offsetHeight - 12}px`;
  };
  addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
  addEventListener("keydown", (event) => { if (event.key === "Escape") tip.hidden = true; });

  // A chart comes to life when it is about to be seen; until then, and on paper, it is a picture.
  const enliven = async (figure) => {
    const plot = figure.querySelector(".plot");
    const spec = JSON.parse(figure.querySelector("script").textContent);
    const box = document.createElement("div");
    box.className = "live";
    box.ariaHidden = "true";
    plot.append(box);
    const view = new vega.View(vega.parse(spec, {}, { ast: true }), {
      container: box, expr: vega.expressionInterpreter, hover: true, renderer: "svg", tooltip: tell,
    });
    const fit = async () => {
      await view.width(plot.clientWidth).runAsync();
      await view.resize().runAsync(); // a legend that folded has another height
    };
    await fit();
    figure.classList.add("is-live");
    new ResizeObserver(fit).observe(plot);
  };
  const near = new IntersectionObserver((seen) => {
    for (const { isIntersecting, target } of seen) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      enliven(target);
    }
  }, { rootMargin: "400px" });
  for (const figure of document.querySelectorAll("figure.chart")) near.observe(figure);
})();
