"""Visual concepts: pixels that a network forgets less than the background, and their learning."""

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
    """Return which pixels differ from a uniform background, as in MNIST.

    The value of the background is the median of the outermost pixels of all images. Foreground is
    what differs from it, in any channel, by more than a share of the range of all values. Images of
    another kind need masks from elsewhere.

    Parameters
    ----------
    images : array-like of shape (n, height, width) or (n, channels, height, width)
    threshold : float, default=0.1
        Share of the range.

    Returns
    -------
    ndarray of bool, shape (n, height, width)

    Raises
    ------
    ValueError
        If these are no images.

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
    r"""Return which pixels are visual concepts: :math:`\bar H - H_i > b`.

    Parameters
    ----------
    entropies : array-like of shape (n, ...)
        Of the pixels of n images, from `pixel_entropies`, for one network.
    foreground : array-like of bool, shape (n, ...)
    threshold : float, default=0.2
        b, in nats.

    Returns
    -------
    ndarray of bool, shape (n, ...)

    Notes
    -----
    :math:`\bar H` is the mean entropy of the background, over the images of their means, as in the
    authors' code: one measure for all images.

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
    """Return the mean entropy of the background, over the images of their means.

    Parameters
    ----------
    entropies : array-like of shape (n, ...)
    foreground : array-like of bool, shape (n, ...)
        Each image has background.
    """
    behind = ~np.asarray(foreground, dtype=bool)
    means = [float(h[b].mean()) for h, b in zip(np.asarray(entropies), behind, strict=True)]
    return float(np.mean(means))


def weight_distances(networks: Sequence[nn.Module]) -> np.ndarray:
    r"""Return how far the weights have travelled: :math:`\sum_k \|w_k - w_{k-1}\| / \|w_0\|`.

    Parameters
    ----------
    networks : sequence of nn.Module
        The first is untrained; then one after each epoch, or some of them: steps between those left
        out count as one straight step.

    Returns
    -------
    ndarray of shape (n_networks,)
        From 0 upwards.

    Raises
    ------
    ValueError
        If they are not of one architecture.
    """
    weights = [parameters_to_vector(n.parameters()).detach().double().cpu() for n in networks]
    sizes = [len(w) for w in weights]
    if len(set(sizes)) > 1:
        raise ValueError(
            "The checkpoints must be of one network. Got numbers of weights that differ: "
            f"{', '.join(map(str, dict.fromkeys(sizes)))}."
        )
    steps = [float((b - a).norm()) for a, b in itertools.pairwise(weights)]
    return np.concatenate([[0.0], np.cumsum(steps)]) / float(weights[0].norm())


@dataclass(frozen=True)
class KnowledgeMetrics:
    """How much a network has learnt of the foreground, how simultaneously, and how directly.

    Parameters
    ----------
    lambda_ : float
        Mean of N_fg / (N_fg + N_bg) at the last checkpoint, over images with a concept there: how
        discriminative the concepts are.
    d_mean : float
        Mean over images of the weight distance at the checkpoint with the most foreground
        concepts: low if concepts are learnt fast.
    d_std : float
        Standard deviation of the same: low if those of different images are learnt
        simultaneously. (Paper and authors' code report the variance by this name.)
    rho : float
        Mean over images of the share of foreground concepts, of all those ever held after the first
        epoch, that the last checkpoint still holds: high if optimisation makes no detours.
    without_concept : int
        Images that `lambda_` leaves out.
    never_learnt : int
        Images that `d_mean`, `d_std` and `rho` leave out: no checkpoint has a foreground concept.
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
    """Return the metrics of a training.

    Parameters
    ----------
    concepts : array-like of bool, shape (n_checkpoints, n_images, ...)
        The first checkpoint is untrained: it has learnt nothing, so that its concepts do not count.
    foreground : array-like of bool, shape (n_images, ...)
    distances : array-like of shape (n_checkpoints,)
        From `weight_distances`.

    Returns
    -------
    KnowledgeMetrics
        NaN where no image is left.

    Raises
    ------
    ValueError
        If there are fewer than two checkpoints, or lengths differ.

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
        warnings.simplefilter("ignore", RuntimeWarning)  # of means of nothing, which are NaN
        return KnowledgeMetrics(
            lambda_=float(np.nanmean(share)),
            d_mean=float(np.mean(at_most)),
            d_std=float(np.std(at_most)),
            rho=float(np.mean(kept / ever)),
            without_concept=int(np.isnan(share).sum()),
            never_learnt=int((~learnt).sum()),
        )


def foreground_share(concepts: np.ndarray, foreground: np.ndarray) -> np.ndarray:
    """Return N_fg / (N_fg + N_bg) of each image; NaN without a concept.

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
