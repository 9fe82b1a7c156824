/* One ballot at a time. Votes go into an outbox that survives a reload and is sent in order, each under a key of its
   own, until the server has answered; so a lost answer is asked for again and never counted twice. */
const AHEAD = 2, SETTLE_MS = 250, RETRY_MS = [500, 1000, 2000, 4000, 8000, 15000], PACE_KEPT = 30, LONGEST_MS = 600_000;

let queue = [];           // ballots held, the first one is on the screen
let outbox = recall(OUTBOX, []);
let done = new Set();     // assignments voted on in this tab: not shown again while their answer is on the way
let end = null, progress = null, shownAt = 0, busy = false, sending = false, tries = 0, timer = 0, undoing = 0;
let last = recall(LAST, null, TAB);   // the vote that can be taken back: its assignment and details
let practised = 0, waitsFor = null;              // of the practice: votes given, the one whose feedback is awaited
const guides = new Map(); // what /api/guidelines said, by the campaign the ballots came under

const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (x) => x.toString(16).padStart(2, "0")).join("");
const keepOutbox = () => keep(OUTBOX, outbox);
const guideOf = (ballot) => guides.get(ballot?.under) || { ask: NOTHING };
const spent = () => Math.min(LONGEST_MS, draft.spent + Math.round(performance.now() - shownAt));

/* -- what is on the screen ------------------------------------------------------------------------------------ */

const show = () => {
  closeDrawer();
  part("feedback").hidden = true;
  waitsFor = null;
  if (queue.length === 0) {
    if (end) over();
    else if (hooks.idle) hooks.idle();
    else { setState("loading"); top_up(); }
    return;
  }
  const ballot = queue[0], guide = guideOf(ballot);
  const kept = recall(DRAFT, null);
  draft = kept?.assignment === ballot.assignment ? { ...blank(), ...kept } : blank();
  setState("rating");
  drawGuide(guide);
  drawTexts(ballot);
  drawDrawer(ballot, guide.ask);
  root.dataset.assignment = ballot.assignment;
  refreshUndo();
  window.scrollTo(0, 0);
  shownAt = performance.now();
  if (draft.choice && asked(draft.choice, ballot, guide.ask).length) openDrawer(asked(draft.choice, ballot, guide.ask));
  else say(progress?.target ? t("Ballot {n} of {total}", { n: given() + 1, total: inAll() }) : t("Next ballot"));
};

/* Guidelines are shown once, open; whether these were is told by their length and beginning. */
const readId = (html) => `${html.length}:${html.slice(0, 200)}`;
const noteRead = (html) => keep(READ, [...recall(READ, []).filter((id) => id !== readId(html)), readId(html)].slice(-20));

const drawGuide = (guide) => {
  const html = guide.html || "", id = readId(html);
  if (part("guide-text").dataset.id !== id) {
    part("guide-text").innerHTML = html;
    part("guide-text").dataset.id = id;
    const first = Boolean(html) && !recall(READ, []).includes(id);
    part("guide").open = first;
    part("guide").toggleAttribute("data-first", first);   // opened by itself: the first vote closes it
    if (html) noteRead(html);
  }
  part("guide").hidden = !guide.html;
  part("live-link").hidden = !guide.live || SOURCE === "live";
  part("note").hidden = !guide.note;
  part("note").textContent = told(guide.note);
  part("practice").hidden = !guide.practice;
  if (guide.practice) {
    part("practice").textContent = t("Practice {n} of {total}: these do not count. You will see what most readers chose.",
      { n: Math.min(guide.practice.number + practised, guide.practice.of), total: guide.practice.of });
  }
  doing("leave").forEach((b) => { b.hidden = !guide.withdraw; });
};

const given = () => Math.min(progress.done + outbox.filter((o) => !o.practice).length, Math.max(progress.done, progress.target));

/* The server's target, and never less than what is given and at hand. */
const inAll = () => Math.max(progress.target, given() + (guideOf(queue[0]).practice ? 0 : queue.filter((b) => !done.has(b.assignment)).length));

const refreshProgress = () => {
  if (!progress) return;
  const n = given(), total = inAll();
  part("count").textContent = total ? t("{n} of {total}", { n, total }) : "";
  part("track").setAttribute("aria-valuemax", total);
  part("track").setAttribute("aria-valuenow", n);
  part("fill").style.width = total ? `${100 * n / total}%` : "0";
  part("time").textContent = [timeLeft(total - n), openUntil()].filter(Boolean).join(", ");
};

