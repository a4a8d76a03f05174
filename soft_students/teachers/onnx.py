"""An ONNX model as a teacher."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from soft_students.persistence import BundleError
from soft_students.teachers.base import Teacher, last_line
from soft_students.teachers.inputs import dense_rows

_FLOATS = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}


class OnnxTeacher(Teacher):
    """An ONNX file as a teacher, run by ONNX Runtime (``pip install 'soft-students[onnx]'``).

    Pickling stores the path, not the model: the file must not be moved.

    Parameters
    ----------
    path : str or path-like
        File of a model with one input, whose first axis is the batch.
    kind : {"logits", "probabilities"}, default=None
        Kind of the output. None means probabilities if its name contains "prob", or if the values
        lie in [0, 1] and sum to one (with a warning); logits otherwise.
    output : str, default=None
        Name of the output. None takes the only floating-point output of at most two dimensions,
        such as the probabilities of a converted scikit-learn model, which also outputs labels.
    task : {"classification", "regression"}, default="classification"
    classes : array-like of shape (n_classes,), default=None
        Label of each column.
    input_shape : tuple of int, default=None
        Shape of one input. None takes it from the file, if fixed there.
    input_range : tuple of float, default=None
        Smallest and largest value of the training data.
    batch_size : int, default=1024
        Rows per run, unless the file fixes it.

    Raises
    ------
    ImportError
        If ONNX Runtime is not installed.
    BundleError
        If the file is no usable ONNX model.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        kind: str | None = None,
        output: str | None = None,
        task: str = "classification",
        classes: Any = None,
        input_shape: tuple[int, ...] | None = None,
        input_range: tuple[float, float] | None = None,
        batch_size: int = 1024,
    ) -> None:
        self.path = os.path.abspath(path)
        self._session = _open(self.path)
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or inputs[0].type not in _FLOATS:
            described = ", ".join(f"{i.name!r} of {i.type}" for i in inputs)
            raise BundleError(
                f"An ONNX teacher must have one floating-point input. '{path}' has "
                f"{described or 'none'}."
            )
        self._input = inputs[0].name
        self._dtype = _FLOATS[inputs[0].type]
        batch, *shape = inputs[0].shape
        if input_shape is None and shape and all(isinstance(size, int) for size in shape):
            input_shape = tuple(shape)
        self.output = _choose_output(self._session.get_outputs(), output)
        if kind is None and "prob" in self.output.lower():
            kind = "probabilities"
        super().__init__(
            name=os.path.splitext(os.path.basename(self.path))[0],
            task=task,
            kind=kind,
            classes=classes,
            n_features=None if input_shape is None else math.prod(input_shape),
            input_range=input_range,
        )
        self.input_shape = None if input_shape is None else tuple(input_shape)
        self.batch_size = batch_size
        self._fixed_batch = batch if isinstance(batch, int) else None

    def _outputs(self, X: Any) -> np.ndarray:
        rows = dense_rows(X, self.input_shape, self.name).astype(self._dtype, copy=False)
        size = self._fixed_batch or self.batch_size
        answers = [self._answer(rows[i : i + size]) for i in range(0, len(rows), size)]
        return np.concatenate(answers)

    def _answer(self, batch: np.ndarray) -> np.ndarray:
        n_missing = (self._fixed_batch or len(batch)) - len(batch)
        filled = np.concatenate([batch, np.repeat(batch[-1:], n_missing, axis=0)])
        try:
            (answer,) = self._session.run([self.output], {self._input: filled})
        except Exception as error:  # onnxruntime's own exceptions share no base class
            raise ValueError(
                f"The teacher {self.name!r} failed on inputs of shape {filled.shape}: "
                f"{last_line(error)}"
            ) from error
        if answer.size == len(filled):
            answer = answer.reshape(len(filled), 1)
        return answer[: len(batch)]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_session"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._session = _open(self.path)


def _open(path: str) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            "An ONNX teacher needs ONNX Runtime: pip install 'soft-students[onnx]'."
        ) from error
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no ONNX file at '{path}'.")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised; the log would repeat them
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        # names that are not valid text raise on access
        for end in (*session.get_inputs(), *session.get_outputs()):
            _ = end.name, end.type, end.shape
        return session
    except Exception as error:  # onnxruntime's own exceptions share no base class
        raise BundleError(
            f"'{path}' cannot be read as an ONNX model ({last_line(error)}). If it is one, it is "
            "damaged or needs a newer onnxruntime."
        ) from error


def _choose_output(outputs: list[Any], name: str | None) -> str:
    fitting = [o.name for o in outputs if o.type in _FLOATS and len(o.shape or ()) <= 2]
    if name in fitting:
        return str(name)
    described = ", ".join(f"{o.name!r} of {o.type}" for o in outputs)
    if name is not None:
        raise ValueError(
            "The output of an ONNX teacher must be a floating-point output of at most two "
            f"dimensions. Got {name!r} instead; the file has {described}."
        )
    if len(fitting) == 1:
        return str(fitting[0])
    if any(o.type.startswith("seq(map") for o in outputs):
        hint = "Convert it again with options={'zipmap': False}, which gives one array."
    else:
        hint = "Name the one to use: output='...'." if fitting else "Export the logits."
    raise BundleError(
        f"An ONNX teacher needs one floating-point output. The file has {described}. {hint}"
    )
