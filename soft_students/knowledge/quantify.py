"""The knowledge of a network over its training, from checkpoints and images."""

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
from soft_students.methods.observation import Prepared, embedding_layer, list_layers, spatial_layers


@dataclass(frozen=True, eq=False)
class Knowledge:
    """What a network knew of some images at each checkpoint of its training.

    Parameters
    ----------
    layer : str
        Where it was looked for.
    table : list of dict
        One row a checkpoint: ``checkpoint``, its name; ``n_foreground`` and ``n_background``, the
        mean number of visual concepts in an image; ``lambda``, the mean share of the foreground in
        them; ``without_concept``, the images that this leaves out; ``background_entropy``, in nats;
        ``weight_distance``. ``pandas.DataFrame(knowledge.table)`` shows it.
    metrics : KnowledgeMetrics
    rows : ndarray of int
        Of the images given, those that are measured.
    discarded : dict of str to int
        Images that are not, by reason: ``no_foreground`` (or nothing else), ``not_reached`` (at
        some checkpoint the layer ignores them).
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
        said = [
            f"layer {self.layer!r}, {n} images, {len(self.table)} checkpoints",
            f"N_fg   {last['n_foreground']:.1f} at the last checkpoint",
            f"N_bg   {last['n_background']:.1f}",
            f"lambda {m.lambda_:.3f}, over {n - m.without_concept} images with a concept",
            f"D_mean {m.d_mean:.3f}, over {n - m.never_learnt} images with a foreground concept",
            f"D_std  {m.d_std:.3f}",
            f"rho    {m.rho:.3f}",
        ]
        left_out = [f"{count} {why.replace('_', ' ')}" for why, count in self.discarded.items()]
        return "\n".join([*said, f"images discarded: {', '.join(left_out)}"])


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
        The same network in the course of its training, untrained first: the parameter ``snapshots``
        of `soft_students.NeuralStudentClassifier` leaves them in a folder.
    X : array-like of shape (n_images, n_features) or (n_images, ...)
        Images as rows of pixels for students, in the shape that they take for modules.
    foreground : array-like of bool, shape (n_images, n_pixels) or (n_images, height, width)
        Where the object is. None takes `foreground_mask`, which is for images like MNIST's.
    layer : str, default=None
        Where to look. None takes the last layer that gives feature maps; without one, what
        goes into the last linear layer.
    names : sequence of str, default=None
        Of the checkpoints, for the table. None counts them from 0.
    threshold : float, default=0.2
        By how many nats a visual concept's entropy is below that of the background.
    noise, entropy_weight, n_steps, n_draws, batch_size
        As `pixel_entropies` takes them.
    random_state : int, RandomState instance or None, default=None
        Of the noise, which is the same at each checkpoint.

    Returns
    -------
    Knowledge

    Raises
    ------
    ValueError
        If checkpoints, images and masks do not fit each other, the layer is unknown, or no image
        is left.

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
        raise ValueError(f"Each checkpoint has one name. Got {len(names)} of {len(networks)}.")
    distances = weight_distances(networks)
    images = _images(X, networks[0])
    masks = _masks(foreground, images)
    if layer is None:
        layer = _default_layer(networks[-1], images[:2])
    mixed = masks.any(axis=tuple(range(1, masks.ndim))) & ~masks.all(
        axis=tuple(range(1, masks.ndim))
    )
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
    discarded = {
        "no_foreground": int(len(images) - len(rows)),
        "not_reached": int((~reached).sum()),
    }
    rows, entropies = rows[reached], entropies[:, reached]
    if not len(rows):
        raise ValueError(
            f"No image is left of {len(images)}: {discarded['no_foreground']} have no foreground "
            f"(or nothing else) and the layer {layer!r} ignores {discarded['not_reached']}. Pass "
            "foreground, or name another layer."
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
                f"Inputs of shape {tuple(images.shape[1:])} are no images. Say which values are "
                "the foreground: pass foreground."
            )
        return foreground_mask(images.cpu().numpy())
    masks = np.asarray(foreground, dtype=bool)
    if masks.size != np.prod(shape) or len(masks) != shape[0]:
        raise ValueError(
            f"foreground must hold one value a pixel: shape {tuple(shape)}. Got {masks.shape}."
        )
    return masks.reshape(shape)


def _default_layer(network: nn.Module, example: Tensor) -> str:
    maps = [
        name
        for name, shape in list_layers(network, example).items()
        if np.prod(shape[1:]) > 1 and len(shape) == 3
    ]
    return spatial_layers(network, example)[-1] if maps else embedding_layer(network, example)
