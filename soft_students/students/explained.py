"""Students that explain their predictions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from soft_students.explain import Explanation


class Explained:
    """Adds `explain` to a student that :func:`soft_students.explain.explain` knows."""

    def explain(
        self,
        x: Any,
        *,
        image_shape: tuple[int, ...] | None = None,
        feature_names: Iterable[str] | None = None,
    ) -> Explanation:
        """Say how the prediction of one row comes about.

        Parameters
        ----------
        x : array-like of shape (n_features,) or (1, n_features), Series, or DataFrame of one row
        image_shape, feature_names
            As of :func:`soft_students.explain.explain`.

        Returns
        -------
        Explanation
        """
        from soft_students.explain import explain  # not at the top: explain knows the students

        return explain(self, x, image_shape=image_shape, feature_names=feature_names)
