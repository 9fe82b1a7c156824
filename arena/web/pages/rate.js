/* One ballot at a time. Votes go into an outbox that survives a reload and is sent in order, each under a key of its
   own, until the server has answered; so a lost answer is asked for again and never counted twice. */
const root = element.querySelector(".tb-rate");
const part = (name) => root.querySelector(`[data-role="${name}"]`);
const OUTBOX = "tastebench-outbox", RAW = "tastebench-raw", LAST = "tastebench-last";
const AHEAD = 2, SETTLE_MS = 250, RETRY_MS = [500, 1000, 2000, 4000, 8000, 15000];
const KEYS = { ArrowLeft: "left", ArrowRight: "right", ArrowDown: "tie", t: "tie", g: "both_good", b: "both_bad", s: "skip" };

let queue = [];           // ballots held, the first one is on the screen
let outbox = JSON.parse(localStorage.getItem(OUTBOX) || "[]");
let done = new Set();     // assignments voted on in this tab: not shown again while their answer is on the way
let end = null, progress = null, shownAt = 0, busy = false, sending = false, tries = 0, timer = 0, undoing = 0;
let last = sessionStorage.getItem(LAST);
let picks = {};           // this ballot's answers by criterion
let raw = localStorage.getItem(RAW) === "1";

const key = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (x) => x.toString(16).padStart(2, "0")).join("");
const keep = () => localStorage.setItem(OUTBOX, JSON.stringify(outbox));
const unsaved = () => outbox.length;

class Answer extends Error {
  constructor(status, body) { super(body.error || `HTTP ${status}`); this.status = status; this.body = body; }
  get transient() { return this.status === 0 || this.status === 429 || this.status >= 500; }
}

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
  return said;
};

/* -- what is on the screen ------------------------------------------------------------------------------------ */

const setState = (state) => { root.dataset.state = state; part("screen").hidden = state !== "screen"; };

const screen = (mark, title, html, { again = false, agree = null } = {}) => {
  part("mark").textContent = mark;
  part("title").textContent = title;
  part("words").innerHTML = html;
  part("screen").classList.toggle("tb-consent", agree !== null);
  root.querySelector('[data-do="again"]').hidden = !again;
  const button = root.querySelector('[data-do="agree"]');
  button.hidden = agree === null;
  button.dataset.version = agree === null ? "" : agree;
  setState("screen");
  refreshUndo();
  part("screen").focus({ preventScroll: true });
};

const escaped = (text) => { const p = document.createElement("p"); p.textContent = text; return p.outerHTML; };

const fill = (box, message) => {
  if (!raw) { box.innerHTML = message.html; return; }
  const pre = document.createElement("pre");
  pre.className = "tb-raw";
  pre.textContent = message.text ?? message.content;
  box.replaceChildren(pre);
};

const WHO = { user: "User", assistant: "Assistant", system: "Instructions" };

const turn = (message, asked, alone) => {
  const box = document.createElement("div"), who = document.createElement("span"), text = document.createElement("div");
  box.className = `tb-turn ${asked ? "tb-asked" : "tb-earlier"}`;
  box.dataset.who = message.role;
  who.className = "tb-who";
  who.textContent = asked ? (alone ? "Prompt" : "Last message, answered below") : WHO[message.role] || message.role;
  text.className = "tb-text";
  fill(text, message);
  box.append(who, text);
  return box;
};

const drawCriteria = (names) => {
  part("criteria").hidden = names.length === 0;
  part("criteria").replaceChildren(...names.map((name) => {
    const set = document.createElement("fieldset"), legend = document.createElement("legend");
    set.className = "tb-criterion";
    legend.textContent = name;
    set.append(legend);
    for (const choice of ["left", "tie", "right"]) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = choice[0].toUpperCase() + choice.slice(1);
      button.setAttribute("aria-pressed", "false");
      button.addEventListener("click", () => {
        picks[name] = picks[name] === choice ? undefined : choice;
        set.querySelectorAll("button").forEach((b) =>
          b.setAttribute("aria-pressed", String(b === button && picks[name] === choice)));
      });
      set.append(button);
    }
    return set;
  }));
};

const draw = () => {
  const ballot = queue[0];
  part("prompt").replaceChildren(...ballot.prompt.map((m, i) =>
    turn(m, i === ballot.prompt.length - 1, ballot.prompt.length === 1)));
  fill(part("left"), ballot.left);
  fill(part("right"), ballot.right);
};

const show = () => {
  root.querySelectorAll(".tb-pressed, .tb-picked").forEach((b) => b.classList.remove("tb-pressed", "tb-picked"));
  if (queue.length === 0) {
    if (end) screen("\u2713", /paused|closed/.test(end.message) ? "This session is not open" : "All done", escaped(end.message), { again: true });
    else { setState("loading"); top_up(); }
    return;
  }
  picks = {};
  draw();
  drawCriteria(queue[0].criteria);
  root.dataset.assignment = queue[0].assignment;
  setState("rating");
  refreshUndo();
  window.scrollTo(0, 0);
  shownAt = performance.now();
};

