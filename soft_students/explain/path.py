"""The path of one row through a soft tree, as numbers and as text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from soft_students.explain.explanation import Explanation, plain
from soft_students.explain.gate_effects import gate_effects
from soft_students.explain.one_row import one_row
from soft_students.explain.tree_view import TreeView, check_int, readable, view_tree
from soft_students.students.soft_tree import routing
from soft_students.students.soft_tree.base import BaseSoftDecisionTree
from soft_students.targets import sharpen

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WAYS = {
    "greedy": "along the likelier branches",
    "greatest_path": "to the leaf of greatest path probability",
}


@dataclass(frozen=True, eq=False)
class PathExplanation(Explanation):
    r"""The path of one row through a soft tree, and contributions of the features.

    The activation of gate i is :math:`a_i = \sum_j c_{ij} + b_i`, and the row goes right with
    probability :math:`\sigma(a_i)`.

    Parameters
    ----------
    row : ndarray of shape (n_features,)
    nodes : ndarray of int, shape (depth + 1,)
        Node numbers from the root to the leaf.
    activations : ndarray of shape (depth,)
    went_right : ndarray of bool, shape (depth,)
    probabilities : ndarray of shape (depth,)
        Probability of the branch taken at each gate.
    path_probabilities : ndarray of shape (depth + 1,)
        Probability of reaching each node: the product of the branch probabilities above it.
    weights : ndarray of shape (depth, n_features)
        β w of each gate.
    contributions : ndarray of shape (depth, n_features)
        β w (x - offset), the amount that each feature adds to the activation; positive pushes
        right.
    biases : ndarray of shape (depth,)
        β b of each gate.
    leaf_output : ndarray of shape (n_outputs,)
        Class probabilities of the leaf, at temperature one, or its values.
    mean_output : ndarray of shape (n_outputs,)
        Output of the whole tree: the leaves weighted by path probability.
    prediction : label, float or list of float
        The student's prediction, by its `prediction` parameter.
    way : {"greatest_path", "greedy"}
        Rule that chose the leaf.
    classes : ndarray of shape (n_outputs,) or None
        None for regression.
    feature_names : list of str
    output_contributions : ndarray of shape (n_outputs, n_features)
        Amount that each feature adds, over all gates, to the mean of the leaves as trained (class
        probabilities at the temperature of training): see
        :func:`soft_students.explain.gate_effects.gate_effects`.
    base_output : ndarray of shape (n_outputs,)
        That mean for the mean training row, or for a row of zeros if the student does not
        standardise.
    view : TreeView
        The tree, for the picture.
    """

    row: np.ndarray
    nodes: np.ndarray
    activations: np.ndarray
    went_right: np.ndarray
    probabilities: np.ndarray
    path_probabilities: np.ndarray
    weights: np.ndarray
    contributions: np.ndarray
    biases: np.ndarray
    leaf_output: np.ndarray
    mean_output: np.ndarray
    prediction: Any
    way: str
    classes: np.ndarray | None
    feature_names: list[str]
    output_contributions: np.ndarray
    base_output: np.ndarray
    view: TreeView = field(repr=False)

    @property
    def leaf(self) -> int:
        """Node number of the leaf."""
        return int(self.nodes[-1])

    def importances(self) -> np.ndarray:
        """Return the importance of each feature for this prediction.

        Returns
        -------
        ndarray of shape (n_features,)
            Absolute `output_contributions` to the predicted class; in regression, averaged over the
            outputs. They include all gates, weighted by the probability that the row reaches a
            gate and by the difference of the leaves on its two sides.
        """
        return self._sizes(self.output_contributions)

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation as plain lists and numbers, for JSON.

        Returns
        -------
        dict
            The fields, and "importances". The list ``"steps"`` holds the fields of each gate:
            ``node``, ``activation``, ``branch`` ("left" or "right"), ``probability`` of that
            branch, ``path_probability`` below it, ``bias``, and the lists ``weights`` and
            ``contributions``.
        """
        steps = [
            {
                "node": int(self.nodes[i]),
                "activation": float(self.activations[i]),
                "branch": "right" if self.went_right[i] else "left",
                "probability": float(self.probabilities[i]),
                "path_probability": float(self.path_probabilities[i + 1]),
                "bias": float(self.biases[i]),
                "weights": self.weights[i].tolist(),
                "contributions": self.contributions[i].tolist(),
            }
            for i in range(len(self.activations))
        ]
        return {
            "prediction": self.prediction,
            "way": self.way,
            "leaf": self.leaf,
            "leaf_output": self.leaf_output.tolist(),
            "mean_output": self.mean_output.tolist(),
            "classes": None if self.classes is None else self.classes.tolist(),
            "steps": steps,
            "importances": self.importances().tolist(),
            "feature_names": self.feature_names,
            "row": self.row.tolist(),
        }

    def to_text(self, top: int = 3) -> str:
        """Return the explanation as lines of text.

        Parameters
        ----------
        top : int, default=3
            Number of features listed at each gate, largest contributions first; also of classes at
            the end.

        Returns
        -------
        str
        """
        lines = [f"Predicted: {readable(self.prediction)}", f"Path {_WAYS[self.way]}:"]
        for i, step in enumerate(self.to_dict()["steps"]):
            pushes = self.contributions[i]
            strongest = np.argsort(-np.abs(pushes), kind="stable")[:top]
            reasons = ", ".join(f"{self.feature_names[j]} {pushes[j]:+.2f}" for j in strongest)
            lines.append(
                f"  node {step['node']:<5} {step['branch']:<5} p = {step['probability']:.3f}  "
                f"path {step['path_probability']:.3f}  activation {step['activation']:+.2f}: "
                f"{reasons}, bias {step['bias']:+.2f}"
            )
        lines += [
            f"  leaf {self.leaf:<5} {self._summary(self.leaf_output, top)}",
            f"  all leaves {self._summary(self.mean_output, top)}",
        ]
        return "\n".join(lines)

    def plot(self, ax: Axes | None = None, *, top: int = 6) -> Figure:
        """Draw the path, as :func:`~soft_students.explain.plot_path` does.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on. None makes a figure large enough to read.
        top : int, default=6
            Number of bars at each gate that is not drawn as an image.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError
            If matplotlib is not installed: ``pip install 'soft-students[plots]'``.
        """
        from soft_students.explain.path_picture import draw_path

        return draw_path(self, check_int("plot", "top", top, 1, None), ax)


