import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from soft_students.students import LogisticStudentClassifier


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
