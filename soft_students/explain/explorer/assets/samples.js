// Chooses a row and animates its path down the tree.

let rowNumber = null;

// Route a row and, if `words` describe it, animate it level by level.
function follow(row, words) {
  state.routed = row === null ? null : route(row);
  byId("label").textContent = "";
  showAnswer();
  showPanel();
  showKey();
  describeItems();
  if (words && state.routed) {
    const { answer } = state.routed;
    const text = isClassifier
      ? `${page.classes[answer.best]}, ${percent(answer.output[answer.best])}`
      : [...answer.output].map(short).join(", ");
    byId("live").textContent = `${words}: predicted ${text}`;
  }
  if (!state.routed || calm.matches || !words) {
    state.shown = tree.depth + 1;
    redraw();
    return;
  }
  const start = performance.now();
  const { routed } = state;
  const step = (now) => {
    if (state.routed !== routed) return;
    state.shown = Math.max(0, (now - start) / Math.min(110, 1200 / (tree.depth + 1)));
    draw();
    if (state.shown < tree.depth + 1) requestAnimationFrame(step);
  };
  state.shown = 0;
  requestAnimationFrame(step);
}

function chooseRow(number) {
  rowNumber = Math.min(nRows - 1, Math.max(0, number));
  byId("row-number").value = rowNumber;
  markGallery();
  const label = page.labels ? page.labels[rowNumber] : null;
  follow(rowOf(rowNumber), `Row ${rowNumber}${label === null ? "" : `, labelled ${label}`}`);
  if (label !== null) byId("label").textContent = ` of a row labelled ${label}`;
}

function clearRow() {
  rowNumber = null;
  byId("row-number").value = "";
  markGallery();
  follow(null, null);
}

function markGallery() {
  const gallery = byId("gallery");
  gallery.querySelector('[aria-selected="true"]')?.setAttribute("aria-selected", "false");
  gallery.removeAttribute("aria-activedescendant");
  if (rowNumber === null || !page.shape) return;
  const chosen = byId(`row-${rowNumber}`);
  if (!chosen) return;
  chosen.setAttribute("aria-selected", "true");
  gallery.setAttribute("aria-activedescendant", chosen.id);
  const { offsetTop, offsetHeight } = chosen;
  if (offsetTop < gallery.scrollTop || offsetTop + offsetHeight > gallery.scrollTop + gallery.clientHeight) {
    gallery.scrollTop = offsetTop - gallery.clientHeight / 2;
  }
}

function fillGallery() {
  const gallery = byId("gallery");
  gallery.hidden = !page.shape || nRows === 0;
  if (gallery.hidden) return;
  const options = [];
  for (let number = 0; number < nRows; number++) {
    const picture = rowImage(rowOf(number));
    picture.setAttribute("role", "option");
    picture.id = `row-${number}`;
    picture.setAttribute("aria-selected", String(number === rowNumber));
    const label = page.labels ? `, labelled ${page.labels[number]}` : "";
    picture.setAttribute("aria-label", `Row ${number}${label}`);
    picture.dataset.row = number;
    options.push(picture);
  }
  gallery.replaceChildren(...options);
}

function wireSamples() {
  if (!nRows && !drawable) return;
  byId("samples").hidden = false;
  byId("tabs").hidden = !drawable || !nRows;
  byId("rows-panel").hidden = !nRows;
  byId("row-number").max = nRows - 1;
  byId("row-count").textContent = `of ${nRows}`;
  byId("row-number").addEventListener("change", (event) => {
    if (event.target.value === "") clearRow();
    else chooseRow(Math.round(event.target.valueAsNumber) || 0);
  });
  byId("next-row").addEventListener("click", () => chooseRow(rowNumber === null ? 0 : (rowNumber + 1) % nRows));
  byId("previous-row").addEventListener("click", () =>
    chooseRow(rowNumber === null ? nRows - 1 : (rowNumber + nRows - 1) % nRows),
  );
  byId("no-row").addEventListener("click", clearRow);
  byId("gallery").addEventListener("click", (event) => {
    if (event.target.dataset.row) chooseRow(Number(event.target.dataset.row));
  });
  byId("gallery").addEventListener("keydown", (event) => {
    const across = Math.max(1, galleryColumns());
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across };
    if (!(event.key in steps)) return;
    event.preventDefault();
    chooseRow(rowNumber === null ? 0 : rowNumber + steps[event.key]);
  });
}

function galleryColumns() {
  const options = [...byId("gallery").children];
  return options.filter((option) => option.offsetTop === options[0].offsetTop).length;
}
