// The operator pages: tables and a map of what the service holds.
//
// The key is kept in sessionStorage: it goes when the tab is closed and is sent only where this
// module sends it. A cookie would be sent by the browser with every request to this origin, those
// that other sites provoke among them, and would need a session on the server. What speaks against
// sessionStorage, that scripts can read it, is met by the policy of the page: no script but the
// files of this service runs here, and none of them turns a text into markup.

import { PeopleMap } from "./map.js";

const KEY = "gustibus admin key";
const $ = (id) => document.getElementById(id);
const views = { overview, people, questions, comparisons, models };
const number = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
let map = null;

async function ask(path, query = {}) {
  const known = Object.entries(query).filter(([, value]) => value);
  const search = known.length ? `?${new URLSearchParams(known)}` : "";
  const reply = await fetch(`/v1/admin/${path}${search}`, {
    headers: { Authorization: `Bearer ${sessionStorage.getItem(KEY)}` },
    cache: "no-store", credentials: "omit", redirect: "error",
  });
  const body = await reply.json();
  if (reply.ok) return body;
  if (reply.status === 401 || (reply.status === 403 && path === "overview")) sessionStorage.removeItem(KEY);
  throw new Error(body.detail ?? `status ${reply.status}`);
}

function make(name, text = "", style = "") {
  const made = document.createElement(name);
  if (style) made.className = style;
  made.textContent = text;
  return made;
}

/** Fill a table: columns are [title, value of a row, whether it is a number]. */
function fill(table, caption, columns, rows, { append = false } = {}) {
  if (!append) {
    const head = make("tr");
    for (const [title, , right] of columns) {
      const cell = make("th", title, right ? "right" : "");
      cell.scope = "col";
      head.append(cell);
    }
    table.replaceChildren(make("caption", caption), make("thead"), make("tbody"));
    table.tHead.append(head);
  }
  for (const row of rows) {
    const line = make("tr");
    for (const [, value, right] of columns) {
      const shown = value(row);
      const cell = make("td", shown === null || shown === "" ? "–" : shown, right ? "right" : "");
      if (!right) cell.dir = "auto";
      line.append(cell);
    }
    table.tBodies[0].append(line);
  }
  if (!append && rows.length === 0) {
    const cell = make("td", "Nothing here yet.", "empty");
    cell.colSpan = columns.length;
    const line = make("tr");
    line.append(cell);
    table.tBodies[0].append(line);
  }
}

const count = (value) => number.format(value);
const ms = (value) => (value === null ? "slower" : `${number.format(value)} ms`);
const share = (value) => (value === null ? null : `${number.format(100 * value)} %`);
const short = (text, most = 140) =>
  !text || text.length <= most ? (text ?? "") : `${text.slice(0, most - 1).trimEnd()}…`;

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
  map.show(found);
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
  return page("questions", "question-table", "Questions of the pool", QUESTION, $("more-questions"), {});
}

const COMPARISON = [
  ["When", (row) => row.created_at.slice(0, 16).replace("T", " ")], ["Person", (row) => row.user],
  ["Prompt", (row) => short(row.prompt)], ["a", (row) => row.a.id ?? short(row.a.text, 90)],
  ["b", (row) => row.b.id ?? short(row.b.text, 90)], ["Outcome", (row) => row.outcome],
  ["Source", (row) => row.source ?? ""],
]; // prettier-ignore

function comparisons() {
  const query = Object.fromEntries(new FormData($("filter")));
  return page("comparisons", "comparison-table", "Comparisons", COMPARISON, $("more-comparisons"), query);
}

/** The first page of a list, and a button for the next. */
async function page(path, table, caption, columns, more, query) {
  const turn = async (after) => {
    const found = await ask(path, { ...query, limit: 50, after });
    fill($(table), caption, columns, found.data, { append: after !== "" });
    more.hidden = !found.has_more;
    more.onclick = () => turn(found.next).catch(trouble);
  };
  await turn("");
}

async function models() {
  const found = await ask("models");
  $("cards").replaceChildren(...found.data.map((model) => {
    const whole = make("article", "", "line");
    const facts = make("p", `${model.family}; people differ along ${model.user_dim} directions; trained on `
      + `${count(model.people)} people; ${count(model.questions)} questions; a person counts as well known from `
      + `${model.min_comparisons} answers on.`);
    const card = make("pre", JSON.stringify(model.card, null, 2));
    card.tabIndex = 0;
    const more = make("details");
    more.append(make("summary", "Card"), card);
    whole.append(make("h2", model.id), facts, make("p", `Digest ${model.digest}`, "note"), more);
    return whole;
  }));
}

function trouble(error) {
  $("status").textContent = error instanceof TypeError ? "The service cannot be reached." : error.message;
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
  $("status").textContent = "";
  document.title = `gustibus: ${name}`;
  await views[name]();
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
  $("filter").addEventListener("submit", (event) => {
    event.preventDefault();
    comparisons().catch(trouble);
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
