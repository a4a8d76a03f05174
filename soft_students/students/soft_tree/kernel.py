"""Forward and hand-written backward pass of a soft decision tree, in torch.

Nodes are numbered level by level: node ``i`` has the children ``2i + 1`` (left) and ``2i + 2``
(right), inner nodes come first. All values per node and sample have the layout
``(node, sample)``, so that a level of the tree is one contiguous block.

One matrix product evaluates all gates, a sweep from the root multiplies path probabilities, and a
sweep back from the leaves carries the derivatives of loss and penalty together; a second matrix
product turns them into the gradient of the gates. Autograd, which would record some forty
operations a step, is not used; the tests compare with it in float64.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from soft_students.students.soft_tree.parameters import TreeParameters

# The penalty's slope 1/α is unbounded if a gate sends all rows one way. α is an average that lags
# behind, so the slope would overshoot after the gate recovers. Below this α the slope is constant.
_ALPHA_MIN = 0.02

_LEAST_MISMATCH = 0.02  # minimum 1 - m: correct samples keep some weight; avoids 0 / 0

#: Sums a tensor over the processes that share a batch, possibly in place.
Total = Callable[[Tensor], Tensor]


def alone(tensor: Tensor) -> Tensor:
    """Return the tensor unchanged: the `Total` of a single process."""
    return tensor


class Workspace:
    """Buffers for one batch size, with views of each level, reused at every step.

    Parameters
    ----------
    depth : int
    n : int
        Samples in a batch.
    like : Tensor
        Tensor with the dtype and device of the buffers.
    """

    def __init__(self, depth: int, n: int, like: Tensor) -> None:
        n_inner = 2**depth - 1
        self.n = n
        self.gates = like.new_empty(n_inner, n)
        self.gates_gradient = like.new_empty(n_inner, n)
        self.paths = like.new_empty(2 * n_inner + 1, n)
        self.paths[0] = 1
        self.leaf_paths = self.paths[n_inner:]
        levels = [slice(2**level - 1, 2 ** (level + 1) - 1) for level in range(depth + 1)]
        self.level_slices = levels[:-1]
        self.level_gates = [self.gates[level] for level in levels[:-1]]
        self.level_gradients = [self.gates_gradient[level] for level in levels[:-1]]
        self.level_paths = [self.paths[level] for level in levels[:-1]]
        self.level_children = [self.paths[level].view(-1, 2, n).unbind(1) for level in levels[1:]]

    def follow_paths(self) -> None:
        """Compute path probabilities: fill ``paths`` from ``gates``."""
        for here, gates, (left, right) in zip(
            self.level_paths, self.level_gates, self.level_children, strict=True
        ):
            torch.mul(here, gates, out=right)
            torch.sub(here, right, out=left)


class LeafLoss(ABC):
    """Base class of the losses of leaves.

    The loss is ``mixture_weight`` times the loss of the tree's mean prediction plus
    ``1 - mixture_weight`` times the mean, over leaves, of each leaf's own loss.

    Parameters
    ----------
    mixture_weight : float
        In [0, 1].

    Attributes
    ----------
    total : Total
        Sum over the processes that share a batch, for intermediate results that need the whole
        batch. The caller sums the loss and the gradients.
    """

    def __init__(self, mixture_weight: float) -> None:
        self.mixture_weight = mixture_weight
        self.total: Total = alone

    @abstractmethod
    def __call__(
        self, paths: Tensor, leaves: Tensor, targets: Tensor, weights: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Evaluate the loss and its derivatives.

        Parameters
        ----------
        paths : Tensor of shape (n_leaves, n)
        leaves : Tensor of shape (n_leaves, n_outputs)
        targets : Tensor of shape (n_outputs, n)
        weights : Tensor of shape (n,)
            Weight of each sample, summing to one.

        Returns
        -------
        loss : Tensor of shape ()
        paths_gradient : Tensor of shape (n_leaves, n)
            Derivative for each sample, as if its weight were one.
        leaves_gradient : Tensor of shape (n_leaves, n_outputs)
        """


