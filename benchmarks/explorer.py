"""The explorer page of a soft tree of depth 8 on MNIST: bytes, first view, probabilities.

    python benchmarks/explorer.py --data-dir FOLDER --out benchmarks/results/explorer.json

The tree is trained on labels for a few epochs: its accuracy does not matter here. The page is
opened in headless Chromium (Debian's packages chromium and chromium-driver; selenium) several
times, each in a new profile. First view is when the tree has been drawn, from the start of the
navigation; redraws are those of a zoom from the whole tree to its leaves, rendered in software.
"""

from __future__ import annotations

import json
import platform
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from selenium import webdriver

from soft_students import SoftDecisionTreeClassifier
from soft_students.datasets import load_dataset
from soft_students.explain import save_explorer

WAYS = ("expectation", "greatest_path", "greedy")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1360,860",
)
FIRST_VIEW = """
const paints = performance.getEntriesByName("first-contentful-paint");
return [performance.getEntriesByName("first-view")[0].startTime, paints[0].startTime];
"""
ROUTES = """
const [rows, ways] = arguments;
return rows.map((i) => {
  const routed = explorer.route(explorer.rowOf(i));
  return [[...routed.paths], ...ways.map((way) => [...routed.ways[way].output])];
});
"""
# Chromium draws a canvas when a pixel is asked for.
FRAMES = """
const stage = document.getElementById("tree");
const pen = document.getElementById("picture").getContext("2d");
const done = arguments[0];
explorer.chooseRow(0);
const times = [];
setTimeout(function frame() {
  const box = stage.getBoundingClientRect();
  stage.dispatchEvent(new WheelEvent("wheel", {
    deltaY: -40, clientX: box.left + box.width / 2, clientY: box.top + box.height / 2,
    bubbles: true, cancelable: true,
  }));
  requestAnimationFrame(() => {
    const start = performance.now();
    explorer.draw();
    pen.getImageData(0, 0, 1, 1);
    times.push(performance.now() - start);
    if (times.length < 60) setTimeout(frame); else done(times);
  });
}, 2000);
"""


@contextmanager
def chromium() -> Iterator[Any]:
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver is None:
        raise click.ClickException("Install Debian's chromium and chromium-driver.")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = binary
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
        try:
            yield browser
        finally:
            browser.quit()


@click.command()
@click.option("--data-dir", type=click.Path(exists=True, file_okay=False))
@click.option("--epochs", default=3, show_default=True)
@click.option("--opened", default=5, show_default=True, help="Times that the page is opened.")
@click.option("--page", type=click.Path(path_type=Path), help="Keep the page.")
@click.option("--out", type=click.Path(dir_okay=False, writable=True))
def main(
    data_dir: str | None, epochs: int, opened: int, page: Path | None, out: str | None
) -> None:
    torch.set_num_threads(1)
    data = load_dataset("mnist", data_dir=data_dir)
    student = SoftDecisionTreeClassifier(8, epochs=epochs, standardize=False, random_state=0)
    student.fit(data.X_train, data.y_train)
    rows = np.random.default_rng(0).choice(200, size=100, replace=False)
    with tempfile.TemporaryDirectory() as folder:
        path = save_explorer(
            student,
            (page or Path(folder) / "tree.html").absolute(),
            X=data.X_test,
            y=data.y_test,
            image_shape=data.image_shape,
            title="MNIST, soft tree of depth 8",
        )
        size = path.stat().st_size
        views = []
        for _ in range(opened):
            with chromium() as browser:
                browser.get(path.as_uri())
                views.append(browser.execute_script(FIRST_VIEW))
                version = browser.capabilities["browserVersion"]
        with chromium() as browser:
            browser.get(path.as_uri())
            routed = browser.execute_script(ROUTES, rows.tolist(), WAYS)
            frames = browser.execute_async_script(FRAMES)
    first, paint = (list(column) for column in zip(*views, strict=True))
    document: dict[str, Any] = {
        "page_bytes": size,
        "first_view_ms": first,
        "first_view_ms_median": statistics.median(first),
        "first_contentful_paint_ms": paint,
        "redraw_ms_median": statistics.median(frames),
        "redraw_ms_greatest": max(frames),
        "images": len(rows),
        "accuracy_of_the_tree": float(student.score(data.X_test, data.y_test)),
        "greatest_difference": {},
    }
    for dtype in (np.float64, np.float32):
        X = data.X_test[rows].astype(dtype)
        differences = {"path probabilities": student.path_probabilities(X)}
        for way in WAYS:
            student.prediction = way
            differences[way] = student.predict_proba(X)
        document["greatest_difference"][f"python in {dtype.__name__}"] = {
            name: float(np.abs(np.array([one[k] for one in routed]) - expected).max())
            for k, (name, expected) in enumerate(differences.items())
        }
    document |= {
        "chromium": version,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
    }
    text = json.dumps(document, indent=1)
    click.echo(text)
    if out:
        Path(out).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
