/* What this browser keeps. Where it keeps nothing (another site's frame, storage switched off or full), the open page does. */
const shelf = (name) => {
  const here = new Map();
  let store = null;
  try { store = window[name]; } catch { /* it is not to be had here */ }
  return {
    forgetful: !store,
    getItem: (key) => here.get(key) ?? store?.getItem(key) ?? null,
    setItem: (key, value) => {
      try { store.setItem(key, value); here.delete(key); } catch { here.set(key, value); }
    },
    removeItem: (key) => { here.delete(key); store?.removeItem(key); },
  };
};
const BROWSER = shelf("localStorage"), TAB = shelf("sessionStorage");

/* The reader's language. The English sentence is the key; CATALOGUES holds the others. */
const LANGUAGE = "tastebench-language";
const LANGUAGES = ["en", ...Object.keys(CATALOGUES)];
const language = [BROWSER.getItem(LANGUAGE), ...navigator.languages]
  .map((tag) => (tag || "").slice(0, 2).toLowerCase()).find((code) => LANGUAGES.includes(code)) || "en";
const words = CATALOGUES[language] || {};

/* A sentence of this page, with its {named} places filled. */
const t = (english, values = {}) =>
  (words[english] ?? english).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);

const patterns = Object.keys(words).filter((english) => english.includes("{1}")).map((english) => [
  new RegExp(`^${english.replace(/[.*+?^$()|[\]\\]/g, "\\$&").replace(/\{\d\}/g, "(.+?)")}$`), words[english],
]);

/* A sentence of the server: looked up as it is, then by the sentences that have numbered places {1}, {2}. */
const told = (english) => {
  if (!english || words[english]) return words[english] || english || "";
  for (const [pattern, other] of patterns) {
    const found = english.match(pattern);
    if (found) return other.replace(/\{(\d)\}/g, (_, place) => words[found[place]] ?? found[place]);
  }
  return english;
};

/* Put the texts and labels of an element that the catalogue knows into the reader's language. */
const translate = (scope) => {
  document.documentElement.lang = language;
  const walker = document.createTreeWalker(scope, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const english = node.data.trim().replace(/\s+/g, " ");
    if (words[english]) node.data = node.data.replace(node.data.trim(), () => words[english]);
  }
  for (const name of ["aria-label", "title"]) {
    scope.querySelectorAll(`[${name}]`).forEach((e) => e.setAttribute(name, t(e.getAttribute(name))));
  }
};

const offerLanguages = (select) => {
  select.parentElement.hidden = Boolean(BROWSER.forgetful);   // a choice would not outlive the reload
  select.replaceChildren(...LANGUAGES.map((code) => {
    const option = new Option(new Intl.DisplayNames([code], { type: "language" }).of(code), code, false, code === language);
    option.lang = code;
    return option;
  }));
  select.addEventListener("change", (event) => {
    BROWSER.setItem(LANGUAGE, event.target.value);
    location.reload();
  });
};
