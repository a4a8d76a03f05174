"""Boosted trees from labelled parts, beside those from the same rows in memory."""

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from xgboost import XGBClassifier

from soft_students.dask import fit_xgboost
from soft_students.dask.boosting import _homes
from soft_students.labelled import LabelledParts, TeacherFile, label_parts
from soft_students.students import (
    DecisionTreeStudentClassifier,
    XGBoostStudentClassifier,
    XGBoostStudentRegressor,
    get_student,
)
from soft_students.students.files import dumps, loads
from soft_students.teachers import ArrayTeacher

NAMES = [f"f{i}" for i in range(6)]


@pytest.fixture(scope="module")
def big(tmp_path_factory, write_table):
    """Return a folder of two files, of few distinct values: bins lie at each of them."""
    folder = tmp_path_factory.mktemp("rows")
    for i in range(2):
        X = np.random.RandomState(i).normal(size=(500, 6)).round(1).astype(np.float32)
        write_table(folder / f"p{i}.parquet", X, np.array(["a", "b", "c"])[np.arange(500) % 3])
    return folder


@pytest.fixture(scope="module")
def teacher(tmp_path_factory, big):
    """Return a teacher of the classes a, b and c."""
    from soft_students.teachers import save_teacher, train_teacher

    table = pd.read_parquet(big)
    path = tmp_path_factory.mktemp("teacher") / "t.pt"
    X = table[NAMES].to_numpy()
    save_teacher(
        train_teacher(X, table["y"].to_numpy(), arch="mlp", epochs=1, random_state=0), path
    )
    return path


@pytest.fixture
def label(teacher, big, tmp_path):
    """Return a function that labels the rows, in four parts."""

    def make(**settings):
        settings = {"target": "y", "part_rows": 300, **settings}
        label_parts(teacher, f"{big}/*.parquet", tmp_path / "targets", **settings)
        return LabelledParts(tmp_path / "targets")

    return make


@pytest.fixture
def values(big, tmp_path):
    """Return a function that labels the rows by a regressor."""

    def make(n_outputs=1, target=None):
        X = pd.read_parquet(big)[[name for name in NAMES if name != target]].to_numpy()
        said = X[:, 0] * X[:, 1] if n_outputs == 1 else X[:, :n_outputs] ** 2
        joblib.dump(LinearRegression().fit(X, said), tmp_path / "t.pkl")
        file = TeacherFile(str(tmp_path / "t.pkl"), trust=True)
        out = tmp_path / "values"
        label_parts(file, f"{big}/*.parquet", out, target=target, exclude=["y"])
        return LabelledParts(out)

    return make


def classifier(**parameters):
    return XGBoostStudentClassifier(
        **{"n_estimators": 8, "n_jobs": 1, "random_state": 0, **parameters}
    )


def together(parts):
    """Return all rows as a table, and all labels."""
    X = pd.DataFrame(np.concatenate([part.X() for part in parts]), columns=NAMES)
    return X, np.concatenate([part.labels() for part in parts]) if parts.target else None


@pytest.mark.parametrize(
    ("settings", "parameters"),
    [
        ({}, {"temperature": 2.0}),
        ({}, {"temperature": 3.0, "hard_weight": 0.4, "monotone_constraints": {"f2": 1}}),
        ({"kind": "probabilities", "temperature": 4.0}, {"max_depth": 3}),
    ],
)
def test_the_trees_of_a_local_fit(label, client, settings, parameters):
    parts = label(**settings)
    assert len(parts) == 4
    fitted = fit_xgboost(classifier(**parameters), parts, client=client)
    X, y = together(parts)
    said = np.concatenate([part.targets() for part in parts]).astype(np.float64)
    if parts.kind == "probabilities":  # the same rounding, which may decide between two splits
        said = 4 * np.log(said / said.sum(axis=1, keepdims=True))
    teacher = ArrayTeacher(said, kind="logits", classes=parts.classes)
    local = classifier(**parameters).fit(X, teacher, labels=y)
    assert isinstance(fitted.estimator_, XGBClassifier)
    np.testing.assert_allclose(fitted.predict_proba(X), local.predict_proba(X), atol=1e-6)
    np.testing.assert_array_equal(fitted.classes_, ["a", "b", "c"])
    np.testing.assert_array_equal(fitted.feature_names_in_, NAMES)
    assert set(vars(fitted)) == set(vars(local))
    np.testing.assert_array_equal(loads(dumps(fitted)).predict_proba(X), fitted.predict_proba(X))


