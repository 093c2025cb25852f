// Numbers of the service at a moment.

import { bar, h, need } from "../dom.js";
import { ago, bytes, count, moment } from "../format.js";

export function drawFacts(state) {
  need("#numbers").replaceChildren(
    tile("searchable photos", count(state.searchable)),
    tile("failed", count(state.items.failed ?? 0), { link: "/catalogue?state=failed", bad: state.items.failed > 0 }),
    tile("missing", count(state.items.missing ?? 0), { link: "/catalogue?state=missing" }),
    tile("last success", ago(state.last_success_at, Date.parse(state.at))),
    tile("searches a minute", state.queries.per_minute));
  list("#queries", [
    [`in ${Math.round(state.queries.window_s / 60)} minutes`, count(state.queries.count)],
    ["half within", ms(state.queries.p50_ms)],
    ["95% within", ms(state.queries.p95_ms)],
    ["waiting", count(state.queries.waiting)],
  ]);
  list("#index", [
    ["model", state.model?.spec ?? "none"],
    ["device", state.model?.device ?? "–"],
    ["dimensions", state.space ? count(state.space.dimension) : "–"],
    ["space", state.space?.fingerprint.slice(0, 12) ?? "–"],
    ["generation", count(state.generation)],
    ["index", state.index?.kind ?? "none yet"],
    ["vectors", count(state.index?.vectors ?? 0)],
    ["recall@10", state.index == null ? "–" : state.index.recall == null ? "exact" : `${(100 * state.index.recall).toFixed(1)}%`],
  ]);
  drawSchedule(state);
  drawDisk(state);
}

function tile(name, value, { link = null, bad = false } = {}) {
  const label = h("span", { class: "soft small" }, name);
  return h("div", { class: `card tile${bad ? " bad" : ""}` }, h("strong", {}, value), link ? h("a", { href: link }, label) : label);
}

function list(selector, rows) {
  need(selector).replaceChildren(...rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

const ms = (value) => (value == null ? "–" : `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`);

function drawSchedule({ schedules, daemon }) {
  const names = { ingest: "Keep in step", verify: "Hash every file" };
  const parts = schedules.flatMap(({ what, cron, next_at: times }) => [
    h("h3", {}, `${names[what]} `, h("code", { class: "soft" }, cron)),
    h("ul", { class: "small" }, times.slice(0, 3).map((time, i) => h("li", {}, h("span", { class: "soft" }, i ? "then" : "next"), moment(time)))),
  ]);
  if (!parts.length) parts.push(h("p", { class: "soft" }, "No runs are scheduled. LOOKALIKE_SCHEDULE takes a cron expression."));
  parts.push(h("p", { class: "small" }, "Ingest daemon: ", h("span", { class: `state ${daemon.alive ? "succeeded" : "failed"}` }, daemon.alive ? "at work" : "not running")));
  need("#schedule").replaceChildren(...parts);
}

function drawDisk({ disks, vectors_bytes: vectors, process_bytes: resident }) {
  const names = { store: "Store", images: "Photos" };
  need("#disk").replaceChildren(
    ...disks.map(({ folder, free_bytes: free, total_bytes: total }) => h("div", {},
      h("p", {}, h("span", {}, names[folder]), h("span", { class: "soft number" }, `${bytes(free)} free of ${bytes(total)}`)), bar(1 - free / total))),
    h("p", {}, h("span", { class: "soft" }, "vectors in memory"), h("strong", { class: "number" }, bytes(vectors))),
    h("p", {}, h("span", { class: "soft" }, "service's memory"), h("strong", { class: "number" }, bytes(resident))));
}
