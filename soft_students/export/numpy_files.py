"""Exports a soft tree for programs that have only numpy."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from soft_students.export import numpy_predictor
from soft_students.export.files import with_suffix, write_files
from soft_students.export.flat_tree import FlatTree, Prediction, Weights, flat_tree
from soft_students.export.numpy_predictor import SoftTree


def to_numpy(
    student: Any,
    path: str | os.PathLike[str],
    *,
    prediction: Prediction | None = None,
    weights: Weights | None = None,
    overwrite: bool = True,
) -> list[Path]:
    """Write a soft tree as an ``.npz`` file, beside a module that predicts with it.

    The module ``numpy_predictor.py`` needs only numpy, not soft-students, scikit-learn, scipy or
    torch. This package has the same class as :class:`soft_students.export.SoftTree`.

    Parameters
    ----------
    student : SoftDecisionTreeClassifier or SoftDecisionTreeRegressor
        Fitted.
    path : str or path-like
        Must end in ``.npz``.
    prediction : {"expectation", "greatest_path", "greedy"}, default=None
        Default prediction of the exported tree. None: the student's own.
    weights : {"float64", "float32", "float16", "int8"}, default=None
        Type in which the gates' weights are stored; float16 and int8 with a scale for each gate.
        Reduces the size of the file, not the memory. None: the type of the training.
    overwrite : bool, default=True
        Whether to replace existing files.

    Returns
    -------
    list of Path
        The two files.

    Raises
    ------
    TypeError, sklearn.exceptions.NotFittedError
        If `student` is not a fitted soft tree.
    ValueError
        If a parameter is unknown.
    OSError
        If a file cannot be written, or exists and `overwrite` is False.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from soft_students import SoftDecisionTreeClassifier
    >>> from soft_students.export import SoftTree, to_numpy
    >>> X, y = load_iris(return_X_y=True)
    >>> student = SoftDecisionTreeClassifier(depth=2, epochs=100, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = to_numpy(student, f"{folder}/tree.npz")
    ...     tree = SoftTree.load(files[0])
    >>> [file.name for file in files]
    ['tree.npz', 'numpy_predictor.py']
    >>> bool((abs(tree.predict_proba(X) - student.predict_proba(X)) < 1e-6).all())
    True
    >>> tree.predict(X[0])
    np.int64(0)
    """
    arrays = _arrays(flat_tree(student, prediction=prediction, weights=weights))
    path = with_suffix(Path(path), ".npz", "a numpy export")
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]  # clash with a keyword of savez
    module = Path(numpy_predictor.__file__)
    # The module is the same for every tree: trees in one folder share it.
    files = {path: content.getvalue(), path.with_name(module.name): module.read_bytes()}
    return write_files(files, overwrite=overwrite)


def to_soft_tree(
    student: Any, *, prediction: Prediction | None = None, weights: Weights | None = None
) -> SoftTree:
    """Return the exported tree as an object, without writing files.

    Parameters
    ----------
    student : SoftDecisionTreeClassifier or SoftDecisionTreeRegressor
        Fitted.
    prediction, weights
        As for :func:`to_numpy`. Weights lose the same precision in a C export.

    Returns
    -------
    SoftTree
    """
    return SoftTree(_arrays(flat_tree(student, prediction=prediction, weights=weights)))


def _arrays(tree: FlatTree) -> dict[str, np.ndarray]:
    """Return the arrays of a tree's ``.npz`` file."""
    arrays = {
        "format": np.array(numpy_predictor.FORMAT),
        "weights": tree.weights,
        "scales": tree.scales,
        "biases": tree.biases,
        "leaves": tree.leaves,
        "answers": tree.answers,
        "temperature": np.array(tree.temperature),
        "flat": np.array(tree.flat),
        "prediction": np.array(tree.prediction),
        "input_type": np.array(tree.input_type.name),
    }
    if tree.offset is not None:
        arrays["offset"] = tree.offset
    if tree.classes is not None:
        arrays["classes"] = tree.classes
    return arrays
