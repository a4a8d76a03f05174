"""Pruning of the tree student against fitting scikit-learn's tree at every alpha of its path."""

import numpy as np
import pytest
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeRegressor

from soft_students.students import DecisionTreeStudentClassifier, DecisionTreeStudentRegressor
from soft_students.students.classical.pruning import best_alpha, collapse_alphas
from soft_students.students.files import dumps, loads


@pytest.fixture
def rows(rng):
    """Rows whose targets are soft, noisy and of three classes."""
    X = rng.normal(size=(300, 4))
    logits = np.stack([X[:, 0] * 2, X[:, 1], 0 * X[:, 0]], axis=1) + rng.normal(size=(300, 3))
    targets = np.exp(logits)
    return X, targets / targets.sum(axis=1, keepdims=True), rng.uniform(0.2, 2, 300)


def cross_entropy(targets, predicted, weights):
    floor = np.finfo(np.float32).eps
    return -weights @ (targets * np.log(predicted.clip(floor))).sum(axis=1)


def squared_error(targets, predicted, weights):
    return weights @ np.square(targets - predicted).sum(axis=1)


@pytest.mark.parametrize("growth", [{}, {"max_leaf_nodes": 40}, {"max_depth": 5}])
def test_alphas_are_those_of_scikit_learns_path(rows, growth):
    X, targets, weights = rows
    tree = DecisionTreeRegressor(random_state=0, **growth)
    path = tree.cost_complexity_pruning_path(X, targets, sample_weight=weights)
    grown = tree.fit(X, targets, sample_weight=weights)
    alphas = collapse_alphas(grown.tree_)
    np.testing.assert_allclose(np.unique(alphas), np.unique(path.ccp_alphas), rtol=1e-9, atol=1e-12)
    for alpha in np.unique(alphas)[::7]:
        pruned = DecisionTreeRegressor(random_state=0, ccp_alpha=alpha * (1 + 1e-7), **growth)
        pruned.fit(X, targets, sample_weight=weights)
        inner = np.count_nonzero(alphas > alpha * (1 + 1e-7))
        assert pruned.get_n_leaves() == inner + 1


@pytest.mark.parametrize("distributions", [True, False])
def test_no_alpha_of_the_path_is_better_than_the_chosen_one(rows, distributions):
    X, targets, weights = rows
    train, held = slice(0, 200), slice(200, None)
    measure = cross_entropy if distributions else squared_error

    def fitted(alpha):
        tree = DecisionTreeRegressor(random_state=0, ccp_alpha=alpha)
        return tree.fit(X[train], targets[train], sample_weight=weights[train])

    def loss(alpha):
        return measure(targets[held], fitted(alpha).predict(X[held]), weights[held])

    grown = fitted(0.0)
    chosen = best_alpha(grown, X[held], targets[held], weights[held], distributions=distributions)
    alphas = np.unique(collapse_alphas(grown.tree_))
    between = np.append(np.sqrt(alphas[:-1] * alphas[1:]), alphas[-1] * 1.01)
    losses = [loss(alpha) for alpha in between]
    assert loss(chosen) == pytest.approx(min(losses), rel=1e-9)
    assert min(losses) < losses[0]
    best = np.flatnonzero(np.isclose(losses, min(losses), rtol=1e-9))[-1]
    assert fitted(chosen).get_n_leaves() == fitted(between[best]).get_n_leaves()


def test_pruning_finds_what_can_be_learnt(rng):
    X = rng.normal(size=(600, 5))
    share = np.where(X[:, 0] > 0, 0.9, 0.2)
    y = (rng.uniform(size=600) < share).astype(int)
    pruned = DecisionTreeStudentClassifier(ccp_alpha="auto", random_state=0).fit(X, y)
    assert pruned.ccp_alpha_ > 0
    assert 2 <= pruned.estimator_.get_n_leaves() <= 10
    assert pruned.estimator_.tree_.feature[0] == 0
    known = DecisionTreeStudentClassifier(ccp_alpha=pruned.ccp_alpha_, random_state=0).fit(X, y)
    np.testing.assert_array_equal(known.predict_proba(X), pruned.predict_proba(X))
    again = loads(dumps(pruned))
    assert again.ccp_alpha_ == pruned.ccp_alpha_
    np.testing.assert_array_equal(again.predict_proba(X), pruned.predict_proba(X))


