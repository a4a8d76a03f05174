"""Types of options that click does not have."""

from __future__ import annotations

import ast
import csv
import json
from typing import Any

import click


class Setting(click.ParamType):
    """``name=value``, the value read as JSON or a Python literal, else as text.

    Names may contain dots: ``rkd.angle_weight=50``.
    """

    name = "name=value"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, Any]:
        """Return the name and the value."""
        if isinstance(value, tuple):
            return value
        name, equals, text = value.partition("=")
        if not equals or not all(part.isidentifier() for part in name.split(".")):
            self.fail(f"{value!r} is not of the form name=value.", param, ctx)
        for read in (json.loads, ast.literal_eval):
            try:
                return name, read(text)
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                continue  # Python raises the last two if brackets are nested too deeply
        return name, text


class NumberOrAuto(click.ParamType):
    """A number of another type, or the word ``auto``."""

    name = "number|auto"

    def __init__(self, number: click.ParamType) -> None:
        self.number = number

    def convert(self, value: Any, param: Any, ctx: Any) -> float | str:
        """Return the number, or ``"auto"``."""
        if value == "auto":
            return value
        try:
            float(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number nor 'auto'.", param, ctx)
        return self.number.convert(value, param, ctx)


class Shape(click.ParamType):
    """Sizes separated by commas, such as ``1,28,28``."""

    name = "sizes"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        """Return the sizes."""
        if isinstance(value, tuple):
            return value
        try:
            shape = tuple(int(size) for size in value.split(","))
        except ValueError:
            shape = ()
        if not shape or min(shape) < 1:
            self.fail(f"{value!r} is not a shape, such as 1,28,28.", param, ctx)
        return shape


class Labels(click.ParamType):
    """Labels separated by commas, such as ``low,medium,high``; a quoted one may hold a comma."""

    name = "label,..."

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, ...]:
        """Return the labels as text."""
        if isinstance(value, tuple):
            return value
        labels = tuple(next(csv.reader([value], skipinitialspace=True), ()))
        if len(labels) < 2 or len(set(labels)) < len(labels) or "" in labels:
            self.fail(f"{value!r} are not two or more different labels, such as a,b,c.", param, ctx)
        return labels


class Student(click.ParamType):
    """The name of a student, one of ``softkd students``."""

    name = "student"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        """Return the name."""
        from soft_students.students.registry import get_student

        try:
            get_student(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return value


class Students(Student):
    """Names of students, separated by commas."""

    name = "student,..."

    def convert(self, value: Any, param: Any, ctx: Any) -> list[str]:  # type: ignore[override]
        """Return the names."""
        if isinstance(value, list):
            return value
        names = [
            super(Students, self).convert(name.strip(), param, ctx) for name in value.split(",")
        ]
        if len(set(names)) < len(names):
            self.fail("A student is named twice.", param, ctx)
        return names


class Criteria(click.ParamType):
    """``name=weight`` separated by commas, or names alone, whose weights are equal."""

    def __init__(self, name: str = "criterion=weight,...") -> None:
        self.name = name

    def convert(self, value: Any, param: Any, ctx: Any) -> dict[str, float] | list[str]:
        """Return weights by the names of metrics, or these names."""
        if not isinstance(value, str):
            return value
        names, weights = [], []
        for part in value.split(","):
            name, equals, weight = part.partition("=")
            names.append(_criterion(self, name, param, ctx))
            weights.append(_number(self, part, weight, param, ctx) if equals else None)
        if len(set(names)) < len(names):
            self.fail("A criterion is named twice.", param, ctx)
        if all(weight is None for weight in weights):
            return names
        if None in weights:
            self.fail("Give a number to each criterion, or to none.", param, ctx)
        return {name: w for name, w in zip(names, weights, strict=True) if w is not None}


class Pairs(click.ParamType):
    """``one:two=value`` separated by commas."""

    name = "one:two=value,..."

    def convert(self, value: Any, param: Any, ctx: Any) -> dict[tuple[str, str], float]:
        """Return judgements by pairs of metrics."""
        if not isinstance(value, str):
            return value
        judgements: dict[tuple[str, str], float] = {}
        for part in value.split(","):
            pair, _, text = part.partition("=")
            one, colon, two = pair.partition(":")
            if not colon:
                self.fail(f"{part!r} is not of the form one:two=value.", param, ctx)
            key = (_criterion(self, one, param, ctx), _criterion(self, two, param, ctx))
            if key in judgements:
                self.fail(f"The pair {pair} is judged twice.", param, ctx)
            judgements[key] = _number(self, part, text, param, ctx)
        return judgements


def _criterion(kind: click.ParamType, name: str, param: Any, ctx: Any) -> str:
    if ctx is not None and ctx.resilient_parsing:  # completion does not wait for imports
        return name
    from soft_students.ranking import get_criterion

    try:
        return get_criterion(name.strip())
    except ValueError as error:
        kind.fail(str(error), param, ctx)


def _number(kind: click.ParamType, part: str, text: str, param: Any, ctx: Any) -> float:
    try:
        one, slash, two = text.partition("/")  # fractions such as 1/3 are numbers, too
        return float(one) / float(two) if slash else float(one)
    except (ValueError, ZeroDivisionError):
        kind.fail(f"{part!r} has no number after '='.", param, ctx)
