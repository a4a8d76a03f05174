"""Base class of the XGBoost students."""

from __future__ import annotations

import json
import os
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import xgboost
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from xgboost import DMatrix, QuantileDMatrix

from soft_students.sklearn_private import Interval, StrOptions
from soft_students.students.classical.boosting_rounds import BoostingRounds, open_checkpoint
from soft_students.students.classical.constraints import interaction_groups, monotone_signs
from soft_students.students.classical.tree_counts import BoostedTrees, nested_depths
from soft_students.students.explained import Contributions, Explained
from soft_students.students.xgboost.model import check_model

_OWN = ("temperature", "hard_weight", "transfer", "transfer_copies", "early_stopping_rounds")

#: Parameters that make trees grow on a random sample of rows or columns if below one.
_SAMPLING = ("subsample", "colsample_bytree", "colsample_bylevel", "colsample_bynode")
_PARTS = 10  # of a training with samples and a checkpoint; each starts by predicting all rows
#: Parameters of `xgboost.train` that may differ in a resumed training.
_PASSING = {"n_jobs", "device", "random_state"}

SHARED: dict[str, list[Any]] = {
    "n_estimators": [Interval(Integral, 1, None, closed="left")],
    "max_depth": [Interval(Integral, 0, None, closed="left"), None],
    "learning_rate": [Interval(Real, 0, None, closed="neither"), None],
    "min_child_weight": [Interval(Real, 0, None, closed="left"), None],
    "subsample": [Interval(Real, 0, 1, closed="right"), None],
    "colsample_bytree": [Interval(Real, 0, 1, closed="right"), None],
    "reg_alpha": [Interval(Real, 0, None, closed="left"), None],
    "reg_lambda": [Interval(Real, 0, None, closed="left"), None],
    "gamma": [Interval(Real, 0, None, closed="left"), None],
    "max_leaves": [Interval(Integral, 0, None, closed="left"), None],
    "grow_policy": [StrOptions({"depthwise", "lossguide"}), None],
    "colsample_bylevel": [Interval(Real, 0, 1, closed="right"), None],
    "colsample_bynode": [Interval(Real, 0, 1, closed="right"), None],
    "max_delta_step": [Interval(Real, 0, None, closed="left"), None],
    "monotone_constraints": ["array-like", dict, None],
    "interaction_constraints": ["array-like", None],
    "max_cat_to_onehot": [Interval(Integral, 1, None, closed="left"), None],
    "max_bin": [Interval(Integral, 2, None, closed="left"), None],
    "tree_method": [StrOptions({"auto", "exact", "approx", "hist"}), None],
    "multi_strategy": [StrOptions({"one_output_per_tree", "multi_output_tree"}), None],
    "early_stopping_rounds": [Interval(Integral, 1, None, closed="left"), None],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "checkpoint": [str, os.PathLike, None],
    "resume": ["boolean"],
    "n_jobs": [Integral, None],
    "device": [str, None],
}


