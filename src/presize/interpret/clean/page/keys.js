// The keyboard: which card is the current one, and what the keys do to it.

import { state } from "./board.js";
import { cards } from "./cards.js";

let current = 0;

export const currentId = () => current;
const visible = (card) => !card.hidden && !card.closest(".group-frame[hidden]");
export const shown = () => cards.filter(visible);

/** Make a card the current one: the only one that Tab reaches, with its buttons. */
export function go(id, { focus = true } = {}) {
  reachable(cards[current], -1);
  current = id;
  const card = cards[id];
  reachable(card, 0);
  if (focus) card.focus({ preventScroll: true });
  card.scrollIntoView({ block: "nearest" });
  // Cards that were out of sight have their real height only when they have been drawn.
  requestAnimationFrame(() => {
    if (current === id) card.scrollIntoView({ block: "nearest" });
  });
}

function reachable(card, tabIndex) {
  if (!card) return;
  card.tabIndex = tabIndex;
  for (const button of card.querySelectorAll("button")) button.tabIndex = tabIndex;
}

/** Go to the next card that is shown and open; without one, to the next; returns if it moved. */
export function goOn({ openOnly = false } = {}) {
  const after = cards.slice(current + 1).filter(visible);
  const next = after.find((card) => card.dataset.decision === "open")
    ?? (openOnly ? shown().find((card) => card.dataset.decision === "open") : after[0]);
  if (next) go(Number(next.dataset.id));
  return Boolean(next);
}

function step(by) {
  const all = shown(), place = all.indexOf(cards[current]);
  const next = place < 0 ? all[0] : all[place + by];
  if (next) go(Number(next.dataset.id));
}

/** Go to the card above or below: in the nearest row, the one whose middle is nearest. */
function stepRow(by) {
  const all = shown(), place = all.indexOf(cards[current]);
  if (place < 0) return step(1);
  const here = cards[current].getBoundingClientRect();
  let best = null, row = null;
  for (let i = place + by; i >= 0 && i < all.length; i += by) {
    const box = all[i].getBoundingClientRect();
    if (by > 0 ? box.top < here.top + here.height / 2 : box.bottom > here.bottom - here.height / 2)
      continue;
    row ??= box;
    if (by > 0 ? box.top > row.top + row.height / 2 : box.bottom < row.bottom - row.height / 2)
      break;
    const far = Math.abs(box.left + box.width / 2 - here.left - here.width / 2);
    if (best === null || far < best.far) best = { far, card: all[i] };
  }
  if (best) go(Number(best.card.dataset.id));
}

const MOVES = {
  ArrowLeft: () => step(-1), ArrowRight: () => step(1),
  ArrowUp: () => stepRow(-1), ArrowDown: () => stepRow(1),
  Home: () => { const first = shown()[0]; if (first) go(Number(first.dataset.id)); },
  End: () => { const last = shown().at(-1); if (last) go(Number(last.dataset.id)); },
};

/** Listen to keys: moves are made here, and then `moved` is called; `acts` are called by key. */
export function listen(acts, moved) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (document.querySelector("#relabel[open], #keys[open]")) return;
    const field = event.target.closest("input, select, textarea");
    if (field) {
      if (event.key === "Escape" || event.key === "Enter" || event.key === "ArrowDown") {
        field.blur();
        step(0);
        event.preventDefault();
      }
      return;
    }
    const button = event.target.closest("button");
    if (button && (event.key === "Enter" || event.key === " ")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const act = MOVES[key] ?? acts[key];
    if (!act || (event.repeat && !MOVES[key])) return;
    event.preventDefault();
    act(state.suspects[current]);
    if (MOVES[key]) moved(state.suspects[current]);
  });
}
