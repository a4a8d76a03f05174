"""Plan of a labelling: the files, their feature columns and their division into parts."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from soft_students.choices import listed
from soft_students.labelled.sources import ParquetSource, Source, open_source

#: Most values (128 MB of float32) and rows of a part, if row groups or chunks are not larger.
_PART_VALUES, _PART_ROWS = 2**25, 2**18


@dataclass
class LabellingPlan:
    """The files to label and their features.

    Attributes
    ----------
    columns : list of str or None
        Names of the features, in the order in which they are passed to the teacher.
    n_features : int
    sources : list of dict
        Entries ``sources`` of a manifest.
    failures : dict of str to str
        Error message by path, for files that cannot be labelled.
    """

    columns: list[str] | None
    n_features: int
    sources: list[dict[str, Any]] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)


def find_sources(data: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> dict[str, str]:
    """Find the files that match a pattern.

    Parameters
    ----------
    data : str, path-like or sequence of them
        A pattern such as ``big/*.parquet``, or paths.

    Returns
    -------
    dict of str to str
        Absolute paths, sorted, and their names relative to their common folder.
    """
    if isinstance(data, (str, os.PathLike)):
        paths = glob.glob(os.fspath(data), recursive=True)
        fixed = Path(*_fixed(Path(data).parts[:-1]))
    else:
        paths = [os.fspath(path) for path in data]
        folders = [os.path.dirname(os.path.abspath(path)) for path in paths]
        fixed = Path(os.path.commonpath(folders) if folders else ".")
    absolute = sorted({os.path.abspath(path) for path in paths})
    return {path: Path(os.path.relpath(path, fixed.absolute())).as_posix() for path in absolute}


def make_plan(
    found: dict[str, str],
    folder: str | os.PathLike[str],
    *,
    n_features: int | None,
    columns: Sequence[str] | None,
    order: Sequence[str] | None,
    target: str | None,
    exclude: Sequence[str],
    part_rows: int | None,
) -> LabellingPlan:
    """Open each file, compare their columns, and cut them into parts.

    Parameters
    ----------
    found : dict of str to str
        From `find_sources`.
    folder : str or path-like
        Folder of the targets.
    n_features : int or None
        Number of features that the teacher takes.
    columns : sequence of str or None
        Names of the features that the teacher takes; other columns are left out.
    order : sequence of str or None
        Order of the columns in an earlier run, used if it has the same columns and `columns` is
        None.
    target : str or None
        Column of true labels, which is not a feature.
    exclude : sequence of str
        Further columns that are not features.
    part_rows : int or None

    Returns
    -------
    LabellingPlan

    Raises
    ------
    ValueError
        If no file can be labelled.
    """
    plan: LabellingPlan | None = None
    first = ""
    failures, sources = {}, []
    for path, name in found.items():
        cuts = None
        try:
            source = open_source(path)
            names = _features(source, columns, target, exclude)
            width = source.n_columns if names is None else len(names)
            if n_features not in (None, width):
                raise ValueError(
                    f"'{path}' has {width} features, but the teacher takes {n_features}."
                    + ("" if names is None else f" They are {listed(names)}; exclude some.")
                )
            if plan is None:
                if columns is None and names is not None and set(order or ()) == set(names):
                    names = list(order or ())
                plan, first = LabellingPlan(names, width), path
            _compare(path, names, width, first, plan)
            rows = part_rows or max(1, min(_PART_ROWS, _PART_VALUES // max(1, width)))
            cuts = source.cuts(rows)
        except (ValueError, OSError) as error:
            failures[path] = str(error)
        relative = Path(os.path.relpath(path, os.path.abspath(folder))).as_posix()
        sources.append({"path": relative, "name": name, "cuts": cuts})
    if plan is None:
        more = "" if len(found) == 1 else f" None of the {len(found)} files can be labelled."
        raise ValueError(next(iter(failures.values())) + more)
    plan.sources, plan.failures = sources, failures
    return plan


def _features(
    source: Source, known: Sequence[str] | None, target: str | None, exclude: Sequence[str]
) -> list[str] | None:
    left_out = [*exclude, *([] if target is None else [target])]
    if source.names is None:
        if left_out:
            raise ValueError(
                f"'{source.path}' is an array, whose columns have no names. Got names of columns "
                f"to leave out: {listed(left_out)}."
            )
        return None
    names = source.names
    missing = [name for name in [*left_out, *(known or ())] if name not in names]
    if missing:
        raise ValueError(
            f"'{source.path}' lacks the columns {listed(missing)}. It has: {listed(names)}."
        )
    features = [name for name in names if name not in left_out] if known is None else list(known)
    if isinstance(source, ParquetSource):
        source.check_numbers(features)
    return features


def _compare(
    path: str, names: list[str] | None, width: int, first: str, plan: LabellingPlan
) -> None:
    """Raise ValueError if a file's features are not those of the first file."""
    if (names is None) != (plan.columns is None):
        raise ValueError(f"'{path}' and '{first}' must both be tables, or both be arrays.")
    if width != plan.n_features:
        raise ValueError(f"'{path}' has {width} features, but '{first}' has {plan.n_features}.")
    if names is not None and plan.columns is not None and set(names) != set(plan.columns):
        other = [name for name in names if name not in plan.columns]
        raise ValueError(
            f"'{path}' has the columns {listed(other)}, which '{first}' lacks. All files need the "
            "same columns, in any order."
        )


def _fixed(parts: Sequence[str]) -> list[str]:
    """Return the folders before the first one with a wildcard."""
    fixed: list[str] = []
    for part in parts:
        if glob.has_magic(part):
            break
        fixed.append(part)
    return fixed
