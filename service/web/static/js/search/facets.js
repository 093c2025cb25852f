// The filters beside the results.

import { h } from "../dom.js";
import { count } from "../format.js";
import { isUseful } from "./narrow.js";

const SHOWN = 8; // values of a key before "more"

/** Draw the filters into `place`; `changed` is given the new filters. */
export function drawFacets(place, facets, filters, changed) {
  const open = new Set([...place.querySelectorAll("fieldset[data-all]")].map((set) => set.dataset.key));
  const focused = document.activeElement?.dataset?.facet;
  const keys = Object.keys(facets).filter(
    (key) => isUseful(key, facets[key]) || filters[key]?.length,
  );
  place.replaceChildren(...keys.map((key) => drawKey(key, facets[key], filters, changed, open.has(key))));
  if (focused) place.querySelector(`[data-facet="${CSS.escape(focused)}"]`)?.focus();
}

function drawKey(key, values, filters, changed, all) {
  const chosen = filters[key] ?? [];
  const known = [...values];
  for (const value of chosen) {
    if (!known.some((one) => one.value === value)) known.push({ value, count: 0 });
  }
  known.sort((one, other) => other.count - one.count || one.value.localeCompare(other.value));
  const visible = all ? known : known.filter(({ value }, i) => i < SHOWN || chosen.includes(value));
  const set = h("fieldset", { class: "facet", "data-key": key, "data-all": all },
    h("legend", {}, label(key)),
    visible.map((one) => drawValue(key, one, filters, changed)));
  if (visible.length < known.length) {
    set.append(h("button", {
      type: "button", class: "plain", onclick: () => set.replaceWith(drawKey(key, values, filters, changed, true)),
    }, `${known.length - visible.length} more`));
  }
  return set;
}

function drawValue(key, { value, count: number }, filters, changed) {
  const chosen = filters[key] ?? [];
  const tick = h("input", {
    type: "checkbox", checked: chosen.includes(value), "data-facet": `${key}:${value}`,
    onchange: (event) => {
      const values = event.target.checked ? [...chosen, value] : chosen.filter((one) => one !== value);
      const { [key]: _, ...others } = filters;
      changed(values.length ? { ...others, [key]: values } : others);
    },
  });
  return h("label", { class: "check" }, tick, h("span", {}, value), h("span", { class: "soft small number" }, count(number)));
}

function label(key) {
  const words = key.replaceAll("_", " ");
  return words[0].toUpperCase() + words.slice(1);
}
