"""Training of XGBoost students on the workers of a Dask cluster."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from soft_students.labelled.parts import LabelledPart, LabelledParts
from soft_students.labelled.windows import LabelledRows
from soft_students.students.part_supervision import (
    MixedValues,
    PartSupervision,
    SoftTargets,
    check_only_parts,
    check_parts,
)
from soft_students.students.supervision import class_supervision
from soft_students.students.xgboost.students import (
    XGBoostStudentClassifier,
    XGBoostStudentRegressor,
)
from soft_students.targets import one_hot

try:
    import dask
    import dask.array as da
    import distributed
    import xgboost.dask

    from soft_students.dask.block_objective import BlockSoftCrossEntropy
except ImportError as error:
    raise ImportError(
        "Boosted trees on a Dask cluster need Dask: pip install 'soft-students[scale]'."
    ) from error

if TYPE_CHECKING:
    from dask.array import Array
    from distributed import Client, Future

    _Student = XGBoostStudentClassifier | XGBoostStudentRegressor


def fit_xgboost(
    student: _Student,
    X: Array | LabelledParts,
    targets: Array | None = None,
    *,
    labels: Array | None = None,
    classes: ArrayLike | None = None,
    client: Client | None = None,
) -> _Student:
    """Fit an XGBoost student on the workers of a Dask cluster.

    Each worker grows the same trees on its own rows; workers exchange only histograms. The result
    equals a student from `fit`: it contains a plain XGBoost model, and does not need Dask for
    predicting or saving.

    Parameters
    ----------
    student : XGBoostStudentClassifier or XGBoostStudentRegressor
        Student with its parameters; not changed.
    X : dask array of shape (n_samples, n_features), or LabelledParts
        Rows; NaN is a missing value. A labelled part (rows, teacher's outputs and, for
        `hard_weight`, labels) is read by the worker that trains on it. With labelled parts,
        `targets`, `labels` and `classes` must be None.
    targets : dask array of shape (n_samples, n_classes) or (n_samples,), default=None
        Probabilities of a teacher, at temperature one, or labels. For a regressor, values of shape
        (n_samples,) or (n_samples, n_outputs).
    labels : dask array of shape (n_samples,), default=None
        True labels or values for `hard_weight`, in addition to the teacher's `targets`.
    classes : array-like of shape (n_classes,), default=None
        Label of each column of probabilities. None takes the column numbers.
    client : distributed.Client, default=None
        Client of the cluster. None takes the current one.

    Returns
    -------
    XGBoostStudentClassifier or XGBoostStudentRegressor
        A fitted clone.

    Raises
    ------
    ConnectionError
        If a worker is lost.
    ImportError
        If Dask is not installed.
    TypeError
        If `student` is no XGBoost student, or rows or targets are no Dask arrays.
    ValueError
        If the arrays or parts do not fit each other or the student, or the student has parameters
        that need all rows in one place: ``"auto"``, `early_stopping_rounds`, `transfer`,
        `checkpoint`, ``tree_method="exact"``.

    Notes
    -----
    The trees equal those of a local fit, up to the rounding of sums, under three conditions:
    `subsample` is one, since workers draw their own rows; no feature has more distinct values than
    `max_bin` (default 256), so that both place histogram bins at each value; and `tree_method` is
    not ``"approx"``, which places bins again in each round. Otherwise the workers merge approximate
    quantiles: other bins of the same quality. Labelled parts are assigned to workers in a fixed
    way, so the same number of workers gives the same trees again.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from sklearn.datasets import load_iris
    >>> from soft_students import XGBoostStudentClassifier
    >>> from soft_students.dask import fit_xgboost
    >>> X, y = load_iris(return_X_y=True)
    >>> student = XGBoostStudentClassifier(n_estimators=10)
    >>> with Client(processes=False, n_workers=1, dashboard_address=None) as client:
    ...     fitted = fit_xgboost(
    ...         student, da.from_array(X, chunks=(50, 4)), da.from_array(y, chunks=50)
    ...     )
    >>> type(fitted.estimator_).__name__
    'XGBClassifier'
    """
    if not isinstance(student, XGBoostStudentClassifier | XGBoostStudentRegressor):
        raise TypeError(
            "fit_xgboost fits XGBoostStudentClassifier and XGBoostStudentRegressor. Got "
            f"{type(student).__name__} instead."
        )
    client = distributed.get_client() if client is None else client
    _check_client(client)
    fitted = clone(student)
    fitted._validate_params()
    _check_parameters(fitted)
    fitted._columns, fitted.is_categorical_ = None, None
    with client.as_current(), _lost_workers_named():
        if isinstance(X, LabelledParts):
            check_only_parts(student, targets=targets, labels=labels, classes=classes)
            _fit_parts(fitted, X, client)
        else:
            _fit_arrays(fitted, X, targets, labels, classes, client)
    return fitted


@contextmanager
def _lost_workers_named() -> Iterator[None]:
    try:
        yield
    except (distributed.KilledWorker, xgboost.core.XGBoostError) as error:
        if isinstance(error, xgboost.core.XGBoostError) and "/collective/" not in str(error):
            raise
        raise ConnectionError(
            "A worker was killed while the trees were grown, or the workers cannot reach each "
            "other. The rows of a worker and their targets must fit into its memory: use more "
            "workers, and start the training again."
        ) from error


def _check_client(client: Client) -> None:
    """Raise ValueError if workers in this process would not find the client of the targets."""
    try:
        is_found = distributed.default_client() is client
    except ValueError:  # there is none
        is_found = False
    if client.scheduler_info()["address"].startswith("inproc://") and not is_found:
        raise ValueError(
            "The workers of this client are threads of this process, which find only the default "
            "client. Create it by Client(..., set_as_default=True), or use processes."
        )


def _check_parameters(student: _Student) -> None:
    chosen = student.get_params(deep=False)
    for name in ("temperature", "hard_weight"):
        if chosen.get(name) == "auto":
            raise ValueError(
                f"fit_xgboost does not support {name}='auto', which compares students on held-out "
                f"rows. Set a number, such as the {name}_ of a fit on some of the rows."
            )
    for name in ("early_stopping_rounds", "transfer"):
        if chosen[name] is not None:
            raise ValueError(
                f"{name}={chosen[name]!r} needs all rows in one place, not on a Dask cluster. Set "
                f"{name}=None for fit_xgboost."
            )
    if chosen["checkpoint"] is not None:
        raise ValueError(
            f"fit_xgboost does not support checkpoint={os.fspath(chosen['checkpoint'])!r}: it "
            "starts again after an interruption. Set checkpoint=None."
        )
    if student.tree_method == "exact":
        raise ValueError(
            "tree_method='exact' needs all rows in one place, not on a Dask cluster. Set "
            "tree_method='hist' for fit_xgboost."
        )


def _fit_arrays(
    student: _Student,
    X: Any,
    targets: Any,
    labels: Any,
    classes: ArrayLike | None,
    client: Client,
) -> None:
    for name, array in {"X": X, "targets": targets, "labels": labels}.items():
        if not isinstance(array, da.Array) and (name != "labels" or array is not None):
            raise TypeError(
                f"The {name} of fit_xgboost must be a Dask array: da.from_array(...), "
                f"da.from_zarr(...), .... Got {type(array).__name__} instead."
            )
    # kept in the cluster: rows and targets are needed twice, and are then on the same workers
    kept = client.persist(_aligned(X, targets, labels))
    X, targets, labels = (*kept, None)[:3]
    student.n_features_in_ = X.shape[1]
    if isinstance(student, XGBoostStudentClassifier):
        blocks = _class_blocks(student, targets, labels, classes, client)
        _train_classifier(student, X, blocks, client)
    else:
        student.hard_weight_ = hard_weight = float(student.hard_weight)
        if labels is not None:
            targets = hard_weight * labels + (1 - hard_weight) * targets
        _train_regressor(student, X, targets, client)


def _fit_parts(student: _Student, parts: LabelledParts, client: Client) -> None:
    of_classes = isinstance(student, XGBoostStudentClassifier)
    check_parts(student, parts, "classification" if of_classes else "regression")
    student.hard_weight_ = float(student.hard_weight)
    if student.hard_weight_ > 0 and parts.target is None:
        parts[0].labels()  # raises an error with the remedy
    student.n_features_in_ = parts.n_features
    if parts.columns is not None:
        student.feature_names_in_ = np.asarray(parts.columns, dtype=object)
    supervision = PartSupervision.of(parts)
    make: SoftTargets | MixedValues
    if isinstance(student, XGBoostStudentClassifier):
        student.classes_ = supervision.classes
        student.temperature_ = float(student.temperature)
        make = SoftTargets(supervision, student.temperature_, student.hard_weight_)
    else:
        make = MixedValues(supervision, student.hard_weight_)
    # one task per part: its rows and targets are then on the same worker
    read = [
        client.submit(
            _read,
            part,
            make,
            student.hard_weight_ > 0,
            pure=False,
            workers=[home],
            allow_other_workers=True,
        )
        for part, home in zip(parts, _homes(parts, client), strict=True)
    ]
    features, targets = (client.map(itemgetter(i), read, pure=False) for i in (0, 1))
    del read  # the pairs
    client.gather(client.map(len, targets, pure=False))  # raises the errors of reading
    X = _joined(features, parts, (parts.n_features,), np.float32)
    if isinstance(student, XGBoostStudentClassifier):
        _train_classifier(student, X, targets, client)
    else:
        values = _joined(targets, parts, (len(supervision.classes),), np.float64)
        _train_regressor(student, X, values[:, 0] if values.shape[1] == 1 else values, client)


def _homes(parts: LabelledParts, client: Client) -> list[str]:
    """Return the address of a worker for each part, fixed by the workers' names."""
    workers = client.scheduler_info(n_workers=-1)["workers"].items()
    addresses = [address for address, _ in sorted(workers, key=lambda item: str(item[1]["name"]))]
    if not addresses:
        raise ConnectionError(
            f"The Dask scheduler at {client.scheduler_info()['address']} has no workers. Start "
            "some: dask worker ADDRESS."
        )
    rows = np.array([part.n_rows for part in parts])
    middles = np.cumsum(rows) - rows / 2
    return [addresses[int(middle * len(addresses) / rows.sum())] for middle in middles]