def test_values_are_pruned_by_squared_error(rng):
    X = rng.normal(size=(400, 3))
    y = 1e7 + (X[:, 0] > 0) + 0.5 * rng.normal(size=400)
    student = DecisionTreeStudentRegressor(ccp_alpha="auto", random_state=0).fit(X, y)
    assert 2 <= student.estimator_.get_n_leaves() <= 10
    seed = np.random.RandomState(0).randint(np.iinfo(np.int32).max)
    X_train, X_held, y_train, y_held = train_test_split(X, y, test_size=0.2, random_state=seed)

    def error(alpha):
        tree = DecisionTreeRegressor(ccp_alpha=alpha, random_state=0).fit(X_train, y_train)
        return np.square(tree.predict(X_held) - y_held).mean()

    grown = DecisionTreeRegressor(random_state=0).fit(X_train, y_train)
    alphas = np.unique(collapse_alphas(grown.tree_))
    errors = [error(a) for a in np.append(np.sqrt(alphas[:-1] * alphas[1:]), alphas[-1] * 1.01)]
    assert error(student.ccp_alpha_) == pytest.approx(min(errors), rel=1e-6)


def test_nothing_to_prune(rng):
    X = np.ones((30, 2))
    student = DecisionTreeStudentClassifier(ccp_alpha="auto").fit(X, np.arange(30) % 2)
    assert student.estimator_.get_n_leaves() == 1
    assert student.ccp_alpha_ == 0
    with pytest.raises(ValueError, match="'ccp_alpha' parameter"):
        DecisionTreeStudentClassifier(ccp_alpha="best").fit(X, np.arange(30) % 2)


@pytest.fixture(scope="module")
def taught():
    """Rows, labels, and what a network says of the rows."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(900, 4)).astype(np.float32)
    logits = 3 * np.stack([X[:, 0] * X[:, 1], X[:, 2], -X[:, 3]], axis=1)
    proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return X, logits.argmax(axis=1), proba


def leaves(student):
    return len(student.rules())


def test_a_tree_of_soft_targets_is_not_as_large_as_its_rows(taught):
    X, y, proba = taught
    train, test = slice(600), slice(600, None)
    pruned = DecisionTreeStudentClassifier(random_state=0).fit(X[train], proba[train])
    whole = DecisionTreeStudentClassifier(ccp_alpha=0, random_state=0).fit(X[train], proba[train])
    labels = DecisionTreeStudentClassifier(random_state=0).fit(X[train], y[train])
    assert leaves(whole) > 500
    assert leaves(pruned) <= max(64, 3 * leaves(labels))
    assert pruned.score(X[test], y[test]) >= whole.score(X[test], y[test]) - 0.02
    variance = proba[train].var(axis=0).mean()
    assert pruned.ccp_alpha_ == pytest.approx(2e-4 * variance, rel=1e-6)
    known = DecisionTreeRegressor(ccp_alpha=pruned.ccp_alpha_, random_state=0)
    known.fit(X[train], proba[train])
    assert known.get_n_leaves() == pytest.approx(leaves(pruned), rel=0.05)  # but for ties


def test_weights_count_in_what_a_leaf_must_add(taught):
    X, _, proba = taught
    weights = np.repeat([0, 1, 2], 300)
    by_weight = DecisionTreeStudentClassifier(random_state=0)
    by_weight.fit(X, proba, sample_weight=weights)
    repeated = DecisionTreeStudentClassifier(random_state=0)
    repeated.fit(np.repeat(X, weights, axis=0), np.repeat(proba, weights, axis=0))
    assert by_weight.ccp_alpha_ == pytest.approx(repeated.ccp_alpha_, rel=1e-6)


@pytest.mark.parametrize(
    "limit",
    [{"max_depth": 12}, {"max_leaf_nodes": 400}, {"min_samples_split": 3}, {"min_samples_leaf": 2}],
)
def test_a_tree_that_has_a_limit_is_not_pruned_besides(taught, limit):
    X, _, proba = taught
    limited = DecisionTreeStudentClassifier(**limit, random_state=0).fit(X, proba)
    assert limited.ccp_alpha_ == 0
    assert leaves(limited) > 200


def test_labels_are_not_pruned(taught):
    X, y, _ = taught
    noisy = np.where(np.arange(900) % 7 == 0, (y + 1) % 3, y)
    for target in (noisy, np.eye(3)[noisy]):
        student = DecisionTreeStudentClassifier(random_state=0).fit(X, target)
        assert student.ccp_alpha_ == 0
        assert student.score(X, noisy) == 1


def test_equal_soft_targets_make_one_leaf():
    student = DecisionTreeStudentClassifier().fit(np.arange(8)[:, None], np.full((8, 2), 0.5))
    assert (leaves(student), student.ccp_alpha_) == (1, 0)
