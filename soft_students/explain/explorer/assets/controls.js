// Keyboard, pointers, search and start-up.

function select(node, { zoom = false } = {}) {
  state.active = state.selected = node;
  showPanel();
  describeItems();
  if (zoom) showNode(node);
  else reveal(node);
}

function activate(node) {
  state.active = node;
  describeItems();
  reveal(node);
}

// For screen readers: the active node and its neighbours, as items of a tree.
function describeItems() {
  const { active } = state;
  const family = [tree.parent[active], active];
  const sibling = siblingOf(active);
  if (sibling !== null) family.push(sibling);
  if (!isLeaf(active)) family.push(tree.left[active], tree.right[active]);
  const items = family.filter((node) => node >= 0).map((node) => {
    const item = make("div", { id: `node-${node}` }, description(node, state.routed));
    const attributes = {
      role: "treeitem",
      "aria-level": tree.level[node] + 1,
      "aria-setsize": node ? 2 : 1,
      "aria-posinset": node && tree.right[tree.parent[node]] === node ? 2 : 1,
      "aria-selected": node === state.selected,
    };
    if (!isLeaf(node)) attributes["aria-expanded"] = true;
    for (const [name, value] of Object.entries(attributes)) item.setAttribute(name, String(value));
    return item;
  });
  byId("items").replaceChildren(...items);
  stage.setAttribute("aria-activedescendant", `node-${active}`);
}

function siblingOf(node) {
  if (!node) return null;
  const parent = tree.parent[node];
  return tree.left[parent] === node ? tree.right[parent] : tree.left[parent];
}

function likelierChild(node) {
  const shares = state.routed ? state.routed.paths : tree.reach;
  const [left, right] = [tree.left[node], tree.right[node]];
  return shares && shares[right] > shares[left] ? right : left;
}

function beside(node, step) {
  const nodes = tree.byLevel[tree.level[node]];
  return nodes[nodes.indexOf(node) + step] ?? node;
}

const KEYS = {
  ArrowUp: () => activate(Math.max(0, tree.parent[state.active])),
  ArrowDown: () => isLeaf(state.active) || activate(likelierChild(state.active)),
  ArrowLeft: () => activate(beside(state.active, -1)),
  ArrowRight: () => activate(beside(state.active, 1)),
  Home: () => activate(0),
  Enter: () => select(state.active, { zoom: true }),
  " ": () => select(state.active, { zoom: true }),
  "+": () => zoomMiddle(1.5),
  "=": () => zoomMiddle(1.5),
  "-": () => zoomMiddle(1 / 1.5),
  0: () => showAll(),
};

const zoomMiddle = (factor) => {
  stopMoving();
  zoomAt(factor, view.width / 2, view.height / 2);
};

function wireKeys() {
  stage.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const action = KEYS[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
  stage.addEventListener("focus", redraw);
  stage.addEventListener("blur", redraw);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.matches("input")) return;
    event.preventDefault();
    byId("query").focus();
  });
  byId("zoom-in").addEventListener("click", () => zoomMiddle(1.5));
  byId("zoom-out").addEventListener("click", () => zoomMiddle(1 / 1.5));
  byId("zoom-fit").addEventListener("click", showAll);
}

