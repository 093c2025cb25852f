// Groups of photos that show the same.

import { ask } from "../api.js";
import { h, need, picture, soon } from "../dom.js";
import { count, plural, productName, score } from "../format.js";
import { showCounts } from "./tabs.js";

const PAGE = 30;
const AGAIN_MS = 1000; // while the catalogue is still being compared

const threshold = need("#threshold");
const across = need("#across");
const groups = need("#groups");
const more = need("#more");
let asked = 0;

async function load(offset = 0) {
  const mine = ++asked;
  const query = new URLSearchParams({ threshold: threshold.value, across_products: across.checked, limit: PAGE, offset });
  try {
    const found = await ask(`/api/v1/duplicates?${query}`);
    if (mine !== asked) return;
    draw(found, offset);
    if (!found.complete) setTimeout(() => mine === asked && load(), AGAIN_MS);
  } catch (error) {
    if (mine === asked) need("#message").replaceChildren(h("div", { class: "notice bad", role: "alert" }, h("p", {}, error.message)));
  }
}

function draw(found, offset) {
  const drawn = found.groups.map(drawGroup);
  if (offset) groups.append(...drawn);
  else groups.replaceChildren(...drawn);
  more.hidden = groups.children.length >= found.total || !found.complete;
  const progress = found.complete ? "" : ` so far; compared ${count(found.compared)} of ${count(found.vectors)}`;
  need("#summary").textContent = `${plural(found.total, "group")}${progress}`;
  need("#message").replaceChildren(...(found.total || !found.complete ? [] : [h("div", { class: "blank" },
    h("h2", {}, "No near-duplicates"),
    h("p", {}, across.checked ? "No photo looks the same under two products. Untick the box to see copies within one product, or lower the similarity."
      : "No two photos look that much alike. Lower the similarity to see more."))]));
}

function drawGroup(group) {
  const same = group.kind === "same_photo";
  return h("li", { class: "group card" },
    h("h2", {}, same ? "The same file" : "Near copies",
      h("span", { class: "chip number" }, same ? "identical" : `similarity ${score(group.score)}`),
      h("span", { class: "chip" }, plural(group.size, "photo")),
      h("span", { class: "chip" }, plural(group.products, "product"))),
    h("ul", { class: "members" }, group.items.map(drawMember)),
    group.size > group.items.length ? h("p", { class: "soft" }, `and ${count(group.size - group.items.length)} more`) : null);
}

function drawMember(item) {
  const name = productName(item);
  return h("li", {},
    h("a", { class: "picture", href: `/?like=${encodeURIComponent(item.image_path)}`, "aria-label": `${name}, ${item.image_path}: search with this photo` },
      picture(item.image_url, 260, "")),
    h("p", { class: "small" }, h("strong", {}, name)),
    h("p", { class: "soft small path", title: item.image_path }, item.image_path));
}

const askSoon = soon(() => load(), 200);
threshold.addEventListener("input", () => {
  need("#threshold-value").textContent = Number(threshold.value).toFixed(3).replace(/0$/, "");
  askSoon();
});
across.addEventListener("change", () => load());
more.addEventListener("click", () => load(groups.children.length));
load();
showCounts().catch(() => {});
