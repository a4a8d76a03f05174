"""Settings of neural students for images, where they differ from the defaults."""

from __future__ import annotations

from typing import Any

from soft_students.transfer import ImageDistortion


def neural_settings(image_shape: tuple[int, ...], n_rows: int) -> dict[str, Any]:
    """Return constructor parameters of a neural student for images.

    Parameters
    ----------
    image_shape : tuple of int
        (height, width) or (channels, height, width).
    n_rows : int
        Number of training rows.
    """
    return {
        "module": "small_cnn",
        "input_shape": tuple(image_shape),
        # Networks are overconfident on images; softer targets carry more information.
        "temperature": 4.0,
        "hard_weight": 0.1,
        "augment": ImageDistortion(image_shape=tuple(image_shape)),
        "batch_size": min(128, max(16, n_rows // 20)),
        "learning_rate": 0.01,
        # about the same number of row visits for small and large data sets
        "epochs": max(15, min(60, round(600_000 / n_rows))),
    }
