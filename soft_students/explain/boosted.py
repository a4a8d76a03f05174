"""Contributions to predictions of boosted trees, computed by XGBoost and LightGBM."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import xgboost

from soft_students.explain.contributions import ContributionExplanation, contributions_of
from soft_students.explain.one_row import read_row
from soft_students.students.lightgbm.students import (
    LightGBMStudentClassifier,
    LightGBMStudentRegressor,
)
from soft_students.students.xgboost.students import (
    XGBoostStudentClassifier,
    XGBoostStudentRegressor,
)

_BASELINE = "mean output of the trees"


def explain_xgboost(
    student: XGBoostStudentClassifier | XGBoostStudentRegressor,
    x: Any,
    *,
    image_shape: tuple[int, ...] | None = None,
    feature_names: Iterable[str] | None = None,
) -> ContributionExplanation:
    """Split a margin into SHAP values of the trees, by XGBoost's ``pred_contribs``.

    Parameters
    ----------
    student : XGBoostStudentClassifier or XGBoostStudentRegressor
    x, image_shape, feature_names
        As for :func:`soft_students.explain.explain`.

    Returns
    -------
    ContributionExplanation

    Raises
    ------
    ValueError
        If the trees have several outputs, for which XGBoost computes no contributions.

    References
    ----------
    Lundberg et al. (2020), "From local explanations to global understanding with explainable AI for
    trees", Nature Machine Intelligence 2: path-dependent SHAP values.
    """
    rows, names = read_row(student, x, image_shape, feature_names)
    booster = student.estimator_.get_booster()
    if student.multi_strategy == "multi_output_tree":
        raise ValueError(
            "XGBoost computes no contributions for trees with several outputs, and this "
            f"{type(student).__name__} was trained with multi_strategy='multi_output_tree'. Train "
            "it with 'one_output_per_tree' to explain its predictions."
        )
    table = xgboost.DMatrix(
        rows, feature_names=booster.feature_names, feature_types=booster.feature_types
    )
    parts = booster.predict(table, pred_contribs=True, strict_shape=True)[0].astype(np.float64)
    outputs = booster.predict(table, output_margin=True, strict_shape=True)[0].astype(np.float64)
    return contributions_of(
        student,
        rows,
        names,
        contributions=parts[:, :-1],
        base=parts[:, -1],
        outputs=outputs,
        baseline=_BASELINE,
    )


def explain_lightgbm(
    student: LightGBMStudentClassifier | LightGBMStudentRegressor,
    x: Any,
    *,
    image_shape: tuple[int, ...] | None = None,
    feature_names: Iterable[str] | None = None,
) -> ContributionExplanation:
    """Split a raw score into SHAP values of the trees, by LightGBM's ``pred_contrib``.

    Parameters
    ----------
    student : LightGBMStudentClassifier or LightGBMStudentRegressor
    x, image_shape, feature_names
        As for :func:`soft_students.explain.explain`.

    Returns
    -------
    ContributionExplanation

    References
    ----------
    As for `explain_xgboost`.
    """
    rows, names = read_row(student, x, image_shape, feature_names)
    boosters = (
        [student.booster_] if isinstance(student, LightGBMStudentClassifier) else student.boosters_
    )
    width = rows.shape[1] + 1
    parts = np.concatenate(
        [booster.predict(rows, pred_contrib=True).reshape(-1, width) for booster in boosters]
    )
    return contributions_of(
        student,
        rows,
        names,
        contributions=parts[:, :-1],
        base=parts[:, -1],
        outputs=np.concatenate(
            [np.ravel(booster.predict(rows, raw_score=True)) for booster in boosters]
        ),
        baseline=_BASELINE,
    )
