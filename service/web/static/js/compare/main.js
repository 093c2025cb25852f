// Two pictures, their score and the map of their differences; and pairs from a CSV file.

import { ask, mayPass } from "../api.js";
import { bar, h, need } from "../dom.js";
import { score } from "../format.js";
import { showPreview } from "../preview.js";
import { check } from "../search/intake.js";
import { watchPairs } from "./pairs.js";

const mostBytes = Number(document.body.dataset.maxUploadBytes);
const chosen = { 1: null, 2: null };
let running = null;

function take(slot, file) {
  need("#message").replaceChildren();
  try {
    check(file, mostBytes);
  } catch (error) {
    return fail(error);
  }
  chosen[slot] = file;
  const section = need(`[data-slot="${slot}"]`);
  const image = need("img", section);
  showPreview(image, file, () => image.removeAttribute("src"));
  image.hidden = false;
  need(".hint", section).hidden = true;
  need(".drop", section).classList.add("full");
  need(".name", section).textContent = file.name;
  return chosen[1] && chosen[2] ? compare() : undefined;
}

async function compare() {
  running?.abort();
  const mine = running = new AbortController();
  const outcome = need("#outcome");
  outcome.replaceChildren(h("p", { class: "soft" }, "Comparing…"));
  const body = new FormData();
  body.append("file1", chosen[1]);
  body.append("file2", chosen[2]);
  try {
    const found = await ask("/compute", { method: "POST", body, signal: mine.signal });
    const value = found.similarity_score;
    outcome.replaceChildren(
      h("p", { class: "soft" }, "Similarity"), h("p", { class: "verdict number" }, score(value)), bar(value),
      h("p", { class: "soft small number" }, `distance ${(1 - value).toFixed(4)}`));
    need("#map").src = found.visualization;
    need("#map").hidden = need("#legend").hidden = false;
  } catch (error) {
    if (error.name === "AbortError") return;
    outcome.replaceChildren(h("p", { class: "soft" }, "No score."));
    need("#map").hidden = need("#legend").hidden = true;
    fail(error, compare);
  }
}

function fail(error, again = null) {
  need("#message").replaceChildren(h("div", { class: "notice bad", role: "alert" }, h("p", {}, error.message),
    again && mayPass(error) ? h("button", { type: "button", onclick: () => { need("#message").replaceChildren(); again(); } }, "Try again") : null));
}

for (const slot of [1, 2]) {
  const section = need(`[data-slot="${slot}"]`);
  const drop = need(".drop", section);
  const input = need("input", section);
  drop.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    if (input.files[0]) take(slot, input.files[0]);
    input.value = "";
  });
  drop.addEventListener("dragover", () => drop.classList.add("over"));
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    drop.classList.remove("over");
    if (event.dataTransfer.files[0]) take(slot, event.dataTransfer.files[0]);
  });
}
// A file dropped beside a slot must not replace the page.
for (const kind of ["dragover", "drop"]) document.addEventListener(kind, (event) => event.preventDefault());
document.addEventListener("paste", (event) => {
  const file = event.clipboardData.files[0];
  if (file) take(chosen[1] ? 2 : 1, file);
});
for (const button of document.querySelectorAll("[data-opens]")) {
  button.addEventListener("click", () => need(button.dataset.opens).click());
}
watchPairs();
