// The search page: one search at a time, its address, and what is on screen.

import { need, soon } from "../dom.js";
import { Problem } from "../api.js";
import { describe, fetchPicture, MOST_MATCHES, runSearch } from "./ask.js";
import { Cropper } from "./crop.js";
import { check, watchIntake } from "./intake.js";
import { countFacets, narrowed } from "./narrow.js";
import { addressOf, emptySearch, isEmpty, itemSource, searchOf } from "./query.js";
import { Screen } from "./screen.js";

const mostBytes = Number(document.body.dataset.maxUploadBytes);
const screen = new Screen();
const cropper = new Cropper(need("#crop"), (crop) => change({ crop }));
const remembered = new Map(); // sources of this visit's searches, by the key in the history

let search = emptySearch();
let answer = null; // to the search without its filters
let filtered = null; // to the search with them, where `answer` does not hold all matches
let running = null;

/** Begin a search of its own, with an entry in the browser's history. */
function begin(next) {
  search = { ...emptySearch(), grouped: search.grouped, ...next };
  answer = filtered = null;
  remember(true);
  return run();
}

/** Change the search at hand. */
function change(part) {
  search = { ...search, ...part };
  remember(false);
  return isEmpty(search) ? home() : run();
}

async function remember(fresh) {
  const key = fresh ? crypto.getRandomValues(new Uint32Array(1))[0] : history.state?.key;
  remembered.set(key, search.source);
  const of = search;
  const address = await addressOf(of);
  if (of !== search) return; // another search began meanwhile
  history[fresh ? "pushState" : "replaceState"]({ key }, "", address);
}

async function run() {
  running?.abort();
  const mine = running = new AbortController();
  screen.showSource(search);
  cropper.show(search.source ? search.crop : null);
  screen.busy(answer !== null);
  try {
    if (search.source?.kind === "url" && !search.source.blob) {
      search.source.blob = await fetchPicture(search.source.url, mine.signal);
      screen.showSource(search);
    }
    const found = await runSearch(search, {}, mine.signal);
    const more = isWhole(found) || !hasFilters() ? null : await runSearch(search, search.filters, mine.signal);
    if (mine.signal.aborted) return;
    [answer, filtered] = [found, more];
    draw();
    if (search.source?.blob) describe(search, mine.signal).then((said) => mine === running && screen.describe(said), () => {});
  } catch (error) {
    if (error.name !== "AbortError" && !mine.signal.aborted) screen.fail(error, run);
  }
}

const hasFilters = () => Object.keys(search.filters).length > 0;

/** Whether an answer holds every match, so that narrowing it needs no further request. */
const isWhole = (found) => !search.grouped && found.matches.length < MOST_MATCHES;

function draw() {
  const threshold = search.threshold ?? answer.threshold_used;
  const whole = isWhole(answer);
  const matches = narrowed((filtered ?? answer).matches, search.filters, threshold);
  const facets = whole ? countFacets(answer.matches, search.filters, threshold) : answer.facets ?? {};
  screen.draw({ search, answer, matches, facets, threshold, cut: (filtered ?? answer).matches.length === MOST_MATCHES });
}

async function filter(filters) {
  search = { ...search, filters };
  remember(false);
  if (isWhole(answer)) return draw();
  filtered = null;
  return run();
}

const ask = soon(() => run(), 250);

function setThreshold(threshold) {
  search = { ...search, threshold };
  if (!answer) return;
  draw();
  soonRemember();
  // A higher threshold only leaves matches out; a lower one, or a cut answer, needs new ones.
  if (threshold < answer.threshold_used || !isWhole(answer)) ask();
}
const soonRemember = soon(() => remember(false), 300);

function home() {
  running?.abort();
  search = emptySearch();
  answer = filtered = null;
  screen.start();
}

function take(file) {
  try {
    check(file, mostBytes);
  } catch (error) {
    return screen.fail(error);
  }
  return begin({ source: { kind: "upload", blob: file, name: file.name } });
}

function fetchFrom(url) {
  if (!/^https?:\/\//i.test(url)) {
    return screen.fail(new Problem("An address of a picture begins with http:// or https://.", "fetch_refused"));
  }
  return begin({ source: { kind: "url", url, blob: null } });
}

async function restore() {
  search = await searchOf(new URL(location.href));
  const source = remembered.get(history.state?.key);
  if (source && source.kind === "upload") search.source = source;
  answer = filtered = null;
  return isEmpty(search) ? home() : run();
}

watchIntake({ took: take, asked: fetchFrom, refused: (error) => screen.fail(error) });
screen.watch({
  alike: (match) => begin({ source: itemSource(match), filters: {} }),
  filter,
  threshold: setThreshold,
  grouped: (grouped) => change({ grouped }),
  text: (text) => (search.source ? change({ text }) : begin({ text })),
  cropStart: () => cropper.start(),
  cropClear: () => cropper.clear(),
  clear: () => {
    home();
    history.pushState({}, "", "/");
  },
});
window.addEventListener("popstate", restore);
restore();
