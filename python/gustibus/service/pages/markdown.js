// The little Markdown that answers are written in, built as DOM nodes.
//
// Texts are data: nothing here parses HTML, so there is nothing to sanitise. Links are shown and
// lead nowhere, images are shown as their description, and whatever is not known stays as it is.

const INLINE = /`([^`\n]+)`|\*\*([^*\n]+)\*\*|__([^_\n]+)__|(?<![\w*])\*([^*\s][^*\n]*)\*(?!\w)|!?\[([^\]\n]*)\]\(([^)\s]*)\)/u;
const ITEM = /^\s*(?:([-*•])|(\d{1,3})[.)])\s+(.*)$/u;

/** Replace what an element shows by a text. */
export function show(element, text) {
  element.replaceChildren(...blocks(text));
}

function blocks(text) {
  const found = [];
  const lines = text.replace(/\r\n?/g, "\n").split("\n");
  for (let at = 0; at < lines.length; ) {
    if (lines[at].trim() === "") at += 1;
    else if (/^\s*(```|~~~)/.test(lines[at])) at = fence(lines, at, found);
    else if (ITEM.test(lines[at])) at = list(lines, at, found);
    else at = paragraph(lines, at, found);
  }
  return found;
}

function fence(lines, start, found) {
  const mark = lines[start].trim().slice(0, 3);
  let end = start + 1;
  while (end < lines.length && !lines[end].trim().startsWith(mark)) end += 1;
  found.push(node("pre", [node("code", [lines.slice(start + 1, end).join("\n")])]));
  return end + 1;
}

function list(lines, start, found) {
  const ordered = ITEM.exec(lines[start])[2] !== undefined;
  const whole = node(ordered ? "ol" : "ul", []);
  if (ordered) whole.start = Number(ITEM.exec(lines[start])[2]);
  let at = start;
  for (; at < lines.length; at += 1) {
    const item = ITEM.exec(lines[at]);
    if (item !== null && (item[2] !== undefined) === ordered) {
      whole.append(node("li", inline(item[3])));
    } else if (lines[at].trim() === "" && next(lines, at, ordered)) {
      continue;
    } else if (/^\s{2,}\S/.test(lines[at])) {
      whole.lastChild.append(node("br", []), ...inline(lines[at].trim()));
    } else {
      break;
    }
  }
  found.push(whole);
  return at;
}

function next(lines, at, ordered) {
  const item = ITEM.exec(lines[at + 1] ?? "");
  return item !== null && (item[2] !== undefined) === ordered;
}

function paragraph(lines, start, found) {
  const heading = /^#{1,6}\s+(.*?)\s*#*$/.exec(lines[start]);
  if (heading !== null) {
    // A heading of an answer is not one of the page: it must not appear in its outline.
    found.push(node("p", [node("strong", inline(heading[1]))]));
    return start + 1;
  }
  const quote = /^\s*>\s?/;
  const quoted = quote.test(lines[start]);
  const parts = [];
  let at = start;
  for (; at < lines.length && lines[at].trim() !== "" && quote.test(lines[at]) === quoted; at += 1) {
    if (at > start && (ITEM.test(lines[at]) || /^(#{1,6}\s|\s*(```|~~~))/.test(lines[at]))) break;
    if (at > start) parts.push(node("br", []));
    parts.push(...inline(lines[at].replace(quote, "")));
  }
  found.push(quoted ? node("blockquote", [node("p", parts)]) : node("p", parts));
  return at;
}

function inline(text) {
  const found = [];
  let rest = text;
  for (let hit = INLINE.exec(rest); hit !== null; hit = INLINE.exec(rest)) {
    found.push(rest.slice(0, hit.index));
    if (hit[1] !== undefined) found.push(node("code", [hit[1]]));
    else if (hit[2] !== undefined || hit[3] !== undefined) {
      found.push(node("strong", inline(hit[2] ?? hit[3])));
    } else if (hit[4] !== undefined) found.push(node("em", inline(hit[4])));
    else found.push(node("span", [hit[5] || hit[6]], "address"));
    rest = rest.slice(hit.index + hit[0].length);
  }
  found.push(rest);
  return found.filter((part) => part !== "");
}

function node(name, children, style = "") {
  const made = document.createElement(name);
  if (style) made.className = style;
  made.append(...children);
  return made;
}
