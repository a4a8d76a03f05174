// Reads the data written by Python: plain values, and arrays as base64. Lays out the tree in units
// of a leaf's width.

const page = JSON.parse(document.getElementById("page-data").textContent);

const ARRAYS = {
  float64: Float64Array,
  float32: Float32Array,
  int32: Int32Array,
  uint8: Uint8Array,
};

function unpack(packed) {
  if (!packed) return null;
  const text = atob(packed.base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return new ARRAYS[packed.dtype](bytes.buffer);
}

const tree = {
  left: unpack(page.left),
  right: unpack(page.right),
  values: unpack(page.values),
  reach: unpack(page.reach),
  weights: unpack(page.weights),
  biases: unpack(page.biases),
  betas: unpack(page.betas),
  offset: unpack(page.offset),
  spread: unpack(page.spread),
  feature: unpack(page.feature),
  threshold: unpack(page.threshold),
};
const soft = page.kind === "soft";
const nNodes = tree.left.length;
const nFeatures = page.features.length;
const nOutputs = page.values.shape[1];
const isLeaf = (node) => tree.left[node] < 0;
const isClassifier = page.classes !== null;

// A child's number is greater than its parent's, so one pass up and one down suffice.
function arrange() {
  const parent = new Int32Array(nNodes).fill(-1);
  const level = new Int32Array(nNodes);
  const leaves = new Int32Array(nNodes).fill(1);
  const first = new Int32Array(nNodes);
  for (let node = nNodes - 1; node >= 0; node--) {
    if (isLeaf(node)) continue;
    const [a, b] = [tree.left[node], tree.right[node]];
    parent[a] = parent[b] = node;
    leaves[node] = leaves[a] + leaves[b];
  }
  const order = new Int32Array(leaves[0]); // leaves from left to right
  for (let node = 0; node < nNodes; node++) {
    if (isLeaf(node)) {
      order[first[node]] = node;
      continue;
    }
    const [a, b] = [tree.left[node], tree.right[node]];
    level[a] = level[b] = level[node] + 1;
    first[a] = first[node];
    first[b] = first[node] + leaves[a];
  }
  Object.assign(tree, { parent, level, leaves, first, order });
  tree.nLeaves = leaves[0];
  tree.depth = level.reduce((most, one) => Math.max(most, one), 0);
  tree.byLevel = Array.from({ length: tree.depth + 1 }, () => []);
  for (let node = 0; node < nNodes; node++) tree.byLevel[level[node]].push(node);
  for (const nodes of tree.byLevel) nodes.sort((a, b) => first[a] - first[b]);
}
arrange();

const centre = (node) => tree.first[node] + tree.leaves[node] / 2;

// Rows are one-byte codes if these reproduce every value exactly.
const rowCodes = unpack(page.rows);
const nRows = page.rows ? page.rows.shape[0] : 0;

function rowOf(number) {
  const raw = rowCodes.subarray(number * nFeatures, (number + 1) * nFeatures);
  const row = Float64Array.from(raw);
  const { divisor, type } = page.rows;
  if (divisor) {
    for (let i = 0; i < row.length; i++) {
      row[i] /= divisor;
      if (type === "float32") row[i] = Math.fround(row[i]);
    }
  }
  return row;
}
