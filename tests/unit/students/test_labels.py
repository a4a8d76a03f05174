"""Labels and soft targets as people hold them: who is which class is never guessed in silence."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_wine
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier, StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from soft_students import (
    DistilledClassifier,
    LogisticStudentClassifier,
    NeuralStudentClassifier,
    SoftDecisionTreeClassifier,
    XGBoostStudentClassifier,
    as_teacher,
)
from soft_students.students.labels import read_labels

RNG = np.random.default_rng(3)
X = RNG.normal(size=(90, 3))
CODES = np.digitize(X[:, 0], [-0.4, 0.4])
TIDES = np.array(["ebb", "slack", "flood"])[CODES]  # sorted: ebb, flood, slack

STUDENTS = [
    LogisticStudentClassifier(),
    XGBoostStudentClassifier(n_estimators=8, n_jobs=1),
    SoftDecisionTreeClassifier(3, epochs=150, learning_rate=0.1, random_state=0),
]


def sharp(rows):
    """Return the probabilities of ebb, slack and flood, nearly sure."""
    codes = np.digitize(np.asarray(rows)[:, 0], [-0.4, 0.4])
    return np.full((len(codes), 3), 0.02) + np.eye(3)[codes] * 0.94


def named(rows):
    return pd.DataFrame(sharp(rows), columns=["ebb", "slack", "flood"])


def quiet(action):
    """Return a result, and refuse any warning of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        return action()


@pytest.mark.parametrize("student", STUDENTS, ids=lambda student: type(student).__name__)
@pytest.mark.parametrize("teacher", [named(X), named], ids=["table", "function"])
def test_columns_of_a_table_are_the_classes(student, teacher):
    fitted = quiet(lambda: student.fit(X, teacher))
    assert fitted.classes_.tolist() == ["ebb", "flood", "slack"]
    assert fitted.score(X, TIDES) > 0.9
    assert quiet(lambda: student.fit(X, teacher, labels=TIDES)).score(X, TIDES) > 0.9
    assert quiet(lambda: student.fit(X, TIDES, teacher=teacher)).score(X, TIDES) > 0.9


def test_classes_of_a_teacher_in_any_order_teach_networks_as_well():
    teacher = as_teacher(sharp, classes=["ebb", "slack", "flood"])
    student = NeuralStudentClassifier(
        lambda shape, n: nn.Linear(3, n), epochs=100, learning_rate=0.1, random_state=0
    )
    student.fit(X.astype(np.float32), teacher)
    assert student.classes_.tolist() == ["ebb", "flood", "slack"]
    assert student.score(X, TIDES) > 0.8


def test_a_network_that_names_no_classes_beside_words_is_told_with_the_order_assumed():
    student = LogisticStudentClassifier()
    with pytest.warns(UserWarning, match=r"sorted labels, 'ebb', 'flood', 'slack'.*classes="):
        student.fit(X, sharp, labels=TIDES)
    with pytest.warns(UserWarning, match="does not name its classes"):
        DistilledClassifier(student, sharp).fit(X, TIDES)
    assert quiet(lambda: student.fit(X, sharp, labels=CODES)).score(X, CODES) > 0.9


