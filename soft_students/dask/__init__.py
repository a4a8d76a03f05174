"""Dask: label Dask arrays with a teacher, and train XGBoost students on a cluster's workers.

Dask is an extra: ``pip install 'soft-students[scale]'``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from soft_students.dask.arrays import label_array
    from soft_students.dask.boosting import fit_xgboost
    from soft_students.dask.cluster import dask_client

# imported at first use: labelling workers do not need boosting
_HOMES = {
    "dask_client": "soft_students.dask.cluster",
    "fit_xgboost": "soft_students.dask.boosting",
    "label_array": "soft_students.dask.arrays",
}

__all__ = ["dask_client", "fit_xgboost", "label_array"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
