"""``temperature="auto"`` and ``hard_weight="auto"`` of every student that has them."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, make_classification
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.utils.estimator_checks import parametrize_with_checks

from soft_students import (
    DecisionTreeStudentClassifier,
    LogisticStudentClassifier,
    RidgeStudentRegressor,
    SoftDecisionTreeClassifier,
    SoftDecisionTreeRegressor,
    XGBoostStudentClassifier,
    as_teacher,
)
from soft_students.students.files import dumps, loads
from soft_students.students.tuning import HARD_WEIGHTS, HELD_OUT, TEMPERATURES
from soft_students.targets import mix_labels, soften

QUICK = [
    SoftDecisionTreeClassifier(2, epochs=20, learning_rate=0.05),
    XGBoostStudentClassifier(n_estimators=5, n_jobs=1),
    DecisionTreeStudentClassifier(max_depth=3),
    LogisticStudentClassifier(),
]
QUICK_REGRESSORS = [SoftDecisionTreeRegressor(2, epochs=10), RidgeStudentRegressor()]


def named(estimator):
    return type(estimator).__name__


def auto(student, **more):
    parameters = {"temperature": "auto", "hard_weight": "auto", "random_state": 0} | more
    known = student.get_params()
    return clone(student).set_params(**{k: v for k, v in parameters.items() if k in known})


@pytest.fixture(scope="module")
def noisy():
    """Rows with a fifth of the labels wrong, and the teacher's soft targets without that error."""
    X, y = make_classification(400, 8, n_informative=6, n_classes=3, random_state=0)
    rng = np.random.RandomState(0)
    labels = np.where(rng.rand(400) < 0.2, rng.randint(3, size=400), y)
    return X, labels, LogisticRegression(max_iter=1000).fit(X, y)


@pytest.fixture(scope="module")
def values():
    X, y = load_diabetes(return_X_y=True)
    return X[:200], y[:200], LinearRegression().fit(X[200:], y[200:])


@pytest.mark.parametrize("student", QUICK, ids=named)
def test_the_choice_is_that_of_a_search_by_hand(student, noisy):
    """Restated with scikit-learn's own split and log-loss, and soft targets made by hand."""
    X, y, teacher = noisy
    fitted = auto(student).fit(X, teacher, labels=y)
    seed = np.random.RandomState(0).randint(np.iinfo(np.int32).max)
    kept, held = train_test_split(np.arange(400), test_size=0.2, random_state=seed, stratify=y)
    logits = np.log(teacher.predict_proba(X))

    def loss(temperature, weight):
        by_hand = clone(student).set_params(
            temperature=temperature, hard_weight=weight, random_state=seed
        )
        said = as_teacher(logits[kept], kind="logits", classes=[0, 1, 2])
        by_hand.fit(X[kept], said, labels=y[kept])
        return log_loss(y[held], by_hand.predict_proba(X[held]))

    temperatures = {tried: loss(tried, 0.0) for tried in TEMPERATURES}
    best = min(temperatures, key=temperatures.get)
    weights = {tried: loss(best, tried) for tried in HARD_WEIGHTS}
    assert fitted.temperature_ == best
    assert fitted.hard_weight_ == min(weights, key=weights.get)
    assert HELD_OUT == 0.2


@pytest.mark.parametrize("student", QUICK, ids=named)
def test_all_rows_are_learnt_at_the_choice(student, noisy):
    X, y, teacher = noisy
    fitted = auto(student).fit(X, teacher, labels=y)
    chosen = {"temperature": fitted.temperature_, "hard_weight": fitted.hard_weight_}
    fixed = clone(student).set_params(**chosen, random_state=0).fit(X, teacher, labels=y)
    np.testing.assert_array_equal(fitted.predict_proba(X), fixed.predict_proba(X))
    assert fixed.hard_weight_ == fitted.hard_weight_
    again = auto(student).fit(X, teacher, labels=y)
    np.testing.assert_array_equal(fitted.predict_proba(X), again.predict_proba(X))


def test_without_labels_the_teacher_is_what_counts(noisy):
    X, _, teacher = noisy
    student = auto(DecisionTreeStudentClassifier(max_depth=3), hard_weight=0.0).fit(X, teacher)
    seed = np.random.RandomState(0).randint(np.iinfo(np.int32).max)
    said = teacher.predict_proba(X)
    kept, held = train_test_split(
        np.arange(400), test_size=0.2, random_state=seed, stratify=said.argmax(axis=1)
    )
    losses = {}
    for temperature in TEMPERATURES:
        other = DecisionTreeStudentClassifier(
            max_depth=3, temperature=temperature, random_state=seed
        ).fit(X[kept], said[kept])
        p = np.maximum(other.predict_proba(X[held]), np.finfo(float).eps)
        losses[temperature] = -(said[held] * np.log(p)).sum(axis=1).mean()
    assert student.temperature_ == min(losses, key=losses.get)
    assert student.hard_weight_ == 0


