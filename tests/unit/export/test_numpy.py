import io
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from soft_students.export import SoftTree, compare_to_student, to_numpy, to_soft_tree

PREDICTIONS = ["expectation", "greatest_path", "greedy"]


def by_enumeration(student, x):
    """Restate one row from the paper: each leaf's path, multiplied out with Python's floats."""
    depth = student.depth
    offset = 0 if student.feature_offset_ is None else student.feature_offset_
    x = x.astype(np.float64) - offset
    paths = []
    for leaf in range(2**depth):
        node, path = 0, 1.0
        for level in reversed(range(depth)):
            right = leaf >> level & 1
            dot = float(student.gate_weights_[node].astype(np.float64) @ x)
            a = float(student.gate_betas_[node]) * (dot + float(student.gate_biases_[node]))
            path *= 1 / (1 + np.exp(-a if right else a))
            node = 2 * node + 1 + right
        paths.append(path)
    logits = student.leaf_logits_.astype(np.float64)
    leaves = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    mean = sum(path * leaf for path, leaf in zip(paths, leaves, strict=True))
    alone = leaves[int(np.argmax(paths))]
    return [p**student.temperature_ / (p**student.temperature_).sum() for p in (mean, alone)]


def test_the_classifier_is_the_mixture_of_its_leaves_with_the_temperature_undone(classifier):
    student, X = classifier
    expected = np.array([by_enumeration(student, x) for x in X[:10]])
    expectation = to_soft_tree(student).predict_proba(X[:10])
    greatest = to_soft_tree(student, prediction="greatest_path").predict_proba(X[:10])
    np.testing.assert_allclose(expectation, expected[:, 0], atol=1e-6)
    np.testing.assert_allclose(greatest, expected[:, 1], atol=1e-6)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_many_rows_and_single_ones_get_the_students_answers(tree, answers, tmp_path, prediction):
    student, X = tree
    file, _ = to_numpy(student, tmp_path / "tree.npz", prediction=prediction)
    exported = SoftTree.load(file)
    expected = answers(student, X, prediction)
    ask = exported.predict if exported.classes_ is None else exported.predict_proba
    np.testing.assert_allclose(ask(X).reshape(len(X), -1), expected, atol=1e-6)
    np.testing.assert_allclose(
        np.array([ask(x) for x in X]).reshape(len(X), -1), expected, atol=1e-6
    )
    student.prediction = prediction
    np.testing.assert_array_equal(exported.predict(X).shape, student.predict(X).shape)
    if exported.classes_ is not None:
        np.testing.assert_array_equal(exported.predict(X), student.predict(X))
        assert exported.predict(X[0]) == student.predict(X[:1])[0]


def test_batches_join_to_the_same_answers(classifier):
    student, X = classifier
    many = np.tile(X, (40, 1))
    exported = to_soft_tree(student)
    np.testing.assert_allclose(
        exported.predict_proba(many), np.tile(exported.predict_proba(X), (40, 1)), atol=1e-6
    )


def test_no_rows_get_no_answers(classifier):
    student, X = classifier
    assert to_soft_tree(student).predict_proba(X[:0]).shape == (0, 10)


