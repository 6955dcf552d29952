// The compare page: two answers to one prompt, and which of them somebody prefers.

import { first, Refused, session } from "./client.js";
import { show } from "./markdown.js";

const GUARD = 400; // milliseconds in which a new pair takes no answer: it was meant for the last one
const SECONDS = 12; // that a pair takes, about
const LONG_PROMPT = 0.45; // of the height of a narrow screen: from here on a question is cut
const KEYS = {
  1: "left", ArrowLeft: "left", 2: "right", ArrowRight: "right", 3: "tie", t: "tie",
  4: "both_bad", b: "both_bad", s: "skip",
}; // prettier-ignore

/** What the page says by itself; a translation has the same entries, and those of `data-word` in the page. */
const ENGLISH = {
  title: "Which do you prefer?",
  result: "What your answers say",
  unreachable: "The service cannot be reached. Trying again; please keep this page open.",
  expired: ["This link has expired", "Your answers are kept. Ask where you got the link for a new one."],
  nothing: ["There is nothing here", "These questions were deleted, or the link is incomplete."],
  restricted: ["Nothing is asked now", "Your answers are kept, and are not used at present."],
  ended: ["These questions are over", ""], // then the service says why
  failed: ["Something went wrong", ""],
  deleted: ["Deleted", "Your answers, and what was learned from them, are gone. You can close this page."],
  progress: (done, left) => (left > 0 ? `${done} answered, about ${left} to go` : `${done} answered, almost done`),
  empty: "(This answer has no text.)",
  whole: "Show the whole question",
  less: "Show less of the question",
  undone: "Undone. Choose again.",
  doubt: "One more pair about that.",
  certain: "There is no other pair that would tell.",
  welcome: "Welcome back: your answers are still here.",
  sureRestart: ["Start over?", "The answers that you gave here are forgotten.", "Start over"],
  sureDelete: [
    "Delete your answers?",
    "The pairs you saw here and your choices are removed for good, and what was learned from them.",
    "Delete",
  ],
  duration: (left, max, minutes) => {
    const time = minutes === 1 ? "a minute" : `${minutes} minutes`;
    const pairs = left < max ? `About ${left} pairs and ${time}, never more than ${max} pairs.` : `${max} pairs, about ${time}.`;
    return `${pairs} You can stop after two.`;
  },
  tendency: (one) => one.words,
  direction: (sure) => `${sure ? "Very likely" : "Probably"} you would rather take answers like these`,
  took: "You took",
  wouldTake: "You would take",
  over: "over",
  odds: (p, others) => `${p} of the time; people in general ${others}.`,
  lead: (n, right) =>
    `From ${n} ${n === 1 ? "answer" : "answers"} we expect to name the one you prefer in about ${right} of 100 such pairs.`,
  alike: "Nothing sets you apart from other people yet.",
  repeated: (n, same) =>
    `We asked ${n === 1 ? "one pair" : `${n} pairs`} twice, sides swapped: you answered ${same} of ${n} the same.`,
  wrong: "This is wrong",
};
const TRANSLATED = ["de", "fr"]; // each a module words-*.js

const $ = (id) => document.getElementById(id);
const choices = [...document.querySelectorAll("[data-answer]")];
const bar = document.querySelector("progress");
const narrow = matchMedia("(max-width: 719.98px)");

let words = ENGLISH;
let texts; // in which language questions are, where that is known
let back; // where the result links to

let asked = null; // the question that is shown
let ahead = {}; // what comes after each answer to it, as far as that is known
let answered = 0;
let shownAt = Infinity;
let waiting = 0; // answers that are not saved yet
let saving = Promise.resolve(); // they are saved in order

function view(name) {
  for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== name;
  $("progress").hidden = name !== "ask" || asked?.reason === "doubt";
}

function say(text) {
  $("status").textContent = text;
}

function trouble(yes) {
  document.body.classList.toggle("trouble", yes);
  if (yes) say(words.unreachable);
  else if ($("status").textContent === words.unreachable) say("");
}

function message([title, text]) {
  asked = null;
  document.title = title;
  $("message-title").textContent = title;
  $("message-text").textContent = text;
  view("message");
  $("message-title").focus();
}

/** What to show when the service refuses. */
function refused(error) {
  if (!(error instanceof Refused)) throw error;
  if (error.status === 401) {
    message(words.expired);
  } else if (error.status === 404) {
    message(words.nothing);
  } else if (error.code === "restricted") {
    message(words.restricted);
  } else {
    const [title, text] = error.status === 410 ? words.ended : words.failed;
    message([title, text || error.message]);
  }
}

