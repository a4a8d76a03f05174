"""Outputs of a frozen teacher for batches, cached per training row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from soft_students.methods.observation import Observation, observe
from soft_students.networks.prepared import Prepared, evaluating
from soft_students.teachers import Teacher, TorchTeacher
from soft_students.training.batch import Batch


class TeacherOutputs:
    """Logits and features of a teacher for batches, computed once for each training row.

    Logits are always cached, features as far as they fit into `cache_bytes`. Outputs for distorted
    inputs are not cached.

    Parameters
    ----------
    teacher : Teacher
    n_rows : int
        Number of training rows.
    device : torch.device
    cache_bytes : int
        Size of the cache of features, in bytes.

    Attributes
    ----------
    network : nn.Module or None
        The teacher as a module from inputs to its outputs; None if it is no PyTorch module.
    """

    def __init__(
        self,
        teacher: Teacher,
        n_rows: int,
        device: torch.device,
        cache_bytes: int = 2**30,
    ) -> None:
        self._teacher = teacher
        self._n_rows = n_rows
        self._device = device
        self._cache_bytes = cache_bytes
        self._kept: dict[str, Tensor] = {}
        self._known: dict[str, Tensor] = {}
        self._kept_bytes = 0
        self.network: nn.Module | None = None
        if isinstance(teacher, TorchTeacher):
            # without an input_shape a module takes flat rows
            shape = teacher.input_shape or (-1,)
            self.network = Prepared(teacher.module, teacher.preprocess, shape)

    def require_network(self, method: str) -> nn.Module:
        """Return the teacher's network; raise ValueError if it has none."""
        if self.network is None:
            raise ValueError(
                f"The method {method!r} reads the teacher's layers: the teacher must be a PyTorch "
                f"module. Got {self._teacher!r}. Use a method that needs soft targets alone, such "
                "as 'kd'."
            )
        return self.network

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Temporarily set the network to eval mode, without gradients of its parameters."""
        if self.network is None:
            yield
            return
        learning = [p for p in self.network.parameters() if p.requires_grad]
        try:
            for parameter in learning:
                parameter.requires_grad_(False)
            with evaluating(self.network):
                yield
        finally:
            for parameter in learning:
                parameter.requires_grad_(True)

    def logits(self, batch: Batch) -> Tensor:
        """Return the logits, of shape (n, n_classes), without gradients."""
        return self.observe(batch).logits

    def logits_of(self, inputs: Tensor) -> Tensor:
        """Return the logits of any inputs; differentiable if the teacher is a PyTorch module.

        Parameters
        ----------
        inputs : Tensor of shape (n, *input_shape)
        """
        if self.network is not None:
            return self.as_logits(self.network(inputs))
        rows = inputs.detach().cpu().flatten(1).numpy()
        return torch.from_numpy(self._teacher.logits(rows)).to(inputs.device, inputs.dtype)

    def observe(self, batch: Batch, layers: Sequence[str] = ()) -> Observation:
        """Return logits and the activations of layers, without gradients."""
        if batch.teacher_logits is not None and not layers:
            return Observation(batch.teacher_logits)
        rows = batch.rows
        names = ["", *layers]  # "" stands for the logits
        if rows is not None and all(self._holds(name, rows) for name in names):
            found = [self._kept[name][rows].to(self._device) for name in names]
            return Observation(found[0], tuple(found[1:]))
        with torch.no_grad():
            if layers:
                assert self.network is not None
                seen = observe(self.network, batch.inputs, layers)
                seen = Observation(self.as_logits(seen.logits), seen.features)
            else:
                seen = Observation(self.logits_of(batch.inputs))
        if rows is not None:
            for name, value in zip(names, [seen.logits, *seen.features], strict=True):
                self._keep(name, rows, value)
        return seen

    def all_logits(self, inputs: Tensor, batch_size: int = 512) -> Tensor:
        """Return the logits of all training rows, on the CPU; they are cached."""
        if not ("" in self._known and bool(self._known[""].all())):
            with torch.no_grad():
                for rows in torch.arange(len(inputs)).split(batch_size):
                    self._keep("", rows, self.logits_of(inputs[rows].to(self._device)))
        return self._kept[""]

    def know(self, logits: np.ndarray) -> None:
        """Cache the logits of all training rows that were computed earlier."""
        self._kept[""] = torch.from_numpy(np.ascontiguousarray(logits, dtype=np.float32))
        self._known[""] = torch.ones(self._n_rows, dtype=torch.bool)

    def as_logits(self, outputs: Tensor) -> Tensor:
        """Convert the module's outputs to logits of all classes, as `Teacher` does."""
        if outputs.ndim == 1:
            outputs = outputs[:, None]
        single = outputs.shape[1] == 1
        if self._teacher.kind == "probabilities":
            p = torch.cat([1 - outputs, outputs], dim=1) if single else outputs
            logits = p.clamp_min(torch.finfo(p.dtype).tiny).log()
        else:
            logits = torch.cat([torch.zeros_like(outputs), outputs], dim=1) if single else outputs
        return self._teacher.in_class_order(logits)

    def _holds(self, name: str, rows: Tensor) -> bool:
        return name in self._known and bool(self._known[name][rows].all())

    def _keep(self, name: str, rows: Tensor, value: Tensor) -> None:
        if name not in self._kept:
            size = value[0].numel() * value.element_size() * self._n_rows
            if name and self._kept_bytes + size > self._cache_bytes:
                return
            self._kept_bytes += size if name else 0
            self._kept[name] = torch.empty(self._n_rows, *value.shape[1:], dtype=value.dtype)
            self._known[name] = torch.zeros(self._n_rows, dtype=torch.bool)
        # under mixed precision the precision may change between batches
        self._kept[name][rows] = value.detach().to("cpu", self._kept[name].dtype)
        self._known[name][rows] = True
