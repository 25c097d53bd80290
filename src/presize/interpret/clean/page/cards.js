// The cards of the grid: made once, changed as decisions change.

import { state } from "./board.js";

export const cards = [];
const WORDS = { keep: "Keep", relabel: "Relabel", drop: "Drop" };
export const REASONS = {
  unreadable: "Unreadable", duplicate: "Duplicates", "one colour": "One colour",
  "label error": "Wrong label", "top loss": "Large loss",
};

/** Return an element; names of files come in as text alone. */
export function element(tag, properties = {}, ...children) {
  const { dataset, ...others } = properties;
  const made = Object.assign(document.createElement(tag), others);
  Object.assign(made.dataset, dataset ?? {});
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** Fill the grid: a card for each suspect, those that show the same in one box. */
export function draw(grid) {
  const whole = document.createDocumentFragment();
  let box = null, group = null;
  for (const one of state.suspects) {
    const card = cardOf(one);
    cards.push(card);
    if (one.group === null) {
      whole.append(card);
      continue;
    }
    if (one.group !== group || box === null) {
      group = one.group;
      const title = element("p", { className: "group-title" });
      box = element("ul", { className: "group" });
      whole.append(element("li", { className: "group-frame" }, title, box));
    }
    box.append(card);
  }
  grid.replaceChildren(whole);
  for (const frame of grid.querySelectorAll(".group-frame")) name(frame);
  cards.forEach((_, id) => show(id));
}

function name(frame) {
  const n = frame.querySelectorAll(".card").length;
  const title = n === 1 ? "The other copies are not listed" : `${n} pictures that show the same`;
  frame.querySelector(".group-title").append(title);
  frame.querySelector(".group").ariaLabel = title;
  frame.style.setProperty("--members", Math.min(n, 4));
}

function cardOf(one) {
  const picture = element("div", { className: "frame", title: "Look at the whole picture" });
  if (one.readable) {
    const image = element("img", { loading: "lazy", decoding: "async", alt: "", draggable: false });
    image.src = `small/${one.id}`;
    // Of a digit of 28 x 28 every pixel counts.
    image.onload = () => image.classList.toggle("pixels", image.naturalWidth <= 64);
    picture.append(image);
  } else {
    picture.append(element("span", { className: "broken", textContent: "no picture" }));
  }
  picture.append(element("span", { className: "badge", ariaHidden: "true" }));
  const likely = one.likely.slice(0, 9).map(([label, chance], i) => element(
    "button",
    { className: "likely", tabIndex: -1, dataset: { label, act: "likely" },
      title: `Relabel as ${label}` },
    element("kbd", { textContent: i + 1 }),
    element("span", { className: "label", textContent: label }),
    chance === null ? null : element("span", { className: "soft", textContent: percent(chance) }),
  ));
  const parts = one.name.split("/");
  return element(
    "li", { className: "card", tabIndex: -1, dataset: { id: one.id } },
    picture,
    element("div", { className: "labels" },
      element("span", { className: "given", textContent: one.given || "no label" }),
      element("span", { className: "new" }),
      one.split ? element("span", { className: "split soft", textContent: one.split }) : null),
    ...one.notes.map((note, i) => element("p", { className: "note" },
      element("span", { className: `dot ${one.reasons[i].replace(" ", "-")}` }), note)),
    element("p", { className: "name soft", title: one.name,
      textContent: (parts.length > 2 ? "…/" : "") + parts.slice(-2).join("/") }),
    element("div", { className: "likelies" }, ...likely),
    element("div", { className: "acts" }, ...Object.keys(WORDS).map((act) => element(
      "button", { className: act, tabIndex: -1, dataset: { act }, textContent: WORDS[act] }))),
  );
}

export const percent = (chance) => `${Math.round(chance * 100)} %`;

/** Show on a card what is decided. */
export function show(id) {
  const one = state.suspects[id], card = cards[id], { decision, label } = one;
  card.dataset.decision = decision ?? "open";
  card.querySelector(".new").textContent = decision === "relabel" ? label : "";
  card.querySelector(".badge").textContent = decision ?? "";
  for (const act of Object.keys(WORDS))
    card.querySelector(`.acts .${act}`).setAttribute("aria-pressed", String(decision === act));
  card.setAttribute("aria-label", [
    one.name, one.given ? `labelled ${one.given}` : "without a label", ...one.notes, said(one),
  ].join(". "));
}

/** Return a decision in words. */
export function said({ decision, label }) {
  if (decision === "relabel") return `Relabelled as ${label}`;
  return { keep: "Kept", drop: "Dropped" }[decision] ?? "Open";
}
