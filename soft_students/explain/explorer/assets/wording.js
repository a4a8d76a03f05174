// Texts for numbers and nodes.

const WAYS = {
  expectation: "expectation",
  greatest_path: "greatest path",
  greedy: "greedy",
  leaf: "leaf",
};

function percent(share) {
  const value = 100 * share;
  if (value === 0) return "0 %";
  if (value > 0 && value < 0.1) return "<0.1 %";
  if (value > 99.9 && value < 100) return ">99.9 %";
  return `${value.toFixed(value < 10 || (value > 99 && value < 100) ? 1 : 0)} %`;
}

// Whole numbers in full, others with as many significant digits.
function short(value, digits = 4) {
  const size = Math.abs(value);
  let text = String(value);
  if (!Number.isInteger(value) || size >= 1e15) {
    const decimals = Math.max(1, digits - 1 - Math.floor(Math.log10(size)));
    const plain = size >= 1e-4 && size < 1e15;
    text = plain ? String(+value.toFixed(decimals)) : value.toExponential(digits - 1);
  }
  return text.replace("-", "−");
}

// The least digits by which numbers that differ have texts that differ.
function digitsFor(values, digits = 4) {
  const distinct = new Set(values).size;
  while (digits < 17 && new Set(values.map((value) => short(value, digits))).size < distinct) digits += 1;
  return digits;
}

const digitsOfFeature = new Map();

// The threshold of a node, told apart from all others of its feature.
function thresholdOf(node) {
  const feature = tree.feature[node];
  if (!digitsOfFeature.has(feature)) {
    const of = [...tree.threshold].filter((_, i) => !isLeaf(i) && tree.feature[i] === feature);
    digitsOfFeature.set(feature, digitsFor(of));
  }
  return short(tree.threshold[node], digitsOfFeature.get(feature));
}

const signed = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2);

const nodeName = (node) => `${isLeaf(node) ? "Leaf" : "Gate"} ${node}`;

const RARE = 0.1; // leaves with a smaller fraction of an even share of the rows are left out
const below = new Map();

// The likeliest classes of the leaves under a node.
function classesBelow(node) {
  if (!below.has(node)) {
    const under = leavesUnder(node);
    const often = tree.reach
      ? under.filter((leaf) => tree.reach[leaf] >= RARE / tree.nLeaves)
      : under;
    const found = new Set();
    for (const leaf of often.length ? often : under) found.add(argmax(leafOutput(leaf)));
    below.set(node, [...found].sort((a, b) => a - b));
  }
  return below.get(node);
}

function summaryBelow(node) {
  if (isClassifier) {
    const names = classesBelow(node).map((k) => page.classes[k]);
    return names.join(names.every((name) => name.length === 1) ? " " : ", ");
  }
  if (nOutputs > 1) return "";
  let [low, high] = [Infinity, -Infinity];
  for (const leaf of leavesUnder(node)) {
    const value = leafOutput(leaf)[0];
    [low, high] = [Math.min(low, value), Math.max(high, value)];
  }
  const digits = digitsFor([low, high]);
  return low === high ? short(low) : `${short(low, digits)} … ${short(high, digits)}`;
}

const ruleOf = (node, sign = "≤") =>
  `${page.features[tree.feature[node]]} ${sign} ${thresholdOf(node)}`;

// The path probability of the routed row, or the share of rows.
function reachInWords(node, routed) {
  if (routed) return `path probability ${percent(routed.paths[node])}`;
  if (!tree.reach) return "";
  return `${percent(tree.reach[node])} of the rows`;
}

// One sentence for screen readers.
function description(node, routed) {
  const parts = [nodeName(node), `level ${tree.level[node]}`];
  if (isLeaf(node)) {
    const output = leafOutput(node);
    const best = argmax(output);
    parts.push(
      isClassifier
        ? `predicts ${page.classes[best]}, ${percent(output[best])}`
        : `predicts ${[...output].map(short).join(", ")}`,
    );
  } else {
    if (!soft) parts.push(`left if ${ruleOf(node)}`);
    const under = summaryBelow(node);
    if (under) parts.push(`below: ${under}`);
  }
  const reach = reachInWords(node, routed);
  if (reach) parts.push(reach);
  return parts.join(", ");
}
