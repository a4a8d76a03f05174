"""Checks that every student of the catalogue passes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import has_fit_parameter

from soft_students.evaluation import flops, n_parameters
from soft_students.explain import ContributionExplanation, explain
from soft_students.explain.prediction import is_explained
from soft_students.students.distilled import DistilledClassifier, DistilledRegressor
from soft_students.students.files import dumps, loads
from soft_students.testing.instances import quick_instance

_FEW = 120  # rows of diabetes


def check_student(student: BaseEstimator | type) -> None:
    """Run every check on a student, but those that its class expects to fail.

    Parameters
    ----------
    student : estimator or type
        In the catalogue, or registered by its package. A class is checked with the parameters that
        its ``_test_params`` returns. The checks named in ``_expected_failed_checks`` are left out.

    Raises
    ------
    AssertionError
        If a check fails; the message names the check.

    Examples
    --------
    >>> from soft_students import LogisticStudentClassifier
    >>> from soft_students.testing import check_student
    >>> check_student(LogisticStudentClassifier)
    """
    for check in STUDENT_CHECKS:
        if check.__name__ not in expected_failures(student):
            check(quick_instance(student))


def expected_failures(student: BaseEstimator | type) -> Mapping[str, str]:
    """Return the checks that a student's class cannot pass, by name, with the reason."""
    return getattr(student, "_expected_failed_checks", {})


def check_scikit_learn_contract(student: BaseEstimator) -> None:
    """Check that :func:`sklearn.utils.estimator_checks.check_estimator` passes."""
    check_estimator(student, expected_failed_checks=dict(expected_failures(student)), on_skip=None)


def check_teacher_targets_and_name_agree(student: BaseEstimator) -> None:
    """Check that a teacher, its answers and the argument `teacher` teach the same."""
    X, y, teacher = _lesson(student)
    answers = _answers(teacher, X)
    labels = {"labels": y} if is_classifier(student) else {}  # answers of a regressor are values
    expected = _answers(_fit(student, X, teacher, **labels), X)
    for fitted in (_fit(student, X, answers, **labels), _fit(student, X, y, teacher=teacher)):
        np.testing.assert_allclose(_answers(fitted, X), expected, rtol=1e-5, atol=1e-6)


def check_student_follows_its_teacher(student: BaseEstimator) -> None:
    """Check that the predictions are closer to the teacher's than a constant is."""
    X, _, teacher = _lesson(student)
    told = teacher.predict(X)
    score = _fit(student, X, teacher).score(X, told)
    least = 0.85 if is_classifier(student) else 0.4
    assert score > least, f"the score on the teacher's predictions is {score:.3f}, not {least}"


def check_one_hot_targets_are_labels(student: BaseEstimator) -> None:
    """Check that labels, and probabilities of one and zero, teach the same."""
    if not is_classifier(student):
        return
    X, y, _ = _lesson(student)
    by_label, by_target = _fit(student, X, y), _fit(student, X, np.eye(3)[y])
    found, expected = by_target.predict_proba(X), by_label.predict_proba(X)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def check_soft_targets_teach_more_than_labels(student: BaseEstimator) -> None:
    """Check that soft targets are learnt as such: their likeliest classes alone teach less."""
    if not is_classifier(student):
        return
    X, _, teacher = _lesson(student)
    targets = 0.8 * teacher.predict_proba(X) + 0.2 / 3

    def divergence(fitted: Any) -> float:
        probabilities = fitted.predict_proba(X).clip(1e-9)
        return float((targets * np.log(targets / probabilities)).sum(axis=1).mean())

    soft = divergence(_fit(student, X, targets))
    hard = divergence(_fit(student, X, targets.argmax(axis=1)))
    assert soft < 0.5 * hard, f"divergence {soft:.4f} from soft targets, {hard:.4f} from labels"


