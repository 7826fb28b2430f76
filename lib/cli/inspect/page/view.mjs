/**
 * Runs in the browser, inside the page of `inspect --html`: the treemap, its way back, the filter and the order of the table.
 * Everything from the package reaches the page as text nodes and attribute values, never as markup. No request is made.
 */
const data = JSON.parse(document.getElementById("data").textContent);
const map = document.getElementById("map");
const crumbs = document.getElementById("crumbs");
const filter = document.getElementById("filter");
const found = document.getElementById("found");
const measure = document.getElementById("measure");
const MAX_BOXES = 400;
const MIN_AREA = 24;
const HEADER = 20;
/** Width and height that a box of each depth needs to show what is in it. */
const ROOM = [34, 96];
/** Degrees that the hues of children differ from that of their parent. */
const SPREAD = [0, 16, -16, 32, -32, 8, -8];

const root = tree();
let current = root;
let words = "";

/** Parts, groups, folders and files as one tree; sizes add up from the files. */
function tree() {
  const [name, size, parts] = data;
  const top = node(undefined, name, "package");
  for (const [partName, kind, stored, unpacked, groups] of parts) {
    const part = node(top, unique(top, partName), kind);
    for (const [groupName, groupKind, version, files] of groups) {
      const group = node(part, unique(part, groupName), groupKind);
      group.version = version;
      const strip = groupKind === "folder" && groupName !== "." ? `${groupName}/` : "";
      for (const [path, fileStored, fileUnpacked] of files) {
        const inside = path.startsWith(strip) ? path.slice(strip.length) : path;
        const file = leaf(group, inside.split("/"));
        file.sizes = [fileStored, fileUnpacked];
      }
      collapse(group);
    }
    part.sizes = [stored, unpacked];
  }
  sum(top);
  top.sizes = [size, top.sizes[1]];
  return top;
}

/** A folder and a distribution may have one name, and a slot may be called like a part of the head. */
function unique(parent, name) {
  let free = name;
  for (let n = 2; parent.children.has(free); n++) free = `${name} (${n})`;
  return free;
}

function node(parent, name, kind) {
  const made = { parent, name, kind, sizes: [0, 0], files: 0, children: new Map() };
  parent?.children.set(name, made);
  return made;
}

function leaf(group, names) {
  let at = group;
  for (const name of names.slice(0, -1)) at = at.children.get(name) ?? node(at, name, "folder");
  return node(at, names.at(-1), "file");
}

/** A folder that holds one folder and nothing else stands for both; a group leaves out such folders at its top. */
function collapse(at) {
  for (const child of at.children.values()) if (child.kind === "folder") collapse(child);
  if (at.children.size !== 1) return;
  const [only] = at.children.values();
  if (only.kind !== "folder") return;
  at.children = only.children;
  for (const child of at.children.values()) child.parent = at;
  if (at.kind !== "folder" || at.parent.kind === "slot") return;
  at.parent.children.delete(at.name);
  at.name = `${at.name}/${only.name}`;
  at.parent.children.set(at.name, at);
}

function sum(at) {
  if (at.kind === "file") at.files = 1;
  const own = at.sizes;
  for (const child of at.children.values()) {
    sum(child);
    at.files += child.files;
    if (at.kind !== "slot") at.sizes = at.sizes.map((n, i) => n + child.sizes[i]);
  }
  if (at.kind === "slot" || at.kind === "head") at.sizes = own;
}

const metric = () => Number(measure.querySelector("input:checked")?.value ?? 0);
const sizeOf = (at) => at.sizes[metric()];

/** Part, group, folders, file; the package itself is the empty path. */
function pathOf(at) {
  const names = [];
  for (let one = at; one.parent !== undefined; one = one.parent) names.unshift(one.name);
  return names;
}

const hashOf = (at) => `#${pathOf(at).map(encodeURIComponent).join("/")}`;

