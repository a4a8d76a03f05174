import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from soft_students.students import (
    HistGradientBoostingStudentClassifier,
    HistGradientBoostingStudentRegressor,
)
from soft_students.students.classical.logits import clipped_logits
from soft_students.students.files import dumps, loads


def with_gaps(X):
    X = X.copy()
    X[::3, 2] = np.nan
    X[::4, 0] = np.nan
    return X


def test_values_are_those_of_the_library(diabetes):
    X, y = with_gaps(diabetes[0]), diabetes[1]
    student = HistGradientBoostingStudentRegressor(max_iter=20, random_state=0).fit(X, y)
    native = HistGradientBoostingRegressor(max_iter=20).fit(X, y)
    np.testing.assert_allclose(student.predict(X), native.predict(X), rtol=1e-12)
    np.testing.assert_array_equal(loads(dumps(student)).predict(X), student.predict(X))


def test_two_classes_take_one_regression_of_the_second_logit(wine):
    X, y = wine
    X, y = with_gaps(X[y < 2]), y[y < 2]
    p = np.clip(np.random.RandomState(0).uniform(size=len(X)), 0.05, 0.95)
    student = HistGradientBoostingStudentClassifier(max_iter=10).fit(X, np.c_[1 - p, p])
    native = HistGradientBoostingRegressor(max_iter=10).fit(X, np.log(p / (1 - p)) / 2)
    assert len(student.nodes_) == 1
    np.testing.assert_allclose(student._outputs(X)[:, 1], native.predict(X), rtol=1e-9)
    student = HistGradientBoostingStudentClassifier(max_iter=10).fit(X, np.eye(2)[y])
    assert student.score(X, y) > 0.95


def test_each_logit_has_its_regression(wine, soft_targets):
    X, _ = wine
    student = HistGradientBoostingStudentClassifier(max_iter=10).fit(X, soft_targets)
    logits = clipped_logits(soft_targets)
    for k in range(3):
        native = HistGradientBoostingRegressor(max_iter=10).fit(X, logits[:, k])
        np.testing.assert_allclose(student._outputs(X)[:, k], native.predict(X), rtol=1e-9)


def test_a_split_of_missing_values_alone_survives_the_bundle():
    """The threshold of such a split is infinite, which bundles do not keep."""
    X = np.where(np.arange(200) % 2, np.nan, 1.0)[:, None]
    y = np.arange(200) % 2 * 1.0
    student = HistGradientBoostingStudentRegressor(min_samples_leaf=1).fit(X, y)
    np.testing.assert_allclose(student.predict([[np.nan], [1.0]]), [1, 0], atol=1e-3)
    again = loads(dumps(student))
    np.testing.assert_array_equal(again.predict(X), student.predict(X))


def test_early_stopping_saves_rounds(wine, soft_targets):
    student = HistGradientBoostingStudentClassifier(
        max_iter=500, early_stopping=True, n_iter_no_change=3, random_state=0
    ).fit(wine[0], soft_targets)
    assert (student.n_iter_ < 500).all()
    again = HistGradientBoostingStudentClassifier(**student.get_params())
    np.testing.assert_array_equal(
        again.fit(wine[0], soft_targets).predict_proba(wine[0]), student.predict_proba(wine[0])
    )


@pytest.mark.parametrize(
    ("name", "forged"),
    [
        ("left", 0),
        ("left", 2**31),
        ("right", 1),
        ("feature_idx", 13),
        ("feature_idx", -1),
        ("is_leaf", 1),
        ("is_leaf", 7),
        ("missing_go_to_left", 2),
        ("tree_sizes", 2**62),
        ("tree_sizes", 1),
        ("tree_sizes", -1),
        ("trees_per_output", 2**62),
        ("trees_per_output", 0),
    ],
)
def test_forged_nodes_are_refused(wine, soft_targets, name, forged):
    student = HistGradientBoostingStudentClassifier(max_iter=3).fit(wine[0], soft_targets)
    metadata, arrays = student._bundle_state()
    arrays[name] = arrays[name].copy()
    arrays[name][0] = forged
    with pytest.raises(ValueError, match=r"tree|sizes"):
        HistGradientBoostingStudentClassifier()._restore_bundle(metadata, arrays)


@pytest.mark.parametrize("name", ["value", "feature_idx", "baseline", "tree_sizes"])
def test_arrays_of_other_types_or_shapes_are_refused(wine, soft_targets, name):
    student = HistGradientBoostingStudentClassifier(max_iter=3).fit(wine[0], soft_targets)
    metadata, arrays = student._bundle_state()
    for changed in (arrays[name].astype(np.float32), arrays[name][:-1], arrays[name][None]):
        with pytest.raises(ValueError):  # noqa: PT011 - one of several sentences
            HistGradientBoostingStudentClassifier()._restore_bundle(
                dict(metadata), {**arrays, name: changed}
            )
