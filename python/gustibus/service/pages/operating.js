// What operators do and look up: versions of the model, jobs, usage, the audit log.

import { $, ask, button, confirmed, count, fill, list, make, send, share, short, tell, when } from "./parts.js";

const MODEL = "/v1/models/default";
const LOOK = 250; // milliseconds between looks whether a promoted version is served
const LOOKS = 60;

/** Cards of what is served, and the versions that might be. */
export async function models(failed) {
  const [served, model, versions] = await Promise.all([
    ask("models"), ask("models/default"), ask("models/default/versions", { limit: 1000 }),
  ]);
  $("cards").replaceChildren(...served.data.map(card));
  const none = "No model is served: people and answers are kept, and nothing is scored. Start the service with --model FOLDER, "
    + "or with GUSTIBUS_MODELS and promote a version.";
  $("model-problem").textContent = model.problem ?? (served.data.length === 0 ? none : "");
  const champion = model.aliases.find((one) => one.alias === "champion") ?? null;
  $("versions").hidden = versions.data.length === 0;
  const named = (version) => model.aliases.filter((one) => one.version === version).map((one) => one.alias);
  fill($("version-table"), "Versions, the newest first", [
    ["Version", (row) => row.id],
    ["State", (row) => (row.id === model.serving ? "served" : row.state) + due(row)],
    ["Aliases", (row) => named(row.version).join(", ")],
    ["Registered", (row) => when(row.created_at)],
    ["Digest", (row) => row.digest.slice(0, 12)],
    ["Change", (row) => actions(row, champion, failed)],
  ], [...versions.data].reverse());
  const back = $("roll-back");
  back.hidden = champion === null || champion.previous === null;
  if (!back.hidden) {
    back.textContent = `Roll back to version ${champion.previous}`;
    back.onclick = () => rollBack(champion).then(() => models(failed)).catch(failed);
  }
}

/** What is to be said of a version that was trained on somebody who has been deleted since. */
function due(row) {
  return row.retrain_due === null ? "" : `; retraining due since ${when(row.retrain_due)}`;
}

function card(model) {
  const whole = make("article", "", "line");
  const facts = make("p", `${model.family}; people differ along ${model.user_dim} directions; trained on `
    + `${count(model.people)} people; ${count(model.questions)} questions; a person counts as well known from `
    + `${model.min_comparisons} answers on.`);
  const text = make("pre", JSON.stringify(model.card, null, 2));
  text.tabIndex = 0;
  const more = make("details");
  more.append(make("summary", "Card"), text);
  whole.append(make("h2", model.id), facts, make("p", `Digest ${model.digest}`, "note"), more);
  return whole;
}

function actions(row, champion, failed) {
  if (champion?.version === row.version) return null;
  const run = (change) => () => change(row, champion).then(() => models(failed)).catch(failed);
  return row.state === "validated"
    ? button("Promote", `Promote ${row.id}`, run(promote))
    : button("Validate", `Validate ${row.id}`, run(validate));
}

async function validate(row) {
  tell(`${row.id} is loaded and tested …`);
  await send("POST", `${MODEL}/versions/${row.version}:validate`);
  tell(`${row.id} can be served.`);
}

async function promote(row, champion) {
  const now = champion === null ? "" : ` It takes the place of version ${champion.version}.`;
  const text = `Every process serves ${row.id} within seconds, and people are fitted again from their answers.${now}`;
  if (!(await confirmed(`Promote ${row.id}?`, text, "Promote"))) return;
  const seen = champion?.revision ?? null;
  await send("PUT", `${MODEL}/aliases/champion`, { body: { version: row.version }, seen });
  await taken(row.id);
}

async function rollBack(champion) {
  const id = `${champion.model}@${champion.previous}`;
  const text = `Every process serves ${id} again within seconds, in place of version ${champion.version}.`;
  if (!(await confirmed(`Roll back to version ${champion.previous}?`, text, "Roll back"))) return;
  await send("POST", `${MODEL}:rollback`, { seen: champion.revision });
  await taken(id);
}

