"""An ONNX model as a teacher."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from soft_students.persistence import BundleError
from soft_students.teachers.base import Teacher, log_of_probabilities, two_columns

_FLOATS = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}


class OnnxTeacher(Teacher):
    """An ONNX file, run by ONNX Runtime. Needs ``pip install 'soft-students[onnx]'``.

    Parameters
    ----------
    path : str or path-like
        A model with one input, whose first axis is the batch.
    kind : {"logits", "probabilities"}, default=None
        What the output holds. None decides by its name: an output called like ``probabilities``
        holds probabilities, another one logits.
    output : str, default=None
        Name of the output. None takes the only floating one of two dimensions.
    classes : array-like of shape (n_classes,), default=None
    input_shape : tuple of int, default=None
        Shape of one input. None takes it from the file, where it is fixed there.
    input_range : tuple of float, default=None
    batch_size : int, default=1024

    Raises
    ------
    ImportError
        Without ONNX Runtime.
    BundleError
        If the file is no usable ONNX model.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        kind: str | None = None,
        output: str | None = None,
        classes: Any = None,
        input_shape: tuple[int, ...] | None = None,
        input_range: tuple[float, float] | None = None,
        batch_size: int = 1024,
    ) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise ImportError(
                "An ONNX teacher needs ONNX Runtime: pip install 'soft-students[onnx]'."
            ) from error
        if not os.path.isfile(path):
            raise FileNotFoundError(f"There is no ONNX file at {os.fspath(path)!r}.")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(
                os.fspath(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's own exceptions share no base class
            summary = str(error).splitlines()[0][:200]
            raise BundleError(
                f"{os.fspath(path)!r} cannot be read as an ONNX model: {summary}"
            ) from error
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or inputs[0].type not in _FLOATS:
            raise BundleError(
                f"An ONNX teacher must have one input of floats; {os.fspath(path)!r} has "
                + ", ".join(f"{i.name!r} of {i.type}" for i in inputs)
                + "."
            )
        self._input = inputs[0]
        self._output = self._choose_output(output)
        self.kind = kind or ("probabilities" if "prob" in self._output.lower() else "logits")
        shape = self._input.shape[1:]
        if input_shape is None and shape and all(isinstance(size, int) for size in shape):
            input_shape = tuple(shape)
        self.input_shape = input_shape
        self.name = os.path.basename(os.fspath(path))
        self.batch_size = batch_size
        self.classes_ = None if classes is None else np.asarray(classes)
        self.n_features_in_ = None if input_shape is None else math.prod(input_shape)
        self.input_range_ = input_range

    def _choose_output(self, name: str | None) -> str:
        outputs = self._session.get_outputs()
        fitting = [o.name for o in outputs if o.type in _FLOATS and len(o.shape or [0, 0]) <= 2]
        if name is not None:
            if name not in fitting:
                raise ValueError(f"There is no output {name!r} of floats. Outputs: {fitting}.")
            return name
        if len(fitting) == 1:
            return fitting[0]
        hint = ""
        if any(o.type.startswith("seq(map") for o in outputs):
            hint = " Export a scikit-learn model with options={'zipmap': False}."
        raise BundleError(
            "An ONNX teacher must have one output of floats, or its name must be given. Outputs: "
            + ", ".join(f"{o.name!r} of {o.type}" for o in outputs)
            + f".{hint}"
        )

    def _outputs(self, X: Any) -> np.ndarray:
        rows = np.asarray(X, dtype=_FLOATS[self._input.type])
        if self.input_shape is not None:
            rows = rows.reshape(len(rows), *self.input_shape)
        fixed = self._input.shape[0] if isinstance(self._input.shape[0], int) else None
        step = fixed or self.batch_size
        answers = [
            self._session.run([self._output], {self._input.name: rows[start : start + step]})[0]
            for start in range(0, len(rows), step)
        ]
        outputs = np.concatenate(answers)
        if outputs.ndim == 1 or outputs.shape[1] == 1:
            flat = outputs.reshape(-1)
            if self.kind == "probabilities":
                return log_of_probabilities(np.column_stack([1 - flat, flat]))
            return two_columns(flat)
        return log_of_probabilities(outputs) if self.kind == "probabilities" else outputs
