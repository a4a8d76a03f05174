"""Conversion of trained networks to the arrays of a bundle, and back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import nn

from soft_students.networks.prepared import Prepared
from soft_students.networks.zoo import NETWORKS, make_network
from soft_students.teachers.preprocessing import Standardize

#: Upper bound for the values of one input in files; larger ones are corrupt or malicious.
_LARGEST_INPUT = 2**24


def network_arrays(name: Any, network: nn.Module) -> dict[str, np.ndarray]:
    """Return the weights of a trained network, and the mean and deviation of its inputs.

    Parameters
    ----------
    name : str
        Key of the network in `NETWORKS`.
    network : Prepared

    Raises
    ------
    TypeError
        If the network is not one of `NETWORKS`.
    """
    if not (isinstance(name, str) and isinstance(network, Prepared)):
        raise TypeError(
            f"A bundle contains no code, so the module of a neural student must be one of "
            f"{', '.join(NETWORKS)}. Save module_ by torch.export.save, or the whole student by "
            "joblib.dump, whose loading runs code."
        )
    state = network.module.state_dict()
    arrays = {f"module.{key}": tensor.detach().cpu().numpy() for key, tensor in state.items()}
    if isinstance(network.preprocess, Standardize):
        arrays["mean"] = network.preprocess.mean.numpy()
        arrays["std"] = network.preprocess.std.numpy()
    return arrays


def restore_network(
    name: Any, input_shape: tuple[int, ...], n_classes: int, arrays: dict[str, np.ndarray]
) -> Prepared:
    """Return the network of `network_arrays`, in eval mode.

    Raises
    ------
    ValueError
        If an array is missing, or its type or shape differs from the network's.
    """
    if math.prod(input_shape) > _LARGEST_INPUT or n_classes > _LARGEST_INPUT:
        raise ValueError(f"an input of shape {input_shape} is too large")
    # On the meta device nothing is allocated, whatever size a file states.
    with torch.device("meta"):
        module = make_network(name, input_shape, n_classes)
    state = {
        key: _fitting(key, wanted, arrays.get(f"module.{key}"))
        for key, wanted in module.state_dict().items()
    }
    module.load_state_dict(state, assign=True)
    preprocess = None
    if "mean" in arrays:
        sides = (input_shape[0], 1, 1) if len(input_shape) == 3 else input_shape
        mean, std = (_fitting(k, torch.empty(sides), arrays.get(k)) for k in ("mean", "std"))
        if not bool((std > 0).all()):
            raise ValueError("std must be above zero everywhere")
        preprocess = Standardize(mean, std)
    return Prepared(module, preprocess, input_shape).eval()


def _fitting(name: str, wanted: torch.Tensor, array: np.ndarray | None) -> torch.Tensor:
    if array is None or array.shape != tuple(wanted.shape):
        got = "nothing" if array is None else f"shape {array.shape}"
        raise ValueError(f"{name} must be of shape {tuple(wanted.shape)}, not {got}")
    tensor = torch.from_numpy(array.copy())
    if tensor.dtype != wanted.dtype:
        raise ValueError(f"{name} must be {wanted.dtype}, not {tensor.dtype}")
    if name.endswith("running_var") and bool((tensor < 0).any()):
        raise ValueError(f"{name} holds a negative variance")
    return tensor
