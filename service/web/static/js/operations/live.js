// The run going on, or the last one.

import { bar, h, need } from "../dom.js";
import { ago, count, duration, plural } from "../format.js";

const STAGES = {
  load_model: "Load the model", walk: "List the folder", hash: "Hash files", wait_decode: "Wait for decoded photos",
  embed: "Embed photos", ray: "Wait for vectors from Ray", commit: "Write to the store", housekeeping: "Tidy up",
};

export function drawLive({ live, last_run: last }) {
  need("#live").replaceChildren(...(live ? running(live) : idle(last)));
  need("#stages").replaceChildren(...(live?.stages.length ? [stages(live.stages)] : []));
}

function running({ run, files_per_second: rate, seconds_left: left }) {
  if (run.state === "queued") return [h("p", { class: "big" }, `Run ${run.id} waits for the ingester`)];
  const share = run.planned ? run.settled / run.planned : 0;
  const looking = !run.planned;
  return [
    h("p", { class: "big" }, `Run ${run.id}: `, looking ? `${plural(run.scanned, "file")} listed` : `${count(run.settled)} of ${plural(run.planned, "photo")}`),
    h("div", { role: "progressbar", "aria-label": "Progress of the run", "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.round(100 * share) }, bar(share)),
    h("p", { class: "soft number" }, [
      rate ? `${rate < 10 ? rate.toFixed(1) : count(Math.round(rate))} photos/s` : null,
      left == null ? null : `about ${duration(left)} left`,
      `running for ${duration(run.processing_time)}`,
      run.failed_images ? `${count(run.failed_images)} failed` : null,
      run.cancel_requested ? "stopping at the next batch" : null,
    ].filter(Boolean).join(" · ")),
  ];
}

function idle(last) {
  if (!last) return [h("p", { class: "big" }, "No run yet"), h("p", { class: "soft" }, "The first run takes in every photo of the image folder.")];
  return [
    h("p", { class: "big" }, "No run is going on"),
    h("p", { class: "soft" }, `The last one, run ${last.id}, `, h("span", { class: `state ${last.state}` }, last.state), ` ${ago(last.finished_at)}: ${last.message ?? ""}`),
  ];
}

function stages(found) {
  return h("table", {}, h("caption", { class: "unseen" }, "Stages of the run"),
    h("thead", {}, h("tr", {}, h("th", {}, "Stage"), h("th", {}, "Share of the time"), h("th", { class: "number" }, "Time"), h("th", { class: "number" }, "Files/s"))),
    h("tbody", {}, found.map((stage) => h("tr", {}, h("td", {}, STAGES[stage.name] ?? stage.name),
      h("td", {}, bar(stage.share), h("span", { class: "unseen" }, `${Math.round(100 * stage.share)}%`)),
      h("td", { class: "number" }, duration(stage.seconds)),
      h("td", { class: "number" }, stage.per_second ? count(Math.round(stage.per_second)) : "–")))));
}
