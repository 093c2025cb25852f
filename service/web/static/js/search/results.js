// The grid of what was found.

import { bar, h, picture } from "../dom.js";
import { productName, score, traits } from "../format.js";

const CHIPS = 4;

/** Draw the matches; `alike` is called with the match whose like is wanted. */
export function drawMatches(place, matches, alike) {
  place.replaceChildren(...matches.map((match) => drawMatch(match, alike)));
}

function drawMatch(match, alike) {
  const name = productName(match);
  const value = match.similarity_score;
  return h("li", { class: "match card" },
    h("a", { class: "frame", href: match.image_url, target: "_blank", rel: "noopener", "aria-label": `${name}: open the picture` },
      picture(match.image_url, 400, "")),
    h("div", { class: "score", role: "img", "aria-label": `Similarity ${score(value)}` }, bar(value), h("span", { class: "number", "aria-hidden": "true" }, score(value))),
    h("h3", {}, name),
    h("p", { class: "soft small path", title: match.image_path }, match.image_path),
    h("ul", { class: "chips" },
      match.at_ms == null ? null : h("li", { class: "chip" }, `at ${clock(match.at_ms)}`),
      match.stale ? h("li", { class: "chip", title: "The file was edited, but its new content could not be used." }, "older photo") : null,
      traits(match.attributes).slice(0, CHIPS).map(([key, text]) => h("li", { class: "chip", title: key }, text))),
    h("button", { type: "button", class: "alike", onclick: () => alike(match) }, "More like this",
      h("span", { class: "unseen" }, ` (${name})`)));
}

function clock(ms) {
  const seconds = Math.floor(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** Say in words what the picture shows. */
export function drawDescription(place, description) {
  place.hidden = !description;
  if (!description) return;
  const rows = [
    ["Category", (description.category ?? []).slice(0, 1).map((trait) => trait.value)],
    ["Colours", (description.colours ?? []).slice(0, 3).map((colour) => colour.name ?? colour.value)],
    ["Tags", [...new Set((description.tags ?? []).map((tag) => tag.value))].slice(0, 5)],
  ].filter(([, values]) => values.length);
  place.hidden = !rows.length;
  place.replaceChildren(...rows.flatMap(([name, values]) => [
    h("dt", {}, name), h("dd", {}, values.map((value) => h("span", { class: "chip" }, value)))]));
}
