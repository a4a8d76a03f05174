"""Contributions of each feature to the output for one row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.special import expit, softmax
from sklearn.base import is_classifier

from soft_students.explain.explanation import Explanation, plain
from soft_students.explain.one_row import read_row, shown_row
from soft_students.explain.tree_view import check_int, readable
from soft_students.numerals import format_of, numeral
from soft_students.students.explained import Contributions
from soft_students.targets import sharpen

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class ContributionExplanation(Explanation):
    r"""One prediction as a sum over features: :math:`z_k = base_k + \sum_j c_{kj}`.

    Parameters
    ----------
    row : ndarray of shape (n_features,)
        Dtype object if some features are categories.
    contributions : ndarray of shape (n_outputs, n_features)
        Amount that each feature adds to each output.
    base : ndarray of shape (n_outputs,)
        Output for the `baseline`.
    outputs : ndarray of shape (n_outputs,)
        Output of the student for the row; equals the sum up to rounding.
    scale : {"log-odds", "logit", "probability", "value"}
        Unit of the outputs. Log-odds are one output, for the second of two classes against the
        first; otherwise each class has its own.
    baseline : str
        Description of the input whose output is `base`.
    prediction : label, float or list of float
    probabilities : ndarray of shape (n_classes,) or None
        Class probabilities at temperature one; None for regression.
    classes : ndarray of shape (n_classes,) or None
        None for regression.
    feature_names : list of str
    temperature : float, default=1.0
        Temperature of outputs that are probabilities.
    """

    row: np.ndarray
    contributions: np.ndarray
    base: np.ndarray
    outputs: np.ndarray
    scale: Literal["log-odds", "logit", "probability", "value"]
    baseline: str
    prediction: Any
    probabilities: np.ndarray | None
    classes: np.ndarray | None
    feature_names: list[str]
    temperature: float = 1.0

    def importances(self) -> np.ndarray:
        """Return the importance of each feature for this prediction.

        Returns
        -------
        ndarray of shape (n_features,)
            Absolute contributions to the predicted class; in regression, averaged over the outputs.
        """
        if self.scale == "log-odds":
            return np.abs(self.contributions[0])
        return self._sizes(self.contributions)

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation as plain lists and numbers, for JSON.

        Returns
        -------
        dict
            The fields, and "importances". Missing values of the row are None.
        """
        return {
            "prediction": self.prediction,
            "probabilities": None if self.probabilities is None else self.probabilities.tolist(),
            "classes": None if self.classes is None else self.classes.tolist(),
            "scale": self.scale,
            "temperature": self.temperature,
            "baseline": self.baseline,
            "base": self.base.tolist(),
            "outputs": self.outputs.tolist(),
            "contributions": self.contributions.tolist(),
            "importances": self.importances().tolist(),
            "feature_names": self.feature_names,
            "row": [None if _is_missing(value) else value for value in self.row.tolist()],
        }

    def to_text(self, top: int = 10) -> str:
        """Return the explanation as lines of text.

        Parameters
        ----------
        top : int, default=10
            Number of features listed, largest contributions first; the others are summed.

        Returns
        -------
        str
        """
        lines = [f"Predicted: {self._headline()}"]
        for k in self._shown_outputs():
            name, base, output, values = self._towards(k)
            labels, parts = self._strongest(values, top)
            form = format_of([output, base, *parts], 4)
            lines.append(f"The {name} is {output:+{form}}:")
            lines += [
                f"  {part:+10{form}}  {label}"
                for label, part in zip([self.baseline, *labels], [base, *parts], strict=True)
            ]
        return "\n".join(lines)

    def plot(self, ax: Axes | None = None, *, top: int = 10) -> Figure:
        """Draw the largest contributions as bars.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on. None makes a figure large enough to read.
        top : int, default=10
            Number of features drawn; one more bar sums the others.

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
        groups = []
        for k in self._shown_outputs():
            name, base, output, values = self._towards(k)
            form = format_of([output, base], 3)
            title = f"{name}: {output:+{form}} = {base:+{form}} ({self.baseline}) and"
            groups.append(BarGroup(title, *self._strongest(values, top)))
        return draw_bars(f"Predicted: {self._headline()}", groups, ax)

    def _headline(self) -> str:
        if self.probabilities is None:
            values = np.atleast_1d(self.prediction)
            return ", ".join(map(numeral, values))
        return f"{readable(self.prediction)} ({self.probabilities[self._predicted_class()]:.3f})"

    def _shown_outputs(self) -> range:
        """Return the outputs to explain: that of the predicted class, or all values."""
        if self.classes is None:
            return range(len(self.outputs))
        k = 0 if self.scale == "log-odds" else self._predicted_class()
        return range(k, k + 1)

    def _towards(self, k: int) -> tuple[str, float, float, np.ndarray]:
        """Return an output's name, base, value and contributions, towards the predicted class."""
        sign = 1.0
        if self.classes is None:
            name = "value" if len(self.outputs) == 1 else f"output {k}"
        elif self.scale == "log-odds":
            predicted = self._predicted_class()
            sign = 1.0 if predicted == 1 else -1.0
            name = (
                f"log-odds of {readable(self.classes[predicted])} against "
                f"{readable(self.classes[1 - predicted])}"
            )
        else:
            name = f"{self.scale} of {readable(self.classes[k])}"
            if self.temperature != 1:
                name += f" at temperature {self.temperature:g}"
        base, output = float(self.base[k]), float(self.outputs[k])
        return name, sign * base, sign * output, sign * self.contributions[k]

    def _strongest(self, values: np.ndarray, top: int) -> tuple[list[str], np.ndarray]:
        """Return labels and contributions of the `top` features, and the sum of the others."""
        order = np.argsort(-np.abs(values), kind="stable")
        order = order[values[order] != 0]
        labels = [f"{self.feature_names[j]} = {_written(self.row[j])}" for j in order[:top]]
        parts, others = values[order[:top]], order[top:]
        if len(others):
            labels.append("1 other" if len(others) == 1 else f"{len(others)} others")
            parts = np.append(parts, values[others].sum())
        return labels, parts


