"""The learned parameters of a soft decision tree, in torch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class TreeParameters:
    """Gates and leaves of a tree, as torch tensors of one dtype on one device.

    Parameters
    ----------
    gate_weights : Tensor of shape (n_inner, n_features)
    gate_biases : Tensor of shape (n_inner,)
    log_betas : Tensor of shape (n_inner,) or None
        Logarithm of the inverse temperature β of each gate. None means β = 1 everywhere and
        saves two passes over the gates.
    leaves : Tensor of shape (n_leaves, n_outputs)
        Logits of each leaf's distribution, or each leaf's value in regression.
    """

    gate_weights: Tensor
    gate_biases: Tensor
    log_betas: Tensor | None
    leaves: Tensor

    def copy(self) -> TreeParameters:
        """Return an independent copy."""
        return TreeParameters(
            self.gate_weights.clone(),
            self.gate_biases.clone(),
            None if self.log_betas is None else self.log_betas.clone(),
            self.leaves.clone(),
        )

    def state(self) -> dict[str, Tensor | None]:
        """Return the tensors by name, for a checkpoint."""
        return dict(vars(self))

    def to(self, device: str | torch.device) -> TreeParameters:
        """Return the parameters on a device."""
        return TreeParameters(
            self.gate_weights.to(device),
            self.gate_biases.to(device),
            None if self.log_betas is None else self.log_betas.to(device),
            self.leaves.to(device),
        )

    def restore(self, state: dict[str, Tensor | None]) -> None:
        """Copy the values of tensors of the same shapes, in place."""
        for name, tensor in vars(self).items():
            if tensor is not None:
                tensor.copy_(state[name])
