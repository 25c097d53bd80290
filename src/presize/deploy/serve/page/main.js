// Takes pictures that are dropped, pasted or chosen, and asks about a few at a time.

const AT_ONCE = 3;
const MOST = 200;  // pictures at once; more of them are for the command line
const cards = new Set();
const waiting = [];
let running = 0;
let known = false;  // whether the page tells of the model

function fault(message) {
  find("fault").textContent = message;
  find("fault").hidden = !message;
}

function take(files) {
  fault("");
  const some = [...files].slice(0, MOST);
  if (files.length > MOST) {
    fault(`The first ${MOST} of ${files.length} pictures are shown. For many: presize predict.`);
  }
  for (const file of some) {
    const card = new Card(file, file.name || "pasted picture");
    card.onremove = () => remove(card);
    card.onretry = (heat) => enqueue(card, heat);
    cards.add(card);
    find("results").prepend(card.whole);
    enqueue(card, find("looks").checked);
  }
  changed();
}

function enqueue(card, heat) {
  if (waiting.some((one) => one.card === card)) return;
  waiting.push({ card, heat });
  card.wait("Waiting…");
  next();
}

async function next() {
  if (running >= AT_ONCE || !waiting.length) return;
  const { card, heat } = waiting.shift();
  running++;
  try {
    if (!cards.has(card)) return;
    find("said").textContent = await card.fill(heat);
    if (!known && card.answered) await learnOfModel();
  } finally {
    running--;
    next();
  }
}

function remove(card) {
  const near = card.whole.nextElementSibling ?? card.whole.previousElementSibling;
  cards.delete(card);
  card.whole.remove();
  changed();
  (near ?? find("files")).focus();
}

function changed() {
  document.body.classList.toggle("some", cards.size > 0);
  find("tools").hidden = !cards.size;
}

find("clear").onclick = () => {
  waiting.length = 0;
  for (const card of [...cards]) remove(card);
  find("files").focus();
};
for (const id of ["files", "camera"]) {
  find(id).onchange = (event) => {
    take([...event.target.files]);
    event.target.value = "";  // so that the same file can be chosen again
  };
}

find("looks").onchange = ({ target }) => {
  find("results").classList.toggle("cool", !target.checked);
  find("strength").disabled = !target.checked;
  if (!target.checked) return;
  for (const card of cards) if (card.answered && !card.heat) enqueue(card, true);
};
find("strength").oninput = ({ target }) =>
  find("results").style.setProperty("--strength", target.value / 100);

document.addEventListener("paste", (event) => {
  if (event.target.closest?.("dialog")) return;
  const files = [...event.clipboardData.files];
  if (files.length) take(files);
  else fault("What was pasted is no picture. Copy the picture itself, not its address.");
});
// The whole window takes what is dropped: beside the frame, the browser would leave the page.
let depth = 0;
const over = (on) => document.body.classList.toggle("over", on);
addEventListener("dragenter", (event) => { event.preventDefault(); over(++depth > 0); });
addEventListener("dragleave", () => over(--depth > 0));
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  over(Boolean(depth = 0));
  if (event.dataTransfer.files.length) take(event.dataTransfer.files);
  else fault("What was dropped is no picture file. Save the picture first, and drop the file.");
});

const number = (value) => Number(value).toLocaleString("en");
const figure = (value) => typeof value === "number" ? String(Number(value.toPrecision(4))) : value;

/** Show what the server tells of its model. */
function about(model) {
  most = model.limits?.max_body ?? most;
  document.title = `${model.name} · presize`;
  find("about").textContent = `Answers by the model ${model.name}, which knows `
    + (model.n_classes === 1 ? "one class." : `${number(model.n_classes)} classes.`);
  const facts = [["Task", model.task]], training = model.training;
  if (training?.source) facts.push(["Trained on", training.source]);
  if (training?.train) facts.push(["Training pictures", number(training.train)]);
  const metrics = Object.entries(training?.metrics ?? {}).filter(
    ([name, value]) => value !== null && !/loss$/.test(name));
  for (const [name, value] of metrics.slice(0, 4))
    facts.push([name.replaceAll("_", " "), figure(value)]);
  facts.push(["Probabilities", model.calibrated ? "calibrated" : "not calibrated"]);
  if (model.can_tell_unknown) facts.push(["Strange pictures", "are told as none of these"]);
  find("facts").replaceChildren(...facts.map(([name, value]) => element("div", {},
    element("dt", { textContent: name }), element("dd", { textContent: value }))));
  find("classes").hidden = false;
  find("classes").querySelector("summary").textContent =
    `All ${number(model.n_classes)} classes`;
  find("classes").querySelector("ul").replaceChildren(
    ...model.classes.map((name) => element("li", { textContent: name })));
}

/** Ask what the model is; once more after the first answer, if there was no token before. */
async function learnOfModel() {
  try {
    about(await asked("model"));
    known = true;
    fault("");
  } catch (error) {
    fault(error.message);
  }
}
learnOfModel().finally(() => document.body.dataset.ready = "");
