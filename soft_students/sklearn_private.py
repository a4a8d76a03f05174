"""Private names of scikit-learn that this package uses; no other module imports them.

scikit-learn may move or rename them in any release. Three have a fallback of public functions. The
others have none: the validation of parameters (`Interval`, `StrOptions`, `HasMethods`,
`validate_params`, `fit_context`, and with them the attributes ``_parameter_constraints`` and
``_validate_params`` of estimators), `check_sample_weight`, and the trees that students store as
arrays and build anew (`Tree`, `TreePredictor`, `PREDICTOR_RECORD_DTYPE`, and ``_predictors`` and
``_baseline_prediction`` of a fitted `HistGradientBoostingRegressor`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import _fit_context as fit_context
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions, validate_params
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

if TYPE_CHECKING:
    from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
    from sklearn.tree._tree import Tree

__all__ = [
    "PREDICTOR_RECORD_DTYPE",
    "HasMethods",
    "Interval",
    "StrOptions",
    "Tree",
    "TreePredictor",
    "check_sample_weight",
    "effective_n_threads",
    "fit_context",
    "num_samples",
    "safe_indexing",
    "validate_params",
]

try:
    from sklearn.utils.validation import _num_samples as num_samples
except ImportError:

    def num_samples(X: Any) -> int:
        """Return the number of rows of an array-like."""
        return np.shape(X)[0]


try:
    from sklearn.utils import _safe_indexing as safe_indexing
except ImportError:

    def safe_indexing(X: Any, indices: Any) -> Any:
        """Return rows of an array, a sparse matrix, a DataFrame or a list."""
        if hasattr(X, "iloc"):
            return X.iloc[indices]
        return X[indices] if hasattr(X, "shape") else [X[i] for i in indices]


try:
    from sklearn.utils._openmp_helpers import _openmp_effective_n_threads as effective_n_threads
except ImportError:
    from joblib import cpu_count as effective_n_threads

#: Imported on first use, since most modules need no trees.
_OF_TREES = {
    "PREDICTOR_RECORD_DTYPE": "sklearn.ensemble._hist_gradient_boosting.common",
    "Tree": "sklearn.tree._tree",
    "TreePredictor": "sklearn.ensemble._hist_gradient_boosting.predictor",
}


def __getattr__(name: str) -> Any:
    if name not in _OF_TREES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_OF_TREES[name]), name)
