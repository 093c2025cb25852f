// Numbers, times and names as people read them.

const COUNT = new Intl.NumberFormat("en");
const BYTE_UNITS = ["bytes", "kB", "MB", "GB", "TB"];

export const count = (number) => COUNT.format(number);

/** "1 photo", "2 photos". */
export const plural = (number, noun, several = `${noun}s`) =>
  `${count(number)} ${number === 1 ? noun : several}`;

export const score = (value) => (value >= 0.99995 ? "1.00" : value.toFixed(value >= 0.995 ? 3 : 2));

export function bytes(number) {
  let unit = 0;
  let value = number;
  while (value >= 1000 && unit < BYTE_UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value.toFixed(value < 10 && unit > 0 ? 1 : 0)} ${BYTE_UNITS[unit]}`;
}

export function duration(seconds) {
  if (seconds < 1) return `${Math.round(1000 * seconds)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A moment, as short as it can be told apart today. */
export function moment(iso) {
  if (!iso) return "never";
  const when = new Date(iso);
  const today = when.toDateString() === new Date().toDateString();
  const clock = { hour: "2-digit", minute: "2-digit" };
  return when.toLocaleString([], today ? clock : { month: "short", day: "numeric", ...clock });
}

export function ago(iso, now = Date.now()) {
  if (!iso) return "never";
  const seconds = Math.max(0, (now - new Date(iso)) / 1000);
  return seconds < 5 ? "just now" : `${duration(seconds)} ago`;
}

/** What a product is called: its name where the catalogue has one. */
export function productName(product) {
  const attributes = product.attributes ?? {};
  return attributes.name || attributes.title || product.product_id;
}

/** The attributes that are worth a chip: all but the name, none twice. */
export function traits(attributes) {
  const told = new Set(["", attributes.name, attributes.title]);
  return Object.entries(attributes).filter(([, value]) => !told.has(value) && told.add(value));
}
