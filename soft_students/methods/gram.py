"""Inner products between rows, on which the relational methods stand."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _Gram(torch.autograd.Function):
    """F Fᵀ with one matrix product in the backward pass; autograd would take two."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        return rows @ rows.T

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (rows,) = ctx.saved_tensors
        both = (grads[0] + grads[0].T).to(rows.dtype)  # autocast may have made them shorter
        return both @ rows


def gram(features: Tensor) -> Tensor:
    """Return the inner products between rows.

    Parameters
    ----------
    features : Tensor of shape (n, ...)
        Flattened.

    Returns
    -------
    Tensor of shape (n, n)
    """
    return _Gram.apply(features.flatten(1))


def cosines(features: Tensor) -> Tensor:
    """Return the cosines between rows.

    Parameters
    ----------
    features : Tensor of shape (n, ...)
        Flattened.

    Returns
    -------
    Tensor of shape (n, n)
        A row of zeros has the cosine zero to every row, and gets no gradient.
    """
    products = gram(features)
    squares = products.diagonal()
    inverse = torch.where(squares > 0, squares, torch.inf).rsqrt()
    return products * inverse.unsqueeze(1) * inverse


def unit(vectors: Tensor, dim: int = 1) -> Tensor:
    """Return vectors of unit length.

    Parameters
    ----------
    vectors : Tensor
    dim : int, default=1
        Along which the vectors lie.

    Returns
    -------
    Tensor of the same shape
        Vectors of zeros stay as they are, with the gradient of the identity: a small constant in
        the denominator would make it as large as its inverse.
    """
    lengths = torch.linalg.vector_norm(vectors, dim=dim, keepdim=True)
    return vectors / torch.where(lengths > 0, lengths, 1)
