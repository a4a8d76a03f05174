import json

import numpy as np
import pandas as pd
import pytest

from soft_students import SoftDecisionTreeClassifier
from soft_students.labelled import LabelledParts, label_parts
from soft_students.labelled.parts import as_probabilities
from soft_students.persistence import BundleError
from soft_students.targets import soften


@pytest.fixture
def folder(teacher_file, big, tmp_path):
    label_parts(teacher_file, f"{big}/*.parquet", tmp_path / "out", target="y", part_rows=300)
    return tmp_path / "out"


def test_batches_are_the_part(folder):
    part = LabelledParts(folder)[3]
    batches = list(part.batches(128))
    assert [len(X) for X, _ in batches] == [128, 128, 44]
    np.testing.assert_array_equal(np.concatenate([X for X, _ in batches]), part.X())
    np.testing.assert_array_equal(np.concatenate([t for _, t in batches]), part.targets())


def test_labels_are_the_target_column(folder, big):
    part = LabelledParts(folder)[1]
    assert (part.start, part.stop, part.n_rows) == (300, 600, 300)
    expected = pd.read_parquet(big / "p0.parquet")["y"][300:600]
    np.testing.assert_array_equal(part.labels(), expected)


def test_labels_need_a_target(teacher_file, big, tmp_path):
    label_parts(teacher_file, f"{big}/*.parquet", tmp_path / "out", exclude=["y"])
    with pytest.raises(ValueError, match="has no column of labels"):
        LabelledParts(tmp_path / "out")[0].labels()


def test_parts_are_no_array(folder):
    student = SoftDecisionTreeClassifier(depth=1, epochs=1).fit(LabelledParts(folder))
    for use in (student.predict, student.partial_fit, np.asarray):
        with pytest.raises(TypeError, match="LabelledParts are not an array"):
            use(LabelledParts(folder))


def test_missing_labels_are_no_class(teacher_file, tmp_path):
    table = pd.DataFrame(np.ones((4, 6), dtype=np.float32), columns=[f"f{i}" for i in range(6)])
    table["y"] = ["a", None, "b", "a"]
    table.to_parquet(tmp_path / "rows.parquet")
    label_parts(teacher_file, [tmp_path / "rows.parquet"], tmp_path / "out", target="y")
    with pytest.raises(ValueError, match=r"column 'y' of '.*rows.parquet' has missing values"):
        LabelledParts(tmp_path / "out")[0].labels()


def test_probabilities_are_the_same_from_either_kind():
    logits = np.random.RandomState(0).normal(size=(50, 4), scale=3).astype(np.float32)
    stored = soften(logits, 2.5).astype(np.float32)
    for temperature in (0.5, 1.0, 2.5, 10.0):
        expected = soften(logits, temperature)
        for targets, kind, at in ((logits, "logits", None), (stored, "probabilities", 2.5)):
            found = as_probabilities(targets, kind, at, temperature)
            np.testing.assert_allclose(found, expected, atol=1e-6)


def test_probability_zero_stays_zero():
    found = as_probabilities(np.array([[1.0, 0.0]], np.float32), "probabilities", 1.0, 3.0)
    np.testing.assert_array_equal(found, [[1, 0]])


def test_verify_names_the_damaged_part(folder):
    parts = LabelledParts(folder)
    parts.verify()
    path = folder / "p1.parquet.300.npy"
    content = bytearray(path.read_bytes())
    content[-3] ^= 16
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"p1.parquet.300.npy' is damaged: its checksum differs"):
        parts.verify()


def test_truncated_targets_are_named(folder):
    path = folder / "p1.parquet.300.npy"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"p1.parquet.300.npy' cannot be read as an NPY file"):
        LabelledParts(folder)[4].targets()


def test_targets_of_other_rows_are_refused(folder):
    np.save(folder / "p1.parquet.300.npy", np.zeros((2, 3), np.float32))
    with pytest.raises(ValueError, match=r"must hold targets of 300 rows. Got 2"):
        LabelledParts(folder)[4].targets()


def test_a_folder_without_manifest(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no labelled parts"):
        LabelledParts(tmp_path)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda m: "{", "is damaged, or not a manifest"),
        (lambda m: [], "is damaged, or not a manifest"),
        (lambda m: {**m, "format": "other"}, "not a manifest of labelled parts"),
        (lambda m: {**m, "format_version": 2}, "later version"),
        (lambda m: {**m, "settings": {}}, "settings or sources are invalid"),
        (lambda m: {**m, "sources": [{"path": "x"}]}, "settings or sources are invalid"),
        (
            lambda m: {**m, "sources": [{"path": "x", "name": "x"}]},
            "settings or sources are invalid",
        ),
        (
            lambda m: {**m, "settings": {**m["settings"], "temperature": "warm"}},
            "settings or sources are invalid",
        ),
        (
            lambda m: {**m, "settings": {**m["settings"], "classes": [[1], {}]}},
            "settings or sources are invalid",
        ),
        (
            lambda m: {**m, "sources": [{"path": "x", "name": "../x", "cuts": [0, 1]}]},
            "settings or sources are invalid",
        ),
        (
            lambda m: {**m, "sources": [{"path": "x", "name": "x", "cuts": [0, 5, 5]}]},
            "settings or sources are invalid",
        ),
    ],
)
def test_damaged_manifests_are_refused(folder, change, match):
    path = folder / "manifest.json"
    changed = change(json.loads(path.read_text()))
    path.write_text(changed if isinstance(changed, str) else json.dumps(changed))
    with pytest.raises(BundleError, match=match):
        LabelledParts(folder)


def test_folders_may_move_together(folder, big, tmp_path):
    (tmp_path / "there").mkdir()
    big.rename(tmp_path / "there" / "big")
    folder.rename(tmp_path / "there" / "out")
    assert LabelledParts(tmp_path / "there" / "out")[0].X().shape == (300, 6)