def test_a_teacher_that_agrees_less_than_chance_is_pointed_out():
    student = LogisticStudentClassifier()
    turned = as_teacher(lambda rows: sharp(rows)[:, [1, 2, 0]])
    with pytest.warns(UserWarning, match=r"agrees with 0% of the labels, less than chance \(33%\)"):
        student.fit(X, turned, labels=CODES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        student.fit(X, np.full((90, 3), 1 / 3), labels=CODES)  # of no use, but not turned


@pytest.mark.parametrize(
    "labels",
    [
        CODES.astype(np.float32),
        pd.Series(CODES, dtype="Int8"),
        pd.Series(CODES).astype("category"),
        CODES.astype(object),
        CODES[:, None].astype(float),
    ],
    ids=["float32", "Int8", "category", "object", "column"],
)
@pytest.mark.filterwarnings("ignore:A column-vector y")
def test_whole_numbers_of_any_type_are_class_numbers(labels):
    teacher = as_teacher(lambda rows: np.hstack([sharp(rows), np.zeros((len(rows), 2))]))
    student = LogisticStudentClassifier().fit(X, teacher, labels=labels)
    expected = LogisticStudentClassifier().fit(X, teacher, labels=CODES)
    assert student.classes_.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(student.predict_proba(X), expected.predict_proba(X))


@pytest.mark.parametrize(
    "labels", [["a", None], [1.0, float("nan")], pd.Series([1, None], dtype="Int64")]
)
def test_missing_labels_are_told_with_their_row(labels):
    with pytest.raises(ValueError, match=r"contains NaN"):
        read_labels(labels)


def test_words_stay_words_and_truth_stays_truth():
    assert read_labels(np.array(["b", "a"], dtype=object)).tolist() == ["b", "a"]
    assert read_labels(pd.Series([True, False], dtype="boolean")).dtype == bool
    assert read_labels([1, 2]).tolist() == [1, 2]


def test_numbers_as_text_are_the_numbers():
    table = pd.DataFrame(sharp(X), columns=["0", "1", "2"])
    fitted = quiet(lambda: LogisticStudentClassifier().fit(X, table, labels=CODES))
    assert fitted.classes_.tolist() == [0, 1, 2]
    text = CODES.astype(str)
    teacher = LogisticRegression().fit(X, CODES)
    assert (
        quiet(lambda: LogisticStudentClassifier().fit(X, teacher, labels=text)).score(X, text) > 0.9
    )


@pytest.mark.parametrize(
    ("soft", "expected"),
    [
        (sharp(X).tolist(), sharp(X)),
        ([tuple(row) for row in sharp(X).tolist()], sharp(X)),
        (sharp(X).round(3), sharp(X).round(3)),
    ],
)
def test_lists_of_rows_are_soft_targets(soft, expected):
    student = LogisticStudentClassifier().fit(X, soft)
    again = LogisticStudentClassifier().fit(X, teacher=expected)
    np.testing.assert_allclose(student.predict_proba(X), again.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("shape", [(90,), (90, 1)])
def test_one_probability_a_row_is_that_of_the_second_class(shape):
    p = 1 / (1 + np.exp(-3 * X[:, 1]))
    expected = LogisticStudentClassifier().fit(X, np.c_[1 - p, p]).predict_proba(X)
    for fit in (
        lambda s: s.fit(X, p.reshape(shape)),
        lambda s: s.fit(X, teacher=p.reshape(shape)),
        lambda s: s.fit(X, p.reshape(shape).tolist()),
        lambda s: s.fit(X, (p > 0.5).astype(int), teacher=p.reshape(shape)),
    ):
        found = fit(LogisticStudentClassifier()).predict_proba(X)
        np.testing.assert_allclose(found, expected, atol=1e-9)


def test_rows_rounded_to_three_decimals_sum_to_one_nearly_enough():
    many = RNG.dirichlet(np.ones(60), size=90)
    LogisticStudentClassifier(max_iter=3).fit(X, many.round(3))
    with pytest.raises(ValueError, match="must sum to one"):
        LogisticStudentClassifier().fit(X, many * 1.05)


def test_continuous_numbers_beyond_probabilities_are_no_labels():
    with pytest.raises(ValueError, match="Unknown label type"):
        LogisticStudentClassifier().fit(X, X[:, 0])


def test_a_path_and_a_loader_are_refused_with_the_code_that_helps():
    with pytest.raises(TypeError, match=r"load_teacher\('net\.pt'\)"):
        LogisticStudentClassifier().fit(X, "net.pt")
    from torch.utils.data import DataLoader

    with pytest.raises(TypeError, match=r"DataLoader holds rows.*fit\(X, teacher"):
        LogisticStudentClassifier().fit(X, DataLoader(X))


def test_an_object_with_predict_alone_is_refused_with_the_code_that_helps():
    class Keras:
        def fit(self, rows, y):
            return self

        def predict(self, rows):
            return sharp(rows)

    with pytest.raises(TypeError, match=r"as_teacher\(lambda X: model\.predict\(X\)\)"):
        LogisticStudentClassifier().fit(X, Keras())
    booster = XGBoostStudentClassifier(n_estimators=1).fit(X, CODES).estimator_.get_booster()
    with pytest.raises(TypeError, match=r"model\.predict\(xgboost\.DMatrix\(X\)\)"):
        as_teacher(booster)


@pytest.fixture(scope="module")
def wine():
    rows, y = load_wine(return_X_y=True)
    names = np.array(["barolo", "grignolino", "barbera"])[y]
    teacher = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, names)
    return rows, names, teacher


def test_meta_estimators_may_number_the_classes(wine):
    rows, names, teacher = wine
    student = DistilledClassifier(LogisticStudentClassifier(), teacher)
    codes = np.unique(names, return_inverse=True)[1]
    with pytest.warns(UserWarning, match=r"numbers are taken as positions in this list"):
        student.fit(rows, codes)
    assert student.score(rows, codes) > 0.9
    stack = StackingClassifier([("distilled", student)], cv=2)
    with pytest.warns(UserWarning, match="positions"):
        stack.fit(rows, names)
    assert stack.score(rows, names) > 0.9


def test_classes_that_no_row_has_are_left_out_of_a_distilled_classifier(wine):
    rows, names, teacher = wine
    some = names != "barbera"
    distilled = DistilledClassifier(LogisticStudentClassifier(), teacher)
    assert distilled.fit(rows[some], names[some]).classes_.tolist() == ["barolo", "grignolino"]
    assert cross_val_score(distilled, rows[some], names[some], cv=3).min() > 0.9
    # for probabilities, scikit-learn numbers the classes: which of the three is 0?
    with pytest.raises(ValueError, match=r"contain \[0, 1\].*classes are \['barbera'"):
        cross_val_predict(distilled, rows[some], names[some], method="predict_proba", cv=3)
    whole = LogisticStudentClassifier().fit(rows[some], teacher, labels=names[some])
    assert len(whole.classes_) == 3  # a student itself learns all that its teacher has


def test_a_teacher_that_names_its_classes_needs_no_labels(wine):
    rows, names, teacher = wine
    distilled = DistilledClassifier(
        make_pipeline(StandardScaler(), LogisticStudentClassifier()), teacher
    )
    assert distilled.fit(rows).score(rows, names) > 0.9
    with pytest.raises(ValueError, match=r"does not name its classes\. Pass y"):
        DistilledClassifier(LogisticStudentClassifier(), sharp).fit(X)


def test_a_fitted_teacher_hides_its_parameters_and_weights_are_handed_on(wine):
    rows, names, teacher = wine
    distilled = DistilledClassifier(LogisticStudentClassifier(hard_weight=1.0), teacher)
    assert not any(name.startswith("teacher__") for name in distilled.get_params())
    assert "student__hard_weight" in distilled.get_params()
    honest = DistilledClassifier(LogisticStudentClassifier(), LogisticRegression(), cross_fit=3)
    assert "teacher__C" in honest.get_params()
    bagged = BaggingClassifier(distilled, 3, random_state=0).fit(rows, names)
    assert bagged.score(rows, names) > 0.85
    boosted = AdaBoostClassifier(distilled, n_estimators=2, random_state=0).fit(rows, names)
    assert boosted.score(rows, names) > 0.85
    only = (names == "barolo").astype(float)
    sure = distilled.fit(rows, names, sample_weight=only)
    assert (sure.predict(rows) == "barolo").all()


@pytest.mark.parametrize("student", STUDENTS, ids=lambda student: type(student).__name__)
@pytest.mark.parametrize("has_labels", [True, False])
def test_balanced_weights_give_classes_the_same_total(student, has_labels):
    rare = (X[:, 1] > 1.2).astype(int)
    soft = np.c_[1 - rare, rare] * 0.9 + 0.05
    targets = rare if has_labels else soft
    by_hand = 1 / np.bincount(rare)[rare] if has_labels else soft @ (1 / soft.sum(axis=0))
    by_hand *= len(X) / 2
    balanced = student.fit(X, targets, sample_weight="balanced").predict_proba(X)
    np.testing.assert_allclose(
        balanced, student.fit(X, targets, sample_weight=by_hand).predict_proba(X), atol=1e-5
    )
    assert balanced[:, 1].mean() > student.fit(X, targets).predict_proba(X)[:, 1].mean()
    with pytest.raises(ValueError, match=r"'balanced'\. Got 'auto'"):
        student.fit(X, targets, sample_weight="auto")
