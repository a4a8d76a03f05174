"""Loss, penalty and gradients of the kernel against the slow restatement, in float64."""

import math

import numpy as np
import pytest
import torch
from references import soft_tree as reference

from soft_students.students.soft_tree.kernel import (
    CrossEntropyLeaves,
    SharpenedPaths,
    SplitBalance,
    SquaredErrorLeaves,
    Workspace,
    loss_and_gradients,
)
from soft_students.students.soft_tree.parameters import TreeParameters


def problem(depth, n=7, n_features=3, n_outputs=4, seed=0, regression=False):
    rng = np.random.RandomState(seed)
    n_gates = 2**depth - 1
    arrays = {
        "weights": rng.normal(size=(n_gates, n_features)),
        "biases": rng.normal(size=n_gates),
        "betas": np.exp(0.3 * rng.normal(size=n_gates)),
        "leaves": rng.normal(size=(n_gates + 1, n_outputs)),
    }
    targets = rng.normal(size=(n, n_outputs))
    if not regression:
        targets = np.exp(targets) / np.exp(targets).sum(axis=1, keepdims=True)
    return arrays, rng.normal(size=(n, n_features)), targets, rng.uniform(0.2, 2, size=n)


def run(arrays, X, targets, weights, leaf_loss, balance=None):
    parameters = TreeParameters(
        torch.tensor(arrays["weights"]),
        torch.tensor(arrays["biases"]),
        torch.tensor(np.log(arrays["betas"])),
        torch.tensor(arrays["leaves"]),
    )
    depth = int(math.log2(len(arrays["leaves"])))
    X = torch.tensor(X)
    return loss_and_gradients(
        parameters,
        X,
        torch.tensor(targets),
        torch.tensor(weights / weights.sum()),
        leaf_loss,
        balance,
        Workspace(depth, len(X), X),
    )


def numerical_gradient(function, array, step=1e-6):
    gradient = np.zeros_like(array)
    for index in np.ndindex(array.shape):
        kept = array[index]
        array[index] = kept + step
        above = function()
        array[index] = kept - step
        below = function()
        array[index] = kept
        gradient[index] = (above - below) / (2 * step)
    return gradient


@pytest.mark.parametrize("mixture_weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("regression", [False, True])
@pytest.mark.parametrize("depth", [1, 3])
def test_loss_and_gradients_equal_the_reference(depth, regression, mixture_weight):
    arrays, X, targets, weights = problem(depth, regression=regression)
    restated = reference.regression_loss if regression else reference.classification_loss
    leaves = SquaredErrorLeaves if regression else CrossEntropyLeaves

    def loss():
        return restated(X, targets, weights, **arrays, mixture_weight=mixture_weight)

    measured, penalty, gradient = run(arrays, X, targets, weights, leaves(mixture_weight))
    assert float(measured) == pytest.approx(loss(), abs=1e-12)
    assert float(penalty) == 0
    for name, found in [
        ("weights", gradient.gate_weights),
        ("biases", gradient.gate_biases),
        ("leaves", gradient.leaves),
    ]:
        expected = numerical_gradient(loss, arrays[name])
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-8, err_msg=name)
    by_beta = numerical_gradient(loss, arrays["betas"])
    np.testing.assert_allclose(gradient.log_betas.numpy(), by_beta * arrays["betas"], atol=1e-8)


