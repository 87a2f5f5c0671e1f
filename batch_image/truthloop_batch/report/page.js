// The theme that the reader chose is set before the page is drawn; the rest waits for the document.
(() => {
  "use strict";
  const root = document.documentElement;
  const KEY = "truthloop-theme";
  root.classList.add("scripted");

  // A file opened from disk may be refused any storage: then the choice lasts as long as the page.
  const remembered = () => { try { return localStorage.getItem(KEY); } catch { return null; } };
  const remember = (theme) => { try { localStorage.setItem(KEY, theme); } catch { /* stays for this page */ } };
  const chosen = remembered();
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;

  function themes() {
    const button = document.querySelector(".theme");
    const system = matchMedia("(prefers-color-scheme: dark)");
    const current = () => root.dataset.theme || (system.matches ? "dark" : "light");
    const other = () => (current() === "dark" ? "light" : "dark");
    const name = () => button.setAttribute("aria-label", `Switch to the ${other()} theme`);
    button.addEventListener("click", () => {
      root.dataset.theme = other();
      remember(root.dataset.theme);
      name();
    });
    system.addEventListener("change", name);
    name();
  }

  function tooltips() {
    const tip = document.createElement("div");
    tip.className = "tip";
    tip.hidden = true;
    tip.setAttribute("aria-hidden", "true");
    document.body.append(tip);
    const hide = () => { tip.hidden = true; };
    const show = (mark) => {
      tip.textContent = mark.getAttribute("aria-label");
      tip.hidden = false;
      const at = (mark.querySelector(".dot") || mark).getBoundingClientRect();
      const box = tip.getBoundingClientRect();
      const left = Math.min(Math.max(12, at.left + at.width / 2 - box.width / 2), innerWidth - box.width - 12);
      const above = at.top - box.height - 10;
      tip.style.left = `${left}px`;
      tip.style.top = `${above < 60 ? at.bottom + 10 : above}px`;
    };
    for (const chart of document.querySelectorAll(".chart")) {
      const marks = [...chart.querySelectorAll(".mark")];
      const columns = Number(chart.parentElement.dataset.columns || 0);
      // One stop for the tab key per chart, arrow keys within it.
      const reach = (index) => marks.forEach((mark, i) => mark.setAttribute("tabindex", i === index ? "0" : "-1"));
      reach(0);
      marks.forEach((mark, index) => {
        mark.querySelector("title")?.remove();
        mark.addEventListener("pointerenter", () => show(mark));
        mark.addEventListener("pointerleave", hide);
        mark.addEventListener("focus", () => { reach(index); show(mark); });
        mark.addEventListener("blur", hide);
        mark.addEventListener("keydown", (event) => {
          const step = {
            ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns || 1, ArrowUp: -(columns || 1),
          }[event.key];
          if (event.key === "Escape") hide();
          if (!step) return;
          event.preventDefault();
          marks[index + step]?.focus();
        });
      });
    }
    addEventListener("scroll", hide, { passive: true });
  }

  // Paper cannot be unfolded.
  addEventListener("beforeprint", () => {
    for (const folded of document.querySelectorAll("details:not([open])")) {
      folded.open = true;
      addEventListener("afterprint", () => { folded.open = false; }, { once: true });
    }
  });
  addEventListener("DOMContentLoaded", () => { themes(); tooltips(); });
})();
