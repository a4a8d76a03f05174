"""Missing values: trees and forests take them as scikit-learn's do; others name who does."""

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

import soft_students as ss
from soft_students.explain import save_explorer
from soft_students.students.files import dumps, loads

TREES = {
    "DecisionTree": (DecisionTreeClassifier, {"max_depth": 4}),
    "RandomForest": (RandomForestClassifier, {"max_depth": 4, "n_estimators": 12}),
    "ExtraTrees": (ExtraTreesClassifier, {"max_depth": 5, "n_estimators": 12}),
}


@pytest.fixture(scope="module")
def holes():
    """Return rows of which a fifth is missing, and in one column more often in one class."""
    rng = np.random.default_rng(11)
    y = rng.integers(0, 3, 400)
    X = rng.normal(size=(400, 4)) + 1.5 * y[:, np.newaxis] * [1, 0, 0, 0]
    X[rng.random(X.shape) < 0.2] = np.nan
    X[(y == 1) & (rng.random(400) < 0.7), 2] = np.nan
    return X, y


@pytest.mark.parametrize("name", TREES)
def test_trees_learn_from_labels_as_well_as_scikit_learns_own(holes, name):
    X, y = holes
    library, parameters = TREES[name]
    student = getattr(ss, f"{name}StudentClassifier")(**parameters, random_state=0)
    student.fit(X[:300], y[:300])
    own = library(**parameters, random_state=0).fit(X[:300], y[:300])
    score, wanted = student.score(X[300:], y[300:]), own.score(X[300:], y[300:])
    assert wanted > 0.6
    assert abs(score - wanted) < 0.06
    if name == "DecisionTree":
        assert (student.predict(X) == own.predict(X)).all()
    again = loads(dumps(student))
    assert (again.predict_proba(X) == student.predict_proba(X)).all()
    assert "missing" in again.explain(X[np.isnan(X[:, 0])][0]).to_text()


@pytest.mark.parametrize("name", TREES)
def test_trees_of_values_take_them(holes, name):
    X, _ = holes
    values = np.where(np.isnan(X[:, 1]), 5.0, np.nan_to_num(X[:, 0]))
    student = getattr(ss, f"{name}StudentRegressor")(**TREES[name][1], random_state=0)
    assert student.fit(X, values).score(X, values) > 0.7
    assert (loads(dumps(student)).predict(X) == student.predict(X)).all()


def test_a_split_by_what_is_missing_is_told_and_kept():
    X = np.array([[1.0], [2.0], [3.0], [np.nan], [np.nan], [np.nan]])
    student = ss.DecisionTreeStudentClassifier().fit(X, [0, 0, 0, 1, 1, 1])
    for each in (student, loads(dumps(student))):
        assert each.rules() == [
            "IF feature_0 is not missing THEN 0 1.00 (50.0%)",
            "IF feature_0 is missing THEN 1 1.00 (50.0%)",
        ]
        assert each.predict(X).tolist() == [0, 0, 0, 1, 1, 1]
        step = each.explain(X[4]).to_dict()["steps"][0]
        assert (step["value"], step["branch"]) == (None, "right")
        assert np.isfinite(step["threshold"])
        assert "x0 is missing  ->  1" in each.explain(X[4]).to_text()
        assert "x0 = 2 is not missing  ->  0" in each.explain(X[1]).to_text()


def test_pruning_holds_out_rows_with_missing_values(holes):
    X, y = holes
    student = ss.DecisionTreeStudentClassifier(ccp_alpha="auto", random_state=0).fit(X, y)
    assert student.ccp_alpha_ > 0
    assert student.score(X, y) > 0.5


def test_the_page_of_a_tree_shows_complete_rows(holes, tmp_path):
    X, y = holes
    student = ss.DecisionTreeStudentClassifier(max_depth=2).fit(X, y)
    with pytest.raises(ValueError, match="no value"):
        save_explorer(student, tmp_path / "tree.html", X=X, y=y)
    save_explorer(student, tmp_path / "tree.html")


@pytest.mark.parametrize(
    ("student", "taker"),
    [
        (ss.LogisticStudentClassifier(), "XGBoostStudentClassifier"),
        (ss.SoftDecisionTreeClassifier(depth=2, epochs=1), "DecisionTreeStudentClassifier"),
        (ss.NeuralStudentClassifier(epochs=1), "HistGradientBoostingStudentClassifier"),
        (ss.SoftDecisionTreeRegressor(depth=2, epochs=1), "RandomForestStudentRegressor"),
    ],
    ids=lambda each: each if isinstance(each, str) else type(each).__name__,
)
def test_others_name_the_students_that_take_them(holes, student, taker):
    X, y = holes
    with pytest.raises(ValueError, match=f"Input X contains NaN.*{taker}"):
        student.fit(X, y)
