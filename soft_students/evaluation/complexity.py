"""Counts of a model's parameters and of its operations per row.

**Parameters** are the numbers that a prediction reads: weights and biases; for trees, two per split
(feature and threshold) and the values of each leaf. Numbers that fold into others do not count:
a soft tree's β, the scaling of columns.

**Operations** are the algorithm's additions, multiplications and comparisons for one row. A matrix
product takes two per weight (multiply and add), as in `torch.utils.flop_counter`, which counts
those of networks. A split takes one comparison; each tree of an ensemble one addition per output.
Elementwise functions (softmax, sigmoid, scaling, activations) do not count.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import singledispatch
from typing import Any, TypeAlias

import numpy as np
import torch
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.tree import BaseDecisionTree
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from soft_students.sklearn_private import num_samples, safe_indexing
from soft_students.students.classical.generic import (
    GenericStudentClassifier,
    GenericStudentRegressor,
)
from soft_students.students.classical.tree_counts import operations_of_trees, structure_of_trees
from soft_students.students.distilled import DistilledClassifier, DistilledRegressor
from soft_students.teachers import EnsembleTeacher, EstimatorTeacher, TorchTeacher

_ROWS = 1000  # over which the lengths of paths through trees are averaged

_Distilled = DistilledClassifier | DistilledRegressor
_Forest: TypeAlias = (
    RandomForestClassifier | RandomForestRegressor | ExtraTreesClassifier | ExtraTreesRegressor
)
_Generic = GenericStudentClassifier | GenericStudentRegressor


def n_parameters(model: Any) -> int | None:
    """Return the number of parameters of a fitted student or a teacher.

    Parameters
    ----------
    model : estimator or Teacher

    Returns
    -------
    int or None
        None if `structure` does not support the model.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from soft_students import LogisticStudentClassifier
    >>> from soft_students.evaluation import n_parameters
    >>> n_parameters(LogisticStudentClassifier().fit(*load_iris(return_X_y=True)))
    15
    """
    parts = structure(model)
    return None if parts is None else parts["parameters"]


@singledispatch
def structure(model: Any) -> dict[str, int] | None:
    """Count the components of a fitted student or a teacher, such as parameters and leaves.

    A student's class counts itself by a method ``_structure()``. Add other classes with
    ``structure.register``.

    Parameters
    ----------
    model : estimator or Teacher
        A student of this package; a teacher; a linear model, tree, forest or multi-layer perceptron
        of scikit-learn; or an estimator with a PyTorch module as `module_`, such as skorch's nets.

    Returns
    -------
    dict of str to int, or None
        With the key ``"parameters"`` and others by kind: ``"trees"``, ``"splits"``, ``"leaves"``,
        ``"gates"``, ``"support_vectors"``, ``"rows"``. None for other kinds of models.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from soft_students import DecisionTreeStudentClassifier
    >>> from soft_students.evaluation import structure
    >>> tree = DecisionTreeStudentClassifier(max_leaf_nodes=3).fit(*load_iris(return_X_y=True))
    >>> structure(tree)
    {'trees': 1, 'splits': 2, 'leaves': 3, 'parameters': 13}
    """
    parts: dict[str, int] | None = model._structure() if hasattr(model, "_structure") else None
    module = getattr(model, "module_", None)
    return _module_structure(module) if isinstance(module, nn.Module) else parts


@singledispatch
def flops(model: Any, X: Any) -> float | None:
    """Return the number of operations for the prediction of one row.

    A student's class counts its own by a method ``_operations(X)``. Add other classes with
    ``flops.register``.

    =====================  =========================================================================
    linear                 2 n C, for n features and C outputs
    soft tree              2 n G for its G gates; 2 G for the path probabilities; and 2 L C over its
                           L leaves for the expectation, or L - 1 comparisons for the greatest path.
                           Greedy descent of depth d: d (2 n + 1), for only the gates on its path,
                           as exported trees compute it
    tree                   comparisons on the path of a row, mean over rows
    forest, boosted trees  the same for all trees, and the sums of their outputs
    support vectors        2 n S for the kernel of S vectors, and 2 S C
    nearest neighbours     2 n R for the distances to all R rows, and 2 k C; fewer with an index
    network                count of torch.utils.flop_counter: matrix products, convolutions
    =====================  =========================================================================

    Parameters
    ----------
    model : estimator or Teacher
        A model that `structure` supports.
    X : array-like or DataFrame of shape (n_samples, n_features)
        Rows whose paths through trees are averaged; the first 1000 are used.

    Returns
    -------
    float or None
        None for other kinds of models.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from soft_students import LogisticStudentClassifier
    >>> from soft_students.evaluation import flops
    >>> X, y = load_iris(return_X_y=True)
    >>> flops(LogisticStudentClassifier().fit(X, y), X)
    24.0
    """
    module = getattr(model, "module_", None)
    if isinstance(module, nn.Module):
        return _module_flops(model, X)
    count: float | None = model._operations(_few(X)) if hasattr(model, "_operations") else None
    return count


# -- wrappers of other models ----------------------------------------------------------------------


@structure.register
def _(model: _Distilled) -> dict[str, int] | None:
    return structure(model.student_)


@flops.register
def _(model: _Distilled, X: Any) -> float | None:
    return flops(model.student_, X)


@structure.register
def _(model: EstimatorTeacher) -> dict[str, int] | None:
    return structure(model.estimator)


@flops.register
def _(model: EstimatorTeacher, X: Any) -> float | None:
    return flops(model.estimator, X)


@structure.register
def _(model: EnsembleTeacher) -> dict[str, int] | None:
    return _total(structure(member) for member in model.members)


@flops.register
def _(model: EnsembleTeacher, X: Any) -> float | None:
    return _sum(flops(member, X) for member in model.members)


@structure.register
def _(model: _Generic) -> dict[str, int] | None:
    parts = _total(structure(estimator) for estimator in model.estimators_)
    if parts is None:
        return None
    return {**parts, "parameters": parts["parameters"] + model._calibration_size}


@flops.register
def _(model: _Generic, X: Any) -> float | None:
    rows = model._rows(_few(X), reset=False)
    return _sum(flops(estimator, rows) for estimator in model.estimators_)


# -- networks --------------------------------------------------------------------------------------


@structure.register
def _(model: TorchTeacher) -> dict[str, int]:
    return _module_structure(model.module)


@flops.register
def _(model: TorchTeacher, X: Any) -> float | None:
    return _module_flops(model, X)


def _module_structure(module: nn.Module) -> dict[str, int]:
    return {"parameters": sum(parameter.numel() for parameter in module.parameters())}


def _module_flops(model: Any, X: Any) -> float | None:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.predict(safe_indexing(X, [0]))
    # The operations of a compiled program cannot be counted.
    return float(counter.get_total_flops()) or None


@structure.register(MLPClassifier)
@structure.register(MLPRegressor)
def _(model: Any) -> dict[str, int]:
    return {"parameters": sum(part.size for part in (*model.coefs_, *model.intercepts_))}


@flops.register(MLPClassifier)
@flops.register(MLPRegressor)
def _(model: Any, X: Any) -> float:
    return float(sum(2 * weights.size for weights in model.coefs_))


# -- linear ----------------------------------------------------------------------------------------


@structure.register(LinearRegression)
@structure.register(Ridge)
@structure.register(LogisticRegression)
def _(model: Any) -> dict[str, int]:
    return {"parameters": np.size(model.coef_) + np.size(model.intercept_)}


@flops.register(LinearRegression)
@flops.register(Ridge)
@flops.register(LogisticRegression)
def _(model: Any, X: Any) -> float:
    return 2.0 * np.size(model.coef_)


# -- hard trees ------------------------------------------------------------------------------------


@structure.register
def _(model: BaseDecisionTree | _Forest) -> dict[str, int]:
    return structure_of_trees(model)


@flops.register
def _(model: BaseDecisionTree | _Forest, X: Any) -> float:
    return operations_of_trees(model, np.asarray(_few(X)))


# --------------------------------------------------------------------------------------------------


def _few(X: Any) -> Any:
    return safe_indexing(X, np.arange(min(_ROWS, num_samples(X))))


def _sum(each: Iterable[float | None]) -> float | None:
    total = 0.0
    for count in each:
        if count is None:
            return None
        total += count
    return total


def _total(each: Iterable[dict[str, int] | None]) -> dict[str, int] | None:
    total: dict[str, int] = {}
    for parts in each:
        if parts is None:
            return None
        for name, count in parts.items():
            total[name] = total.get(name, 0) + count
    return total
