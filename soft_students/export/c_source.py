"""Exports a soft tree as C99 source."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from soft_students.export.c_templates import (
    CLASSES,
    HALF_FUNCTION,
    HEADER,
    LIKELIEST,
    NORMALISE,
    SHARPEN,
    SOURCE,
)
from soft_students.export.files import with_suffix, write_files
from soft_students.export.flat_tree import FlatTree, Prediction, Weights, flat_tree

_STORED = {"float64": "double", "float32": "float", "float16": "uint16_t", "int8": "int8_t"}
_PER_LINE = 8  # numbers


def to_c(
    student: Any,
    path: str | os.PathLike[str],
    *,
    prediction: Prediction | None = None,
    weights: Weights | None = None,
    prefix: str = "tree",
    overwrite: bool = True,
) -> list[Path]:
    """Write a soft tree as C99 source and header that need only the standard library.

    The functions take one row, allocate nothing and are thread-safe. The source has all three ways
    of prediction:

    - ``tree_greedy``: the leaf along the likelier children; one dot product per level, the fastest;
    - ``tree_greatest_path``: the leaf of greatest path probability, with branch and bound;
    - ``tree_expectation``: the mean of all leaves, weighted by path probability.

    Weights are stored in the precision of the training, sums are computed in double precision.

    Parameters
    ----------
    student : SoftDecisionTreeClassifier or SoftDecisionTreeRegressor
        Fitted.
    path : str or path-like
        Must end in ``.c``; the header has the same name with ``.h``.
    prediction : {"expectation", "greatest_path", "greedy"}, default=None
        The one that ``tree_predict`` calls. None: the student's own.
    weights : {"float64", "float32", "float16", "int8"}, default=None
        Type in which the gates' weights are stored; float16 and int8 with a scale for each gate.
        None: the type of the training.
    prefix : str, default="tree"
        Prefix of the identifiers.
    overwrite : bool, default=True
        Whether to replace existing files.

    Returns
    -------
    list of Path
        The source and the header.

    Raises
    ------
    TypeError, sklearn.exceptions.NotFittedError
        If `student` is not a fitted soft tree.
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
    # C reserves identifiers with a leading underscore.
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
    texts = {
        source: _source_text(tree, prefix, header.name),
        header: _header_text(tree, prefix, source.name),
    }
    return write_files({p: text.encode("ascii") for p, text in texts.items()}, overwrite=overwrite)


def _header_text(tree: FlatTree, prefix: str, source_name: str) -> str:
    classifier = tree.classes is not None
    names = {"p": prefix, "P": prefix.upper()}
    return HEADER.substitute(
        names,
        DEPTH=tree.depth,
        N_FEATURES=tree.weights.shape[1],
        N_OUTPUTS=tree.leaves.shape[1],
        INPUT=np.ctypeslib.as_ctypes_type(tree.input_type).__name__.removeprefix("c_"),
        OUTPUTS="the probability of each class" if classifier else "the predicted values",
        PREDICTION=f"{prefix}_{tree.prediction}",
        RESULT="int" if classifier else "void",
        RETURNS="They return the index of the likeliest class.\n *" if classifier else "",
        CLASSES=CLASSES.substitute(names) if classifier else "",
        SOURCE=source_name,
    )


def _source_text(tree: FlatTree, prefix: str, header_name: str) -> str:
    stored = tree.weights.dtype.name
    classifier, sharpened = tree.classes is not None, tree.temperature != 1
    reading = ""
    if classifier:
        temperature = _literals(np.array([tree.temperature]))[0]
        reading = LIKELIEST + NORMALISE
        reading += SHARPEN.substitute(TEMPERATURE=temperature) if sharpened else ""
    finish = "    sharpen(outputs);\n" if sharpened else "    normalise(outputs);\n"
    value = "half(w[{}])" if stored == "float16" else "(double)w[{}]"
    return SOURCE.substitute(
        p=prefix,
        P=prefix.upper(),
        HEADER=header_name,
        N_LEAVES=len(tree.leaves),
        TABLES="\n".join(_tables(tree, prefix)),
        DECODE=HALF_FUNCTION if stored == "float16" else "",
        STORED=_STORED[stored],
        VALUE=value.format("j"),
        VALUE_K=value.format("j + k"),
        ANSWERS="answers" if sharpened else "leaves",
        READING=reading,
        FINISH=finish if classifier else "",
        RESULT="int" if classifier else "void",
        RETURN="    return likeliest(outputs);\n" if classifier else "",
        RETURN_CALL="return " if classifier else "",
        PREDICTION=tree.prediction,
    )


def _tables(tree: FlatTree, prefix: str) -> list[str]:
    biases = tree.biases
    if tree.offset is not None:
        # As exact as subtracting the offset from each row: the offset here and the row in C are
        # multiplied by the same stored weights in double precision.
        shifts = tree.weights.astype(np.float64) @ tree.offset.astype(np.float64)
        biases = biases - tree.scales * shifts
    stored = _STORED[tree.weights.dtype.name]
    tables = [
        _table(f"static const {stored} weights[N_GATES * N_FEATURES]", tree.weights),
        _table("static const double scales[N_GATES]", tree.scales),
        _table("static const double biases[N_GATES]", biases),
        _table("static const double leaves[N_LEAVES * N_OUTPUTS]", tree.leaves),
    ]
    if tree.temperature != 1:
        tables.append(_table("static const double answers[N_LEAVES * N_OUTPUTS]", tree.answers))
    if tree.classes is not None:
        names = ",\n".join(f"    {_string_literal(str(label))}" for label in tree.classes.tolist())
        tables.append(f"const char *const {prefix}_classes[N_OUTPUTS] = {{\n{names}\n}};\n")
    return tables


def _table(declaration: str, values: np.ndarray) -> str:
    literals = _literals(values.ravel())
    lines = [
        "    " + ", ".join(literals[start : start + _PER_LINE])
        for start in range(0, len(literals), _PER_LINE)
    ]
    return f"{declaration} = {{\n" + ",\n".join(lines) + "\n};\n"


def _literals(values: np.ndarray) -> list[str]:
    """Return numbers as C literals that reproduce them bit for bit."""
    if values.dtype == np.float16:
        return [f"0x{bits:04x}" for bits in values.view(np.uint16).tolist()]
    if values.dtype == np.int8:
        return [str(value) for value in values.tolist()]
    single = values.dtype == np.float32
    texts = [f"{value:.{9 if single else 17}g}" for value in values.tolist()]
    # A literal without point or exponent is an integer, which may not have the suffix f.
    texts = [text if "." in text or "e" in text else f"{text}.0" for text in texts]
    return [f"{text}f" for text in texts] if single else texts


def _string_literal(text: str) -> str:
    """Return text as a C string literal, in UTF-8.

    Escapes are octal, with three digits: a hexadecimal one would include a digit that follows it.
    Question marks are escaped since two of them start a trigraph.
    """
    plain = set(range(0x20, 0x7F)) - set(b'"\\?')
    escaped = [chr(b) if b in plain else f"\\{b:03o}" for b in text.encode()]
    return '"' + "".join(escaped) + '"'