function progress(reply) {
  const { answered: done, expected_remaining: left } = reply.progress;
  answered = done;
  $("progress-text").textContent = words.progress(done, left);
  $("undo").disabled = done === 0 || reply.state !== "open";
  $("stop").hidden = done < 2 || reply.state !== "open";
  // The estimate of what is left may rise; the bar never moves backwards for it.
  const key = `bar ${session.id}`;
  const before = done === 0 && reply.question?.seq === 0 ? 0 : Number(sessionStorage.getItem(key));
  bar.value = Math.max(before, done / Math.max(done + left, 1));
  sessionStorage.setItem(key, String(bar.value));
}

function display(question) {
  asked = question;
  ahead = {};
  document.title = words.title;
  show($("prompt-text"), question.prompt);
  $("prompt-text").hidden = question.prompt === "";
  for (const side of ["left", "right"]) {
    show($(`text-${side}`), question[side].text.trim() ? question[side].text : words.empty);
    $(`card-${side}`).scrollTop = 0;
  }
  for (const choice of choices) choice.setAttribute("aria-checked", "false");
  $("ask").classList.remove("held");
  $("prompt").scrollTop = 0;
  window.scrollTo(0, 0);
  view("ask");
  fold();
  $("prompt").focus({ preventScroll: true });
  restart($("ask"), "fresh");
  shownAt = performance.now();
}

/** On a narrow screen, where things are below each other: cut a long question, and lead from answer to answer. */
function fold({ open = false } = {}) {
  const long = (element, share) => narrow.matches && element.scrollHeight > share * window.innerHeight;
  $("prompt").classList.remove("cut");
  const cut = long($("prompt-text"), LONG_PROMPT);
  $("prompt").classList.toggle("cut", cut && !open);
  $("whole").hidden = !cut;
  $("whole").setAttribute("aria-expanded", String(open));
  $("whole").textContent = open ? words.less : words.whole;
  document.querySelector(".pair").classList.toggle("long", long(document.querySelector(".pair"), 1));
}

/** Play an animation again. */
function restart(element, name) {
  element.classList.remove(name);
  void element.offsetWidth;
  element.classList.add(name);
}

/** Show what a reply says is next. */
async function follow(reply) {
  progress(reply);
  if (reply.question === null) {
    if (reply.state === "finished") await finished();
    return;
  }
  if (asked === null || asked.seq !== reply.question.seq || asked.id !== reply.question.id) {
    display(reply.question);
  }
  if (reply.state !== "open") return;
  if (reply.after) ahead = reply.after;
  else prefetch(reply.question);
}

async function prefetch(question) {
  const reply = await session.next(2);
  if (asked === question || (asked?.id === question.id && asked.seq === question.seq)) {
    if (waiting === 0) ahead = reply.after ?? {};
  }
}

function choose(answer) {
  const question = asked;
  if (question === null || $("ask").hidden || performance.now() - shownAt < GUARD) return;
  const ms = Math.round(performance.now() - shownAt);
  const next = ahead[answer];
  choices.find((c) => c.dataset.answer === answer).setAttribute("aria-checked", "true");
  shownAt = Infinity; // no second answer to this question
  say("");
  if (next) display(next);
  else $("ask").classList.add("held");
  waiting += 1;
  saving = saving.then(() => save(question, answer, ms)).catch(refused);
}

async function save(question, answer, ms) {
  let reply;
  try {
    reply = await session.answer(question, answer, ms);
  } catch (error) {
    // Another page has gone on with this session, or what was shown ahead was not what came.
    if (!(error instanceof Refused) || ![404, 409].includes(error.status)) throw error;
    reply = await session.next();
  } finally {
    waiting -= 1;
  }
  if (waiting === 0) await follow(reply);
}

async function undo() {
  if (asked === null || asked.seq === 0 || $("undo").disabled) return;
  $("undo").disabled = true;
  $("ask").classList.add("held");
  const seq = asked.seq - 1;
  saving = saving
    .then(async () => {
      asked = null;
      await follow(await session.undo(seq));
      say(words.undone);
    })
    .catch(refused);
  await saving;
}

async function stop() {
  await saving;
  await follow(await session.finish());
}

async function finished() {
  asked = null;
  const found = await session.result();
  const { draw } = await import("./result.js");
  document.title = words.result;
  draw(found, { words, texts, onDoubt: (line) => doubt(line).catch(refused) });
  lead(back);
  view("result");
  window.scrollTo(0, 0);
  $("result-title").focus();
}

async function doubt(line) {
  try {
    await follow(await session.doubt(line));
    say(words.doubt);
  } catch (error) {
    if (!(error instanceof Refused) || error.status !== 409) throw error;
    say(words.certain);
  }
}

/** A link back to whoever sent somebody here; the service has checked it, and no script is one. */
function lead(address) {
  const good = address !== undefined && /^https?:$/.test(new URL(address).protocol);
  $("continue").hidden = !good;
  if (good) $("continue").href = address;
}

