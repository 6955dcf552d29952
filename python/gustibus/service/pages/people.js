// People on a map: where they are, how they moved since another version, who their neighbours are.

import { PeopleMap } from "./map.js";
import { $, ask, button, count, download, fill, list, make, send, tell, when } from "./parts.js";

const LOOK = 2000; // milliseconds between looks at a map that is being made
const MOST = 12; // moves that are listed
const VIEWS = { plane, moves, neighbours };
const percent = (value) => `${Math.round(100 * value)}\u00a0%`;

let map = null;
let base = null; // people on their main directions, whom every view takes the rest from
let visit = 0; // counts what was asked to be shown, so that a late reply is not
let failed = null;

/** The page; `trouble` shows what goes wrong. */
export async function people(trouble) {
  failed = trouble;
  const mine = (visit += 1);
  const [found, model, versions] = await Promise.all([
    ask("map"), ask("models/default"), ask("models/default/versions", { limit: 1000 }),
  ]);
  if (mine !== visit) return;
  base = found;
  map ??= new PeopleMap($("map"), choose);
  offer(versions.data.filter((row) => row.id !== model.serving).reverse());
  colours();
  await quarantine();
  await VIEWS[$("view").value](mine);
}

const SIGNS = {
  repeats: "answers otherwise when asked again", fast: "too fast to have read", side: "always the same side",
  information: "like a coin", crowd: "one of many alike from one key",
};

/** People whose answers look like nobody's, each with a button that gives them back. */
async function quarantine() {
  const columns = [
    ["Person", (row) => button(row.id, `Show ${row.id}`, () => choose(row.id))],
    ["Why", (row) => row.signals.map((name) => SIGNS[name] ?? name).join("; ")],
    ["Answers", (row) => count(row.comparisons), true],
    ["Change", (row) => button("Release", `Release ${row.id}`, () => release(row.id).catch(failed))],
  ];
  const read = (place) => ask("people", { state: "quarantined", ...place });
  await list(read, "held-table", "People in quarantine, by name", columns, $("more-held"), failed);
  $("held").hidden = $("held-table").querySelector("button") === null;
}

async function release(who) {
  await send("POST", `/v1/users/${encodeURIComponent(who)}:release`, { body: {} });
  tell(`${who} is no longer in quarantine.`);
  await quarantine();
}

/** Versions to compare with, the newest first; the choice stays where it is still there. */
function offer(others) {
  const chosen = $("before").value;
  $("before").replaceChildren(...others.map((row) => {
    const option = make("option", row.id);
    option.value = row.version;
    return option;
  }));
  if (others.some((row) => String(row.version) === chosen)) $("before").value = chosen;
}

function colours() {
  const choices = [base.groups > 1, base.state.length > 0];
  $("colour").hidden = !choices.every(Boolean);
  if (choices[0] !== choices[1]) $("by").value = choices[0] ? "group" : "state";
}

async function plane() {
  const [first, second] = base.explained.map(percent);
  note(base.users.length
    ? `${count(base.users.length)} of ${count(base.people)} people who have answered, on the two directions `
      + `along which they differ most (${first} and ${second} of the variance).${missing()}`
    : nobody());
  only("save");
  draw(base);
}

function nobody() {
  return `${count(base.people)} people have answered; groups of fewer than ten are not drawn.`;
}

function missing() {
  return base.hidden ? ` ${count(base.hidden)} are not drawn, so that no group of fewer than ten shows.` : "";
}

async function moves(mine) {
  if ($("before").options.length === 0) {
    note("Only one version is registered, so there is nothing to compare with yet. "
      + "Once a second one is promoted, this shows how far it has moved everybody.");
    only();
    return draw(null);
  }
  const found = await ask("map/moves", { before: $("before").value });
  if (mine !== visit) return undefined;
  if (found.users.length === 0) {
    note(`Fewer than ten people are on the maps of both ${found.before} and ${found.model}, too few to show moves.`);
    only("versions");
    return draw(null);
  }
  const away = (value) => (found.spread > 0 ? (value / found.spread).toFixed(2) : "0");
  note(`${count(found.users.length)} people, each with a line from where ${found.before} has them to where ${found.model} has them. `
    + `Its map is turned and scaled onto this one (Procrustes); the two agree by ${percent(found.agreement)}. Half of the people `
    + `moved less than ${away(found.median)} of the map's spread, nobody more than ${away(found.largest)}.`
    + (found.without ? ` ${count(found.without)} people have no place in ${found.before}.` : ""));
  only("versions", "moved");
  const order = found.distance.map((_, at) => at).sort((a, b) => found.distance[b] - found.distance[a]);
  fill($("move-table"), "Who moved most, in spreads of the map", [
    ["Person", (at) => button(found.users[at], `Show ${found.users[at]}`, () => choose(found.users[at]))],
    ["Moved", (at) => away(found.distance[at]), true],
    ["Along the first", (at) => away(found.x[at] - found.before_x[at]), true],
    ["Along the second", (at) => away(found.y[at] - found.before_y[at]), true],
    ["Group", (at) => (base.groups > 1 ? named(found.group[at]) : null)],
  ], order.slice(0, MOST)); // prettier-ignore
  return draw(found);
}

