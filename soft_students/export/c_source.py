"""A soft tree as C99 source."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from soft_students.export.c_templates import (
    DECLARATIONS,
    FUNCTIONS,
    HALF_FUNCTION,
    HEADER,
    SHARPEN_FUNCTION,
    SOURCE,
)
from soft_students.export.files import with_suffix, write_files
from soft_students.export.flat_tree import FlatTree, Prediction, Weights, flat_tree

_STORED = {"float64": "double", "float32": "float", "float16": "uint16_t", "int8": "int8_t"}
_PER_LINE = 8


def to_c(
    student: Any,
    path: str | os.PathLike[str],
    *,
    prediction: Prediction | None = None,
    weights: Weights | None = None,
    prefix: str = "tree",
    overwrite: bool = True,
) -> list[Path]:
    """Write a soft tree as C99 source and its header, which need the standard library alone.

    The functions take one row and allocate nothing; several threads may call them at once. All
    three predictions are there, whatever `prediction` says:

    - ``tree_greedy``: follows the likelier child; one dot product a level, the fastest;
    - ``tree_greatest_path``: the leaf of greatest path probability, found without asking gates
      below a path that cannot win;
    - ``tree_expectation``: the mean of all leaves, weighted by path probability.

    Weights are stored in single precision if the tree was trained so, sums are made in double.

    Parameters
    ----------
    student : SoftDecisionTreeClassifier or SoftDecisionTreeRegressor
        Fitted.
    path : str or path-like
        Ends in ``.c``; the header has the same name and ends in ``.h``.
    prediction : {"expectation", "greatest_path", "greedy"}, default=None
        Which of the three ``tree_predict`` is. None takes the student's own.
    weights : {"float64", "float32", "float16", "int8"}, default=None
        Type in which the gates' weights are stored; float16 and int8 with a scale for each gate.
        None keeps the type in which they were trained.
    prefix : str, default="tree"
        How the identifiers start.
    overwrite : bool, default=True

    Returns
    -------
    list of Path
        The source and the header.

    Raises
    ------
    TypeError, sklearn.exceptions.NotFittedError
        If `student` is no fitted soft tree.
    ValueError
        If a parameter is unknown, or `prefix` cannot start a C identifier.
    OSError
        If a file cannot be written, or exists and `overwrite` is False.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_iris
    >>> from soft_students import SoftDecisionTreeClassifier
    >>> from soft_students.export import to_c
    >>> X, y = load_iris(return_X_y=True)
    >>> student = SoftDecisionTreeClassifier(depth=2, epochs=100, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     source, header = to_c(student, Path(folder) / "iris.c", prefix="iris")
    ...     print([line for line in header.read_text().splitlines() if "iris_predict" in line][-1])
    int iris_predict(const iris_input *x, double *outputs);
    """
    tree = flat_tree(student, prediction=prediction, weights=weights)
    # A leading underscore is reserved for the compiler's own library.
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", prefix):
        raise ValueError(
            "The 'prefix' parameter of to_c must start a C identifier: a letter, then letters, "
            f"digits and underscores. Got {prefix!r}."
        )
    source = with_suffix(Path(path), ".c", "a C export")
    header = source.with_suffix(".h")
    if not re.fullmatch(r"[\w. -]+", header.name, re.ASCII):
        raise ValueError(
            "The name of a C export must consist of letters, digits, '_', '-', '.' and spaces, "
            f"since the source includes the header by name. Got {source.name!r}."
        )
    texts = {source: _source(tree, prefix, header.name), header: _header(tree, prefix)}
    return write_files({p: text.encode("ascii") for p, text in texts.items()}, overwrite=overwrite)


def _header(tree: FlatTree, prefix: str) -> str:
    n_leaves, n_outputs = tree.leaves.shape
    classifier = tree.classes is not None
    return _fill(
        HEADER,
        P=prefix.upper(),
        DECLARATIONS=DECLARATIONS["classifier" if classifier else "regressor"],
        PREDICTION=tree.prediction,
        N_FEATURES=tree.weights.shape[1],
        N_OUTPUTS=n_outputs,
        N_LEAVES=n_leaves,
        DEPTH=tree.depth,
        INPUT="float" if tree.input_type == np.float32 else "double",
    ).replace("@p@", prefix)


def _source(tree: FlatTree, prefix: str, header_name: str) -> str:
    stored = tree.weights.dtype.name
    classifier = tree.classes is not None
    sharpened = tree.temperature != 1
    biases = tree.biases
    if tree.offset is not None:
        # Exact, since the same stored weights meet the offset here and the row there, both in
        # double precision.
        shifts = tree.weights.astype(np.float64) @ tree.offset.astype(np.float64)
        biases = biases - tree.scales * shifts
    tables = [
        _table(f"static const {_STORED[stored]} weights[N_GATES * N_FEATURES]", tree.weights),
        _table("static const double scales[N_GATES]", tree.scales),
        _table("static const double biases[N_GATES]", biases),
        _table("static const double leaves[N_LEAVES * N_OUTPUTS]", tree.leaves),
    ]
    if sharpened:
        tables.append(_table("static const double answers[N_LEAVES * N_OUTPUTS]", tree.answers))
    if tree.classes is not None:
        names = ",\n".join(f"    {_string_literal(str(label))}" for label in tree.classes.tolist())
        tables.append(f"const char *const @p@_classes[N_OUTPUTS] = {{\n{names}\n}};\n")
    finish = ""
    if classifier:
        finish = "    sharpen(outputs);\n" if sharpened else "    normalise(outputs);\n"
    functions = FUNCTIONS["classifier" if classifier else "regressor"]
    return _fill(
        SOURCE,
        HEADER=header_name,
        TABLES="\n".join(tables),
        STORED=_STORED[stored],
        DECODE=HALF_FUNCTION if stored == "float16" else "",
        VALUE="half(w[{}])" if stored == "float16" else "(double)w[{}]",
        SHARPEN=_fill(SHARPEN_FUNCTION[sharpened], TEMPERATURE=_literal(tree.temperature))
        if classifier
        else "",
        FINISH=finish,
        ANSWERS="answers" if sharpened else "leaves",
        FUNCTIONS=functions,
        PREDICTION=tree.prediction,
        P=prefix.upper(),
    ).replace("@p@", prefix)
