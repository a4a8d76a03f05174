// The panel beside the tree: the prediction, and the selected node. Texts are never set as HTML.

const byId = (id) => document.getElementById(id);

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter((child) => child !== null));
  return element;
}

const MOST_BARS = 12;

// Values as labelled bars; only the largest if there are many.
function bars(values, marked) {
  if (!isClassifier) {
    return make("p", { className: "value" }, [...values].map(short).join(", "));
  }
  const order = values.length <= MOST_BARS ? Array.from(values, (_, k) => k) : ranked(values, MOST_BARS);
  const list = make("ul", { className: "bars" });
  for (const k of order) {
    const bar = make("span", { className: "bar" }, make("span", { className: "fill" }));
    bar.firstChild.style.width = `${100 * values[k]}%`;
    const name = make("span", { className: "name", title: page.classes[k] }, page.classes[k]);
    const number = make("span", { className: "number" }, percent(values[k]));
    list.append(make("li", { className: k === marked ? "best" : "" }, name, bar, number));
  }
  if (order.length < values.length) {
    list.append(make("li", { className: "rest" }, `and ${values.length - order.length} more classes`));
  }
  return list;
}

function enlarged(image, label) {
  const copy = make("canvas", { width: image.width, height: image.height, className: "filter" });
  copy.getContext("2d").drawImage(image, 0, 0);
  copy.setAttribute("role", "img");
  copy.setAttribute("aria-label", label);
  return make("figure", {}, copy, make("figcaption", {}, label));
}

function showPanel() {
  const node = state.selected;
  byId("node-heading").textContent = nodeName(node);
  const about = [`level ${tree.level[node]}`, reachInWords(node, state.routed)].filter(Boolean);
  const parts = [make("p", { className: "about" }, about.join(" · "))];
  if (!isLeaf(node)) parts.push(...(soft ? softGate(node) : hardGate(node)));
  const output = nodeOutput(node);
  const title = isLeaf(node) ? "Output" : "Mean output below";
  parts.push(make("h3", {}, title), bars(output, isClassifier ? argmax(output) : -1), neighbours(node));
  byId("node-body").replaceChildren(...parts);
}

function softGate(gate) {
  const parts = [];
  const { routed } = state;
  if (routed) {
    const activation = routed.activations[gate];
    const [left, right] = sides(activation);
    parts.push(
      make(
        "p",
        { className: "decision" },
        make("span", { className: "left" }, `left ${percent(left)}`),
        make("span", { className: "right" }, `right ${percent(right)}`),
        make("span", { className: "about" }, `activation ${signed(activation)}`),
      ),
    );
  }
  const added = routed ? contributions(gate, routed.row) : null;
  if (page.shape) {
    const figures = make("div", { className: "figures" }, enlarged(gateImage(gate), "Filter"));
    if (added) {
      const sizes = [...added].map(Math.abs).sort((a, b) => b - a);
      const limit = sizes[Math.floor(sizes.length / 200)] || sizes[0] || 1;
      const image = imageOf(added, (value) => diverging(value, limit));
      figures.append(enlarged(image, "Filter × input"));
    }
    parts.push(figures);
  } else {
    parts.push(weightTable(gate, added));
  }
  const bias = tree.betas[gate] * tree.biases[gate];
  parts.push(make("p", { className: "about" }, `bias ${signed(bias)}`));
  return parts;
}

// The contribution of each feature to the activation of a gate.
function contributions(gate, row) {
  return Float64Array.from(row, (value, j) => {
    const shifted = tree.offset ? value - tree.offset[j] : value;
    return tree.betas[gate] * tree.weights[gate * nFeatures + j] * shifted;
  });
}

function weightTable(gate, added) {
  const values = added ?? gateWeights(gate);
  const shown = ranked(values, 10);
  const most = Math.abs(values[shown[0]]) || 1;
  const list = make("ul", { className: "weights" });
  for (const j of shown) {
    const side = values[j] > 0 ? "right" : "left";
    const bar = make("span", { className: `bar ${side}` }, make("span", { className: "fill" }));
    bar.firstChild.style.width = `${(50 * Math.abs(values[j])) / most}%`;
    const name = make("span", { className: "name", title: page.features[j] }, page.features[j]);
    list.append(make("li", {}, name, bar, make("span", { className: "number" }, signed(values[j]))));
  }
  const what = added ? "Contribution to the activation" : tree.spread ? "Weight × deviation" : "Weight";
  return make("div", {}, make("h3", {}, what), list);
}

