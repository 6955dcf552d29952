// The operator pages: tables and a map of what the service holds.

import { groups } from "./groups.js";
import { PeopleMap } from "./map.js";
import { audit, jobs, models, usage } from "./operating.js";
import { $, KEY, ask, count, fill, list, make, number, share, short, tell, when } from "./parts.js";

const views = {
  overview, people, groups, questions, comparisons, models: () => models(trouble),
  jobs: () => jobs(trouble), usage: () => usage(trouble), audit: () => audit(trouble),
}; // prettier-ignore
const LOADING = "One moment …";
let map = null;

const ms = (value) => (value === null ? "slower" : `${number.format(value)} ms`);

async function overview() {
  const found = await ask("overview");
  const tiles = [
    ["Model", found.model ?? "none"], ["Version", found.version],
    ["People", count(found.people), `${count(found.people_answered)} have answered`],
    ["Comparisons", count(found.comparisons)], ["Items", count(found.items)],
    ["Onboarding", count((found.sessions.open ?? 0) + (found.sessions.finished ?? 0)),
      `${count(found.sessions.open ?? 0)} open, ${count(found.sessions.finished ?? 0)} finished`],
    ["Requests", count(found.requests), `${count(found.in_flight)} in flight`],
    ["Errors", count(found.failed), `${count(found.refused)} refused`],
    ["Fits waiting", count(found.refits_waiting), `${count(found.refit_failures)} failed`],
    ["Up for", duration(found.uptime_seconds), found.workers > 1 ? `one of ${found.workers} processes` : ""],
  ]; // prettier-ignore
  $("tiles").replaceChildren(...tiles.map(tile));
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

function tile([title, value, more]) {
  const whole = make("div");
  whole.append(make("dt", title), make("dd", value, "value"));
  if (more) whole.append(make("dd", more));
  return whole;
}

function duration(seconds) {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${number.format(seconds / 3600)} h`;
}

async function people() {
  const found = await ask("map");
  const [first, second] = found.explained.map((value) => Math.round(100 * value));
  const hidden = found.hidden ? ` ${count(found.hidden)} in groups of fewer than ten are not shown.` : "";
  $("map-note").textContent = found.users.length
    ? `${count(found.users.length)} of ${count(found.people)} people who have answered, on the two directions ` +
      `along which they differ most (${first} % and ${second} % of the variance).${hidden}`
    : `${count(found.people)} people have answered; groups of fewer than ten are not shown.`;
  map ??= new PeopleMap($("map"), (who) => person(who).catch(trouble));
  $("colour").hidden = found.groups < 2;
  map.show(found, found.groups < 2 ? "state" : $("by").value);
  legend();
}

/** What colours and signs mean, for those that are drawn. */
function legend() {
  const signs = map.signs.map(([style, text]) => {
    const whole = make("span", "", "named");
    whole.append(make("span", "", `dot ${style}`), ` ${text}`);
    return whole;
  });
  $("legend").replaceChildren(...signs, "the fainter, the less certain");
}

async function person(who) {
  const found = await ask(`people/${encodeURIComponent(who)}`);
  $("person-title").textContent = who;
  const facts = make("p", `${count(found.user.fitted_comparisons)} answers; ${found.information.toFixed(2)} nats learned; `
    + `state: ${found.user.state}.`);
  const table = make("table");
  const gap = (row) => (row.mean - row.population_mean) / Math.max(row.population_sd, 1e-12);
  const rows = [...found.directions].sort((a, b) => Math.abs(gap(b)) - Math.abs(gap(a))).slice(0, 8);
  fill(table, "Where they differ most from people in general", [
    ["Direction", (row) => String(row.index + 1)],
    ["Value", (row) => row.mean.toFixed(2), true],
    ["±", (row) => row.stderr.toFixed(2), true],
    ["Spreads off", (row) => gap(row).toFixed(1), true],
  ], rows);
  $("person").replaceChildren(facts, table);
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
  const read = (place) => ask("questions", place);
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
  $("by").addEventListener("change", () => {
    map.paint($("by").value);
    legend();
  });
  $("find").addEventListener("submit", (event) => {
    event.preventDefault();
    const who = $("who").value.trim();
    if (!who) return;
    map?.choose(who);
    person(who).catch(trouble);
  });
  go();
}

listen();
