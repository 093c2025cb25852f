// Requests to the service, and what went wrong as a sentence for the person at the page.

const SENTENCES = {
  not_an_image: "This file is not a picture that can be read. Use a JPEG, PNG, WebP, HEIC, AVIF, GIF, BMP or TIFF.",
  empty_file: "This file is empty. Choose another picture.",
  damaged_image: "This picture is damaged or cut short. Try to save or export it again.",
  image_not_found: "This photo is no longer in the catalogue. It may have been removed a moment ago.",
  model_error: "The model failed on this. Try again; if it happens again, the service's log says why.",
  no_text_tower: "The model in use cannot read text. Search with a picture instead.",
  no_ingest_daemon: "Nothing is there to do the run: the ingest daemon is not running.",
  run_over: "This run has ended already.",
  nothing_to_retry: "There is nothing to try again: no photo has failed.",
  empty_query: "There is nothing to look for. Choose a picture or type some words.",
};

/** A refusal or failure; `message` is for people, `code` is stable. */
export class Problem extends Error {
  constructor(message, code, body = {}) {
    super(message);
    this.code = code;
    this.body = body;
  }
}

const FOR_NOW = ["unreachable", "model_error", "not_ready", "overloaded", "timed_out", "internal_error", "rate_limited", "fetch_failed"];

/** Whether the same request may well succeed a little later. */
export const mayPass = (error) => FOR_NOW.includes(error.code) || /^status_5/.test(error.code ?? "");

/** Ask the service; gives the JSON of its answer. */
export async function ask(path, options = {}) {
  return (await send(path, options)).json();
}

/** Ask the service; gives the response. */
export async function send(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(
      "The connection to Lookalike was lost. Check that the service is running, then try again.",
      "unreachable",
    );
  }
  if (response.status === 401) {
    location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

/** Send a JSON body. */
export function post(path, body, options = {}) {
  const headers = { "Content-Type": "application/json" };
  return ask(path, { method: "POST", headers, body: JSON.stringify(body ?? {}), ...options });
}

async function problemOf(response) {
  let body = {};
  try {
    body = await response.json();
  } catch {
    // A proxy's page, most likely.
  }
  const said = body.detail || body.title || `The service answered with status ${response.status}.`;
  return new Problem(sentence(body.code, said), body.code ?? `status_${response.status}`, body);
}

/** What a stable code means to the person at the page; limits and names stay as they were said. */
export function sentence(code, said) {
  if (code === "forbidden") return "Your key does not allow this.";
  if (code === "image_too_large") return `This picture is too large. ${withoutField(said)}`;
  if (code === "upload_too_large") return `This file is too large to upload. ${said}`;
  if (code === "not_ready") return `Lookalike is not ready yet: ${said}`;
  if (code === "fetch_failed" || code === "fetch_refused" || code === "fetch_too_large") {
    return `The picture could not be fetched from that address. ${withoutField(said)}`;
  }
  return SENTENCES[code] ?? withoutField(said);
}

function withoutField(said) {
  return said.replace(/^(?:file\d?|images?(?:\[?\d*\]?)?(?:\.\w+)?|body \w+): /i, "");
}
