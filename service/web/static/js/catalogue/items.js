// Browse the photos of the catalogue, and try those again that failed.

import { ask, post } from "../api.js";
import { h, need, picture, soon } from "../dom.js";
import { ago, bytes, plural, productName, traits } from "../format.js";
import { isUseful } from "../search/narrow.js";
import { follow } from "../runs.js";
import { showCounts } from "./tabs.js";

const PAGE = 60;

const section = need("#items");
const state = section.dataset.state;
const list = need("#list");
const more = need("#more");
const retryAll = need("#retry-all");
const text = need("#text");
const address = new URL(location.href);
let total = 0;
let asked = 0; // the request that may draw

text.value = address.searchParams.get("text") ?? "";

function queryOf(offset) {
  const query = new URLSearchParams({ limit: PAGE, offset });
  if (state) query.set("state", state);
  if (text.value.trim()) query.set("text", text.value.trim());
  for (const choice of document.querySelectorAll("#choices select")) {
    if (choice.value) query.append("filter", `${choice.name}:${choice.value}`);
  }
  return query;
}

async function load(offset = 0) {
  const mine = ++asked;
  try {
    const found = await ask(`/api/v1/items?${queryOf(offset)}`);
    if (mine !== asked) return;
    total = found.total;
    const drawn = found.items.map(state === "failed" || state === "missing" ? drawRow : drawTile);
    if (offset) list.append(...drawn);
    else list.replaceChildren(...drawn);
    more.hidden = list.children.length >= total;
    retryAll.hidden = state !== "failed" || total === 0;
    need("#summary").textContent = plural(total, "photo");
    need("#blank").replaceChildren(...(total ? [] : [emptyNotice()]));
  } catch (error) {
    if (mine === asked) say(h("div", { class: "notice bad", role: "alert" }, h("p", {}, error.message), h("button", { type: "button", onclick: () => (say(), load()) }, "Try again")));
  }
}

function emptyNotice() {
  const narrowed = queryOf(0).has("text") || queryOf(0).has("filter");
  const [title, detail] = narrowed ? ["Nothing found", "No photo fits this. Try another word, or fewer filters."]
    : state === "failed" ? ["Nothing has failed", "Every photo of the folder could be read."]
      : state === "missing" ? ["Nothing is missing", "Every photo the catalogue knows is still in the folder."]
        : ["The catalogue is empty", "Put photos into the image folder, then start a run on the operations page."];
  return h("div", { class: "blank" }, h("h2", {}, title), h("p", {}, detail));
}

function drawTile(item) {
  const name = productName(item);
  return h("li", { class: "card" },
    h("a", { class: "picture", href: item.image_url, target: "_blank", rel: "noopener", "aria-label": `${name}: open the picture` },
      unseen(item) ? h("span", { class: "gone" }, unseen(item)) : picture(item.image_url, 320, "")),
    h("h3", {}, name),
    h("p", { class: "soft small path", title: item.path }, item.path),
    h("ul", { class: "chips" }, traits(item.attributes).slice(0, 3).map(([key, value]) => h("li", { class: "chip", title: key }, value))),
    h("div", { class: "row between" },
      item.state === "indexed"
        ? h("a", { href: `/?like=${encodeURIComponent(item.path)}`, class: "small", "aria-label": `More like ${name}` }, "More like this")
        : h("span", { class: `state ${item.state}` }, item.state)));
}

/** Why there is no picture to show; empty where there is one. */
function unseen(item) {
  if (item.state === "missing") return "The file is gone";
  return item.state === "failed" && !item.stale ? "Could not be read" : "";
}

function drawRow(item) {
  const row = h("li", { class: "card" }, h("div", {},
    h("h3", {}, item.path),
    item.reason ? h("p", {}, item.reason) : null,
    h("p", { class: "soft small" }, state === "missing" ? `gone since ${ago(item.updated_at)}` : `${bytes(item.size_bytes)}, failed ${ago(item.updated_at)}`,
      item.stale ? "; found by its earlier content meanwhile" : "")));
  if (item.state === "failed") {
    row.append(h("button", { type: "button", "aria-label": `Try ${item.path} again`, onclick: (event) => retry([item.path], event.target) }, "Try again"));
  }
  return row;
}

async function retry(paths, button) {
  button.disabled = true;
  say(h("div", { class: "notice" }, h("p", {}, "Trying again…")));
  try {
    const run = await post("/api/v1/items/retry", paths ? { paths } : {});
    const ended = await follow(run.id, (now) => {
      say(h("div", { class: "notice" }, h("p", {}, now.state === "queued" ? "Waiting for the ingester…" : `Trying again: ${plural(now.settled, "photo")} done`)));
    });
    say(resultNotice(ended, paths));
    await Promise.all([load(), showCounts()]);
  } catch (error) {
    const text = error.code === "run_in_progress" ? "A run is going on. These photos are tried again by the next one." : error.message;
    say(h("div", { class: `notice ${error.code === "run_in_progress" ? "warn" : "bad"}`, role: "alert" }, h("p", {}, text)));
  } finally {
    button.disabled = false;
  }
}

function resultNotice(run, paths) {
  if (run.state !== "succeeded") {
    return h("div", { class: "notice bad", role: "alert" }, h("p", {}, `The run ${run.state}: ${run.message ?? "see the log"}`));
  }
  const left = run.failed_images;
  const what = paths ? "It was tried again." : "They were tried again.";
  return h("div", { class: `notice ${left ? "warn" : "good"}`, role: "status" },
    h("p", {}, left ? `${what} ${plural(left, "photo")} still cannot be used.` : `${what} Nothing is failed any more.`));
}

function say(...what) {
  need("#message").replaceChildren(...what);
}

async function drawChoices() {
  const { facets } = await ask("/api/v1/items?limit=1&facets=true");
  const useful = Object.entries(facets ?? {}).filter(([key, values]) => isUseful(key, values)).slice(0, 4);
  need("#choices").replaceChildren(...useful.map(([key, values]) => {
    const name = key.replaceAll("_", " ");
    return h("select", { name: key, "aria-label": name, onchange: () => load() },
      h("option", { value: "" }, `any ${name}`), values.map(({ value }) => h("option", { value }, value)));
  }));
}

need("form.controls").addEventListener("submit", (event) => event.preventDefault());
text.addEventListener("input", soon(() => load(), 250));
more.addEventListener("click", () => load(list.children.length));
retryAll.addEventListener("click", () => retry(null, retryAll));
load();
showCounts().catch(() => {});
drawChoices().catch(() => {});
