// One picture on the page: what the model says of it, or what went wrong.

const FIRST = 5;  // classes that are shown before all are asked for

/** Return an element; what comes from files goes in as text alone. */
function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.filter((child) => child !== null));
  return made;
}

function percent(chance) {
  if (chance >= 0.9995) return "> 99.9 %";
  if (chance < 0.0005) return "< 0.1 %";
  return `${(100 * chance).toFixed(1)} %`;
}

/** Return what the server says in one line. */
function inWords(answer) {
  if (answer.unknown) return "none of these";
  const labels = [answer.label].flat();
  return labels.length ? labels.join(", ") : "no label";
}

class Card {
  constructor(file, name) {
    this.file = file;
    this.name = name;
    this.answered = false;
    this.heat = false;  // whether its map was asked for
    this.frame = element("div", { className: "frame" });
    this.answer = element("div");
    this.whole = element("li", { className: "card", tabIndex: -1 },
      this.frame,
      element("div", { className: "told" },
        element("div", { className: "head" },
          element("p", { className: "file soft", textContent: name }),
          element("button", {
            className: "remove", textContent: "×", title: "Remove", ariaLabel: `Remove ${name}`,
            onclick: () => this.onremove(),
          })),
        this.answer));
  }

  /** Show the picture at once, then what the server says of it. */
  async fill(heat) {
    if (!this.drawn) this.drawn = drawPicture(this.frame, this.file, this.name);
    this.wait("Looking…");
    try {
      const answer = await predicted(this.file, {
        heat, whenBusy: () => this.wait("The server is busy. Trying again…"),
      });
      this.show(answer);
      await this.drawn;
      if (answer.heat_map) await drawHeat(this.frame, answer.heat_map, this.name);
      this.heat = heat;
      return `${this.name}: ${inWords(answer)}, ${percent(answer.confidence)}`;
    } catch (error) {
      this.fail(error.message, heat);
      return `${this.name}: ${error.message}`;
    }
  }

  wait(text) {
    this.whole.ariaBusy = "true";
    if (!this.answered)  // else it waits for the map alone
      this.answer.replaceChildren(element("p", { className: "looking", textContent: text }));
  }

  fail(message, heat) {
    this.whole.ariaBusy = "false";
    this.answer.querySelector(".bad-note")?.remove();
    const note = element("p", { className: "note bad-note", textContent: message });
    if (this.answered) {  // the map alone could not be had
      this.answer.append(note);
      return;
    }
    this.answer.replaceChildren(note, element("p", { className: "ways" },
      element("button", { textContent: "Try again", onclick: () => this.onretry(heat) })));
  }

  show(answer) {
    this.whole.ariaBusy = "false";
    this.answered = true;
    const labels = [answer.label].flat();
    const told = !answer.unknown && labels.length > 0;
    const words = told ? labels : [answer.unknown ? "None of these" : "No label"];
    const title = element("h2", { className: "answer" });
    // Each by itself: one may be written from the right to the left.
    words.forEach((word, i) => title.append(i ? ", " : "", element("bdi", { textContent: word })));
    if (told) title.append(" ", element("span", {
      className: "share", textContent: percent(answer.confidence) }));
    title.classList.toggle("long", words.join().length > 40);
    const notes = [];
    if (answer.unknown) {
      notes.push(element("p", { className: "note warn-note", textContent:
        "The picture looks like none of the classes that the model knows. Nearest is "
        + `${labels.join(", ")}.` }));
    }
    if (answer.heat_map_error) {
      notes.push(element("p", { className: "note small", textContent: `No heat map. ${answer.heat_map_error}` }));
    }
    this.whole.classList.toggle("unsure", Boolean(answer.unknown));
    this.answer.replaceChildren(title, ...notes, ...this.bars(answer.top, new Set(labels)));
  }

  /** Return the bars of the most likely classes, and the button that shows all. */
  bars(top, labels) {
    const list = element("ol", { className: "bars", ariaLabel: "Probabilities" });
    const rows = (some) => some.map(({ label, probability }) => {
      const bar = element("span", { className: "bar", ariaHidden: "true" });
      bar.style.setProperty("--share", probability);
      return element("li", { className: labels.has(label) ? "chosen" : "" },
        element("span", { className: "name", textContent: label }),
        element("span", { className: "share", textContent: percent(probability) }),
        bar);
    });
    list.append(...rows(top.slice(0, FIRST)));
    if (top.length <= FIRST) return [list];
    const more = element("button", {
      className: "more", textContent: `Show all ${top.length} classes`, ariaExpanded: "false",
    });
    more.onclick = () => {
      const all = list.classList.toggle("all");
      list.tabIndex = all ? 0 : -1;  // so that keys can scroll it
      list.replaceChildren(...rows(all ? top : top.slice(0, FIRST)));
      more.ariaExpanded = String(all);
      more.textContent = all ? "Show fewer" : `Show all ${top.length} classes`;
    };
    return [list, more];
  }
}
