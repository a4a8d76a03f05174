import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from soft_students.students.classical.logits import calibrate, clipped_logits


def test_clipped_logits_are_log_probabilities_up_to_a_constant_a_row(rng):
    targets = rng.dirichlet(np.ones(4), size=20).clip(0.01)
    targets /= targets.sum(axis=1, keepdims=True)
    logits = clipped_logits(targets)
    np.testing.assert_allclose(softmax(logits, axis=1), targets)
    np.testing.assert_allclose(logits.sum(axis=1), 0, atol=1e-12)
    assert np.isfinite(clipped_logits(np.eye(4))).all()


@pytest.mark.parametrize("weighted", [False, True])
def test_calibration_is_where_no_change_lowers_the_loss(rng, weighted):
    targets = rng.dirichlet(np.ones(3), size=50)
    outputs = 0.4 * np.log(targets) + rng.normal(scale=0.3, size=targets.shape) + [1, 0, -1]
    weights = rng.uniform(0.5, 2, size=50) if weighted else None

    def loss(scale, bias):
        each = -(targets * log_softmax(scale * outputs + bias, axis=1)).sum(axis=1)
        return np.average(each, weights=weights) + 0.0005 * (scale - 1) ** 2

    scale, bias = calibrate(outputs, targets, weights)
    best = loss(scale, bias)
    assert best < loss(1.0, np.zeros(3)) - 0.05
    for step in (0.01, -0.01):
        assert loss(scale + step, bias) > best
        for k in range(3):
            assert loss(scale, bias + step * np.eye(3)[k]) > best


def test_outputs_that_say_nothing_become_the_mean_target(rng):
    targets = rng.dirichlet(np.ones(3), size=30)
    scale, bias = calibrate(np.zeros((30, 3)), targets, None)
    assert scale == 1
    np.testing.assert_allclose(softmax(bias), targets.mean(axis=0), atol=1e-7)