@pytest.mark.parametrize("mixture_weight", [0.0, 0.3, 1.0])
def test_the_focal_loss_weighs_rows_as_the_reference_does(mixture_weight):
    arrays, X, targets, weights = problem(2)
    # the last row is matched as closely as can be: its weight is the floor
    arrays["leaves"][:] += 5 * np.log(targets[-1])
    focus = np.array(reference.focus(X, targets, weights, **arrays, focusing=1.5))
    assert focus.max() > 2 * focus.min()

    def loss():  # the weights are constants to the gradient
        total = reference.classification_loss(
            X, targets, weights * focus, **arrays, mixture_weight=mixture_weight
        )
        return total * (weights @ focus) / weights.sum()

    measured, _, gradient = run(
        arrays, X, targets, weights, CrossEntropyLeaves(mixture_weight, focusing=1.5)
    )
    assert float(measured) == pytest.approx(loss(), abs=1e-12)
    for name, found in [
        ("weights", gradient.gate_weights),
        ("biases", gradient.gate_biases),
        ("leaves", gradient.leaves),
    ]:
        expected = numerical_gradient(loss, arrays[name])
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-8, err_msg=name)


@pytest.mark.parametrize("leaf_loss", [CrossEntropyLeaves(0.7), SquaredErrorLeaves(0.7)])
def test_the_loss_of_sharpened_paths_and_its_gradient(leaf_loss):
    rng = np.random.RandomState(0)
    paths = rng.dirichlet(np.ones(4), size=5).T
    leaves, targets = rng.normal(size=(4, 3)), rng.dirichlet(np.ones(3), size=5).T
    weights = torch.full((5,), 0.2, dtype=torch.float64)
    blended = SharpenedPaths(leaf_loss)
    blended.share, blended.sharpness = 0.3, 2.5

    def loss():
        sharpened = np.array([column**2.5 / sum(column**2.5) for column in paths.T]).T
        plain, sharp = (
            float(leaf_loss(*map(torch.tensor, (P, leaves, targets)), weights)[0])
            for P in (paths, sharpened)
        )
        return 0.7 * plain + 0.3 * sharp

    found, by_paths, by_leaves = blended(*map(torch.tensor, (paths, leaves, targets)), weights)
    assert float(found) == pytest.approx(loss(), abs=1e-12)
    by_paths = by_paths.numpy() * weights.numpy()  # for a sample as if its weight were one
    np.testing.assert_allclose(by_paths, numerical_gradient(loss, paths), atol=1e-8)
    np.testing.assert_allclose(by_leaves.numpy(), numerical_gradient(loss, leaves), atol=1e-8)


