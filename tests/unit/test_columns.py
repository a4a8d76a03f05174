"""The columns a model was fitted on, however deep the estimator that records them lies."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from soft_students import DecisionTreeStudentClassifier, DistilledClassifier
from soft_students.columns import columns_of, rows_of
from soft_students.teachers import EnsembleTeacher, as_teacher, train_teacher

NAMES = ["width", "age", "height"]


@pytest.fixture(scope="module")
def table():
    rng = np.random.RandomState(7)
    X = pd.DataFrame(rng.normal(size=(120, 3)).astype(np.float32), columns=NAMES)
    return X, (X["age"] > 0.2).astype(int).to_numpy()


def tree():
    return DecisionTreeClassifier(max_depth=2, random_state=0)


def passing():
    return make_pipeline("passthrough", tree())


def searching():
    scaled = make_pipeline(StandardScaler(), tree())
    return GridSearchCV(scaled, {"standardscaler": ["passthrough"]}, cv=2)


HOLDERS = {
    "estimator": lambda X, y: tree().fit(X, y),
    "frozen": lambda X, y: FrozenEstimator(tree().fit(X, y)),
    "pipeline": lambda X, y: make_pipeline(StandardScaler(), tree()).fit(X, y),
    "passthrough": lambda X, y: passing().fit(X, y),
    "search": lambda X, y: searching().fit(X, y),
    "voting": lambda X, y: VotingClassifier([("one", tree())], voting="soft").fit(X, y),
    "distilled": lambda X, y: DistilledClassifier(
        make_pipeline("passthrough", DecisionTreeStudentClassifier(max_depth=2)), tree().fit(X, y)
    ).fit(X, y),
    "method": lambda X, y: as_teacher(tree().fit(X, y).predict_proba),
    "cached": lambda X, y: as_teacher(tree().fit(X, y), cache=True),
    "ensemble": lambda X, y: as_teacher([tree().fit(X, y), lambda rows: np.full(len(rows), 0.5)]),
    "nested": lambda X, y: EnsembleTeacher(
        [as_teacher([tree().fit(X, y), passing().fit(X, y)]), as_teacher(tree().fit(X, y))]
    ),
    "network": lambda X, y: train_teacher(
        X.to_numpy(), y, arch="mlp", epochs=1, random_state=0, data={"feature_names": NAMES}
    ),
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_names_are_found_wherever_they_are_recorded(holder, table):
    X, y = table
    model = HOLDERS[holder](X, y)
    assert columns_of(model) == columns_of(as_teacher(model)) == NAMES
    turned = X[["height", "width", "age"]].assign(more=0)
    pd.testing.assert_frame_equal(rows_of(model, turned), X)


@pytest.mark.parametrize("holder", HOLDERS)
def test_a_teacher_refuses_a_table_in_another_order(holder, table):
    X, y = table
    teacher = as_teacher(HOLDERS[holder](X, y))
    expected = teacher.predict_proba(X)
    for wrong in (X[NAMES[::-1]], X.rename(columns={"age": "weight"})):
        with pytest.raises(ValueError, match=r"feature names of X must be .*'width', 'age', 'he"):
            teacher.predict_proba(wrong)
        with pytest.raises(ValueError, match="feature names of X must be"):
            DecisionTreeStudentClassifier().fit(wrong, teacher)
    for nameless in (X.set_axis(range(3), axis=1), X.to_numpy()):
        np.testing.assert_allclose(teacher.predict_proba(nameless), expected, atol=1e-6)


def test_no_names_are_made_up(table):
    X, y = table
    for model in (
        tree().fit(X.to_numpy(), y),
        passing().fit(X.to_numpy(), y),
        make_pipeline("passthrough"),
        as_teacher(lambda rows: rows),
        train_teacher(X.to_numpy(), y, arch="mlp", epochs=1, random_state=0),
    ):
        assert columns_of(model) is None
    assert rows_of(tree().fit(X.to_numpy(), y), X).shape == (120, 3)


def test_a_record_that_holds_something_else_for_names_names_nothing(table):
    X, y = table
    about = {"feature_names": 3}
    teacher = train_teacher(X.to_numpy(), y, arch="mlp", epochs=1, random_state=0, data=about)
    assert columns_of(teacher) is None
    assert EnsembleTeacher([teacher, teacher]).predict(X).shape == (120,)


def test_teachers_of_different_columns_are_no_ensemble(table):
    X, y = table
    one = LogisticRegression().fit(X, y)
    for other in (NAMES[::-1], ["width", "age", "depth"]):
        with pytest.raises(ValueError, match="same columns, in the same order"):
            as_teacher([one, LogisticRegression().fit(X.set_axis(other, axis=1), y)])