// One pointer moves the tree, two zoom it; a press without a move selects.
function wirePointers() {
  const pointers = new Map();
  let travelled = 0;
  const at = (event) => {
    const box = stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  stage.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    stopMoving();
    if (!pointers.size) travelled = 0;
    pointers.set(event.pointerId, at(event));
    stage.setPointerCapture(event.pointerId);
  });
  stage.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) {
      const node = nodeAt(...at(event));
      stage.style.cursor = node === null ? "grab" : "pointer";
      return;
    }
    const now = at(event);
    travelled += Math.hypot(now[0] - before[0], now[1] - before[1]);
    if (pointers.size === 2) {
      const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, point]) => point);
      const wide = (point) => Math.max(10, Math.hypot(point[0] - other[0], point[1] - other[1]));
      zoomAt(wide(now) / wide(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
      moveBy((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
    } else if (travelled > 4) {
      moveBy(now[0] - before[0], now[1] - before[1]);
    }
    pointers.set(event.pointerId, now);
  });
  const lift = (event) => {
    if (!pointers.delete(event.pointerId) || pointers.size || travelled > 4) return;
    const node = nodeAt(...at(event));
    if (node !== null && event.type === "pointerup") select(node);
  };
  stage.addEventListener("pointerup", lift);
  stage.addEventListener("pointercancel", lift);
  stage.addEventListener("dblclick", (event) => {
    const node = nodeAt(...at(event));
    if (node !== null) select(node, { zoom: true });
    else zoomAt(1.6, ...at(event));
  });
  stage.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      stopMoving();
      const unit = event.deltaMode ? 16 : 1;
      if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) moveBy(-event.deltaX * unit, 0);
      else if (event.shiftKey) moveBy(-event.deltaY * unit, 0);
      else zoomAt(Math.exp(-event.deltaY * unit * 0.0018), ...at(event));
    },
    { passive: false },
  );
}

let hits = [];
let hit = -1;

// Finds leaves whose likeliest class contains the text, most rows first; or #node.
function search(text) {
  hit = -1;
  const query = text.trim().toLowerCase();
  const number = /^#(\d+)$/.exec(query);
  if (!query) hits = [];
  else if (number) hits = Number(number[1]) < nNodes ? [Number(number[1])] : [];
  else if (!isClassifier) hits = [];
  else {
    const names = page.classes.map((name) => name.toLowerCase());
    const fits = names.includes(query) ? (name) => name === query : (name) => name.includes(query);
    hits = [...tree.order].filter((leaf) => fits(names[argmax(leafOutput(leaf))]));
    if (tree.reach) hits.sort((a, b) => tree.reach[b] - tree.reach[a] || a - b);
  }
  state.found = hits.length ? new Set(hits.flatMap(ancestors)) : null;
  const what = number ? "node" : hits.length === 1 ? "leaf" : "leaves";
  byId("found").textContent = !query ? "" : hits.length ? `${hits.length} ${what}` : "nothing found";
  redraw();
}

function nextHit() {
  if (!hits.length) return;
  hit = (hit + 1) % hits.length;
  select(hits[hit], { zoom: true });
  byId("found").textContent = `${hit + 1} of ${hits.length}`;
  byId("live").textContent = description(hits[hit], state.routed);
}

function wireSearch() {
  const query = byId("query");
  if (isClassifier) {
    const found = new Set([...tree.order].map((leaf) => argmax(leafOutput(leaf))));
    for (const k of [...found].sort((a, b) => a - b)) {
      byId("classes").append(make("option", { value: page.classes[k] }));
    }
  } else {
    byId("query-label").textContent = "Find a node";
    query.placeholder = "Find a node: #3";
  }
  query.addEventListener("input", () => search(query.value));
  query.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    query.value = "";
    search("");
  });
  byId("search").addEventListener("submit", (event) => {
    event.preventDefault();
    nextHit();
  });
}

function start() {
  const gates = nNodes - tree.nLeaves;
  const way = soft ? ` · predicts by ${WAYS[page.prediction]}` : "";
  byId("summary").textContent =
    `${page.student} · depth ${tree.depth} · ${gates} gates · ${tree.nLeaves} leaves${way}`;
  readColors();
  wireKeys();
  wirePointers();
  wireSearch();
  wireSamples();
  wirePad();
  showKey();
  showPanel();
  describeItems();
  resize();
  performance.mark("first-view");
  new ResizeObserver(resize).observe(stage);
  dark.addEventListener("change", () => {
    readColors();
    fillGallery();
    showPanel();
    showAnswer();
    drawStrokes();
    draw();
  });
  // The gallery can wait until the tree is drawn.
  requestAnimationFrame(() => setTimeout(fillGallery));
}
start();

// For scripts: the state, and functions to route rows.
window.explorer = { page, tree, state, view, rowOf, route, chooseRow, boxOf, draw };
