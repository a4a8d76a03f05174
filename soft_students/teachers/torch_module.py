"""A PyTorch module as a teacher."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from soft_students.teachers.base import Teacher, log_of_probabilities, two_columns


class TorchTeacher(Teacher):
    """A PyTorch module, asked in batches, without gradients, in eval mode.

    The module is not copied. It is moved to `device` once, and each of its submodules is put back
    into the mode it was in after every question.

    Parameters
    ----------
    module : nn.Module
        Maps (n, \\*input_shape) to logits (n, n_classes); a single logit (n,) or (n, 1) is that of
        the second of two classes. With ``task="regression"`` it maps to values.
    classes : array-like of shape (n_classes,), default=None
    input_shape : tuple of int, default=None
        Shape of one input, to which rows are reshaped. None passes rows on as they are.
    preprocess : callable, default=None
        Applied to the tensor of inputs on the device, e.g. a normalising transform.
    input_range : tuple of float, default=None
        Smallest and largest value in the training data; inputs far outside give a warning.
    kind : {"logits", "probabilities"}, default="logits"
        What the module returns.
    task : {"classification", "regression"}, default="classification"
    name : str, default=None
        None takes the class name of the module.
    device : str, default="cpu"
    batch_size : int, default=1024

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from soft_students.teachers import TorchTeacher
    >>> teacher = TorchTeacher(torch.nn.Linear(4, 3), classes=["a", "b", "c"])
    >>> teacher.predict_proba(np.ones((2, 4)), temperature=2.0).shape
    (2, 3)
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        classes: Any = None,
        input_shape: tuple[int, ...] | None = None,
        preprocess: Callable[[Tensor], Tensor] | None = None,
        input_range: tuple[float, float] | None = None,
        kind: str = "logits",
        task: str = "classification",
        name: str | None = None,
        device: str = "cpu",
        batch_size: int = 1024,
    ) -> None:
        self.module = module.to(device)
        self.input_shape = None if input_shape is None else tuple(input_shape)
        self.preprocess = preprocess
        self.kind = kind
        self.task = task
        self.name = name or type(module).__name__
        self.device = device
        self.batch_size = batch_size
        self.classes_ = None if classes is None else np.asarray(classes)
        self.n_features_in_ = None if input_shape is None else math.prod(input_shape)
        self.input_range_ = input_range

    def _outputs(self, X: Any) -> np.ndarray:
        rows = np.asarray(X, dtype=np.float32)
        if self.input_shape is not None:
            rows = rows.reshape(len(rows), *self.input_shape)
        answers = []
        with torch.inference_mode(), _evaluating(self.module):
            for start in range(0, len(rows), self.batch_size):
                batch = np.ascontiguousarray(rows[start : start + self.batch_size])
                inputs = torch.from_numpy(batch).to(self.device)
                if self.preprocess is not None:
                    inputs = self.preprocess(inputs)
                answer = self.module(inputs)
                if not isinstance(answer, Tensor):
                    raise ValueError(
                        f"The module {self.name!r} returned a {type(answer).__name__}, not a "
                        "tensor of logits. Wrap it in a module that returns the logits alone."
                    )
                answers.append(answer.float().cpu().numpy())
        outputs = np.concatenate(answers)
        if self.task == "regression":
            return outputs[:, 0] if outputs.ndim == 2 and outputs.shape[1] == 1 else outputs
        if outputs.ndim == 1 or (outputs.ndim == 2 and outputs.shape[1] == 1):
            if self.kind == "probabilities":
                flat = outputs.reshape(-1)
                return log_of_probabilities(np.column_stack([1 - flat, flat]))
            return two_columns(outputs)
        if self.kind == "probabilities":
            return log_of_probabilities(outputs)
        if outputs.ndim == 2 and _looks_like_probabilities(outputs):
            warnings.warn(
                f"The outputs of {self.name!r} look like probabilities: they are taken as logits, "
                'which makes them nearly uniform. Pass kind="probabilities" if the module ends in '
                "a softmax.",
                UserWarning,
                stacklevel=5,
            )
        return outputs


def _looks_like_probabilities(outputs: np.ndarray) -> bool:
    return bool(outputs.min() >= 0 and np.allclose(outputs.sum(axis=1), 1, atol=1e-4))


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Put a module into eval mode, and each of its submodules back into the mode it was in."""
    modes = [(part, part.training) for part in module.modules()]
    if not any(training for _, training in modes):
        yield
        return
    try:
        module.eval()
        yield
    finally:
        for part, training in modes:
            part.training = training
