"""Students to bundles and back."""

from __future__ import annotations

import io
import os
import platform
import stat
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import joblib
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from soft_students.persistence.atomic import atomic_write
from soft_students.persistence.bundle import Bundle, read_bundle, write_bundle
from soft_students.persistence.encoding import build, decode, encode
from soft_students.persistence.errors import BundleError, reason, with_sentence
from soft_students.students.registry import available
from soft_students.transfer import TRANSFERS

#: Parameters that name files of one training; no bundle keeps them.
_TRAINING_PARAMETERS = frozenset({"checkpoint", "resume", "snapshots"})

#: Threads that a student out of a file may ask for.
_MAX_JOBS = 256


class Bundled(Protocol):
    """What a student implements to be kept in bundles, besides being in the registry."""

    def _bundle_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return what fitting has learnt.

        Returns
        -------
        metadata : dict of str to object
            Small values: what `soft_students.persistence.encoding.encode` accepts, such as numbers,
            strings, tuples and one-dimensional arrays of labels.
        arrays : dict of str to ndarray
            Large values: bool, integers, finite floats; any shape.
        """

    def _restore_bundle(self, metadata: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Take back what `_bundle_state` returned, on a new instance with the same parameters.

        Raises
        ------
        ValueError
            If values are missing, or shapes and types do not fit each other. Anybody may have made
            the file: all there is to rely on is that the parameters satisfy their constraints and
            the arrays are finite.
        """


def save(
    student: BaseEstimator,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = True,
    data: Mapping[str, Any] | None = None,
) -> Path:
    """Write a fitted student to one file.

    The file is whole or not there, holds no code, and is readable by this and later versions of
    soft-students. Equal students become equal bytes.

    Parameters
    ----------
    student : estimator
        A fitted student of the registry, `SoftDecisionTreeClassifier` say. A random generator
        among its parameters is not kept.
    path : str or path-like
        The file; its folder must exist.
    overwrite : bool, default=True
        Whether an existing file may be replaced.
    data : dict, default=None
        What the student was trained on, of plain JSON values, such as ``{"data": "mnist"}``: kept
        in the file, where `trained_on` finds it.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    TypeError
        If `student` is not in the registry, or a parameter is of a type that bundles cannot keep.
    ValueError
        If it is not fitted (a `sklearn.exceptions.NotFittedError`), a parameter has been changed
        since to what contradicts the fitted values, or a fitted array holds NaN or infinity.
    FileExistsError
        If the file exists and `overwrite` is False.
    OSError
        If the file cannot be written. An old file is then intact.

    See Also
    --------
    load : Read it back.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_iris
    >>> from soft_students.students.files import load, save
    >>> from soft_students.students import SoftDecisionTreeClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> student = SoftDecisionTreeClassifier(depth=2, epochs=2, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save(student, Path(folder) / "iris.student")
    ...     again = load(path)
    >>> bool((again.predict_proba(X) == student.predict_proba(X)).all())
    True
    """
    bundle = replace(_to_bundle(student), data=dict(data or {}))
    with atomic_write(path, overwrite=overwrite) as file:
        _write_and_read_back(bundle, file)
    return Path(path)


def load(path: str | os.PathLike[str], *, trust: bool = False) -> BaseEstimator:
    """Read a student that `save` wrote.

    Loading a bundle runs no code from it, whoever made it. It takes memory of about twice the
    size of the file.

    Parameters
    ----------
    path : str or path-like
    trust : bool, default=False
        Also accept a file written by `joblib.dump` or `pickle.dump`. Loading one can run any code
        that its maker put there: only for files that you made yourself.

    Returns
    -------
    estimator
        The fitted student.

    Raises
    ------
    BundleError
        If the file is not a bundle, damaged, of a newer version, or unfit in another way.
    OSError
        If it is missing or cannot be read.

    See Also
    --------
    save : Write it.
    """
    try:
        with _open(path) as file:
            if trust and file.peek(4)[:4] != b"PK\x03\x04":
                return _unpickle(file)
            return _from_bundle(read_bundle(file))
    except BundleError as error:
        raise BundleError(f"Cannot load '{os.fspath(path)}': {error}.") from error


