"""Labelled parts: a folder of a teacher's outputs for more rows than memory holds.

``softkd label --teacher t.pt --data 'big/*.parquet' --out targets/`` and `label_parts` write:

``targets/manifest.json``
    Written first. ``format``, ``format_version``; ``teacher``, its name; ``settings``:
    ``teacher_sha256`` (of its file), ``task``, ``kind`` ("logits", "probabilities" or, for a
    regressor, "values"), ``temperature`` (of probabilities, else null), ``classes`` (label of each
    target column, or null), ``n_features``, ``columns`` (names of the features in their order; null
    for arrays), ``target`` (the column of true labels, or null), ``part_rows``; ``sources``:
    ``path`` of each file, relative to the folder, its ``name`` in the folder, and ``cuts``, the
    rows 0, ..., n at which its parts begin and end (null if the file could not be read).
``targets/NAME.START.npy``
    One per part: float32, (n_rows, n_outputs), for the rows of the file NAME from START on.
``targets/NAME.START.json``
    Written last, so that its presence marks a finished part: ``source`` (``size`` and ``mtime_ns``
    of the file when it was read), ``rows`` [start, stop], ``settings`` (their sha256), ``sha256``
    of the NPY file.

The features stay in their files. `LabelledParts` reads both together:

>>> from soft_students.labelled import LabelledParts
>>> parts = LabelledParts("targets")  # doctest: +SKIP
>>> parts.n_rows, parts.n_features, parts.kind, parts.classes  # doctest: +SKIP
>>> for part in parts:  # small objects that can be sent to other processes
...     X, targets = part.X(), part.targets()  # doctest: +SKIP
>>> for X, targets in parts[0].batches(8192):  # or less at a time
...     ...  # doctest: +SKIP
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np

from soft_students.labelled.manifest import read_manifest
from soft_students.labelled.sources import Source, identity, open_source
from soft_students.persistence.arrays import check_npy
from soft_students.persistence.digests import file_sha256
from soft_students.targets import soften


@dataclass(frozen=True)
class LabelledPart:
    """Rows of one file and the teacher's outputs for them.

    Attributes
    ----------
    name : str
        Name of the part's files in the folder, without suffix.
    path : str
        File of the targets.
    source : str
        File of the rows.
    start, stop : int
        Range of rows in that file.
    columns : tuple of str or None
        Names of the features.
    target : str or None
        Column of true labels.
    kind : {"logits", "probabilities", "values"}
        Kind of the targets.
    temperature : float or None
        Temperature of probabilities.
    """

    name: str
    path: str
    source: str
    start: int
    stop: int
    columns: tuple[str, ...] | None
    target: str | None
    kind: str
    temperature: float | None

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.stop - self.start

    @property
    def n_outputs(self) -> int:
        """Number of columns of the targets."""
        return self._mapped().shape[1]

    def X(self) -> np.ndarray:  # noqa: N802
        """Return the features, of shape (n_rows, n_features), float32."""
        batches = list(self._features(self.n_rows))
        return batches[0] if len(batches) == 1 else np.concatenate(batches)

    def targets(self) -> np.ndarray:
        """Return the stored targets, of shape (n_rows, n_outputs), float32; see `kind`."""
        return np.asarray(self._mapped()).copy()

    def probabilities(self, temperature: float = 1.0) -> np.ndarray:
        """Return the teacher's probabilities at any temperature.

        Parameters
        ----------
        temperature : float, default=1.0

        Returns
        -------
        ndarray of shape (n_rows, n_classes), float64

        Raises
        ------
        ValueError
            If the teacher is a regressor.
        """
        return as_probabilities(self.targets(), self.kind, self.temperature, temperature)

    def labels(self) -> np.ndarray:
        """Return the column of true labels, of shape (n_rows,).

        Raises
        ------
        ValueError
            If the rows were labelled without `target`.
        """
        if self.target is None:
            raise ValueError(
                f"The labelled part '{self.name}' has no column of labels. Label the rows with "
                "target= (on the command line: --target)."
            )
        return self._opened().column(self.target, self.start, self.stop)

    def batches(self, rows: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield features and targets in batches of at most `rows` rows.

        Parameters
        ----------
        rows : int

        Yields
        ------
        X, targets : ndarray of float32
        """
        first = 0
        for X in self._features(rows):
            yield X, np.asarray(self._mapped()[first : first + len(X)]).copy()
            first += len(X)

    def record(self) -> dict[str, Any] | None:
        """Return the part's JSON record; None if the part is not finished."""
        try:
            record = json.loads(Path(f"{self.path[:-4]}.json").read_bytes())
        except (FileNotFoundError, ValueError, RecursionError):
            return None
        return record if isinstance(record, dict) and os.path.exists(self.path) else None

    def verify(self) -> None:
        """Compare the checksum of the targets with that in their record.

        Raises
        ------
        ValueError
            If they differ, or the part is not finished.
        """
        if not self.is_intact():
            raise ValueError(
                f"'{self.path}' is damaged: its checksum differs from its record. Run 'softkd "
                "label' again, which labels such parts again."
            )

    def is_intact(self) -> bool:
        """Return whether the part is finished and its targets match the checksum of its record."""
        record = self.record()
        return record is not None and file_sha256(self.path) == record.get("sha256")

    def _features(self, rows: int) -> Iterator[np.ndarray]:
        yield from self._opened().batches(self.start, self.stop, rows, self.columns)

    def _opened(self) -> Source:
        source = open_source(self.source)
        record = self.record()
        if record is not None and record.get("source") != identity(self.source):
            raise ValueError(
                f"'{self.source}' has changed since its rows were labelled (size or time). Run "
                "'softkd label' again, which labels its rows again; or, if it was copied, copy it "
                "with its time (cp -p, rsync -t)."
            )
        return source

    def _mapped(self) -> np.ndarray:
        try:
            with open(self.path, "rb") as file:
                check_npy(file, os.path.getsize(self.path))
            targets = np.lib.format.open_memmap(self.path, mode="r")
        except (ValueError, EOFError) as error:
            raise ValueError(f"'{self.path}' cannot be read as an NPY file: {error}") from error
        if len(targets) != self.n_rows:
            raise ValueError(
                f"'{self.path}' must hold targets of {self.n_rows} rows. Got {len(targets)}."
            )
        return targets