/* What is left at this rater's own pace (the median of their last votes), and when the session ends. */
const timeLeft = (ballots) => {
  const pace = recall(PACE, []).toSorted((a, b) => a - b);
  if (pace.length < 3 || ballots < 1) return "";
  return t("about {n} min left", { n: Math.ceil(ballots * pace[pace.length >> 1] / 60_000) });
};

const openUntil = () => {
  const { ends_at: at } = guideOf(queue[0]);
  if (!at) return "";
  const ends = new Date(at), near = ends - Date.now() < 20 * 3600_000;
  return t("open until {time}", { time: ends.toLocaleString(language, near ? { timeStyle: "short" } : { dateStyle: "medium" }) });
};

const shut = () => /paused|closed/.test(end.message);

const refreshUndo = () => doing("undo").forEach((b) => {
  b.disabled = !last && !outbox.length;
  if (b.closest(".tb-screen-buttons")) b.hidden = !last || !end || shut();
});

/* -- ballots in ----------------------------------------------------------------------------------------------- */

/* What the rater should know about the ballots that came under this campaign; asked once for each. */
const guidelines = async (assignment) => {
  try {
    const said = await call(`guidelines${assignment ? `?assignment=${encodeURIComponent(assignment)}` : ""}`);
    return { ...said, ask: { ...NOTHING, ...said.ask } };
  } catch (answer) {
    if (!(answer instanceof Answer) || (answer.transient && assignment)) throw answer;
    return { ask: NOTHING };
  }
};

let fetching = null;
const top_up = (n = AHEAD) => {
  fetching ??= (async () => {
    try {
      const said = await call(`${SOURCE}?n=${n + outbox.length}`);
      hooks.heard?.(said);
      if (said.ballots.length && !guides.has(said.under)) {
        guides.set(said.under, await guidelines(said.ballots[0].assignment));
        practised = 0;
      }
      progress = said.progress;
      end = said.end || null;
      const held = new Set(queue.map((b) => b.assignment));
      queue.push(...said.ballots.filter((b) => !held.has(b.assignment) && !done.has(b.assignment))
        .map((b) => ({ ...b, under: said.under })));
      tries = outbox.length ? tries : 0;
      refreshProgress();
      if (root.dataset.state !== "rating" && (queue.length || end || hooks.idle)) show();
      if (outbox.length === 0 && ["wait", "late"].includes(part("saved").dataset.kind)) mark("idle", "");
    } catch (answer) {
      if (!(answer instanceof Answer)) throw answer;
      if (!answer.transient) stopped(answer);
      else if (queue.length === 0) {
        if (!outbox.length) mark("late", answer.status ? explain(answer) : t("No connection, trying again"));
        if (root.dataset.state === "loading") held_up();
        setTimeout(() => top_up(), RETRY_MS[Math.min(tries++, RETRY_MS.length - 1)]);
      }
    } finally { fetching = null; }
  })();
  return fetching;
};

const fill_up = () => {
  if (!outbox.length && !end && queue.filter((b) => !done.has(b.assignment)).length < AHEAD) top_up();
};

/* -- votes out ------------------------------------------------------------------------------------------------ */

/* A choice was pressed: it goes out at once, or first opens the drawer; the same again sends. */
const choose = (choice) => {
  const ballot = queue[0];
  if (!ballot || root.dataset.state !== "rating" || busy || performance.now() - shownAt < SETTLE_MS) return;
  const again = drawerOpen() && draft.choice === choice;
  draft.choice = choice;
  const asks = asked(choice, ballot, guideOf(ballot).ask);
  if (again || !asks.length) { vote(); return; }
  keepDraft();
  openDrawer(asks);
};

const vote = () => {
  const ballot = queue[0], { choice } = draft, { ask, practice } = guideOf(ballot);
  if (busy || !choice || root.dataset.state !== "rating") return;
  const elapsed = spent(), details = detailsOf(asked(choice, ballot, ask));
  outbox.push({ body: { assignment: ballot.assignment, choice, key: newKey(), elapsed_ms: elapsed, ...details }, practice: Boolean(practice) });
  keepOutbox();
  keep(DRAFT, null);
  keep(PACE, [...recall(PACE, []), elapsed].slice(-PACE_KEPT));
  done.add(ballot.assignment);
  busy = true;
  closeDrawer();
  root.querySelector(`[data-choice="${choice}"]`)?.classList.add("tb-pressed");
  root.querySelectorAll(".tb-panel").forEach((p) => p.classList.toggle("tb-picked", p.dataset.side === choice));
  alertText("");
  mark("wait", t("Saving"));
  refreshProgress();
  if ("first" in part("guide").dataset) { part("guide").open = false; delete part("guide").dataset.first; }
  if (practice) waitsFor = ballot.assignment;
  else setTimeout(goOn, 140);
  send();
};

