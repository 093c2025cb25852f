// What the search page shows: the picture searched with, the results, and every other state.

import { mayPass } from "../api.js";
import { h, need, sized } from "../dom.js";
import { count, plural, productName } from "../format.js";
import { showPreview } from "../preview.js";
import { drawFacets } from "./facets.js";
import { drawDescription, drawMatches } from "./results.js";

export class Screen {
  #watched = {};
  #shown = null; // the picture on screen: its bytes, or its address
  #parts = Object.fromEntries(
    ["start", "found", "source", "preview", "crop", "crop-start", "crop-clear", "no-preview", "source-name",
      "description", "summary", "threshold", "threshold-value", "facets", "matches", "message", "grouped",
      "copy", "clear", "hint", "narrowing"]
      .map((id) => [id, document.getElementById(id)]),
  );

  /** Tell what the person does: each function of `watched` is called with what was chosen. */
  watch(watched) {
    const parts = this.#parts;
    this.#watched = watched;
    parts.narrowing.open = matchMedia("(min-width: 861px)").matches; // on a phone results come first
    parts.threshold.addEventListener("input", () => watched.threshold(Number(parts.threshold.value)));
    parts.grouped.addEventListener("change", () => watched.grouped(parts.grouped.checked));
    parts["crop-start"].addEventListener("click", () => watched.cropStart());
    parts["crop-clear"].addEventListener("click", () => watched.cropClear());
    parts.clear.addEventListener("click", () => watched.clear());
    parts.copy.addEventListener("click", () => this.#copy());
    for (const form of document.querySelectorAll("form[data-text]")) {
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        watched.text(new FormData(form).get("text").trim());
      });
    }
    for (const starter of document.querySelectorAll("[data-like]")) {
      starter.addEventListener("click", () => watched.alike({ image_path: starter.dataset.like, image_url: starter.dataset.url }));
    }
  }

  start() {
    this.#parts.found.hidden = true;
    this.#parts.start.hidden = false;
    for (const form of document.querySelectorAll("form[data-text], form[data-url]")) form.reset();
    need("#start-message").replaceChildren();
    document.title = "Search · Lookalike";
  }

  /** Show what is searched with. */
  showSource(search) {
    const parts = this.#parts;
    const { source } = search;
    parts.start.hidden = true;
    parts.found.hidden = false;
    parts.source.hidden = !source;
    parts.grouped.checked = search.grouped;
    for (const form of document.querySelectorAll("form[data-text]")) form.elements.text.value = search.text;
    if (!source) return;
    parts["source-name"].textContent = source.kind === "url" ? source.url : source.name;
    parts["crop-clear"].hidden = !search.crop;
    parts["crop-start"].hidden = Boolean(search.crop);
    const shown = source.blob ?? source.image;
    if (!shown || shown === this.#shown) return;
    this.#shown = shown;
    parts.crop.hidden = parts.hint.hidden = false;
    parts["no-preview"].hidden = true;
    if (source.blob) return showPreview(parts.preview, source.blob, () => this.#noPreview());
    parts.preview.onerror = () => this.#noPreview();
    parts.preview.src = sized(shown, 800);
  }

  #noPreview() {
    this.#parts.crop.hidden = true;
    this.#parts["crop-start"].hidden = this.#parts.hint.hidden = true;
    this.#parts["no-preview"].hidden = false;
  }

  busy(again) {
    this.#parts.found.setAttribute("aria-busy", "true");
    this.#parts.summary.textContent = "Searching…";
    if (again) return;
    this.#parts.matches.replaceChildren();
    this.#parts.description.hidden = true;
    this.#parts.description.replaceChildren();
    this.#say(h("div", { class: "blank" }, h("div", { class: "spinner" }), "Looking through the catalogue…"));
  }

  draw({ search, answer, matches, facets, threshold, cut }) {
    const parts = this.#parts;
    parts.found.setAttribute("aria-busy", "false");
    this.#say();
    parts.narrowing.hidden = !answer.total_compared;
    parts.copy.hidden = false;
    parts.threshold.value = threshold;
    parts["threshold-value"].textContent = threshold.toFixed(2);
    parts.summary.textContent = this.#summary(search, answer, matches, cut);
    parts.description.hidden = !search.source?.blob;
    drawFacets(parts.facets, facets, search.filters, this.#watched.filter);
    drawMatches(parts.matches, matches, this.#watched.alike);
    document.title = `${matches.length ? productName(matches[0]) : "Nothing found"} · Lookalike`;
    if (!matches.length) this.#nothing(search, answer, threshold);
  }

  /** Say in words what the picture shows. */
  describe(description) {
    drawDescription(this.#parts.description, description);
  }

  #summary(search, answer, matches, cut) {
    const noun = search.grouped ? "product" : "photo";
    const first = cut ? `The best ${plural(matches.length, noun)}` : plural(matches.length, noun);
    return `${first} of ${count(answer.total_compared)} searched, in ${Math.max(1, Math.round(answer.processing_time_ms))} ms`;
  }

  #nothing(search, answer, threshold) {
    if (!answer.total_compared) {
      return this.#say(h("div", { class: "blank" }, h("h2", {}, "The catalogue is empty"),
        h("p", {}, "Put photos into the image folder, then start a run."),
        h("a", { class: "button", href: "/operations" }, "Go to operations")));
    }
    const hidden = Object.keys(search.filters).length > 0;
    return this.#say(h("div", { class: "blank" }, h("h2", {}, "Nothing looks that much alike"),
      h("p", {}, hidden ? "Your filters leave nothing over." : `No photo reaches a similarity of ${threshold.toFixed(2)}.`),
      h("p", { class: "row center" },
        hidden ? h("button", { type: "button", onclick: () => this.#watched.filter({}) }, "Remove the filters") : null,
        threshold > 0.02 ? h("button", { type: "button", class: "main", onclick: () => this.#watched.threshold(Math.max(0, Math.round(100 * threshold - 20) / 100)) }, "Lower the threshold") : null)));
  }

  /** Say what went wrong, beside the search or, where there is none yet, below the start. */
  fail(error, again = null) {
    const parts = this.#parts;
    const notice = h("div", { class: "notice bad", role: "alert" }, h("h2", {}, "That did not work"), h("p", {}, error.message),
      again && mayPass(error) ? h("button", { type: "button", onclick: again }, "Try again") : null);
    parts.found.setAttribute("aria-busy", "false");
    if (parts.found.hidden) return need("#start-message").replaceChildren(notice);
    parts.summary.textContent = "";
    parts.narrowing.hidden = parts.copy.hidden = true;
    parts.matches.replaceChildren();
    return this.#say(notice);
  }

  #say(...what) {
    this.#parts.message.replaceChildren(...what);
  }

  async #copy() {
    const { copy } = this.#parts;
    try {
      await navigator.clipboard.writeText(location.href);
      copy.textContent = "Link copied";
    } catch {
      copy.textContent = "Copy the address of this page";
    }
    setTimeout(() => { copy.textContent = "Copy link"; }, 2500);
  }
}

