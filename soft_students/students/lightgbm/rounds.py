"""LightGBM's training with checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from soft_students.students.classical.boosting_rounds import BoostingRounds


def train_in_rounds(
    rounds: BoostingRounds,
    params: dict[str, Any],
    data: Any,
    *,
    held_out: Any = None,
    metric: Callable[..., Any] | None = None,
    after_first: Callable[[Any], None],
    text: Callable[[Any], str],
) -> str:
    """Train like `lightgbm.train`, continuing from the finished rounds.

    Parameters
    ----------
    rounds : BoostingRounds
    params : dict
        Parameters, including `seed`.
    data : lightgbm.Dataset
        Constructed data set that keeps its rows.
    held_out : lightgbm.Dataset or None
    metric : callable or None
        Metric on the held-out rows.
    after_first : callable
        Called with the booster after the first round, to add the initial scores to its leaves:
        predictions then add up in the order of training.
    text : callable
        Maps a booster to its model text.

    Returns
    -------
    str
        Model text of all rounds; with held-out rows, up to the best round.
    """
    from lightgbm import Booster, EarlyStopException, train

    def after_round(env: Any) -> None:
        if rounds.n_done == 0:
            after_first(env.model)
        losses = [result[2] for result in env.evaluation_result_list]
        finished = rounds.end_round(
            lambda: text(env.model).encode("ascii"), float(losses[-1]) if losses else None
        )
        if finished and losses:
            raise EarlyStopException(rounds.best, [])

    for n_rounds, seed in rounds.parts(params["seed"]):
        booster = train(
            params | {"seed": seed},
            data,
            num_boost_round=n_rounds,
            valid_sets=None if held_out is None else [held_out],
            feval=metric,
            init_model=None if rounds.model is None else Booster(model_str=rounds.model.decode()),
            callbacks=[after_round],
        )
        rounds.end_part(text(booster).encode("ascii"))
    return (rounds.model or b"").decode()