def _read(
    part: LabelledPart, make: SoftTargets | MixedValues, labels: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return features and training targets."""
    rows = LabelledRows(part.X(), part.targets(), part.labels() if labels else None)
    return rows.X, make(rows)


def _joined(
    blocks: list[Future], parts: LabelledParts, shape: tuple[int, ...], dtype: type
) -> Array:
    return da.concatenate(
        [
            da.from_delayed(block, (part.n_rows, *shape), dtype)
            for block, part in zip(blocks, parts, strict=True)
        ]
    )


def _aligned(X: Array, targets: Array, labels: Array | None) -> list[Array]:
    """Return the given arrays in blocks of the same rows and of all columns."""
    if X.ndim != 2 or targets.ndim not in (1, 2):
        raise ValueError(
            "X must have the shape (n_samples, n_features), targets (n_samples, n_outputs) or "
            f"(n_samples,). Got {X.shape} and {targets.shape}."
        )
    X, rows = X.rechunk({1: -1}), X.chunks[0]
    aligned = [X]
    for name, array in (("targets", targets), ("labels", labels)):
        if array is None:
            continue
        # blocks of unknown length (NaN) cannot be compared; only their number can
        known = not any(np.isnan([*rows, *array.chunks[0]]))
        if (array.shape[0] != X.shape[0]) if known else (len(array.chunks[0]) != len(rows)):
            raise ValueError(
                f"X has {X.shape[0]} rows in {len(rows)} blocks, the {name} {array.shape[0]} in "
                f"{len(array.chunks[0])}. They must correspond row by row; arrays of unknown "
                "length need equal blocks."
            )
        if known:
            array = array.rechunk({0: rows})
        aligned.append(array if array.ndim == 1 else array.rechunk({1: -1}))
    return aligned


def _class_blocks(
    student: XGBoostStudentClassifier,
    targets: Array,
    labels: Array | None,
    classes: ArrayLike | None,
    client: Client,
) -> list[Future]:
    """Return the soft targets of each block, and set the student's classes."""
    if targets.ndim == 1:
        if labels is not None:
            raise ValueError("The labels are given twice, as targets and as labels. Pass one.")
        known = np.asarray(da.unique(targets).compute() if classes is None else classes)
        student.temperature_, student.hard_weight_ = 1.0, 1.0
    else:
        known = np.arange(targets.shape[1]) if classes is None else np.asarray(classes)
        student.temperature_ = float(student.temperature)
        student.hard_weight_ = float(student.hard_weight)
    student.classes_ = known
    soft = targets.to_delayed().ravel()
    hard = [None] * len(soft) if labels is None else labels.to_delayed().ravel()
    make = dask.delayed(_block_targets)
    return client.compute(
        [make(student, block, true) for block, true in zip(soft, hard, strict=True)]
    )


def _train_classifier(
    student: XGBoostStudentClassifier, X: Array, blocks: list[Future], client: Client
) -> None:
    """Train on soft targets: one object per block, fetched by the worker with its rows."""
    sums = client.gather(client.map(_length_and_sum, blocks, pure=False))
    n = sum(length for length, _ in sums)
    model, params = student._model_and_params(sum(total for _, total in sums) / n)
    # the label of a row in XGBoost is the number of its block, by which its targets are found
    numbers = da.map_blocks(_block_numbers, X, dtype=np.float32, drop_axis=1)
    name = f"soft-targets-{uuid.uuid4().hex}"
    client.publish_dataset(blocks, name=name)  # so workers find them
    try:
        objective = BlockSoftCrossEntropy(name, student.temperature_)
        booster = _train(student, X, numbers, params, client, objective)
    finally:
        client.unpublish_dataset(name)
    model.load_model(booster.save_raw("ubj"))
    student.estimator_ = model


def _train_regressor(
    student: XGBoostStudentRegressor, X: Array, values: Array, client: Client
) -> None:
    student._flat = values.ndim == 1
    student.n_outputs_ = 1 if student._flat else values.shape[1]
    model = student._make()
    booster = _train(student, X, values, model.get_xgb_params(), client, None)
    model.load_model(booster.save_raw("ubj"))
    student.estimator_ = model


def _train(
    student: _Student,
    X: Array,
    labels: Array,
    params: dict[str, Any],
    client: Client,
    objective: BlockSoftCrossEntropy | None,
) -> xgboost.Booster:
    if student.tree_method in (None, "auto", "hist"):
        data: Any = xgboost.dask.DaskQuantileDMatrix(client, X, labels, max_bin=student.max_bin)
    else:
        data = xgboost.dask.DaskDMatrix(client, X, labels)
    trained = xgboost.dask.train(
        client,
        params,
        data,
        num_boost_round=student.n_estimators,
        obj=objective,
        verbose_eval=False,
    )
    return trained["booster"]


def _block_targets(
    student: XGBoostStudentClassifier, outputs: np.ndarray, labels: np.ndarray | None
) -> np.ndarray:
    """Return the soft targets of a block, as in the student's own fit."""
    from soft_students.teachers import ArrayTeacher  # imports torch, which parts do without

    classes = student.classes_
    if outputs.ndim == 1:
        columns = np.searchsorted(classes, outputs).clip(max=len(classes) - 1)
        unknown = np.setdiff1d(outputs, classes)
        if unknown.size:
            raise ValueError(
                f"The labels contain {unknown.tolist()[:5]}, which are not among the classes "
                f"{classes.tolist()[:20]}."
            )
        return one_hot(columns, len(classes))
    lesson = class_supervision(
        student, outputs, None, labels, ArrayTeacher(outputs, classes=classes), student.hard_weight
    )
    return lesson.targets(student.temperature_, student.hard_weight_)


def _length_and_sum(block: np.ndarray) -> tuple[int, np.ndarray]:
    return len(block), block.sum(axis=0)


def _block_numbers(block: np.ndarray, block_id: tuple[int, ...]) -> np.ndarray:
    return np.full(len(block), block_id[0], dtype=np.float32)
