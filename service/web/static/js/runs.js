// Follow a run until it ends, also over a restart of the service.

import { ask } from "./api.js";

const AGAIN_MS = 1500;
const ENDED = ["succeeded", "failed", "cancelled", "interrupted"];

/** Give the run as it ended; `told` is called with each state on the way. */
export function follow(id, told = () => {}) {
  return new Promise((resolve, reject) => {
    const source = new EventSource(`/api/v1/runs/${id}/events`);
    const take = (run) => {
      told(run);
      if (!ENDED.includes(run.state)) return false;
      source.close();
      resolve(run);
      return true;
    };
    source.addEventListener("message", (event) => take(JSON.parse(event.data)));
    source.addEventListener("error", () => {
      if (source.readyState !== EventSource.CLOSED) return; // the browser connects again by itself
      setTimeout(() => ask(`/api/v1/runs/${id}`).then((run) => take(run) || resolve(follow(id, told)), reject), AGAIN_MS);
    });
  });
}
