/* What stands in place of a ballot: consent, the comprehension check, the end, what was chosen, withdrawing. */
const setState = (state) => { root.dataset.state = state; part("screen").hidden = state !== "screen"; };

/* A screen of its own: a sign, a title, words (HTML), and the parts of it that `shown` names. */
const screen = (sign, title, html, shown = {}) => {
  part("mark").textContent = sign;
  part("title").textContent = title;
  part("words").innerHTML = html;
  part("screen").classList.toggle("tb-consent", "agree" in shown);
  for (const name of ["again", "agree", "reveal"]) doing(name).forEach((b) => { b.hidden = !(name in shown); });
  doing("agree").forEach((b) => { b.dataset.version = shown.agree ?? ""; });
  for (const name of ["quiz", "code-box", "finish", "results", "live-end", "reveal-note", "revealed"]) part(name).hidden = true;
  setState("screen");
  refreshUndo();
  part("screen").focus({ preventScroll: true });
  window.scrollTo(0, 0);
};

/* The last ballot at hand is voted on, and the server gives no other yet: the page goes on by itself once it does. */
const held_up = () => screen("\u2026", t("The next ballot has to wait"), paragraph([
  outbox.length ? t("Your unsent votes are kept and go out by themselves.") : t("Every vote you gave is saved."),
  t("Leave this page open; it goes on as soon as the server answers.")].join(" ")));

const stopped = (answer) => {
  const why = answer.body.error;
  if (why === "consent_required") screen("\u270e", t("Before you begin"), answer.body.html, { agree: answer.body.version });
  else if (why === "quiz_required") quiz(answer.body);
  else if (answer.status === 401) {
    if (outbox.length) mark("idle", "");
    screen("?", t("You are not signed in here"), paragraph([t("Open your personal link again in this browser."),
      outbox.length ? t("Your unsent votes are kept and go out then.") : t("Every vote you gave is saved.")].join(" ")));
  } else screen("!", t("You cannot rate here right now"), paragraph(explain(answer)), { again: true });
};

/* -- the comprehension check -------------------------------------------------------------------------------------- */

const legendOf = (question, again) => {
  const legend = made("legend", question);
  if (again) legend.append(" ", made("em", t("Look again")));
  return legend;
};

const quiz = async ({ questions, tries_left: left }, wrong = []) => {
  const { html } = await guidelines("");
  screen("\u2713", t("A short check"), html || "");
  part("screen").classList.toggle("tb-consent", Boolean(html));
  if (html) noteRead(html);
  const lead = made("p", wrong.length
    ? t("Not quite. Look at the marked questions again. Tries left: {n}.", { n: left })
    : t("It makes sure that the guidelines are clear. Tries left: {n}.", { n: left }), "tb-lead");
  const form = part("quiz"), send = made("button", t("Check my answers"), "tb-main"), note = made("p", "", "tb-small");
  note.setAttribute("role", "alert");
  form.hidden = false;
  form.replaceChildren(lead, ...questions.map((q, i) => {
    const box = document.createElement("fieldset");
    if (wrong.includes(i)) box.dataset.wrong = "";
    box.append(legendOf(q.question, wrong.includes(i)), ...q.answers.map((answer, j) => {
      const label = document.createElement("label"), input = document.createElement("input");
      Object.assign(input, { type: "radio", name: `question-${i}`, value: j, required: true });
      label.append(input, made("span", answer));
      return label;
    }));
    return box;
  }), note, send);
  form.onsubmit = async (event) => {
    event.preventDefault();
    const given = questions.map((_, i) => form.querySelector(`[name=question-${i}]:checked`)?.value);
    if (given.includes(undefined)) { note.textContent = t("Answer every question first."); return; }
    send.disabled = true;
    try {
      const said = await call("quiz", { answers: given.map(Number) });
      if (said.passed || said.tries_left === 0) { setState("loading"); top_up(); }
      else quiz({ questions, tries_left: said.tries_left }, said.wrong);
    } catch (answer) { if (!(answer instanceof Answer)) throw answer; stopped(answer); }
  };
};

/* -- the end ------------------------------------------------------------------------------------------------------ */

const finishWords = (url) => {
  if (/prolific/i.test(url.hostname)) return t("Return to Prolific");
  return /mturk/i.test(url.hostname) ? t("Return to MTurk") : t("Go on");
};

const overTitle = () => {
  if (/has paused/.test(end.message)) return t("This session is paused");
  if (/not begun/.test(end.message)) return t("Not yet");
  return /is closed|is over/.test(end.message) ? t("This session is over") : t("All done");
};

const over = async () => {
  const message = told(end.message);
  screen("\u2713", overTitle(), paragraph(message), { again: true });
  if (end.code) {
    part("code-box").hidden = false;
    part("code").textContent = end.code;
  }
  const { finish_url: address, reveal, withdraw, results, live } = await guidelines("");
  doing("leave").forEach((b) => { b.hidden = !withdraw; });
  if (root.dataset.state !== "screen" || !end) return;
  if (address && URL.canParse(address) && /^https?:$/.test(new URL(address).protocol)) {
    Object.assign(part("finish"), { hidden: false, href: address, rel: "noreferrer", textContent: finishWords(new URL(address)),
      target: window.top === window ? "_self" : "_blank" });   // few sites open in a frame
  }
  part("results").hidden = !results;
  part("live-end").hidden = !live;
  if (reveal === "end" && progress?.done) {
    doing("reveal").forEach((b) => { b.hidden = false; });
    part("reveal-note").hidden = false;
  }
};

const reveal = async () => {
  try {
    const { votes } = await call("reveal");
    remember(null);
    doing("reveal").forEach((b) => { b.hidden = true; });
    part("reveal-note").hidden = true;
    const table = document.createElement("table"), body = document.createElement("tbody");
    const row = (cell, ...texts) => { const tr = document.createElement("tr"); tr.append(...texts.map((x) => made(cell, x))); return tr; };
    const head = document.createElement("thead");
    head.append(row("th", t("Prompt"), t("You chose"), t("Left"), t("Right")));
    body.append(...votes.map((v) => row("td", v.prompt, CHOICES[v.choice], told(v.left), told(v.right))));
    table.append(made("caption", t("What you chose")), head, body);
    part("revealed").replaceChildren(table);
    part("revealed").hidden = false;
    part("revealed").tabIndex = 0;
  } catch (answer) {
    if (!(answer instanceof Answer)) throw answer;
    part("words").innerHTML = paragraph(explain(answer));
  }
};

const copyCode = async () => {
  const range = document.createRange();
  range.selectNodeContents(part("code"));
  getSelection().removeAllRanges();
  getSelection().addRange(range);
  const copied = await navigator.clipboard?.writeText(end.code).then(() => true, () => false);
  const button = doing("copy")[0];
  button.textContent = copied ? t("Copied") : t("Selected: copy it with Ctrl+C");
};

const forget = async () => {
  part("leave").close();
  try {
    await call("forget", {});
    for (const name of [OUTBOX, DRAFT, PACE]) keep(name, null);
    remember(null);
    outbox = []; queue = []; end = null;
    screen("\u2713", t("You have withdrawn"), paragraph(t("What could identify you is gone, and your votes count nowhere. Thank you for your time; you can close this page.")));
  } catch (answer) {
    if (!(answer instanceof Answer)) throw answer;
    alertText(answer.transient ? t("That did not work right now. Try again.") : explain(answer));
  }
};
