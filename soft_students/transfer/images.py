"""Random distortions of images given as rows of pixels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import RandomState
from sklearn.utils import check_random_state

from soft_students.transfer.base import Transfer

if TYPE_CHECKING:
    import torch

_BATCH = 4096  # images at once: bounds memory to about 8 * 4096 * height * width bytes


class ImageDistortion(Transfer):
    """Random affine and elastic distortions of images, by one bilinear resampling per image.

    Each image gets its own rotation, anisotropic scale, shear and shift, drawn uniformly from
    [-limit, limit], and a smooth random displacement field. Pixels outside repeat the border.

    Parameters
    ----------
    image_shape : tuple of int, default=None
        (height, width) or (channels, height, width) of the image in each row. None: a square
        single-channel image.
    rotation : float, default=9.0
        Largest rotation, in degrees.
    scale : float, default=0.1
        Largest change of size along each axis, as a fraction.
    shear : float, default=0.16
        Largest horizontal shear, in columns per row.
    shift : float, default=0.04
        Largest shift along each axis, as a fraction of the side.
    elastic : float, default=0.02
        Standard deviation of the displacements at the control points, as a fraction of the side.
    elastic_points : int, default=5
        Control points of the displacement field along each side, with bicubic interpolation.
    flip : float, default=0.0
        Probability of exchanging left and right: for photographs and garments, not for digits.
    cutout : float, default=0.0
        Side of a square at a random place that is filled with the image's mean, as a fraction of
        the shorter side of the image. The square may extend beyond the border.

    References
    ----------
    Simard, Steinkraus and Platt (2003), "Best practices for convolutional neural networks applied
    to visual document analysis", section 2.

    DeVries and Taylor (2017), "Improved regularization of convolutional neural networks with
    cutout", arXiv:1708.04552, section 3.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from soft_students.transfer import ImageDistortion
    >>> X = load_digits().data / 16
    >>> distorted = ImageDistortion(image_shape=(8, 8)).sample(X, random_state=0)
    >>> distorted.shape == X.shape, bool((distorted != X).any())
    (True, True)
    """

    eight_bit = True
    keeps_labels = True

    def __init__(
        self,
        image_shape: tuple[int, ...] | None = None,
        rotation: float = 9.0,
        scale: float = 0.1,
        shear: float = 0.16,
        shift: float = 0.04,
        elastic: float = 0.02,
        elastic_points: int = 5,
        flip: float = 0.0,
        cutout: float = 0.0,
    ) -> None:
        self.image_shape = image_shape
        self.rotation = rotation
        self.scale = scale
        self.shear = shear
        self.shift = shift
        self.elastic = elastic
        self.elastic_points = elastic_points
        self.flip = flip
        self.cutout = cutout

    def sample(
        self,
        X: np.ndarray,
        random_state: int | RandomState | None = None,
        *,
        categorical: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return one distorted image for each image of `X`.

        Parameters
        ----------
        X : ndarray of shape (n, n_features)
            Images as rows of pixels.
        random_state : int, RandomState instance or None
        categorical : ndarray of bool, shape (n_features,), default=None
            Must not contain True: pixels are not categories.

        Returns
        -------
        ndarray of shape (n, n_features), of the dtype of `X`

        Raises
        ------
        ValueError
            If `X` does not match `image_shape`, or a parameter is out of range.
        """
        import torch  # here: a student with this as a parameter predicts without torch
        from torch.nn import functional as F

        X = np.asarray(X)
        if categorical is not None and np.any(categorical):
            raise ValueError(
                "ImageDistortion needs rows of pixels. Got categorical columns "
                f"{np.flatnonzero(categorical).tolist()[:10]}. Use Munge or MarginalResample."
            )
        channels, height, width = self._shape(X.shape[1])
        self._check_parameters()
        seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
        generator = torch.Generator().manual_seed(seed)
        distorted = np.empty_like(X)
        for start in range(0, len(X), _BATCH):
            rows = slice(start, start + _BATCH)
            images = torch.from_numpy(np.ascontiguousarray(X[rows], dtype=np.float32))
            images = images.view(-1, channels, height, width)
            grid = self._grid(len(images), height, width, generator)
            sampled = F.grid_sample(
                images, grid, mode="bilinear", padding_mode="border", align_corners=False
            )
            if self.cutout > 0:
                sampled = self._cut_out(sampled, generator)
            sampled = sampled.view(len(images), -1)
            if np.issubdtype(X.dtype, np.integer):
                sampled = sampled.round_()
            distorted[rows] = sampled.numpy()
        return distorted

    def _grid(self, n: int, height: int, width: int, generator: torch.Generator) -> torch.Tensor:
        """Return the source of each output pixel, in grid_sample's [-1, 1] coordinates."""
        import torch
        from torch.nn import functional as F

        def uniform(limit: float) -> torch.Tensor:
            return (2 * torch.rand(n, generator=generator) - 1) * limit

        angle = uniform(math.radians(self.rotation))
        scale_x, scale_y = 1 + uniform(self.scale), 1 + uniform(self.scale)
        shear = uniform(self.shear)
        shift_x, shift_y = uniform(2 * self.shift), uniform(2 * self.shift)
        if self.flip > 0:
            scale_x = torch.where(torch.rand(n, generator=generator) < self.flip, -scale_x, scale_x)
        cos, sin = angle.cos(), angle.sin()
        aspect = height / width  # rotate in pixels, not in units of the two sides
        theta = torch.stack(
            [
                torch.stack([cos * scale_x, (shear * cos - sin) * scale_y * aspect, shift_x], 1),
                torch.stack([sin * scale_x / aspect, (shear * sin + cos) * scale_y, shift_y], 1),
            ],
            dim=1,
        )
        grid = F.affine_grid(theta, [n, 1, height, width], align_corners=False)
        if self.elastic > 0:
            points = self.elastic_points
            field = torch.randn(n, 2, points, points, generator=generator) * (2 * self.elastic)
            field = F.interpolate(field, (height, width), mode="bicubic", align_corners=True)
            grid = grid + field.permute(0, 2, 3, 1)
        return grid

    def _cut_out(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        import torch

        n, _, height, width = images.shape
        half = self.cutout * min(height, width) / 2

        def beyond(side: int) -> torch.Tensor:
            """Return the mask of the places outside the square along a side, shape (n, side)."""
            centre = torch.rand(n, 1, generator=generator) * side
            return (torch.arange(side) + 0.5 - centre).abs() > half

        kept = beyond(height)[:, None, :, None] | beyond(width)[:, None, None, :]
        return torch.where(kept, images, images.mean(dim=(2, 3), keepdim=True))

    def _shape(self, n_features: int) -> tuple[int, int, int]:
        if self.image_shape is None:
            side = math.isqrt(n_features)
            shape: tuple[int, ...] = (1, side, side)
        elif len(self.image_shape) == 2:
            shape = (1, *self.image_shape)
        else:
            shape = tuple(self.image_shape)
        if len(shape) != 3 or math.prod(shape) != n_features:
            wanted = "a square image" if self.image_shape is None else f"{self.image_shape} pixels"
            raise ValueError(
                f"ImageDistortion needs rows of {wanted}. Got {n_features} features. Set "
                "image_shape=(height, width) or (channels, height, width)."
            )
        return shape[0], shape[1], shape[2]

    def _check_parameters(self) -> None:
        for name in ("rotation", "scale", "shear", "shift", "elastic"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise ValueError(
                    f"The {name!r} parameter of ImageDistortion must be a finite number >= 0. "
                    f"Got {value!r} instead."
                )
        for name in ("flip", "cutout"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(
                    f"The {name!r} parameter of ImageDistortion must be a number in [0, 1]. "
                    f"Got {value!r} instead."
                )
        if self.scale >= 1:
            raise ValueError(
                "The 'scale' parameter of ImageDistortion must be below 1, since an image of size "
                f"zero has no content. Got {self.scale!r} instead."
            )
        if not (isinstance(self.elastic_points, int) and self.elastic_points >= 2):
            raise ValueError(
                "The 'elastic_points' parameter of ImageDistortion must be an int >= 2. "
                f"Got {self.elastic_points!r} instead."
            )
