// The operator pages: tables and a map of what the service holds.

import { groups } from "./groups.js";
import { audit, jobs, models, usage } from "./operating.js";
import { $, KEY, ask, count, download, fill, list, make, number, share, short, tell, when } from "./parts.js";
import { listen as listenToPeople, people } from "./people.js";

const views = {
  overview, people: () => people(trouble), groups, questions, comparisons, models: () => models(trouble),
  jobs: () => jobs(trouble), usage: () => usage(trouble), audit: () => audit(trouble),
}; // prettier-ignore
const LOADING = "One moment …";

const ms = (value) => (value === null ? "slower" : `${number.format(value)} ms`);

async function overview() {
  const found = await ask("overview");
  const work = found.jobs;
  const tiles = [
    ["Model", found.model ?? "none"], ["Version", found.version],
    ["People", count(found.people), `${count(found.people_answered)} have answered`],
    ["Comparisons", count(found.comparisons)], ["Items", count(found.items)],
    ["Onboarding", count((found.sessions.open ?? 0) + (found.sessions.finished ?? 0)),
      `${count(found.sessions.open ?? 0)} open, ${count(found.sessions.finished ?? 0)} finished`],
    ["Requests", count(found.requests), `${count(found.in_flight)} in flight`],
    ["Errors", count(found.failed), `${count(found.refused)} refused`],
    ["Fits waiting", count(found.refits_waiting), `${count(found.refit_failures)} failed`],
    ["Jobs", count(work.queued ?? 0) + " queued", `${count(work.running ?? 0)} running, ${count(work.failed ?? 0)} failed`, "#jobs"],
    ["Up for", duration(found.uptime_seconds), found.workers > 1 ? `one of ${found.workers} processes` : ""],
  ]; // prettier-ignore
  $("tiles").replaceChildren(...tiles.map(tile));
  $("totals-age").textContent = age("Items, comparisons, onboarding and jobs", found);
  fill($("traffic"), "Replies by route; times are of this process", [
    ["Route", (row) => `${row.method} ${row.route}`],
    ["Replies", (row) => count(row.requests), true],
    ["Refused", (row) => count(row.refused), true],
    ["Failed", (row) => count(row.failed), true],
    ["Mean", (row) => ms(row.mean_ms), true],
    ["Median ≤", (row) => ms(row.median_ms), true],
    ["99 % ≤", (row) => ms(row.p99_ms), true],
  ], found.routes);
}

function tile([title, value, more, target]) {
  const whole = make("div");
  const shown = make("dd", target ? "" : value, "value");
  if (target) {
    const link = make("a", value);
    link.href = target;
    shown.append(link);
  }
  whole.append(make("dt", title), shown);
  if (more) whole.append(make("dd", more));
  return whole;
}

// What a large store takes long to count is not counted at every look.
function age(what, found) {
  return found.counted_seconds_ago < 1 ? "" : `${what} were counted ${duration(found.counted_seconds_ago)} ago.`;
}

function duration(seconds) {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${number.format(seconds / 3600)} h`;
}

const QUESTION = [
  ["Prompt", (row) => short(row.prompt)], ["One answer", (row) => short(row.a, 90)],
  ["The other", (row) => short(row.b, 90)],
  ["Information", (row) => `${row.information.toFixed(3)} nats`, true],
  ["People", (row) => (row.held_out ? "held out" : count(row.people)), true],
  ["Skipped", (row) => share(row.skip_rate), true],
  ["Both bad", (row) => share(row.both_bad_rate), true],
  ["Same", (row) => share(row.tie_rate), true],
  ["Time", (row) => (row.seconds === null ? null : `${number.format(row.seconds)} s`), true],
]; // prettier-ignore

function questions() {
  const read = async (place) => {
    const found = await ask("questions", place);
    $("question-age").textContent = age("People and answers", found);
    return found;
  };
  return list(read, "question-table", "Questions of the pool", QUESTION, $("more-questions"), trouble);
}

const COMPARISON = [
  ["When", (row) => when(row.created_at)], ["Person", (row) => row.user],
  ["Prompt", (row) => short(row.prompt)], ["a", (row) => row.a.id ?? short(row.a.text, 90)],
  ["b", (row) => row.b.id ?? short(row.b.text, 90)], ["Outcome", (row) => row.outcome],
  ["Source", (row) => row.source ?? ""],
]; // prettier-ignore

function comparisons() {
  const query = Object.fromEntries(new FormData($("filter")));
  const read = (place) => ask("comparisons", { ...query, ...place });
  return list(read, "comparison-table", "Comparisons", COMPARISON, $("more-comparisons"), trouble);
}

function trouble(error) {
  tell(error instanceof TypeError ? "The service cannot be reached." : error.message);
  if (sessionStorage.getItem(KEY) === null) enter();
}

async function enter() {
  const inside = sessionStorage.getItem(KEY) !== null;
  const name = location.hash.slice(1) in views ? location.hash.slice(1) : "overview";
  $("nav").hidden = $("leave").hidden = !inside;
  for (const section of document.querySelectorAll("main > section")) {
    section.hidden = section.id !== (inside ? name : "door");
  }
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (!inside) return $("key").focus();
  tell("");
  document.title = `gustibus: ${name}`;
  const patience = setTimeout(() => tell(LOADING), 400); // what is quick is not announced
  try {
    await views[name]();
  } finally {
    clearTimeout(patience);
    if ($("status").textContent === LOADING) tell("");
  }
}

function listen() {
  const go = () => enter().catch(trouble);
  window.addEventListener("hashchange", go);
  $("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem(KEY, $("key").value.trim());
    $("key").value = "";
    go();
  });
  $("leave").addEventListener("click", () => {
    sessionStorage.removeItem(KEY);
    location.reload(); // nothing that was shown stays in the page
  });
  for (const form of document.querySelectorAll("form[data-view]")) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      tell("");
      views[form.dataset.view]().catch(trouble);
    });
  }
  listenToPeople();
  for (const save of document.querySelectorAll("button[data-save]")) {
    const name = `comparisons.${save.dataset.save}`;
    save.addEventListener("click", () => {
      download(name, Object.fromEntries(new FormData($("filter"))), name).catch(trouble);
    });
  }
  go();
}

listen();
