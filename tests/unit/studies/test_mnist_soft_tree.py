"""A tiny study of images made here: the real one takes an hour, and the network."""

import json

import numpy as np
import pytest

from soft_students import load
from soft_students.datasets import Dataset
from soft_students.students.files import trained_on
from soft_students.studies import (
    Row,
    StudyPlan,
    draw_study,
    mnist_soft_tree,
    quick_plan,
    run_study,
    soft_tree_plan,
)

SETTINGS = {"epochs": 2, "batch_size": 32}
ROWS = [
    Row(1, "labels", None, SETTINGS),
    Row(2, "teacher, distorted images", 3.0, SETTINGS, copies=1),
]
PLAN = StudyPlan(ROWS, teacher_epochs=1, train_rows=80, test_rows=50)


@pytest.fixture(autouse=True)
def images(monkeypatch):
    """Put stripes in the place of MNIST: their height is the class."""
    random_state = np.random.RandomState(0)
    y = np.arange(160) % 4
    X = 0.1 * random_state.rand(160, 28, 28)
    for image, label in zip(X, y, strict=True):
        image[7 * label : 7 * label + 7] += 0.8
    X = X.reshape(160, 784).astype(np.float32)
    data = Dataset(
        name="mnist",
        X_train=X[:100],
        y_train=y[:100],
        X_test=X[100:],
        y_test=y[100:],
        classes=np.arange(4),
        image_shape=(1, 28, 28),
        feature_names=None,
        source="made",
    )
    monkeypatch.setattr(mnist_soft_tree, "load_dataset", lambda name, data_dir: data)


def test_a_study_reports_every_seed_and_its_mean(tmp_path):
    result = run_study(tmp_path, PLAN, seeds=2, about={"versions": {"numpy": "x"}})
    assert result == json.loads((tmp_path / "results.json").read_text())
    assert [row["trained_on"] for row in result["rows"]] == ["labels", "teacher, distorted images"]
    for row, seed_0 in zip(result["rows"], ROWS, strict=True):
        for name in ("accuracy_expectation", "accuracy_greatest_path", "accuracy_greedy"):
            first, second = row[name]["values"]
            assert row[name]["mean"] == pytest.approx((first + second) / 2)
        path = mnist_soft_tree.tree_file(tmp_path, seed_0)
        student = load(path)
        X, y = (part[100:150] for part in _all_rows())
        assert row["accuracy_expectation"]["values"][0] == student.score(X, y)
        assert row["parameters"] == (2 ** row["depth"] - 1) * 785 + 2 ** row["depth"] * 4
        assert row["bytes"] == path.stat().st_size - _bytes_of_data(path)
    assert result["teacher"]["threads"] == 1
    assert result["versions"] == {"numpy": "x"}
    assert (tmp_path / "results.md").read_text().count("\n") == 4


def _all_rows():
    data = mnist_soft_tree.load_dataset("mnist", None)
    return np.concatenate([data.X_train, data.X_test]), np.concatenate([data.y_train, data.y_test])


def _bytes_of_data(path):
    return len(',"data":' + json.dumps(trained_on(path), separators=(",", ":")))


def test_finished_parts_are_not_run_again(tmp_path, monkeypatch):
    told = []
    run_study(tmp_path, PLAN, seeds=1)
    first = (tmp_path / "results.json").read_text()
    monkeypatch.setattr(mnist_soft_tree, "_measure", lambda *_: pytest.fail("trained again"))
    monkeypatch.setattr(mnist_soft_tree, "train_teacher", lambda *_: pytest.fail("trained again"))
    run_study(tmp_path, PLAN, seeds=1, on_part=lambda *part: told.append(part[:2]))
    assert (tmp_path / "results.json").read_text() == first
    assert told == [(1, 2), (2, 2)]


def test_an_interrupted_study_keeps_what_is_finished(tmp_path):
    def interrupt(done, total, text):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_study(tmp_path, PLAN, seeds=1, on_part=interrupt)
    assert not (tmp_path / "results.json").exists()
    assert (tmp_path / "parts" / "depth-1-labels-seed-0.json").exists()
    assert len(run_study(tmp_path, PLAN, seeds=1)["rows"]) == 2


def test_parts_of_another_study_are_refused_before_training(tmp_path, monkeypatch):
    run_study(tmp_path, StudyPlan(ROWS[:1], teacher_epochs=1, train_rows=80, test_rows=50), seeds=1)
    other = [Row(1, "labels", None, {**SETTINGS, "epochs": 3})]
    with pytest.raises(ValueError, match=r"other settings.*another folder"):
        run_study(
            tmp_path, StudyPlan(other, teacher_epochs=1, train_rows=80, test_rows=50), seeds=1
        )


def test_a_damaged_part_is_named(tmp_path):
    run_study(tmp_path, PLAN, seeds=1)
    (tmp_path / "parts" / "depth-1-labels-seed-0.json").write_text('{"result"')
    with pytest.raises(ValueError, match=r"depth-1-labels-seed-0.json' is damaged"):
        run_study(tmp_path, PLAN, seeds=1)


def test_pictures_are_drawn_from_the_trees_that_were_kept(tmp_path):
    run_study(tmp_path, PLAN, seeds=1)
    pictures = draw_study(tmp_path, PLAN)
    assert sorted(path.name for path in pictures) == [
        "learning-curves.png",
        "path.png",
        "tree-depth-2.png",
    ]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)


@pytest.mark.parametrize("make", [soft_tree_plan, quick_plan])
def test_the_rows_of_the_plans_can_be_told_apart_and_trained(make):
    rows = make().rows
    assert len({row.name for row in rows}) == len(rows)
    for row in rows:
        row.student(0)._validate_params()
    assert {row.depth for row in soft_tree_plan().rows} == {4, 6, 8, 10}
