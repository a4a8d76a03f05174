// Computes path probabilities and predictions of a row, exactly as the student does.

function activationOf(gate, row) {
  const { weights, biases, betas, offset } = tree;
  let sum = 0;
  for (let j = 0, w = gate * nFeatures; j < nFeatures; j++, w++) {
    sum += weights[w] * (offset ? row[j] - offset[j] : row[j]);
  }
  return betas[gate] * (sum + biases[gate]);
}

// Probabilities of left and right. 1 - right would be inexact for a small probability of left.
function sides(activation) {
  const odds = Math.exp(-Math.min(708, Math.max(-708, activation)));
  const right = 1 / (1 + odds);
  return [odds * right, right];
}

// scikit-learn compares in single precision with a threshold in double precision.
const goesRight = (node, row) => Math.fround(row[tree.feature[node]]) > tree.threshold[node];

function route(row) {
  const paths = new Float64Array(nNodes);
  const activations = soft ? new Float64Array(nNodes) : null;
  paths[0] = 1;
  for (let node = 0; node < nNodes; node++) {
    if (isLeaf(node) || (!soft && !paths[node])) continue;
    let left;
    let right;
    if (soft) {
      activations[node] = activationOf(node, row);
      [left, right] = sides(activations[node]);
    } else {
      right = goesRight(node, row) ? 1 : 0;
      left = 1 - right;
    }
    paths[tree.left[node]] = paths[node] * left;
    paths[tree.right[node]] = paths[node] * right;
  }
  const routed = { row, paths, activations, ways: {} };
  const greatest = greatestLeaf(paths);
  if (soft) {
    routed.ways.expectation = { leaf: greatest, output: atTemperatureOne(meanOutput(paths)) };
    routed.ways.greatest_path = { leaf: greatest, output: leafOutput(greatest) };
    const greedy = greedyLeaf(activations);
    routed.ways.greedy = { leaf: greedy, output: leafOutput(greedy) };
  } else {
    routed.ways.leaf = { leaf: greatest, output: leafOutput(greatest) };
  }
  for (const way of Object.values(routed.ways)) way.best = isClassifier ? argmax(way.output) : 0;
  routed.answer = routed.ways[page.prediction];
  routed.nodes = ancestors(routed.answer.leaf);
  return routed;
}

function greatestLeaf(paths) {
  let best = tree.order[0];
  for (const leaf of tree.order) if (paths[leaf] > paths[best]) best = leaf;
  return best;
}

function greedyLeaf(activations) {
  let node = 0;
  while (!isLeaf(node)) node = activations[node] > 0 ? tree.right[node] : tree.left[node];
  return node;
}

// From the root to a node.
function ancestors(node) {
  const nodes = [];
  for (let one = node; one >= 0; one = tree.parent[one]) nodes.unshift(one);
  return nodes;
}

// Inner nodes of a soft tree hold no values; leaves are numbered after them.
const valueRow = (node) => (soft ? node - (nNodes - tree.nLeaves) : node);

function rawOutput(node) {
  const start = valueRow(node) * nOutputs;
  return Float64Array.from(tree.values.subarray(start, start + nOutputs));
}

function meanOutput(paths) {
  const mean = new Float64Array(nOutputs);
  for (const leaf of tree.order) {
    const start = valueRow(leaf) * nOutputs;
    for (let k = 0; k < nOutputs; k++) mean[k] += paths[leaf] * tree.values[start + k];
  }
  return mean;
}

// p ** T, normalised: students are trained on targets at temperature T.
function atTemperatureOne(values) {
  if (!isClassifier) return values;
  const powers = page.temperature === 1 ? values : values.map((p) => page.temperature * Math.log(p));
  if (page.temperature !== 1) {
    const most = powers.reduce((a, b) => Math.max(a, b), -Infinity);
    for (let k = 0; k < nOutputs; k++) powers[k] = Math.exp(powers[k] - most);
  }
  const total = powers.reduce((a, b) => a + b, 0);
  return powers.map((p) => p / total);
}

const outputs = new Map();

function leafOutput(leaf) {
  if (!outputs.has(leaf)) outputs.set(leaf, atTemperatureOne(rawOutput(leaf)));
  return outputs.get(leaf);
}

// A leaf's own output, or the mean of the leaves below a node, weighted by their share of rows.
function nodeOutput(node) {
  if (isLeaf(node) || !soft) return leafOutput(node);
  const mean = new Float64Array(nOutputs);
  const under = leavesUnder(node);
  const total = tree.reach ? under.reduce((sum, leaf) => sum + tree.reach[leaf], 0) : 0;
  for (const leaf of under) {
    const share = total > 0 ? tree.reach[leaf] / total : 1 / under.length;
    leafOutput(leaf).forEach((value, k) => (mean[k] += share * value));
  }
  return mean;
}

const leavesUnder = (node) =>
  tree.order.subarray(tree.first[node], tree.first[node] + tree.leaves[node]);

function argmax(values) {
  let best = 0;
  for (let k = 1; k < values.length; k++) if (values[k] > values[best]) best = k;
  return best;
}