class BoostedStudent(Explained, BoostedTrees):
    """Base class of the XGBoost students: XGBoost's parameters, and the model as bytes."""

    _takes_missing = True
    _takes_categories = True
    _library: ClassVar[type]

    @classmethod
    def _test_params(cls) -> dict[str, Any]:
        return {"n_estimators": 20, "n_jobs": 1}

    @abstractmethod
    def _objective(self, n_outputs: int) -> str:
        """Return XGBoost's name of the loss."""

    def _make(self, **more: Any) -> Any:
        known = self._library().get_params()
        chosen = {
            name: value
            for name, value in self.get_params(deep=False).items()
            if name in known and name not in _OWN
        }
        chosen["monotone_constraints"] = monotone_signs(self.monotone_constraints, self)
        groups = interaction_groups(self.interaction_constraints, self)
        # XGBoost takes the groups as a string
        chosen["interaction_constraints"] = None if groups is None else str(groups)
        chosen["enable_categorical"] = self.is_categorical_ is not None
        # XGBoost takes integers only
        chosen["random_state"] = int(
            check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        )
        return self._library(**chosen, **more)

    def _table(self, X: np.ndarray) -> Any:
        """Return rows in the form for XGBoost, which then stores names and categories itself."""
        return X if self.is_categorical_ is None else self._as_given(X)

    def _split(
        self, X: np.ndarray, targets: np.ndarray, weights: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        """Return training and validation rows, targets and weights."""
        return train_test_split(
            X,
            targets,
            weights,
            test_size=self.validation_fraction,
            random_state=check_random_state(self.random_state).randint(np.iinfo(np.int32).max),
        )

    def _matrix(
        self,
        X: np.ndarray,
        *,
        label: np.ndarray | None = None,
        weight: np.ndarray | None = None,
        ref: DMatrix | None = None,
    ) -> DMatrix:
        """Return the matrix that XGBoost's own `fit` would build."""
        shared: dict[str, Any] = {
            "label": label,
            "weight": weight,
            "nthread": self.n_jobs,
            "enable_categorical": self.is_categorical_ is not None,
        }
        if self.tree_method not in (None, "auto", "hist"):
            return DMatrix(self._table(X), **shared)
        if ref is None and self.max_bin is not None:
            shared["max_bin"] = self.max_bin
        return QuantileDMatrix(self._table(X), ref=ref, **shared)

    @contextmanager
    def _rounds(
        self, params: dict[str, Any], n_outputs: int, *arrays: np.ndarray | None
    ) -> Iterator[BoostingRounds]:
        """Open the checkpoint of a training on rows, targets and weights."""
        sampled = any((getattr(self, name) or 1) < 1 for name in _SAMPLING)
        known = None if self._columns is None else self._columns.categories
        description = (
            type(self).__name__,
            {name: value for name, value in params.items() if name not in _PASSING},
            params["random_state"] if sampled else None,
            (self.n_estimators, self.early_stopping_rounds, getattr(self, "temperature_", None)),
            list(getattr(self, "feature_names_in_", ())),
            known and [None if each is None else each.tolist() for each in known],
        )

        def check(model: bytes, n_rounds: int) -> None:
            if self._read_model(model, n_outputs).get_booster().num_boosted_rounds() != n_rounds:
                raise ValueError(f"its model does not have {n_rounds} rounds")

        path = self.checkpoint
        with open_checkpoint(path, description, arrays, resume=self.resume) as checkpoint:
            yield BoostingRounds(
                checkpoint,
                self.n_estimators,
                n_parts=_PARTS if sampled else 1,
                patience=self.early_stopping_rounds,
                check=check,
            )

    def _read_model(self, model: bytes, n_outputs: int) -> Any:
        """Check an untrusted model and return XGBoost's estimator."""
        objective, n_features = self._objective(n_outputs), self.n_features_in_
        check_model(
            model,
            objective,
            1 if objective == "binary:logistic" else n_outputs,
            n_features,
            None if self._columns is None else self._columns.categories,
        )
        estimator = self._library()
        try:
            estimator.load_model(bytearray(model))
        except xgboost.core.XGBoostError as error:
            raise ValueError(f"XGBoost cannot read its model: {str(error)[:200]}") from error
        if estimator.get_booster().num_features() != n_features:
            raise ValueError(f"the model does not have {n_features} features")
        kinds = estimator.get_booster().feature_types or [""] * n_features
        coded = np.array([kind == "c" for kind in kinds])
        expected = np.zeros(n_features) if self.is_categorical_ is None else self.is_categorical_
        if not np.array_equal(coded, expected):
            raise ValueError("the model has other categorical columns")
        if getattr(estimator, "n_classes_", n_outputs) != n_outputs:
            raise ValueError(f"the model does not have {n_outputs} classes")
        return estimator

    @property
    def feature_importances_(self) -> np.ndarray:
        """Importance of each feature, of shape (n_features,): see `xgboost.XGBModel`."""
        check_is_fitted(self)
        return self.estimator_.feature_importances_

    def _leaf_depths(self) -> list[dict[int, int]]:
        booster = self.estimator_.get_booster()
        dumps = booster.get_dump(dump_format="json")
        if self.early_stopping_rounds is not None:
            best = getattr(self.estimator_, "best_iteration", None)
            if best is not None:
                dumps = dumps[: len(dumps) * (best + 1) // booster.num_boosted_rounds()]
        return [nested_depths(json.loads(text), ("children",), "nodeid") for text in dumps]

    def _reached_leaves(self, rows: np.ndarray) -> list[np.ndarray]:
        leaves = self.estimator_.apply(self._table(rows))
        return list(leaves.reshape(len(rows), -1).astype(np.intp).T)

    def _values_per_leaf(self) -> int:
        if self.multi_strategy != "multi_output_tree":
            return 1
        n_classes = len(getattr(self, "classes_", ()))
        return n_classes if n_classes > 2 else getattr(self, "n_outputs_", 1)

    def _contributions(self, rows: np.ndarray) -> Contributions:
        """Return SHAP values of the trees, by XGBoost's ``pred_contribs``.

        References
        ----------
        Lundberg et al. (2020), "From local explanations to global understanding with explainable AI
        for trees", Nature Machine Intelligence 2, for SHAP values that follow the trees' shares.
        """
        if self.multi_strategy == "multi_output_tree":
            raise ValueError(
                "XGBoost computes no contributions for trees with several outputs, and this "
                f"{type(self).__name__} was trained with multi_strategy='multi_output_tree'. Train "
                "it with 'one_output_per_tree' to explain its predictions."
            )
        booster = self.estimator_.get_booster()
        table = DMatrix(
            rows, feature_names=booster.feature_names, feature_types=booster.feature_types
        )
        parts, outputs = (
            booster.predict(table, strict_shape=True, **what)[0].astype(np.float64)
            for what in ({"pred_contribs": True}, {"output_margin": True})
        )
        return Contributions(parts[:, :-1], parts[:, -1], outputs, "mean output of the trees")

    def _bundle_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        model = np.frombuffer(self.estimator_.get_booster().save_raw("ubj"), dtype=np.uint8)
        return {**self._names_state(), **self._output_state()}, {"model": model}

    def _restore_bundle(self, metadata: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        self._restore_names(metadata)
        n_outputs, model = self._restore_outputs(metadata), arrays.get("model")
        if model is None or model.dtype != np.uint8 or model.ndim != 1:
            raise ValueError("the model must be an array of bytes")
        self.estimator_ = self._read_model(model.tobytes(), n_outputs)
