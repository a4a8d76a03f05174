"""Inner products and cosines between rows, as used by the relational methods."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _Gram(torch.autograd.Function):
    """F Fᵀ with one matrix product in the backward pass, where autograd takes two."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        return rows @ rows.T

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (rows,) = ctx.saved_tensors
        both = (grads[0] + grads[0].T).to(rows.dtype)  # autocast may have lowered their precision
        return both @ rows


def gram(features: Tensor) -> Tensor:
    """Return the inner products between rows, each flattened.

    Parameters
    ----------
    features : Tensor of shape (n, ...)

    Returns
    -------
    Tensor of shape (n, n)
    """
    return _Gram.apply(features.flatten(1))


def cosines(features: Tensor) -> Tensor:
    """Return the cosines between rows, each flattened.

    Parameters
    ----------
    features : Tensor of shape (n, ...)

    Returns
    -------
    Tensor of shape (n, n)
        A row of zeros has cosine zero to every row, with gradient zero.
    """
    products = gram(features)
    squares = products.diagonal()
    inverse = torch.where(squares > 0, squares, torch.inf).rsqrt()
    return products * inverse.unsqueeze(1) * inverse


def unit(vectors: Tensor, dim: int = 1) -> Tensor:
    """Scale vectors to unit length.

    Parameters
    ----------
    vectors : Tensor
    dim : int, default=1
        Dimension along which the vectors lie.

    Returns
    -------
    Tensor of the same shape
        Zero vectors are unchanged, with the gradient of the identity. A small constant ε in the
        denominator would give them a gradient of 1 / ε.
    """
    lengths = torch.linalg.vector_norm(vectors, dim=dim, keepdim=True)
    return vectors / torch.where(lengths > 0, lengths, 1)
