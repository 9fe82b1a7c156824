/* A live session: what the rater writes, the wait for both answers, and the way on. Voting is the rating page's. */
const POLL_MS = 1000, WRITTEN = "tastebench-live-text";
let live = null, fresh = false, poll = 0, sendingMessage = false;

const writing = part("live-text");
const goesOn = () => !fresh && live?.talk.length > 0;
const lookLater = (ms = POLL_MS) => { clearTimeout(poll); poll = setTimeout(() => top_up(), ms); };

hooks.heard = (said) => {
  live = said.live;
  if (live.state === "ballot") fresh = false;
};

hooks.idle = () => {
  clearTimeout(poll);
  if (!live || live.state === "ballot") { setState("loading"); lookLater(300); return; }   // its vote is on the way
  const before = root.dataset.state, waits = live.state !== "open" && live.state !== "over";
  setState(waits ? "waiting" : "composing");
  drawTalk(waits);
  drawWait(waits);
  part("live-form").hidden = waits || live.state === "over";
  part("live-lead").hidden = goesOn() || live.state === "over";
  part("live-label").textContent = goesOn() ? t("Your next message") : t("Your message");
  part("live-note").textContent = told(live.note);
  part("live-note").hidden = waits || !live.note;
  doing("liveFresh").forEach((b) => { b.hidden = !goesOn(); });
  refreshUndo();
  if (before !== root.dataset.state) {
    window.scrollTo(0, 0);
    if (waits) part("live-wait-text").focus({ preventScroll: true });
    else if (live.state === "open") writing.focus({ preventScroll: true });
  }
  if (live.state === "writing") lookLater();
};

const drawTalk = (waits) => {
  const talk = waits || goesOn() ? live.talk : [];
  part("live-talk").hidden = !talk.length;
  part("live-talk").replaceChildren(...talk.map((m, i) => turn(m, waits && i === talk.length - 1, talk.length === 1)));
};

/* The same words whichever side is late or failed: nothing here depends on which one it is. */
const drawWait = (waits) => {
  const failed = live.state === "failed";
  part("live-wait").hidden = !waits;
  part("live-dots").hidden = failed;
  part("live-wait-text").textContent = failed ? t("The answers did not come this time. What you wrote is kept.")
    : t("Two models are writing. You see both answers at the same moment.");
  for (const name of ["liveAgain", "liveBack"]) doing(name).forEach((b) => { b.hidden = !failed; });
};

const tell = (text) => { part("live-note").textContent = text; part("live-note").hidden = !text; };

/* Something asked of the server that changes where the rater stands. */
const act = async (path, body = {}) => {
  try { await call(path, body); return true; }
  catch (answer) {
    if (!(answer instanceof Answer)) throw answer;
    if (answer.status === 401) stopped(answer);
    else tell(answer.transient && !([503, 507].includes(answer.status) && answer.body.error) ? t("That did not work right now. Try again.") : explain(answer));
    return false;
  } finally { await fetching; }
};

const sendMessage = async () => {
  const message = writing.value.trim();
  if (sendingMessage || root.dataset.state !== "composing") return;
  if (!message) { tell(t("Write something first.")); writing.focus(); return; }
  sendingMessage = true;
  alertText("");
  if (await act("live", { message, after: goesOn() })) {
    writing.value = "";
    keep(WRITTEN, null);
    remember(null);
    fresh = false;
    await top_up();
  }
  sendingMessage = false;
};

Object.assign(actions, {
  liveAgain: async () => { if (await act("live/again")) { live.state = "writing"; hooks.idle(); } },
  liveBack: async () => {
    const last = live.talk.at(-1)?.content || "";
    if (!await act("live/back")) return;
    await top_up();
    writing.value = writing.value || last;
  },
  liveFresh: () => { fresh = true; hooks.idle(); writing.focus(); },
});

part("live-form").addEventListener("submit", (event) => { event.preventDefault(); sendMessage(); });
writing.addEventListener("input", () => keep(WRITTEN, writing.value || null));
writing.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  sendMessage();
});
writing.value = recall(WRITTEN, "");
document.title = document.title.replace("Live", t("Your own prompt"));
