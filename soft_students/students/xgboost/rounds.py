"""XGBoost's training with checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xgboost
from xgboost import Booster, DMatrix
from xgboost.callback import EvaluationMonitor, TrainingCallback

from soft_students.students.classical.boosting_rounds import BoostingRounds


def train_in_rounds(
    rounds: BoostingRounds,
    params: dict[str, Any],
    data: DMatrix,
    *,
    objective: Callable[[np.ndarray, DMatrix], tuple[np.ndarray, np.ndarray]] | None = None,
    held_out: Sequence[tuple[DMatrix, str]] = (),
    metric: Callable[[np.ndarray, DMatrix], tuple[str, float]] | None = None,
) -> Booster:
    """Train like `xgboost.train`, continuing from the finished rounds.

    Parameters
    ----------
    rounds : BoostingRounds
    params : dict
        Parameters, including `random_state`.
    data : DMatrix
    objective, held_out, metric
        See `obj`, `evals` and `custom_metric` of `xgboost.train`.

    Returns
    -------
    Booster
        Model of all rounds; with held-out rows it has a `best_iteration`, as after `xgboost.train`.
    """
    for n_rounds, seed in rounds.parts(params["random_state"]):
        booster = xgboost.train(
            params | {"random_state": seed},
            data,
            num_boost_round=n_rounds,
            obj=objective,
            evals=held_out,
            custom_metric=metric,
            verbose_eval=False,
            callbacks=[_AfterRound(rounds)],
            xgb_model=None if rounds.model is None else bytearray(rounds.model),
        )
        rounds.end_part(_model(booster))
    booster = Booster(params, model_file=bytearray(rounds.model or b""))
    if rounds.losses:
        booster.set_attr(best_iteration=str(rounds.best))
    return booster


def _model(booster: Booster) -> bytes:
    return bytes(booster.save_raw("ubj"))


class _AfterRound(TrainingCallback):
    """Callback that counts each round and stops the training."""

    def __init__(self, rounds: BoostingRounds) -> None:
        super().__init__()
        self._rounds = rounds

    def after_iteration(
        self, model: Booster, epoch: int, evals_log: EvaluationMonitor.EvalsLog
    ) -> bool:
        losses: list[Any] = [log[-1] for metrics in evals_log.values() for log in metrics.values()]
        return self._rounds.end_round(lambda: _model(model), losses[-1] if losses else None)
