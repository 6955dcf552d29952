// The little Markdown that texts are written in, built as DOM nodes.
//
// Texts are data: nothing here parses HTML, so there is nothing to sanitise. Links are shown and
// lead nowhere, images are shown as their description, and whatever is not known stays as it is.
// Every pattern stops at the next sign of its own kind, so that the time is that of the text's length.

const INLINE = new RegExp(
  [
    /\\(?<sign>[*_`#~])/, // of what may be escaped only this: TeX has the rest
    /``(?<code2>[^\n]+?)``/,
    /`(?<code>[^`\n]+)`/,
    /\*\*\*(?<both>[^*\s](?:[^*\n]*[^*\s])?)\*\*\*/,
    /\*\*(?<strong>(?:[^*\n]|\*(?!\*))+)\*\*/,
    /(?<!\w)__(?<strong2>[^_\n]+)__(?!\w)/,
    /(?<![\w*])\*(?<em>[^*\s](?:[^*\n]*[^*\s])?)\*(?!\w)/,
    /(?<!\w)_(?<em2>[^_\s](?:[^_\n]*[^_\s])?)_(?!\w)/,
    /~~(?<struck>[^~\n]+)~~/,
    /!?\[(?<label>[^[\]\n]*)\]\((?<address>[^()\s]*(?:\([^()\s]*\)[^()\s]*)*)(?: "[^"\n]{0,200}")?\)/,
    /(?<line><br ?\/?>)/,
  ].map((one) => one.source).join("|"), "gu",
); // prettier-ignore
const ITEM = /^(\s*)(?:[-*•]|(\d{1,3})[.)])\s/u;
const FENCE = /^\s*(`{3,}(?=[^`]*$)|~{3,})/u;
const HEADING = /^\s{0,3}#{1,6}\s/u;
const QUOTE = /^\s*>\s?/u;
const RULE = /^\s{0,3}(?:(?:-\s*){3,}|(?:\*\s*){3,}|(?:_\s*){3,})$/u;
const DEEP = 5; // lists in lists and quotes in quotes that are told apart

/** Replace what an element shows by a text. */
export function show(element, text) {
  element.replaceChildren(blocks(text.replace(/\r\n?/g, "\n").split("\n"), 0));
}

function blocks(lines, depth) {
  const found = new DocumentFragment();
  for (let at = 0; at < lines.length; ) {
    const line = lines[at];
    if (line.trim() === "") at += 1;
    else if (FENCE.test(line)) at = fence(lines, at, found);
    else if (RULE.test(line)) at = put(found, node("hr"), at + 1);
    else if (ITEM.test(line)) at = list(lines, at, found, depth);
    else if (HEADING.test(line)) at = put(found, title(line.trim().replace(/^#+/, "").replace(/\s#+$/, "")), at + 1);
    else if (QUOTE.test(line) && depth < DEEP) at = quote(lines, at, found, depth);
    else if (heads(lines, at)) at = table(lines, at, found);
    else at = paragraph(lines, at, found);
  }
  return found;
}

function put(found, made, at) {
  found.append(made);
  return at;
}

/** A heading of an answer is not one of the page: it must not appear in its outline. */
function title(text) {
  return node("p", [node("strong", [inline(text.trim())])]);
}

function fence(lines, start, found) {
  const mark = FENCE.exec(lines[start])[1];
  const indent = lines[start].search(/\S/);
  const close = (line) => line.startsWith(mark) && line === mark[0].repeat(line.length);
  let end = start + 1;
  while (end < lines.length && !close(lines[end].trim())) end += 1;
  const inside = lines.slice(start + 1, end).map((line) => line.slice(Math.min(indent, Math.max(0, line.search(/\S/)))));
  found.append(node("pre", [node("code", [inside.join("\n")])]));
  return end + 1;
}

function list(lines, start, found, depth) {
  const first = ITEM.exec(lines[start])[2];
  const indent = margin(lines[start]);
  const ordered = first !== undefined;
  const whole = node(ordered ? "ol" : "ul");
  if (ordered) whole.start = Number(first);
  const beside = (line) =>
    ITEM.test(line) && (ITEM.exec(line)[2] !== undefined) === ordered && Math.abs(margin(line) - indent) < 2;
  let at = start;
  while (at < lines.length) {
    const line = lines[at];
    if (at === start || (beside(line) && !RULE.test(line))) {
      whole.append(node("li", [inline(line.replace(ITEM, "").trim())]));
      at += 1;
    } else if (line.trim() === "") {
      const next = lines[at + 1] ?? "";
      if (!beside(next) && margin(next) < indent + 2) break;
      at += 1;
    } else if (margin(line) < indent + 2) break;
    else if (ITEM.test(line) && depth < DEEP) at = list(lines, at, whole.lastChild, depth + 1);
    else if (FENCE.test(line)) at = fence(lines, at, whole.lastChild);
    else {
      whole.lastChild.append(node("br"), inline(line.trim()));
      at += 1;
    }
  }
  found.append(whole);
  return at;
}

/** How far a line is moved in, -1 for an empty one. */
function margin(line) {
  return line.trim() === "" ? -1 : /^\s*/u.exec(line)[0].replaceAll("\t", "    ").length;
}

function quote(lines, start, found, depth) {
  let end = start;
  while (end < lines.length && QUOTE.test(lines[end])) end += 1;
  const inside = lines.slice(start, end).map((line) => line.replace(QUOTE, ""));
  found.append(node("blockquote", [blocks(inside, depth + 1)]));
  return end;
}

/** What stands between the bars of a line. */
function cells(line) {
  const bare = line.trim().replace(/^\|/, "").replace(/(?<!\\)\|$/, "");
  return bare.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
}

/** Whether a table begins here: a line of names, and one of as many rules below. */
function heads(lines, at) {
  const below = lines[at + 1] ?? "";
  if (!lines[at].includes("|") || !/^[\s|:-]+$/.test(below)) return false;
  const rules = cells(below);
  return rules.every((rule) => /^:?-+:?$/.test(rule)) && rules.length === cells(lines[at]).length;
}

function table(lines, start, found) {
  const sides = cells(lines[start + 1]).map((rule) => (rule.endsWith(":") ? (rule.startsWith(":") ? "middle" : "end") : ""));
  // A row that is too short stays so: to fill it up would make much of a little text.
  const row = (line, name) =>
    node("tr", cells(line).slice(0, sides.length).map((cell, place) => node(name, [inline(cell)], sides[place])));
  const body = node("tbody");
  let at = start + 2;
  for (; at < lines.length && lines[at].includes("|") && lines[at].trim() !== ""; at += 1) body.append(row(lines[at], "td"));
  const head = row(lines[start], "th");
  for (const cell of head.children) cell.scope = "col";
  const whole = node("table", [node("thead", [head]), body]);
  // A wide one scrolls by itself, which must be possible without a pointer too.
  const frame = node("div", [whole], "grid");
  frame.tabIndex = 0;
  frame.setAttribute("role", "group");
  frame.setAttribute("aria-label", "Table");
  found.append(frame);
  return at;
}

function paragraph(lines, start, found) {
  if (/^(?:={3,}|-{3,})\s*$/.test(lines[start + 1] ?? "")) return put(found, title(lines[start]), start + 2);
  const parts = [];
  let at = start;
  for (; at < lines.length && lines[at].trim() !== ""; at += 1) {
    if (at > start && ([ITEM, HEADING, FENCE, RULE, QUOTE].some((one) => one.test(lines[at])) || heads(lines, at))) break;
    if (at > start) parts.push(node("br"));
    parts.push(inline(lines[at]));
  }
  found.append(node("p", parts));
  return at;
}

function inline(text) {
  const found = new DocumentFragment();
  let end = 0;
  for (const hit of text.matchAll(INLINE)) {
    found.append(text.slice(end, hit.index), styled(hit.groups));
    end = hit.index + hit[0].length;
  }
  found.append(text.slice(end));
  found.normalize();
  return found;
}

function styled({ sign, code, code2, both, strong, strong2, em, em2, struck, label, address, line }) {
  if (sign !== undefined) return sign;
  if (line !== undefined) return node("br");
  if (code !== undefined || code2 !== undefined) return node("code", [code ?? code2.trim()]);
  if (both !== undefined) return node("strong", [node("em", [inline(both)])]);
  if (strong !== undefined || strong2 !== undefined) return node("strong", [inline(strong ?? strong2)]);
  if (em !== undefined || em2 !== undefined) return node("em", [inline(em ?? em2)]);
  if (struck !== undefined) return node("s", [inline(struck)]);
  return node("span", [label || address], "address");
}

function node(name, children = [], style = "") {
  const made = document.createElement(name);
  if (style) made.className = style;
  for (const child of children) made.append(child); // one by one: there may be more than a call takes
  return made;
}
