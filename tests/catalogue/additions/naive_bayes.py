"""Gaussian naive Bayes of soft targets: every row counts for each class by its probability."""

from typing import ClassVar

import numpy as np
from scipy.special import softmax

from soft_students.students.classical.base import ClassicalStudentClassifier
from soft_students.students.explained import Contributions, Explained

_SMALLEST = 1e-9  # variance, as a share of the largest of a feature


class NaiveBayesStudentClassifier(Explained, ClassicalStudentClassifier):
    """Gaussian naive Bayes: one normal distribution a class and feature.

    Parameters
    ----------
    temperature, hard_weight, transfer, transfer_copies, random_state
        As in :class:`soft_students.LogisticStudentClassifier`.
    """

    _expected_failed_checks: ClassVar[dict[str, str]] = {
        "test_a_class_without_rows_is_kept_where_the_teacher_has_it": "its distribution is wide"
    }

    def __init__(
        self,
        *,
        temperature=1.0,
        hard_weight=0.0,
        transfer=None,
        transfer_copies=4,
        random_state=None,
    ):
        self.temperature = temperature
        self.hard_weight = hard_weight
        self.transfer = transfer
        self.transfer_copies = transfer_copies
        self.random_state = random_state

    def _learn(self, X, targets, weights):
        shares = targets if weights is None else targets * weights[:, None]
        mass = shares.sum(axis=0)[:, None]
        self.prior_ = np.log(mass[:, 0] / mass.sum())
        self.means_ = shares.T @ X / mass
        spread = np.average(np.square(X - X.mean(axis=0)), axis=0).max()
        self.variances_ = shares.T @ np.square(X) / mass - np.square(self.means_)
        self.variances_ = self.variances_.clip(0) + _SMALLEST * max(spread, 1.0)

    def _parts(self, row):
        squares = np.square(row - self.means_) / self.variances_
        return -0.5 * (np.log(2 * np.pi * self.variances_) + squares)

    def predict_proba(self, X):
        rows = self._rows(X, reset=False)
        logits = [self.prior_ + self._parts(row).sum(axis=1) for row in rows]
        return softmax(self.temperature_ * np.array(logits), axis=1)

    def _bundle_state(self):
        arrays = {"prior": self.prior_, "means": self.means_, "variances": self.variances_}
        return {**self._names_state(), **self._output_state()}, arrays

    def _restore_bundle(self, metadata, arrays):
        shape = self._restore_outputs(metadata), self._restore_names(metadata)
        self.prior_, self.means_ = arrays["prior"], arrays["means"]
        self.variances_ = arrays["variances"]
        if not self.means_.shape == self.variances_.shape == (self.prior_.size, shape[1]) == shape:
            raise ValueError(f"means and variances must be of shape {shape}")
        if not (self.variances_ > 0).all():
            raise ValueError("variances must be positive")

    def _structure(self):
        return {"parameters": self.prior_.size + 2 * self.means_.size}

    def _operations(self, X):
        return 4.0 * self.means_.size

    def _contributions(self, rows):
        parts = self.temperature_ * self._parts(rows[0])
        base = self.temperature_ * self.prior_
        if len(self.classes_) == 2:
            parts, base = parts[1:] - parts[:1], base[1:] - base[:1]
        return Contributions(parts, base, base + parts.sum(axis=1), "shares of the classes")
