"""Visual concepts: pixels that a network discards less than the background; how they are learnt."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from torch import nn
from torch.nn.utils import parameters_to_vector


def foreground_mask(images: ArrayLike, threshold: float = 0.1) -> np.ndarray:
    """Return the mask of the pixels that differ from a uniform background, as in MNIST.

    The background value is the median of the outermost pixels of all images. Foreground pixels
    differ from it, in any channel, by more than `threshold` of the range of all values. Images
    without a uniform background need masks from another source.

    Parameters
    ----------
    images : array-like of shape (n, height, width) or (n, channels, height, width)
    threshold : float, default=0.1
        Fraction of the range.

    Returns
    -------
    ndarray of bool, shape (n, height, width)

    Raises
    ------
    ValueError
        If the shape is not one of these, or has no pixels.

    Examples
    --------
    >>> from soft_students.knowledge import foreground_mask
    >>> foreground_mask([[[1.0, 1.0, 1.0], [1.0, 0.2, 1.0], [1.0, 1.0, 1.0]]])[0].sum()
    np.int64(1)
    """
    values = np.asarray(images, dtype=float)
    if values.ndim not in (3, 4) or 0 in values.shape:
        raise ValueError(
            "foreground_mask takes images of shape (n, height, width) or (n, channels, height, "
            f"width). Got shape {values.shape}."
        )
    border = np.ones(values.shape[-2:], dtype=bool)
    border[1:-1, 1:-1] = False
    if values.ndim == 3:
        values = values[:, None]
    background = np.median(values[..., border], axis=(0, 2))[:, None, None]
    return (np.abs(values - background) > threshold * np.ptp(values)).any(axis=1)


def visual_concepts(
    entropies: ArrayLike, foreground: ArrayLike, threshold: float = 0.2
) -> np.ndarray:
    r"""Return the mask of the pixels that are visual concepts: :math:`\bar H - H_i > b`.

    Parameters
    ----------
    entropies : array-like of shape (n, ...)
        Pixel entropies of n images in one network, from `pixel_entropies`, in nats.
    foreground : array-like of bool, shape (n, ...)
    threshold : float, default=0.2
        b, in nats.

    Returns
    -------
    ndarray of bool, shape (n, ...)

    Notes
    -----
    :math:`\bar H` is the same for all images: the mean, over images, of the mean entropy of their
    background, as in the authors' code.

    References
    ----------
    Cheng, Rao, Chen and Zhang (2020), arXiv:2003.03622, section 3.

    Examples
    --------
    >>> from soft_students.knowledge import visual_concepts
    >>> visual_concepts([[-3.0, -2.0, -2.0]], [[True, False, False]]).tolist()
    [[True, False, False]]
    """
    entropies = np.asarray(entropies, dtype=float)
    return background_entropy(entropies, foreground) - entropies > threshold


def background_entropy(entropies: ArrayLike, foreground: ArrayLike) -> float:
    """Return the mean, over images, of the mean entropy of their background.

    Parameters
    ----------
    entropies : array-like of shape (n, ...)
    foreground : array-like of bool, shape (n, ...)
        At least one pixel of each image must be background.
    """
    behind = ~np.asarray(foreground, dtype=bool)
    means = [float(h[b].mean()) for h, b in zip(np.asarray(entropies), behind, strict=True)]
    return float(np.mean(means))


def weight_distances(networks: Sequence[nn.Module]) -> np.ndarray:
    r"""Return the weight distance of each checkpoint: :math:`\sum_k \|w_k - w_{k-1}\| / \|w_0\|`.

    Parameters
    ----------
    networks : sequence of nn.Module
        The untrained network, then its state after each epoch. If epochs are left out, the step
        across them counts as straight.

    Returns
    -------
    ndarray of shape (n_networks,)
        Starts at 0 and does not fall.

    Raises
    ------
    ValueError
        If the networks differ in their number of weights.
    """
    weights = [parameters_to_vector(n.parameters()).detach().double().cpu() for n in networks]
    sizes = [len(w) for w in weights]
    if len(set(sizes)) > 1:
        raise ValueError(
            "The checkpoints must be of one network. Got different numbers of weights: "
            f"{', '.join(map(str, dict.fromkeys(sizes)))}."
        )
    steps = [float((b - a).norm()) for a, b in itertools.pairwise(weights)]
    return np.concatenate([[0.0], np.cumsum(steps)]) / float(weights[0].norm())


@dataclass(frozen=True)
class KnowledgeMetrics:
    """Metrics of learning visual concepts: discriminative, fast, simultaneous and direct.

    Parameters
    ----------
    lambda_ : float
        Mean of N_fg / (N_fg + N_bg) at the last checkpoint, over images with a concept there: high
        if the concepts are discriminative.
    d_mean : float
        Mean over images of the weight distance at the checkpoint with the most foreground
        concepts: low if concepts are learnt fast.
    d_std : float
        Standard deviation of the same distances: low if the concepts of different images are learnt
        simultaneously. (Paper and authors' code report the variance by this name.)
    rho : float
        Mean over images of the fraction of foreground concepts, among all those held after the
        first epoch or later, that the last checkpoint still holds: high if optimisation is direct.
    without_concept : int
        Images without a concept, excluded from `lambda_`.
    never_learnt : int
        Images without a foreground concept at any checkpoint, excluded from `d_mean`, `d_std` and
        `rho`.
    """

    lambda_: float
    d_mean: float
    d_std: float
    rho: float
    without_concept: int
    never_learnt: int


def knowledge_metrics(
    concepts: ArrayLike, foreground: ArrayLike, distances: ArrayLike
) -> KnowledgeMetrics:
    """Return the knowledge metrics of a training from its visual concepts.

    Parameters
    ----------
    concepts : array-like of bool, shape (n_checkpoints, n_images, ...)
        Masks of the concepts. Those of the first checkpoint, the untrained network, do not count.
    foreground : array-like of bool, shape (n_images, ...)
    distances : array-like of shape (n_checkpoints,)
        From `weight_distances`.

    Returns
    -------
    KnowledgeMetrics
        NaN if all images are excluded.

    Raises
    ------
    ValueError
        If the arrays have fewer than two checkpoints, or shapes do not match.

    References
    ----------
    Cheng, Rao, Chen and Zhang (2020), arXiv:2003.03622, section 3.

    Examples
    --------
    >>> from soft_students.knowledge import knowledge_metrics
    >>> untrained, half, final = [[0, 0, 0]], [[1, 1, 0]], [[1, 0, 1]]
    >>> found = knowledge_metrics([untrained, half, final], [[1, 1, 0]], [0.0, 0.5, 0.7])
    >>> found.lambda_, found.d_mean, found.rho
    (0.5, 0.5, 0.5)
    """
    found = np.asarray(concepts, dtype=bool)
    ahead, distance = np.asarray(foreground, dtype=bool), np.asarray(distances, dtype=float)
    if len(found) < 2 or len(found) != len(distance) or found.shape[1:] != ahead.shape:
        raise ValueError(
            "knowledge_metrics needs two checkpoints or more, with concepts of shape "
            "(n_checkpoints, n_images, ...), foreground of shape (n_images, ...) and as many "
            f"distances. Got {found.shape}, {ahead.shape} and {distance.shape}."
        )
    found, ahead = found.reshape(*found.shape[:2], -1), ahead.reshape(len(ahead), -1)
    of_foreground = found & ahead
    share = foreground_share(found[-1], ahead)
    counts = of_foreground[1:].sum(axis=2)
    learnt = counts.any(axis=0)
    at_most = distance[1:][counts.argmax(axis=0)][learnt]
    ever = of_foreground[1:].any(axis=0).sum(axis=1)[learnt]
    kept = counts[-1][learnt]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # means of empty arrays are NaN
        return KnowledgeMetrics(
            lambda_=float(np.nanmean(share)),
            d_mean=float(np.mean(at_most)),
            d_std=float(np.std(at_most)),
            rho=float(np.mean(kept / ever)),
            without_concept=int(np.isnan(share).sum()),
            never_learnt=int((~learnt).sum()),
        )


def foreground_share(concepts: np.ndarray, foreground: np.ndarray) -> np.ndarray:
    """Return N_fg / (N_fg + N_bg) of each image, or NaN without a concept.

    Parameters
    ----------
    concepts, foreground : ndarray of bool, shape (n_images, n_pixels)
    """
    total = concepts.sum(axis=1)
    return np.divide(
        (concepts & foreground).sum(axis=1),
        total,
        out=np.full(len(total), np.nan),
        where=total > 0,
    )
