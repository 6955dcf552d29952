// Groups of people with like tastes: how large, how well foretold, and how sure rightly.

import { $, ask, count, fill, make, number, share } from "./parts.js";

const SVG = "http://www.w3.org/2000/svg";
const SIDE = 180; // of a curve, in its own units
const PAD = 26;

export async function groups() {
  const found = await ask("groups");
  $("groups-note").textContent = `${count(found.people)} people have answered. A person counts to the group of the model's `
    + "prior that most probably holds them. Accuracy: the later half of each person's answers, foretold from the earlier half; "
    + "everybody counts alike. A group of fewer than ten people is told together with others, as the rest.";
  fill($("group-table"), `Groups of ${found.model}, the worst foretold first`, [
    ["Group", (row) => mark(row)],
    ["Share", (row) => share(row.share), true],
    ["People", (row) => (row.people === null ? "fewer than 10" : count(row.people)), true],
    ["Answers each", (row) => (row.mean_comparisons === null ? null : number.format(row.mean_comparisons)), true],
    ["Tested", (row) => (row.tested === null ? null : count(row.tested)), true],
    ["Accuracy", (row) => accuracy(row), true],
    ["For everybody alike", (row) => share(row.accuracy_population), true],
    ["Calibration error", (row) => share(row.calibration_error), true],
  ], found.data); // prettier-ignore
  const curves = found.data.filter((row) => row.calibration.length > 0);
  $("curves").replaceChildren(...curves.map(curve));
  $("curves-title").hidden = curves.length === 0;
}

/** A group's name behind its sign on the map. */
function mark(row) {
  const whole = make("span", "", "named");
  whole.append(make("span", "", `dot group-${row.group}`), ` ${name(row)}`);
  return whole;
}

function name(row) {
  return row.group === 0 ? `The rest (${row.members.join(", ")})` : `Group ${row.group}`;
}

function accuracy(row) {
  return row.accuracy === null ? null : `${share(row.accuracy)} ± ${number.format(100 * row.accuracy_stderr)}`;
}

/** How often the model is right when it is so sure: a line that should lie on the diagonal. */
function curve(row) {
  const figure = make("figure", "", "plot");
  const caption = make("figcaption");
  caption.append(mark(row));
  const picture = draw("svg", { viewBox: `0 0 ${SIDE + 2 * PAD} ${SIDE + 2 * PAD}`, role: "img" });
  const told = row.calibration.map((bin) => `${share(bin.confidence)} sure: ${share(bin.accuracy)} right`);
  picture.setAttribute("aria-label", `Calibration: ${name(row)}. ${told.join("; ")}.`);
  const at = (value) => PAD + SIDE * (2 * value - 1); // from 0.5 to 1
  const [left, low] = [PAD, PAD + SIDE];
  picture.append(
    draw("path", { d: `M${left} ${PAD}V${low}H${PAD + SIDE}`, class: "axis" }),
    draw("path", { d: `M${left} ${low}L${PAD + SIDE} ${PAD}`, class: "ideal" }),
  );
  // What is below one half is drawn on the edge; its number is in the label, and under the pointer.
  const points = row.calibration.map((bin) => [at(bin.confidence), SIDE + 2 * PAD - at(Math.max(bin.accuracy, 0.5))]);
  picture.append(draw("polyline", { points: points.join(" "), class: "line-of" }));
  const most = Math.max(...row.calibration.map((bin) => bin.answers));
  for (const [place, [x, y]] of points.entries()) {
    const radius = 2.5 + 4 * Math.sqrt(row.calibration[place].answers / most);
    const point = draw("circle", { cx: x, cy: y, r: radius, class: "point-of" });
    const title = draw("title", {});
    title.textContent = told[place];
    point.append(title);
    picture.append(point);
  }
  for (const [x, y, text, anchor] of [
    [left, low + 17, "50 % sure", "start"], [PAD + SIDE, low + 17, "100 %", "end"],
    [left, PAD - 9, "100 % right", "start"],
  ]) {
    const label = draw("text", { x, y, "text-anchor": anchor });
    label.textContent = text;
    picture.append(label);
  } // prettier-ignore
  figure.append(caption, picture);
  return figure;
}

function draw(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