def test_a_bad_teacher_is_not_listened_to(noisy):
    X, y, _ = noisy
    wrong = np.roll(np.eye(3)[y] * 0.94 + 0.02, 1, axis=1)
    student = auto(LogisticStudentClassifier(C=100)).fit(X, wrong, labels=y)
    assert student.hard_weight_ == 1


def test_a_good_teacher_of_wrong_labels_is_listened_to(noisy):
    X, y, teacher = noisy
    assert auto(LogisticStudentClassifier()).fit(X, teacher, labels=y).hard_weight_ < 1


@pytest.mark.parametrize("student", QUICK, ids=named)
def test_the_teacher_is_asked_once(student, noisy):
    X, y, teacher = noisy
    asked = []

    def ask(rows):
        asked.append(len(rows))
        return teacher.predict_proba(rows)

    auto(student).fit(X, ask, labels=y)
    assert asked == [len(X)]


@pytest.mark.parametrize("student", QUICK, ids=named)
def test_bundles_keep_the_wish_and_the_choice(student, noisy):
    X, y, teacher = noisy
    fitted = auto(student).fit(X, teacher, labels=y)
    again = loads(dumps(fitted))
    assert again.temperature == again.hard_weight == "auto"
    assert again.temperature_ == fitted.temperature_
    assert again.hard_weight_ == fitted.hard_weight_
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))


def test_labels_alone_leave_nothing_to_choose(noisy):
    X, y, _ = noisy
    student = auto(LogisticStudentClassifier()).fit(X, y)
    assert student.temperature_ == student.hard_weight_ == 1
    plain = LogisticStudentClassifier().fit(X, y)
    np.testing.assert_array_equal(student.coef_, plain.coef_)


@pytest.mark.parametrize("student", [*QUICK, *QUICK_REGRESSORS], ids=named)
def test_a_hard_weight_needs_labels(student, noisy):
    X, _, _ = noisy
    teacher = LinearRegression() if "Regressor" in named(student) else LogisticRegression()
    teacher.fit(X, np.arange(400) % 2)
    with pytest.raises(ValueError, match=r"hard_weight='auto' mixes in true .*labels=y"):
        auto(student).fit(X, teacher)


def test_sample_weights_take_part_in_the_choice(noisy):
    """Rows of weight zero are as if they were not there; here they would vote for the labels."""
    X, y, teacher = noisy
    misled = np.concatenate([y, np.roll(y, 1)])
    rows = np.concatenate([X, X])
    weights = np.repeat([1.0, 0.0], 400)
    student = auto(LogisticStudentClassifier())
    weighted = clone(student).fit(rows, teacher, labels=misled, sample_weight=weights)
    alone = clone(student).fit(X, teacher, labels=y, sample_weight=np.ones(400))
    assert weighted.hard_weight_ == alone.hard_weight_
    assert weighted.temperature_ == alone.temperature_
    np.testing.assert_allclose(weighted.coef_, alone.coef_)
    with pytest.raises(ValueError, match="zero"):
        clone(student).fit(X, teacher, labels=y, sample_weight=np.zeros(400))
    # the teacher is right on even rows and wrong on odd ones: weights say which count
    said = np.where((np.arange(400) % 2 == 0)[:, None], np.eye(3)[y], np.eye(3)[(y + 1) % 3])
    said = said * 0.94 + 0.02
    trusting = 1.0 - np.arange(400) % 2
    doubting = 1 - trusting
    at = [
        clone(student).fit(X, said, labels=y, sample_weight=w).hard_weight_
        for w in (trusting + 1e-6, doubting + 1e-6)
    ]
    assert at[0] < at[1]


def test_data_frames_string_labels_and_missing_classes(noisy):
    X, y, _ = noisy
    names = np.array(["b", "a", "c"])[y]
    frame = pd.DataFrame(X).add_prefix("f")
    teacher = LogisticRegression(max_iter=1000).fit(frame, names)
    kept = names != "c"
    student = auto(DecisionTreeStudentClassifier(max_depth=3))
    student.fit(frame[kept], teacher, labels=pd.Series(names)[kept])
    assert student.classes_.tolist() == ["a", "b", "c"]
    assert student.predict(frame).dtype == names.dtype
    # the columns of a teacher may have any order
    turned = as_teacher(teacher.predict_proba(frame)[:, ::-1], classes=["c", "b", "a"])
    student = auto(LogisticStudentClassifier()).fit(frame, turned, labels=names)
    assert student.classes_.tolist() == ["a", "b", "c"]
    assert student.hard_weight_ < 1
    assert (student.predict(frame) == teacher.predict(frame)).mean() > 0.9


