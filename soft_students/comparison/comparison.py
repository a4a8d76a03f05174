"""Ranks students on held-out validation rows, and measures them once on the test rows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from threadpoolctl import threadpool_limits

from soft_students.choices import choose
from soft_students.comparison.answers import remove_answers, write_answers
from soft_students.comparison.distillation import frames, training_columns
from soft_students.comparison.training import TrainingResult, train_students
from soft_students.datasets import Dataset, validation_split
from soft_students.evaluation import METRICS, Evaluation, evaluate
from soft_students.persistence.atomic import remove_leftovers
from soft_students.persistence.plain_json import plain, write_json
from soft_students.ranking import (
    METHODS,
    Judgements,
    NoneLeftError,
    Ranking,
    check_weights,
    get_criterion,
    rank,
)
from soft_students.ranking.scores import load_pymcdm
from soft_students.students.files import load
from soft_students.teachers import Teacher
from soft_students.threads import torch_threads
from soft_students.versions import versions

_MARK = "comparison.json"
_SCHEMA = 1


@dataclass(frozen=True)
class Comparison:
    """Result of a comparison of students.

    Parameters
    ----------
    students : dict of str to estimator
        Fitted students, without those that failed.
    trainings : dict of str to TrainingResult
        TrainingResult of every student.
    ranking : Ranking
        Based on validation rows and costs.
    validation, test : Evaluation
        Metrics on the validation rows, with costs, and on the test rows, without costs.
    results : dict
        Content of ``results.json``.
    """

    students: dict[str, BaseEstimator]
    trainings: dict[str, TrainingResult]
    ranking: Ranking
    validation: Evaluation
    test: Evaluation
    results: dict[str, Any]


def compare_students(
    students: Mapping[str, BaseEstimator],
    teacher: Teacher,
    data: Dataset,
    folder: str | os.PathLike[str],
    *,
    criteria: Mapping[str, float] | Iterable[str] | Judgements,
    method: str = "topsis",
    normalization: str | None = None,
    reference: Mapping[str, float] | None = None,
    constraints: Mapping[str, float] | None = None,
    validation_fraction: float = 0.2,
    jobs: int = 1,
    random_state: int = 0,
    teacher_digest: str | None = None,
    origin: Mapping[str, Any] | None = None,
    pairs: Mapping[tuple[str, str], float] | None = None,
    command: str | None = None,
    on_trained: Callable[[TrainingResult], object] | None = None,
) -> Comparison:
    """Train students of one teacher, rank them, and measure them on the test rows.

    Students train on a part of the training rows and are ranked by the other part, the validation
    rows, and by their costs, measured with one thread after all trainings. Only then are the test
    rows used, once for each student: they do not influence the choice. The teacher was trained on
    the validation rows, so that agreement on them is agreement on the teacher's training data.

    Parameters
    ----------
    students : dict of str to estimator
        Students of this package, by their name in files and tables.
    teacher : Teacher
    data : Dataset
        If columns have names and the teacher records its training columns, those are used.
    folder : path-like
        Created if it does not exist. It must be empty or contain an earlier comparison, whose
        students are reused if their settings, teacher and rows are the same.
    criteria : dict of str to float, iterable of str, or Judgements
        Weights of metrics, or names of metrics with equal weights; also the aliases ``latency``,
        ``size`` and ``fidelity``.
    method, normalization : str
        See `soft_students.ranking.rank`. Errors of the values are those of the validation rows and
        of the timed calls.
    reference : dict of str to float, default=None
        By name of the metric, for methods that compare with a reference. None: the teacher's
        values, or, if one is unknown, the means of the students.
    constraints : dict of str to float, default=None
        Limits by name of the metric.
    validation_fraction : float, default=0.2
        Fraction of the training rows used for validation.
    jobs : int, default=1
        Number of students trained at once, see `train_students`.
    random_state : int, default=0
        Seed of the split, the intervals and the sensitivity. Students have their own.
    teacher_digest : str, default=None
        See `train_students`.
    origin : dict, default=None
        Description of the data, stored in bundles and results.
    pairs : dict of (str, str) to float, default=None
        Judgements from which `criteria` were computed, stored in the results.
    command : str, default=None
        Shell command, stored in the results.
    on_trained : callable, default=None
        Called with each `TrainingResult` when it ends.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        If arguments are invalid, all students failed, or limits exclude all (`NoneLeftError`). The
        test rows are then unused, and the trained students are kept for another call; what excludes
        each is in ``results.json``.
    FileExistsError
        If the folder contains anything but a comparison.
    ImportError
        If pymcdm is not installed.
    """
    load_pymcdm()  # fail before the training if it is missing
    weights = _criteria(criteria, data.task)
    limits = {get_criterion(name): limit for name, limit in (constraints or {}).items()}
    choose(METHODS, method, "method")
    _check_students(students, teacher, data)
    folder = _prepared(Path(folder))
    columns = training_columns(teacher, data)
    data = data if columns is None else data.select(columns)
    rest, validation = _split(data, validation_fraction, random_state)
    trainings = train_students(
        students,
        teacher,
        frames(rest)[0],
        rest.y_train,
        folder,
        jobs=jobs,
        teacher_digest=teacher_digest,
        origin=origin,
        on_trained=on_trained,
    )
    fitted = _loaded(trainings, folder)
    # One row gives threads nothing to share, and on a busy machine they wait for each other.
    with threadpool_limits(1), torch_threads(1):
        on_validation = evaluate(
            fitted, frames(validation)[1], validation.y_test, teacher, random_state=random_state
        )
    # the digests of the training rows stay in the bundles
    about = {name: value for name, value in (origin or {}).items() if name != "trained_rows"}

    def write(ranking: Mapping[str, Any], on_test: Evaluation | None) -> dict[str, Any]:
        results = _results(
            data, rest, validation, teacher, trainings, ranking, on_validation, on_test
        )
        results["data"] |= {"validation_fraction": validation_fraction, "origin": about}
        results["teacher"]["digest"] = teacher_digest
        results |= {"judgements": _judgements(criteria, pairs), "seed": random_state, "jobs": jobs}
        results = plain(results | {"command": command})
        write_json(folder / "results.json", results)
        return results

    values = on_validation.wide()
    try:
        ranking = rank(
            {name: values[name] for name in fitted},
            weights,
            method=method,
            normalization=normalization,
            reference=_reference(reference, values["teacher"], weights, method, normalization),
            constraints=limits,
            redrawn=on_validation.redrawn(weights, random_state=random_state),
            random_state=random_state,
        )
    except NoneLeftError as error:
        write({"winner": None, "constraints": limits, **vars(error)}, None)
        raise
    on_test = _on_test(fitted, teacher, data, on_validation, random_state)
    write_answers(folder, ranking.winner, on_test, data)
    results = write(ranking.as_dict(), on_test)
    return Comparison(fitted, trainings, ranking, on_validation, on_test, results)


def _loaded(trainings: Mapping[str, TrainingResult], folder: Path) -> dict[str, BaseEstimator]:
    fitted = {
        name: load(folder / training.file)
        for name, training in trainings.items()
        if training.file is not None
    }
    if not fitted:
        each = "; ".join(f"{name}: {training.error}" for name, training in trainings.items())
        raise ValueError(f"All students failed. {each}.")
    return fitted


def _metrics_of_rows(evaluation: Evaluation) -> list[str]:
    """Return the metrics that were measured and are no costs."""
    measured = {row["metric"] for row in evaluation.rows}
    return [name for name in METRICS if name in measured and not _is_cost(name)]


def _results(
    data: Dataset,
    rest: Dataset,
    validation: Dataset,
    teacher: Teacher,
    trainings: Mapping[str, TrainingResult],
    ranking: Mapping[str, Any],
    on_validation: Evaluation,
    on_test: Evaluation | None,
) -> dict[str, Any]:
    """Return what ``results.json`` holds, but for the arguments of `compare_students`."""
    return {
        "schema": _SCHEMA,
        "task": data.task,
        "data": {
            "name": data.name,
            "source": data.source,
            "image_shape": data.image_shape,
            "classes": None if data.classes is None else data.classes.tolist(),
            "feature_names": data.feature_names,
            "train": len(rest.X_train),
            "validation": len(validation.X_test),
            "test": len(data.X_test),
        },
        "teacher": {"name": teacher.name, **_figures("teacher", on_validation, on_test)},
        "students": {
            name: _about(training, on_validation, on_test) for name, training in trainings.items()
        },
        "ranking": ranking,
        "mcnemar": []
        if on_test is None or data.task != "classification"
        else _mcnemar(ranking["winner"], on_test),
        "confidence": on_validation.confidence,
        "threads": on_validation.threads,
        "versions": versions(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _reference(
    given: Mapping[str, float] | None,
    teacher: Mapping[str, float | None],
    criteria: Iterable[str],
    method: str,
    normalization: str | None,
) -> dict[str, float] | None:
    """Return the reference as given, or the teacher's values if all are known and needed."""
    if given is not None:
        return {get_criterion(name): value for name, value in given.items()}
    values = {name: teacher.get(name) for name in criteria}
    wanted = (normalization or METHODS[method][1]) == "reference"
    if not wanted or not all(value is not None and value > 0 for value in values.values()):
        return None
    return {name: float(value) for name, value in values.items() if value is not None}