function hardGate(node) {
  const feature = tree.feature[node];
  const parts = [make("p", { className: "rule" }, `Left if ${ruleOf(node)}`)];
  if (state.routed) {
    const side = goesRight(node, state.routed.row) ? "right" : "left";
    const value = state.routed.row[feature];
    parts.push(
      make(
        "p",
        { className: "decision" },
        `This row has ${short(value, digitsFor([value, tree.threshold[node]]))}: `,
        make("span", { className: side }, side),
      ),
    );
  }
  if (page.shape) {
    parts.push(make("div", { className: "figures" }, enlarged(gateImage(node), page.features[feature])));
  }
  return parts;
}

function neighbours(node) {
  const group = make("p", { className: "neighbours" });
  const link = (text, to) =>
    make("button", { type: "button", onclick: () => select(to, { zoom: true }) }, text);
  if (node) group.append(link(`↑ ${nodeName(tree.parent[node])}`, tree.parent[node]));
  if (!isLeaf(node)) {
    group.append(link(`↙ ${nodeName(tree.left[node])}`, tree.left[node]));
    group.append(link(`↘ ${nodeName(tree.right[node])}`, tree.right[node]));
  }
  return group;
}

function showAnswer() {
  const { routed } = state;
  byId("answer").hidden = routed === null;
  if (!routed) return;
  const table = make("table", {}, make("tbody"));
  for (const [name, way] of Object.entries(routed.ways)) {
    const mine = name === page.prediction;
    const text = isClassifier ? page.classes[way.best] : [...way.output].map(short).join(", ");
    const row = make(
      "tr",
      { className: mine ? "mine" : "" },
      make("th", { scope: "row" }, WAYS[name], mine && soft ? make("small", {}, "the student's way") : null),
      make("td", { className: "predicted" }, text),
      make("td", {}, isClassifier ? percent(way.output[way.best]) : ""),
    );
    row.dataset.way = name;
    table.tBodies[0].append(row);
  }
  byId("ways").replaceChildren(table);
  byId("distribution").hidden = !isClassifier;
  byId("distribution").replaceChildren(bars(routed.answer.output, isClassifier ? routed.answer.best : -1));
  byId("path").replaceChildren(...routed.nodes.map((node, i) => pathStep(node, routed.nodes[i + 1])));
  const picture = byId("input-picture");
  picture.hidden = !page.shape;
  if (page.shape) {
    const image = rowImage(routed.row);
    Object.assign(picture, { width: image.width, height: image.height });
    picture.getContext("2d").drawImage(image, 0, 0);
  }
}

function pathStep(node, next) {
  const { routed } = state;
  const button = make("button", { type: "button", onclick: () => select(node, { zoom: true }) });
  button.append(make("span", {}, nodeName(node)));
  if (next !== undefined) {
    const right = next === tree.right[node];
    const side = right ? "right" : "left";
    const words = soft
      ? `${side} ${percent(sides(routed.activations[node])[+right])}`
      : right
        ? ruleOf(node, ">")
        : ruleOf(node);
    button.append(make("span", { className: side }, words));
  } else {
    const output = leafOutput(node);
    button.append(make("span", {}, isClassifier ? page.classes[argmax(output)] : short(output[0])));
  }
  if (soft) button.append(make("span", { className: "number" }, percent(routed.paths[node])));
  return make("li", {}, button);
}

function showKey() {
  const branches = state.routed
    ? "Branch width: path probability"
    : tree.reach
      ? "Branch width: share of rows"
      : "";
  const parts = [
    make(
      "p",
      {},
      make("span", { className: "left" }, soft ? "← left" : "← yes, left"),
      make("span", { className: "right" }, soft ? "right →" : "no, right →"),
    ),
  ];
  if (soft && page.shape) {
    const [below, above] = page.cut ? ["≤ ", "≥ "] : ["", ""];
    parts.push(
      make("div", { className: "ramp" }),
      make(
        "p",
        { className: "ticks" },
        make("span", {}, `${below}−${page.limit.toPrecision(2)}`),
        make("span", {}, tree.spread ? "weight × deviation" : "gate weight"),
        make("span", {}, `${above}${page.limit.toPrecision(2)}`),
      ),
    );
  }
  if (branches) parts.push(make("p", { className: "ticks" }, branches));
  byId("key").replaceChildren(...parts);
}
