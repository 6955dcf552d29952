// People as points on a plane: colour and sign by group or by how well they are known, opacity by certainty.

const STATES = [["ready", "well known"], ["learning", "few answers"]];
const MARGIN = 28;
const REACH = 14; // pixels within which a click finds a point
const GROUPS = 8; // colours that the style has
const SIGNS = 4; // so that colour is not all that tells groups apart

export class PeopleMap {
  #canvas;
  #onChoose;
  #found = null;
  #by = "state";
  #chosen = -1;
  #places = [];

  constructor(canvas, onChoose) {
    this.#canvas = canvas;
    this.#onChoose = onChoose;
    canvas.addEventListener("click", (event) => this.#pick(event));
    canvas.addEventListener("mousemove", (event) => this.#hover(event));
    new ResizeObserver(() => this.#draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
  }

  show(found, by) {
    const who = this.#found?.users[this.#chosen];
    this.#found = found;
    this.#chosen = who === undefined ? -1 : found.users.indexOf(who); // whoever was chosen stays so
    this.paint(by);
  }

  /** Colour people by `group` or by `state`. */
  paint(by) {
    this.#by = by;
    this.#draw();
  }

  /** Styles of the signs that are drawn, with what they mean. */
  get signs() {
    if (this.#by === "state") {
      const drawn = new Set(this.#found.state);
      return STATES.filter(([state]) => drawn.has(state));
    }
    if (this.#found.groups < 2) return []; // everybody is in the only one
    const drawn = [...new Set(this.#found.group)].sort((a, b) => (a || Infinity) - (b || Infinity));
    return drawn.map((group) => [`group-${group}`, named(group)]);
  }

  choose(who) {
    this.#chosen = this.#found?.users.indexOf(who) ?? -1;
    this.#draw();
  }

  #pick(event) {
    const at = this.#nearest(event);
    if (at < 0) return;
    this.choose(this.#found.users[at]);
    this.#onChoose(this.#found.users[at]);
  }

  #hover(event) {
    const at = this.#nearest(event);
    const group = this.#found !== null && this.#found.groups > 1 ? `, ${named(this.#found.group[at])}` : "";
    this.#canvas.title = at < 0 ? "" : `${this.#found.users[at]}: ${this.#found.comparisons[at]} answers${group}`;
    this.#canvas.classList.toggle("over", at >= 0);
  }

  #nearest(event) {
    const box = this.#canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.x, event.clientY - box.y];
    let best = -1;
    let least = REACH ** 2;
    for (const [at, [px, py]] of this.#places.entries()) {
      const far = (px - x) ** 2 + (py - y) ** 2;
      if (far < least) [best, least] = [at, far];
    }
    return best;
  }

  #draw() {
    const canvas = this.#canvas;
    const { clientWidth: width, clientHeight: height } = canvas;
    if (this.#found === null || width === 0) return;
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const style = getComputedStyle(canvas);
    const colour = (name) => style.getPropertyValue(name).trim();
    const { x, y, beforeX, beforeY, doubt, state, group, axes } = this.#found;
    const moved = beforeX !== undefined;
    // One scale for both axes: a distance means the same in every direction.
    const [left, wide] = extent(x.concat(beforeX ?? []), axes);
    const [low, high] = extent(y.concat(beforeY ?? []), axes);
    const unit = Math.min((width / 2 - MARGIN) / wide, (height / 2 - MARGIN) / high);
    const place = (right, up) => [width / 2 + (right - left) * unit, height / 2 - (up - low) * unit];
    this.#places = x.map((value, at) => place(value, y[at]));
    if (axes) {
      pen.strokeStyle = colour("--edge");
      pen.beginPath();
      pen.moveTo(0, height / 2);
      pen.lineTo(width, height / 2);
      pen.moveTo(width / 2, 0);
      pen.lineTo(width / 2, height);
      pen.stroke();
    }
    const size = x.length > 5000 ? 2 : x.length > 500 ? 3.5 : 5;
    const states = { ready: colour("--accent"), learning: colour("--second") };
    const groups = Array.from({ length: GROUPS + 1 }, (_, number) => colour(`--group-${number}`));
    const painted = (at) => (this.#by === "state" ? (states[state[at]] ?? states.ready) : groups[painting(group[at])]);
    // Opacity compares people with each other: from the least certain to the most certain one.
    const [least, most] = doubt.reduce(([a, b], d) => [Math.min(a, d), Math.max(b, d)], [1, 0]);
    const sure = (at) => (most - least > 0.02 ? (most - doubt[at]) / (most - least) : 0.6);
    for (const [at, [px, py]] of this.#places.entries()) {
      pen.globalAlpha = 0.2 + 0.75 * sure(at);
      pen.fillStyle = pen.strokeStyle = painted(at);
      if (moved) {
        pen.beginPath();
        pen.moveTo(...place(beforeX[at], beforeY[at]));
        pen.lineTo(px, py);
        pen.stroke();
      }
      pen.beginPath();
      sign(pen, this.#by === "state" ? 0 : signed(group[at]), px, py, moved ? 0.75 * size : size);
      pen.fill();
    }
    pen.globalAlpha = 1;
    if (this.#chosen < 0) return;
    const [px, py] = this.#places[this.#chosen];
    pen.strokeStyle = colour("--ink");
    pen.lineWidth = 2.5;
    pen.beginPath();
    pen.arc(px, py, size + 4, 0, 2 * Math.PI);
    pen.stroke();
  }
}

/** The middle of some values and how far they go from it; without an origin that means something, their own. */
function extent(values, axes) {
  const [least, most] = values.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [Infinity, -Infinity]);
  const middle = axes ? 0 : (least + most) / 2;
  return [middle, Math.max(most - middle, middle - least, 1e-9)];
}

const named = (group) => (group === 0 ? "the rest" : `group ${group}`);
const painting = (group) => (group === 0 ? 0 : ((group - 1) % GROUPS) + 1);
const signed = (group) => (group === 0 ? SIGNS : (group - 1) % SIGNS);

/** A disc, a square, a triangle, a diamond or a cross of about the same area. */
function sign(pen, kind, x, y, size) {
  if (kind === 0) {
    pen.arc(x, y, size, 0, 2 * Math.PI);
  } else if (kind === 1) {
    const half = 0.9 * size;
    pen.rect(x - half, y - half, 2 * half, 2 * half);
  } else if (kind === 2) {
    pen.moveTo(x, y - 1.35 * size);
    pen.lineTo(x + 1.2 * size, y + 0.8 * size);
    pen.lineTo(x - 1.2 * size, y + 0.8 * size);
  } else if (kind === SIGNS) {
    const [long, thick] = [1.2 * size, 0.4 * size];
    pen.rect(x - long, y - thick, 2 * long, 2 * thick);
    pen.rect(x - thick, y - long, 2 * thick, 2 * long);
  } else {
    const half = 1.3 * size;
    pen.moveTo(x, y - half);
    pen.lineTo(x + half, y);
    pen.lineTo(x, y + half);
    pen.lineTo(x - half, y);
  }
}
