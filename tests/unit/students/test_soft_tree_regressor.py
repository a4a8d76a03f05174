"""What the regressor does beyond what both trees share."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression, LogisticRegression

from soft_students import SoftDecisionTreeRegressor


@pytest.fixture(scope="module")
def diabetes():
    return load_diabetes(return_X_y=True)


def tree(depth=2, **parameters):
    settings = {"epochs": 100, "learning_rate": 0.05, "random_state": 0, **parameters}
    return SoftDecisionTreeRegressor(depth, **settings)


def test_it_follows_its_teacher(diabetes):
    X, y = diabetes
    teacher = LinearRegression().fit(X, y)
    student = tree().fit(X, teacher)
    assert student.score(X, teacher.predict(X)) > 0.95
    assert student.score(X, teacher.predict(X)) > student.score(X, y)


def test_hard_weight_mixes_values(diabetes):
    X, y = diabetes
    teacher = LinearRegression().fit(X, y)
    mixed = tree(hard_weight=0.25).fit(X, teacher, labels=y)
    by_hand = tree().fit(X, 0.25 * y + 0.75 * teacher.predict(X))
    np.testing.assert_allclose(mixed.predict(X), by_hand.predict(X))
    with pytest.raises(ValueError, match="true values"):
        tree(hard_weight=0.25).fit(X, teacher)


def test_targets_of_any_unit_and_several_outputs(diabetes):
    X, y = diabetes
    student = tree().fit(X, np.column_stack([1e6 * y + 1e9, -y]))
    single = tree().fit(X, y)
    predicted = student.predict(X)
    assert predicted.shape == (442, 2)
    assert single.predict(X).shape == (442,)
    np.testing.assert_allclose((predicted[:, 0] - 1e9) / 1e6, -predicted[:, 1], rtol=5e-3)


def test_greedy_predictions_are_values_of_leaves(diabetes):
    X, y = diabetes
    student = tree(prediction="greedy").fit(X, y)
    leaves = student.apply(X) - 3
    np.testing.assert_allclose(student.predict(X), student.leaf_values_[leaves, 0])


def test_a_constant_target():
    X = np.random.RandomState(0).normal(size=(20, 2))
    np.testing.assert_allclose(tree().fit(X, np.full(20, 7.0)).predict(X), 7.0, atol=0.1)


def test_a_teacher_of_classes_is_refused(diabetes):
    X, y = diabetes
    teacher = LogisticRegression(max_iter=200).fit(X, y > 150)
    with pytest.raises(ValueError, match="needs a teacher that predicts values"):
        tree().fit(X, teacher)


def test_partial_fit_and_warm_start_go_on(diabetes):
    X, y = diabetes
    student = tree(learning_rate=0.02)
    for _ in range(100):
        student.partial_fit(X, y)
    assert student.score(X, y) > 0.4
    warm = tree(warm_start=True, epochs=20).fit(X, y)
    first = warm.loss_curve_[-1]
    assert warm.fit(X, y).loss_curve_[-1] < first
