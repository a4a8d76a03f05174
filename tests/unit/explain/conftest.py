"""A tree of depth 2 whose every number can be worked out by hand."""

import numpy as np
import pytest

from soft_students import SoftDecisionTreeClassifier, SoftDecisionTreeRegressor

# Gate i goes right with probability σ(β_i (w_i·(x - offset) + b_i)). For x = (2, 3) the activations
# are 2, 4 and -3, so it goes right at node 0 and left at node 2, to leaf 5.
WEIGHTS = [[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]]
BIASES = [0.0, 1.0, -1.0]
BETAS = [2.0, 1.0, 1.0]
OFFSET = [1.0, 0.0]
# At temperature 2 leaves hold these; at temperature one their squares, made to sum to one.
LEAVES = [[0.5, 0.25, 0.25], [0.2, 0.6, 0.2], [0.1, 0.1, 0.8], [0.25, 0.5, 0.25]]


def with_gates(tree):
    tree.gate_weights_ = np.array(WEIGHTS)
    tree.gate_biases_ = np.array(BIASES)
    tree.gate_betas_ = np.array(BETAS)
    tree.feature_offset_ = np.array(OFFSET)
    tree.n_features_in_ = 2
    tree.n_iter_ = 1
    return tree


def make_classifier(classes=("ant", "bee", "cat"), **parameters):
    tree = with_gates(SoftDecisionTreeClassifier(2, temperature=2.0, **parameters))
    tree.classes_ = np.array(classes)
    tree.temperature_ = 2.0
    tree.leaf_logits_ = np.log(LEAVES)
    return tree


@pytest.fixture
def classifier():
    return make_classifier()


@pytest.fixture
def regressor():
    tree = with_gates(SoftDecisionTreeRegressor(2))
    tree.leaf_values_ = np.array([[-1.0], [0.0], [2.0], [4.0]])
    tree.n_outputs_ = 1
    tree._flat = True
    return tree


@pytest.fixture
def deep():
    """A tree of depth 4 on images of 3 x 2 pixels, with ten classes."""
    rng = np.random.default_rng(0)
    tree = SoftDecisionTreeClassifier(4, standardize=False)
    tree.gate_weights_ = rng.normal(size=(15, 6))
    tree.gate_biases_ = rng.normal(size=15)
    tree.gate_betas_ = np.ones(15)
    tree.feature_offset_ = None
    tree.leaf_logits_ = rng.normal(size=(16, 10)) * 3
    tree.classes_ = np.arange(10)
    tree.temperature_ = 1.0
    tree.n_features_in_ = 6
    tree.n_iter_ = 1
    return tree
