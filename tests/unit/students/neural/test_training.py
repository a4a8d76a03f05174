"""The loop: modes, precision, processes, and what is left when a training fails."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from soft_students import NeuralStudentClassifier
from soft_students.methods import LossMethod, Paper
from soft_students.networks.zoo import make_network
from soft_students.teachers import TorchTeacher


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:200].astype(np.float32), y[:200]


@pytest.fixture(scope="module")
def teacher():
    torch.manual_seed(0)
    return TorchTeacher(make_network("small_cnn", (1, 8, 8), 10).eval(), input_shape=(1, 8, 8))


class Watching(LossMethod):
    """A term that notes what it sees, and is not finite from some epoch on."""

    key = "watching"
    title = "For tests"
    paper = Paper("Nobody", 2020, "None", "Nowhere", "none")
    needs = frozenset({"data"})

    def __init__(self, *, seen=None, last_good_epoch=None):
        self.seen = seen
        self.last_good_epoch = last_good_epoch

    def terms(self, step, adapter):
        if self.seen is not None:
            modes = {part.training for part in step.network.modules()}
            self.seen.append((step.batch.epoch, modes))
        value = step.student.logits.sum() * 0
        if self.last_good_epoch is not None and step.batch.epoch > self.last_good_epoch:
            value = value + float("nan")
        return {"watching": value}


def test_the_student_is_in_train_mode_in_every_epoch(digits):
    X, y = digits
    seen = []
    student = NeuralStudentClassifier("small_cnn", method=Watching(seen=seen), epochs=3)
    student.fit(X, y)
    assert student.history_[0]["validation_accuracy"] is not None  # measured in eval mode
    assert {epoch for epoch, _ in seen} == {0, 1, 2}
    assert all(modes == {True} for _, modes in seen)
    assert not any(part.training for part in student.module_.modules())


def test_the_last_good_epoch_stays_in_the_checkpoint(digits, tmp_path):
    X, y = digits
    path = tmp_path / "training.pt"
    student = NeuralStudentClassifier(
        "mlp", method=Watching(last_good_epoch=1), epochs=4, checkpoint=path, random_state=0
    )
    with pytest.raises(FloatingPointError, match=r"'watching' of the loss is nan at batch 1 of e"):
        student.fit(X, y)
    content = torch.load(path, weights_only=True)
    assert content["stages"][0]["epoch"] == 2
    assert not hasattr(student, "module_")


@pytest.mark.parametrize("method", ["at,kd", "fitnet,kd"])
def test_mixed_precision_trains(digits, teacher, method):
    X, y = digits
    student = NeuralStudentClassifier(
        "small_cnn", method=method, precision="bf16-mixed", epochs=2, random_state=0
    ).fit(X, teacher, labels=y)
    assert all(p.dtype == torch.float32 for p in student.module_.parameters())
    assert np.isfinite(student.predict_proba(X)).all()


class Plain(nn.Module):
    """Without batch normalisation, whose statistics are those of a process."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        # More weights than a pipe between processes holds.
        self.layers = nn.Sequential(nn.Linear(64, 512), nn.Tanh(), nn.Linear(512, 10))

    def forward(self, inputs):
        return self.layers(inputs.flatten(1))


@pytest.mark.slow
def test_two_processes_train_as_one_does(digits, teacher):
    X, y = digits

    def weights(n_devices):
        student = NeuralStudentClassifier(
            Plain(),
            epochs=1,
            batch_size=50,
            validation_fraction=0.0,
            n_devices=n_devices,
            random_state=0,
        ).fit(X, teacher, labels=y)
        return torch.cat([p.detach().flatten() for p in student.module_.parameters()])

    torch.testing.assert_close(weights(2), weights(1), rtol=0, atol=1e-5)
