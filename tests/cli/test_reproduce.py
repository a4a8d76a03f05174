"""The command around the study; the study itself is tested in tests/unit/studies."""

import importlib.util
import json

import numpy as np
import pytest

from soft_students import studies
from soft_students.datasets import Dataset
from soft_students.studies import Row, StudyPlan, mnist_soft_tree


@pytest.fixture
def tiny(monkeypatch):
    """Put a tiny study of made images in the place of the quick one."""
    X = np.random.RandomState(0).rand(140, 784).astype(np.float32)
    y = np.arange(140) % 3
    data = Dataset(
        name="mnist",
        X_train=X[:80],
        y_train=y[:80],
        X_test=X[80:],
        y_test=y[80:],
        classes=np.arange(3),
        image_shape=(1, 28, 28),
        feature_names=None,
        source="made",
    )
    rows = [Row(1, "teacher, distorted images", 2.0, {"epochs": 1}, copies=1)]
    monkeypatch.setattr(mnist_soft_tree, "load_dataset", lambda name, data_dir: data)
    monkeypatch.setattr(studies, "quick_plan", lambda: StudyPlan(rows, teacher_epochs=1))


def test_it_writes_results_table_and_pictures(done, tiny, tmp_path):
    out = tmp_path / "study"
    said = done("reproduce", "mnist", "--quick", "--jobs", 1, "--seeds", 2, "--out", out)
    assert (out / "results.md").read_text() in said.stdout
    kept = json.loads((out / "results.json").read_text())
    assert len(kept["rows"][0]["accuracy_greedy"]["values"]) == kept["seeds"] == 2
    assert {"python", "torch"} <= set(kept["versions"])
    assert (out / "tree-depth-1.png").exists()
    again = done("reproduce", "mnist", "--quick", "--jobs", 1, "--seeds", 2, "--out", out, "--json")
    assert json.loads(again.stdout)["rows"] == kept["rows"]


def test_another_study_in_the_folder_is_one_line(softkd, done, tiny, tmp_path, monkeypatch):
    done("reproduce", "mnist", "--quick", "--jobs", 1, "--out", tmp_path)
    rows = [Row(1, "teacher, distorted images", 2.0, {"epochs": 2}, copies=1)]
    monkeypatch.setattr(studies, "quick_plan", lambda: StudyPlan(rows, teacher_epochs=1))
    result = softkd("reproduce", "mnist", "--quick", "--jobs", 1, "--out", tmp_path)
    assert result.exit_code == 1
    assert "other settings" in result.stderr


def test_matplotlib_is_asked_for_before_the_work(softkd, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    result = softkd("reproduce", "mnist", "--out", tmp_path / "study")
    assert result.exit_code == 1
    assert "soft-students[plots]" in result.stderr
    assert not (tmp_path / "study").exists()
