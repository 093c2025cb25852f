// Elements from names, attributes and text. Text is always text: nothing here reads markup.

/**
 * Make an element. Attributes: `onX` adds a listener, `class` and others are set as they are,
 * `true` gives an empty attribute, `false`, null and undefined none.
 */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2).toLowerCase(), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child != null && child !== false));
  return element;
}

/** Find one element that the page must have. */
export function need(selector, within = document) {
  const found = within.querySelector(selector);
  if (!found) throw new Error(`The page has no ${selector}.`);
  return found;
}

/** A bar filled to a share of 0 to 1. */
export function bar(share) {
  const fill = h("span");
  fill.style.setProperty("--share", `${(100 * Math.min(1, Math.max(0, share))).toFixed(1)}%`);
  return h("div", { class: "bar", "aria-hidden": "true" }, fill);
}

/** A picture that says so when it is gone. */
export function picture(url, size, alt) {
  const image = h("img", { src: sized(url, size), alt, loading: "lazy", decoding: "async" });
  image.addEventListener("error", () => image.replaceWith(
    h("span", { class: "gone", role: "img", "aria-label": `${alt || "Picture"}: not available` }, "Picture not available"),
  ), { once: true });
  return image;
}

/** The address of a smaller copy of a picture. */
export function sized(url, size) {
  return `${url}${url.includes("?") ? "&" : "?"}size=${size}`;
}

/** Call `action` when no further call came for a while. */
export function soon(action, ms = 150) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...values), ms);
  };
}
