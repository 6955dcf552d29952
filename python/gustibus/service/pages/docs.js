// What the service can do, from its own document, with a form to try each operation.
//
// Everything is made of nodes and texts: the policy of the page lets nothing become markup. The key stays in
// its field, and goes with requests to this service alone.

const $ = (id) => document.getElementById(id);
const METHODS = ["get", "put", "post", "patch", "delete"];
let made;

function node(name, content, more = {}) {
  const found = Object.assign(document.createElement(name), more);
  found.append(...[content].flat().filter((part) => part !== undefined));
  return found;
}

/** What a reference points at; anything else as it is. */
function resolved(value) {
  const path = value?.$ref?.slice(2).split("/");
  return path ? path.reduce((at, name) => at[name], made) : value;
}

/** One operation: its name at once, its form when it is opened. */
function row(method, path, operation) {
  const says = node("span", operation.summary, { className: "says" });
  const title = node("code", `${method.toUpperCase()} ${path}`);
  const found = node("details", node("summary", [title, says]));
  found.dataset.words = `${method} ${path} ${operation.operationId} ${operation.summary}`.toLowerCase();
  found.addEventListener("toggle", () => found.append(body(method, path, operation)), { once: true });
  return found;
}

function body(method, path, operation) {
  const parameters = operation.parameters.map(resolved);
  const fields = parameters.map((one) => {
    const input = node("input", [], { name: one.name, required: one.required ?? false });
    return { one, input, label: node("label", [named(one), input]) };
  });
  const content = operation.requestBody?.content ?? {};
  const kinds = Object.keys(content);
  const kind = node("select", kinds.map((name) => node("option", name)));
  const text = node("textarea", [], { rows: 8, spellcheck: false });
  const fill = () => (text.value = shown(content[kind.value]?.example));
  kind.addEventListener("change", fill);
  fill();
  const reply = node("pre", [], { tabIndex: 0, hidden: true, ariaLabel: "Reply" });
  reply.setAttribute("role", "log");
  const form = node("form", [
    ...fields.map((field) => field.label),
    ...(kinds.length > 0 ? [node("label", ["Kind of the body", kind]), node("label", ["Body", text])] : []),
    node("button", "Send", { className: "primary" }),
    reply,
  ]);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    reply.hidden = false;
    reply.textContent = "…";
    const sent = kinds.length > 0 && text.value.trim() ? { kind: kind.value, text: text.value } : null;
    reply.textContent = await tried(method, path, fields, sent);
  });
  return node("div", [
    operation.description ? node("p", operation.description) : [],
    form,
    schema("Shape of the body", content["application/json"]),
    schema("Shape of the reply", Object.entries(operation.responses).find(([status]) => status < 300)?.[1].content?.["application/json"]),
    problems(operation.responses),
  ].flat(), { className: "operation" });
}

function named(parameter) {
  const where = parameter.in === "path" ? "" : ` (${parameter.in}${parameter.required ? "" : ", may be left out"})`;
  return parameter.name + where;
}

function shown(value) {
  return typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value, null, 2);
}

function schema(title, content) {
  const found = resolved(content?.schema);
  return found && Object.keys(found).length > 0
    ? [node("details", [node("summary", title), node("pre", shown(found), { tabIndex: 0 })])]
    : [];
}

function problems(responses) {
  const rows = Object.entries(responses).filter(([status]) => status >= 400);
  const items = rows.map(([status, one]) => node("li", `${status}: ${one.description}`));
  return [node("details", [node("summary", "What it may refuse"), node("ul", items)])];
}

/** The status and the text of the reply to what a form says. */
async function tried(method, path, fields, sent) {
  const headers = {};
  const query = new URLSearchParams();
  let target = path;
  for (const { one, input } of fields) {
    if (one.in === "path") target = target.replace(`{${one.name}}`, encodeURIComponent(input.value));
    else if (input.value && one.in === "query") query.set(one.name, input.value);
    else if (input.value) headers[one.name] = input.value;
  }
  if ($("key").value) headers.Authorization = `Bearer ${$("key").value}`;
  if (sent) headers["Content-Type"] = sent.kind;
  const began = performance.now();
  try {
    const address = query.size > 0 ? `${target}?${query}` : target;
    const reply = await fetch(address, { method: method.toUpperCase(), headers, body: sent?.text });
    const text = await reply.text();
    const took = Math.round(performance.now() - began);
    return `${reply.status} ${reply.statusText}, ${took} ms\n\n${pretty(text)}`;
  } catch (error) {
    return `No reply: ${error.message}`;
  }
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** Show the operations that have all words of the search. */
function filter() {
  const words = $("find").value.toLowerCase().split(/\s+/);
  let count = 0;
  for (const group of $("list").children) {
    const rows = [...group.querySelectorAll(":scope > details")];
    for (const one of rows) one.hidden = !words.every((word) => one.dataset.words.includes(word));
    const left = rows.filter((one) => !one.hidden).length;
    group.hidden = left === 0;
    count += left;
  }
  $("told").textContent = `${count} operation${count === 1 ? "" : "s"}`;
}

async function start() {
  made = await (await fetch("/openapi.json")).json();
  const groups = new Map();
  for (const [path, item] of Object.entries(made.paths)) {
    for (const method of METHODS.filter((name) => name in item)) {
      const tag = item[method].tags[0];
      if (!groups.has(tag)) groups.set(tag, node("section", node("h2", tag)));
      groups.get(tag).append(row(method, path, item[method]));
    }
  }
  $("list").append(...groups.values());
  filter();
  $("find").addEventListener("input", filter);
  $("tools").addEventListener("submit", (event) => event.preventDefault());
}

start().catch((error) => ($("told").textContent = `The document cannot be read: ${error.message}`));
