"""Pixel entropies: the information about each pixel that a layer discards."""

from __future__ import annotations

import math
from numbers import Integral, Real

import numpy as np
import torch
from numpy.random import RandomState
from sklearn.utils import check_random_state
from torch import Tensor, nn

from soft_students.methods.observation import observe
from soft_students.networks.prepared import evaluating
from soft_students.sklearn_private import Interval, validate_params

#: Entropy of a normal distribution of standard deviation one, in nats.
_UNIT_ENTROPY = 0.5 * math.log(2 * math.pi * math.e)
#: Bounds of a pixel's noise, in units of the reference noise. The noise of a pixel that the layer
#: ignores would grow without limit.
_LEAST, _MOST = 0.1, 100.0
#: Draws for the reference error, which must be accurate: it scales all pixels of an image.
_REFERENCE_DRAWS = 64


@validate_params(
    {
        "network": [nn.Module],
        "layer": [str],
        "noise": [Interval(Real, 0, None, closed="neither")],
        "entropy_weight": [Interval(Real, 0, None, closed="neither")],
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "n_draws": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def pixel_entropies(
    network: nn.Module,
    inputs: Tensor,
    layer: str,
    *,
    noise: float = 0.01,
    entropy_weight: float = 7.0,
    n_steps: int = 150,
    n_draws: int = 4,
    batch_size: int = 256,
    random_state: int | RandomState | None = None,
) -> np.ndarray:
    r"""Return the entropy of each pixel given the features of a layer.

    Fits one standard deviation of noise :math:`\sigma_i` per pixel of each image x, the same for
    all channels, by Adam on its logarithm:

    .. math::

        \min_\sigma \; \frac{\mathbb E_{\varepsilon \sim N(0, I)}
        \|f(x + \sigma \circ \varepsilon) - f(x)\|^2}{\sigma_f^2} - \lambda \frac1n \sum_i H_i,
        \qquad H_i = \log \sigma_i + \tfrac12 \log 2 \pi e

    :math:`\sigma_f^2` is the error caused by noise of equal size :math:`\tau` on all pixels. It
    removes the scale of f, so that layers and networks can be compared. For a linear f with columns
    w the optimum is :math:`\sigma_i^2 = \tfrac\lambda2 \tau^2 \overline{\|w\|^2} / \|w_i\|^2`.

    Parameters
    ----------
    network : nn.Module
        Run in eval mode; its mode is restored.
    inputs : Tensor of shape (n, channels, height, width) or (n, ...)
    layer : str
        Name of the layer, as for `soft_students.methods.observation.observe`.
    noise : float, default=0.01
        Size :math:`\tau` of the reference noise, in units of the inputs. A pixel's noise stays
        between 0.1 and 100 times this value.
    entropy_weight : float, default=7.0
        :math:`\lambda`. If f is nearly linear, it shifts all entropies by the same amount.
    n_steps : int, default=150
        Steps of Adam.
    n_draws : int, default=4
        Noisy copies of each image per step.
    batch_size : int, default=256
        Inputs of the network at once, which bounds the memory. It changes results only by rounding:
        each image has its own noise.
    random_state : int, RandomState instance or None, default=None
        Seed of the noise.

    Returns
    -------
    ndarray of shape (n, height, width) or (n, ...), float32
        Entropies in nats. NaN for images without effect on the layer: its features do not change
        with noise.

    References
    ----------
    Cheng, Rao, Chen and Zhang (2020), "Explaining knowledge distillation by quantifying the
    knowledge", arXiv:2003.03622, section 3. Noise, bounds and weight are those of the authors'
    code, which however stops at a given mean entropy, not at the minimum.

    Examples
    --------
    Doubling a weight halves the noise, which lowers the entropy by log 2.

    >>> import torch
    >>> from torch import nn
    >>> from soft_students.knowledge import pixel_entropies
    >>> network = nn.Sequential(nn.Linear(2, 2, bias=False))
    >>> network[0].weight.data = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    >>> one, two = pixel_entropies(network, torch.zeros(1, 2), "0", n_draws=64, random_state=0)[0]
    >>> bool(abs(one - two - 0.693) < 0.05)
    True
    """
    random = check_random_state(random_state)
    seeds = random.randint(np.iinfo(np.int32).max, size=len(inputs))
    at_once = max(1, batch_size // n_draws)
    maps = []
    with evaluating(network):
        for start in range(0, len(inputs), at_once):
            part = slice(start, start + at_once)
            noises = [torch.Generator().manual_seed(int(seed)) for seed in seeds[part]]
            maps.append(
                _fit(
                    _Layer(network, layer),
                    inputs[part],
                    _Noise(noises, n_draws),
                    noise,
                    entropy_weight,
                    n_steps,
                )
            )
    return torch.cat(maps).float().cpu().numpy()


class _Noise:
    """Noise for several images, each from its own generator."""

    def __init__(self, generators: list[torch.Generator], n_draws: int) -> None:
        self._generators = generators
        self.n_draws = n_draws

    def like(self, images: Tensor) -> Tensor:
        """Return noise of shape (images, draws, ...)."""
        size = (self.n_draws, *images.shape[1:])
        drawn = [torch.randn(size, generator=g, dtype=images.dtype) for g in self._generators]
        return torch.stack(drawn).to(images.device)


class _Layer:
    """The features of one layer, one flat row per input."""

    def __init__(self, network: nn.Module, name: str) -> None:
        self._network = network
        self._name = name

    def __call__(self, inputs: Tensor) -> Tensor:
        return observe(self._network, inputs, [self._name]).features[0].flatten(1)


def _fit(
    f: _Layer, images: Tensor, noise: _Noise, size: float, entropy_weight: float, n_steps: int
) -> Tensor:
    with torch.no_grad():
        clean = f(images)[:, None]

    def error(sigma: Tensor) -> Tensor:
        """Return the mean squared error of each image's features under new noise."""
        drawn = noise.like(images)
        noisy = images[:, None] + sigma * drawn
        features = f(noisy.flatten(0, 1)).unflatten(0, (len(images), -1))
        return (features - clean).square().mean(dim=(1, 2))

    with torch.no_grad():
        uniform = images.new_tensor(size)
        passes = math.ceil(_REFERENCE_DRAWS / noise.n_draws)
        reference = torch.stack([error(uniform) for _ in range(passes)]).mean(0)
    reached = reference > 0
    scale = torch.where(reached, reference, 1.0)

    # One value per pixel; noisy images have the shape (images, draws, channels, height, width).
    channels = 1 if images.ndim == 4 else None
    shape = images.shape[:1] + images.shape[1 if channels is None else 2 :]
    log_sigma = torch.full(shape, math.log(size), dtype=images.dtype, device=images.device)
    log_sigma.requires_grad_()
    low, high = math.log(size * _LEAST), math.log(size * _MOST)
    optimizer = torch.optim.Adam([log_sigma], lr=0.1, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
    for _ in range(n_steps):
        sigma = log_sigma.exp()[:, None]
        ratio = error(sigma if channels is None else sigma[:, :, None]) / scale
        loss = ratio - entropy_weight * log_sigma.flatten(1).mean(1)
        (log_sigma.grad,) = torch.autograd.grad(loss.sum(), log_sigma)
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            log_sigma.clamp_(low, high)
    entropies = log_sigma.detach() + _UNIT_ENTROPY
    return torch.where(reached.view(-1, *[1] * (entropies.ndim - 1)), entropies, math.nan)
