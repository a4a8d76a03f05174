"""Explains the path of one row through a soft tree, as numbers, text and a picture."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from soft_students.explain.explanation import Explanation, plain
from soft_students.explain.followed_path import FollowedPath
from soft_students.explain.gate_effects import gate_effects
from soft_students.explain.one_row import one_row
from soft_students.explain.path_picture import draw_path
from soft_students.explain.tree_view import TreeView, check_int, readable, view_tree
from soft_students.numerals import fixed, format_of
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


class PathExplanation(FollowedPath, Explanation):
    """The path of one row through a soft tree; its attributes are those of `FollowedPath`."""

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
        outputs = [self.leaf_output, self.mean_output]
        if self.classes is None:
            outputs.append(np.atleast_1d(self.prediction))
        leaf, mean, *values = self._summaries(np.stack(outputs), top)
        (predicted,) = values or [readable(self.prediction)]
        lines = [f"Predicted: {predicted}", f"Path {_WAYS[self.way]}:"]
        for i, step in enumerate(self.to_dict()["steps"]):
            pushes = self.contributions[i]
            strongest = np.argsort(-np.abs(pushes), kind="stable")[:top]
            form = format_of([*pushes, step["bias"], step["activation"]], 2)
            reasons = ", ".join(f"{self.feature_names[j]} {pushes[j]:+{form}}" for j in strongest)
            lines.append(
                f"  node {step['node']:<5} {step['branch']:<5} p = {step['probability']:.3f}  "
                f"path {fixed(step['path_probability'], 3)}  activation "
                f"{step['activation']:+{form}}: {reasons}, bias {step['bias']:+{form}}"
            )
        lines += [f"  leaf {self.leaf:<5} {leaf}", f"  all leaves {mean}"]
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


def plot_path(
    student: BaseSoftDecisionTree,
    x: Any,
    *,
    image_shape: tuple[int, ...] | None = None,
    feature_names: Iterable[str] | None = None,
    top: int = 6,
    ax: Axes | None = None,
) -> Figure:
    """Draw the path of one row through a soft tree.

    The picture shows, from left to right, the row, each gate from the root down, and the leaf's
    distribution beside the mean of all leaves. For images, a gate shows its filter β w with the
    image's outline, and the filter times the image, whose sum plus the bias β b is the activation.
    For other rows, a gate shows the features that contribute most to the activation. Purple pushes
    right, orange left. Below each gate are its activation and the probabilities of the branch taken
    and of the path so far.

    Parameters
    ----------
    student : SoftDecisionTreeClassifier or SoftDecisionTreeRegressor
        Fitted.
    x : array-like of shape (n_features,) or (1, n_features), Series, or DataFrame of one row
    image_shape : tuple of int, default=None
        (height, width) or (channels, height, width) of the image in `x`; channels are drawn side by
        side. None: that of the student's :class:`~soft_students.transfer.ImageDistortion`, if it
        has one and `feature_names` is None; otherwise bars are drawn.
    feature_names : iterable of str, default=None
        None: the names seen in fit, or positions.
    top : int, default=6
        Number of bars at each gate.
    ax : matplotlib.axes.Axes, default=None
        Axes to draw on. None makes a figure large enough to read.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ImportError
        If matplotlib is not installed: ``pip install 'soft-students[plots]'``.
    TypeError
        If `student` is not a soft tree.
    sklearn.exceptions.NotFittedError
    ValueError
        If `x` or another parameter does not match the student's features.

    See Also
    --------
    explain_path : Returns the path as numbers and text.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from soft_students import SoftDecisionTreeClassifier
    >>> from soft_students.explain import plot_path
    >>> X, y = load_digits(return_X_y=True)
    >>> student = SoftDecisionTreeClassifier(depth=2, epochs=5, random_state=0).fit(X, y)
    >>> figure = plot_path(student, X[0], image_shape=(8, 8))
    >>> figure.savefig("path.png")  # doctest: +SKIP
    """
    explanation = explain_path(student, x, image_shape=image_shape, feature_names=feature_names)
    return explanation.plot(ax, top=check_int("plot_path", "top", top, 1, None))