def test_the_trees_of_arrays(label, client):
    import dask.array as da

    parts = label()
    fitted = fit_xgboost(classifier(), parts, client=client)
    X, said = (
        da.concatenate([da.from_array(block) for block in blocks])
        for blocks in zip(*((part.X(), part.probabilities()) for part in parts), strict=True)
    )
    same = fit_xgboost(classifier(), X, said, classes=parts.classes, client=client)
    rows = X.compute()
    np.testing.assert_allclose(
        fitted.estimator_.predict_proba(rows), same.predict_proba(rows), atol=1e-6
    )


def test_as_many_workers_give_the_same_trees_again(label, client):
    parts = label()
    student = classifier(max_bin=4)  # of fewer bins than values: where rows lie counts
    models = [
        fit_xgboost(student, parts, client=client).estimator_.get_booster().save_raw("ubj")
        for _ in range(3)
    ]
    assert models[0] == models[1] == models[2]
    held = client.has_what()
    assert _homes(parts, client) == sorted(held)[:1] * 2 + sorted(held)[1:] * 2


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_values(values, client, n_outputs):
    parts = values(n_outputs)
    student = XGBoostStudentRegressor(n_estimators=8, n_jobs=1, random_state=0)
    fitted = fit_xgboost(student, parts, client=client)
    X, _ = together(parts)
    said = np.concatenate([part.targets() for part in parts]).astype(np.float64)
    local = student.fit(X, said[:, 0] if n_outputs == 1 else said)
    assert fitted.predict(X).shape == ((1000,) if n_outputs == 1 else (1000, 2))
    np.testing.assert_allclose(fitted.predict(X), local.predict(X), atol=1e-5)
    assert set(vars(fitted)) == set(vars(local))


def test_values_mixed_with_true_ones(values, client):
    parts = values(target="f5")
    student = XGBoostStudentRegressor(hard_weight=0.25, n_estimators=8, n_jobs=1, random_state=0)
    fitted = fit_xgboost(student, parts, client=client)
    X = np.concatenate([part.X() for part in parts])
    said, true = (
        np.concatenate([getattr(part, name)() for part in parts]).astype(np.float64)
        for name in ("targets", "labels")
    )
    local = XGBoostStudentRegressor(n_estimators=8, n_jobs=1, random_state=0)
    local.fit(X, 0.25 * true + 0.75 * said[:, 0])
    np.testing.assert_allclose(
        fitted.predict(pd.DataFrame(X, columns=parts.columns)), local.predict(X), atol=1e-5
    )


def test_parts_that_do_not_fit(label, values, client):
    parts = label()
    with pytest.raises(ValueError, match="their teacher 'mlp' predicts classes"):
        fit_xgboost(XGBoostStudentRegressor(), parts, client=client)
    with pytest.raises(ValueError, match="predicts values"):
        fit_xgboost(classifier(), values(), client=client)
    with pytest.raises(ValueError, match="got labels, classes beside labelled parts"):
        fit_xgboost(classifier(), parts, labels=[0], classes=[0, 1, 2], client=client)
    with pytest.raises(TypeError, match="Got DecisionTreeStudentClassifier"):
        fit_xgboost(DecisionTreeStudentClassifier(), parts, client=client)


def test_a_hard_weight_needs_labels(label, client):
    parts = label(target=None, exclude=["y"])
    with pytest.raises(ValueError, match="has no column of labels"):
        fit_xgboost(classifier(hard_weight=0.5), parts, client=client)


def test_values_of_several_columns_do_not_mix_with_one(values, client):
    student = XGBoostStudentRegressor(hard_weight=0.5)
    with pytest.raises(ValueError, match=r"The true values must have the shape .*Got \(500,\)"):
        fit_xgboost(student, values(2, target="f5"), client=client)


def test_a_part_that_is_gone_or_another(label, client):
    parts = label()
    with open(parts[1].path, "r+b") as file:
        file.truncate(500)
    with pytest.raises(ValueError, match=r"p0.parquet.300.npy' cannot be read as an NPY file"):
        fit_xgboost(classifier(), parts, client=client)


@pytest.mark.parametrize("name", ["xgboost", "tree", "logistic", "knn", "generic"])
def test_students_of_rows_in_memory_say_who_takes_parts(label, name):
    with pytest.raises(TypeError, match="keeps all rows in memory, and LabelledParts may be"):
        get_student(name).classifier().fit(label())
