// What was learned, in plain words: what the answers agree on, and what sets somebody apart.

import { show } from "./markdown.js";

const EVEN = 0.55; // up to here a pair shows nothing of a preference

const $ = (id) => document.getElementById(id);

/** Fill the result section; `onDoubt` is called with what a line is about. */
export function draw(found, { onDoubt }) {
  const tendencies = found.tendencies.map((one) => ({
    title: one.words,
    examples: one.examples.map((pair) => ({ ...pair, verb: "You took" })),
    about: { trait: one.trait },
  }));
  const telling = found.directions
    .map((one) => ({ ...one, examples: one.examples.filter((pair) => pair.preferred && pair.p > EVEN) }))
    .filter((one) => one.examples.length > 0);
  const directions = telling.map((one) => ({
    title: `${one.certainty > 0.95 ? "Very likely" : "Probably"} you would rather take answers like these`,
    examples: one.examples.map((pair) => ({
      ...pair,
      verb: "You would take",
      odds: `${percent(pair.p)} of the time; people in general ${percent(pair.population_p)}.`,
    })),
    about: { direction: one.index },
  }));
  const lines = [...tendencies, ...directions];
  const n = found.answers;
  $("result-lead").textContent =
    `From ${n} ${n === 1 ? "answer" : "answers"} we expect to name the one you prefer in about ` +
    `${Math.round(100 * found.confidence)} of 100 such pairs.` +
    (lines.length ? "" : " Nothing sets you apart from other people yet.");
  $("lines").replaceChildren(...lines.map((line) => item(line, onDoubt)));
  $("result-note").textContent = found.repeated
    ? `We asked ${found.repeated === 1 ? "one pair" : `${found.repeated} pairs`} twice, sides swapped: ` +
      `you answered ${found.consistent} of ${found.repeated} the same.`
    : "";
}

function item(line, onDoubt) {
  const wrong = make("button", "link", "This is wrong");
  wrong.type = "button";
  wrong.setAttribute("aria-label", `This is wrong: ${line.title}`);
  wrong.addEventListener("click", () => onDoubt(line.about));
  const head = make("div", "line-head");
  head.append(make("h2", "", line.title), wrong);
  const examples = make("ul", "examples");
  examples.append(...line.examples.map(example));
  const whole = make("li", "line");
  whole.append(head, examples);
  return whole;
}

function example(pair) {
  const whole = make("li", "example");
  if (pair.prompt) {
    const prompt = make("div", "asked text");
    prompt.dir = "auto";
    show(prompt, short(pair.prompt, 160));
    whole.append(prompt);
  }
  const both = make("div", "both");
  both.append(side(pair.verb, pair.preferred, "taken"), side("over", pair.other, "left-out"));
  whole.append(both);
  if (pair.odds) whole.append(make("p", "odds", pair.odds));
  return whole;
}

function side(label, text, style) {
  const whole = make("div", style);
  const quote = make("div", "text");
  quote.dir = "auto";
  show(quote, short(text, 320));
  whole.append(make("p", "label", label), quote);
  return whole;
}

function make(name, style, text = "") {
  const made = document.createElement(name);
  if (style) made.className = style;
  if (text) made.textContent = text;
  return made;
}

function percent(p) {
  return `${Math.round(100 * p)} %`;
}

function short(text, most) {
  return text.length <= most ? text : `${text.slice(0, most - 1).trimEnd()}…`;
}
