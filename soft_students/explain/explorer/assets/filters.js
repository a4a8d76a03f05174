// Pictures of gates: weights as an image, or the largest weights by name.

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const colors = {};
let ramp = new Uint8ClampedArray(0);

// The middle of the ramp is the background; its ends are deeper than the colours of the sides.
function readColors() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["left", "right", "ink", "grey", "light", "pale", "faint", "paper",
    "deep-left", "deep-right", "mark"]) {
    colors[name] = style.getPropertyValue(`--${name}`).trim();
  }
  const stops = ["deep-left", "left", "paper", "right", "deep-right"].map((name) => rgb(colors[name]));
  ramp = new Uint8ClampedArray(256 * 3);
  for (let i = 0; i < 256; i++) {
    const place = (i / 255) * (stops.length - 1);
    const low = Math.min(stops.length - 2, Math.floor(place));
    for (let c = 0; c < 3; c++) {
      ramp[3 * i + c] = stops[low][c] + (place - low) * (stops[low + 1][c] - stops[low][c]);
    }
  }
  images.clear();
}

const rgb = (hex) => [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));

const images = new Map();

// Weights, multiplied by the features' deviations if these are known.
function gateWeights(gate) {
  const weights = new Float64Array(nFeatures);
  for (let j = 0; j < nFeatures; j++) {
    weights[j] = tree.weights[gate * nFeatures + j] * tree.betas[gate];
    if (tree.spread) weights[j] *= tree.spread[j];
  }
  return weights;
}

// Channels are side by side.
function imageOf(values, paint) {
  const [channels, height, width] = page.shape;
  const canvas = document.createElement("canvas");
  canvas.width = channels * width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, height);
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const from = (c * height + y) * width + x;
        const to = 4 * (y * canvas.width + c * width + x);
        image.data.set(paint(values[from], from), to);
        image.data[to + 3] = 255;
      }
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

function diverging(value, limit) {
  const place = Math.round(255 * Math.min(1, Math.max(0, 0.5 + value / limit / 2)));
  return ramp.subarray(3 * place, 3 * place + 3);
}

// The filter of a soft gate, or the pixel of a rule.
function gateImage(gate) {
  if (!images.has(gate)) {
    if (soft) {
      images.set(gate, imageOf(gateWeights(gate), (value) => diverging(value, page.limit)));
    } else {
      const [back, mark] = [rgb(colors.faint), rgb(colors.right)];
      const asked = tree.feature[gate];
      images.set(gate, imageOf(new Uint8Array(nFeatures), (_, j) => (j === asked ? mark : back)));
    }
  }
  return images.get(gate);
}

// A row in grey: high values are dark in the light theme and light in the dark one.
function rowImage(row) {
  const [low, high] = valueRange();
  const [paper, ink] = [rgb(colors.paper), rgb(colors.ink)];
  return imageOf(row, (value) => {
    const part = Math.min(1, Math.max(0, (value - low) / (high - low || 1)));
    return paper.map((channel, c) => channel + part * (ink[c] - channel));
  });
}

let range = null;

function valueRange() {
  if (!range) {
    let [low, high] = [Infinity, -Infinity];
    for (let i = 0; i < nRows; i++) {
      for (const value of rowOf(i)) {
        if (value < low) low = value;
        if (value > high) high = value;
      }
    }
    range = nRows ? [low, high] : [0, 1];
  }
  return range;
}

// Indices of the values of largest magnitude, largest first.
function ranked(values, top) {
  const order = Array.from(values, (_, j) => j);
  order.sort((a, b) => Math.abs(values[b]) - Math.abs(values[a]) || a - b);
  return order.slice(0, top);
}

const strongest = new Map();

function strongestFeatures(gate) {
  if (!strongest.has(gate)) {
    const weights = gateWeights(gate);
    strongest.set(gate, ranked(weights, 8).map((j) => [j, weights[j]]));
  }
  return strongest.get(gate);
}