def trained_on(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what the file of a student says of the data that it was trained on.

    Parameters
    ----------
    path : str or path-like
        A file written by `save`.

    Returns
    -------
    dict
        What `save` was given; empty if that was nothing.

    Raises
    ------
    BundleError, OSError
        As for `load`.
    """
    try:
        with _open(path) as file:
            return read_bundle(file).data
    except BundleError as error:
        raise BundleError(f"Cannot load '{os.fspath(path)}': {error}.") from error


def dumps(student: BaseEstimator) -> bytes:
    """Return the bytes that `save` would write.

    Parameters
    ----------
    student : estimator
        As for `save`.

    Returns
    -------
    bytes

    Raises
    ------
    TypeError, ValueError
        As for `save`.
    """
    file = io.BytesIO()
    _write_and_read_back(_to_bundle(student), file)
    return file.getvalue()


def loads(data: bytes) -> BaseEstimator:
    """Return the student that `dumps` was given.

    Parameters
    ----------
    data : bytes
        The content of a bundle; whoever made it, no code in it is run.

    Returns
    -------
    estimator

    Raises
    ------
    BundleError
        As for `load`.
    """
    try:
        return _from_bundle(read_bundle(io.BytesIO(data)))
    except BundleError as error:
        raise BundleError(f"Cannot load the bundle: {error}.") from error


def _to_bundle(student: BaseEstimator) -> Bundle:
    name, cls = _registered(student), type(student).__name__
    check_is_fitted(student)
    metadata, arrays = student._bundle_state()
    return Bundle(
        student=name,
        class_name=cls,
        params={
            key: encode(value, f"The {key!r} parameter of {cls}", _kept_class)
            for key, value in student.get_params(deep=False).items()
            if key not in _TRAINING_PARAMETERS
        },
        fitted={
            key: encode(value, f"The fitted value {key!r} of {cls}", _kept_class)
            for key, value in metadata.items()
        },
        arrays=arrays,
        written_by={
            "soft-students": version("soft-students"),
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scikit-learn": version("scikit-learn"),
        },
    )


def _write_and_read_back(bundle: Bundle, file: BinaryIO) -> None:
    """Write a bundle, and read the student from what was written: a file must not lose it."""
    write_bundle(bundle, file)
    file.seek(0)
    try:
        _from_bundle(read_bundle(file))
    except BundleError as error:
        raise ValueError(
            f"This {bundle.class_name} cannot be saved, since it could not be loaded again: "
            f"{error}. If its parameters were changed after fitting, restore them or fit it again. "
            "joblib.dump(student, path) keeps any student; loading such a file runs code from it."
        ) from error


def _from_bundle(bundle: Bundle) -> BaseEstimator:
    cls = _class_of(bundle)
    paths = sorted(_TRAINING_PARAMETERS & set(bundle.params))
    if paths:
        raise BundleError(
            f"its parameters hold {paths[0]!r}, which names a file of the computer that trained it "
            "and which no bundle keeps. Do not use the file; it has been changed"
        )
    try:
        student = build(cls, decode(bundle.params, _kept_class))
        n_jobs = getattr(student, "n_jobs", None)
        if n_jobs is not None and (type(n_jobs) is not int or n_jobs > _MAX_JOBS):
            raise BundleError(f"n_jobs is {n_jobs!r:.80}, not a number up to {_MAX_JOBS}")
        fitted = decode(bundle.fitted, _kept_class)
        _check_finite(fitted)
        student._restore_bundle(fitted, bundle.arrays)
        _check_classes(getattr(student, "classes_", None))
    except BundleError:
        raise
    except (
        ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError,
        ValueError,
    ) as error:  # fmt: skip
        # Promised is ValueError; a forged file may trip over what nobody thought of.
        raise BundleError(
            f"its values do not make a {bundle.class_name} ({error}). Save the student again"
        ) from error
    return student


def _check_finite(value: Any) -> None:
    """Refuse fitted numbers that are NaN or infinite, however they are nested."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            _check_finite(item)
        return
    array = np.asarray(value)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise BundleError("its fitted values hold a number that is not finite")


def _check_classes(classes: np.ndarray | None) -> None:
    """Refuse labels that no fit gives: they are sorted and distinct, and none is NaN."""
    if classes is not None and not np.array_equal(np.unique(classes), classes):
        raise BundleError("its classes are not sorted, distinct labels")


def _kept_class(name: str) -> type[BaseEstimator] | None:
    """Return the transfer set or the method of a class name; None if there is none."""
    for transfer in TRANSFERS.values():
        if transfer.__name__ == name:
            return transfer
    from soft_students.methods import available as methods  # imports torch, which most files do not

    return next((method for method in methods().values() if method.__name__ == name), None)


def _class_of(bundle: Bundle) -> Any:
    """Return the class that a bundle names."""
    entry = available().get(bundle.student)
    if entry is None or bundle.class_name not in entry.class_names:
        raise BundleError(
            f"it holds a {bundle.class_name!r:.80} of the student {bundle.student!r:.80}, which "
            "this version does not have. It may come from a newer soft-students; upgrade to read it"
        )
    classes = [cls for cls in (entry.classifier, entry.regressor) if cls is not None]
    return classes[entry.class_names.index(bundle.class_name)]


def _registered(student: object) -> str:
    # By name first: only the classes of that name are imported.
    cls = type(student)
    for name, entry in available().items():
        if cls.__name__ in entry.class_names and cls in (entry.classifier, entry.regressor):
            return name
    known = ", ".join(name for entry in available().values() for name in entry.class_names)
    raise TypeError(
        f"A bundle keeps one fitted student: {known}. Got {cls.__name__} instead. If a student is "
        "inside, save that one; joblib.dump(object, path) keeps any object, and loading such a "
        "file runs code from it."
    )


def _open(path: str | os.PathLike[str]) -> io.BufferedReader:
    try:
        # Asked first, since opening a pipe would wait for a writer.
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError("it is a folder")
        if not stat.S_ISREG(mode):
            raise OSError("it is a device or a pipe")
        return open(path, "rb")
    except OSError as error:
        raise with_sentence(
            error,
            f"Cannot load '{os.fspath(path)}': {reason(error)}. Give the path of a file written by "
            "soft_students.save.",
        ) from error


def _unpickle(file: BinaryIO) -> BaseEstimator:
    try:
        student = joblib.load(file)
    except Exception as error:
        # An unpickler raises whatever the pickle tells it to.
        raise BundleError(
            f"it is neither a bundle nor a readable pickle ({type(error).__name__}: {error})"
        ) from error
    if not isinstance(student, BaseEstimator):
        raise BundleError(f"it holds a {type(student).__name__}, not a student")
    return student
