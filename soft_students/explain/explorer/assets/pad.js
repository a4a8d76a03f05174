// Converts a picture drawn by hand to a row: ink as dark as the rows' darkest pixel and, as an
// option, with the mean size and centre of their pictures.

const drawable = page.shape !== null && page.shape[0] === 1;
const PAD = 280; // longer side, in pixels
const FINE = 8; // samples per pixel, in each direction
const STROKE = 0.085; // fraction of the longer side

const pad = byId("pad");
const ink = pad.getContext("2d", { willReadFrequently: true });
let strokes = []; // lists of points
let usual = null;

function wirePad() {
  if (!drawable) return;
  const [, height, width] = page.shape;
  const unit = PAD / Math.max(height, width);
  Object.assign(pad, { width: unit * width, height: unit * height });
  pad.addEventListener("pointerdown", (event) => {
    pad.setPointerCapture(event.pointerId);
    strokes.push([pointOf(event)]);
    drawStrokes();
    event.preventDefault();
  });
  pad.addEventListener("pointermove", (event) => {
    if (!event.buttons || !strokes.length) return;
    for (const one of event.getCoalescedEvents?.() ?? [event]) strokes.at(-1).push(pointOf(one));
    drawStrokes();
    follow(drawnRow(), null);
  });
  pad.addEventListener("pointerup", () => followDrawing());
  byId("pad-clear").addEventListener("click", () => {
    strokes = [];
    drawStrokes();
    follow(null, null);
  });
  byId("pad-fit").addEventListener("change", () => followDrawing());
  byId("pad-fit").parentElement.hidden = !nRows;
  byId("tab-rows").addEventListener("click", () => showTab(false));
  byId("tab-pad").addEventListener("click", () => showTab(true));
  if (!nRows) showTab(true);
}

function showTab(drawing) {
  byId("tab-rows").setAttribute("aria-pressed", String(!drawing));
  byId("tab-pad").setAttribute("aria-pressed", String(drawing));
  byId("rows-panel").hidden = drawing || !nRows;
  byId("pad-panel").hidden = !drawing;
  if (drawing) {
    if (nRows) clearRow();
    drawStrokes();
    followDrawing();
  } else follow(null, null);
}

function followDrawing() {
  if (strokes.length) follow(drawnRow(), "Drawing");
}

function pointOf(event) {
  const box = pad.getBoundingClientRect();
  return [
    ((event.clientX - box.left) / box.width) * pad.width,
    ((event.clientY - box.top) / box.height) * pad.height,
  ];
}

function drawStrokes() {
  ink.clearRect(0, 0, pad.width, pad.height);
  ink.strokeStyle = colors.ink;
  ink.lineWidth = STROKE * PAD;
  ink.lineCap = ink.lineJoin = "round";
  for (const points of strokes) {
    ink.beginPath();
    ink.moveTo(...points[0]);
    for (const point of points) ink.lineTo(...point);
    if (points.length === 1) ink.lineTo(points[0][0] + 0.01, points[0][1]);
    ink.stroke();
  }
}

function drawnRow() {
  const [, height, width] = page.shape;
  const fine = document.createElement("canvas");
  Object.assign(fine, { width: width * FINE, height: height * FINE });
  const context = fine.getContext("2d", { willReadFrequently: true });
  const { scale, x, y } = placement(byId("pad-fit").checked && nRows > 0);
  context.imageSmoothingQuality = "high";
  context.setTransform(scale * FINE, 0, 0, scale * FINE, x * FINE, y * FINE);
  context.drawImage(pad, 0, 0);
  const alpha = context.getImageData(0, 0, fine.width, fine.height).data;
  const [low, high] = valueRange();
  const row = new Float64Array(width * height).fill(0);
  for (let i = 0; i < fine.width * fine.height; i++) {
    const column = Math.floor((i % fine.width) / FINE);
    const line = Math.floor(i / fine.width / FINE);
    row[line * width + column] += alpha[4 * i + 3] / 255 / FINE ** 2;
  }
  return row.map((part) => Math.fround(low + part * (high - low)));
}

// Scale and offset of the pad in the picture, in pixels of the picture.
function placement(fitted) {
  const plain = page.shape[2] / pad.width;
  if (!fitted) return { scale: plain, x: 0, y: 0 };
  const data = ink.getImageData(0, 0, pad.width, pad.height).data;
  const drawn = extent((i) => data[4 * i + 3] / 255, pad.width, pad.height);
  if (!drawn) return { scale: plain, x: 0, y: 0 };
  usual ??= usualExtent();
  const scale = usual.size / drawn.size;
  return { scale, x: usual.x - scale * drawn.x, y: usual.y - scale * drawn.y };
}

// Longer side and centre of mass of the dark pixels.
function extent(darkness, width, height) {
  let [mass, x, y] = [0, 0, 0];
  let [left, right, top, bottom] = [width, -1, height, -1];
  for (let i = 0; i < width * height; i++) {
    const dark = darkness(i);
    if (dark < 0.1) continue;
    const [column, line] = [i % width, Math.floor(i / width)];
    mass += dark;
    x += dark * (column + 0.5);
    y += dark * (line + 0.5);
    [left, right] = [Math.min(left, column), Math.max(right, column)];
    [top, bottom] = [Math.min(top, line), Math.max(bottom, line)];
  }
  if (!mass) return null;
  return { size: Math.max(right - left, bottom - top) + 1, x: x / mass, y: y / mass };
}

function usualExtent() {
  const [, height, width] = page.shape;
  const [low, high] = valueRange();
  const all = [];
  for (let number = 0; number < nRows; number++) {
    const row = rowOf(number);
    const one = extent((i) => (row[i] - low) / (high - low || 1), width, height);
    if (one) all.push(one);
  }
  if (!all.length) return { size: Math.max(width, height), x: width / 2, y: height / 2 };
  const mean = (name) => all.reduce((sum, one) => sum + one[name], 0) / all.length;
  return { size: mean("size"), x: mean("x"), y: mean("y") };
}