const named = (group) => (group === 0 ? "other" : String(group));

async function neighbours(mine) {
  const found = await ask("map/neighbours");
  if (mine !== visit) return;
  only("made");
  const busy = found.state === "queued" || found.state === "running";
  $("make").hidden = busy;
  $("make").textContent = found.users.length ? "Make it again" : "Make this map";
  const made = when(found.made_at);
  $("made-state").replaceChildren(...said(found, made));
  note("People who are alike are close (t-SNE). How far crowds are from each other, and the axes, mean nothing. "
    + `${found.users.length ? count(found.users.length) : "No"} people are placed`
    + (found.without ? `; ${count(found.without)} came later.` : ".") + missing());
  draw(found.users.length ? { ...found, axes: false } : null);
  if (busy) setTimeout(() => again(mine), LOOK);
}

/** What has become of the map of this version. */
function said(found, made) {
  if (found.state === "queued") return ["A worker will take it up soon."];
  if (found.state === "running") return ["It is being made; up to 20,000 people take a few minutes."];
  if (found.state === "failed") return [make("strong", "It failed: "), found.error ?? "", made ? " The one before is shown." : ""];
  if (found.state === "ready") return [`Ready for ${found.model}, made `, made, "."];
  return ["It has not been made for this version yet. A worker makes it; the key needs the scope ", make("code", "jobs"),
    ", and the worker ", make("code", "pip install 'gustibus[maps]'"), "."];
}

function again(mine) {
  if (mine !== visit || location.hash !== "#people") return;
  neighbours(mine).catch(failed);
}

async function begin() {
  const key = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16)).join("");
  await send("POST", "/v1/jobs", { body: { kind: "map_neighbours" }, key });
  $("make").hidden = true;
  await neighbours((visit += 1));
}

/** Show those of the parts that belong to a view. */
function only(...shown) {
  for (const id of ["versions", "moved", "made", "save"]) $(`map-${id}`).hidden = !shown.includes(id);
}

function note(text) {
  $("map-note").textContent = text;
}

/** Draw the people of a view with what the map knows of them. */
function draw(view) {
  $("map-whole").hidden = view === null;
  if (view === null) return;
  const known = new Map(base.users.map((user, at) => [user, at]));
  const rows = view.users.map((user, at) => [at, known.get(user)]).filter(([, there]) => there !== undefined);
  const of = (name) => (view[name] === undefined ? undefined : rows.map(([at]) => view[name][at]));
  const taken = (name) => (base[name].length ? rows.map(([, there]) => base[name][there]) : []);
  map.show({
    users: of("users"), x: of("x"), y: of("y"), beforeX: of("before_x"), beforeY: of("before_y"),
    doubt: taken("doubt"), comparisons: taken("comparisons"), state: taken("state"), group: taken("group"),
    groups: base.groups, axes: view.axes !== false,
  }, $("by").value); // prettier-ignore
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

function choose(who) {
  map?.choose(who);
  person(who).catch(failed);
}

async function person(who) {
  const found = await ask(`people/${encodeURIComponent(who)}`);
  $("person-title").textContent = who;
  const facts = make("p", `${count(found.user.fitted_comparisons)} answers; ${found.information.toFixed(2)} nats learned; `
    + `state: ${found.user.state}${found.user.signals.length ? ` (${found.user.signals.join(", ")})` : ""}.`);
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

/** What the controls of the page do. */
export function listen() {
  const change = () => {
    tell("");
    if (base === null) return; // it is shown when people are there
    VIEWS[$("view").value]((visit += 1)).catch(failed);
  };
  $("view").addEventListener("change", change);
  $("before").addEventListener("change", change);
  $("by").addEventListener("change", () => {
    if (map === null) return;
    map.paint($("by").value);
    legend();
  });
  $("make").addEventListener("click", () => begin().catch(failed));
  $("map-save").addEventListener("click", () => download("map.parquet", {}, "people.parquet").catch(failed));
  $("find").addEventListener("submit", (event) => {
    event.preventDefault();
    const who = $("who").value.trim();
    if (who) choose(who);
  });
}