def test_the_written_module_needs_numpy_alone(classifier, tmp_path):
    student, X = classifier
    to_numpy(student, tmp_path / "tree.npz")
    np.save(tmp_path / "rows.npy", X)
    script = """
        import sys

        class Absent:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in {"soft_students", "sklearn", "scipy", "torch"}:
                    raise ImportError(name)

        sys.meta_path.insert(0, Absent())
        import numpy as np
        from numpy_predictor import SoftTree
        np.save("said.npy", SoftTree.load("tree.npz").predict_proba(np.load("rows.npy")))
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], cwd=tmp_path, check=True)
    np.testing.assert_allclose(np.load(tmp_path / "said.npy"), student.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_missing_values_are_refused(classifier, rows, prediction, value):
    student, X = classifier
    broken = X[:rows].copy()
    broken[-1, 3] = value
    with pytest.raises(ValueError, match="NaN or infinity"):
        to_soft_tree(student, prediction=prediction).predict_proba(
            broken if rows > 1 else broken[0]
        )


def test_rows_of_another_width_are_refused(classifier):
    student, X = classifier
    exported = to_soft_tree(student)
    for rows in (X[:, :5], X[0, :5], X[None], X[0, 0]):
        with pytest.raises(ValueError, match="rows of 64 features"):
            exported.predict(rows)


@pytest.mark.parametrize("tree", ["value", "values"], indirect=True)
def test_a_regressor_has_no_probabilities(tree):
    student, X = tree
    with pytest.raises(AttributeError, match="regressor"):
        to_soft_tree(student).predict_proba(X)


def test_answers_may_be_changed_without_changing_the_tree(classifier):
    student, X = classifier
    exported = to_soft_tree(student, prediction="greedy")
    first = exported.predict_proba(X[0])
    kept = first.copy()
    first[:] = 0
    np.testing.assert_array_equal(exported.predict_proba(X[0]), kept)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("leaves"), "leaves is missing"),
        (lambda a: a.update(format=np.array(2)), "format is 2"),
        (lambda a: a.update(weights=a["weights"][:-1]), "do not form a complete tree"),
        (lambda a: a.update(biases=a["biases"][:-1]), "biases must have the shape"),
        (lambda a: a.update(weights=a["weights"] * np.float32(np.nan)), "weights must hold finite"),
        (lambda a: a.update(weights=a["weights"].astype(complex)), "unknown type"),
        (lambda a: a.update(input_type=np.array("int8")), "unknown type"),
        (lambda a: a.update(temperature=np.array(-1.0)), "temperature must be > 0"),
        (lambda a: a.update(prediction=np.array("guess")), "prediction must be one of"),
        (lambda a: a.update(classes=a["classes"][:-1]), "classes must have the shape"),
    ],
)
def test_a_changed_file_is_refused(classifier, tmp_path, change, message):
    student, _ = classifier
    file, _ = to_numpy(student, tmp_path / "tree.npz")
    with np.load(file) as loaded:
        arrays = dict(loaded)
    change(arrays)
    np.savez(file, **arrays)
    with pytest.raises(ValueError, match=message):
        SoftTree.load(file)


def test_files_that_are_no_tree_are_refused_without_running_code(classifier, tmp_path):
    student, _ = classifier
    file, _ = to_numpy(student, tmp_path / "tree.npz")
    whole = file.read_bytes()
    pickled = io.BytesIO()
    np.savez(pickled, format=np.array([{}], dtype=object))
    array = io.BytesIO()
    np.save(array, np.zeros(3))
    for content in (
        whole[: len(whole) // 2],
        b"",
        b"no tree",
        pickled.getvalue(),
        array.getvalue(),
    ):
        file.write_bytes(content)
        with pytest.raises(ValueError, match="damaged, or not an exported tree"):
            SoftTree.load(file)


def test_a_file_that_unpacks_to_far_more_than_its_size_is_refused(classifier, tmp_path):
    file, _ = to_numpy(classifier[0], tmp_path / "tree.npz")
    with np.load(file) as held:
        arrays = dict(held)
    np.savez_compressed(file, **arrays, more=np.zeros(10**7))
    with pytest.raises(ValueError, match="damaged, or not an exported tree"):
        SoftTree.load(file)


def test_a_format_that_is_no_number_is_refused(classifier, tmp_path):
    file, _ = to_numpy(classifier[0], tmp_path / "tree.npz")
    with np.load(file) as held:
        arrays = dict(held)
    np.savez(file, **(arrays | {"format": np.zeros((), dtype=[("a", "i4")])}))
    with pytest.raises(ValueError, match="Cannot load"):
        SoftTree.load(file)


def test_smaller_weights_make_a_smaller_file_and_a_measured_loss(classifier, tmp_path):
    student, X = classifier
    sizes, losses = {}, {}
    y = student.predict(X)
    for weights in ("float32", "float16", "int8"):
        file, _ = to_numpy(student, tmp_path / f"{weights}.npz", weights=weights)
        sizes[weights] = file.stat().st_size
        losses[weights] = compare_to_student(student, SoftTree.load(file), X, y)
    n_weights = student.gate_weights_.size
    assert sizes["float32"] - sizes["float16"] == 2 * n_weights
    assert sizes["float16"] - sizes["int8"] == n_weights
    differences = [losses[weights]["max_difference"] for weights in losses]
    assert differences[0] < 1e-6 < differences[1] < 1e-2
    assert differences[1] < differences[2]
    assert losses["float16"]["accuracy_of_student"] == 1
    assert losses["float16"]["agreement"] == losses["float16"]["accuracy"] >= 0.95


@pytest.mark.parametrize("size", [1e-30, 1e9])
def test_float16_weights_have_a_scale_of_their_own(classifier, size):
    """Weights beyond the range of float16 (6e-8 to 65504) became zero or infinity."""
    student, X = classifier
    student.gate_weights_ = (student.gate_weights_ * size).astype(np.float32)
    rows = (X.astype(np.float64) / size).astype(np.float32)
    lost = compare_to_student(student, to_soft_tree(student, weights="float16"), rows)
    assert lost["max_difference"] < 1e-2


def test_a_gate_without_weights_is_kept(classifier):
    student, X = classifier
    student.gate_weights_[0] = 0
    for weights in ("float16", "int8"):
        exported = to_soft_tree(student, weights=weights)
        assert np.isfinite(exported.predict_proba(X)).all()


@pytest.mark.parametrize("tree", ["value", "values"], indirect=True)
def test_a_regressors_loss_is_measured_by_r2(tree):
    student, X = tree
    loss = compare_to_student(student, to_soft_tree(student), X, student.predict(X))
    assert set(loss) == {"max_difference", "r2", "r2_of_student"}
    assert loss["r2_of_student"] == 1
    assert loss["r2"] == pytest.approx(1, abs=1e-9)