const goOn = () => {
  busy = false;
  queue.shift();
  if (root.dataset.state !== "rating") return;   // the server said meanwhile that there is no going on
  show();
  fill_up();
};

/* After a practice ballot: what most readers chose, with the two answers still there to compare. */
const feedback = ({ matched, expected }) => {
  const side = SIDE[expected];
  practised++;
  part("feedback-text").textContent = matched
    ? t("Well read: most readers would pick {side} here, as you did.", { side })
    : t("Most readers would pick {side} here. Look at both once more, then go on.", { side });
  root.querySelectorAll(".tb-panel").forEach((p) => p.classList.toggle("tb-picked", p.dataset.side === expected));
  part("feedback").hidden = false;
  part("feedback-text").focus({ preventScroll: true });
  requestAnimationFrame(() => root.querySelector(`[data-side="${expected}"]`).scrollIntoView({ block: "nearest" }));
};

const send = async () => {
  if (sending) return;
  sending = true;
  clearTimeout(timer);
  while (outbox.length) {
    const { body } = outbox[0];
    let practice = null, refused = false;
    try {
      const said = await call("vote", body);
      progress = said.progress;
      practice = said.practice;
      remember(practice || said.reveal ? null : body);
      if (said.reveal) alertText(t("Last ballot: left was {left}, right was {right}.", { left: told(said.reveal.left), right: told(said.reveal.right) }));
    } catch (answer) {
      if (!(answer instanceof Answer)) throw answer;
      if (answer.transient) { later(answer); break; }
      if (answer.status === 401) { stopped(answer); break; }
      refused = true;
      if (!answer.body.stored) done.delete(body.assignment);
      alertText(answer.body.stored
        ? t("Saved before as: {choice}. That vote stands.", { choice: CHOICES[answer.body.stored.choice] })
        : explain(answer));
    }
    outbox.shift();
    keepOutbox();
    tries = 0;
    if (!outbox.length) mark(refused ? "idle" : "ok", refused ? "" : t("Saved"));
    refreshProgress();
    if (waitsFor === body.assignment) { if (practice) feedback(practice); else goOn(); }
  }
  sending = false;
  fill_up();
};

const later = (answer) => {
  const n = outbox.length;
  const waits = n === 1 ? t("1 vote not saved yet, trying again") : t("{n} votes not saved yet, trying again", { n });
  mark("late", [503, 507].includes(answer.status) && answer.body.error ? `${waits} (${told(answer.body.error)})` : waits);
  timer = setTimeout(() => { sending = false; send(); }, RETRY_MS[Math.min(tries++, RETRY_MS.length - 1)]);
};

const remember = (body) => {
  last = body;
  keep(LAST, last, TAB);
  refreshUndo();
};

/* What was filled in for the vote that is taken back, ready in the drawer of the ballot that replaces it. */
const restored = (assignment, body) => ({
  ...blank(), assignment, strength: body.strength || null, acceptable: body.acceptable || {}, criteria: body.criteria || {},
  tags: { left: [], right: [], ...body.tags }, texts: { comment: body.comment || "", better: body.better || "" },
});

const undo = async () => {
  if (sending && tries === 0 || busy) { clearTimeout(undoing); undoing = setTimeout(undo, 60); return; }
  if (outbox.length) { alertText(t("Your last vote is not saved yet; it can be taken back once it is.")); return; }
  if (!last) return;
  busy = true;
  try {
    const body = last, said = await call("undo", { assignment: body.assignment });
    progress = said.progress;
    await fetching;
    await top_up(5);
    const at = queue.findIndex((b) => b.assignment === said.assignment);
    if (at > 0) queue.unshift(...queue.splice(at, 1));
    keep(DRAFT, restored(said.assignment, body));
    remember(null);
    busy = false;
    refreshProgress();
    show();
    mark("ok", t("Vote taken back"));
    alertText("");
  } catch (answer) {
    if (!(answer instanceof Answer)) throw answer;
    busy = false;
    if (answer.status === 409) remember(null);
    alertText(answer.transient ? t("The vote could not be taken back right now. Try again.") : explain(answer));
    refreshUndo();
  }
};