/** Wait until the process that answers serves a version, or says why not. */
async function taken(id) {
  tell(`${id} is being loaded …`);
  for (let look = 0; look < LOOKS; look += 1) {
    const model = await ask("models/default");
    if (model.serving === id) return tell(`${id} is served.`);
    if (model.problem) return tell(`${id} is promoted, but not served here: ${model.problem}`);
    await new Promise((done) => setTimeout(done, LOOK));
  }
  return tell(`${id} is promoted; this process does not serve it yet.`);
}

const filters = (form) => Object.fromEntries(new FormData($(form)));

export function jobs(failed) {
  const columns = [
    ["Job", (row) => row.id], ["Kind", (row) => row.kind], ["State", (row) => row.state],
    ["Done", progress, true], ["Tries", (row) => count(row.attempts), true],
    ["Begun", (row) => when(row.started_at)], ["Ended", (row) => when(row.finished_at)],
    ["What came of it", (row) => short(row.error ?? (row.result === null ? "" : JSON.stringify(row.result)))],
    ["Change", (row) => stop(row, failed)],
  ]; // prettier-ignore
  const read = (place) => ask("jobs", { ...filters("job-filter"), ...place });
  return list(read, "job-table", "Jobs, the newest first", columns, $("more-jobs"), failed);
}

function progress(row) {
  return row.total ? `${count(row.done)} of ${count(row.total)} (${share(row.done / row.total)})` : count(row.done);
}

function stop(row, failed) {
  if (row.state !== "queued" && row.state !== "running") return null;
  return button("Stop", `Stop ${row.kind} ${row.id}`, async () => {
    try {
      const text = "What it has done so far stays done.";
      if (!(await confirmed(`Stop the job ${row.kind}?`, text, "Stop it"))) return;
      const ended = await send("POST", `/v1/jobs/${encodeURIComponent(row.id)}:cancel`);
      tell(`${row.id}: ${ended.state}.`);
      await jobs(failed);
    } catch (error) {
      failed(error);
    }
  });
}

async function everyKey() {
  const found = [];
  for (let after = {}; after !== null; ) {
    const page = await send("GET", `/v1/keys?${new URLSearchParams({ limit: 1000, ...after })}`);
    found.push(...page.data);
    after = page.has_more ? { after: page.next } : null;
  }
  return found;
}

export async function usage(failed) {
  const names = new Map((await everyKey()).map((key) => [key.id, key.live ? key.name : `${key.name} (ended)`]));
  names.set("page", "not known: of pages of sessions");
  const columns = [
    ["Day", (row) => make("time", row.day)], ["Key", (row) => names.get(row.key) ?? "removed"], ["Id", (row) => row.key],
    ["Requests", (row) => count(row.requests), true], ["Units", (row) => count(row.units), true],
    ["Units a request", (row) => (row.requests ? count(row.units / row.requests) : null), true],
  ]; // prettier-ignore
  const read = (place) => {
    const given = Object.entries({ ...filters("usage-filter"), ...place }).filter(([, value]) => value);
    return send("GET", `/v1/usage?${new URLSearchParams(given)}`);
  };
  await list(read, "usage-table", "Units and requests by day and key", columns, $("more-usage"), failed);
}

export function audit(failed) {
  const columns = [
    ["Entry", (row) => count(row.seq), true], ["When", (row) => when(row.at)], ["Who", (row) => row.actor],
    ["Action", (row) => row.action], ["Object", (row) => short(row.object, 48)],
    ["More", (row) => details(row.detail)], ["Request", (row) => row.request_id],
    ["Hash", (row) => row.hash.slice(0, 12)],
  ]; // prettier-ignore
  const read = (place) => ask("audit", { ...filters("audit-filter"), ...place });
  return list(read, "audit-table", "Who did what, the newest first", columns, $("more-audit"), failed);
}

function details(detail) {
  return Object.entries(detail).map(([name, value]) => `${name}: ${short(String(value), 60)}`).join("; ");
}