def explain_contributions(
    student: Any,
    x: Any,
    *,
    image_shape: tuple[int, ...] | None = None,
    feature_names: Iterable[str] | None = None,
) -> ContributionExplanation:
    """Explain a student that computes contributions, by its method ``_contributions``.

    Parameters
    ----------
    student : ClassicalStudent and Explained
    x, image_shape, feature_names
        As of :func:`soft_students.explain.explain`.

    Returns
    -------
    ContributionExplanation
    """
    rows, names = read_row(student, x, image_shape, feature_names)
    found: Contributions = student._contributions(rows)
    outputs = found.outputs
    told: dict[str, Any] = {
        "row": shown_row(student, rows),
        "contributions": found.contributions,
        "base": found.base,
        "outputs": outputs,
        "baseline": found.baseline,
        "feature_names": names,
    }
    if not is_classifier(student):
        prediction = plain(outputs[0] if student._flat else outputs)
        return ContributionExplanation(
            **told, scale="value", prediction=prediction, probabilities=None, classes=None
        )
    if found.of_probabilities:
        shares = outputs.clip(0)[None]
        probabilities = sharpen(shares / shares.sum(), student.temperature_)[0]
    elif len(outputs) == 1:
        probabilities = expit(np.array([-outputs[0], outputs[0]]))
    else:
        probabilities = softmax(outputs)
    return ContributionExplanation(
        **told,
        scale="probability"
        if found.of_probabilities
        else ("log-odds" if len(outputs) == 1 else "logit"),
        prediction=plain(student.classes_[probabilities.argmax()]),
        probabilities=probabilities,
        classes=student.classes_,
        temperature=student.temperature_ if found.of_probabilities else 1.0,
    )


def _is_missing(value: Any) -> bool:
    return isinstance(value, float) and np.isnan(value)


def _written(value: Any) -> str:
    if _is_missing(value):
        return "missing"
    return numeral(value, 6) if isinstance(value, float) else readable(value)
