// Score the pairs of a CSV file, as many in a request as the service takes.

import { post, send } from "../api.js";
import { bar, h, need } from "../dom.js";
import { bytes, plural, score } from "../format.js";
import { dataUri } from "../search/ask.js";
import { parseCsv, toCsv } from "./csv.js";

const HEADER = /^(reference|candidate|generated|image|file|path|url|left|right|a|b|first|second)([ _]?(image|file|path|url|\d))?$/i;
const MOST_ROWS = 10_000;

const limits = {
  pairs: Number(document.body.dataset.maxPairs),
  bytes: 0.9 * Number(document.body.dataset.maxBodyBytes),
};
const pictures = new Map(); // name -> chosen file
let rows = []; // of the CSV, as text
let results = [];
let running = 0;

export function watchPairs() {
  need("#csv").addEventListener("change", async ({ target }) => {
    const file = target.files[0];
    target.value = "";
    if (file) await open(file);
  });
  need("#pictures").addEventListener("change", ({ target }) => {
    for (const file of target.files) pictures.set(file.name, file);
    target.value = "";
    if (rows.length) run();
    else need("#pairs-summary").textContent = `${plural(pictures.size, "picture")} chosen. Choose the CSV file that names them.`;
  });
  need("#save").addEventListener("click", save);
}

async function open(file) {
  if (file.size > 20_000_000) return fail(`${file.name} has ${bytes(file.size)}, too much for a list of pairs.`);
  rows = parseCsv(await file.text());
  if (rows.length && rows[0].slice(0, 2).every((name) => HEADER.test(name))) rows.shift();
  const wrong = rows.findIndex((row) => row.length < 2 || !row[0] || !row[1]);
  if (!rows.length || wrong >= 0) {
    const why = rows.length ? `Row ${wrong + 1} does not have two columns.` : "It holds no rows.";
    rows = [];
    return fail(`${file.name} is not a list of pairs. ${why}`);
  }
  if (rows.length > MOST_ROWS) return fail(`${file.name} has ${plural(rows.length, "row")}; at most ${plural(MOST_ROWS, "row")} can be scored here.`);
  return run();
}

function fail(message) {
  need("#pairs-message").replaceChildren(h("div", { class: "notice bad", role: "alert" }, h("p", {}, message)));
}

async function run() {
  const mine = ++running;
  results = rows.map(() => null);
  need("#pairs-message").replaceChildren();
  need("#pairs-region").hidden = false;
  need("#save").hidden = true;
  need("#scores").replaceChildren();
  try {
    for (let start = 0; start < rows.length && mine === running;) start = await scoreFrom(start);
  } catch (error) {
    if (mine === running) fail(error.message);
    return;
  }
  if (mine !== running) return;
  need("#save").hidden = false;
  const failed = results.filter((result) => result?.error).length;
  need("#pairs-summary").textContent = `${plural(rows.length, "pair")} scored${failed ? `, ${failed} of them could not be` : ""}.`;
}

/** Score as many pairs as fit one request; gives the row to go on with. */
async function scoreFrom(start) {
  const pairs = [];
  const asked = [];
  let size = 0;
  let next = start;
  while (next < rows.length && pairs.length < limits.pairs && size < limits.bytes) {
    const index = next;
    try {
      const [reference, candidate] = await Promise.all(rows[index].slice(0, 2).map(content));
      if (size && size + reference.length + candidate.length > limits.bytes) break;
      size += reference.length + candidate.length;
      pairs.push({ reference_image: reference, generated_image: candidate, pair_id: String(index) });
      asked.push(index);
    } catch (error) {
      if (error.code === "unreachable") throw error;
      results[index] = { error: { detail: error.message } };
    }
    next += 1;
  }
  if (pairs.length) {
    const { scores } = await post("/similarity", { pairs });
    scores.forEach((result, i) => { results[asked[i]] = result; });
  }
  for (let index = start; index < next; index += 1) need("#scores").append(drawRow(index));
  need("#pairs-summary").textContent = `${next} of ${plural(rows.length, "pair")}…`;
  return next;
}

/** What the service takes for a name: an address as it is, else the picture itself. */
async function content(name) {
  if (/^(https?:\/\/|data:)/i.test(name)) return name;
  const file = pictures.get(name) ?? pictures.get(name.split("/").pop());
  if (file) return dataUri(file);
  try {
    return await dataUri(await (await send(imageOf(name))).blob());
  } catch (error) {
    if (error.code !== "image_not_found") throw error;
    throw new Error(`${name} is neither a chosen picture nor in the catalogue.`);
  }
}

const imageOf = (path) => `/api/v1/images/${path.split("/").map(encodeURIComponent).join("/")}`;

function drawRow(index) {
  const [reference, candidate] = rows[index];
  const { similarity, distance, error } = results[index];
  const cells = error
    ? [h("td", { colspan: 3 }, h("span", { class: "state failed" }, "no score"), ` ${error.detail}`)]
    : [h("td", { class: "number" }, h("strong", {}, score(1 - distance))), h("td", {}, bar(1 - distance)),
      h("td", { class: "number", title: `1 / (1 + distance) = ${similarity.toFixed(4)}` }, distance.toFixed(4))];
  return h("tr", {}, h("td", { class: "number" }, index + 1), member(reference), member(candidate), cells);
}

function member(name) {
  const file = pictures.get(name) ?? pictures.get(name.split("/").pop());
  const source = file ? URL.createObjectURL(file) : /^(https?:|data:)/i.test(name) ? null : `${imageOf(name)}?size=96`;
  const image = source && h("img", { src: source, alt: "", loading: "lazy" });
  image?.addEventListener("error", () => image.remove());
  return h("td", {}, h("div", { class: "member" }, image, h("span", {}, name.length > 120 ? `${name.slice(0, 120)}…` : name)));
}

function save() {
  const table = rows.map((row, i) => {
    const { distance, similarity, error } = results[i];
    return [row[0], row[1], error ? "" : 1 - distance, distance, similarity, error?.detail];
  });
  const text = toCsv([["reference", "candidate", "cosine", "distance", "similarity", "error"], ...table]);
  const link = h("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv" })), download: "pairs-scored.csv" });
  link.click();
  URL.revokeObjectURL(link.href);
}