const refreshProgress = () => {
  if (!progress) return;
  const given = Math.min(progress.done + outbox.filter((o) => !o.sent).length, progress.target);
  part("count").textContent = progress.target ? `${given} of ${progress.target}` : "";
  part("track").setAttribute("aria-valuemax", progress.target);
  part("track").setAttribute("aria-valuenow", given);
  part("fill").style.width = progress.target ? `${100 * given / progress.target}%` : "0";
};

const mark = (kind, words) => {
  const box = part("saved");
  box.dataset.kind = kind;
  box.textContent = words;
};

const alertText = (words) => { part("alert").textContent = words; part("alert").hidden = !words; };

const refreshUndo = () => root.querySelectorAll('[data-do="undo"]').forEach((b) => {
  b.disabled = !last && !outbox.length;
  if (b.closest(".tb-screen-buttons")) b.hidden = !last || part("screen").classList.contains("tb-consent") || !end;
});

const sentence = (words) => words ? words[0].toUpperCase() + words.slice(1).replace(/[.;]?$/, ".") : "";
const explain = (answer) => [sentence(answer.body.error), sentence(answer.body.remedy)].join(" ").trim();

/* -- ballots in ----------------------------------------------------------------------------------------------- */

const stopped = (answer) => {
  if (answer.body.error === "consent_required") {
    screen("\u270e", "Before you begin", answer.body.html, { agree: answer.body.version });
  } else if (answer.status === 401) {
    screen("?", "You are not signed in here", escaped(`Open your personal link again in this browser. ${unsaved() ? "Your unsent votes are kept and go out then." : "Every vote you gave is saved."}`));
  } else {
    screen("!", "You cannot rate here right now", escaped(explain(answer)), { again: true });
  }
};

let fetching = null;
const top_up = (n = AHEAD) => {
  fetching ??= (async () => {
    try {
      const said = await call(`next?n=${n + outbox.length}`);
      const before = progress;
      progress = said.progress;
      end = said.end || null;
      const held = new Set(queue.map((b) => b.assignment));
      queue.push(...said.ballots.filter((b) => !held.has(b.assignment) && !done.has(b.assignment)));
      if (!before || said.progress.done < before.done || said.progress.done > before.done + AHEAD) guide();
      refreshProgress();
      if (root.dataset.state !== "rating") {
        if (queue.length || end) show();
      }
      if (outbox.length === 0 && part("saved").dataset.kind === "wait") mark("idle", "");
    } catch (answer) {
      if (!(answer instanceof Answer)) throw answer;
      if (!answer.transient) stopped(answer);
      else if (queue.length === 0) {
        if (!outbox.length) mark("wait", answer.status ? explain(answer) : "No connection, trying again");
        setTimeout(() => top_up(), RETRY_MS[Math.min(tries++, RETRY_MS.length - 1)]);
      }
    } finally { fetching = null; }
  })();
  return fetching;
};

const fill_up = () => {
  if (!outbox.length && !end && queue.filter((b) => !done.has(b.assignment)).length < AHEAD) top_up();
};

const guide = async () => {
  try {
    const said = await call("guidelines");
    part("guide").hidden = !said.html;
    part("guide-text").innerHTML = said.html;
    part("note").hidden = !said.note;
    part("note").textContent = said.note;
  } catch (answer) { if (!(answer instanceof Answer)) throw answer; }
};

/* -- votes out ------------------------------------------------------------------------------------------------ */

const vote = (choice) => {
  const ballot = queue[0];
  const waited = performance.now() - shownAt;
  if (!ballot || root.dataset.state !== "rating" || busy || waited < SETTLE_MS) return;
  const body = { assignment: ballot.assignment, choice, key: key(), elapsed_ms: Math.round(waited) };
  const criteria = Object.fromEntries(Object.entries(picks).filter(([, v]) => v));
  if (Object.keys(criteria).length) body.criteria = criteria;
  outbox.push({ body });
  keep();
  done.add(ballot.assignment);
  busy = true;
  root.querySelector(`[data-choice="${choice}"]`)?.classList.add("tb-pressed");
  root.querySelectorAll(".tb-panel").forEach((p) => p.classList.toggle("tb-picked", p.dataset.side === choice));
  alertText("");
  mark("wait", "Saving");
  refreshProgress();
  setTimeout(() => { busy = false; queue.shift(); show(); fill_up(); }, 140);
  send();
};

