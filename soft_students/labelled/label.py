"""A teacher labels more rows than memory holds, part by part, in one process or on a cluster."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
import warnings
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soft_students.labelled.labelling import Assignment, TeacherFile, is_done, label_part
from soft_students.labelled.manifest import (
    read_manifest,
    settings_sha256,
    write_manifest,
)
from soft_students.labelled.parts import LabelledPart, file_sha256, parts_of
from soft_students.labelled.plan import Plan, find_sources, make_plan
from soft_students.targets import check_temperature

if TYPE_CHECKING:
    from distributed import Client

    from soft_students.teachers import Teacher

#: A cluster that is started when it is needed, for so many parts.
Cluster = Callable[[int], contextlib.AbstractContextManager["Client"]]

#: What a teacher's answers can be written as.
KINDS = ("logits", "probabilities")


@dataclass
class Labelling:
    """What a run has done.

    Attributes
    ----------
    folder : Path
    n_files, n_parts, n_rows : int
        Of all that was to be labelled, as far as it could be read.
    n_kept : int
        Parts that an earlier run had finished.
    labelled : list of str
        Names of the parts that this run has finished.
    n_rows_labelled : int
        Rows in them.
    failures : dict of str to str
        What is wrong, by file or part.
    seconds : float
    """

    folder: Path
    n_files: int
    n_parts: int
    n_rows: int
    n_kept: int = 0
    labelled: list[str] = field(default_factory=list)
    n_rows_labelled: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


def label_parts(
    teacher: str | os.PathLike[str] | TeacherFile,
    data: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    folder: str | os.PathLike[str],
    *,
    kind: str | None = None,
    temperature: float | None = None,
    target: str | None = None,
    exclude: Sequence[str] = (),
    part_rows: int | None = None,
    force: bool = False,
    client: Client | Cluster | None = None,
    on_part: Callable[[int, int], None] | None = None,
) -> Labelling:
    """Have a teacher label the rows of files, into a folder that `LabelledParts` reads.

    A part is some rows of one file: whole row groups of Parquet, whole chunks of Zarr. It is read
    and labelled some thousand rows at a time, on one thread, and its targets appear in the folder
    once they are complete. A run that was interrupted, or lost a worker, is completed by another
    with the same arguments, to the same bytes; so is a folder to whose data files were added.

    Parameters
    ----------
    teacher : str, path-like or TeacherFile
        The teacher's file. Workers read it themselves, once each.
    data : str, path-like or sequence of them
        A pattern, such as ``"big/*.parquet"``, or paths: Parquet, NPY, or folders of Zarr arrays.
    folder : str or path-like
        Where the targets go. Workers must see it, the data and the teacher under the same paths.
    kind : {"logits", "probabilities"}, default=None
        What is written of a classifier. None stands for logits, which give probabilities at any
        temperature.
    temperature : float, default=None
        Of probabilities. None stands for 1.
    target : str, default=None
        Column of true labels: no feature, but read by `LabelledPart.labels`.
    exclude : sequence of str, default=()
        Further columns that are no features. A teacher that knows the names of its features takes
        them alone, anyway.
    part_rows : int, default=None
        Rows of a part, about. None stands for 262,144, or fewer of more than 128 features.
    force : bool, default=False
        Begin anew in a folder that holds labels of another teacher or other settings.
    client : distributed.Client or callable, default=None
        Whose workers label. A callable is called if there is something to do, with the number of
        parts, and returns a context manager that gives the client, such as `dask_client`. None
        labels in this process.
    on_part : callable, default=None
        Called with the number of finished rows and that of all, after each part.

    Returns
    -------
    Labelling
        With what could not be labelled in `failures`; all else is.

    Raises
    ------
    FileNotFoundError
        If no file matches `data`, or the teacher is missing.
    ValueError
        If no file can be labelled, or the folder holds other labels, or an argument is not fit.

    Warns
    -----
    UserWarning
        What the teacher warned of, once a category.
    """
    began = time.perf_counter()
    file = teacher if isinstance(teacher, TeacherFile) else TeacherFile(os.fspath(teacher))
    file = replace(file, path=os.path.abspath(file.path))
    model = file.load()
    kind, temperature = _check_kind(model, kind, temperature)
    if part_rows is not None and part_rows < 1:
        raise ValueError(f"'part_rows' must be at least 1. Got {part_rows}.")
    found = _check_data(data, folder)
    old = _old_manifest(folder, force)
    plan = make_plan(
        found,
        folder,
        n_features=model.n_features_in_,
        columns=_columns_of(model),
        order=None if old is None else old["settings"]["columns"],
        target=target,
        exclude=exclude,
        part_rows=part_rows,
    )
    teacher_sha256 = file_sha256(file.path)
    settings = {
        "teacher_sha256": teacher_sha256,
        "task": model.task,
        "kind": kind,
        "temperature": temperature,
        "classes": None if model.classes_ is None else model.classes_.tolist(),
        "n_features": plan.n_features,
        "columns": plan.columns,
        "target": target,
        "part_rows": part_rows,
        **({} if file.kind is None else {"outputs": file.kind}),
    }
    if old is not None and not force:
        _check_same(folder, old, settings, plan)
    assignment = Assignment(file, teacher_sha256, settings_sha256(settings))
    parts = _prepare(folder, old, force, model.name, settings, plan)
    todo = [part for part in parts if not is_done(part, assignment)]
    labelling = Labelling(
        folder=Path(folder),
        n_files=len(found),
        n_parts=len(parts),
        n_rows=sum(part.n_rows for part in parts),
        n_kept=len(parts) - len(todo),
        failures=plan.failures,
    )
    complaints: dict[str, list[str]] = {}
    finished = labelling.n_rows - sum(part.n_rows for part in todo)
    with contextlib.closing(_outcomes(todo, assignment, client)) as outcomes:
        for part, outcome in outcomes:
            if isinstance(outcome, Exception):
                labelling.failures[part.name] = str(outcome) or type(outcome).__name__
                continue
            for category, text in outcome.items():
                complaints.setdefault(category, []).append(f"{part.name}: {text}")
            labelling.labelled.append(part.name)
            labelling.n_rows_labelled += part.n_rows
            finished += part.n_rows
            if on_part is not None:
                on_part(finished, labelling.n_rows)
    for texts in complaints.values():
        more = "" if len(texts) == 1 else f" (The same of {len(texts) - 1} further parts.)"
        warnings.warn(min(texts) + more, UserWarning, stacklevel=2)
    labelling.seconds = time.perf_counter() - began
    return labelling


def _check_kind(
    model: Teacher, kind: str | None, temperature: float | None
) -> tuple[str, float | None]:
    if model.task == "regression":
        if kind is not None or temperature is not None:
            raise ValueError(
                f"The teacher {model.name!r} predicts values: leave out kind and temperature."
            )
        return "values", None
    kind = kind or "logits"
    if kind not in KINDS:
        raise ValueError(f"'kind' must be one of {', '.join(map(repr, KINDS))}. Got {kind!r}.")
    if kind == "logits":
        if temperature is not None:
            raise ValueError(
                "A temperature belongs to probabilities: set kind='probabilities', or leave it out;"
                " logits give probabilities at any temperature later."
            )
        return kind, None
    temperature = 1.0 if temperature is None else temperature
    check_temperature(temperature)
    return kind, float(temperature)


def _check_data(data: Any, folder: str | os.PathLike[str]) -> dict[str, str]:
    found = find_sources(data)
    if not found:
        raise FileNotFoundError(f"There is no file '{data}'.")
    inside = os.path.join(os.path.realpath(folder), "")
    for path in found:
        if os.path.join(os.path.realpath(path), "").startswith(inside):
            raise ValueError(
                f"'{path}' lies in '{folder}', where the targets go. Choose another folder."
            )
    return found


def _columns_of(model: Teacher) -> list[str] | None:
    """Return the names of the features that a teacher remembers."""
    from soft_students.teachers import EstimatorTeacher

    names = None if model.record is None else model.record.data.get("feature_names")
    if isinstance(model, EstimatorTeacher):
        names = getattr(model.estimator, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]


def _old_manifest(folder: str | os.PathLike[str], force: bool) -> dict[str, Any] | None:
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"'{folder}' is a file. Choose a folder for the targets.")
    try:
        return read_manifest(folder)
    except FileNotFoundError:
        # What a kill leaves behind is hidden.
        there = [] if not folder.exists() else sorted(p.name for p in folder.iterdir())
        there = [name for name in there if not name.startswith(".")]
        if there and not force:
            raise ValueError(
                f"'{folder}' holds other files ('{there[0]}'). Choose a new or empty folder."
            ) from None
    except ValueError:
        if not force:
            raise
    return None


def _check_same(
    folder: str | os.PathLike[str], old: dict[str, Any], settings: dict[str, Any], plan: Plan
) -> None:
    changed = [
        f"{name} was {_brief(old['settings'][name])} and is {_brief(value)}"
        for name, value in settings.items()
        if old["settings"][name] != value
    ]
    present = {source["name"] for source in plan.sources}
    gone = [source["name"] for source in old["sources"] if source["name"] not in present]
    if gone:
        changed.append(f"{len(gone)} files are no longer among the data, such as '{gone[0]}'")
    if changed:
        raise ValueError(
            f"'{folder}' holds labels that were made in another way: {'; '.join(changed)}. Choose "
            "another folder, or begin anew: --force, or force=True."
        )


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _prepare(
    folder: str | os.PathLike[str],
    old: dict[str, Any] | None,
    force: bool,
    teacher: str,
    settings: dict[str, Any],
    plan: Plan,
) -> list[LabelledPart]:
    """Write the manifest, and remove what an earlier one lists besides."""
    os.makedirs(folder, exist_ok=True)
    new = {"teacher": teacher, "settings": settings, "sources": plan.sources}
    parts = parts_of(folder, new)
    names = {part.name for part in parts}
    for part in [] if old is None else parts_of(folder, old):
        if force or part.name not in names:
            for path in (Path(part.path).with_suffix(".json"), Path(part.path)):
                path.unlink(missing_ok=True)
    if old is None or {name: old[name] for name in new} != new:
        write_manifest(folder, teacher, settings, plan.sources)
    return parts


def _outcomes(
    parts: list[LabelledPart], assignment: Assignment, client: Client | Cluster | None
) -> Generator[tuple[LabelledPart, dict[str, str] | Exception]]:
    """Label parts, and yield what comes of each: warnings, or an error."""
    if client is None:
        for part in parts:
            outcome: dict[str, str] | Exception
            try:
                outcome = label_part(part, assignment)
            except Exception as error:
                outcome = error
            yield part, outcome
    elif callable(client):
        if parts:
            with client(len(parts)) as started:
                yield from _outcomes_of_workers(parts, assignment, started)
    else:
        yield from _outcomes_of_workers(parts, assignment, client)


def _outcomes_of_workers(
    parts: list[LabelledPart], assignment: Assignment, client: Client
) -> Generator[tuple[LabelledPart, dict[str, str] | Exception]]:
    from distributed import KilledWorker, as_completed

    run = uuid.uuid4().hex
    futures = {}
    for part in parts:
        key = f"label-{run}-{part.name}"
        futures[client.submit(label_part, part, assignment, pure=False, key=key)] = part
    try:
        for future in as_completed(futures, loop=client.loop):
            part = futures[future]
            try:
                outcome = future.result()
            except KilledWorker:
                outcome = RuntimeError(
                    "Each worker that took it was killed. Were they out of memory?"
                )
            except Exception as error:
                outcome = error
            yield part, outcome
    finally:
        client.cancel(list(futures))
