/* Buttons, keys, the connection; and the start. */
const KEYS = { ArrowLeft: "left", ArrowRight: "right", ArrowDown: "tie", t: "tie", g: "both_good", b: "both_bad", s: "skip" };

const redraw = () => { if (queue.length && root.dataset.state === "rating") drawTexts(queue[0], true); };
const toggle = (name) => { prefer(name, !set[name]); if (name !== "together") redraw(); };
const openDialog = (name) => { root.querySelectorAll("dialog[open]").forEach((d) => d.close()); part(name).showModal(); };

const sendDetails = () => { if (!part("feedback").hidden) goOn(); else if (drawerOpen()) vote(); };

const actions = {
  undo, reveal, forget, on: goOn, copy: copyCode, send: sendDetails,
  raw: () => toggle("raw"),
  fold: () => toggle("unfold"),
  diff: () => { marked = !marked; doing("diff").forEach((b) => press(b, marked)); redraw(); },
  keys: () => openDialog("keymap"),
  menu: () => openDialog("menu"),
  leave: () => openDialog("leave"),
  back: () => { draft.choice = null; keepDraft(); closeDrawer(); },
  guide: () => {
    if (part("guide").hidden) return;
    part("guide").open = !part("guide").open;
    if (part("guide").open) part("guide").scrollIntoView({ block: "nearest" });
  },
  again: () => { end = null; setState("loading"); top_up(); },
  agree: async (button) => {
    try { await call("consent", { version: button.dataset.version }); setState("loading"); top_up(); }
    catch (answer) { if (!(answer instanceof Answer)) throw answer; stopped(answer); }
  },
};

root.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button || button.disabled) return;
  // Enter after a press by hand sends the details, and does not press the same button again
  if (event.detail > 0 && button.closest(".tb-drawer, .tb-votes")) button.blur();
  if (button.dataset.choice) choose(button.dataset.choice);
  else if (button.dataset.do) actions[button.dataset.do](button);
  else if (button.dataset.jump) root.querySelector(`[data-side="${button.dataset.jump}"]`).scrollIntoView({ behavior: "smooth" });
  else if (pickDetail(button)) onlyStrength(button);
});

/* Where nothing but the strength is asked it is one key: picking it sends. */
const onlyStrength = (button) => {
  const asks = asked(draft.choice, queue[0], guideOf(queue[0]).ask);
  if (button.dataset.strength && draft.strength && asks.length === 1) vote();
};

root.addEventListener("input", (event) => {
  const name = event.target.dataset.text;
  if (name) { draft.texts[name] = event.target.value; keepDraft(); }
});

const typingKey = (event) => {
  if (event.key === "Escape") event.target.blur();
  else if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && drawerOpen()) sendDetails();
  else return;
  event.preventDefault();
};

/* What a key does beside the choices; undefined where it does nothing here. */
const keyAction = (name, event, button) => ({
  "?": actions.keys, i: actions.guide, r: actions.raw, d: actions.diff, f: actions.fold, l: () => toggle("together"),
  u: last || outbox.length ? undo : undefined,
  1: drawerOpen() ? () => root.querySelector('[data-strength="slight"]:not([hidden] *)')?.click() : undefined,
  2: drawerOpen() ? () => root.querySelector('[data-strength="clear"]:not([hidden] *)')?.click() : undefined,
  Escape: drawerOpen() ? actions.back : undefined,
  Enter: !button && (drawerOpen() || !part("feedback").hidden) ? sendDetails : undefined,
}[name]);

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
  if (event.repeat || root.querySelector("dialog[open]")) return;
  if (typing) { typingKey(event); return; }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  // a part that was reached by Tab to be scrolled takes the arrows for itself
  if (name.startsWith("Arrow") && event.target.matches?.(".tb-ballot [tabindex]:focus-visible")) return;
  const rating = root.dataset.state === "rating", button = event.target.closest?.("button, a, summary");
  const act = rating || ["?", "u"].includes(name) ? keyAction(name, event, button) : undefined;
  const pages = { " ": event.shiftKey ? -1 : 1, PageDown: 1, PageUp: -1 }[name];
  if (act) act();
  else if (rating && KEYS[name] && part("feedback").hidden) choose(KEYS[name]);
  else if (!(rating && pages && !button && readOn(pages))) return;
  event.preventDefault();
});

window.addEventListener("beforeunload", (event) => { if (outbox.length) event.preventDefault(); });
window.addEventListener("online", () => { sending = false; tries = 0; outbox.length ? send() : top_up(); });
window.addEventListener("offline", () => mark("late", outbox.length ? t("Offline, {n} not saved yet", { n: outbox.length }) : t("Offline")));

const seen = { left: 1, right: 0 };
const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) seen[entry.target.dataset.side] = entry.intersectionRatio;
  for (const button of root.querySelectorAll("[data-jump]")) {
    if ((button.dataset.jump === "left") === (seen.left >= seen.right)) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
}, { threshold: [0, .1, .25, .5, .75, 1] });
root.querySelectorAll(".tb-panel").forEach((panel) => watcher.observe(panel));

SIDES.forEach((side, i) => {
  const box = part(side), other = part(SIDES[1 - i]);
  box.addEventListener("scroll", () => { if (folded()) follow(box, other); }, { passive: true });
});
for (const name of ["together", "unfold"]) {
  part(name).addEventListener("change", (event) => { prefer(name, event.target.checked); redraw(); });
}
let width = innerWidth;
window.addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; if (root.dataset.state === "rating") fold(); } });
// the page ends above the bar, however tall the drawer makes it
new ResizeObserver(() => root.style.setProperty("--tb-bar", `${part("bar").offsetHeight}px`)).observe(part("bar"));

document.title = document.title.replace("Rate", t("Rate"));
translate(root);
offerLanguages(part("language"));
for (const name of ["raw", "unfold", "together"]) prefer(name, set[name]);
done = new Set(outbox.map((o) => o.body.assignment));
if (outbox.length) { mark("wait", t("Saving")); send(); }
top_up();
