"""Loads data sets: bundled digits, MNIST and Fashion-MNIST, tables of your own."""

import importlib
from typing import TYPE_CHECKING, Any

from soft_students.datasets.registry import available_datasets, load_dataset

if TYPE_CHECKING:
    from soft_students.datasets.dataset import Dataset, DatasetNotFoundError
    from soft_students.datasets.splitting import validation_split
    from soft_students.datasets.tables import load_rows
    from soft_students.datasets.tabular import check_complete

# Imported at first use: listing the data sets needs neither numpy nor scikit-learn.
_MODULES = {
    "Dataset": "soft_students.datasets.dataset",
    "DatasetNotFoundError": "soft_students.datasets.dataset",
    "check_complete": "soft_students.datasets.tabular",
    "load_rows": "soft_students.datasets.tables",
    "validation_split": "soft_students.datasets.splitting",
}

__all__ = [
    "Dataset",
    "DatasetNotFoundError",
    "available_datasets",
    "check_complete",
    "load_dataset",
    "load_rows",
    "validation_split",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
