// What was learned, in plain words: what the answers agree on, and what sets somebody apart.

import { show } from "./markdown.js";

const EVEN = 0.55; // up to here a pair shows nothing of a preference

const $ = (id) => document.getElementById(id);

/** Fill the result section; `onDoubt` is called with what a line is about. */
export function draw(found, { words, texts, onDoubt }) {
  const tendencies = found.tendencies.map((one) => ({
    title: words.tendency(one),
    examples: one.examples.map((pair) => ({ ...pair, verb: words.took })),
    about: { trait: one.trait },
  }));
  const telling = found.directions
    .map((one) => ({ ...one, examples: one.examples.filter((pair) => pair.preferred && pair.p > EVEN) }))
    .filter((one) => one.examples.length > 0);
  const directions = telling.map((one) => ({
    title: words.direction(one.certainty > 0.95),
    examples: one.examples.map((pair) => ({
      ...pair,
      verb: words.wouldTake,
      odds: words.odds(percent(pair.p), percent(pair.population_p)),
    })),
    about: { direction: one.index },
  }));
  const lines = [...tendencies, ...directions];
  const right = words.lead(found.answers, Math.round(100 * found.confidence));
  $("result-lead").textContent = lines.length ? right : `${right} ${words.alike}`;
  $("lines").replaceChildren(...lines.map((line) => item(line, { words, texts, onDoubt })));
  $("result-note").textContent = found.repeated ? words.repeated(found.repeated, found.consistent) : "";
}

function item(line, { words, texts, onDoubt }) {
  const wrong = make("button", "link", words.wrong);
  wrong.type = "button";
  wrong.setAttribute("aria-label", `${words.wrong}: ${line.title}`);
  wrong.addEventListener("click", () => onDoubt(line.about));
  const head = make("div", "line-head");
  head.append(make("h2", "", line.title), wrong);
  const examples = make("ul", "examples");
  examples.append(...line.examples.map((pair) => example(pair, words.over, texts)));
  const whole = make("li", "line");
  whole.append(head, examples);
  return whole;
}

function example(pair, over, texts) {
  const whole = make("li", "example");
  if (pair.prompt) {
    const prompt = quoted("asked text", pair.prompt, 160, texts);
    whole.append(prompt);
  }
  const both = make("div", "both");
  both.append(side(pair.verb, pair.preferred, "taken", texts), side(over, pair.other, "left-out", texts));
  whole.append(both);
  if (pair.odds) whole.append(make("p", "odds", pair.odds));
  return whole;
}

function side(label, text, style, texts) {
  const whole = make("div", style);
  whole.append(make("p", "label", label), quoted("text", text, 320, texts));
  return whole;
}

/** A text of a question, in the language of questions where that is known. */
function quoted(style, text, most, texts) {
  const quote = make("div", style);
  quote.dir = "auto";
  if (texts !== undefined) quote.lang = texts;
  show(quote, short(text, most));
  return quote;
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
