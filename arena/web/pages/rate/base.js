/* What the other parts stand on: the elements, what this browser keeps, and a call to the server. */
const root = element.querySelector(".tb-rate");
const part = (name) => root.querySelector(`[data-role="${name}"]`);
const doing = (name) => root.querySelectorAll(`[data-do="${name}"]`);
const OUTBOX = "tastebench-outbox", LAST = "tastebench-last", DRAFT = "tastebench-draft", PACE = "tastebench-pace";
const READ = "tastebench-guidelines-read", PREFERENCE = "tastebench-";

const SOURCE = root.dataset.source || "next";   // where ballots come from
const hooks = {};         // what a page that stands on this one does: heard(said) with each answer, idle() without a ballot

const recall = (name, otherwise, store = BROWSER) => {
  try { return JSON.parse(store.getItem(name)) ?? otherwise; } catch { return otherwise; }
};
const keep = (name, value, store = BROWSER) => {
  if (value === null) store.removeItem(name); else store.setItem(name, JSON.stringify(value));
};

class Answer extends Error {
  constructor(status, body) { super(body.error || `HTTP ${status}`); this.status = status; this.body = body; }
  get transient() { return this.status === 0 || this.status === 429 || this.status >= 500; }
}

/* The server's answer to a GET, or to a POST where there is a body; `under` is the campaign its ballots come under. */
const call = async (path, body) => {
  let answer;
  try {
    answer = await fetch(new URL(`../api/${path}`, location.href), body === undefined ? { cache: "no-store" } : {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), keepalive: true,
    });
  } catch { throw new Answer(0, { error: "no connection" }); }
  let said = {};
  try { said = await answer.json(); } catch { /* a proxy's page is no answer of ours */ }
  if (!answer.ok) throw new Answer(answer.status, said);
  return { ...said, under: answer.headers.get("x-campaign") || "" };
};

const sentence = (text) => text ? text[0].toUpperCase() + text.slice(1).replace(/[.;]?$/, ".") : "";
const explain = (answer) => [answer.body.error, answer.body.remedy].map((s) => sentence(told(s))).join(" ").trim();
const paragraph = (text) => { const p = document.createElement("p"); p.textContent = text; return p.outerHTML; };
const made = (tag, text, className = "") => Object.assign(document.createElement(tag), { textContent: text, className });

const mark = (kind, text) => { part("saved").dataset.kind = kind; part("saved").textContent = text; };
const alertText = (text) => { part("alert").textContent = text; part("alert").hidden = !text; };
const say = (text) => { part("said").textContent = text; };
const press = (button, on) => button.setAttribute("aria-pressed", String(on));
