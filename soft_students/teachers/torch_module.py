"""A PyTorch module as a teacher."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from soft_students.networks.prepared import evaluating
from soft_students.teachers.base import Teacher, last_line
from soft_students.teachers.inputs import dense_rows
from soft_students.teachers.preprocessing import Standardize


class TorchTeacher(Teacher):
    """A PyTorch module as a teacher, run in batches, without gradients, in eval mode.

    The module is not copied. Each call restores the train or eval mode of every submodule.

    Parameters
    ----------
    module : nn.Module
        Maps a tensor of shape ``(n, *input_shape)`` and the module's dtype to logits of shape (n,
        n_classes), or to values with ``task="regression"``. A single logit, of shape (n,) or (n,
        1), belongs to the second of two classes.
    classes : array-like of shape (n_classes,), default=None
        Label of each output.
    input_shape : tuple of int, default=None
        Shape of one input, to which rows are reshaped; (channels, height, width) for images. None
        keeps the shape of the rows.
    preprocess : callable, nn.Module or dict, default=None
        Applied to each batch of inputs, a float tensor of shape ``(n, *input_shape)`` on the
        module's device. A dictionary of ``mean`` and ``std``, each a number or one per channel or
        feature, standardises.
    input_range : tuple of float, default=None
        Smallest and largest value of the training data before preprocessing; inputs far outside
        give a warning.
    kind : {"logits", "probabilities"}, default=None
        Kind of the module's outputs. None means probabilities if they lie in [0, 1] and sum to one
        (with a warning), and logits otherwise.
    task : {"classification", "regression"}, default="classification"
    name : str, default=None
        Name of the teacher. None takes the class name of the module.
    device : str, default=None
        Device to which the module is moved. None does not move it.
    batch_size : int, default=1024
        Rows per forward pass.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from soft_students.teachers import TorchTeacher
    >>> teacher = TorchTeacher(torch.nn.Linear(4, 3), classes=["a", "b", "c"], input_shape=(4,))
    >>> teacher
    TorchTeacher('Linear', n_classes=3, n_features=4)
    >>> teacher.predict_proba(np.ones((2, 4)), temperature=2.0).shape
    (2, 3)
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        classes: Any = None,
        input_shape: tuple[int, ...] | None = None,
        preprocess: Callable[[Tensor], Tensor] | Mapping[str, Any] | None = None,
        input_range: tuple[float, float] | None = None,
        kind: str | None = None,
        task: str = "classification",
        name: str | None = None,
        device: str | None = None,
        batch_size: int = 1024,
    ) -> None:
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(
                "The 'batch_size' of a TorchTeacher must be an int >= 1. "
                f"Got {batch_size!r} instead."
            )
        if isinstance(preprocess, Mapping):
            preprocess = _standardize(preprocess, input_shape)
        super().__init__(
            # a TorchScript module stores the name of its class
            name=name or str(getattr(module, "original_name", type(module).__name__)),
            task=task,
            kind=kind,
            classes=classes,
            n_features=None if input_shape is None else math.prod(input_shape),
            input_range=input_range,
        )
        if device is not None:
            check_device(device)
        self.module = module if device is None else module.to(device)
        self.preprocess = preprocess
        if device is not None and isinstance(preprocess, nn.Module):
            preprocess.to(device)
        self.input_shape = None if input_shape is None else tuple(input_shape)
        self.device = device
        self.batch_size = batch_size

    def _outputs(self, X: Any) -> np.ndarray:
        rows = dense_rows(X, self.input_shape, self.name)
        device, dtype = self._placement()
        answers = []
        # not inference_mode: tensors that a module caches in it could not be used in training
        with torch.no_grad(), evaluating(self.module, self.preprocess):
            for start in range(0, len(rows), self.batch_size):
                # a copy: modules may work in place
                batch = torch.tensor(
                    # torch takes no negative strides
                    np.ascontiguousarray(rows[start : start + self.batch_size]),
                    dtype=torch.promote_types(dtype, torch.float32),
                    device=device,
                )
                answers.append(self._answer(batch, dtype))
        return np.concatenate(answers)

    def _answer(self, batch: Tensor, dtype: torch.dtype) -> np.ndarray:
        try:
            inputs = batch if self.preprocess is None else self.preprocess(batch)
            # keep integer inputs, such as tokens
            answer = self.module(inputs.to(dtype) if inputs.is_floating_point() else inputs)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError, IndexError, AssertionError) as error:
            hint = (
                ""
                if self.input_shape
                else " If it takes another shape, pass input_shape (--input-shape)."
            )
            raise ValueError(
                f"The teacher {self.name!r} failed on inputs of shape {tuple(batch.shape)}: "
                f"{last_line(error)}.{hint}"
            ) from error
        answer = logits_of(answer)
        if not isinstance(answer, Tensor):
            raise ValueError(
                f"The module of the teacher {self.name!r} returned a {type(answer).__name__} "
                "without logits: it must be a tensor, a tuple that begins with one, or have "
                "'logits' as a key or attribute. Pass a function that returns the logits: "
                "as_teacher(lambda X: ..., kind='logits')."
            )
        if answer.numel() == len(batch):
            answer = answer.reshape(len(batch), 1)
        if answer.ndim != 2 or len(answer) != len(batch):
            raise ValueError(
                f"The module of the teacher {self.name!r} must return logits of shape "
                f"({len(batch)}, n_classes) for {len(batch)} inputs. Got {tuple(answer.shape)}."
            )
        # numpy has no bfloat16
        return answer.to(torch.promote_types(answer.dtype, torch.float32)).cpu().numpy()

    def _placement(self) -> tuple[torch.device, torch.dtype]:
        """Return the module's current device and floating-point dtype."""
        device, dtype = torch.device(self.device or "cpu"), torch.float32
        for tensor in [*self.module.parameters(), *self.module.buffers()]:
            device = tensor.device
            if tensor.is_floating_point():
                return device, tensor.dtype
        return device, dtype


