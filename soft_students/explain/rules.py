"""The path of one row through a hard tree, as rules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from soft_students.explain.explanation import Explanation, plain
from soft_students.explain.one_row import read_row
from soft_students.explain.tree_view import check_int, readable
from soft_students.numerals import told_apart
from soft_students.students.classical.path_differences import path_differences
from soft_students.students.classical.tree_arrays import LARGEST
from soft_students.students.classical.trees import (
    DecisionTreeStudentClassifier,
    DecisionTreeStudentRegressor,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class RuleExplanation(Explanation):
    """The path of one row through a hard tree: its splits, from the root to the leaf.

    Parameters
    ----------
    row : ndarray of shape (n_features,)
    nodes : ndarray of int, shape (n_steps + 1,)
        scikit-learn's node numbers, from the root to the leaf.
    features : ndarray of int, shape (n_steps,)
        Feature of the split at each inner node.
    thresholds : ndarray of shape (n_steps,)
    went_right : ndarray of bool, shape (n_steps,)
        Whether the feature is above the threshold.
    node_outputs : ndarray of shape (n_steps + 1, n_outputs)
        Output if each node were a leaf: class probabilities at temperature one, or values.
    node_samples : ndarray of int, shape (n_steps + 1,)
        Training rows in each node, transferred ones included.
    prediction : label, float or list of float
    classes : ndarray of shape (n_outputs,) or None
        None for regression.
    feature_names : list of str
    """

    row: np.ndarray
    nodes: np.ndarray
    features: np.ndarray
    thresholds: np.ndarray
    went_right: np.ndarray
    node_outputs: np.ndarray
    node_samples: np.ndarray
    prediction: Any
    classes: np.ndarray | None
    feature_names: list[str]

    @property
    def leaf(self) -> int:
        """Node number of the leaf."""
        return int(self.nodes[-1])

    @property
    def leaf_output(self) -> np.ndarray:
        """Class probabilities of the leaf, at temperature one, or its values."""
        return self.node_outputs[-1]

    @property
    def contributions(self) -> np.ndarray:
        """Sum of the changes of output at the splits on each feature, (n_outputs, n_features).

        Added to the root's output they give the leaf's.
        """
        return path_differences(self.features, self.node_outputs, len(self.row))

    def importances(self) -> np.ndarray:
        """Return the importance of each feature for this prediction.

        Returns
        -------
        ndarray of shape (n_features,)
            Absolute contributions to the predicted class; in regression, averaged over the outputs.
        """
        return self._sizes(self.contributions)

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation as plain lists and numbers, for JSON.

        Returns
        -------
        dict
            The fields, "importances", and the root's and leaf's outputs and samples. The list
            ``"steps"`` holds, for each split, ``node``, ``feature``, ``feature_name``, ``value``,
            ``threshold``, ``branch`` ("left": at most the threshold), and the ``output`` and
            ``samples`` of the next node. A missing value of the row is None.
        """
        steps = [
            {
                "node": int(self.nodes[i]),
                "feature": int(feature),
                "feature_name": self.feature_names[feature],
                "value": _plain(self.row[feature]),
                "threshold": min(float(self.thresholds[i]), LARGEST),
                "branch": "right" if self.went_right[i] else "left",
                "output": self.node_outputs[i + 1].tolist(),
                "samples": int(self.node_samples[i + 1]),
            }
            for i, feature in enumerate(self.features)
        ]
        return {
            "prediction": self.prediction,
            "leaf": self.leaf,
            "leaf_output": self.leaf_output.tolist(),
            "leaf_samples": int(self.node_samples[-1]),
            "root_output": self.node_outputs[0].tolist(),
            "root_samples": int(self.node_samples[0]),
            "classes": None if self.classes is None else self.classes.tolist(),
            "steps": steps,
            "importances": self.importances().tolist(),
            "feature_names": self.feature_names,
            "row": [_plain(value) for value in self.row],
        }

    def to_text(self, top: int = 3) -> str:
        """Return the explanation as text, one line per split.

        Parameters
        ----------
        top : int, default=3
            Number of classes listed at each node.

        Returns
        -------
        str
        """
        outputs = self._summaries(self.node_outputs, top)
        predicted = outputs[-1] if self.classes is None else readable(self.prediction)
        lines = [
            f"Predicted: {predicted}",
            f"  all rows  ->  {outputs[0]} ({self.node_samples[0]:,} training rows)",
        ]
        for i, condition in enumerate(self._conditions()):
            lines.append(f"  {condition}  ->  {outputs[i + 1]} ({self.node_samples[i + 1]:,})")
        return "\n".join([*lines, f"  leaf {self.leaf}"])

    def plot(self, ax: Axes | None = None, *, top: int = 12) -> Figure:
        """Draw the change of the output at each split.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on. None makes a figure large enough to read.
        top : int, default=12
            Number of splits drawn, the last ones; one more bar sums those before.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError
            If matplotlib is not installed: ``pip install 'soft-students[plots]'``.
        """
        from soft_students.explain.bar_picture import BarGroup, draw_bars

        top = check_int("plot", "top", top, 1, None)
        shown = range(len(self.leaf_output))
        if self.classes is not None:
            shown = range(self._predicted_class(), self._predicted_class() + 1)
        groups = []
        for k in shown:
            labels, moves = self._conditions(), np.diff(self.node_outputs[:, k])
            if len(moves) > top:
                first = len(moves) - top
                labels = [f"the first {first} splits", *labels[first:]]
                moves = np.append(moves[:first].sum(), moves[first:])
            name = "value" if len(self.leaf_output) == 1 else f"output {k}"
            if self.classes is not None:
                name = f"probability of {readable(self.classes[k])}"
            start, end = told_apart(self.node_outputs[[0, -1], k], 3)
            groups.append(BarGroup(f"{name}: {end} = {start} (all rows) and", labels, moves))
        (title,) = self._summaries(self.leaf_output[None], 1)
        return draw_bars(f"Predicted: {title}", groups, ax)

    def _conditions(self) -> list[str]:
        conditions = []
        for feature, threshold, right in zip(
            self.features, self.thresholds, self.went_right, strict=True
        ):
            name, value, sign = (
                self.feature_names[feature],
                self.row[feature],
                ">" if right else "<=",
            )
            if np.isnan(value):
                as_if = "" if threshold >= LARGEST else f", as if {sign} {threshold:.5g}"
                conditions.append(f"{name} is missing{as_if}")
            elif threshold >= LARGEST:
                conditions.append(f"{name} = {value:.5g} is not missing")
            else:
                shown, bound = told_apart([value, threshold], 5)
                conditions.append(f"{name} = {shown} {sign} {bound}")
        return conditions


