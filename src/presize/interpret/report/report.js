"use strict";
// Sorts tables by their heads, finds rows, marks the section that is read.

function valueOf(row, column) {
  const text = row.cells[column].dataset.value;
  if (text === undefined) return null;
  if (!row.cells[column].classList.contains("number")) return text;
  return Number(text.replace("inf", "Infinity"));  // as Python writes it
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return (a > b) - (a < b);
  return String(a).localeCompare(String(b), undefined, { numeric: true });
}

function sortBy(table, column, direction) {
  const rows = [...table.tBodies[0].rows].map((row, place) => [valueOf(row, column), place, row]);
  rows.sort((one, other) => {
    if (one[0] === null || other[0] === null) {  // what is not known comes last, either way
      return (one[0] === null) - (other[0] === null) || one[1] - other[1];
    }
    return direction * compare(one[0], other[0]) || one[1] - other[1];
  });
  table.tBodies[0].append(...rows.map((found) => found[2]));
}

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const number = head.classList.contains("number");
    const before = head.getAttribute("aria-sort");
    const first = number ? "descending" : "ascending";
    const other = number ? "ascending" : "descending";
    const chosen = before === first ? other : first;
    heads.forEach((one) => one.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", chosen);
    sortBy(table, column, chosen === "ascending" ? 1 : -1);
  }));
}

for (const input of document.querySelectorAll("input[data-filters]")) {
  const table = document.getElementById(input.dataset.filters);
  const count = document.querySelector(`[data-count="${input.dataset.filters}"]`);
  input.addEventListener("input", () => {
    const wanted = input.value.trim().toLowerCase();
    let found = 0;
    for (const row of table.tBodies[0].rows) {
      const name = row.cells[0].querySelector("[title]")?.title ?? row.cells[0].textContent;
      row.hidden = !name.toLowerCase().includes(wanted);
      found += !row.hidden;
    }
    count.textContent = wanted ? `${found} of ${table.tBodies[0].rows.length}` : "";
  });
}

for (const button of document.querySelectorAll("button[data-percent]")) {
  const table = document.getElementById(button.dataset.percent);
  button.addEventListener("click", () => {
    const on = table.classList.toggle("shares");
    button.setAttribute("aria-pressed", String(on));
  });
}

const links = new Map(
  [...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]),
);
const seen = new Set();
const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (entry.isIntersecting) seen.add(entry.target.id);
    else seen.delete(entry.target.id);
  }
  const current = [...links.keys()].find((key) => seen.has(key));
  for (const [key, link] of links) {
    if (key === current) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}, { rootMargin: "-15% 0px -55% 0px" });
for (const key of links.keys()) watcher.observe(document.getElementById(key));
