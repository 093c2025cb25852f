// The runs that were, as charts drawn by the service and as a table.

import { ask, send } from "../api.js";
import { h } from "../dom.js";
import { count, duration, moment } from "../format.js";

const ROWS = 12;
const ASKED_BY = { api: "API", cli: "command line", schedule: "schedule", watch: "file events" };

export async function drawRuns(place) {
  const { runs } = await ask(`/api/v1/runs?limit=${ROWS}`);
  const ended = runs.filter((run) => run.finished_at); // the one going on is shown above
  place.replaceChildren(...ended.map((run) => h("tr", {},
    h("td", { class: "number" }, run.id),
    h("td", {}, h("span", { class: `state ${run.state}` }, run.state)),
    h("td", {}, ASKED_BY[run.trigger] ?? run.trigger),
    h("td", {}, moment(run.started_at ?? run.created_at)),
    ...[run.new_images, run.moved_images, run.removed_images, run.failed_images].map((number) => h("td", { class: "number" }, count(number))),
    h("td", { class: "number" }, duration(run.processing_time)),
    h("td", {}, run.message ?? ""))));
}

export async function drawCharts(place) {
  const text = await (await send("/operations/charts")).text();
  const parsed = new DOMParser().parseFromString(text, "text/html");
  place.replaceChildren(...parsed.querySelectorAll("figure"));
}
