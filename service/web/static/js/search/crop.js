// The part of the picture to search for: drawn with the pointer, or moved with the arrow keys.

const LEAST = 0.04; // width and height of a part, as shares
const STEP = 0.02;
const CENTRE = [0.2, 0.2, 0.8, 0.8];

export class Cropper {
  /** `frame` lies exactly over the picture; `changed` is told edges of 0 to 1, or null. */
  constructor(frame, changed) {
    this.frame = frame;
    this.box = frame.querySelector(".crop-box");
    this.changed = changed;
    this.edges = null;
    this.drag = null;
    frame.addEventListener("pointerdown", (event) => this.#begin(event));
    frame.addEventListener("pointermove", (event) => this.#move(event));
    frame.addEventListener("pointerup", (event) => this.#end(event));
    frame.addEventListener("pointercancel", (event) => this.#end(event));
    this.box.addEventListener("keydown", (event) => this.#key(event));
  }

  show(edges) {
    this.edges = edges;
    this.box.hidden = !edges;
    this.frame.classList.toggle("cropped", Boolean(edges));
    if (!edges) return;
    const names = ["--left", "--top", "--right", "--bottom"];
    names.forEach((name, i) => this.box.style.setProperty(name, `${100 * (i < 2 ? edges[i] : 1 - edges[i])}%`));
    const [left, top, right, bottom] = edges.map((edge) => Math.round(100 * edge));
    this.box.setAttribute("aria-label",
      `Part to search for, from ${left}% to ${right}% across and ${top}% to ${bottom}% down. Arrow keys move it, with Shift they size it, Escape removes it.`);
  }

  /** Take the middle, for those who have no pointer. */
  start() {
    this.#set(CENTRE);
    this.box.focus();
  }

  clear() {
    this.#set(null);
  }

  #set(edges) {
    this.show(edges);
    this.changed(edges);
  }

  #at(event) {
    const area = this.frame.getBoundingClientRect();
    return [limit((event.clientX - area.left) / area.width), limit((event.clientY - area.top) / area.height)];
  }

  #begin(event) {
    if (event.button !== 0) return;
    const corner = event.target.dataset?.corner;
    const start = this.#at(event);
    if (corner) {
      // The opposite corner stays where it is.
      const [left, top, right, bottom] = this.edges;
      this.drag = { fixed: [corner.includes("w") ? right : left, corner.includes("n") ? bottom : top] };
    } else if (event.target === this.box) {
      this.drag = { start, from: this.edges };
    } else {
      this.drag = { fixed: start };
    }
    this.frame.setPointerCapture(event.pointerId);
    event.preventDefault();
  }

  #move(event) {
    if (!this.drag) return;
    const [x, y] = this.#at(event);
    const { fixed, start, from } = this.drag;
    if (fixed) {
      const edges = [Math.min(x, fixed[0]), Math.min(y, fixed[1]), Math.max(x, fixed[0]), Math.max(y, fixed[1])];
      this.drag.drawn = edges[2] - edges[0] >= LEAST && edges[3] - edges[1] >= LEAST;
      if (this.drag.drawn) this.show(edges);
    } else {
      this.drag.drawn = true;
      this.show(shifted(from, x - start[0], y - start[1]));
    }
  }

  #end() {
    const drawn = this.drag?.drawn;
    this.drag = null;
    if (drawn) this.changed(this.edges);
  }

  #key(event) {
    if (event.key === "Escape" || event.key === "Delete") {
      event.preventDefault();
      this.frame.dispatchEvent(new CustomEvent("cropcleared", { bubbles: true }));
      return this.clear();
    }
    const way = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
    if (!way) return undefined;
    event.preventDefault();
    const [left, top, right, bottom] = this.edges;
    return this.#set(event.shiftKey
      ? [left, top, limit(Math.max(left + LEAST, right + way[0])), limit(Math.max(top + LEAST, bottom + way[1]))]
      : shifted(this.edges, ...way));
  }
}

const limit = (share) => Math.min(1, Math.max(0, share));

function shifted([left, top, right, bottom], x, y) {
  const dx = Math.min(1 - right, Math.max(-left, x));
  const dy = Math.min(1 - bottom, Math.max(-top, y));
  return [left + dx, top + dy, right + dx, bottom + dy];
}
