// What is wrong with how a page is laid out, told by the browser itself; nothing where all is well.
() => {
  const wrong = [];
  const root = document.querySelector("dialog[open]") ?? document.body;
  const EDGE = 1.5; // pixels that rounding may take
  const style = (element) => getComputedStyle(element);
  const named = (element) => {
    const own = element.id ? `#${element.id}` : `${element.tagName.toLowerCase()}.${element.className}`;
    return `${own} "${element.textContent.trim().slice(0, 30)}"`;
  };
  const seen = (element) => element.checkVisibility({ visibilityProperty: true });
  const complain = (what, element, more = "") => wrong.push(`${what}: ${named(element)} ${more}`.trim());
  const chain = (element) => (element === null ? [] : [element, ...chain(element.parentElement)]);

  if (document.documentElement.scrollWidth > window.innerWidth + EDGE) {
    wrong.push(`wide: the page is ${document.documentElement.scrollWidth} of ${window.innerWidth} pixels`);
  }

  // Every line of text, with the element that it is of.
  const texts = [];
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const element = node.parentElement;
    if (node.data.trim() === "" || !seen(element) || ["SCRIPT", "STYLE", "OPTION"].includes(element.tagName)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const rects = [...range.getClientRects()].filter((rect) => rect.width > 1 && rect.height > 1);
    texts.push({ element, rects });
  }

  const colour = (text) => {
    const found = /rgba?\(([\d.]+), ([\d.]+), ([\d.]+)(?:, ([\d.]+))?\)/.exec(text);
    return found === null ? [0, 0, 0, 0] : [+found[1], +found[2], +found[3], found[4] === undefined ? 1 : +found[4]];
  };
  const over = ([r, g, b, a], [r0, g0, b0]) => [a * r + (1 - a) * r0, a * g + (1 - a) * g0, a * b + (1 - a) * b0, 1];
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (element) => {
    const layers = chain(element).map((one) => colour(style(one).backgroundColor)).filter(([, , , a]) => a > 0);
    return layers.reduceRight((below, layer) => over(layer, below), [255, 255, 255, 1]);
  };

  for (const { element, rects } of texts) {
    const look = style(element);
    const size = parseFloat(look.fontSize);
    // Nothing is cut where it cannot be scrolled to; what is cut on purpose says so by a mask.
    for (const rect of rects) {
      for (const box of chain(element)) {
        const { overflowX, overflowY, maskImage } = style(box);
        const inner = box.getBoundingClientRect();
        if (overflowX === "auto" || overflowX === "scroll") break;
        if (maskImage && maskImage !== "none") break;
        if (overflowX !== "visible" && look.textOverflow !== "ellipsis" && box !== document.body
          && (rect.right > inner.right + EDGE || rect.left < inner.left - EDGE)) complain("cut", element, "at a side");
        if (overflowY !== "visible" && box !== document.body && box !== document.documentElement
          && (rect.bottom > inner.bottom + EDGE || rect.top < inner.top - EDGE)) complain("cut", element, "above or below");
        if (box === document.body && (rect.left < -EDGE || rect.right > window.innerWidth + EDGE)) {
          complain("cut", element, "by the window");
        }
      }
    }
    const faint = chain(element).reduce((product, one) => product * parseFloat(style(one).opacity), 1);
    if (element.closest(":disabled, [hidden]") !== null) continue;
    if (size < 11) complain("small", element, `${size} pixels`);
    const back = ground(element);
    const [, , , alpha] = colour(look.color);
    const front = over([...colour(look.color).slice(0, 3), alpha * faint], back);
    const [low, high] = [light(front), light(back)].sort((a, b) => a - b);
    const ratio = (high + 0.05) / (low + 0.05);
    const large = size >= 24 || (size >= 18.66 && Number(look.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) complain("faint", element, ratio.toFixed(2));
  }

  // What can be pressed is large enough, and nothing lies on it or on a text. What sticks to an edge may.
  const stuck = (element) => chain(element).some((one) => ["sticky", "fixed"].includes(style(one).position));
  const pressed = [...root.querySelectorAll("button, input, select, a[href], summary")].filter(seen);
  for (const element of pressed) {
    const box = element.getBoundingClientRect();
    if (Math.min(box.width, box.height) < (element.type === "checkbox" ? 20 : 24)) {
      complain("narrow", element, `${box.width.toFixed()} by ${box.height.toFixed()} pixels`);
    }
    if (element.scrollWidth > element.clientWidth + EDGE && style(element).textOverflow !== "ellipsis" && element.tagName === "BUTTON") {
      complain("cut", element, "its words are wider than itself");
    }
  }
  const shown = (rect, element) => {
    // The part of a box that its scrolling ancestors let through.
    let { left, right, top, bottom } = rect;
    for (const box of chain(element.parentElement)) {
      if (style(box).overflowY === "visible" && style(box).overflowX === "visible") continue;
      if (box === document.body || box === document.documentElement) continue;
      const inner = box.getBoundingClientRect();
      [left, right] = [Math.max(left, inner.left), Math.min(right, inner.right)];
      [top, bottom] = [Math.max(top, inner.top), Math.min(bottom, inner.bottom)];
    }
    return { left, right, top, bottom };
  };
  const boxes = [
    ...pressed.map((element) => ({ element, box: shown(element.getBoundingClientRect(), element) })),
    ...texts.flatMap(({ element, rects }) => rects.map((rect) => {
      // Lines of one text may touch: the letters do not.
      const inset = rect.height / 5;
      return { element, box: shown({ left: rect.left, right: rect.right, top: rect.top + inset, bottom: rect.bottom - inset }, element) };
    })),
  ].filter(({ element, box }) => !stuck(element) && box.right > box.left && box.bottom > box.top);
  boxes.sort((a, b) => a.box.top - b.box.top);
  for (const [at, one] of boxes.entries()) {
    for (let next = at + 1; next < boxes.length && boxes[next].box.top < one.box.bottom - EDGE; next += 1) {
      const other = boxes[next];
      if (one.element.contains(other.element) || other.element.contains(one.element)) continue;
      const across = Math.min(one.box.right, other.box.right) - Math.max(one.box.left, other.box.left);
      const down = Math.min(one.box.bottom, other.box.bottom) - Math.max(one.box.top, other.box.top);
      if (across > EDGE && down > EDGE) complain("overlap", one.element, `and ${named(other.element)}`);
    }
  }
  // Nothing lies over a text either, as far as it is on the screen.
  for (const { element, rects } of texts) {
    for (const rect of rects) {
      const { left, right, top, bottom } = shown(rect, element);
      if (right - left < 8 || bottom - top < 8 || top < 0 || bottom > window.innerHeight) continue;
      for (const x of [left + 3, right - 3]) {
        const hit = document.elementFromPoint(x, (top + bottom) / 2);
        if (hit === null || hit.contains(element) || element.contains(hit) || stuck(hit)) continue;
        complain("covered", element, `by ${named(hit)}`);
      }
    }
  }
  return [...new Set(wrong)];
}