def explain_path(
    student: BaseSoftDecisionTree,
    x: Any,
    *,
    image_shape: tuple[int, ...] | None = None,
    feature_names: Iterable[str] | None = None,
) -> PathExplanation:
    """Return the path of one row through a soft tree, with each feature's contributions.

    The path leads to the leaf of greatest path probability, or, with ``prediction="greedy"``, along
    the likelier branches.

    Parameters
    ----------
    student : SoftDecisionTreeClassifier or SoftDecisionTreeRegressor
        Fitted.
    x : array-like of shape (n_features,) or (1, n_features), Series, or DataFrame of one row
    image_shape, feature_names
        As for :func:`plot_tree`; here they only name the features.

    Returns
    -------
    PathExplanation

    Raises
    ------
    TypeError
        If `student` is not a soft tree.
    sklearn.exceptions.NotFittedError
    ValueError
        If `x` or another parameter does not match the student's features.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from soft_students import SoftDecisionTreeClassifier
    >>> from soft_students.explain import explain_path
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> student = SoftDecisionTreeClassifier(depth=2, epochs=5, random_state=0).fit(X, y)
    >>> path = explain_path(student, X.iloc[0])
    >>> path.nodes[0], len(path.nodes), path.leaf == student.apply(X)[0]
    (np.int64(0), 3, np.True_)
    >>> print(path)
    Predicted: 0
    Path to the leaf of greatest path probability:
      node 0 ...
    """
    return follow(
        student, x, view_tree(student, image_shape=image_shape, feature_names=feature_names)
    )


def follow(student: Any, x: Any, view: TreeView) -> PathExplanation:
    """Return the path of one row, given the view of the student."""
    X = student._checked(one_row(x, student.n_features_in_)).astype(np.float64)
    all_activations = student._activations(X)
    paths = routing.path_probabilities(all_activations)
    greedy = student.prediction == "greedy"
    leaf = routing.greedy_leaves(all_activations) if greedy else routing.greatest_path_leaves(paths)
    nodes = routing.ancestors(leaf, view.depth)[0]
    gates = nodes[:-1]
    activations = all_activations[0, gates]
    went_right = nodes[1:] == 2 * gates + 2
    towards = np.where(went_right, activations, -activations)
    leaf_values = student._leaf_values().astype(np.float64)
    pushes = view.weights * (X[0] - (0 if view.offset is None else view.offset))
    biases = (student.gate_betas_ * student.gate_biases_).astype(np.float64)
    output_contributions, base_output = gate_effects(paths[0], pushes, biases, leaf_values)
    mean = paths[:, view.n_gates :] @ leaf_values
    if view.labels is not None:
        mean = sharpen(mean, student.temperature_)
    leaf_output = view.leaf_outputs[leaf[0] - view.n_gates]
    answer = mean[0] if student.prediction == "expectation" else leaf_output
    if view.labels is not None:
        prediction = student.classes_[answer.argmax()]
    else:
        prediction = answer[0] if student._flat else answer
    return PathExplanation(
        row=X[0],
        nodes=nodes,
        activations=activations,
        went_right=went_right,
        probabilities=1 / (1 + np.exp(-np.clip(towards, -708, 708))),
        path_probabilities=paths[0, nodes],
        weights=view.weights[gates],
        contributions=pushes[gates],
        biases=biases[gates],
        leaf_output=leaf_output,
        mean_output=mean[0],
        prediction=plain(prediction),
        way="greedy" if greedy else "greatest_path",
        classes=None if view.labels is None else student.classes_,
        feature_names=view.feature_names,
        output_contributions=output_contributions,
        base_output=base_output,
        view=view,
    )
