// The operations page: follows the service by server-sent events, starts runs and stops them.

import { ask, post } from "../api.js";
import { h, need } from "../dom.js";
import { duration, plural } from "../format.js";
import { drawCharts, drawRuns } from "./history.js";
import { drawFacts } from "./facts.js";
import { drawLive } from "./live.js";

const AGAIN_MS = 2000;
const SILENT_MS = 12_000; // longer than the longest time between two events

let known = {}; // what is on screen
let heard = 0;

function listen() {
  const source = new EventSource("/api/v1/operations/events");
  source.addEventListener("message", (event) => {
    heard = Date.now();
    connected(true);
    draw(JSON.parse(event.data));
  });
  source.addEventListener("error", () => {
    connected(false);
    if (source.readyState !== EventSource.CLOSED) return; // the browser connects again by itself
    setTimeout(() => ask("/api/v1/operations").then(draw).catch(() => {}).finally(listen), AGAIN_MS);
  });
}

function connected(on) {
  const place = need("#connection");
  const text = on ? "Live" : "Connection lost. Trying again…";
  place.classList.toggle("on", on);
  if (place.textContent !== text) place.textContent = text;
}

function draw(state) {
  const ended = state.last_run?.id !== known.last_run?.id || Boolean(state.live) !== Boolean(known.live);
  known = state;
  drawWarnings(state.warnings);
  drawFacts(state);
  drawLive(state);
  need("#cancel").hidden = !state.live || state.live.run.cancel_requested;
  need("#start").hidden = Boolean(state.live);
  if (ended) history();
}

let warned = null;
function drawWarnings(warnings) {
  const text = JSON.stringify(warnings);
  if (text === warned) return; // said once, not at every event
  warned = text;
  const found = warnings.map(({ level, text: said, link }) => h("div", { class: `notice ${level}` },
    h("p", {}, h("strong", {}, level === "bad" ? "Problem:" : "Note:"), said),
    link ? h("a", { href: link }, "Show them") : null));
  need("#warnings").replaceChildren(...(found.length ? found : [h("div", { class: "notice good" }, h("p", {}, "Everything is in order."))]));
}

async function history() {
  try {
    await Promise.all([drawRuns(need("#runs")), drawCharts(need("#charts"))]);
  } catch {
    // The next event that brings a change draws it.
    known = { ...known, last_run: null };
  }
}

function say(level, text) {
  need("#run-message").replaceChildren(h("div", { class: `notice ${level}`, role: "alert" }, h("p", {}, text)));
}

need("#start").addEventListener("submit", async (event) => {
  event.preventDefault();
  const query = new URLSearchParams({ wait: false });
  for (const name of new FormData(event.target).keys()) query.set(name, true);
  need("#run-message").replaceChildren();
  need("#pending").hidden = true;
  try {
    await post(`/api/v1/preprocess?${query}`);
    event.target.reset();
  } catch (error) {
    say("bad", error.message);
  }
});

need("#cancel").addEventListener("click", async () => {
  if (!known.live) return;
  need("#cancel").hidden = true;
  try {
    await post(`/api/v1/runs/${known.live.run.id}/cancel`);
  } catch (error) {
    if (error.code !== "run_over") say("bad", error.message);
  }
});

need("#check").addEventListener("click", async ({ target }) => {
  const place = need("#pending");
  target.disabled = true;
  place.hidden = false;
  place.textContent = "Looking through the folder…";
  const started = performance.now();
  try {
    const { pending_images: pending, removed_images: removed, total_images: total } = await ask("/api/v1/preprocess/status");
    const todo = [pending ? `${plural(pending, "photo")} to read` : "", removed ? `${plural(removed, "photo")} to take out` : ""].filter(Boolean);
    place.textContent = `${todo.join(" and ") || "Nothing to do"}; ${plural(total, "photo")} in the folder (looked at in ${duration((performance.now() - started) / 1000)}).`;
  } catch (error) {
    place.textContent = error.message;
  } finally {
    target.disabled = false;
  }
});

setInterval(() => heard && Date.now() - heard > SILENT_MS && connected(false), 2000);
listen();
