"use strict";
(() => {
  const form = document.getElementById("filters");
  const articles = [...document.querySelectorAll("article")];
  const sections = [...document.querySelectorAll("main > section")];

  const texts = new Map();

  const textOf = (article) => {
    if (!texts.has(article)) {
      texts.set(article, `${article.dataset.file} ${article.dataset.rule} ${article.textContent}`.toLowerCase());
    }
    return texts.get(article);
  };

  const passes = (article, wanted) =>
    wanted.severities.has(article.dataset.severity) &&
    (!wanted.rule || article.dataset.rule === wanted.rule) &&
    (!wanted.file || article.dataset.file === wanted.file) &&
    (!wanted.text || textOf(article).includes(wanted.text));

  const filter = () => {
    const values = new FormData(form);
    const wanted = {
      severities: new Set(values.getAll("severity")),
      rule: values.get("rule"),
      file: values.get("file"),
      text: values.get("text").trim().toLowerCase(),
    };
    let shown = 0;
    for (const article of articles) {
      article.hidden = !passes(article, wanted);
      shown += !article.hidden;
    }
    for (const section of sections) {
      const left = section.querySelectorAll("article:not([hidden])").length;
      section.hidden = left === 0;
      section.querySelector(".count").textContent = left;
    }
    document.getElementById("none").hidden = shown > 0;
    form.querySelector("output").textContent = `${shown} of ${articles.length} shown`;
  };

  const step = (direction) => {
    const visible = articles.filter((article) => !article.hidden);
    const current = visible.indexOf(document.activeElement.closest("article"));
    const next = visible[current < 0 && direction < 0 ? visible.length - 1 : current + direction];
    if (next) {
      next.focus({ preventScroll: true });
      next.scrollIntoView({ block: "start" });
    }
  };

  const open = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target instanceof HTMLDetailsElement) {
      target.open = true;
      target.querySelector("summary").focus();
      target.scrollIntoView();
    }
  };

  if (form) {
    form.hidden = false;
    form.addEventListener("input", filter);
    form.addEventListener("reset", () => setTimeout(filter));
    form.addEventListener("submit", (event) => event.preventDefault());
    filter();
  }
  addEventListener("hashchange", open);
  addEventListener("click", (event) => {
    // The address may have this fragment already.
    const link = event.target.closest("a");
    if (link && link.hash === location.hash) open();
  });
  open();
  addEventListener("keydown", (event) => {
    const typing = event.target.matches("select, input:not([type=checkbox])");
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && typing) event.target.blur();
    if (typing) return;
    if (event.key === "j") step(1);
    else if (event.key === "k") step(-1);
    else if (event.key === "/" && form) form.elements.text.focus();
    else return;
    event.preventDefault();
  });
})();
