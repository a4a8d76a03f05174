"""Quantifies the knowledge of a network during its training, from checkpoints and images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.random import RandomState
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from torch import Tensor, nn

from soft_students.knowledge.concepts import (
    KnowledgeMetrics,
    background_entropy,
    foreground_mask,
    foreground_share,
    knowledge_metrics,
    visual_concepts,
    weight_distances,
)
from soft_students.knowledge.entropy import pixel_entropies
from soft_students.methods.observation import embedding_layer, list_layers, spatial_layers
from soft_students.networks.prepared import Prepared


@dataclass(frozen=True, eq=False)
class Knowledge:
    """Visual concepts of a network at each checkpoint of its training, and their metrics.

    Parameters
    ----------
    layer : str
        Name of the measured layer.
    table : list of dict
        One row per checkpoint: ``checkpoint``, its name; ``n_foreground`` and ``n_background``, the
        mean numbers of visual concepts per image; ``lambda``, the mean share of the foreground in
        them; ``without_concept``, the number of images excluded from that mean;
        ``background_entropy``, in nats; ``weight_distance``. ``pandas.DataFrame(knowledge.table)``
        shows it.
    metrics : KnowledgeMetrics
    rows : ndarray of int
        Indices of the measured images.
    discarded : dict of str to int
        Number of the other images, by reason: ``no_foreground`` (or no background),
        ``not_reached`` (without effect on the layer at some checkpoint).
    entropies : ndarray of shape (n_checkpoints, n_images, ...), float32
        In nats.
    concepts : ndarray of bool, shape (n_checkpoints, n_images, ...)
    foreground : ndarray of bool, shape (n_images, ...)
    """

    layer: str
    table: list[dict[str, Any]]
    metrics: KnowledgeMetrics
    rows: np.ndarray
    discarded: dict[str, int]
    entropies: np.ndarray
    concepts: np.ndarray
    foreground: np.ndarray

    def summary(self) -> str:
        """Return the metrics in a few lines."""
        m, n = self.metrics, len(self.rows)
        last = self.table[-1]
        lines = [
            f"layer {self.layer!r}, {n} images, {len(self.table)} checkpoints",
            f"N_fg   {last['n_foreground']:.1f} at the last checkpoint",
            f"N_bg   {last['n_background']:.1f}",
            f"lambda {m.lambda_:.3f}, over {n - m.without_concept} images with a concept",
            f"D_mean {m.d_mean:.3f}, over {n - m.never_learnt} images with a foreground concept",
            f"D_std  {m.d_std:.3f}",
            f"rho    {m.rho:.3f}",
        ]
        left_out = [f"{count} {why.replace('_', ' ')}" for why, count in self.discarded.items()]
        return "\n".join([*lines, f"images discarded: {', '.join(left_out)}"])


def quantify_knowledge(
    checkpoints: Sequence[BaseEstimator | nn.Module],
    X: ArrayLike,
    *,
    foreground: ArrayLike | None = None,
    layer: str | None = None,
    names: Sequence[str] | None = None,
    threshold: float = 0.2,
    noise: float = 0.01,
    entropy_weight: float = 7.0,
    n_steps: int = 150,
    n_draws: int = 4,
    batch_size: int = 256,
    random_state: int | RandomState | None = None,
) -> Knowledge:
    """Measure how many visual concepts a network learns, how simultaneously, and how directly.

    Parameters
    ----------
    checkpoints : sequence of NeuralStudentClassifier or nn.Module
        States of one network during its training, untrained first. The parameter ``snapshots`` of
        `soft_students.NeuralStudentClassifier` saves them.
    X : array-like of shape (n_images, n_features) or (n_images, ...)
        Images: rows of pixels for students, arrays of their input shape for modules.
    foreground : array-like of bool, shape (n_images, n_pixels) or (n_images, height, width)
        Mask of the object. None: `foreground_mask`, for images like MNIST's.
    layer : str, default=None
        Name of the layer. None: the last layer with feature maps; without one, the input of the
        last linear layer.
    names : sequence of str, default=None
        Names of the checkpoints, for the table. None: numbers from 0.
    threshold : float, default=0.2
        Distance of a visual concept's entropy below that of the background, in nats.
    noise, entropy_weight, n_steps, n_draws, batch_size
        As for `pixel_entropies`.
    random_state : int, RandomState instance or None, default=None
        Seed of the noise, which is the same at each checkpoint.

    Returns
    -------
    Knowledge

    Raises
    ------
    ValueError
        If checkpoints, images and masks do not match, the layer is unknown, or all images are
        discarded.

    References
    ----------
    Cheng, Rao, Chen and Zhang (2020), "Explaining knowledge distillation by quantifying the
    knowledge", arXiv:2003.03622.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_digits
    >>> from soft_students import NeuralStudentClassifier, load
    >>> from soft_students.knowledge import quantify_knowledge
    >>> X, y = load_digits(return_X_y=True)
    >>> X = X / 16
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     student = NeuralStudentClassifier("small_cnn", epochs=2, snapshots=folder)
    ...     student = student.fit(X[:500], y[:500])
    ...     checkpoints = [load(path) for path in sorted(Path(folder).iterdir())]
    >>> knowledge = quantify_knowledge(checkpoints, X[500:504], n_steps=20, random_state=0)
    >>> [row["checkpoint"] for row in knowledge.table], len(knowledge.rows)
    (['0', '1', '2'], 4)
    """
    networks = [_network(checkpoint) for checkpoint in checkpoints]
    if len(networks) < 2:
        raise ValueError(
            "quantify_knowledge needs the untrained network and at least one checkpoint. Got "
            f"{len(networks)}."
        )
    names = [str(k) for k in range(len(networks))] if names is None else list(names)
    if len(names) != len(networks):
        raise ValueError(
            "names must hold one name for each checkpoint. Got "
            f"{len(names)} for {len(networks)} checkpoints."
        )
    distances = weight_distances(networks)
    images = _images(X, networks[0])
    masks = _masks(foreground, images)
    if layer is None:
        layer = _default_layer(networks[-1], images[:2])
    pixels = tuple(range(1, masks.ndim))
    mixed = masks.any(axis=pixels) & ~masks.all(axis=pixels)
    rows = np.flatnonzero(mixed)
    seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
    entropies = (
        np.stack(
            [
                pixel_entropies(
                    network,
                    images[rows],
                    layer,
                    noise=noise,
                    entropy_weight=entropy_weight,
                    n_steps=n_steps,
                    n_draws=n_draws,
                    batch_size=batch_size,
                    random_state=seed,
                )
                for network in networks
            ]
        )
        if len(rows)
        else np.empty((len(networks), 0, *masks.shape[1:]), dtype=np.float32)
    )
    everything = tuple(axis for axis in range(entropies.ndim) if axis != 1)
    reached = ~np.isnan(entropies).any(axis=everything)
    discarded = {"no_foreground": len(images) - len(rows), "not_reached": int((~reached).sum())}
    rows, entropies = rows[reached], entropies[:, reached]
    if not len(rows):
        raise ValueError(
            f"None of {len(images)} images can be measured: {discarded['no_foreground']} have no "
            f"foreground (or no background), and {discarded['not_reached']} have no effect on the "
            f"layer {layer!r}. Pass foreground, or name another layer."
        )
    masks = masks[rows]
    concepts = np.stack([visual_concepts(h, masks, threshold) for h in entropies])
    return Knowledge(
        layer=layer,
        table=_table(names, entropies, concepts, masks, distances),
        metrics=knowledge_metrics(concepts, masks, distances),
        rows=rows,
        discarded=discarded,
        entropies=entropies,
        concepts=concepts,
        foreground=masks,
    )


def _table(
    names: Sequence[str],
    entropies: np.ndarray,
    concepts: np.ndarray,
    masks: np.ndarray,
    distances: np.ndarray,
) -> list[dict[str, Any]]:
    n_images = len(masks)
    flat = masks.reshape(n_images, -1)
    table = []
    for name, entropy, found, distance in zip(names, entropies, concepts, distances, strict=True):
        found = found.reshape(n_images, -1)
        share = foreground_share(found, flat)
        known = share[~np.isnan(share)]
        table.append(
            {
                "checkpoint": name,
                "n_foreground": float((found & flat).sum() / n_images),
                "n_background": float((found & ~flat).sum() / n_images),
                "lambda": float(known.mean()) if len(known) else float("nan"),
                "without_concept": n_images - len(known),
                "background_entropy": background_entropy(entropy, masks),
                "weight_distance": float(distance),
            }
        )
    return table


def _network(checkpoint: Any) -> nn.Module:
    network = checkpoint if isinstance(checkpoint, nn.Module) else vars(checkpoint).get("module_")
    if not isinstance(network, nn.Module):
        raise ValueError(
            "A checkpoint must be a fitted NeuralStudentClassifier or a torch.nn.Module. Got "
            f"{type(checkpoint).__name__} instead."
        )
    return network


def _images(X: ArrayLike, network: nn.Module) -> Tensor:
    weight = next(network.parameters())
    images = torch.as_tensor(np.asarray(X)).to(weight.device, weight.dtype)
    shape = network.input_shape if isinstance(network, Prepared) else None
    if shape is not None:
        if images[0].numel() != int(np.prod(shape)):
            raise ValueError(
                f"The network takes inputs of shape {shape}, {int(np.prod(shape))} values each. X "
                f"has {images[0].numel()}."
            )
        images = images.reshape(-1, *shape)
    return images


def _masks(foreground: ArrayLike | None, images: Tensor) -> np.ndarray:
    shape = images.shape[:1] + images.shape[2 if images.ndim == 4 else 1 :]
    if foreground is None:
        if images.ndim not in (3, 4):
            raise ValueError(
                f"Inputs of shape {tuple(images.shape[1:])} are not images. Pass the mask of the "
                "foreground as foreground."
            )
        return foreground_mask(images.cpu().numpy())
    masks = np.asarray(foreground, dtype=bool)
    if masks.size != np.prod(shape) or len(masks) != shape[0]:
        raise ValueError(
            f"foreground must hold one value per pixel: shape {tuple(shape)}. Got {masks.shape}."
        )
    return masks.reshape(shape)


def _default_layer(network: nn.Module, example: Tensor) -> str:
    maps = [
        name
        for name, shape in list_layers(network, example).items()
        if np.prod(shape[1:]) > 1 and len(shape) == 3
    ]
    return spatial_layers(network, example)[-1] if maps else embedding_layer(network, example)