def _on_test(
    fitted: Mapping[str, BaseEstimator],
    teacher: Teacher,
    data: Dataset,
    on_validation: Evaluation,
    random_state: int,
) -> Evaluation:
    """Evaluate on the test rows by the metrics of rows that were measured on validation rows."""
    return evaluate(
        dict(fitted),
        frames(data)[1],
        data.y_test,
        teacher,
        metrics=_metrics_of_rows(on_validation),
        random_state=random_state,
    )


def _criteria(
    criteria: Mapping[str, float] | Iterable[str] | Judgements, task: str
) -> dict[str, float] | list[str]:
    given = criteria.weights if isinstance(criteria, Judgements) else criteria
    names = [get_criterion(name) for name in given]
    for name in names:
        if METRICS[name].task not in (None, task):
            raise ValueError(
                f"The criterion {name!r} is for {METRICS[name].task}, but the data are for {task}."
            )
    if isinstance(given, Mapping):
        pairs = list(zip(names, given.values(), strict=True))
        if len(dict(pairs)) < len(pairs):
            check_weights(names)  # raises with the name given twice
        check_weights(dict(pairs))
        return dict(pairs)
    check_weights(names)
    return names


def _check_students(students: Mapping[str, BaseEstimator], teacher: Teacher, data: Dataset) -> None:
    if not students:
        raise ValueError("No student to compare: students is empty.")
    taken = {"teacher", Path(_MARK).stem, "results"} & set(students)
    if taken:
        raise ValueError(
            f"No student may be called {', '.join(sorted(taken))!r}: the name is reserved."
        )
    if teacher.task != data.task:
        raise ValueError(
            f"The teacher {teacher.name!r} is for {teacher.task}, but {data.name!r} is for "
            f"{data.task}. Choose data or a teacher of the same task."
        )


