// What is being searched for, and how an address holds it so that it can be shared.
//
// A search is { source, text, crop, filters, threshold, grouped }. Its source is null or one of
//   { kind: "upload", blob, name }              a picture from this device
//   { kind: "url", url, blob }                  a picture from the web, fetched by the service
//   { kind: "item", path, atMs, image, name }   a photo of the catalogue

import { readableCopy } from "../preview.js";

const SMALL_SIDE = 200; // of the copy of an uploaded picture that an address carries, in pixels

export function emptySearch() {
  return { source: null, text: "", crop: null, filters: {}, threshold: null, grouped: false };
}

export const isEmpty = (search) => !search.source && !search.text;

/** The filters as the API takes them. */
export function filterTexts(filters) {
  return Object.entries(filters).flatMap(([key, values]) => values.map((value) => `${key}:${value}`));
}

/** The address of a search. An uploaded picture goes behind the #, which no server ever sees. */
export async function addressOf(search) {
  const query = new URLSearchParams();
  const { source } = search;
  if (source?.kind === "item") {
    query.set("like", source.path);
    if (source.atMs != null) query.set("at_ms", source.atMs);
  }
  if (source?.kind === "url") query.set("url", source.url);
  if (search.text) query.set("text", search.text);
  if (search.crop) query.set("crop", search.crop.map((edge) => edge.toFixed(3)).join(","));
  for (const text of filterTexts(search.filters)) query.append("filter", text);
  if (search.threshold != null) query.set("threshold", search.threshold);
  if (search.grouped) query.set("group_by", "product");
  const address = query.size ? `/?${query}` : "/";
  if (source?.kind !== "upload") return address;
  const small = await smallOf(source);
  return small ? `${address}#picture=${small}` : address;
}

/** The search of an address; null where it names none. */
export async function searchOf(address) {
  const query = address.searchParams;
  const search = emptySearch();
  search.text = query.get("text") ?? "";
  const picture = new URLSearchParams(address.hash.slice(1)).get("picture");
  if (query.has("like")) {
    const atMs = query.has("at_ms") ? Number(query.get("at_ms")) : null;
    search.source = itemSource({ image_path: query.get("like"), at_ms: atMs });
  } else if (query.has("url")) {
    search.source = { kind: "url", url: query.get("url"), blob: null };
  } else if (picture) {
    search.source = { kind: "upload", blob: await unpacked(picture), name: "shared picture", small: picture };
  }
  search.crop = cropOf(query.get("crop"));
  for (const text of query.getAll("filter")) {
    const [key, ...rest] = text.split(":");
    (search.filters[key] ??= []).push(rest.join(":"));
  }
  const threshold = query.get("threshold");
  if (threshold !== null && Number.isFinite(Number(threshold))) search.threshold = Number(threshold);
  search.grouped = query.get("group_by") === "product";
  return search;
}

/** A photo of the catalogue as the source of a search. */
export function itemSource(match) {
  const image = match.image_url
    ?? `/api/v1/images/${match.image_path.split("/").map(encodeURIComponent).join("/")}${match.at_ms == null ? "" : `?at_ms=${match.at_ms}`}`;
  return { kind: "item", path: match.image_path, atMs: match.at_ms ?? null, image, name: match.image_path };
}

function cropOf(text) {
  const edges = text?.split(",").map(Number) ?? [];
  const inside = edges.every((edge) => edge >= 0 && edge <= 1);
  return edges.length === 4 && inside && edges[0] < edges[2] && edges[1] < edges[3] ? edges : null;
}

/** A small copy of a source's picture as base64url, made once. */
function smallOf(source) {
  source.small ??= smallCopy(source.blob);
  return source.small;
}

/** The small copy as a file; the picture itself where there is none. */
export async function smallFile(source) {
  const small = await smallOf(source);
  return small ? unpacked(small) : source.blob;
}

/** A picture small enough for an address, as base64url; empty where the browser cannot read it. */
async function smallCopy(blob) {
  try {
    const bitmap = await createImageBitmap(blob).catch(async () => createImageBitmap(await readableCopy(blob)));
    const scale = Math.min(1, SMALL_SIDE / Math.max(bitmap.width, bitmap.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    const pen = canvas.getContext("2d");
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    const url = canvas.toDataURL("image/webp", 0.7);
    return url.slice(url.indexOf(",") + 1).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  } catch {
    return "";
  }
}

async function unpacked(text) {
  try {
    const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    return new Blob([Uint8Array.from(binary, (letter) => letter.charCodeAt(0))]);
  } catch {
    return new Blob([]); // the service will say that the picture is empty
  }
}
