"""Criteria of a ranking: names, weights, directions and limits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from soft_students.choices import unknown
from soft_students.evaluation import METRICS
from soft_students.numerals import told_apart

#: Short names of metrics.
ALIASES = {"latency": "latency_us", "size": "bytes", "fidelity": "agreement"}

Values = Mapping[str, float | None]


def get_criterion(name: str) -> str:
    """Return the name of the metric that a criterion stands for.

    Parameters
    ----------
    name : str
        A key of `soft_students.evaluation.METRICS` or of `ALIASES`.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If the criterion is unknown; the message lists the available ones.

    Examples
    --------
    >>> from soft_students.ranking import get_criterion
    >>> get_criterion("latency"), get_criterion("accuracy")
    ('latency_us', 'accuracy')
    """
    name = ALIASES.get(name, name)
    if name in METRICS:
        return name
    raise ValueError(unknown([*ALIASES, *METRICS], name, "criterion"))


def check_weights(
    weights: Mapping[str, float] | Iterable[str],
) -> tuple[dict[str, float], str | None]:
    """Return weights scaled to sum to one, and a note if the scale changed.

    Parameters
    ----------
    weights : dict of str to float, or iterable of str
        Non-negative, not all zero, on any scale. Names alone get equal weights.

    Returns
    -------
    weights : dict of str to float
    note : str or None

    Raises
    ------
    ValueError
        If no weight is given, one is negative or not finite, or all are zero.

    Examples
    --------
    >>> from soft_students.ranking import check_weights
    >>> weights, note = check_weights({"accuracy": 2, "bytes": 2})
    >>> weights
    {'accuracy': 0.5, 'bytes': 0.5}
    >>> note
    'The weights sum to 4, not to 1: each was divided by that.'
    """
    names = list(weights)
    if not names:
        raise ValueError("No criterion to rank by. Give at least one, such as accuracy.")
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"Each criterion must be named once. Repeated: {', '.join(twice)}.")
    equal = not isinstance(weights, Mapping)
    given = dict.fromkeys(names, 1.0)
    if isinstance(weights, Mapping):
        given = {name: float(weight) for name, weight in weights.items()}
    for name, weight in given.items():
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(f"The weight of {name!r} must be 0 or more. Got {weight}.")
    total = sum(given.values())
    if total == 0:
        raise ValueError("At least one criterion must have a weight above 0. All are 0.")
    note = None
    if not (equal or math.isclose(total, 1, abs_tol=1e-9)):
        note = f"The weights sum to {total:g}, not to 1: each was divided by that."
    return {name: weight / total for name, weight in given.items()}, note


def check_directions(names: Iterable[str], directions: Mapping[str, str] | None) -> dict[str, str]:
    """Return the better direction of each criterion, "higher" or "lower".

    Parameters
    ----------
    names : iterable of str
    directions : dict of str to str, or None
        Directions of criteria that are not metrics, and of metrics whose direction differs.

    Returns
    -------
    dict of str to str

    Raises
    ------
    ValueError
        If a criterion is neither a metric nor in `directions`, or a direction is invalid.
    """
    known = {name: metric.direction for name, metric in METRICS.items()} | dict(directions or {})
    found = {}
    for name in names:
        if name not in known:
            raise ValueError(
                f"{unknown(known, name, 'criterion')} A custom criterion needs a direction: "
                f"directions={{{name!r}: 'lower'}}."
            )
        if known[name] not in ("higher", "lower"):
            raise ValueError(
                f"The direction of {name!r} must be 'higher' or 'lower'. Got {known[name]!r}."
            )
        found[name] = known[name]
    return found


def exclusions(
    values: Mapping[str, Values],
    criteria: Iterable[str],
    constraints: Mapping[str, float],
    directions: Mapping[str, str],
) -> dict[str, list[str]]:
    """Return the students that cannot be ranked, with the reasons.

    Parameters
    ----------
    values : dict of str to dict
        Values by student, then by criterion; None or NaN is unknown.
    criteria : iterable of str
        Criteria whose values must be known and finite.
    constraints : dict of str to float
        Limit by criterion: a minimum where "higher" is better, a maximum where "lower" is.
    directions : dict of str to str

    Returns
    -------
    dict of str to list of str
        Reasons by excluded student.
    """
    found: dict[str, list[str]] = {}
    for name, of in values.items():
        reasons = [
            f"its {criterion} is unknown" for criterion in criteria if not _known(of, criterion)
        ]
        for criterion, limit in constraints.items():
            value = of.get(criterion)
            if value is None or math.isnan(value):
                reason = f"its {criterion} is unknown"
                reasons += [] if reason in reasons else [reason]
            elif _miss(value, limit, directions[criterion]) > 0:
                side = "below" if directions[criterion] == "higher" else "above"
                reasons.append(f"{criterion} {_compared(value, side, limit)}")
        if reasons:
            found[name] = reasons
    return found


def misses(
    values: Mapping[str, Values], constraints: Mapping[str, float], directions: Mapping[str, str]
) -> dict[str, dict[str, float]]:
    """Return by how much each student misses each limit that it misses.

    Parameters
    ----------
    values : dict of str to dict
    constraints : dict of str to float
    directions : dict of str to str

    Returns
    -------
    dict of str to dict of str to float
        Differences above 0, by student and criterion; unknown values are left out.
    """
    found: dict[str, dict[str, float]] = {}
    for name, of in values.items():
        for criterion, limit in constraints.items():
            value = of.get(criterion)
            if value is not None and (by := _miss(value, limit, directions[criterion])) > 0:
                found.setdefault(name, {})[criterion] = by
    return found


def _miss(value: float, limit: float, direction: str) -> float:
    return limit - value if direction == "higher" else value - limit


def _known(of: Values, criterion: str) -> bool:
    value = of.get(criterion)
    return value is not None and math.isfinite(value)


def _compared(value: float, side: str, limit: float) -> str:
    one, two = _show(value), _show(limit)
    if one == two:
        one, two = told_apart([value, limit])
    return f"{one} is {side} {two}"


def _show(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