const send = async () => {
  if (sending) return;
  sending = true;
  clearTimeout(timer);
  while (outbox.length) {
    const { body } = outbox[0];
    try {
      const said = await call("vote", body);
      progress = said.progress;
      remember(body.assignment);
      if (said.reveal) alertText(`Last ballot: left was ${said.reveal.left}, right was ${said.reveal.right}.`);
    } catch (answer) {
      if (!(answer instanceof Answer)) throw answer;
      if (answer.transient) { later(answer); break; }
      if (answer.status === 401) { stopped(answer); break; }
      if (!answer.body.stored) done.delete(body.assignment);
      alertText(answer.body.stored
        ? `Saved before as "${answer.body.stored.choice.replace("_", " ")}"; that vote stands.`
        : explain(answer));
    }
    outbox.shift();
    keep();
    tries = 0;
    if (!outbox.length) mark("ok", part("alert").hidden || part("alert").textContent.startsWith("Last ballot") ? "Saved" : "");
    refreshProgress();
  }
  sending = false;
  fill_up();
};

const later = (answer) => {
  const n = unsaved();
  mark("wait", `${n} ${n === 1 ? "vote" : "votes"} not saved yet, trying again${answer.status === 507 ? ` (${answer.body.error})` : ""}`);
  timer = setTimeout(() => { sending = false; send(); }, RETRY_MS[Math.min(tries++, RETRY_MS.length - 1)]);
};

const remember = (assignment) => {
  last = assignment;
  if (last) sessionStorage.setItem(LAST, last); else sessionStorage.removeItem(LAST);
  refreshUndo();
};

const undo = async () => {
  if (sending && tries === 0 || busy) { clearTimeout(undoing); undoing = setTimeout(undo, 60); return; }
  if (outbox.length) { alertText("Your last vote is not saved yet; it can be taken back once it is."); return; }
  if (!last) return;
  busy = true;
  try {
    const said = await call("undo", { assignment: last });
    progress = said.progress;
    await fetching;
    await top_up(5);
    const at = queue.findIndex((b) => b.assignment === said.assignment);
    if (at > 0) queue.unshift(...queue.splice(at, 1));
    remember(null);
    busy = false;
    refreshProgress();
    show();
    mark("ok", "Vote taken back");
    alertText("");
  } catch (answer) {
    if (!(answer instanceof Answer)) throw answer;
    busy = false;
    if (answer.status === 409) remember(null);
    alertText(answer.transient ? "The vote could not be taken back right now. Try again." : explain(answer));
    refreshUndo();
  }
};

/* -- hands ---------------------------------------------------------------------------------------------------- */

const toggleRaw = () => {
  raw = !raw;
  localStorage.setItem(RAW, raw ? "1" : "0");
  root.querySelector('[data-do="raw"]').setAttribute("aria-pressed", String(raw));
  if (queue.length) draw();
};

const actions = {
  undo, raw: toggleRaw,
  keys: () => part("keymap").showModal(),
  again: () => { end = null; setState("loading"); top_up(); },
  agree: async (button) => {
    try { await call("consent", { version: button.dataset.version }); setState("loading"); top_up(); }
    catch (answer) { if (!(answer instanceof Answer)) throw answer; stopped(answer); }
  },
};

root.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button || button.disabled) return;
  if (button.dataset.choice) vote(button.dataset.choice);
  else if (button.dataset.do) actions[button.dataset.do](button);
  else if (button.dataset.jump) root.querySelector(`[data-side="${button.dataset.jump}"]`).scrollIntoView({ behavior: "smooth" });
});

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || typing || part("keymap").open) return;
  const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (name === "?") { event.preventDefault(); actions.keys(); return; }
  if (name === "u" && (last || outbox.length)) { event.preventDefault(); undo(); return; }
  if (root.dataset.state !== "rating") return;
  if (name === "r") { event.preventDefault(); toggleRaw(); }
  if (KEYS[name]) { event.preventDefault(); vote(KEYS[name]); }
});

window.addEventListener("beforeunload", (event) => { if (unsaved()) event.preventDefault(); });
window.addEventListener("online", () => { sending = false; tries = 0; outbox.length ? send() : top_up(); });
window.addEventListener("offline", () => mark("wait", unsaved() ? `Offline, ${unsaved()} not saved yet` : "Offline"));

const seen = { left: 1, right: 0 };
const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) seen[entry.target.dataset.side] = entry.intersectionRatio;
  for (const button of root.querySelectorAll("[data-jump]")) {
    if ((button.dataset.jump === "left") === (seen.left >= seen.right)) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
}, { threshold: [0, .1, .25, .5, .75, 1] });
root.querySelectorAll(".tb-panel").forEach((panel) => watcher.observe(panel));

root.querySelector('[data-do="raw"]').setAttribute("aria-pressed", String(raw));
done = new Set(outbox.map((o) => o.body.assignment));
if (outbox.length) { mark("wait", "Saving"); send(); }
top_up();
