// How many photos there are of each kind, beside the names of the tabs.

import { ask } from "../api.js";
import { count } from "../format.js";

export async function showCounts() {
  const tabs = document.querySelector(".tabs");
  const current = tabs.querySelector("[aria-current]");
  tabs.scrollLeft = current.offsetLeft - tabs.offsetLeft - 40; // on a phone it may be out of sight
  const { items } = await ask("/stats");
  const counts = { all: items.indexed + items.failed + items.missing, ...items };
  for (const place of document.querySelectorAll("[data-count]")) {
    const number = counts[place.dataset.count];
    place.textContent = number ? count(number) : "";
    place.classList.toggle("some", place.dataset.count === "failed" && number > 0);
  }
}
