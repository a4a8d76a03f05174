"""Saving and loading of students."""

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

#: Parameters that name files of one training, not stored in bundles.
_TRAINING_PARAMETERS = frozenset({"checkpoint", "resume", "snapshots"})

#: Upper bound for `n_jobs` in files; larger values are corrupt or malicious.
_MAX_JOBS = 256


class Bundled(Protocol):
    """What a student implements to be kept in bundles, besides being in the registry.

    A class whose parameters have changed also has a class method ``_current_params``: it is given
    the parameters of any bundle, and returns those that the class takes now.
    """

    def _bundle_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return the fitted state.

        Returns
        -------
        metadata : dict of str to object
            Small values of types that `soft_students.persistence.encoding.encode` accepts, such as
            numbers, strings, tuples and one-dimensional arrays of labels.
        arrays : dict of str to ndarray
            Large values: bool, integers or finite floats, of any shape.
        """

    def _restore_bundle(self, metadata: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Restore the state of `_bundle_state`, on a new instance with the same parameters.

        Raises
        ------
        ValueError
            If values are missing, or shapes and types do not match. The file is untrusted: only the
            constraints of the parameters and the finiteness of the arrays have been checked.
        """


def save(
    student: BaseEstimator,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = True,
    data: Mapping[str, Any] | None = None,
) -> Path:
    """Write a fitted student to one file.

    The file is written atomically, contains no code, and can be read by this and later versions of
    soft-students. Equal students give equal bytes.

    Parameters
    ----------
    student : estimator
        A fitted student of the registry, such as `SoftDecisionTreeClassifier`. A random generator
        among its parameters is not saved.
    path : str or path-like
        Path of the file, in an existing folder.
    overwrite : bool, default=True
        Whether an existing file may be replaced.
    data : dict, default=None
        Description of the training data, in plain JSON values, such as ``{"data": "mnist"}``.
        `trained_on` reads it from the file.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    TypeError
        If `student` is not in the registry, or the type of a parameter cannot be saved.
    ValueError
        If the student is not fitted (a `sklearn.exceptions.NotFittedError`), a parameter was
        changed after fitting and contradicts the fitted values, or a fitted array contains NaN or
        infinity.
    FileExistsError
        If the file exists and `overwrite` is False.
    OSError
        If the file cannot be written. An old file is then intact.

    See Also
    --------
    load : Load a student.

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
    """Load a student that was written by `save`.

    Loading never runs code from the file, even if it is malicious. It takes memory of about twice
    the size of the file.

    Parameters
    ----------
    path : str or path-like
    trust : bool, default=False
        Whether to accept files of `joblib.dump` or `pickle.dump`, too. Loading these can run any
        code: set it only for files from a source you trust.

    Returns
    -------
    estimator
        The fitted student.

    Raises
    ------
    BundleError
        If the file is not a bundle, damaged, of a newer version, or otherwise invalid.
    OSError
        If the file is missing or cannot be read.

    See Also
    --------
    save : Write a student.
    """
    try:
        with _open(path) as file:
            if trust and file.peek(4)[:4] != b"PK\x03\x04":
                return _unpickle(file)
            return _from_bundle(read_bundle(file))
    except BundleError as error:
        raise BundleError(f"Cannot load '{os.fspath(path)}': {error}.") from error


def trained_on(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the description of the training data from a student's file.

    Parameters
    ----------
    path : str or path-like
        A file written by `save`.

    Returns
    -------
    dict
        The `data` passed to `save`; empty if none was passed.

    Raises
    ------
    BundleError, OSError
        See `load`.
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

    Returns
    -------
    bytes

    Raises
    ------
    TypeError, ValueError
        See `save`.
    """
    file = io.BytesIO()
    _write_and_read_back(_to_bundle(student), file)
    return file.getvalue()


def loads(data: bytes) -> BaseEstimator:
    """Load a student from the bytes of `dumps`.

    Parameters
    ----------
    data : bytes
        Content of a bundle, which may be untrusted: no code in it is run.

    Returns
    -------
    estimator

    Raises
    ------
    BundleError
        See `load`.
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
    """Write a bundle and load it again, so that every written file can be loaded."""
    write_bundle(bundle, file)
    file.seek(0)
    try:
        _from_bundle(read_bundle(file))
    except BundleError as error:
        raise ValueError(
            f"This {bundle.class_name} cannot be saved, since it could not be loaded again: "
            f"{error}. If its parameters were changed after fitting, restore them or fit it again. "
            "joblib.dump(student, path) saves any student; loading such a file runs code from it."
        ) from error


def _from_bundle(bundle: Bundle) -> BaseEstimator:
    cls = _class_of(bundle)
    paths = sorted(_TRAINING_PARAMETERS & set(bundle.params))
    if paths:
        raise BundleError(
            f"its parameters contain {paths[0]!r}, which no bundle contains: it refers to a file "
            "of a training. Do not use the file; it was manipulated"
        )
    try:
        params = decode(bundle.params, _kept_class)
        if hasattr(cls, "_current_params"):
            params = cls._current_params(params)
        student = build(cls, params)
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
        # _restore_bundle promises ValueError; a manipulated file may raise others
        raise BundleError(
            f"its values do not make a {bundle.class_name} ({error}). Save the student again"
        ) from error
    return student


def _check_finite(value: Any) -> None:
    """Raise BundleError if a fitted number, at any depth, is NaN or infinite."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            _check_finite(item)
        return
    array = np.asarray(value)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise BundleError("its fitted values contain a number that is not finite")


def _check_classes(classes: np.ndarray | None) -> None:
    """Raise BundleError if labels are not sorted and distinct, as after every fit, or are NaN."""
    if classes is not None and not np.array_equal(np.unique(classes), classes):
        raise BundleError("its classes are not sorted, distinct labels")


def _kept_class(name: str) -> type[BaseEstimator] | None:
    """Return the class of a transfer set or method by name; None if unknown."""
    for transfer in TRANSFERS.values():
        if transfer.__name__ == name:
            return transfer
    from soft_students.methods import available as methods  # imports torch, which most files do not

    return next((method for method in methods().values() if method.__name__ == name), None)


def _class_of(bundle: Bundle) -> Any:
    """Return the class of a bundle's student."""
    entry = available().get(bundle.student)
    if entry is None or bundle.class_name not in entry.class_names:
        raise BundleError(
            f"it holds a {bundle.class_name!r:.80} of the student {bundle.student!r:.80}, which "
            "this version lacks. It may come from a newer soft-students; upgrade to read it"
        )
    classes = [cls for cls in (entry.classifier, entry.regressor) if cls is not None]
    return classes[entry.class_names.index(bundle.class_name)]


def _registered(student: object) -> str:
    # compare names first, to import only classes of that name
    cls = type(student)
    for name, entry in available().items():
        if cls.__name__ in entry.class_names and cls in (entry.classifier, entry.regressor):
            return name
    known = ", ".join(name for entry in available().values() for name in entry.class_names)
    raise TypeError(
        f"A bundle holds one fitted student: {known}. Got {cls.__name__} instead. If it contains a "
        "student, save that one; joblib.dump(object, path) saves any object, but loading such a "
        "file runs code from it."
    )


def _open(path: str | os.PathLike[str]) -> io.BufferedReader:
    try:
        # checked first, since opening a pipe would wait for a writer
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
        # an unpickler can raise any exception
        raise BundleError(
            f"it is neither a bundle nor a readable pickle ({type(error).__name__}: {error})"
        ) from error
    if not isinstance(student, BaseEstimator):
        raise BundleError(f"it holds a {type(student).__name__}, not a student")
    return student
