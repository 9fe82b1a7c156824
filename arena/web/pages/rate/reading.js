/* Reading two answers: rendered or raw, folded to one height, scrolled together, their differing words marked. */
const FOLD_FROM = 1.2, CELLS = 40e6, SIDES = ["left", "right"];
const set = Object.fromEntries([["raw", false], ["unfold", false], ["together", true]].map(([name, otherwise]) =>
  [name, recall(PREFERENCE + name, otherwise)]));
let marked = false;

const fill = (box, message) => {
  if (!set.raw) { box.innerHTML = message.html; return; }
  const pre = made("pre", message.text ?? message.content, "tb-raw");
  box.replaceChildren(pre);
};

const WHO = { user: t("User"), assistant: t("Assistant"), system: t("Instructions") };

const turn = (message, asked, alone) => {
  const box = document.createElement("div"), text = made("div", "", "tb-text");
  const who = asked ? (alone ? t("Prompt") : t("Last message, answered below")) : WHO[message.role] || message.role;
  box.className = `tb-turn ${asked ? "tb-asked" : "tb-earlier"}`;
  box.dataset.who = message.role;
  text.dir = "auto";
  text.lang = "";
  fill(text, message);
  box.append(made("span", who, "tb-who"), text);
  return box;
};

/* Draw the ballot's texts; a new way of drawing the same one keeps its place. */
const drawTexts = (ballot, again = false) => {
  const tops = SIDES.map((side) => part(side).scrollTop);
  part("prompt").replaceChildren(...ballot.prompt.map((m, i) =>
    turn(m, i === ballot.prompt.length - 1, ballot.prompt.length === 1)));
  SIDES.forEach((side) => fill(part(side), ballot[side]));
  if (marked) markDifferences();
  fold();
  reachable();
  if (again) SIDES.forEach((side, i) => { part(side).scrollTop = tops[i]; });
};

/* Whatever can be scrolled can be reached by Tab, and then be scrolled by the arrow keys of a reader who cannot point. */
const reachable = () => root.querySelectorAll(".tb-prompt, .tb-ballot .tb-text :is(pre, table, math[display=block])").forEach((box) => {
  if (box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1) box.tabIndex = 0;
  else box.removeAttribute("tabindex");
});

/* -- folding and scrolling: both sides always alike ------------------------------------------------------------- */

const narrow = () => matchMedia("(max-width: 760px)").matches;

const fold = () => {
  const panels = part("panels"), boxes = SIDES.map(part);
  delete panels.dataset.folded;
  const above = narrow() ? innerHeight / 2 : panels.getBoundingClientRect().top + scrollY;
  const limit = Math.max(.42 * innerHeight, innerHeight - above - part("bar").offsetHeight - 165);
  panels.style.setProperty("--tb-fold", `${Math.round(limit)}px`);
  const long = Math.max(...boxes.map((b) => b.scrollHeight)) > FOLD_FROM * limit;
  const folded = long && !set.unfold;
  if (folded) panels.dataset.folded = "";
  boxes.forEach((box) => {
    box.scrollTop = 0;
    if (folded) { box.tabIndex = 0; box.setAttribute("role", "group"); } else { box.removeAttribute("tabindex"); box.removeAttribute("role"); }
    if (folded) box.setAttribute("aria-label", box.parentElement.getAttribute("aria-label")); else box.removeAttribute("aria-label");
  });
  root.querySelectorAll(".tb-more").forEach((b) => { b.hidden = !long; b.textContent = folded ? t("Show all") : t("Show less"); });
};

const prefer = (name, value) => {
  set[name] = value;
  keep(PREFERENCE + name, value);
  part("together").checked = set.together;
  part("unfold").checked = set.unfold;
  doing("raw").forEach((b) => press(b, set.raw));
};

