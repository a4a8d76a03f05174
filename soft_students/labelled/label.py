"""Label more rows than memory holds with a teacher, in one process or on a Dask cluster."""

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

from soft_students.columns import columns_of
from soft_students.labelled.labelling import Assignment, TeacherFile, is_done, label_part
from soft_students.labelled.manifest import (
    read_manifest,
    settings_sha256,
    write_manifest,
)
from soft_students.labelled.parts import LabelledPart, parts_of
from soft_students.labelled.plan import LabellingPlan, find_sources, make_plan
from soft_students.persistence.atomic import remove_leftovers
from soft_students.persistence.digests import file_sha256
from soft_students.targets import check_temperature

if TYPE_CHECKING:
    from distributed import Client

    from soft_students.teachers import Teacher

#: A function from the number of parts to a context manager that starts a cluster.
Cluster = Callable[[int], contextlib.AbstractContextManager["Client"]]

#: Kinds of outputs to write.
KINDS = ("logits", "probabilities")


@dataclass
class Labelling:
    """Result of `label_parts`.

    Attributes
    ----------
    folder : Path
    n_files, n_parts, n_rows : int
        Totals to label, over all readable files.
    n_kept : int
        Parts that an earlier run had finished.
    labelled : list of str
        Names of the parts that this run finished.
    n_rows_labelled : int
        Rows in them.
    failures : dict of str to str
        Error message by file or part.
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
    """Label the rows of files with a teacher, into a folder that `LabelledParts` reads.

    A part is a range of rows of one file: whole row groups of Parquet, whole chunks of Zarr. It is
    read and labelled some thousand rows at a time, on one thread; its targets appear in the folder
    once they are complete. To complete a run that was interrupted or lost a worker, or to add data
    files, call it again with the same arguments: the result has the same bytes as an unbroken run.

    Parameters
    ----------
    teacher : str, path-like or TeacherFile
        The teacher's file. Each worker reads it once.
    data : str, path-like or sequence of them
        A pattern, such as ``"big/*.parquet"``, or paths: Parquet, NPY, or folders of Zarr arrays.
    folder : str or path-like
        Folder of the targets. Workers need it, the data and the teacher under the same paths.
    kind : {"logits", "probabilities"}, default=None
        Outputs to write for a classifier. None means logits, which give probabilities at any
        temperature.
    temperature : float, default=None
        Temperature of probabilities. None means 1.
    target : str, default=None
        Column of true labels: not a feature, but read by `LabelledPart.labels`.
    exclude : sequence of str, default=()
        Further columns that are not features. A teacher with feature names takes only those anyway.
    part_rows : int, default=None
        Approximate rows of a part. None means 262,144, or fewer with more than 128 features.
    force : bool, default=False
        Whether to start again in a folder with labels of another teacher or other settings.
    client : distributed.Client or callable, default=None
        Client whose workers label. A callable is called with the number of parts if any are left to
        label, and returns a context manager of the client, such as `dask_client`. None labels in
        this process.
    on_part : callable, default=None
        Called after each part with the numbers of finished rows and of all rows.

    Returns
    -------
    Labelling
        Its `failures` hold the files and parts that could not be labelled; all others are labelled.

    Raises
    ------
    FileNotFoundError
        If no file matches `data`, or the teacher is missing.
    ValueError
        If no file can be labelled, the folder holds other labels, or an argument is invalid.

    Warns
    -----
    UserWarning
        The teacher's warnings, one per category.
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
        columns=columns_of(model),
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
    remove_leftovers(folder)  # of workers that were killed
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
                "A temperature applies to probabilities: set kind='probabilities', or leave it "
                "out; logits give probabilities at any temperature later."
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
                f"'{path}' is inside '{folder}', the folder of the targets. Choose another folder."
            )
    return found


def _old_manifest(folder: str | os.PathLike[str], force: bool) -> dict[str, Any] | None:
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"'{folder}' is a file. Choose a folder for the targets.")
    try:
        return read_manifest(folder)
    except FileNotFoundError:
        # files left by a kill are hidden
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
    folder: str | os.PathLike[str],
    old: dict[str, Any],
    settings: dict[str, Any],
    plan: LabellingPlan,
) -> None:
    changed = [
        f"{name} was {_brief(old['settings'][name])} and is {_brief(value)}"
        for name, value in settings.items()
        if old["settings"][name] != value
    ]
    present = {source["name"] for source in plan.sources}
    gone = [source["name"] for source in old["sources"] if source["name"] not in present]
    if gone:
        changed.append(f"{len(gone)} files are missing from the data, such as '{gone[0]}'")
    if changed:
        raise ValueError(
            f"'{folder}' holds labels with other settings: {'; '.join(changed)}. Choose another "
            "folder, or start again: --force, or force=True."
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
    plan: LabellingPlan,
) -> list[LabelledPart]:
    """Write the manifest, and remove parts that only an earlier one lists."""
    os.makedirs(folder, exist_ok=True)
    remove_leftovers(folder)
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
    """Label parts, and yield each with its warnings or its error."""
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
                    "All workers that tried to label it were killed, probably out of memory. Lower "
                    "part_rows (--part-rows), or give the workers more memory."
                )
            except Exception as error:
                outcome = error
            yield part, outcome
    finally:
        client.cancel(list(futures))