/** The node that a hash names, or the last one on the way that exists. */
function nodeAt(hash) {
  let at = root;
  for (const part of hash.replace(/^#/, "").split("/")) {
    let name = part;
    try {
      name = decodeURIComponent(part);
    } catch {
      return at;
    }
    const next = at.children.get(name);
    if (next === undefined) break;
    at = next;
  }
  return at;
}

function bytes(n) {
  if (n < 10000) return `${n.toLocaleString("en-US")} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  let value = n / 1024;
  for (; value >= 1024 && unit < 3; unit++) value /= 1024;
  return `${value.toFixed(1)} ${units[unit]}`;
}

/** Control and directional characters, which could make a name look like another one, are shown as such. */
const shown = (text) =>
  text.replace(
    /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (c) => `\\u{${c.codePointAt(0).toString(16)}}`,
  );

const share = (at) => `${((sizeOf(at) / (sizeOf(root) || 1)) * 100).toFixed(1)} %`;

function describe(at) {
  const title = shown([at.name, at.version].filter(Boolean).join(" "));
  const files =
    at.kind === "file" || at.files === 0 ? "" : `\n${at.files.toLocaleString("en-US")} files`;
  const stored = `${at.kind === "head" || at.kind === "slot" ? "" : "about "}${bytes(at.sizes[0])} stored`;
  return `${title}\n${stored}, ${bytes(at.sizes[1])} unpacked, ${share(at)}${files}`;
}

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Squarified treemap (Bruls, Huizing, van Wijk): rows along the shorter side while the worst ratio gets better. */
function squarify(items, box) {
  const placed = [];
  let { x, y, w, h } = box;
  const total = items.reduce((all, { value }) => all + value, 0);
  const scale = (w * h) / total;
  let row = [];
  let area = 0;
  const worst = (list, all, side) => {
    const [most, least] = [list[0].value * scale, list.at(-1).value * scale];
    return Math.max((side * side * most) / (all * all), (all * all) / (side * side * least));
  };
  const close = () => {
    const side = Math.min(w, h);
    const depth = area / side;
    let at = 0;
    for (const { item, value } of row) {
      const length = (value * scale) / depth;
      placed.push({
        item,
        box: w >= h ? { x, y: y + at, w: depth, h: length } : { x: x + at, y, w: length, h: depth },
      });
      at += length;
    }
    if (w >= h) [x, w] = [x + depth, w - depth];
    else [y, h] = [y + depth, h - depth];
    row = [];
    area = 0;
  };
  for (const entry of items) {
    const side = Math.min(w, h);
    const next = area + entry.value * scale;
    if (row.length > 0 && worst([...row, entry], next, side) > worst(row, area, side)) {
      close();
      area = entry.value * scale;
    } else area = next;
    row.push(entry);
  }
  if (row.length > 0) close();
  return placed;
}

/** The children that get a box, the largest first; what is too small to be seen stands in one box at the end. */
function entriesOf(at, room) {
  const all = [...at.children.values()].filter((one) => sizeOf(one) > 0);
  all.sort((a, b) => sizeOf(b) - sizeOf(a) || (a.name < b.name ? -1 : 1));
  const total = all.reduce((sum, one) => sum + sizeOf(one), 0);
  const visible = all.filter((one, i) => i < MAX_BOXES && (sizeOf(one) / total) * room >= MIN_AREA);
  const rest = all.slice(visible.length);
  const entries = visible.map((item) => ({ item, value: sizeOf(item) }));
  const value = rest.reduce((sum, one) => sum + sizeOf(one), 0);
  if (value > 0) entries.push({ item: rest, value });
  return entries;
}

function draw() {
  const { clientWidth: w, clientHeight: h } = map;
  const boxes = document.createDocumentFragment();
  const box = { x: 0, y: 0, w, h };
  if (w > 0 && h > 0) {
    const shown =
      current.children.size > 0 ? entriesOf(current, w * h) : [{ item: current, value: 1 }];
    for (const [i, { item, box: place }] of squarify(shown, box).entries())
      boxes.append(...drawBox(item, place, hue(i), 0));
  }
  map.replaceChildren(boxes);
  map.setAttribute("aria-label", `Treemap of ${describe(current)}`);
  drawCrumbs();
}

/** Neighbours get distant colours: the golden angle. */
const hue = (i) => (212 + i * 137.508) % 360;

/** Three levels at most, as long as there is room; each child's hue is near that of its parent. */
function drawBox(item, box, color, depth) {
  const made = [frame(item, box, color, depth)];
  const opens = !Array.isArray(item) && item.children.size > 0;
  if (!opens || depth === 2 || box.w < ROOM[depth] || box.h < ROOM[depth]) return made;
  made[0].classList.add("open");
  const inner = { x: box.x + 3, y: box.y + HEADER, w: box.w - 7, h: box.h - HEADER - 4 };
  const entries = entriesOf(item, inner.w * inner.h);
  for (const [i, { item: child, box: place }] of squarify(entries, inner).entries())
    made.push(...drawBox(child, place, color + SPREAD[i % SPREAD.length], depth + 1));
  return made;
}

function frame(item, { x, y, w, h }, color, depth) {
  const isRest = Array.isArray(item);
  const opens = !isRest && item.children.size > 0;
  const text = isRest ? `${item.length.toLocaleString("en-US")} smaller` : shown(item.name);
  const title = isRest
    ? `${text}: ${bytes(item.reduce((n, one) => n + sizeOf(one), 0))}`
    : describe(item);
  const made = element(opens ? "a" : "div", { class: `box depth${depth}`, title });
  if (opens) made.setAttribute("href", hashOf(item));
  else made.setAttribute("role", "img");
  made.setAttribute("aria-label", title.replaceAll("\n", ", "));
  if (isRest) made.classList.add("rest");
  if (words !== "" && (isRest || !matches(item))) made.classList.add("dim");
  made.style.left = `${x}px`;
  made.style.top = `${y}px`;
  made.style.width = `${Math.max(w - 1, 1)}px`;
  made.style.height = `${Math.max(h - 1, 1)}px`;
  made.style.setProperty("--hue", color.toFixed(0));
  if (w > 34 && h > 15) {
    const label = element("span", { class: "name" }, text);
    made.classList.add("named");
    made.append(label);
    if (!isRest && w > 110 && h > 34)
      made.append(element("span", { class: "size" }, bytes(sizeOf(item))));
  }
  return made;
}

/** Whether it, something above it, or something in it has the words of the filter in its name. */
function matches(at) {
  if (pathOf(at).join("/").toLowerCase().includes(words)) return true;
  return at.hit === words;
}

function drawCrumbs() {
  const chain = [];
  for (let one = current; one !== undefined; one = one.parent) chain.unshift(one);
  const items = chain.map((one) => {
    const label = shown([one.name, one.version].filter(Boolean).join(" "));
    const isLast = one === current;
    const link = element(
      isLast ? "span" : "a",
      isLast ? { "aria-current": "page" } : { href: hashOf(one) },
      label,
    );
    return element("li", {}, link);
  });
  crumbs.replaceChildren(
    ...items,
    element("li", { class: "total" }, `${bytes(sizeOf(current))} · ${share(current)}`),
  );
}

const MAX_FOUND = 200;

/** Marks what the words lead to, and lists the files. */
function search() {
  words = filter.value.trim().toLowerCase();
  const hits = [];
  if (words !== "") walk(root, hits);
  for (const row of document.querySelectorAll("#packages tbody tr"))
    row.hidden = words !== "" && !row.textContent.toLowerCase().includes(words);
  hits.sort((a, b) => sizeOf(b) - sizeOf(a));
  const total = hits.reduce((all, one) => all + sizeOf(one), 0);
  found.hidden = words === "";
  const count = `${hits.length.toLocaleString("en-US")} ${hits.length === 1 ? "file" : "files"}, ${bytes(total)}`;
  const more = hits.length > MAX_FOUND ? ` (the ${MAX_FOUND} largest are listed)` : "";
  const rows = hits.slice(0, MAX_FOUND).map((one) => {
    const link = element("a", { href: hashOf(one.parent) }, shown(pathOf(one).join("/")));
    return element("li", {}, link, element("span", { class: "number" }, bytes(sizeOf(one))));
  });
  found.replaceChildren(element("p", { role: "status" }, count + more), element("ul", {}, ...rows));
  draw();
}

function walk(at, hits) {
  if (at.kind === "file" && pathOf(at).join("/").toLowerCase().includes(words)) {
    hits.push(at);
    for (let one = at; one !== undefined && one.hit !== words; one = one.parent) one.hit = words;
  }
  for (const child of at.children.values()) walk(child, hits);
}

/** Headers become buttons; numbers are compared as numbers, from `data-n`. */
function sortable(table) {
  for (const [column, header] of [...table.tHead.rows[0].cells].entries()) {
    const button = element("button", { type: "button" }, header.textContent);
    header.replaceChildren(button);
    button.addEventListener("click", () => {
      const isDown = header.getAttribute("aria-sort") === "descending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      header.setAttribute("aria-sort", isDown ? "ascending" : "descending");
      const rows = [...table.tBodies[0].rows].sort((a, b) =>
        order(a.cells[column], b.cells[column]),
      );
      table.tBodies[0].append(...(isDown ? rows : rows.reverse()));
    });
  }
}

function order(a, b) {
  const [x, y] = [a.dataset.n, b.dataset.n];
  if (x !== undefined && y !== undefined) return Number(x) - Number(y);
  return a.textContent.toLowerCase() < b.textContent.toLowerCase() ? -1 : 1;
}

function go() {
  current = nodeAt(location.hash);
  if (current.kind === "file") current = current.parent;
  draw();
}

document.documentElement.classList.add("alive");
sortable(document.getElementById("packages"));
filter.addEventListener("input", search);
measure.addEventListener("change", search);
addEventListener("hashchange", go);
addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  if (filter.value !== "") {
    filter.value = "";
    search();
  } else if (current.parent !== undefined) location.hash = hashOf(current.parent);
});
new ResizeObserver(draw).observe(map);
go();