const led = new Map();    // where the other side's scrolling put a box: its own event for that is no reading
const follow = (box, other) => {
  if (!set.together || led.get(box) === Math.round(box.scrollTop)) return;
  const way = box.scrollHeight - box.clientHeight;
  other.scrollTop = way > 0 ? (other.scrollHeight - other.clientHeight) * box.scrollTop / way : 0;
  led.set(other, Math.round(other.scrollTop));
};

const folded = () => "folded" in part("panels").dataset;

/* Scroll the folded answers by most of their height; false where they are at their end, and the page goes on. */
const readOn = (way) => {
  if (!folded()) return false;
  const before = SIDES.map((s) => part(s).scrollTop);
  SIDES.forEach((s) => part(s).scrollBy({ top: way * part(s).clientHeight * .85 }));
  return SIDES.some((s, i) => Math.abs(part(s).scrollTop - before[i]) > 1);
};

/* -- the words that only one side has ----------------------------------------------------------------------------- */

/* The lengths of the longest common subsequences of a and every beginning of b, in linear space. */
const lengths = (a, b) => {
  let row = new Uint32Array(b.length + 1);
  for (const word of a) {
    const next = new Uint32Array(b.length + 1);
    for (let j = 0; j < b.length; j++) next[j + 1] = word === b[j] ? row[j] + 1 : Math.max(row[j + 1], next[j]);
    row = next;
  }
  return row;
};

/* Which words of a and b belong to a longest common subsequence (Hirschberg 1975), as two lists of places. */
const common = (a, b, atA = 0, atB = 0, found = [new Set(), new Set()]) => {
  const both = (i, j) => { found[0].add(atA + i); found[1].add(atB + j); };
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) { both(head, head); head++; }
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a.at(-1 - tail) === b.at(-1 - tail)) {
    tail++; both(a.length - tail, b.length - tail);
  }
  a = a.slice(head, a.length - tail); b = b.slice(head, b.length - tail); atA += head; atB += head;
  if (!a.length || !b.length) return found;
  if (a.length === 1) { if (b.includes(a[0])) { found[0].add(atA); found[1].add(atB + b.indexOf(a[0])); } return found; }
  const half = a.length >> 1;
  const above = lengths(a.slice(0, half), b), below = lengths(a.slice(half).reverse(), [...b].reverse());
  let cut = 0;
  for (let j = 1; j <= b.length; j++) if (above[j] + below[b.length - j] > above[cut] + below[b.length - cut]) cut = j;
  common(a.slice(0, half), b.slice(0, cut), atA, atB, found);
  common(a.slice(half), b.slice(cut), atA + half, atB + cut, found);
  return found;
};

/* The words of a box in reading order, each with its text node and its place there. Formulas are left alone. */
const wordsIn = (box) => {
  const found = [], walker = document.createTreeWalker(box, NodeFilter.SHOW_TEXT,
    (node) => node.parentElement.closest("math") ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    for (const hit of node.data.matchAll(/[\p{L}\p{N}\p{M}_]+(?:['\u2019][\p{L}\p{M}]+)*|[^\s\p{L}\p{N}]/gu)) {
      found.push({ node, from: hit.index, to: hit.index + hit[0].length, text: hit[0].toLowerCase() });
    }
  }
  return found;
};

/* Wrap runs of differing words of a box; spaces between two of them are marked with them. */
const wrap = (all, same) => {
  for (let i = all.length - 1; i >= 0; i--) {
    if (same.has(i)) continue;
    const last = all[i];
    while (i > 0 && !same.has(i - 1) && all[i - 1].node === last.node) i--;
    const range = document.createRange();
    range.setStart(last.node, all[i].from);
    range.setEnd(last.node, last.to);
    range.surroundContents(document.createElement("mark"));
  }
};

const markDifferences = () => {
  const [left, right] = SIDES.map((side) => wordsIn(part(side)));
  if (left.length * right.length > CELLS) { alertText(t("These answers are too long to compare word by word.")); return; }
  const same = common(left.map((w) => w.text), right.map((w) => w.text));
  wrap(left, same[0]);
  wrap(right, same[1]);
};
