"""Describes the results of a comparison in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from soft_students.evaluation import get_metric
from soft_students.numerals import numeral

_METHODS = {
    "topsis": "TOPSIS: closeness to an ideal that is best in every criterion",
    "index": "a weighted sum of normalized values",
    "ahp": "a weighted sum, with weights from judgements of pairs (AHP)",
    "aggregate_index": "the weighted sum of ratios to a reference",
    "mean_index": "the mean of ratios to a reference",
}
_TILES = {
    "classification": ("accuracy", "agreement", "latency_us", "bytes"),
    "regression": ("r2", "r2_to_teacher", "latency_us", "bytes"),
}
_TITLES = {"latency_us": "time for one row", "bytes": "size"}  # otherwise the metric's title
_UNITS = {"latency_us": " µs", "bytes": " bytes"}
_FIDELITY = {
    "agreement": "of predictions are the teacher's",
    "r2_to_teacher": "1 would be exactly the teacher's values",
}
_EDGE = 0.005  # weights closer to 0 or 1 are not mentioned
_ALIKE = 1.05  # smaller ratios count as equal


@dataclass(frozen=True)
class Tile:
    """One figure of the chosen student, beside the teacher's.

    Parameters
    ----------
    title, value, interval, against : str
        `interval` and `against` are empty if unknown.
    """

    title: str
    value: str
    interval: str
    against: str


def tiles(results: Mapping[str, Any]) -> list[Tile]:
    """Return the main figures of the chosen student."""
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
    """Return the reasons for the choice, as a list of paragraphs."""
    ranking, data = results["ranking"], results["data"]
    winner, order = ranking["winner"], ranking["order"]
    score = ranking["scores"][winner]
    first = f"It has the highest score of the {len(order)} ranked students, {score:.3f}"
    if len(order) == 1:
        first = f"It is the only ranked student, with a score of {score:.3f}"
    else:
        second = order[1]
        first += f"; {second} is second with {ranking['scores'][second]:.3f}"
    method = _METHODS.get(ranking["method"], ranking["method"])
    first += (
        f". The score is {method}, with the normalization “{ranking['normalization']}”. It was "
        f"computed on {data['validation']:,} validation rows, which no student was trained on, and "
        "from costs measured one student at a time with "
        f"{results['threads']} thread{'s' if results['threads'] != 1 else ''}."
    )
    return [first, f"Criteria: {_criteria(ranking)}.", *_limits(ranking)]


def against_teacher(results: Mapping[str, Any]) -> str:
    """Return a comparison of the student's quality and costs with the teacher's, one paragraph."""
    text = f"On {results['data']['test']:,} test rows, used once and for no choice, "
    winner = results["ranking"]["winner"]
    student, teacher = results["students"][winner], results["teacher"]
    quality = "accuracy" if results["task"] == "classification" else "r2"
    metric = get_metric(quality)
    ours, theirs = student["test"][quality]["value"], teacher["test"][quality]["value"]
    text += f"its {metric.title} is {metric.show(ours)}; the teacher's is {metric.show(theirs)}."
    if results["task"] == "classification":
        agreement = student["test"]["agreement"]["value"]
        text += f" On {agreement:.2%} of them it predicts the same class as the teacher."
    for cost in ("latency_us", "bytes"):
        mine, taught = student["cost"][cost]["value"], teacher["cost"][cost]["value"]
        if mine is None or taught is None:
            continue
        show = get_metric(cost).show
        if cost == "latency_us":
            text += f" One row takes {show(mine)} µs, with the teacher {show(taught)} µs"
        else:
            text += f" Its file has {show(mine)} bytes, the teacher's parameters {show(taught)}"
        text += f": it is {_ratio(cost, mine, taught)}."
    return text


def sureness(results: Mapping[str, Any]) -> list[str]:
    """Return the sensitivity of the choice to weights and to chance, as a list of sentences."""
    ranking = results["ranking"]
    winner, found = ranking["winner"], ranking["sensitivity"]
    sentences = []
    if len(ranking["order"]) > 1:
        share = found["win_shares"][winner]
        moves = _moves(found["ranges"])
        measured = found.get("measured_shares")
        drawn = "" if measured is None else ", each with values measured again"
        sentences.append(
            f"{winner} wins with {share:.0%} of {found['draws']:,} random weights around those "
            f"given{drawn}. "
            + ("; ".join(moves) + "." if moves else "No change of one weight changes the winner.")
        )
        if measured is not None:
            sentences.append(
                f"With the weights as given, {winner} wins in {measured[winner]:.0%} of repeated "
                "measurements: of the validation rows, redrawn, and of the times, by their spread."
            )
    sentences += _significance(results)
    return [*sentences, *ranking["notes"]]


def _moves(ranges: Mapping[str, Any]) -> list[str]:
    moves = []
    for criterion, found in ranges.items():
        ends = (("below", "low", "winner_below"), ("above", "high", "winner_above"))
        for word, end, other in ends:
            if found[other] is not None and _EDGE < found[end] < 1 - _EDGE:
                moves.append(
                    f"{found[other]} would win if the weight of {_title(criterion)} were "
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
    findings = [
        f"{words} {', '.join(sides[side])}"
        for side, words in (
            ("more", "is more accurate than"),
            ("less", "is less accurate than"),
            ("same", "does not differ significantly from"),
        )
        if sides[side]
    ]
    return [
        f"By McNemar's test on the test rows (p below {level:.3g}, corrected for "
        f"{len(tests)} comparison{'s' if len(tests) > 1 else ''}), it {'; it '.join(findings)}."
    ]


def _criteria(ranking: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{_title(criterion)} with a weight of {weight:.2f} "
        f"({ranking['directions'][criterion]} is better)"
        for criterion, weight in ranking["weights"].items()
    )


def missed(results: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Return by how much each student misses each limit, the nearest student first."""
    ranking = results["ranking"]
    limits, misses = ranking["constraints"], ranking["misses"]

    def distance(name: str) -> tuple[bool, float]:
        shares = [by / (abs(limits[c]) or 1) for c, by in misses.get(name, {}).items()]
        return name not in misses, sum(shares)  # one with an unknown value is last

    told = []
    for name in sorted(ranking["excluded"], key=distance):
        of = {**results["students"][name]["validation"], **results["students"][name]["cost"]}
        lines = [
            _missed(criterion, of[criterion]["value"], limits[criterion], by)
            for criterion, by in misses.get(name, {}).items()
        ]
        unknown = [reason for reason in ranking["excluded"][name] if reason.endswith("unknown")]
        told.append((name, lines + unknown))
    return told


