"""Scorers are the functions of fidelity, asked of whoever teaches."""

import pickle

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_wine
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import check_scoring, r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from soft_students import (
    DecisionTreeStudentClassifier,
    DistilledClassifier,
    RidgeStudentRegressor,
    as_teacher,
)
from soft_students.evaluation import (
    agreement,
    get_scorer,
    get_scorer_names,
    get_scorers,
    kl_to_teacher,
    soft_cross_entropy,
)


@pytest.fixture(scope="module")
def wine():
    return load_wine(return_X_y=True)


@pytest.fixture(scope="module")
def teacher(wine):
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(*wine)


@pytest.fixture(scope="module")
def student(wine, teacher):
    return DecisionTreeStudentClassifier(max_depth=2, random_state=0).fit(wine[0], teacher)


def test_scores_are_the_functions_of_the_outputs(wine, teacher, student):
    X, y = wine
    s, t = student.predict_proba(X), teacher.predict_proba(X)
    expected = {
        "agreement": agreement(s, t),
        "neg_soft_cross_entropy": -soft_cross_entropy(s, t),
        "neg_kl_to_teacher": -kl_to_teacher(s, t),
    }
    for name, value in expected.items():
        assert get_scorer(name, teacher)(student, X, y) == pytest.approx(value, abs=1e-9)
        assert get_scorer(name, teacher)(student, X) == pytest.approx(value, abs=1e-9)
    assert 0 < expected["agreement"] < 1


def test_regression_scores():
    X, y = load_diabetes(return_X_y=True)
    teacher = LinearRegression().fit(X, y)
    student = RidgeStudentRegressor(alpha=1.0).fit(X, teacher)
    predicted, taught = student.predict(X), teacher.predict(X)
    for given in (teacher, teacher.predict):
        r2 = get_scorer("r2_to_teacher", given)(student, X, y)
        assert r2 == pytest.approx(r2_score(taught, predicted))
        error = get_scorer("neg_mean_squared_error_to_teacher", given)(student, X, y)
        assert error == pytest.approx(-np.mean((taught - predicted) ** 2))


def test_the_kept_teacher_is_the_default_and_another_may_be_given(wine, teacher, student):
    X, y = wine
    distilled = DistilledClassifier(DecisionTreeStudentClassifier(max_depth=2), teacher).fit(X, y)
    own = get_scorer("agreement")(distilled, X, y)
    assert own == get_scorer("agreement", teacher)(distilled, X, y)
    constant = as_teacher(lambda rows: np.tile([1.0, 0.0, 0.0], (len(rows), 1)), classes=[0, 1, 2])
    assert get_scorer("agreement", constant)(distilled, X, y) < own


def test_classes_are_matched_by_label(wine, student):
    X, _ = wine
    turned = as_teacher(
        lambda rows: student.predict_proba(rows)[:, [2, 0, 1]], classes=np.array([2, 0, 1])
    )
    assert get_scorer("agreement", turned)(student, X) == 1
    assert get_scorer("kl_to_teacher", turned)(student, X) == pytest.approx(0, abs=1e-9)
    unnamed = as_teacher(lambda rows: student.predict_proba(rows))
    assert get_scorer("agreement", unnamed)(student, X) == 1


def test_a_loss_is_found_by_its_plain_name_too():
    assert get_scorer("kl_to_teacher").name == "neg_kl_to_teacher"
    assert list(get_scorers("agreement", "soft_cross_entropy")) == [
        "agreement",
        "neg_soft_cross_entropy",
    ]
    assert repr(get_scorer("kl_to_teacher")) == "get_scorer('neg_kl_to_teacher')"


def test_an_unknown_name_says_what_there_is():
    with pytest.raises(
        ValueError, match=r"Unknown scorer 'agrement'.*neg_kl.*Did you mean 'agreement'"
    ):
        get_scorer("agrement")
    assert len(get_scorer_names()) == 5


def test_what_keeps_no_teacher_needs_one(wine, student):
    with pytest.raises(ValueError, match=r"DecisionTreeStudentClassifier keeps none. Pass it"):
        get_scorer("agreement")(student, *wine)


def test_teachers_of_the_other_task_are_refused(wine, teacher, student):
    X, y = wine
    values = as_teacher(LinearRegression().fit(X, y))
    with pytest.raises(ValueError, match="needs a teacher of classes"):
        get_scorer("agreement", values)(student, X, y)
    with pytest.raises(ValueError, match="needs a teacher of values"):
        get_scorer("r2_to_teacher", as_teacher(teacher))(student, X, y)


def test_scikit_learn_takes_and_processes_pass_them(wine, teacher):
    X, y = wine
    scorer = get_scorer("agreement", teacher)
    assert check_scoring(DecisionTreeStudentClassifier(), scoring=scorer) is scorer
    again = pickle.loads(pickle.dumps(scorer))
    assert again.name == "agreement"
    search = GridSearchCV(
        DecisionTreeStudentClassifier(random_state=0),
        {"max_depth": [1, 4]},
        scoring=get_scorers("agreement", "kl_to_teacher", teacher=teacher),
        refit="agreement",
        cv=3,
    ).fit(X, y)
    assert search.best_params_ == {"max_depth": 4}