def _plain(value: float) -> float | None:
    """Return a number for JSON; a missing value is None."""
    return None if np.isnan(value) else float(value)


def explain_rules(
    student: DecisionTreeStudentClassifier | DecisionTreeStudentRegressor,
    x: Any,
    *,
    image_shape: tuple[int, ...] | None = None,
    feature_names: Iterable[str] | None = None,
) -> RuleExplanation:
    """Return the splits that one row passes in a hard tree.

    Parameters
    ----------
    student : DecisionTreeStudentClassifier or DecisionTreeStudentRegressor
    x, image_shape, feature_names
        As for :func:`soft_students.explain.explain`.

    Returns
    -------
    RuleExplanation
    """
    rows, names = read_row(student, x, image_shape, feature_names)
    tree = student.estimator_.tree_
    # Children come after their parents; scikit-learn compares in float32.
    nodes = np.sort(tree.decision_path(rows.astype(np.float32)).indices)
    outputs, classes = tree.value[nodes, :, 0], None
    if isinstance(student, DecisionTreeStudentClassifier):
        classes, outputs = student.classes_, student._at_temperature_one(outputs)
        prediction = classes[outputs[-1].argmax()]
    else:
        prediction = outputs[-1, 0] if student._flat else outputs[-1]
    return RuleExplanation(
        row=rows[0].astype(np.float64),
        nodes=nodes,
        features=tree.feature[nodes[:-1]],
        thresholds=tree.threshold[nodes[:-1]],
        went_right=nodes[1:] == tree.children_right[nodes[:-1]],
        node_outputs=outputs,
        node_samples=tree.n_node_samples[nodes],
        prediction=plain(prediction),
        classes=classes,
        feature_names=names,
    )
