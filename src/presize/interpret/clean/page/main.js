// Puts the page together: filters, counts, what a decision does, and the dialogs.

import { decide, finish, load, state, undo, whenChanged } from "./board.js";
import { REASONS, cards, draw, element, said, show } from "./cards.js";
import { currentId, go, goOn, listen, shown } from "./keys.js";
import { askLabel, prepare } from "./relabel.js";

const at = (id) => document.getElementById(id);
const STATES = { all: "All", open: "Open", decided: "Decided" };
const filter = { reason: "all", state: "all", text: "" };

const act = {
  keep: (one) => settle([{ id: one.id, decision: "keep" }]),
  drop: (one) => settle([{ id: one.id, decision: "drop" }]),
  open: (one) => settle([{ id: one.id, decision: null }], { stay: true }),
  likely: (one, label) => label && settle([{ id: one.id, decision: "relabel", label }]),
  async relabel(one) {
    const label = await askLabel(one);
    if (label === null) return go(one.id);
    if (label === one.given) return act.keep(one);
    settle([{ id: one.id, decision: "relabel", label }]);
  },
  only(one) {
    if (one.group === null) return act.keep(one);
    settle(state.suspects.filter((other) => other.group === one.group).map(({ id }) => (
      { id, decision: id === one.id ? "keep" : "drop" })));
  },
};

/** Decide, go on to the next picture, and say so; what cannot be saved is told. */
function settle(changes, { stay = false } = {}) {
  const first = state.suspects[changes[0].id];
  const saved = told(decide(changes.map((change) => ({ label: "", ...change }))));
  say(`${first.name}: ${changes.length > 1 ? `${changes.length} pictures decided` : said(first)}`);
  if (!stay) goOn();
  if (at("look").open) look(state.suspects[currentId()]);
  return saved;
}

async function takeBack() {
  const ids = await told(undo());
  if (!ids?.length) return;
  if (!shown().includes(cards[ids[0]])) choose({ reason: "all", state: "all", text: "" });
  go(ids[0]);
  if (at("look").open) look(state.suspects[ids[0]]);
  say(`Undone: ${state.suspects[ids[0]].name} is ${said(state.suspects[ids[0]])}`);
}

async function told(promise) {
  try {
    const result = (await promise) ?? true;
    at("fault").hidden = true;
    return result;
  } catch (error) {
    at("fault").textContent = error.message;
    at("fault").hidden = false;
    return null;
  }
}

const say = (text) => { at("said").textContent = `${text}. ${at("count").textContent}`; };

function count() {
  const n = state.suspects.length, done = state.suspects.filter((one) => one.decision).length;
  at("bar").max = Math.max(n, 1);
  at("bar").value = done;
  at("count").textContent = `${done.toLocaleString()} of ${n.toLocaleString()} decided`;
  at("undo").disabled = !state.undo;
  for (const [name, m] of [["all", n], ["open", n - done], ["decided", done]])
    at("states").querySelector(`[data-value="${name}"] .n`).textContent = m.toLocaleString();
}

// ---- filters ---------------------------------------------------------------------------------

function choices(box, name, entries) {
  box.replaceChildren(...entries.map(([value, text, n]) => element(
    "button", { dataset: { value }, onclick: () => choose({ [name]: value }) },
    text, element("span", { className: "n", textContent: n === null ? "" : n.toLocaleString() }),
  )));
}

function fits(one) {
  if (filter.reason !== "all" && !one.reasons.includes(filter.reason)) return false;
  if (filter.state !== "all" && (filter.state === "open") !== (one.decision === null)) return false;
  const text = filter.text.toLowerCase();
  return !text || [one.name, one.given, one.label, ...one.likely.map(([label]) => label)]
    .some((part) => part.toLowerCase().includes(text));
}

/** Show what fits the filters. A card that is decided stays until they are chosen again. */
function choose(changes, { focus = false } = {}) {
  Object.assign(filter, changes);
  sessionStorage.setItem("filter", JSON.stringify(filter));
  if (at("find").value !== filter.text) at("find").value = filter.text;
  for (const name of ["reason", "state"])
    for (const button of at(`${name}s`).children)
      button.setAttribute("aria-pressed", String(button.dataset.value === filter[name]));
  // Pictures that show the same are compared: where one of them fits, all are shown.
  const groups = new Set(state.suspects.filter(fits).map((one) => one.group));
  for (const one of state.suspects)
    cards[one.id].hidden = one.group === null ? !fits(one) : !groups.has(one.group);
  for (const frame of document.querySelectorAll(".group-frame"))
    frame.hidden = !frame.querySelector(".card:not([hidden])");
  const seen = shown();
  at("empty").hidden = seen.length > 0;
  at("empty").textContent = state.suspects.length
    ? "No picture fits these filters." : "Nothing looks wrong: there is nothing to decide.";
  const next = seen.find((card) => card.dataset.decision === "open") ?? seen[0];
  if (next && !seen.includes(cards[currentId()])) go(Number(next.dataset.id), { focus });
}

