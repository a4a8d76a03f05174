"""How much of each pixel a layer forgets: the largest noise that leaves its features alone."""

from __future__ import annotations

import math
from numbers import Integral, Real

import numpy as np
import torch
from numpy.random import RandomState
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, validate_params
from torch import Tensor, nn

from soft_students.methods.observation import evaluating, observe

#: Entropy of a normal distribution of standard deviation one, in nats.
_UNIT_ENTROPY = 0.5 * math.log(2 * math.pi * math.e)
#: Bounds of a pixel's noise, in units of the reference noise: a pixel that nobody looks at has no
#: largest noise.
_LEAST, _MOST = 0.1, 100.0
#: Of the reference error: it scales all pixels of an image alike, so it must be accurate.
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
    r"""Return the entropy of each pixel given what a layer keeps of the image.

    For each image x one standard deviation :math:`\sigma_i` a pixel is fitted, the same for all
    channels, by Adam on its logarithm:

    .. math::

        \min_\sigma \; \frac{\mathbb E_{\varepsilon \sim N(0, I)}
        \|f(x + \sigma \circ \varepsilon) - f(x)\|^2}{\sigma_f^2} - \lambda \frac1n \sum_i H_i,
        \qquad H_i = \log \sigma_i + \tfrac12 \log 2 \pi e

    :math:`\sigma_f^2` is the error that noise of one size on all pixels makes. It takes the scale
    of f away: layers and networks can be compared. Of a linear f the optimum is
    :math:`\sigma_i^2 = \tfrac\lambda2 \tau^2 \overline{\|w\|^2} / \|w_i\|^2`, with the columns w of
    f and the size :math:`\tau` of that noise.

    Parameters
    ----------
    network : nn.Module
        It is run in eval mode and left as it was.
    inputs : Tensor of shape (n, channels, height, width) or (n, ...)
    layer : str
        As `soft_students.methods.observation` takes it.
    noise : float, default=0.01
        The size of the noise that is the measure, in units of the inputs. A pixel's noise
        stays between a tenth and a hundred times of it.
    entropy_weight : float, default=7.0
        :math:`\lambda`. Where f is nearly linear it moves all entropies by the same amount.
    n_steps : int, default=150
        Of Adam.
    n_draws : int, default=4
        Noisy copies of each image in a step.
    batch_size : int, default=256
        Inputs that the network is given at once, which bounds the memory. Results do not depend on
        it but for rounding: each image has noise of its own.
    random_state : int, RandomState instance or None, default=None
        Of the noise.

    Returns
    -------
    ndarray of shape (n, height, width) or (n, ...), float32
        In nats. NaN for images that do not reach the layer: its features ignore noise of all
        pixels.

    References
    ----------
    Cheng, Rao, Chen and Zhang (2020), "Explaining knowledge distillation by quantifying the
    knowledge", arXiv:2003.03622, section 3; noise, its bounds and the weight as in the authors'
    code, which ends at a given mean entropy instead of at the minimum.

    Examples
    --------
    Twice the weight is half the noise, an entropy lower by log 2.

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
    """Noise for several images, each from a generator of its own."""

    def __init__(self, generators: list[torch.Generator], n_draws: int) -> None:
        self._generators = generators
        self.n_draws = n_draws

    def like(self, images: Tensor) -> Tensor:
        """Return noise of shape (images, draws, ...)."""
        size = (self.n_draws, *images.shape[1:])
        drawn = [torch.randn(size, generator=g, dtype=images.dtype) for g in self._generators]
        return torch.stack(drawn).to(images.device)


class _Layer:
    """The features of one layer, in rows."""

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
        """Return the mean squared error of each image's features, in one draw of noise."""
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

    # one value a pixel: (images, draws, channels, height, width) of images
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
