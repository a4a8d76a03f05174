"""Loads the small images of digits bundled with scikit-learn."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits as sklearn_digits
from sklearn.model_selection import train_test_split

from soft_students.datasets.dataset import Dataset


def load_digits() -> Dataset:
    """Load 1,797 images of handwritten digits, 8 x 8 pixels, without network access.

    The set has no official split. This one is always the same: a quarter of each class is test
    data, chosen by ``train_test_split(X, y, test_size=0.25, stratify=y, random_state=0)``. Pixels,
    0 to 16 in the file, are scaled to [0, 1].

    Returns
    -------
    Dataset
        With 1,347 training and 450 test rows of 64 features.
    """
    bunch = sklearn_digits()
    X = (bunch.data / 16).astype(np.float32)
    y = bunch.target.astype(np.int64)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.25, stratify=y, random_state=0
    )
    return Dataset(
        name="digits",
        X_train=X_train,
        y_train=y_train,
        X_test=X_test,
        y_test=y_test,
        classes=np.arange(10),
        feature_names=None,
        image_shape=(8, 8),
        source="scikit-learn load_digits",
    )
