"""Exports a soft tree as an ONNX graph of basic operators."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from soft_students.export.files import with_suffix, write_files
from soft_students.export.flat_tree import FlatTree, Prediction, flat_tree

# Supported by all runtimes in use, and sufficient.
_OPSET, _IR_VERSION = 17, 8


def to_onnx(
    student: Any,
    path: str | os.PathLike[str],
    *,
    prediction: Prediction | None = None,
    overwrite: bool = True,
) -> list[Path]:
    """Write a soft tree as an ONNX file.

    The input ``X`` has shape (n, n_features), with free n, and the dtype of the training, float32
    or float64. A classifier has the outputs ``label`` of shape (n,), with the type of `classes_`,
    and ``probabilities`` of shape (n, n_classes). A regressor has the output ``values``, with the
    shape of its `predict`.

    Parameters
    ----------
    student : SoftDecisionTreeClassifier or SoftDecisionTreeRegressor
        Fitted.
    path : str or path-like
        Must end in ``.onnx``.
    prediction : {"expectation", "greatest_path", "greedy"}, default=None
        None: the student's own.
    overwrite : bool, default=True
        Whether to replace an existing file.

    Returns
    -------
    list of Path
        The file.

    Raises
    ------
    ImportError
        If the package onnx is not installed.
    TypeError, sklearn.exceptions.NotFittedError
        If `student` is not a fitted soft tree.
    ValueError
        If `prediction` is unknown.
    OSError
        If the file cannot be written, or exists and `overwrite` is False.
    """
    try:
        import onnx
    except ImportError as error:
        raise ImportError(
            "An ONNX export needs the package onnx: pip install 'soft-students[onnx]'."
        ) from error
    tree = flat_tree(student, prediction=prediction)
    path = with_suffix(Path(path), ".onnx", "an ONNX export")
    graph = _Graph(tree)
    model = onnx.helper.make_model(
        graph.build(),
        opset_imports=[onnx.helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="soft-students",
        doc_string=f"Soft decision tree of depth {tree.depth}, {tree.prediction}",
    )
    onnx.checker.check_model(model, full_check=True)
    return write_files({path: model.SerializeToString()}, overwrite=overwrite)


class _Graph:
    """Collects nodes and constants; methods return the names of the values they compute."""

    def __init__(self, tree: FlatTree) -> None:
        self.tree = tree
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def build(self) -> Any:
        from onnx import helper

        tree, n_outputs = self.tree, self.tree.leaves.shape[1]
        kind = helper.np_dtype_to_tensor_dtype(tree.input_type)
        outputs = self._outputs()
        if tree.classes is None:
            if tree.flat:
                outputs = self._add("Squeeze", outputs, self._constant(np.array([1])))
            self._add("Identity", outputs, name="values")
            shape = ["n"] if tree.flat else ["n", n_outputs]
            results = [helper.make_tensor_value_info("values", kind, shape)]
        else:
            self._add("Identity", outputs, name="probabilities")
            labels = self._constant(_label_table(tree.classes))
            column = self._add("ArgMax", outputs, axis=1, keepdims=0)
            self._add("Gather", labels, column, name="label")
            label_kind = self.constants[-1].data_type
            results = [
                helper.make_tensor_value_info("label", label_kind, ["n"]),
                helper.make_tensor_value_info("probabilities", kind, ["n", n_outputs]),
            ]
        rows = helper.make_tensor_value_info("X", kind, ["n", tree.weights.shape[1]])
        return helper.make_graph(self.nodes, "soft_tree", [rows], results, self.constants)

    def _outputs(self) -> str:
        tree = self.tree
        order, levels = _concatenated_order(tree.depth)
        paths = self._paths(self._activations(np.concatenate(levels)))
        if tree.prediction == "greatest_path":
            # Back in the order of leaves, so that ties resolve as in the student.
            paths = self._add("Gather", paths, self._constant(np.argsort(order)), axis=1)
            leaf = self._add("ArgMax", paths, axis=1, keepdims=0)
            return self._add("Gather", self._number(tree.answers), leaf)
        if tree.prediction == "greedy":
            return self._add("MatMul", paths, self._number(tree.answers[order]))
        outputs = self._add("MatMul", paths, self._number(tree.leaves[order]))
        if tree.temperature == 1:
            return outputs
        tiny = np.finfo(tree.input_type).tiny
        logs = self._add("Log", self._add("Max", outputs, self._number(tiny)))
        return self._add("Softmax", self._add("Mul", logs, self._number(tree.temperature)), axis=1)

    def _activations(self, gates: np.ndarray) -> str:
        tree, rows = self.tree, "X"
        if tree.offset is not None:
            rows = self._add("Sub", rows, self._number(tree.offset))
        weights = (tree.scales[:, None] * tree.weights)[gates]
        # Transposed here, since a runtime would do it at each start or each call.
        return self._add("Gemm", rows, self._number(weights.T), self._number(tree.biases[gates]))

    def _paths(self, activations: str) -> str:
        """Return the probabilities of all leaves; with greedy descent, one is 1 and others 0."""
        left, right = self._decisions(activations)
        depth = self.tree.depth
        if depth == 1:
            return self._add("Concat", left, right, axis=1)
        sizes = self._constant(2 ** np.arange(depth))
        lefts = self._add_many("Split", depth, left, sizes, axis=1)
        rights = self._add_many("Split", depth, right, sizes, axis=1)
        paths = self._add("Concat", lefts[0], rights[0], axis=1)
        for left, right in zip(lefts[1:], rights[1:], strict=True):
            left, right = self._add("Mul", paths, left), self._add("Mul", paths, right)
            paths = self._add("Concat", left, right, axis=1)
        return paths

    def _decisions(self, activations: str) -> tuple[str, str]:
        """Return the probabilities of left and right of every gate."""
        from onnx import helper

        if self.tree.prediction == "greedy":
            kind = helper.np_dtype_to_tensor_dtype(self.tree.input_type)
            goes_right = self._add("Greater", activations, self._number(0))
            left = self._add("Cast", self._add("Not", goes_right), to=kind)
            return left, self._add("Cast", goes_right, to=kind)
        # ONNX Runtime's Sigmoid is zero below -18, which is too inexact for p**T with T < 1.
        limit = 87 if self.tree.input_type == np.float32 else 708  # avoids overflow of exp
        clipped = self._add("Clip", activations, self._number(-limit), self._number(limit))
        odds = self._add("Exp", self._add("Neg", clipped))
        right = self._add("Reciprocal", self._add("Add", odds, self._number(1)))
        return self._add("Mul", odds, right), right

    def _number(self, values: Any) -> str:
        return self._constant(np.asarray(values).astype(self.tree.input_type))

    def _constant(self, values: np.ndarray) -> str:
        from onnx import numpy_helper

        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def _add(self, operator: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        return self._add_many(operator, 1, *inputs, name=name, **attributes)[0]

    def _add_many(
        self, operator: str, n: int, *inputs: str, name: str | None = None, **attributes: Any
    ) -> list[str]:
        from onnx import helper

        outputs = [name or f"v{len(self.nodes)}_{i}" for i in range(n)]
        self.nodes.append(helper.make_node(operator, list(inputs), outputs, **attributes))
        return outputs


def _concatenated_order(depth: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return leaves, and the gates of each level, in an order that needs no interleaving.

    Each level consists of the left children of the level above, followed by its right children, so
    that one Concat computes it.
    """
    order, levels = np.zeros(1, dtype=np.int64), []
    for _ in range(depth):
        levels.append(order)
        order = np.concatenate([2 * order + 1, 2 * order + 2])
    return order - (2**depth - 1), levels


def _label_table(classes: np.ndarray) -> np.ndarray:
    """Return class labels in a type that ONNX supports."""
    if classes.dtype.kind in "iu":
        return classes.astype(np.int64)
    return classes.astype(object) if classes.dtype.kind == "U" else classes