def test_very_sharp_paths_are_the_greatest_one_and_stay_finite():
    paths = torch.tensor([[0.6, 1e-30], [0.4, 1.0 - 1e-30], [1e-38, 0.0]])
    leaves = torch.tensor([[2.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    targets = torch.tensor([[1.0, 0.3], [0.0, 0.7]])
    weights = torch.tensor([0.5, 0.5])
    blended = SharpenedPaths(CrossEntropyLeaves(1.0))
    blended.share, blended.sharpness = 1.0, 80.0
    loss, *gradients = blended(paths, leaves, targets, weights)
    greatest = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    expected, *_ = CrossEntropyLeaves(1.0)(greatest, leaves, targets, weights)
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)


def test_penalty_and_its_gradient_equal_the_reference():
    arrays, X, targets, weights = problem(3, n=9)

    def total():
        right, through = reference.alphas(
            X, weights, arrays["weights"], arrays["biases"], arrays["betas"]
        )
        return reference.classification_loss(
            X, targets, weights, **arrays, mixture_weight=0.5
        ) + reference.penalty(np.divide(right, through), 0.7)

    balance = SplitBalance(3, 0.7, torch.zeros(1, dtype=torch.float64))
    loss, penalty, gradient = run(arrays, X, targets, weights, CrossEntropyLeaves(0.5), balance)
    assert float(loss + penalty) == pytest.approx(total(), abs=1e-12)
    for name, found in [("weights", gradient.gate_weights), ("biases", gradient.gate_biases)]:
        expected = numerical_gradient(total, arrays[name])
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-7, err_msg=name)


def test_averages_of_the_penalty_decay_over_two_to_the_depth_batches():
    arrays, _, targets, weights = problem(3)
    balance = SplitBalance(3, 0.4, torch.zeros(1, dtype=torch.float64))
    rng = np.random.RandomState(3)
    rate = np.array([2.0 ** -int(math.log2(node + 1)) for node in range(7)])
    right = through = None
    for _ in range(4):
        X = rng.normal(size=(7, 3))
        r, t = reference.alphas(X, weights, arrays["weights"], arrays["biases"], arrays["betas"])
        right = np.array(r) if right is None else right + rate * (np.array(r) - right)
        through = np.array(t) if through is None else through + rate * (np.array(t) - through)
        _, penalty, _ = run(arrays, X, targets, weights, CrossEntropyLeaves(1.0), balance)
        expected = reference.penalty(right / through, 0.4)
        assert float(penalty) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_penalty_of_even_splits_by_hand(depth):
    """All alpha = 1/2: each of the `depth` levels adds lambda 2^-d * 2^d * log 2."""
    arrays, X, targets, weights = problem(depth)
    arrays["weights"][:] = 0
    arrays["biases"][:] = 0
    balance = SplitBalance(depth, 0.3, torch.zeros(1, dtype=torch.float64))
    _, penalty, gradient = run(arrays, X, targets, weights, CrossEntropyLeaves(1.0), balance)
    assert float(penalty) == pytest.approx(0.3 * depth * math.log(2), abs=1e-12)
    _, _, without = run(arrays, X, targets, weights, CrossEntropyLeaves(1.0))
    # the minimum: the penalty adds nothing to the gradient
    torch.testing.assert_close(gradient.gate_weights, without.gate_weights)


@pytest.mark.parametrize("leaves", [CrossEntropyLeaves(0.9), CrossEntropyLeaves(0.0)])
def test_saturated_gates_stay_finite(leaves):
    arrays, X, targets, weights = problem(4)
    arrays["weights"] *= 1000
    arrays["leaves"] *= 100
    balance = SplitBalance(4, 1.0, torch.zeros(1, dtype=torch.float64))
    loss, penalty, gradient = run(arrays, X, targets, weights, leaves, balance)
    assert math.isfinite(loss)
    assert math.isfinite(penalty)
    for tensor in (gradient.gate_weights, gradient.gate_biases, gradient.leaves):
        assert torch.isfinite(tensor).all()


@pytest.mark.parametrize("degenerate", ["one row", "equal rows", "zero features"])
def test_degenerate_batches_equal_the_reference(degenerate):
    arrays, X, targets, weights = problem(2)
    if degenerate == "one row":
        X, targets, weights = X[:1], targets[:1], weights[:1]
    elif degenerate == "equal rows":
        X = np.repeat(X[:1], len(X), axis=0)
    else:
        X = np.zeros_like(X)
    loss, _, gradient = run(arrays, X, targets, weights, CrossEntropyLeaves(0.5))
    expected = reference.classification_loss(X, targets, weights, **arrays, mixture_weight=0.5)
    assert float(loss) == pytest.approx(expected, abs=1e-12)
    assert torch.isfinite(gradient.gate_weights).all()


def test_beta_one_everywhere_needs_no_tensor():
    arrays, X, targets, weights = problem(3)
    arrays["betas"][:] = 1
    with_betas = run(arrays, X, targets, weights, CrossEntropyLeaves(1.0))
    parameters = TreeParameters(
        torch.tensor(arrays["weights"]),
        torch.tensor(arrays["biases"]),
        None,
        torch.tensor(arrays["leaves"]),
    )
    X = torch.tensor(X)
    without = loss_and_gradients(
        parameters,
        X,
        torch.tensor(targets),
        torch.tensor(weights / weights.sum()),
        CrossEntropyLeaves(1.0),
        None,
        Workspace(3, len(X), X),
    )
    assert without[2].log_betas is None
    torch.testing.assert_close(with_betas[0], without[0])
    torch.testing.assert_close(with_betas[2].gate_weights, without[2].gate_weights)
