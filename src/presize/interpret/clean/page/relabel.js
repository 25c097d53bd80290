// The dialog in which a label is typed: the labels that fit are listed, the likely ones first.

import { state } from "./board.js";
import { element, percent } from "./cards.js";

const at = (id) => document.getElementById(id);
const MOST = 60;
let one = null, chosen = 0, options = [], resolve = null;

/** Ask for a label; returns it, or null if the user thinks better of it. */
export function askLabel(suspect) {
  one = suspect;
  at("relabel-what").textContent = suspect.given ? `Now: ${suspect.given}` : "It has no label.";
  const image = at("relabel-picture");
  image.hidden = !suspect.readable;
  if (suspect.readable) image.src = `small/${suspect.id}`;
  image.onload = () => image.classList.toggle("pixels", image.naturalWidth <= 64);
  const text = at("relabel-text");
  text.value = suspect.decision === "relabel" ? suspect.label : state.several ? suspect.given : "";
  at("relabel-hint").textContent = state.several
    ? "Several labels have ; between them. Enter takes the one that is marked."
    : "Enter takes the label that is marked.";
  at("relabel-list").scrollTop = 0;
  list();
  at("relabel").showModal();
  text.focus();
  text.select();
  return new Promise((done) => { resolve = done; });
}

/** Return what is being typed: of several labels the last. */
function typed() {
  const text = at("relabel-text").value;
  return (state.several ? text.slice(text.lastIndexOf(";") + 1) : text).trim();
}

function list() {
  const text = typed(), low = text.toLowerCase();
  const likely = new Map(one.likely);
  const known = [...new Set([...likely.keys(), ...state.vocab])];
  const fits = known.filter((label) => label.toLowerCase().includes(low));
  // Those that begin with it come first; the likely ones first among equals.
  const begins = (label) => label.toLowerCase().startsWith(low) || low === "";
  options = [...fits.filter(begins), ...fits.filter((label) => !begins(label))];
  options = options.filter((label) => state.several || label !== one.given).slice(0, MOST)
    .map((label) => ({ label, chance: likely.get(label) ?? null, isNew: false }));
  if (text && !state.vocab.includes(text) && !known.includes(text))
    options.push({ label: text, chance: null, isNew: true });
  const exact = options.findIndex((option) => option.label === text && !option.isNew);
  chosen = Math.max(0, exact);
  at("relabel-list").replaceChildren(...options.map((option, i) => element(
    "li", { role: "option", id: `option-${i}`, dataset: { i } },
    option.isNew ? element("span", { className: "soft", textContent: "New label " }) : null,
    element("span", { textContent: option.label }),
    option.chance === null ? null
      : element("span", { className: "soft chance", textContent: percent(option.chance) }),
  )));
  mark();
}

function mark() {
  const items = [...at("relabel-list").children];
  items.forEach((item, i) => item.setAttribute("aria-selected", String(i === chosen)));
  at("relabel-text").setAttribute("aria-activedescendant", items.length ? `option-${chosen}` : "");
  items[chosen]?.scrollIntoView({ block: "nearest" });
  at("relabel-save").disabled = !state.several && !options.length;
}

function close(label) {
  at("relabel").close();
  resolve?.(label);
  resolve = null;
}

/** Take the marked label; of several it becomes the last, and another may follow. */
function take() {
  const option = options[chosen];
  if (!option) return;
  if (!state.several) return close(option.label);
  const text = at("relabel-text");
  const before = text.value.slice(0, text.value.lastIndexOf(";") + 1);
  text.value = `${before ? `${before.trim()} ` : ""}${option.label}; `;
  list();
}

function save() {
  if (!state.several) return take();
  const parts = at("relabel-text").value.split(";").map((part) => part.trim()).filter(Boolean);
  if (parts.length) close([...new Set(parts)].join(";"));
}

export function prepare() {
  at("relabel-text").addEventListener("input", list);
  at("relabel-text").addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && options.length) {
      chosen = (chosen + step + options.length) % options.length;
      mark();
      event.preventDefault();
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (state.several && (event.ctrlKey || !typed())) save();
      else take();
    }
  });
  at("relabel-list").addEventListener("click", (event) => {
    const item = event.target.closest("[role=option]");
    if (!item) return;
    chosen = Number(item.dataset.i);
    take();
    at("relabel-text").focus();
  });
  at("relabel").querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    save();
  });
  at("relabel-cancel").addEventListener("click", () => close(null));
  // The event comes some time after the dialog has closed, when it may have been opened again.
  at("relabel").addEventListener("close", () => {
    if (at("relabel").open) return;
    resolve?.(null);
    resolve = null;
  });
}
