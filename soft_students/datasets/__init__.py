"""Loads data sets: bundled digits, MNIST and Fashion-MNIST, tables of your own."""

from soft_students.datasets.dataset import Dataset, DatasetNotFoundError
from soft_students.datasets.registry import available_datasets, load_dataset
from soft_students.datasets.splitting import validation_split
from soft_students.datasets.tables import load_rows
from soft_students.datasets.tabular import check_complete

__all__ = [
    "Dataset",
    "DatasetNotFoundError",
    "available_datasets",
    "check_complete",
    "load_dataset",
    "load_rows",
    "validation_split",
]
