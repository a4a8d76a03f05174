import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from soft_students.students import LogisticStudentClassifier

#: Before version 1.8, scikit-learn takes `l1_ratio` with this penalty alone.
BEFORE_1_8 = LogisticRegression().penalty == "l2"
ELASTIC = {"penalty": "elasticnet"} if BEFORE_1_8 else {}


@pytest.fixture
def rows(wine):
    return StandardScaler().fit_transform(wine[0])


def test_labels_give_scikit_learns_logistic_regression(rows, wine):
    expected = LogisticRegression(C=0.7, tol=1e-8, max_iter=5000).fit(rows, wine[1])
    found = LogisticStudentClassifier(C=0.7, tol=1e-9, max_iter=5000).fit(rows, wine[1])
    np.testing.assert_allclose(found.predict_proba(rows), expected.predict_proba(rows), atol=1e-5)


def test_soft_targets_are_rows_that_count_in_part(rows, soft_targets):
    expanded = np.repeat(rows, 3, axis=0), np.tile([0, 1, 2], len(rows))
    expected = LogisticRegression(C=0.5, tol=1e-8, max_iter=5000)
    expected.fit(*expanded, sample_weight=soft_targets.ravel())
    found = LogisticStudentClassifier(C=0.5, tol=1e-9, max_iter=5000).fit(rows, soft_targets)
    np.testing.assert_allclose(found.predict_proba(rows), expected.predict_proba(rows), atol=1e-5)


@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_the_solution_is_a_minimum_of_the_stated_loss(rows, soft_targets, rng, temperature):
    targets = soft_targets ** (1 / temperature)
    targets /= targets.sum(axis=1, keepdims=True)
    student = LogisticStudentClassifier(C=2.0, temperature=temperature, tol=1e-9)
    student.fit(rows, soft_targets)

    def loss(coef, intercept):
        logits = (rows @ coef.T + intercept) / temperature
        entropy = -(targets * log_softmax(logits, axis=1)).sum()
        return 0.5 * np.sum(coef**2) + 2.0 * temperature**2 * entropy

    least = loss(student.coef_, student.intercept_)
    for _ in range(20):
        moved = student.coef_ + 1e-2 * rng.normal(size=student.coef_.shape)
        assert loss(moved, student.intercept_ + 1e-2 * rng.normal(size=3)) > least


def test_without_an_intercept(rows, wine):
    student = LogisticStudentClassifier(fit_intercept=False).fit(rows, wine[1])
    np.testing.assert_array_equal(student.intercept_, 0)


def test_the_decision_function_of_two_classes_is_one_column(rows, wine):
    y = wine[1] == 0
    student = LogisticStudentClassifier().fit(rows, y)
    odds = student.decision_function(rows)
    probabilities = student.predict_proba(rows)
    np.testing.assert_allclose(odds, np.log(probabilities[:, 1] / probabilities[:, 0]))


@pytest.mark.parametrize("l1_ratio", [0.4, 1.0])
def test_labels_give_scikit_learns_sparse_coefficients(rows, wine, l1_ratio):
    settings = {"C": 0.1, "l1_ratio": l1_ratio}
    expected = LogisticRegression(solver="saga", tol=1e-8, max_iter=20000, **settings, **ELASTIC)
    expected.fit(rows, wine[1])
    found = LogisticStudentClassifier(tol=1e-9, **settings).fit(rows, wine[1])
    np.testing.assert_allclose(found.coef_, expected.coef_, atol=1e-4)
    zero = np.abs(expected.coef_) < 1e-6
    assert zero.sum() > 5
    np.testing.assert_array_equal(found.coef_[zero], 0)


def test_soft_targets_are_rows_that_count_in_part_under_an_l1_penalty(rows, soft_targets):
    expanded = np.repeat(rows, 3, axis=0), np.tile([0, 1, 2], len(rows))
    expected = LogisticRegression(
        C=0.1, l1_ratio=1.0, solver="saga", tol=1e-8, max_iter=20000, **ELASTIC
    )
    expected.fit(*expanded, sample_weight=soft_targets.ravel())
    found = LogisticStudentClassifier(C=0.1, l1_ratio=1.0, tol=1e-9).fit(rows, soft_targets)
    np.testing.assert_allclose(found.coef_, expected.coef_, atol=1e-3)
    np.testing.assert_allclose(found.predict_proba(rows), expected.predict_proba(rows), atol=1e-4)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
@pytest.mark.parametrize("l1_ratio", [0.3, 1.0])
def test_the_sparse_solution_is_optimal(rows, soft_targets, rng, temperature, l1_ratio):
    """No slope of the smooth part exceeds the L1 penalty, which it balances where W is not 0."""
    X = rows * rng.uniform(0.1, 10, rows.shape[1])  # features of unequal scale
    targets = soft_targets ** (1 / temperature)
    targets /= targets.sum(axis=1, keepdims=True)
    C = 0.05
    student = LogisticStudentClassifier(
        C=C, l1_ratio=l1_ratio, temperature=temperature, tol=1e-10, max_iter=5000
    ).fit(X, soft_targets)
    coef = student.coef_
    log_p = log_softmax((X @ coef.T + student.intercept_) / temperature, axis=1)
    error = C * temperature * (np.exp(log_p) - targets)
    slope = error.T @ X + (1 - l1_ratio) * coef
    assert 0 < np.count_nonzero(coef) < coef.size
    np.testing.assert_allclose(error.sum(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(slope[coef != 0], -l1_ratio * np.sign(coef[coef != 0]), atol=1e-4)
    assert np.abs(slope[coef == 0]).max() <= l1_ratio + 1e-4


def test_a_strong_l1_penalty_leaves_the_prior(rows, soft_targets):
    student = LogisticStudentClassifier(C=1e-6, l1_ratio=1.0).fit(rows, soft_targets)
    np.testing.assert_array_equal(student.coef_, 0)
    np.testing.assert_allclose(student.predict_proba(rows)[0], soft_targets.mean(axis=0), atol=1e-5)


def test_without_a_penalty_its_kind_is_nothing(rows, soft_targets):
    first, second = (
        LogisticStudentClassifier(C=np.inf, l1_ratio=ratio).fit(rows, soft_targets)
        for ratio in (0.0, 1.0)
    )
    np.testing.assert_array_equal(first.coef_, second.coef_)