def test_a_rare_class_and_too_few_rows(noisy):
    X, y, teacher = noisy
    rows = np.flatnonzero(y < 2)[:40].tolist() + np.flatnonzero(y == 2)[:1].tolist()
    auto(LogisticStudentClassifier()).fit(X[rows], teacher, labels=y[rows])
    with pytest.raises(
        ValueError, match=r"temperature='auto' and hard_weight='auto' of Logistic.*1 samples"
    ):
        auto(LogisticStudentClassifier()).fit(X[:1], teacher, labels=y[:1])


def test_one_may_be_chosen_and_the_other_given(noisy):
    X, y, teacher = noisy
    student = auto(LogisticStudentClassifier(), temperature=3.0).fit(X, teacher, labels=y)
    assert student.temperature_ == 3
    student = auto(LogisticStudentClassifier(), hard_weight=0.3).fit(X, teacher, labels=y)
    assert student.hard_weight_ == 0.3
    assert student.temperature_ in TEMPERATURES


def test_other_text_is_refused(noisy):
    X, y, teacher = noisy
    with pytest.raises(ValueError, match=r"a str among \{'auto'\}"):
        auto(LogisticStudentClassifier(), temperature="best").fit(X, teacher, labels=y)


def test_searches_may_compare_auto_with_numbers(noisy):
    X, y, teacher = noisy
    search = GridSearchCV(
        LogisticStudentClassifier(random_state=0), {"temperature": ["auto", 2.0]}, cv=3
    )
    search.fit(X, y, teacher=lambda rows: teacher.predict_proba(rows))
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_transfer_sets_and_unlabelled_rows_come_after_the_choice(noisy):
    from soft_students.transfer import GaussianNoise

    X, y, teacher = noisy
    plain = auto(LogisticStudentClassifier()).fit(X, teacher, labels=y)
    asked = []

    def ask(rows):
        asked.append(len(rows))
        return teacher.predict_proba(rows)

    student = auto(LogisticStudentClassifier(transfer=GaussianNoise(), transfer_copies=1))
    student.fit(X, ask, labels=y, X_unlabeled=X[:50])
    assert sum(asked) == 400 + 50 + 450
    assert student.temperature_ == plain.temperature_
    assert student.hard_weight_ == plain.hard_weight_


@pytest.mark.parametrize("student", QUICK_REGRESSORS, ids=named)
def test_regressors_choose_their_hard_weight(student, values):
    X, y, teacher = values
    fitted = auto(student).fit(X, teacher, labels=y)
    assert fitted.hard_weight_ in HARD_WEIGHTS
    fixed = clone(student).set_params(hard_weight=fitted.hard_weight_, random_state=0)
    fixed.fit(X, teacher, labels=y)
    np.testing.assert_array_equal(fitted.predict(X), fixed.predict(X))
    again = loads(dumps(fitted))
    assert again.hard_weight == "auto"
    assert again.hard_weight_ == fitted.hard_weight_


def test_a_regression_teacher_that_is_wrong_is_not_listened_to(values):
    X, y, _ = values
    student = auto(RidgeStudentRegressor(alpha=1e-3))
    assert student.fit(X, lambda rows: np.full(len(rows), 1e4), labels=y).hard_weight_ == 1
    assert clone(student).fit(X, y).hard_weight_ == 1
    two = np.column_stack([y, 1000 * y])
    shrunk = LinearRegression().fit(X, two)
    assert clone(student).fit(X, shrunk, labels=two).predict(X).shape == (200, 2)
    with pytest.raises(ValueError, match="true values must have the shape"):
        clone(student).fit(X, shrunk, labels=y)


def test_partial_fit_cannot_choose(noisy, values):
    X, y, teacher = noisy
    with pytest.raises(ValueError, match=r"partial_fit cannot choose temperature='auto'"):
        auto(QUICK[0]).partial_fit(X, teacher, labels=y)
    with pytest.raises(ValueError, match=r"partial_fit cannot choose hard_weight='auto'"):
        auto(QUICK_REGRESSORS[0]).partial_fit(*values[:2])


@parametrize_with_checks([auto(LogisticStudentClassifier()), auto(RidgeStudentRegressor())])
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def test_mixing_comes_before_softening():
    """What the choice of both, one after the other, rests on: they hardly depend on each other."""
    logits = np.log([[0.7, 0.2, 0.1]])
    mixed = mix_labels(logits, np.array([1]), 0.5)
    np.testing.assert_allclose(soften(mixed), [[0.35, 0.6, 0.05]])


def test_no_warning_is_given(noisy):
    X, y, teacher = noisy
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        auto(DecisionTreeStudentClassifier(max_depth=2)).fit(X, teacher, labels=y)
