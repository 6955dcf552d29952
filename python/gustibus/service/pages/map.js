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
    this.#found = found;
    this.#chosen = -1;
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
    const drawn = [...new Set(this.#found.group)].sort((a, b) => a - b);
    return drawn.map((group) => [`group-${group}`, `group ${group}`]);
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
    const group = this.#found !== null && this.#found.groups > 1 ? `, group ${this.#found.group[at]}` : "";
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
    const { x, y, doubt, state, group } = this.#found;
    // One scale for both axes: a distance means the same in every direction.
    const far = x.reduce((most, value, at) => Math.max(most, Math.abs(value), Math.abs(y[at])), 1e-9);
    const unit = (Math.min(width, height) / 2 - MARGIN) / far;
    this.#places = x.map((value, at) => [width / 2 + value * unit, height / 2 - y[at] * unit]);
    pen.strokeStyle = colour("--edge");
    pen.beginPath();
    pen.moveTo(0, height / 2);
    pen.lineTo(width, height / 2);
    pen.moveTo(width / 2, 0);
    pen.lineTo(width / 2, height);
    pen.stroke();
    const size = x.length > 5000 ? 2 : x.length > 500 ? 3.5 : 5;
    const states = { ready: colour("--accent"), learning: colour("--second") };
    const groups = Array.from({ length: GROUPS }, (_, place) => colour(`--group-${place + 1}`));
    const painted = (at) => (this.#by === "state" ? states[state[at]] : groups[(group[at] - 1) % GROUPS]);
    // Opacity compares people with each other: from the least certain to the most certain one.
    const [least, most] = doubt.reduce(([a, b], d) => [Math.min(a, d), Math.max(b, d)], [1, 0]);
    const sure = (at) => (most - least > 0.02 ? (most - doubt[at]) / (most - least) : 0.6);
    for (const [at, [px, py]] of this.#places.entries()) {
      pen.globalAlpha = 0.2 + 0.75 * sure(at);
      pen.fillStyle = painted(at);
      pen.beginPath();
      sign(pen, this.#by === "state" ? 0 : (group[at] - 1) % SIGNS, px, py, size);
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

/** A disc, a square, a triangle or a diamond of about the same area. */
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
  } else {
    const half = 1.3 * size;
    pen.moveTo(x, y - half);
    pen.lineTo(x + half, y);
    pen.lineTo(x, y + half);
    pen.lineTo(x - half, y);
  }
}
