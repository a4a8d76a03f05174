"""What the results of a comparison say, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from soft_students.evaluation import get_metric

_METHODS = {
    "topsis": "TOPSIS: closeness to an ideal that is best in everything",
    "index": "a weighted sum of comparable values",
    "ahp": "a weighted sum, with weights from judgements of pairs (AHP)",
}
_TILES = {
    "classification": ("accuracy", "agreement", "latency_us", "bytes"),
    "regression": ("r2", "r2_to_teacher", "latency_us", "bytes"),
}
_TITLES = {"latency_us": "time of one row", "bytes": "size"}  # else the metric's own
_UNITS = {"latency_us": " µs", "bytes": " bytes"}
_FIDELITY = {
    "agreement": "of choices are the teacher's",
    "r2_to_teacher": "1 would be the teacher's values",
}
_EDGE = 0.005  # a weight nearer to none or to all is no other opinion
_ALIKE = 1.05  # a ratio below it is no difference worth a word


@dataclass(frozen=True)
class Tile:
    """One figure of the chosen student, beside the teacher's.

    Parameters
    ----------
    title, value, interval, against : str
        `interval` and `against` are empty where nothing is known.
    """

    title: str
    value: str
    interval: str
    against: str


def tiles(results: Mapping[str, Any]) -> list[Tile]:
    """Return the figures by which the chosen student is best known."""
    student = results["students"][results["ranking"]["winner"]]
    made = []
    for metric in _TILES[results["task"]]:
        of = student["test"].get(metric) or student["cost"].get(metric)
        taught = results["teacher"]["test"].get(metric) or results["teacher"]["cost"].get(metric)
        if of is None or of["value"] is None:
            continue
        show = get_metric(metric).show
        interval = ""
        if of["interval"] == "bootstrap" and of["low"] is not None:
            interval = f"{results['confidence']:.0%} interval {show(of['low'])} to "
            interval += show(of["high"])
        elif of["low"] is not None:
            interval = f"half of the calls {show(of['low'])} to {show(of['high'])} µs"
        value = show(of["value"]) + _UNITS.get(metric, "")
        made.append(Tile(_title(metric), value, interval, _against(metric, of, taught)))
    return made


def choice(results: Mapping[str, Any]) -> list[str]:
    """Return why the chosen student was chosen: sentences by paragraph."""
    ranking, data = results["ranking"], results["data"]
    winner, order = ranking["winner"], ranking["order"]
    score = ranking["scores"][winner]
    ranked = f"the {len(order)} students that were ranked"
    first = f"It has the highest score of {ranked}, {score:.3f}"
    if len(order) == 1:
        first = f"It is the only student that was left to rank, with a score of {score:.3f}"
    else:
        second = order[1]
        first += f"; {second} comes next with {ranking['scores'][second]:.3f}"
    method = _METHODS.get(ranking["method"], ranking["method"])
    first += (
        f". The score is {method}, of values made comparable by the normalization "
        f"“{ranking['normalization']}”. It was computed on {data['validation']:,} training rows "
        "from which no student learnt, and from costs measured one student at a time with "
        f"{results['threads']} thread{'s' if results['threads'] != 1 else ''}."
    )
    return [first, f"What counted: {_criteria(ranking)}.", *_limits(ranking)]


def against_teacher(results: Mapping[str, Any]) -> str:
    """Return what the student costs against the teacher, in one paragraph."""
    rows = f"On {results['data']['test']:,} test rows, used once and for no choice, "
    winner = results["ranking"]["winner"]
    student, teacher = results["students"][winner], results["teacher"]
    quality = "accuracy" if results["task"] == "classification" else "r2"
    metric = get_metric(quality)
    ours, theirs = student["test"][quality]["value"], teacher["test"][quality]["value"]
    said = rows + f"its {metric.title} is {metric.show(ours)}; the teacher's is "
    said += f"{metric.show(theirs)}."
    if results["task"] == "classification":
        agreement = student["test"]["agreement"]["value"]
        said += f" On {agreement:.2%} of them it chooses the same class as the teacher."
    for cost in ("latency_us", "bytes"):
        mine, taught = student["cost"][cost]["value"], teacher["cost"][cost]["value"]
        if mine is None or taught is None:
            continue
        show = get_metric(cost).show
        if cost == "latency_us":
            said += f" One row takes {show(mine)} µs, by the teacher {show(taught)} µs"
        else:
            said += f" Its file has {show(mine)} bytes, the teacher's parameters {show(taught)}"
        said += f": it is {_ratio(cost, mine, taught)}."
    return said


def sureness(results: Mapping[str, Any]) -> list[str]:
    """Return how much the choice hangs on weights and on chance: sentences."""
    ranking = results["ranking"]
    winner, found = ranking["winner"], ranking["sensitivity"]
    said = []
    if len(ranking["order"]) > 1:
        share = found["win_shares"][winner]
        moves = _moves(found["ranges"])
        said.append(
            f"Of {found['draws']:,} random weights around those given, {winner} wins with "
            f"{share:.0%}. "
            + ("; ".join(moves) + "." if moves else "No change of one weight makes another win.")
        )
    said += _significance(results)
    return [*said, *ranking["notes"]]


def _moves(ranges: Mapping[str, Any]) -> list[str]:
    moves = []
    for criterion, found in ranges.items():
        ends = (("below", "low", "winner_below"), ("above", "high", "winner_above"))
        for word, end, other in ends:
            if found[other] is not None and _EDGE < found[end] < 1 - _EDGE:
                moves.append(
                    f"{found[other]} would win if {_title(criterion)} weighed "
                    f"{word} {found[end]:.2f} instead of {found['weight']:.2f}"
                )
    return moves


def _significance(results: Mapping[str, Any]) -> list[str]:
    tests = results["mcnemar"]
    if not tests:
        return []
    level = (1 - results["confidence"]) / len(tests)
    sides: dict[str, list[str]] = {"more": [], "less": [], "same": []}
    for test in tests:
        side = "more" if test["only_first"] > test["only_second"] else "less"
        sides[side if test["pvalue"] < level else "same"].append(test["second"])
    said = [
        f"{words} {', '.join(sides[side])}"
        for side, words in (
            ("more", "is right more often than"),
            ("less", "is right less often than"),
            ("same", "cannot be told apart from"),
        )
        if sides[side]
    ]
    return [
        f"By McNemar's test on the test rows (p below {level:.3g}, which allows for "
        f"{len(tests)} comparison{'s' if len(tests) > 1 else ''}), it {'; it '.join(said)}."
    ]


def _criteria(ranking: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{_title(criterion)} with a weight of {weight:.2f} "
        f"({ranking['directions'][criterion]} is better)"
        for criterion, weight in ranking["weights"].items()
    )


def _limits(ranking: Mapping[str, Any]) -> list[str]:
    if not ranking["constraints"]:
        return []
    limits = []
    for criterion, limit in ranking["constraints"].items():
        metric = get_metric(criterion)
        word = "at least" if metric.direction == "higher" else "at most"
        limits.append(f"{_title(criterion)} {word} {metric.show(limit)}{_UNITS.get(criterion, '')}")
    excluded = ranking["excluded"]
    whom = "They exclude nobody."
    if excluded:
        each = [f"{name} ({', '.join(reasons)})" for name, reasons in excluded.items()]
        whom = f"Excluded: {'; '.join(each)}."
    return [f"Limits: {', '.join(limits)}. {whom}"]


def _title(metric: str) -> str:
    return _TITLES.get(metric, get_metric(metric).title)


def _against(metric: str, of: Mapping[str, Any], taught: Mapping[str, Any] | None) -> str:
    if metric in _FIDELITY:
        return _FIDELITY[metric]
    if taught is None or taught["value"] is None:
        return "the teacher's is unknown"
    shown = get_metric(metric).show(taught["value"]) + _UNITS.get(metric, "")
    if metric in _UNITS:
        return f"{_ratio(metric, of['value'], taught['value'])}: {shown}"
    apart = of["value"] - taught["value"]
    said = f"{abs(apart) * 100:.2f} points" if metric == "accuracy" else f"{abs(apart):.4f}"
    side = "above" if apart > 0 else "below"
    return f"{said} {side} the teacher's {shown}" if apart else f"the teacher's is {shown}, too"


def _ratio(cost: str, mine: float, taught: float) -> str:
    """Compare the cost of a student with the teacher's, in words."""
    better, worse, same = ("faster", "slower", "as fast as")
    if cost == "bytes":
        better, worse, same = ("smaller", "larger", "as large as")
    large, small = max(mine, taught), min(mine, taught)
    if small <= 0 or large / small < _ALIKE:
        return f"{same} the teacher"
    times = f"{large / small:,.0f}" if large >= 10 * small else f"{large / small:.1f}"
    return f"{times} times {better if mine < taught else worse} than the teacher"
