// The visible part of the tree and its magnification. The horizontal unit is the width of a leaf.
// Levels are as high as their nodes have room for, so that a deep tree fits and the levels near the
// root are readable at any magnification.

const stage = document.getElementById("tree");
const canvas = document.getElementById("picture");

const MARGIN = 14; // pixels
const GAP = 30; // minimum distance from a node to the next level
const WIDEST_GAP = 84; // maximum distance, in small trees
const LARGEST = 132; // maximum height of a gate's picture
const LEAF_WIDEST = 150;
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

const view = { width: 0, height: 0, unit: 1, left: 0, top: 0 };
let fit = { unit: 1, cap: LARGEST, gap: GAP };
let levels = []; // top, label and size of each level
let moving = 0;

// Aspect ratio of a gate's picture.
const aspect = page.shape ? (page.shape[0] * page.shape[2]) / page.shape[1] : soft ? 1.9 : 5;
const tallest = page.shape ? LARGEST : soft ? 118 : 30;

// Mean number of leaves below a gate, for each level.
const breadth = tree.byLevel.map((nodes) => {
  const gates = nodes.filter((node) => !isLeaf(node)).map((node) => tree.leaves[node]);
  return gates.length ? gates.reduce((a, b) => a + b, 0) / gates.length : 1;
});

function measure(unit, cap) {
  let top = MARGIN;
  return breadth.map((leaves, level) => {
    const last = level === tree.depth;
    const size = Math.max(3, Math.min(cap, tallest, (0.86 * leaves * unit) / aspect));
    const label = !last && size >= 22 && leaves * unit >= 44 ? 20 : 2;
    const here = { top, label, size: last ? leafHeight(unit) : size };
    top += label + here.size + (last ? 0 : fit.gap);
    here.end = top;
    return here;
  });
}

function leafHeight(unit) {
  if (unit >= 34) return 104;
  return unit >= 9 ? 58 : 42;
}

const leastUnit = () => Math.min((view.width - 2 * MARGIN) / tree.nLeaves, LEAF_WIDEST);

// Finds the largest pictures with which the whole tree fits the height of the stage.
function findFit() {
  const unit = leastUnit();
  let cap = LARGEST;
  fit = { unit, cap, gap: GAP };
  const rest = () => view.height - MARGIN - measure(unit, cap).at(-1).end;
  while (cap > 34 && rest() < 0) cap -= 2;
  const gap = GAP + Math.max(0, rest()) / Math.max(1, tree.depth);
  fit = { unit, cap, gap: Math.min(WIDEST_GAP, gap) };
}

const greatestUnit = () => Math.max(fit.unit, LEAF_WIDEST);
const capAt = (unit) => Math.min(LARGEST, fit.cap * Math.sqrt(unit / fit.unit));

function place(unit, left, top) {
  view.unit = Math.min(greatestUnit(), Math.max(fit.unit, unit));
  levels = measure(view.unit, capAt(view.unit));
  const across = tree.nLeaves * view.unit + 2 * MARGIN;
  const down = levels.at(-1).end + MARGIN;
  view.left = within(left, across, view.width);
  view.top = within(top, down, view.height);
}

// A tree smaller than the stage is centred horizontally and aligned to the top.
function within(start, size, room) {
  if (size > room) return Math.min(size - room, Math.max(0, start));
  return size < room && room === view.width ? (size - room) / 2 : 0;
}

const xOf = (leaf) => MARGIN + leaf * view.unit - view.left;
const yOf = (level) => levels[level].top - view.top;

// The picture of a node, without its label.
function boxOf(node) {
  const level = levels[tree.level[node]];
  const slot = tree.leaves[node] * view.unit;
  let height = level.size;
  let width = Math.min(slot * 0.86, height * aspect);
  if (isLeaf(node)) {
    width = Math.min(slot * 0.84, 112);
    height = leafHeight(view.unit);
  } else {
    height = page.shape || !soft ? width / aspect : height;
  }
  width = Math.max(width, 1);
  return {
    x: xOf(centre(node)) - width / 2,
    y: yOf(tree.level[node]) + level.label,
    width,
    height,
  };
}

// Zoom with a fixed point of the stage.
function zoomAt(factor, x, y) {
  const leaf = (x + view.left - MARGIN) / view.unit;
  const depth = depthAt(y + view.top);
  const unit = Math.min(greatestUnit(), Math.max(fit.unit, view.unit * factor));
  const next = measure(unit, capAt(unit));
  place(unit, leaf * unit + MARGIN - x, heightAt(next, depth) - y);
  redraw();
}

// Converts a height to a level plus the fraction of the level above it.
function depthAt(y) {
  let level = 0;
  while (level < tree.depth && levels[level].end <= y) level++;
  const { top, end } = levels[level];
  return level + (y - top) / (end - top);
}

function heightAt(measured, depth) {
  const level = Math.min(tree.depth, Math.max(0, Math.floor(depth)));
  const { top, end } = measured[level];
  return top + (depth - level) * (end - top);
}

function moveBy(dx, dy) {
  place(view.unit, view.left - dx, view.top - dy);
  redraw();
}

function glideTo(unit, left, top) {
  const from = { ...view };
  place(unit, left, top);
  const to = { ...view };
  if (calm.matches) return redraw();
  place(from.unit, from.left, from.top);
  const start = performance.now();
  const turn = ++moving;
  const step = (now) => {
    if (turn !== moving) return;
    const part = Math.min(1, Math.max(0, (now - start) / 260));
    const eased = 1 - (1 - part) ** 3;
    const size = from.unit * (to.unit / from.unit) ** eased;
    // The position in the tree moves evenly, not the pixels, which grow with the unit.
    const middle = (state) => (state.left + view.width / 2) / state.unit;
    const at = middle(from) + eased * (middle(to) - middle(from));
    const high = from.top + eased * (to.top - from.top);
    if (part < 1) place(size, at * size - view.width / 2, high);
    else place(to.unit, to.left, to.top);
    redraw();
    if (part < 1) requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}

function stopMoving() {
  moving++;
}

function showAll() {
  glideTo(fit.unit, 0, 0);
}

// Centre a node, large enough to read.
function showNode(node) {
  const wanted = isLeaf(node) ? 64 : (Math.min(tallest, 110) * aspect) / 0.86 / tree.leaves[node];
  const unit = Math.min(greatestUnit(), Math.max(view.unit, wanted));
  centreOn(node, unit);
}

function centreOn(node, unit) {
  const next = measure(unit, capAt(unit))[tree.level[node]];
  const middle = next.top + next.label + next.size / 2;
  glideTo(unit, MARGIN + centre(node) * unit - view.width / 2, middle - view.height / 2);
}

// Make a node visible, at the same magnification if its neighbours are then distinguishable.
function reveal(node) {
  const box = boxOf(node);
  const inside =
    box.x > 0 &&
    box.x + box.width < view.width &&
    box.y > 0 &&
    box.y + Math.min(box.height, 40) < view.height;
  const least = 12 / tree.leaves[node];
  if (!inside || view.unit < least) centreOn(node, Math.max(view.unit, least));
  else redraw();
}

function resize() {
  const { width, height } = stage.getBoundingClientRect();
  const whole = view.width === 0 || view.unit <= fit.unit * 1.001;
  const middle = (view.left + view.width / 2) / view.unit;
  Object.assign(view, { width, height });
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  findFit();
  if (whole) place(fit.unit, 0, 0);
  else place(view.unit, middle * view.unit - width / 2, view.top);
  draw();
}
