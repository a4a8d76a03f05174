"""Base class of the LightGBM students."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from soft_students.sklearn_private import Interval
from soft_students.students.classical.boosting_rounds import BoostingRounds, open_checkpoint
from soft_students.students.classical.tree_counts import BoostedTrees, nested_depths
from soft_students.students.explained import Contributions, Explained
from soft_students.students.lightgbm.rounds import train_in_rounds
from soft_students.students.lightgbm.text import check_text, trees_only, with_objective

if TYPE_CHECKING:
    from soft_students.persistence.checkpoints import Checkpoint

_PARTS = 5  # of a training with samples and a checkpoint; each starts by predicting all rows
#: Parameters with the same name in LightGBM.
_LIBRARY: dict[str, list[Any]] = {
    "num_leaves": [Interval(Integral, 2, 131_072, closed="both")],
    "max_depth": [Integral],
    "learning_rate": [Interval(Real, 0, None, closed="neither")],
    "min_child_samples": [Interval(Integral, 1, None, closed="left")],
    "min_child_weight": [Interval(Real, 0, None, closed="left")],
    "min_split_gain": [Interval(Real, 0, None, closed="left")],
    "subsample": [Interval(Real, 0, 1, closed="right")],
    "subsample_freq": [Interval(Integral, 0, None, closed="left")],
    "colsample_bytree": [Interval(Real, 0, 1, closed="right")],
    "reg_alpha": [Interval(Real, 0, None, closed="left")],
    "reg_lambda": [Interval(Real, 0, None, closed="left")],
    "max_bin": [Interval(Integral, 2, None, closed="left")],
}
SHARED: dict[str, list[Any]] = {
    **_LIBRARY,
    "n_estimators": [Interval(Integral, 1, None, closed="left")],
    "early_stopping_rounds": [Interval(Integral, 1, None, closed="left"), None],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "checkpoint": [str, os.PathLike, None],
    "resume": ["boolean"],
    "n_jobs": [Integral, None],
}


def load_lightgbm() -> ModuleType:
    """Import LightGBM; if it is missing, raise ImportError with the command to install it."""
    try:
        import lightgbm
    except ImportError as error:
        raise ImportError(
            "The lightgbm student needs LightGBM. Install it with: pip install "
            "'soft-students[lightgbm]'"
        ) from error
    return lightgbm


class LightGBMStudent(Explained, BoostedTrees):
    """Base class of the LightGBM students: LightGBM's parameters, and the models as text."""

    _takes_missing = True
    _takes_categories = True
    _expected_failed_checks: ClassVar[dict[str, str]] = dict.fromkeys(
        (
            "check_sample_weight_equivalence_on_dense_data",
            "check_weight_two_is_row_twice",
        ),
        "bins and leaves hold so many rows, whatever their weights",
    )

    @classmethod
    def _test_params(cls) -> dict[str, Any]:
        return {"n_estimators": 30, "min_child_samples": 2, "n_jobs": 1}

    def _boosters(self) -> list[Any]:
        return self.boosters_ if hasattr(self, "boosters_") else [self.booster_]

    def _leaf_depths(self) -> list[dict[int, int]]:
        return [
            nested_depths(tree["tree_structure"], ("left_child", "right_child"), "leaf_index")
            for booster in self._boosters()
            for tree in booster.dump_model()["tree_info"]
        ]

    def _reached_leaves(self, rows: np.ndarray) -> list[np.ndarray]:
        return [
            leaves
            for booster in self._boosters()
            for leaves in np.asarray(booster.predict(rows, pred_leaf=True)).reshape(len(rows), -1).T
        ]

    def _contributions(self, rows: np.ndarray) -> Contributions:
        """Return SHAP values of the trees, by LightGBM's ``pred_contrib``."""
        boosters, width = self._boosters(), rows.shape[1] + 1
        parts = np.concatenate(
            [booster.predict(rows, pred_contrib=True).reshape(-1, width) for booster in boosters]
        )
        outputs = np.concatenate(
            [np.ravel(booster.predict(rows, raw_score=True)) for booster in boosters]
        )
        return Contributions(parts[:, :-1], parts[:, -1], outputs, "mean output of the trees")

    @property
    def feature_importances_(self) -> np.ndarray:
        """Share of each feature in the gain of all splits, of shape (n_features,)."""
        check_is_fitted(self)
        boosters = getattr(self, "boosters_", None) or [self.booster_]
        gains = sum(each.feature_importance(importance_type="gain") for each in boosters)
        return gains / (gains.sum() or 1.0)

    def _dataset(
        self,
        X: np.ndarray,
        *,
        label: np.ndarray | None = None,
        weight: np.ndarray | None = None,
        init_score: np.ndarray | None = None,
        reference: Any = None,
    ) -> Any:
        coded = (
            [] if self.is_categorical_ is None else np.flatnonzero(self.is_categorical_).tolist()
        )
        return load_lightgbm().Dataset(
            X,
            label=label,
            weight=weight,
            init_score=init_score,
            reference=reference,
            categorical_feature=coded,
            params=self._params(),
            free_raw_data=self.checkpoint is None,
        )

    def _params(self) -> dict[str, Any]:
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        return {
            **{name: getattr(self, name) for name in _LIBRARY},
            "num_threads": 0 if self.n_jobs is None else self.n_jobs,
            "seed": int(seed),
            "deterministic": True,
            "force_col_wise": True,  # otherwise chosen by timing, which is not deterministic
            "feature_pre_filter": False,
            "verbosity": -1,
        }

    def _split(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the training and the validation part of each array."""
        if self.early_stopping_rounds is None:
            return tuple(part for array in arrays for part in (array, array[:0]))
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        return tuple(
            train_test_split(*arrays, test_size=self.validation_fraction, random_state=seed)
        )

    def _boost(
        self,
        params: dict[str, Any],
        data: Any,
        held_out: Any,
        metric: Any = None,
        *,
        start: np.ndarray | None = None,
        objective: str | None = None,
        rounds: BoostingRounds | None = None,
    ) -> str | None:
        """Train; return the model text up to the best round, or None if all features are constant.

        The text includes the initial scores `start`, and names `objective` if the training used a
        custom one.
        """
        lightgbm = load_lightgbm()
        data.construct()
        if all(data.feature_num_bin(i) <= 1 for i in range(data.num_feature())):
            return None
        patience = self.early_stopping_rounds

        def take_in_start(booster: Any) -> None:
            if start is None:
                return
            # a model text has no initial scores: add them to the leaves of the first round
            first = booster.dump_model(num_iteration=1)["tree_info"]
            for tree, score in enumerate(start):
                for leaf in range(first[tree]["num_leaves"]):
                    value = booster.get_leaf_output(tree, leaf) + score
                    booster.set_leaf_output(tree, leaf, value)

        def text(booster: Any) -> str:
            model = booster.model_to_string()
            return trees_only(model if objective is None else with_objective(model, objective))

        if rounds is not None:
            return train_in_rounds(
                rounds,
                params,
                data,
                held_out=None if patience is None else held_out,
                metric=metric,
                after_first=take_in_start,
                text=text,
            )
        booster = lightgbm.train(
            params,
            data,
            num_boost_round=self.n_estimators,
            valid_sets=None if patience is None else [held_out],
            feval=None if patience is None else metric,
            callbacks=None
            if patience is None
            else [lightgbm.early_stopping(patience, verbose=False)],
        )
        take_in_start(booster)
        return text(booster)

    @contextmanager
    def _checkpoint(
        self, params: dict[str, Any], *arrays: np.ndarray
    ) -> Iterator[Checkpoint | None]:
        """Open the checkpoint of a training on rows, targets and weights; None without one."""
        if self.checkpoint is None:
            yield None
            return
        known = None if self._columns is None else self._columns.categories
        passing = ("num_threads", "objective")
        description = (
            type(self).__name__,
            {name: value for name, value in params.items() if name not in passing},
            (self.n_estimators, self.early_stopping_rounds, getattr(self, "temperature_", None)),
            known and [None if each is None else each.tolist() for each in known],
        )
        path = self.checkpoint
        with open_checkpoint(path, description, arrays, resume=self.resume) as checkpoint:
            yield checkpoint

    def _rounds(
        self, checkpoint: Checkpoint | None, n_trees: int, objective: str, stage: int = 0
    ) -> BoostingRounds | None:
        if checkpoint is None:
            return None

        def check(model: bytes, n_rounds: int) -> None:
            array = np.frombuffer(model, dtype=np.uint8)
            booster = self._load_text(array, self.n_features_in_, n_trees, objective)
            # a round without a split adds no tree
            if booster.current_iteration() > n_rounds:
                raise ValueError(f"its model has more than {n_rounds} rounds")

        sampled = self.colsample_bytree < 1 or (self.subsample < 1 and self.subsample_freq > 0)
        return BoostingRounds(
            checkpoint,
            self.n_estimators,
            n_parts=_PARTS if sampled else 1,
            patience=self.early_stopping_rounds,
            check=check,
            stage=stage,
        )

    def _predicted(self, booster: Any, rows: np.ndarray) -> np.ndarray:
        threads = {} if self.n_jobs is None else {"num_threads": int(self.n_jobs)}
        return booster.predict(rows, **threads)

    def _save_texts(self, boosters: list[Any]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        texts = [trees_only(booster.model_to_string()).encode("ascii") for booster in boosters]
        return {**self._names_state(), **self._output_state()}, {
            f"model_{i}": np.frombuffer(text, dtype=np.uint8) for i, text in enumerate(texts)
        }

    def _load_text(
        self, array: np.ndarray | None, n_features: int, n_trees: int, objective: str
    ) -> Any:
        lightgbm = load_lightgbm()
        if array is None or array.dtype != np.uint8 or array.ndim != 1:
            raise ValueError("the model must be an array of bytes")
        text = array.tobytes().decode("ascii")
        check_text(text, n_features, n_trees, objective)
        try:
            return lightgbm.Booster(model_str=text)
        except lightgbm.basic.LightGBMError as error:
            raise ValueError(f"LightGBM cannot read its model: {str(error)[:200]}") from error
