"use strict";
// Asks the server that this page came from.

const TOKEN = "presize-token";
const TRIES = 4;  // of a server that is busy
const LONGEST_WAIT = 20;  // seconds between two of them

const find = (id) => document.getElementById(id);
const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));
let most = Infinity;  // bytes that the server takes; it says so
let prompted = null;  // the promise of the token that the user is asked for

/** Return the JSON that an address gives; an error has the server's own words. */
async function asked(path, options = {}, whenBusy = () => {}) {
  for (let tries = 1; ; tries++) {
    const token = sessionStorage.getItem(TOKEN);
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    let answer, told;
    try {
      answer = await fetch(path, {
        ...options, headers: { ...options.headers, ...headers }, cache: "no-store",
        redirect: "error", credentials: "same-origin",
      });
      told = await answer.json().catch(() => null);
    } catch {
      throw new Error("The server does not answer. Is it still running?");
    }
    if (answer.ok && told !== null) return told;
    if (answer.status === 401) {
      // Another request may have asked for the token meanwhile.
      if (token === sessionStorage.getItem(TOKEN)) await prompt(token !== null);
      continue;
    }
    if ((answer.status === 429 || answer.status === 503) && tries < TRIES) {
      whenBusy();
      await pause(Math.min(Number(answer.headers.get("Retry-After")) || tries, LONGEST_WAIT));
      continue;
    }
    throw new Error(told?.error?.message ?? `The server answered with the status ${answer.status}.`);
  }
}

/** Return what the model says of one picture. */
async function predicted(file, { heat, whenBusy }) {
  if (file.size > most) {
    const size = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
    throw new Error(`The picture has ${size(file.size)}, and the server takes at most `
      + `${size(most)}. Make it smaller.`);
  }
  const answer = await asked(`predict?top=0&heat_map=${heat}`, {
    method: "POST", body: file, headers: { "Content-Type": kindOf(file) },
  }, whenBusy);
  const one = answer.predictions[0];
  if (one.error) throw new Error(one.error.message);
  return one;
}

const kindOf = (file) =>
  /^image\/[\w.+-]+$/.test(file.type) ? file.type : "application/octet-stream";

/** Ask the user for a token, once for all that wait for it. */
function prompt(wasWrong) {
  prompted ??= new Promise((done, failed) => {
    const dialog = find("token"), text = find("token-text");
    find("token-why").textContent = wasWrong
      ? "The server did not take that token."
      : "Whoever started the server knows it.";
    text.value = "";
    const close = (word) => {
      dialog.onclose = null;
      dialog.close();
      prompted = null;
      if (word) {
        sessionStorage.setItem(TOKEN, word);
        done();
      } else {
        failed(new Error("The server wants a token."));
      }
    };
    // Only visible ASCII can stand in a header, and so in a token.
    dialog.querySelector("form").onsubmit = (event) => {
      event.preventDefault();
      close(text.value.replace(/[^\x21-\x7e]/g, "") || "-");
    };
    find("token-cancel").onclick = () => close("");
    dialog.onclose = () => close("");
    dialog.showModal();
  });
  return prompted;
}
