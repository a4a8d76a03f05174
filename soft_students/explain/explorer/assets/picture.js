// Draws the visible part of the tree on a canvas, each node in as much detail as fits.

const state = {
  active: 0, // node with the keyboard focus
  selected: 0, // node shown in the panel
  routed: null,
  shown: 1, // levels that the animation of the row has reached: see `follow`
  found: null, // nodes that a search leaves in full colour
};

const THICKEST = 13;
const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";
const pen = canvas.getContext("2d");
let waiting = false;

function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    draw();
  });
}

function draw() {
  const ratio = canvas.width / view.width || 1;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, view.width, view.height);
  const nodes = visibleNodes();
  for (const node of nodes) if (!isLeaf(node)) drawBranches(node);
  for (const node of nodes) {
    pen.globalAlpha = dimmed(node) ? 0.15 : 1;
    if (isLeaf(node)) drawLeaf(node);
    else if (tree.leaves[node] * view.unit >= 3) drawGate(node);
  }
  pen.globalAlpha = 1;
  drawRings();
}

// Subtrees narrower than a pixel are not drawn, only the branch to them.
function visibleNodes() {
  const nodes = [];
  const stack = [0];
  while (stack.length) {
    const node = stack.pop();
    const start = xOf(tree.first[node]);
    const width = tree.leaves[node] * view.unit;
    if (start > view.width || start + width < 0 || yOf(tree.level[node]) > view.height) continue;
    nodes.push(node);
    if (!isLeaf(node) && width >= 1) stack.push(tree.right[node], tree.left[node]);
  }
  return nodes;
}

const dimmed = (node) => state.found !== null && !state.found.has(node);

// The share of rows at a node, or the path probability of the routed row.
function flow(node) {
  if (!state.routed) return tree.reach ? tree.reach[node] : 1 / (1 + tree.level[node]) / 3;
  const come = Math.min(1, Math.max(0, state.shown - tree.level[node] + 1));
  return state.routed.paths[node] * come;
}

function drawBranches(node) {
  const box = boxOf(node);
  const from = box.y + box.height;
  const offset = Math.min(box.width / 6, 9);
  for (const side of [0, 1]) {
    const child = side ? tree.right[node] : tree.left[node];
    const share = flow(child);
    const faint = state.routed !== null && share < 0.002;
    pen.globalAlpha = dimmed(child) ? 0.12 : faint ? 0.8 : 0.85;
    pen.strokeStyle = faint ? colors.pale : side ? colors.right : colors.left;
    pen.lineWidth = Math.max(faint ? 0.5 : 0.75, THICKEST * share);
    const x0 = box.x + box.width / 2 + (side ? offset : -offset);
    const x1 = xOf(centre(child));
    const to = yOf(tree.level[child]) + (isLeaf(child) ? levels[tree.level[child]].label : 0);
    const middle = (from + to) / 2;
    pen.beginPath();
    pen.moveTo(x0, from);
    pen.bezierCurveTo(x0, middle, x1, middle, x1, to);
    pen.stroke();
  }
  pen.globalAlpha = 1;
}

function write(text, x, y, size, { bold = false, color = colors.ink, width = Infinity, align = "center" } = {}) {
  pen.font = `${bold ? "600 " : ""}${size}px ${FONT}`;
  pen.fillStyle = color;
  pen.textAlign = align;
  pen.textBaseline = "middle";
  pen.fillText(cut(text, width), x, y);
}

// The longest prefix that fits.
function cut(text, width) {
  if (width === Infinity || pen.measureText(text).width <= width) return text;
  let [low, high] = [0, text.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (pen.measureText(`${text.slice(0, middle)}…`).width <= width) low = middle;
    else high = middle - 1;
  }
  return low ? `${text.slice(0, low)}…` : "";
}