// ---- dialogs ---------------------------------------------------------------------------------

function look(one) {
  const image = at("look-picture");
  image.hidden = !one.readable;
  if (one.readable) image.src = `large/${one.id}`;
  image.classList.toggle("pixels", cards[one.id].querySelector("img.pixels") !== null);
  image.alt = one.name;
  const label = one.decision === "relabel" ? `${one.given} → ${one.label}` : one.given;
  at("look-text").textContent = [one.name, label, ...one.notes, said(one)]
    .filter(Boolean).join(" · ");
  if (at("look").open) return;
  document.activeElement.blur();  // or closing would lead back to the picture that it opened with
  at("look").showModal();
}

async function done() {
  const answer = await told(finish());
  if (!answer) return;
  document.body.replaceChildren(element(
    "main", { className: "over" },
    element("h1", { textContent: "All is saved." }),
    element("p", { textContent: `${answer.summary}, in ` },
      element("code", { textContent: state.out })),
    element("p", { className: "soft", textContent: "You can close this page." }),
  ));
}

// ---- the start -------------------------------------------------------------------------------

function wire() {
  at("grid").addEventListener("click", (event) => {
    const card = event.target.closest(".card");
    if (!card) return;
    const one = state.suspects[Number(card.dataset.id)];
    const button = event.target.closest("button");
    go(one.id);
    if (button) act[button.dataset.act](one, button.dataset.label);
    else if (event.target.closest(".frame")) look(one);
  });
  at("grid").addEventListener("focusin", (event) => {
    const card = event.target.closest(".card");
    if (card && Number(card.dataset.id) !== currentId())
      go(Number(card.dataset.id), { focus: false });
  });
  at("find").addEventListener("input", () => choose({ text: at("find").value }));
  at("undo").addEventListener("click", takeBack);
  at("help").addEventListener("click", () => at("keys").showModal());
  at("done").addEventListener("click", done);
  at("look").addEventListener("close", () => cards[currentId()]?.focus());
  whenChanged((ids) => { ids.forEach(show); count(); });
  prepare();
  const numbers = Object.fromEntries([...Array(9).keys()].map((i) => [
    String(i + 1), (one) => act.likely(one, one?.likely[i]?.[0])]));
  const keys = {
    k: act.keep, d: act.drop, r: act.relabel, o: act.only, x: act.open, ...numbers,
    n: () => goOn({ openOnly: true }), Enter: look, " ": look,
  };
  // Without a picture there is nothing to decide.
  const safe = Object.fromEntries(Object.entries(keys).map(([key, call]) => [
    key, (one) => one && shown().length && call(one)]));
  listen({
    ...safe, u: takeBack, "?": () => at("keys").showModal(), "/": () => at("find").focus(),
  }, (one) => { if (at("look").open) look(one); });
}

async function start() {
  if (await told(load()) === null) return;
  if (state.title) {
    at("title").textContent = state.title;
    document.title = `Clean ${state.title}`;
  }
  at("out").textContent = state.out;
  choices(at("reasons"), "reason", [["all", "All reasons", null], ...state.reasons.map(
    ([reason, n]) => [reason, REASONS[reason] ?? reason, n])]);
  choices(at("states"), "state", Object.entries(STATES).map(([k, text]) => [k, text, 0]));
  draw(at("grid"));
  count();
  wire();
  let kept = {};
  try { kept = JSON.parse(sessionStorage.getItem("filter")) ?? {}; } catch { /* of another page */ }
  const known = kept.reason === "all" || state.reasons.some(([reason]) => reason === kept.reason);
  choose({ ...filter, ...(known ? kept : {}) });
  const first = shown().find((card) => card.dataset.decision === "open") ?? shown()[0];
  if (first) go(Number(first.dataset.id));
  document.body.dataset.ready = "yes";
}

start();
