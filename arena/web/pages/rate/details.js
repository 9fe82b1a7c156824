/* What may come with a choice. Pressing a choice opens this drawer only where the campaign asks for something that
   suits the choice; what is filled in survives a reload. */
const NOTHING = { strength: false, acceptable: false, comment: false, better: false, tags: [] };
const CHOICES = {
  left: t("Left is better"), right: t("Right is better"), tie: t("Tie"), both_good: t("Both good"),
  both_bad: t("Both bad"), skip: t("Skip"),
};
const SIDE = { left: t("Left"), tie: t("Tie"), right: t("Right") };
const blank = () => ({ choice: null, strength: null, acceptable: {}, criteria: {}, tags: { left: [], right: [] }, skip: [], report: [], texts: {}, spent: 0 });
let draft = blank();

/* What is asked beside this choice, in the drawer's order. */
const asked = (choice, ballot, ask) => {
  if (choice === "skip") return ["skip"];
  return [
    SIDES.includes(choice) && ask.strength && "strength", ask.acceptable && "acceptable",
    ballot.criteria.length && "criteria", ask.tags.length && "tags", ask.comment && "comment", ask.better && "better",
  ].filter(Boolean);
};

const filled = (object) => Object.keys(object).length > 0;

/* The fields of a vote that hold something, as far as they are asked beside the choice. */
const detailsOf = (asks) => {
  const body = {}, has = (name) => asks.includes(name), text = (name) => (draft.texts[name] || "").trim();
  if (has("strength") && draft.strength) body.strength = draft.strength;
  if (has("acceptable") && filled(draft.acceptable)) body.acceptable = draft.acceptable;
  if (has("criteria") && filled(draft.criteria)) body.criteria = draft.criteria;
  if (has("tags")) for (const side of SIDES) if (draft.tags[side].length) (body.tags ??= {})[side] = draft.tags[side];
  for (const name of ["comment", "better"]) if (has(name) && text(name)) body[name] = text(name);
  if (has("skip")) {
    const reported = draft.report.length > 0, more = text("more") ? [text("more")] : [];
    const reason = reported ? draft.skip : [...draft.skip, ...more];
    if (reported) body.report = [...draft.report, ...more].join("; ");
    if (reason.length) body.reason = reason.join("; ");
  }
  return body;
};

const keepDraft = () => keep(DRAFT, { ...draft, assignment: queue[0].assignment, spent: spent() });
const toggled = (list, value) => list.includes(value) ? list.filter((v) => v !== value) : [...list, value];

const chip = (label, name, value) => {
  const button = made("button", label);
  button.type = "button";
  button.dataset[name] = value;
  return button;
};

const drawCriteria = (names) => part("criteria").replaceChildren(...names.map((name) => {
  const box = document.createElement("fieldset");
  box.className = "tb-criterion";
  box.append(made("legend", name), ...["left", "tie", "right"].map((side) => {
    const button = chip(SIDE[side], "criterion", side);
    button.dataset.name = name;
    return button;
  }));
  return box;
}));

const drawDrawer = (ballot, ask) => {
  drawCriteria(ballot.criteria);
  for (const side of SIDES) {
    part(`tags-${side}`).replaceChildren(...ask.tags.map((tag) => {
      const button = chip(tag, "tag", tag);
      button.dataset.side = side;
      return button;
    }));
  }
  root.querySelectorAll("[data-text]").forEach((area) => { area.value = draft.texts[area.dataset.text] || ""; });
  showPicked();
};

const showPicked = () => {
  const on = (name, test) => root.querySelectorAll(`.tb-drawer [data-${name}]`).forEach((b) => press(b, test(b.dataset)));
  on("strength", (d) => draft.strength === d.strength);
  on("accept", (d) => draft.acceptable[d.accept] === (d.value === "yes"));
  on("criterion", (d) => draft.criteria[d.name] === d.criterion);
  on("tag", (d) => draft.tags[d.side].includes(d.tag));
  on("skip", (d) => draft.skip.includes(d.skip));
  on("report", (d) => draft.report.includes(d.report));
};

const pickers = {
  strength: (d) => { draft.strength = draft.strength === d.strength ? null : d.strength; },
  accept: (d) => {
    const value = d.value === "yes";
    if (draft.acceptable[d.accept] === value) delete draft.acceptable[d.accept]; else draft.acceptable[d.accept] = value;
  },
  criterion: (d) => { if (draft.criteria[d.name] === d.criterion) delete draft.criteria[d.name]; else draft.criteria[d.name] = d.criterion; },
  tag: (d) => { draft.tags[d.side] = toggled(draft.tags[d.side], d.tag); },
  skip: (d) => { draft.skip = draft.skip.includes(d.skip) ? [] : [d.skip]; },
  report: (d) => { draft.report = toggled(draft.report, d.report); },
};

const pickDetail = (button) => {
  for (const [name, picked] of Object.entries(pickers)) {
    if (name in button.dataset) { picked(button.dataset); showPicked(); keepDraft(); return true; }
  }
  return false;
};

const drawerOpen = () => !part("drawer").hidden;

const openDrawer = (asks) => {
  root.querySelectorAll("[data-ask]").forEach((box) => { box.hidden = !asks.includes(box.dataset.ask); });
  part("chosen").textContent = draft.choice === "skip" ? t("Skip this ballot: say why if you like, then send.")
    : t("{choice}: add what you like, then send.", { choice: CHOICES[draft.choice] });
  part("drawer").hidden = false;
  part("drawer").scrollTop = 0;
  root.querySelectorAll("[data-choice]").forEach((b) => b.classList.toggle("tb-pressed", b.dataset.choice === draft.choice));
  root.querySelectorAll(".tb-panel").forEach((p) => p.classList.toggle("tb-picked", p.dataset.side === draft.choice));
  part("chosen").focus({ preventScroll: true });   // Enter sends, Tab goes on into the drawer
};

const closeDrawer = () => {
  part("drawer").hidden = true;
  root.querySelectorAll(".tb-pressed, .tb-picked").forEach((b) => b.classList.remove("tb-pressed", "tb-picked"));
};