function drawGate(node) {
  const box = boxOf(node);
  const slot = tree.leaves[node] * view.unit;
  if (levels[tree.level[node]].label > 10 && box.width >= 22) {
    drawLabel(node, box, slot - 8);
  }
  if (page.shape && (soft || box.width >= 12)) {
    pen.imageSmoothingEnabled = box.width < page.shape[2] * page.shape[0];
    pen.drawImage(gateImage(node), box.x, box.y, box.width, box.height);
    frame(box, colors.pale, 1);
  } else if (box.width >= 46 && soft) {
    drawBars(node, box);
  } else if (box.width >= 56) {
    pen.fillStyle = colors.paper;
    pen.fillRect(box.x, box.y, box.width, box.height);
    frame(box, colors.pale, 1);
    const size = Math.min(13, Math.max(9, box.height * 0.45));
    write(ruleOf(node), box.x + box.width / 2, box.y + box.height / 2, size, { width: box.width - 12 });
  } else {
    pen.fillStyle = colors.light;
    pen.fillRect(box.x, box.y, box.width, box.height);
  }
  if (page.shape && !soft && box.width >= 90) {
    const text = `≤ ${thresholdOf(node)}`;
    write(text, box.x + box.width / 2, box.y + box.height + 9, 11, { color: colors.grey });
  }
  if (onPath(node)) frame(box, colors.ink, box.width < 20 ? 1 : 1.75);
}

const onPath = (node) =>
  state.routed !== null && state.shown >= tree.level[node] && state.routed.nodes.includes(node);

function drawLabel(node, box, room) {
  const words = summaryBelow(node);
  const share = state.routed ? percent(state.routed.paths[node]) : tree.reach ? percent(tree.reach[node]) : "";
  const x = box.x + box.width / 2;
  const y = box.y - 10;
  pen.font = `600 13px ${FONT}`;
  const wide = pen.measureText(words).width;
  pen.font = `11px ${FONT}`;
  const more = pen.measureText(share).width;
  if (!share || wide + more + 10 > room) {
    write(words, x, y, wide > room ? 10.5 : 13, { bold: true, width: room });
    return;
  }
  const start = x - (wide + more + 8) / 2;
  write(words, start, y, 13, { bold: true, align: "left" });
  write(share, start + wide + 8, y + 0.5, 11, { color: colors.grey, align: "left" });
}

// The features of largest weight: bars from the middle, names on the other side.
function drawBars(node, box) {
  pen.fillStyle = colors.paper;
  pen.fillRect(box.x, box.y, box.width, box.height);
  frame(box, colors.pale, 1);
  const named = box.width >= 100;
  const rows = strongestFeatures(node).slice(0, Math.max(1, Math.floor((box.height - 4) / (named ? 14 : 6))));
  const step = Math.min(18, (box.height - 4) / rows.length);
  const middle = box.x + box.width / 2;
  rows.forEach(([feature, weight], i) => {
    const y = box.y + 2 + i * step;
    const length = (weight / page.limit) * (box.width / 2 - 4);
    pen.fillStyle = weight > 0 ? colors.right : colors.left;
    pen.fillRect(Math.min(middle, middle + length), y + step * 0.2, Math.abs(length), step * 0.6);
    if (!named) return;
    const side = weight > 0 ? -1 : 1;
    write(page.features[feature], middle + side * 4, y + step / 2, 11, {
      width: box.width / 2 - 8,
      align: weight > 0 ? "right" : "left",
    });
  });
  pen.fillStyle = colors.pale;
  pen.fillRect(middle - 0.5, box.y, 1, box.height);
}