class LabelledParts(Sequence[LabelledPart]):
    """The labelled parts in a folder written by `softkd label`.

    Parameters
    ----------
    folder : str or path-like

    Attributes
    ----------
    n_rows, n_features : int
    task : {"classification", "regression"}
    kind : {"logits", "probabilities", "values"}
        Kind of the targets.
    temperature : float or None
        Temperature of probabilities.
    classes : ndarray of shape (n_classes,) or None
        Label of each column of the targets; None if the teacher has no class labels.
    columns : tuple of str or None
        Names of the features; None for arrays.
    target : str or None
        Column of true labels.
    teacher : str
        Name of the teacher.

    Raises
    ------
    FileNotFoundError
        If the folder or its manifest is missing.
    BundleError
        If the manifest is damaged or of a later version.
    ValueError
        If parts are missing, or all files are empty.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from soft_students.labelled import LabelledParts, label_parts
    >>> from soft_students.teachers import save_teacher, train_teacher
    >>> folder = tempfile.TemporaryDirectory()
    >>> X = np.random.RandomState(0).normal(size=(100, 4)).astype("float32")
    >>> teacher = train_teacher(X, X[:, 0] > 0, arch="mlp", epochs=1, random_state=0)
    >>> _ = save_teacher(teacher, Path(folder.name) / "t.pt")
    >>> np.save(Path(folder.name) / "rows.npy", X)
    >>> _ = label_parts(
    ...     Path(folder.name) / "t.pt",
    ...     [Path(folder.name) / "rows.npy"],
    ...     Path(folder.name) / "targets",
    ... )
    >>> parts = LabelledParts(Path(folder.name) / "targets")
    >>> parts
    LabelledParts(1 parts, n_rows=100, n_features=4, kind='logits')
    >>> parts[0].X().shape, parts[0].probabilities(temperature=3.0).shape
    ((100, 4), (100, 2))
    >>> folder.cleanup()
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        manifest = read_manifest(folder)
        settings = manifest["settings"]
        self._parts = parts_of(folder, manifest)
        unread = [source["path"] for source in manifest["sources"] if source["cuts"] is None]
        missing = [part.name for part in self._parts if part.record() is None]
        if unread or missing:
            raise ValueError(
                f"'{folder}' is not finished: {len(unread)} of {len(manifest['sources'])} files "
                f"could not be read, {len(missing)} of {len(self._parts)} parts have no targets "
                f"(first: '{[*unread, *missing][0]}'). Run 'softkd label' again; it labels only "
                "the missing parts."
            )
        self.n_rows = sum(part.n_rows for part in self._parts)
        if not self.n_rows:
            raise ValueError(
                f"'{folder}' has no rows, since the labelled files were empty. Label files that "
                "have rows."
            )
        self.n_features: int = settings["n_features"]
        self.task: str = settings["task"]
        self.kind: str = settings["kind"]
        self.temperature: float | None = settings["temperature"]
        labels = settings["classes"]
        self.classes = None if labels is None else np.asarray(labels)
        self.columns = None if settings["columns"] is None else tuple(settings["columns"])
        self.target: str | None = settings["target"]
        self.teacher: str = manifest["teacher"]

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        """Raise TypeError: parts may exceed memory, and numpy would join them."""
        raise TypeError(
            "LabelledParts are not an array: they may exceed memory. Pass them to fit of a soft "
            "tree or network, or read them one at a time: for part in parts: part.X(), ...."
        )

    @property
    def n_outputs(self) -> int:
        """Number of columns of the targets."""
        return self._parts[0].n_outputs

    @overload
    def __getitem__(self, index: int) -> LabelledPart: ...
    @overload
    def __getitem__(self, index: slice) -> list[LabelledPart]: ...
    def __getitem__(self, index: int | slice) -> LabelledPart | list[LabelledPart]:
        return self._parts[index]

    def __len__(self) -> int:
        return len(self._parts)

    def __repr__(self) -> str:
        return (
            f"LabelledParts({len(self)} parts, n_rows={self.n_rows}, "
            f"n_features={self.n_features}, kind={self.kind!r})"
        )

    def verify(self) -> None:
        """Compare the checksum of each part.

        Raises
        ------
        ValueError
            If one differs; the message names the part.
        """
        for part in self._parts:
            part.verify()


def parts_of(folder: str | os.PathLike[str], manifest: dict[str, Any]) -> list[LabelledPart]:
    """Return the parts that a manifest lists, finished or not."""
    folder = os.path.abspath(folder)
    settings = manifest["settings"]
    columns = None if settings["columns"] is None else tuple(settings["columns"])
    parts = []
    for source in manifest["sources"]:
        for start, stop in itertools.pairwise(source["cuts"] or ()):
            name = f"{source['name']}.{start}"
            parts.append(
                LabelledPart(
                    name=name,
                    path=os.path.join(folder, f"{name}.npy"),
                    source=os.path.normpath(os.path.join(folder, source["path"])),
                    start=start,
                    stop=stop,
                    columns=columns,
                    target=settings["target"],
                    kind=settings["kind"],
                    temperature=settings["temperature"],
                )
            )
    return parts


def as_probabilities(
    targets: np.ndarray, kind: str, stored: float | None, temperature: float
) -> np.ndarray:
    """Convert stored targets to probabilities at a temperature.

    Parameters
    ----------
    targets : ndarray of shape (n_rows, n_classes)
    kind : {"logits", "probabilities", "values"}
    stored : float or None
        Temperature of stored probabilities.
    temperature : float

    Returns
    -------
    ndarray of shape (n_rows, n_classes), float64
    """
    if kind == "values":
        raise ValueError("The parts hold values of a regressor, which has no probabilities.")
    if kind == "logits":
        return soften(targets, temperature)
    with np.errstate(divide="ignore"):
        # p ** (stored / temperature), normalised
        return soften(np.log(targets.astype(np.float64)), temperature / (stored or 1.0))
