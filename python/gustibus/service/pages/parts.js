// What the operator pages are built of: requests under the key, tables, a question before a change.
//
// The key is kept in sessionStorage: it goes when the tab is closed and is sent only where this
// module sends it. A cookie would be sent by the browser with every request to this origin, those
// that other sites provoke among them, and would need a session on the server: another site can make
// a browser send a request here, but not with the key, so that it changes nothing. What speaks
// against sessionStorage, that scripts can read it, is met by the policy of the page: no script but
// the files of this service runs here, and none of them turns a text into markup.

export const KEY = "gustibus admin key";
export const $ = (id) => document.getElementById(id);
export const number = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
export const count = (value) => number.format(value);
export const share = (value) => (value === null ? null : `${number.format(100 * value)} %`);
export const short = (text, most = 140) =>
  !text || text.length <= most ? (text ?? "") : `${text.slice(0, most - 1).trimEnd()}…`;

/** What a path of the operators shows. */
export function ask(path, query = {}) {
  return send("GET", address(path, query));
}

function address(path, query) {
  const known = Object.entries(query).filter(([, value]) => value);
  return `/v1/admin/${path}${known.length ? `?${new URLSearchParams(known)}` : ""}`;
}

/** A request under the key; `seen` is the revision that a change is based on, `key` makes it one that counts once. */
export async function send(method, path, options = {}) {
  return (await request(method, path, options)).json();
}

async function request(method, path, { body, seen, key } = {}) {
  const headers = { Authorization: `Bearer ${sessionStorage.getItem(KEY)}` };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key !== undefined) headers["Idempotency-Key"] = key;
  if (seen === null) headers["If-None-Match"] = "*";
  else if (seen !== undefined) headers["If-Match"] = `"${seen}"`;
  const reply = await fetch(path, {
    method, headers, body: body && JSON.stringify(body),
    cache: "no-store", credentials: "omit", redirect: "error",
  });
  if (reply.ok) return reply;
  const found = await reply.json();
  const useless = reply.status === 401 || (reply.status === 403 && path === "/v1/admin/overview");
  if (useless) sessionStorage.removeItem(KEY);
  throw new Error(found.detail ?? `status ${reply.status}`);
}

/** Save what a path of the operators gives as a file. A link would go without the key. */
export async function download(path, query, name) {
  tell(`${name} is being made …`);
  const whole = await (await request("GET", address(path, query))).blob();
  const link = make("a");
  link.href = URL.createObjectURL(whole);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  tell(`${name} is saved, ${size(whole.size)}.`);
}

const size = (bytes) => (bytes < 1e6 ? `${number.format(bytes / 1e3)} kB` : `${number.format(bytes / 1e6)} MB`);

/** Say what happened, or what went wrong. */
export function tell(text) {
  $("status").textContent = text;
}

export function make(name, text = "", style = "") {
  const made = document.createElement(name);
  if (style) made.className = style;
  made.textContent = text;
  return made;
}

/** A moment, in UTC as everywhere here. */
export function when(text) {
  if (!text) return null;
  const made = make("time", text.slice(0, 16).replace("T", " "));
  made.dateTime = text;
  return made;
}

export function button(text, label, run) {
  const made = make("button", text, "small");
  made.type = "button";
  made.setAttribute("aria-label", label);
  made.addEventListener("click", run);
  return made;
}

/** Fill a table: columns are [title, value or element of a row, whether it is a number]. */
export function fill(table, caption, columns, rows, { append = false } = {}) {
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
      const cell = make("td", "", right ? "right" : "");
      cell.append(shown === null || shown === undefined || shown === "" ? "–" : shown);
      if (!right) cell.dir = "auto";
      // A name or a day is not broken at its hyphens.
      if (/^\S{1,20}$/.test(cell.textContent)) cell.classList.add("whole");
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

/** The first page of a list, and a button for the next. */
export async function list(read, table, caption, columns, more, failed) {
  const turn = async (after) => {
    const found = await read({ limit: 50, after });
    fill($(table), caption, columns, found.data, { append: after !== "" });
    more.hidden = !found.has_more;
    more.onclick = () => turn(found.next).catch(failed);
  };
  await turn("");
}

/** Whether the operator wants a change, once it was said what it does. */
export function confirmed(title, text, verb) {
  const dialog = $("confirm");
  $("confirm-title").textContent = title;
  $("confirm-text").textContent = text;
  $("confirm-yes").textContent = verb;
  return new Promise((settle) => {
    let agreed = false;
    $("confirm-yes").onclick = () => {
      agreed = true;
      dialog.close();
    };
    $("confirm-no").onclick = () => dialog.close();
    dialog.onclose = () => settle(agreed); // Escape closes it too
    dialog.showModal();
    $("confirm-no").focus();
  });
}