function drawLeaf(node) {
  const box = boxOf(node);
  const output = leafOutput(node);
  const best = isClassifier ? argmax(output) : 0;
  const text = isClassifier ? page.classes[best] : nOutputs === 1 ? short(output[0]) : "";
  const come = state.routed ? Math.sqrt(flow(node)) : null;
  const x = box.x + box.width / 2;
  if (view.unit >= 34) {
    drawColumns(output, box.x, box.y, box.width, 52, come);
    const strong = come === null || come > 0.3;
    write(text, x, box.y + 70, isClassifier ? 17 : 13, {
      bold: true,
      width: view.unit - 4,
      color: strong ? colors.ink : colors.grey,
    });
    const share = state.routed ? state.routed.paths[node] : tree.reach ? tree.reach[node] : null;
    if (share !== null) write(percent(share), x, box.y + 92, 11, { color: colors.grey, width: view.unit });
  } else {
    const height = 34 * (isClassifier ? output[best] : heightIn(output[0]));
    pen.fillStyle = colors.faint;
    pen.fillRect(box.x, box.y, box.width, 34);
    pen.fillStyle = come === null ? colors.light : mixed(colors.pale, colors.ink, come);
    pen.fillRect(box.x, box.y + 34 - height, box.width, height);
    if (view.unit >= 9) {
      pen.font = `600 ${view.unit >= 13 ? 13 : 10}px ${FONT}`;
      if (pen.measureText(text).width <= view.unit) {
        write(text, x, box.y + 46, view.unit >= 13 ? 13 : 10, { bold: come === null || come > 0.3 });
      }
    }
  }
  if (onPath(node)) {
    frame({ ...box, height: view.unit >= 34 ? 52 : 34 }, colors.ink, view.unit < 9 ? 1 : 1.75);
  }
}

function drawColumns(output, x, y, width, height, come) {
  pen.fillStyle = colors.faint;
  pen.fillRect(x, y, width, height);
  const best = isClassifier ? argmax(output) : -1;
  const [low, high] = outputSpan();
  const unit = height / (high - low || 1);
  const zero = y + high * unit;
  output.forEach((value, k) => {
    const left = x + (width / output.length) * k;
    const strong = k === best ? mixed(colors.pale, colors.ink, come ?? 1) : colors.light;
    pen.fillStyle = strong;
    const tall = value * unit;
    pen.fillRect(left, Math.min(zero, zero - tall), (0.85 * width) / output.length, Math.abs(tall));
  });
  pen.fillStyle = colors.pale;
  pen.fillRect(x, zero - 0.5, width, 1);
}

let span = null;

// Values at the bottom and the top of a leaf's columns, with zero between them.
function outputSpan() {
  if (isClassifier) return [0, 1];
  if (!span) {
    span = [0, 0];
    for (const leaf of tree.order) {
      for (const value of leafOutput(leaf)) {
        span = [Math.min(span[0], value), Math.max(span[1], value)];
      }
    }
  }
  return span;
}

function heightIn(value) {
  const [low, high] = outputSpan();
  return (value - low) / (high - low || 1);
}

function mixed(from, to, part) {
  const [a, b] = [rgb(from), rgb(to)];
  return `rgb(${a.map((channel, c) => Math.round(channel + part * (b[c] - channel))).join(",")})`;
}

function frame(box, color, thickness) {
  pen.strokeStyle = color;
  pen.lineWidth = thickness;
  pen.strokeRect(box.x, box.y, box.width, box.height);
}

// A thin ring marks the selected node, a thick one the node with the keyboard focus.
function drawRings() {
  ring(state.selected, 1.5, 4);
  if (document.activeElement === stage) ring(state.active, 3, 4);
}

function ring(node, thickness, distance) {
  const box = boxOf(node);
  const width = Math.max(box.width, 10);
  const height = isLeaf(node) ? (view.unit >= 34 ? 80 : 34) : Math.max(box.height, 6);
  pen.strokeStyle = colors.mark;
  pen.lineWidth = thickness;
  pen.beginPath();
  pen.roundRect(
    box.x + box.width / 2 - width / 2 - distance,
    box.y - distance,
    width + 2 * distance,
    height + 2 * distance,
    5,
  );
  pen.stroke();
}

// The node at a point of the stage, with some tolerance, or null.
function nodeAt(x, y) {
  const level = Math.min(tree.depth, Math.max(0, Math.floor(depthAt(y + view.top))));
  const leaf = (x + view.left - MARGIN) / view.unit;
  const here = tree.byLevel[level].find(
    (node) => tree.first[node] <= leaf && leaf < tree.first[node] + tree.leaves[node],
  );
  if (here === undefined) return null;
  const box = boxOf(here);
  const near = Math.max(8, 12 - box.width / 2);
  const hit =
    x > box.x - near && x < box.x + box.width + near && y > box.y - 20 && y < box.y + box.height + near;
  return hit ? here : null;
}
