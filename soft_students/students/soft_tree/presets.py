"""Settings of soft trees for images, chosen on validation data."""

from __future__ import annotations

from typing import Any

from soft_students.transfer import ImageDistortion

_LARGE = 10_000  # minimum training rows for large batches


def image_settings(image_shape: tuple[int, ...], n_rows: int) -> dict[str, Any]:
    """Return constructor parameters of a soft tree for images.

    Parameters
    ----------
    image_shape : tuple of int
        (height, width) or (channels, height, width).
    n_rows : int
        Number of training rows.

    Returns
    -------
    dict
    """
    large = n_rows >= _LARGE
    return {
        "standardize": False,
        "mixture_weight": 1.0,
        "focusing": 1.0,
        "sharpening": 4.0,
        "temperature": 3.0 if large else 2.0,
        "learning_rate": 0.007 if large else 0.01,
        "weight_decay": 0.03,
        "weight_averaging": 0.999 if large else 0.99,
        "batch_size": 512 if large else 64,
        "epochs": 80 if large else 100,
        "transfer": ImageDistortion(image_shape),
        "transfer_copies": 6 if large else 15,
    }
