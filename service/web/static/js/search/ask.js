// From a search to the service's answer.

import { ask, post, send } from "../api.js";
import { filterTexts, smallFile } from "./query.js";

export const MOST_MATCHES = 100; // what the service gives at most

/** Fetch a picture from the web through the service, which checks where the address leads. */
export async function fetchPicture(url, signal) {
  const headers = { "Content-Type": "application/json" };
  const body = JSON.stringify({ url });
  return (await send("/remote-picture", { method: "POST", headers, body, signal })).blob();
}

/** Run a search; `filters` are those the service shall apply. */
export async function runSearch(search, filters, signal) {
  const { source } = search;
  if (source?.kind === "url" && !source.blob) source.blob = await fetchPicture(source.url, signal);
  if (source?.blob && !search.text) return findSimilar(search, filters, signal);
  const body = {
    images: source ? [await part(search)] : [],
    text: search.text || null,
    threshold: search.threshold,
    top_k: MOST_MATCHES,
    filter: filterTexts(filters),
    group_by: search.grouped ? "product" : null,
    facets: true,
    exclude: source?.kind === "item" && !search.crop,
  };
  return post("/api/v1/search", body, { signal });
}

function findSimilar(search, filters, signal) {
  const query = new URLSearchParams({ top_k: MOST_MATCHES, facets: true });
  if (search.threshold != null) query.set("threshold", search.threshold);
  if (search.grouped) query.set("group_by", "product");
  if (search.crop) query.set("crop", search.crop.join(","));
  for (const text of filterTexts(filters)) query.append("filter", text);
  const body = new FormData();
  body.append("file", search.source.blob, search.source.name ?? "picture");
  return ask(`/api/v1/find-similar?${query}`, { method: "POST", body, signal });
}

/** What the picture searched with shows; asked apart, so that results need not wait for it. */
export function describe({ source, crop }, signal) {
  const key = String(crop);
  if (source.described?.key !== key) {
    const query = crop ? `?crop=${crop.join(",")}` : "";
    const answer = smallFile(source).then((file) => {
      const body = new FormData();
      body.append("file", file, "picture");
      return ask(`/api/v1/describe${query}`, { method: "POST", body, signal });
    });
    source.described = { key, answer };
    answer.catch(() => { source.described = null; });
  }
  return source.described.answer;
}

async function part(search) {
  const { source, crop } = search;
  if (source.kind === "item") return { path: source.path, at_ms: source.atMs, crop };
  return { image: await dataUri(source.blob), crop };
}

export function dataUri(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result).replace(/^data:[^;,]*/, "data:image/png"));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}