def logits_of(outputs: Any) -> Any:
    """Return the logits among the outputs of a module.

    Parameters
    ----------
    outputs : object
        A tensor, a tuple or list that begins with the logits, a mapping with the key ``logits``, or
        an object with the attribute ``logits``, such as a ``ModelOutput``.

    Returns
    -------
    object
        The logits; `outputs` itself if they are not found.
    """
    if isinstance(outputs, Tensor):
        return outputs
    if isinstance(outputs, Mapping) and "logits" in outputs:
        return outputs["logits"]
    if hasattr(outputs, "logits"):
        return outputs.logits
    if isinstance(outputs, tuple | list) and outputs and isinstance(outputs[0], Tensor):
        return outputs[0]
    return outputs


def check_device(device: str) -> None:
    """Raise ValueError if torch cannot use the device on this machine."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            "The 'device' of a teacher must be one that torch can use here, such as 'cpu'. Got "
            f"{device!r}: {last_line(error)}"
        ) from error


def _standardize(values: Mapping[str, Any], input_shape: tuple[int, ...] | None) -> Standardize:
    if set(values) != {"mean", "std"}:
        raise ValueError(
            "The 'preprocess' of a teacher must be a callable or a dictionary of 'mean' and "
            f"'std'. Got a dictionary of {list(values)} instead."
        )
    mean, std = (torch.as_tensor(values[key], dtype=torch.float32) for key in ("mean", "std"))
    if not (torch.isfinite(mean).all() and torch.isfinite(std).all() and (std > 0).all()):
        raise ValueError(
            "The 'mean' and 'std' of a teacher's 'preprocess' must be finite, and 'std' positive. "
            f"Got {dict(values)!r} instead."
        )
    if input_shape is not None and len(input_shape) == 3:
        mean, std = (t.reshape(-1, 1, 1) if t.ndim == 1 else t for t in (mean, std))
    return Standardize(mean, std)
