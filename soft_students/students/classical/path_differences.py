"""Contributions in trees, from the splits on a row's path."""

from __future__ import annotations

import numpy as np


def path_differences(features: np.ndarray, values: np.ndarray, n_features: int) -> np.ndarray:
    r"""Sum the changes of value along a path by the feature of each split.

    With the nodes :math:`n_0, ..., n_m` of a path and the mean target :math:`v(n)` of the training
    rows in a node, feature j gets :math:`\sum_i [f(n_i) = j]\,(v(n_{i+1}) - v(n_i))`. The sum over
    features is exactly :math:`v(n_m) - v(n_0)`.

    Parameters
    ----------
    features : ndarray of int, shape (m,)
        Feature of the split at each inner node.
    values : ndarray of shape (m + 1, n_outputs)
        Value of each node, from the root to the leaf.
    n_features : int

    Returns
    -------
    ndarray of shape (n_outputs, n_features)

    References
    ----------
    Saabas (2014), "Interpreting random forests"; Palczewska et al. (2014), "Interpreting random
    forest classification models using a feature contribution method", arXiv:1312.1121.

    Examples
    --------
    >>> import numpy as np
    >>> from soft_students.students.classical.path_differences import path_differences
    >>> path_differences(np.array([1, 0]), np.array([[0.5], [0.75], [1.0]]), 3)
    array([[0.25, 0.25, 0.  ]])
    """
    added = np.zeros((n_features, values.shape[1]))
    np.add.at(added, features, np.diff(values, axis=0))
    return added.T
