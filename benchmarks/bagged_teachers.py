"""Strong teachers of the tables in real_data.py: five models, each trained on four fifths of them.

A row's out-of-fold probabilities come from the one model that has not seen its label; all other
probabilities are the geometric mean of the five. So one training gives both kinds of targets.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from real_data import Split
from scipy.special import softmax
from sklearn.model_selection import StratifiedKFold
from xgboost import XGBClassifier

from soft_students.datasets import validation_split
from soft_students.persistence import atomic_write
from soft_students.teachers import train_teacher
from soft_students.teachers.base import InputRangeWarning

#: What each fold trains; several models are averaged.
MEMBERS: dict[str, tuple[str, ...]] = {
    "breast_cancer": ("mlp",),
    "wine": ("mlp",),
    "digits": ("cnn",),
    "diamonds": ("xgboost",),
    "flights": ("xgboost",),
    "fashion_mnist": ("cnn",),
    "mnist": ("cnn",),
}
N_FOLDS = 5
_LEAST = 1e-12


@dataclass(frozen=True)
class Bag:
    """The geometric mean of several models; called with rows, it gives probabilities."""

    models: list[Any]

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Return the probabilities of rows."""
        return _mean([_ask(model, X) for model in self.models])


def fit_bag(
    data: str, X: np.ndarray, y: np.ndarray, image_shape: tuple[int, int] | None, seed: int
) -> tuple[Bag, np.ndarray]:
    """Return the teacher, and its out-of-fold probabilities of the rows of X."""
    models = []
    out_of_fold = np.zeros((len(X), y.max() + 1))
    folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed)
    for fold, (seen, unseen) in enumerate(folds.split(X, y)):
        members = [
            _TRAIN[kind](X[seen], y[seen], image_shape, 100 * seed + fold) for kind in MEMBERS[data]
        ]
        models += members
        out_of_fold[unseen] = _mean([_ask(model, X[unseen]) for model in members])
    return Bag(models), out_of_fold


def cached_targets(cache: Path, data: str, parts: Split, seed: int) -> dict[str, np.ndarray]:
    """Return the teacher's probabilities, trained at the first call and kept in a file.

    Returns
    -------
    dict of str to ndarray
        "in_sample" and "out_of_fold" of the training rows, and "test".
    """
    path = cache / f"{data}-{seed}.npz"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        bag, out_of_fold = fit_bag(data, parts.X, parts.y, parts.image_shape, seed)
        with atomic_write(path) as file:
            np.savez(file, in_sample=bag(parts.X), out_of_fold=out_of_fold, test=bag(parts.X_test))
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def _mlp(X: np.ndarray, y: np.ndarray, shape: tuple[int, int] | None, seed: int) -> Any:
    # Three networks, and few epochs: on few rows one that trains long is far too sure of itself.
    return train_teacher(X, y, arch="mlp", n_models=3, epochs=40, random_state=seed, n_jobs=1)


def _cnn(X: np.ndarray, y: np.ndarray, shape: tuple[int, int] | None, seed: int) -> Any:
    # Left to its recipe, it trains for up to 60 epochs: more than large sets need.
    epochs = 10 if len(X) > 1500 else None
    return train_teacher(
        X, y, arch="cnn", input_shape=shape, epochs=epochs, random_state=seed, n_jobs=1
    )


def _boosted(X: np.ndarray, y: np.ndarray, shape: tuple[int, int] | None, seed: int) -> Any:
    # The best of five settings by out-of-fold log-loss on the training rows of the first seed.
    X, X_val, y, y_val = validation_split(X, y, fraction=0.15, random_state=seed)
    model = XGBClassifier(
        n_estimators=500,
        early_stopping_rounds=25,
        max_depth=4,
        learning_rate=0.05,
        subsample=0.8,
        n_jobs=1,
        random_state=seed,
    )
    return model.fit(X, y, eval_set=[(X_val, y_val)], verbose=False)


_TRAIN: dict[str, Callable[..., Any]] = {"mlp": _mlp, "cnn": _cnn, "xgboost": _boosted}


def _ask(model: Any, X: np.ndarray) -> np.ndarray:
    with warnings.catch_warnings():
        # A test row may lie outside the range of the training rows.
        warnings.simplefilter("ignore", InputRangeWarning)
        return np.asarray(model.predict_proba(X), dtype=np.float64)


def _mean(probabilities: list[np.ndarray]) -> np.ndarray:
    return softmax(np.mean(np.log(np.maximum(probabilities, _LEAST)), axis=0), axis=1)
