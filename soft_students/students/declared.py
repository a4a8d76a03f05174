"""What the class of a student declares, so that no other file has to list the students."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class Declared:
    """Declarations of a student's class, each with a default.

    The class of another package inherits them from here, or defines those that it needs.
    """

    #: Checks that the class cannot pass, of scikit-learn's `check_estimator`, of
    #: :mod:`soft_students.testing` or among the tests of all students, by name, with the reason.
    _expected_failed_checks: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def _test_params(cls) -> dict[str, Any]:
        """Return constructor parameters under which all checks pass quickly."""
        return {}

    @staticmethod
    def _image_settings(image_shape: tuple[int, ...], n_rows: int) -> dict[str, Any]:
        """Return the constructor parameters for images that differ from the defaults.

        Parameters
        ----------
        image_shape : tuple of int
            (height, width) or (channels, height, width).
        n_rows : int
            Number of training rows.
        """
        return {}

    def _structure(self) -> dict[str, int] | None:
        """Return what the fitted student consists of: see `soft_students.evaluation.structure`."""
        return None

    def _operations(self, X: Any) -> float | None:
        """Return the operations of one prediction: see `soft_students.evaluation.flops`.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            At most a thousand rows, whose paths are followed through trees.
        """
        return None