def check_weight_zero_is_no_row(student: BaseEstimator) -> None:
    """Check that a row of weight zero changes nothing."""
    if not has_fit_parameter(student, "sample_weight"):
        return
    X, _, teacher = _lesson(student)
    answers = _answers(teacher, X)
    weights = np.tile([1.0, 0.0], len(X) // 2)
    weighted = _fit(student, X, answers, sample_weight=weights)
    _assert_equal(weighted, _fit(student, X[::2], answers[::2]), X)


def check_weight_two_is_row_twice(student: BaseEstimator) -> None:
    """Check that a row of weight two counts as two rows."""
    if not has_fit_parameter(student, "sample_weight"):
        return
    X, _, teacher = _lesson(student)
    answers = _answers(teacher, X)
    weights = np.where(np.arange(len(X)) % 3 == 0, 2.0, 1.0)
    weighted = _fit(student, X, answers, sample_weight=weights)
    twice = _fit(student, np.concatenate([X, X[::3]]), np.concatenate([answers, answers[::3]]))
    _assert_equal(weighted, twice, X)


def check_clone_learns_the_same(student: BaseEstimator) -> None:
    """Check that a clone has the parameters, nothing that was learnt, and learns the same."""
    X, _, teacher = _lesson(student)
    fitted = _fit(student, X, teacher)
    again = clone(fitted)
    assert set(vars(again)) == set(again.get_params(deep=False)), "a clone holds what was learnt"
    np.testing.assert_array_equal(_answers(again.fit(X, teacher), X), _answers(fitted, X))


def check_file_holds_the_student(student: BaseEstimator) -> None:
    """Check that a file restores predictions and parameters, and is written the same again."""
    X, _, teacher = _lesson(student)
    fitted = _fit(student, X, teacher)
    content = dumps(fitted)
    again = loads(content)
    assert type(again) is type(fitted)
    np.testing.assert_array_equal(_answers(again, X), _answers(fitted, X))
    assert again.get_params() == fitted.get_params(), "parameters of the file differ"
    assert dumps(again) == content, "the student from the file writes another file"


def check_prediction_is_explained_or_refused(student: BaseEstimator) -> None:
    """Check that `explain` explains the prediction of a row, or names the students that can."""
    X, _, teacher = _lesson(student)
    fitted = _fit(student, X, teacher)
    if not is_explained(type(student)):
        refusal = ""
        try:
            explain(fitted, X[0])
        except TypeError as error:
            refusal = str(error)
        assert type(student).__name__ in refusal, "explain neither explains nor refuses it"
        return
    for row in (0, 60):
        found = explain(fitted, X[row])
        (expected,) = fitted.predict(X[[row]])
        np.testing.assert_allclose(found.prediction, expected, rtol=1e-5)
        importances = found.importances()
        assert importances.shape == (X.shape[1],)
        assert np.isfinite(importances).all()
        assert found.to_text()
        json.dumps(found.to_dict(), allow_nan=False)
        if isinstance(found, ContributionExplanation):
            total = found.base + found.contributions.sum(axis=1)
            np.testing.assert_allclose(total, found.outputs, rtol=1e-5, atol=1e-5)
            if found.probabilities is not None:
                told = fitted.predict_proba(X[[row]])[0]
                np.testing.assert_allclose(found.probabilities, told, rtol=1e-5, atol=1e-5)


def check_size_and_operations_are_known(student: BaseEstimator) -> None:
    """Check that `n_parameters` and `flops` of :mod:`soft_students.evaluation` are known."""
    X, _, teacher = _lesson(student)
    fitted = _fit(student, X, teacher)
    size, operations = n_parameters(fitted), flops(fitted, X)
    assert isinstance(size, int), "n_parameters does not know the student: define _structure"
    assert size > 0, f"the student has {size} parameters"
    assert operations is not None, "flops does not know the student: define _operations"
    assert math.isfinite(operations), f"a prediction takes {operations} operations"
    assert operations > 0, f"a prediction takes {operations} operations"


def check_pipeline_is_searched(student: BaseEstimator) -> None:
    """Check a search over a pipeline in `DistilledClassifier` or `DistilledRegressor`."""
    X, y, teacher = _lesson(student)
    distil = DistilledClassifier if is_classifier(student) else DistilledRegressor
    step = type(student).__name__.lower()
    pipeline = make_pipeline(StandardScaler(), _seeded(student))
    grid = {f"student__{step}__hard_weight": [0.0, 0.5]}
    if "hard_weight" not in student.get_params(deep=False):
        grid = {"student__standardscaler__with_mean": [True, False]}
    search = GridSearchCV(distil(pipeline, teacher), grid, cv=3, error_score="raise").fit(X, y)
    assert len(search.predict(X)) == len(X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


#: Each takes an unfitted student and raises AssertionError.
STUDENT_CHECKS: list[Callable[[Any], None]] = [
    check_scikit_learn_contract,
    check_teacher_targets_and_name_agree,
    check_student_follows_its_teacher,
    check_one_hot_targets_are_labels,
    check_soft_targets_teach_more_than_labels,
    check_weight_zero_is_no_row,
    check_weight_two_is_row_twice,
    check_clone_learns_the_same,
    check_file_holds_the_student,
    check_prediction_is_explained_or_refused,
    check_size_and_operations_are_known,
    check_pipeline_is_searched,
]


def _lesson(student: BaseEstimator) -> tuple[np.ndarray, np.ndarray, Any]:
    """Return rows, labels or values, and a teacher of them."""
    if is_classifier(student):
        X, y = load_iris(return_X_y=True)
        return X, y, LogisticRegression(max_iter=500).fit(X, y)
    X, y = load_diabetes(return_X_y=True)
    X, y = X[:_FEW] * 20, y[:_FEW] / 100
    return X, y, Ridge(alpha=0.1).fit(X, y)


def _seeded(student: BaseEstimator) -> Any:
    student = clone(student)
    if "random_state" in student.get_params(deep=False):
        student.set_params(random_state=0)
    return student


def _fit(student: BaseEstimator, *arguments: Any, **named: Any) -> Any:
    return _seeded(student).fit(*arguments, **named)


def _answers(model: Any, X: np.ndarray) -> np.ndarray:
    return model.predict_proba(X) if is_classifier(model) else model.predict(X)


def _assert_equal(model: Any, other: Any, X: np.ndarray) -> None:
    np.testing.assert_allclose(_answers(model, X), _answers(other, X), rtol=1e-5, atol=1e-5)
