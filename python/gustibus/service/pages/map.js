// People as points on a plane: colour by how well they are known, opacity by certainty.

const MARGIN = 28;
const REACH = 14; // pixels within which a click finds a point

export class PeopleMap {
  #canvas;
  #onChoose;
  #found = null;
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

  show(found) {
    this.#found = found;
    this.#chosen = -1;
    this.#draw();
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
    this.#canvas.title = at < 0 ? "" : `${this.#found.users[at]}: ${this.#found.comparisons[at]} answers`;
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
    const { x, y, doubt, state } = this.#found;
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
    const colours = { ready: colour("--accent"), learning: colour("--second") };
    // Opacity compares people with each other: from the least certain to the most certain one.
    const [least, most] = doubt.reduce(([a, b], d) => [Math.min(a, d), Math.max(b, d)], [1, 0]);
    const sure = (at) => (most - least > 0.02 ? (most - doubt[at]) / (most - least) : 0.6);
    for (const [at, [px, py]] of this.#places.entries()) {
      pen.globalAlpha = 0.2 + 0.75 * sure(at);
      pen.fillStyle = colours[state[at]];
      pen.beginPath();
      pen.arc(px, py, size, 0, 2 * Math.PI);
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
