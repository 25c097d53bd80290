// What is known of the suspects, and what is told to the program that serves this page.

export const state = { suspects: [], undo: 0, vocab: [], several: false };
const listeners = [];
let queue = Promise.resolve();

/** Call `listener` with the numbers of the suspects whose decision has changed. */
export const whenChanged = (listener) => listeners.push(listener);

export async function load() {
  Object.assign(state, await asked("state"));
}

/**
 * Decide about pictures: at once on the page, and then in the program. What it refuses is taken
 * back. `changes` are of {id, decision, label}; those sent first are answered first.
 */
export function decide(changes) {
  const before = changes.map(({ id }) => {
    const { decision, label } = state.suspects[id];
    return { id, decision, label };
  });
  take(changes);
  return inTurn(async () => {
    try {
      receive(await asked("decide", { changes }));
    } catch (error) {
      take(before);
      throw error;
    }
  });
}

/** Take the last change back; returns the numbers of the suspects that it was about. */
export function undo() {
  return inTurn(async () => receive(await asked("undo", {})));
}

export const finish = () => inTurn(() => asked("done", {}));

function inTurn(work) {
  const result = queue.then(work);
  queue = result.catch(() => {});
  return result;
}

function receive(answer) {
  state.undo = answer.undo;
  take(answer.changes);
  return answer.changes.map((change) => change.id);
}

function take(changes) {
  for (const { id, decision, label } of changes)
    Object.assign(state.suspects[id], { decision, label: label ?? "" });
  for (const listener of listeners) listener(changes.map((change) => change.id));
}

async function asked(path, told) {
  const options = told === undefined ? {} : {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(told),
  };
  const saved = told === undefined ? "" : "Not saved: ";
  let answer;
  try {
    answer = await (await fetch(path, options)).json();
  } catch {
    throw new Error(`${saved}The program that serves this page no longer answers. What was decided `
      + "before is safe. Start it again, and open the new address.");
  }
  if (answer.error) throw new Error(`${saved}${answer.error}`);
  return answer;
}