def _prepared(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / _MARK
    if not mark.exists():
        if any(folder.iterdir()):
            raise FileExistsError(
                f"The folder '{folder}' contains files that are not of a comparison. Choose an "
                "empty or a new one."
            )
        write_json(mark, {"schema": _SCHEMA, "made_by": "soft_students.comparison"})
    remove_leftovers(folder)
    # If this run is interrupted, earlier results must not be mistaken for its own.
    (folder / "results.json").unlink(missing_ok=True)
    remove_answers(folder)
    return folder


def _split(data: Dataset, fraction: float, random_state: int) -> tuple[Dataset, Dataset]:
    """Return the data for training, and the same data with the validation rows as test rows."""
    X, X_validation, y, y_validation = validation_split(
        data.X_train, data.y_train, fraction=fraction, random_state=random_state
    )
    rest = replace(data, X_train=np.ascontiguousarray(X), y_train=y)
    return rest, replace(rest, X_test=np.ascontiguousarray(X_validation), y_test=y_validation)


def _about(
    training: TrainingResult, validation: Evaluation, test: Evaluation | None
) -> dict[str, Any]:
    if training.error is not None:
        return {"status": "failed", "error": training.error, "class": training.student_class}
    record = asdict(training)
    kept = (
        "error", "file", "sha256", "parameters", "seconds", "cpu_seconds", "threads", "versions",
        "warnings", "resumed",
    )  # fmt: skip
    return {
        "status": "trained",
        "class": training.student_class,
        **{key: record[key] for key in kept},
        **_figures(training.name, validation, test),
    }


def _figures(model: str, validation: Evaluation, test: Evaluation | None) -> dict[str, Any]:
    def figures(of: Evaluation | None, costs: bool) -> dict[str, Any]:
        if of is None:
            return {}
        return {
            row["metric"]: {key: row[key] for key in ("value", "low", "high", "interval", "unit")}
            for row in of.rows
            if row["model"] == model and _is_cost(row["metric"]) == costs
        }

    return {
        "validation": figures(validation, False),
        "test": figures(test, False),
        "cost": figures(validation, True),
    }


def _is_cost(metric: str) -> bool:
    return METRICS[metric].group == "cost"


def _judgements(
    criteria: Mapping[str, float] | Iterable[str] | Judgements,
    pairs: Mapping[tuple[str, str], float] | None,
) -> dict[str, Any] | None:
    if not isinstance(criteria, Judgements):
        return None
    return {"pairs": [[*pair, value] for pair, value in (pairs or {}).items()], **asdict(criteria)}


def _mcnemar(winner: str, test: Evaluation) -> list[dict[str, Any]]:
    found = []
    for (one, two), tested in test.mcnemar().items():
        if winner in (one, two):
            result = asdict(tested)
            if two == winner:
                one, two = two, one
                result |= {
                    "only_first": tested.only_second,
                    "only_second": tested.only_first,
                }
            found.append({"first": one, "second": two, **result})
    return found