def _missed(criterion: str, value: float, limit: float, by: float) -> str:
    metric, unit = get_metric(criterion), _UNITS.get(criterion, "")
    short = "below" if metric.direction == "higher" else "above"
    size = f"{numeral(100 * by, 3)} points" if "%" in metric.format else numeral(by, 3) + unit
    text = f"{_title(criterion)} {metric.show(value)}{unit}, {size} {short} the limit of "
    text += f"{metric.show(limit)}{unit}"
    if criterion in _UNITS and limit > 0:
        text += f" ({numeral(value / limit, 3)} times)"
    return text


def _limits(ranking: Mapping[str, Any]) -> list[str]:
    if not ranking["constraints"]:
        return []
    limits = []
    for criterion, limit in ranking["constraints"].items():
        metric = get_metric(criterion)
        word = "at least" if metric.direction == "higher" else "at most"
        limits.append(f"{_title(criterion)} {word} {metric.show(limit)}{_UNITS.get(criterion, '')}")
    excluded = ranking["excluded"]
    effect = "No student is excluded."
    if excluded:
        each = [f"{name} ({', '.join(reasons)})" for name, reasons in excluded.items()]
        effect = f"Excluded: {'; '.join(each)}."
    return [f"Limits: {', '.join(limits)}. {effect}"]


def _title(metric: str) -> str:
    return _TITLES.get(metric, get_metric(metric).title)


def _against(metric: str, of: Mapping[str, Any], taught: Mapping[str, Any] | None) -> str:
    if metric in _FIDELITY:
        return _FIDELITY[metric]
    if taught is None or taught["value"] is None:
        return "unknown for the teacher"
    shown = get_metric(metric).show(taught["value"]) + _UNITS.get(metric, "")
    if metric in _UNITS:
        return f"{_ratio(metric, of['value'], taught['value'])}: {shown}"
    apart = of["value"] - taught["value"]
    size = f"{abs(apart) * 100:.2f} points" if metric == "accuracy" else f"{abs(apart):.4f}"
    side = "above" if apart > 0 else "below"
    return f"{size} {side} the teacher's {shown}" if apart else f"the teacher's is {shown}, too"


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