class CrossEntropyLeaves(LeafLoss):
    r"""Cross-entropy with soft targets.

    With path probabilities :math:`P^l`, leaf distributions :math:`Q^l = softmax(\phi^l)` and target
    distribution T, the leaf loss :math:`-\sum_l P^l \sum_k T_k \log Q^l_k` is the usable form of
    the paper's equation 3, and the mixture loss is
    :math:`-\sum_k T_k \log \sum_l P^l Q^l_k`.

    With a focusing parameter γ above zero, samples that are predicted well weigh less, as
    in the focal loss: by :math:`(1 - m)^\gamma`, where :math:`m = T \cdot M / T \cdot T`
    is one where the mean prediction :math:`M = \sum_l P^l Q^l` equals the target. The weights are
    scaled to a mean of one in each batch and taken as constants, so that the best prediction for a
    target is still the target itself.

    Parameters
    ----------
    mixture_weight : float
        In [0, 1].
    focusing : float, default=0.0
        Focusing parameter γ.

    References
    ----------
    Frosst and Hinton (2017), "Distilling a neural network into a soft decision tree",
    arXiv:1711.09784, section 2. Lin et al. (2017), "Focal loss for dense object detection",
    arXiv:1708.02002, equation 4.
    """

    def __init__(self, mixture_weight: float, focusing: float = 0.0) -> None:
        super().__init__(mixture_weight)
        self.focusing = focusing

    def __call__(
        self, paths: Tensor, leaves: Tensor, targets: Tensor, weights: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Evaluate the loss and its derivatives."""
        log_q = F.log_softmax(leaves, dim=1)
        q = log_q.exp()
        share = 1 - self.mixture_weight
        if self.mixture_weight > 0 or self.focusing > 0:
            # Keeps 1/M finite if a leaf distribution underflows.
            mixture = (q.t() @ paths).clamp_(min=torch.finfo(paths.dtype).tiny ** 0.5)
        if self.focusing > 0:
            # The loss is linear in the targets: apply a sample's weight to them.
            targets = targets * self._focus(mixture, targets, weights)
        weighted = targets * weights
        # ∂loss/∂P is a sum of products (leaf, class) x (class, sample), computed as one.
        by_leaf, by_sample = [], []
        loss = paths.new_zeros(())
        logits_gradient = torch.zeros_like(q)
        if self.mixture_weight > 0:
            loss = loss - self.mixture_weight * (weighted * mixture.log()).sum()
            by_leaf.append(q * -self.mixture_weight)
            by_sample.append(targets / mixture)
            logits_gradient += by_leaf[-1] * (paths @ (weighted / mixture).t())
        if share > 0:
            per_leaf = paths @ weighted.t()
            loss = loss - share * (per_leaf * log_q).sum()
            by_leaf.append(log_q * -share)
            by_sample.append(targets)
            logits_gradient -= share * per_leaf
        paths_gradient = torch.cat(by_leaf, 1) @ torch.cat(by_sample)
        logits_gradient -= q * logits_gradient.sum(1, keepdim=True)
        return loss, paths_gradient, logits_gradient

    def _focus(self, mixture: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        match = (targets * mixture).sum(0) / targets.square().sum(0)
        focus = (1 - match).clamp_(min=_LEAST_MISMATCH).pow_(self.focusing)
        return focus / self.total(focus @ weights)


class SquaredErrorLeaves(LeafLoss):
    r"""Half the squared error, for regression.

    With leaf values :math:`\mu^l`, the leaf loss is :math:`\frac12\sum_l P^l \|y - \mu^l\|^2` and
    the mixture loss :math:`\frac12\|y - \sum_l P^l \mu^l\|^2`.
    """

    def __call__(
        self, paths: Tensor, leaves: Tensor, targets: Tensor, weights: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Evaluate the loss and its derivatives."""
        share = 1 - self.mixture_weight
        mean = leaves.t() @ paths
        residual = mean - targets
        # ½Σ_l P^l‖y − μ^l‖² = ½‖y − μ̄‖² + ½Σ_l P^l‖μ^l − μ̄‖²: both losses contain the
        # residual; the leaf loss adds the spread of the leaves.
        loss = 0.5 * (residual.square().sum(0) @ weights)
        paths_gradient = leaves @ (residual - share * mean)
        leaves_gradient = paths @ ((residual - share * mean) * weights).t()
        if share > 0:
            half_squares = 0.5 * leaves.square().sum(1)
            spread = half_squares @ paths - 0.5 * mean.square().sum(0)
            loss = loss + share * (spread @ weights)
            paths_gradient += share * half_squares[:, None]
            leaves_gradient += share * leaves * (paths @ weights)[:, None]
        return loss, paths_gradient, leaves_gradient


class SharpenedPaths(LeafLoss):
    r"""A leaf loss blended with itself at sharpened path probabilities.

    :math:`(1 - a) L(P) + a L(\tilde P)` with
    :math:`\tilde P^l = (P^l)^\gamma / \sum_j (P^j)^\gamma`. As γ grows, the second term becomes
    the loss of the leaf of greatest path probability, with a gradient at every γ.

    Parameters
    ----------
    leaf_loss : LeafLoss

    Attributes
    ----------
    share : float
        Share a of the sharpened term, in [0, 1].
    sharpness : float
        Exponent γ, at least 1.
    """

    def __init__(self, leaf_loss: LeafLoss) -> None:
        super().__init__(leaf_loss.mixture_weight)
        self._leaf_loss = leaf_loss
        self.share = 0.0
        self.sharpness = 1.0

    def __call__(
        self, paths: Tensor, leaves: Tensor, targets: Tensor, weights: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Evaluate the loss and its derivatives."""
        plain = self._leaf_loss(paths, leaves, targets, weights)
        if self.share == 0:
            return plain
        # Divided by the maximum, since small probabilities to the power γ underflow.
        greatest = paths.amax(0)
        relative = paths / greatest
        slope = relative.pow(self.sharpness - 1)
        powers = slope * relative
        total = powers.sum(0)
        sharpened = powers / total
        loss, values, leaves_gradient = self._leaf_loss(sharpened, leaves, targets, weights)
        values = values - (sharpened * values).sum(0)
        paths_gradient = slope.mul_(self.sharpness / (total * greatest)).mul_(values)
        return (
            torch.lerp(plain[0], loss, self.share),
            torch.lerp(plain[1], paths_gradient, self.share),
            torch.lerp(plain[2], leaves_gradient, self.share),
        )


class SplitBalance:
    r"""Penalty on unbalanced gates, with its running averages.

    :math:`C = -\lambda \sum_i 2^{-d_i}\,\frac12(\log\alpha_i + \log(1-\alpha_i))`, where
    :math:`\alpha_i = \sum_x P^i(x) p_i(x) / \sum_x P^i(x)` and :math:`d_i` is the node's depth.
    Numerator and denominator are exponentially decaying averages over about :math:`2^{d_i}`
    batches, since a deep node sees few samples of one batch. The gradient is the one through
    the current batch, with the averages held fixed.

    Parameters
    ----------
    depth : int
        Depth of the tree.
    strength : float
        Strength λ at the root.
    like : Tensor
        Tensor with the dtype and device of the buffers.
    total : Total, default=alone

    References
    ----------
    Frosst and Hinton (2017), equations 4 and 5, and the end of section 3.
    """

    def __init__(self, depth: int, strength: float, like: Tensor, total: Total = alone) -> None:
        self._total = total
        levels = torch.repeat_interleave(torch.arange(depth), 2 ** torch.arange(depth))
        scale = (0.5 ** levels.to(like.dtype)).to(like.device)
        self._strength = strength * scale
        self._rate = scale  # rate of the average: a window of 2^d batches
        self._through: Tensor | None = None
        self._right: Tensor | None = None

    def state(self) -> list[Tensor | None]:
        """Return the running averages, for a checkpoint."""
        return [self._through, self._right]

    def restore(self, state: list[Tensor | None]) -> None:
        """Restore running averages from `state`."""
        self._through, self._right = (
            None if kept is None else kept.to(self._rate.device) for kept in state
        )

    def __call__(self, paths: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        r"""Update the averages by one batch; return the penalty and its derivatives.

        Parameters
        ----------
        paths : Tensor of shape (n_nodes, n)
        weights : Tensor of shape (n,)

        Returns
        -------
        penalty : Tensor of shape ()
        slopes : Tensor of shape (n_nodes, 1)
            Derivative by each node's path probability, for a sample of weight one; with
            :math:`\sum_x P^i(x)` the sum over both children of i, this is complete. The
            root's is zero.
        """
        reached = self._total(paths @ weights)
        through, right = reached[: len(self._rate)], reached[2::2]
        if self._through is None or self._right is None:
            self._through, self._right = through.clone(), right.clone()
        else:
            self._through.addcmul_(self._rate, through - self._through)
            self._right.addcmul_(self._rate, right - self._right)
        mass = self._through.clamp(min=torch.finfo(paths.dtype).tiny ** 0.5)
        alpha = (self._right / mass).clamp_(_ALPHA_MIN, 1 - _ALPHA_MIN)
        balance = alpha * (1 - alpha)
        penalty = -0.5 * (self._strength @ balance.log())
        # ∂C/∂α = -½λ (1/α - 1/(1-α)) = λ (α - ½) / (α (1-α))
        slope = self._strength * (alpha - 0.5) / (balance * mass)
        slopes = paths.new_zeros(len(reached), 1)
        torch.mul(slope, 1 - alpha, out=slopes[2::2, 0])
        torch.mul(slope, -alpha, out=slopes[1::2, 0])
        return penalty, slopes


def loss_and_gradients(
    parameters: TreeParameters,
    X: Tensor,
    targets: Tensor,
    weights: Tensor,
    leaf_loss: LeafLoss,
    balance: SplitBalance | None,
    workspace: Workspace,
) -> tuple[Tensor, Tensor, TreeParameters]:
    """Evaluate loss and penalty of one batch, and the gradient of their sum.

    Parameters
    ----------
    parameters : TreeParameters
    X : Tensor of shape (n, n_features)
    targets : Tensor of shape (n, n_outputs)
    weights : Tensor of shape (n,)
        Sample weights that sum to one, over all processes that share the batch.
    leaf_loss : LeafLoss
    balance : SplitBalance or None
        Penalty; None for no penalty.
    workspace : Workspace
        Buffers for n samples.

    Returns
    -------
    loss : Tensor of shape ()
    penalty : Tensor of shape ()
    gradient : TreeParameters
    """
    gates, gates_gradient = workspace.gates, workspace.gates_gradient
    linear = torch.addmm(parameters.gate_biases[:, None], parameters.gate_weights, X.t())
    if parameters.log_betas is None:
        torch.sigmoid(linear, out=gates)
    else:
        betas = parameters.log_betas.exp()[:, None]
        torch.sigmoid(linear * betas, out=gates)
    workspace.follow_paths()
    loss, values, leaves_gradient = leaf_loss(
        workspace.leaf_paths, parameters.leaves, targets.t(), weights
    )
    penalty = loss.new_zeros(())
    slopes = None
    if balance is not None:
        penalty, slopes = balance(workspace.paths, weights)
        values += slopes[len(gates) :]

    for level in reversed(range(len(workspace.level_gates))):
        left, right = values.view(-1, 2, workspace.n).unbind(1)
        difference = right - left
        torch.mul(workspace.level_paths[level], difference, out=workspace.level_gradients[level])
        if level > 0:
            values = torch.addcmul(left, workspace.level_gates[level], difference)
            if slopes is not None:
                values += slopes[workspace.level_slices[level]]

    gates_gradient *= weights
    linear_gradient = torch.ops.aten.sigmoid_backward(gates_gradient, gates)
    log_betas_gradient = None
    if parameters.log_betas is not None:
        linear_gradient *= betas
        log_betas_gradient = (linear_gradient * linear).sum(1)
    gradient = TreeParameters(
        gate_weights=linear_gradient @ X,
        gate_biases=linear_gradient.sum(1),
        log_betas=log_betas_gradient,
        leaves=leaves_gradient,
    )
    return loss, penalty, gradient