/** Take on the language of a session, as far as the page knows it. */
async function speak({ locale, pool_locale: pool, return_url: address }) {
  back = address;
  if (locale === undefined) return;
  texts = pool === "*" ? "" : pool; // empty says that it is not known
  for (const id of ["prompt-text", "text-left", "text-right"]) $(id).lang = texts;
  const language = locale.split("-")[0].toLowerCase();
  if (language === "en") document.documentElement.lang = locale;
  if (!TRANSLATED.includes(language)) return;
  words = (await import(`./words-${language}.js`)).default;
  document.documentElement.lang = locale;
  document.title = words.title;
  for (const part of document.querySelectorAll("[data-word]")) part.textContent = words[part.dataset.word];
  for (const part of document.querySelectorAll("[data-label]")) {
    part.setAttribute("aria-label", words[part.dataset.label]);
  }
}

/** Ask before something that cannot be undone. */
function sure([title, text, yes]) {
  $("confirm-title").textContent = title;
  $("confirm-text").textContent = text;
  $("confirm-yes").textContent = yes;
  $("confirm").returnValue = "no";
  $("confirm").showModal();
  return new Promise((done) => {
    $("confirm").addEventListener("close", () => done($("confirm").returnValue === "yes"), { once: true });
  });
}

async function startOver() {
  if (!(await sure(words.sureRestart))) return;
  asked = null;
  await follow(await session.restart());
}

async function remove() {
  if (!(await sure(words.sureDelete))) return;
  await saving;
  await session.remove();
  message(words.deleted);
}

function shortcuts() {
  return localStorage.getItem("gustibus keys") !== "off";
}

function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.defaultPrevented) return;
  if (document.querySelector("dialog[open]") !== null || $("ask").hidden) return;
  const at = choices.indexOf(document.activeElement);
  if (at >= 0 && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
    const step = event.key === "ArrowDown" ? 1 : choices.length - 1;
    choices[(at + step) % choices.length].focus();
    event.preventDefault();
    return;
  }
  if (!shortcuts()) return;
  if (event.key.startsWith("Arrow") && event.target.closest?.(".grid")) return; // scrolls a table
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (key in KEYS) choose(KEYS[key]);
  else if (key === "z") undo();
  else if (key === "?") $("help").showModal();
  else return;
  event.preventDefault();
}

function listen() {
  const guard = (work) => () => Promise.resolve(work()).catch(refused);
  document.addEventListener("keydown", press);
  for (const choice of choices) choice.addEventListener("click", () => choose(choice.dataset.answer));
  for (const button of document.querySelectorAll("[data-delete]")) {
    button.addEventListener("click", guard(remove));
  }
  $("undo").addEventListener("click", guard(undo));
  $("stop").addEventListener("click", guard(stop));
  $("restart").addEventListener("click", guard(startOver));
  $("open-help").addEventListener("click", () => $("help").showModal());
  $("shortcuts").checked = shortcuts();
  document.body.classList.toggle("keyless", !shortcuts());
  $("shortcuts").addEventListener("change", (event) => {
    localStorage.setItem("gustibus keys", event.target.checked ? "on" : "off");
    document.body.classList.toggle("keyless", !event.target.checked);
  });
  const opened = () => $("whole").getAttribute("aria-expanded") === "true";
  $("whole").addEventListener("click", () => fold({ open: !opened() }));
  window.addEventListener("resize", () => fold({ open: opened() }));
  for (const button of document.querySelectorAll("[data-to]")) {
    button.addEventListener("click", () => {
      $(button.dataset.to).scrollIntoView();
      $(button.dataset.to).focus({ preventScroll: true });
    });
  }
  window.addEventListener("hashchange", () => location.reload());
}

async function begin() {
  if (session === null) {
    message([words.nothing[0], "The link is incomplete: it should end in a # and a long code."]);
    return;
  }
  session.onTrouble = trouble;
  listen();
  const reply = await first;
  await speak(reply);
  import("./result.js").catch(() => {}); // ahead of the last answer, and not in the way of the first question
  if (reply.state !== "open" || reply.progress.answered > 0) {
    await follow(reply);
    if (reply.state === "open") say(words.welcome);
    return;
  }
  const { expected_remaining: left, max } = reply.progress;
  const minutes = Math.max(1, Math.round((left * SECONDS) / 60));
  $("duration").textContent = words.duration(left, max, minutes);
  view("intro");
  $("start").addEventListener("click", () => {
    progress(reply);
    display(reply.question);
    ahead = reply.after ?? {};
  });
  $("start").focus({ preventScroll: true }); // Enter begins, and what it is about stays in sight
}

begin().catch(refused);
