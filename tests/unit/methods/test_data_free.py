"""Data-free learning."""

import numpy as np
import pytest
import torch
from references import dafl as reference
from sklearn.datasets import load_iris
from torch import nn

from soft_students.methods import (
    DAFL,
    Combination,
    activation_loss,
    information_loss,
    one_hot_loss,
    statistics_loss,
)
from soft_students.methods.dafl import InputGenerator
from soft_students.students.neural import NeuralStudentClassifier
from soft_students.teachers import TorchTeacher, train_teacher
from tests.unit.methods.lessons import lesson, network, state, taught

QUICK = {"noise": 6, "width": 4, "steps": 3, "statistics_weight": 1.0}


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def data_free(**settings):
    given = lesson(**settings)
    given.data = None
    return given


@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("n_rows", [1, 7])
def test_losses_and_gradients(n_classes, n_rows):
    z, f = random(n_rows, n_classes).requires_grad_(), random(n_rows, 3, 2, 2).requires_grad_()
    wanted = reference.losses(z.detach().numpy(), f.detach().numpy())
    assert one_hot_loss(z).item() == pytest.approx(wanted[0], rel=1e-10)
    assert information_loss(z).item() == pytest.approx(wanted[1], rel=1e-9)
    assert activation_loss(f).item() == pytest.approx(wanted[2], rel=1e-10)
    for loss, x in ((one_hot_loss, z), (information_loss, z), (activation_loss, f)):
        assert torch.autograd.gradcheck(loss, x)


def test_statistics_loss_and_gradient():
    layers = [nn.BatchNorm2d(3).double(), nn.BatchNorm1d(4).double()]
    features = [random(5, 3, 2, 2).mul(2).requires_grad_(), random(5, 4).requires_grad_()]
    for seed, layer in enumerate(layers):
        layer.running_mean.copy_(random(len(layer.running_mean), seed=seed))
    value = statistics_loss(features, layers)
    wanted = sum(
        reference.statistics(f.detach().numpy(), n.running_mean.numpy(), n.running_var.numpy())
        for f, n in zip(features, layers, strict=True)
    )
    assert value.item() == pytest.approx(wanted, rel=1e-10)
    assert torch.autograd.gradcheck(lambda *f: statistics_loss(f, layers), features)


def test_a_batch_with_the_remembered_statistics_has_no_nan():
    layer = nn.BatchNorm1d(2)
    seen = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], requires_grad=True)
    value = statistics_loss([seen], [layer])
    value.backward()
    assert value.item() == 0.0
    assert torch.isfinite(seen.grad).all()


def test_teachers_without_batch_normalisation_have_no_statistics():
    given = data_free()
    plain = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
    given.teacher = type(given.teacher)(TorchTeacher(plain, input_shape=(1, 8, 8)), 0, given.device)
    history = taught(given, "dafl", QUICK)
    assert "dafl statistics" not in history[-1]
    assert "dafl statistics" in taught(data_free(), "dafl", QUICK)[-1]


def test_classes_that_never_come_up_cost_no_nan():
    z = torch.tensor([[1e4, 0.0, 0.0], [1e4, 0.0, -1e5]], requires_grad=True)
    loss = information_loss(z)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.isfinite(z.grad).all()


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 7, 9), (5,), (1, 4, 4)])
def test_inputs_are_as_the_teacher_takes_them(shape):
    sides = (shape[0], 1, 1) if len(shape) == 3 else shape
    mean, std = torch.full(sides, 40.0), torch.full(sides, 7.0)
    torch.manual_seed(0)
    made = InputGenerator(shape, mean, std, noise=6, width=4)(torch.randn(64, 6))
    assert made.shape == (64, *shape)
    over = (0, 2, 3) if len(shape) == 3 else (0,)
    torch.testing.assert_close(made.mean(over), mean.flatten(), rtol=0.01, atol=0.1)
    torch.testing.assert_close(made.std(over, unbiased=False), std.flatten(), rtol=0.02, atol=0.1)


def begin(given, method):
    stages = Combination([method]).stages(given)
    stage = next(stages)
    return stage, next(iter(stage.batches))


@pytest.mark.parametrize("standardised", [True, False])
def test_where_the_inputs_lie(standardised):
    given = data_free()
    if standardised:
        known = TorchTeacher(
            network((4, 6)).eval(), input_shape=(1, 8, 8), preprocess={"mean": 3.0, "std": 0.5}
        )
        given.teacher = type(given.teacher)(known, 0, given.device)
    given.input_range = (-2.0, 10.0)
    stage, _ = begin(given, DAFL(**QUICK))
    generator = stage.players[0].trains[0]
    if standardised:
        assert (generator.mean.item(), generator.std.item()) == (3.0, 0.5)
    else:
        assert (generator.mean.item(), generator.std.item()) == (
            4.0,
            pytest.approx(12 / 12**0.5),
        )


def test_the_generator_learns_through_the_frozen_teacher():
    given = data_free()
    before = state(given.teacher.network)
    with given.teacher.frozen():
        stage, batch = begin(given, DAFL(**QUICK))
        generator = stage.players[0].trains[0]
        sum(stage.players[0].loss(batch).values()).backward()
        assert all(p.grad is not None for p in generator.parameters())
        assert any(p.grad.abs().sum() > 0 for p in generator.parameters())
        kept = [p.grad.clone() for p in generator.parameters()]
        sum(stage.players[1].loss(batch).values()).backward()
    # nothing flows from the student to the generator
    assert all(torch.equal(p.grad, k) for p, k in zip(generator.parameters(), kept, strict=True))
    assert all(p.grad is not None for p in given.student.parameters())
    assert all(p.grad is None for p in given.teacher.network.parameters())
    assert all(torch.equal(v, before[k]) for k, v in given.teacher.network.state_dict().items())


def test_teacher_and_student_see_each_batch_once():
    given = data_free()
    with given.teacher.frozen():
        stage, batch = begin(given, DAFL(**QUICK))
        runs = []
        given.teacher.network.register_forward_hook(lambda *_: runs.append("teacher"))
        given.student.register_forward_hook(lambda *_: runs.append("student"))
        for player in stage.players:
            player.loss(batch)
    assert runs == ["teacher", "student"]


def test_terms_are_weighted():
    given = data_free()
    with given.teacher.frozen():
        torch.manual_seed(0)
        one, batch = begin(given, DAFL(**QUICK))
        given.generator.manual_seed(5)
        terms = one.players[0].loss(batch)
        torch.manual_seed(0)
        weights = {"one_hot_weight": 3.0, "information_weight": 0.5, "activation_weight": 0}
        weights["statistics_weight"] = 0
        other, batch = begin(given, DAFL(**QUICK | weights))
        given.generator.manual_seed(5)
        again = other.players[0].loss(batch)
    plain = DAFL()
    ratio = 3.0 / plain.one_hot_weight
    torch.testing.assert_close(again["dafl one-hot"], ratio * terms["dafl one-hot"])
    ratio = 0.5 / plain.information_weight
    torch.testing.assert_close(again["dafl information"], ratio * terms["dafl information"])
    assert "dafl activation" not in again
    assert "dafl statistics" not in again


@pytest.mark.parametrize("method", ["dafl", "dafl,kd", "dafl,at"])
def test_training(method):
    given = data_free()
    params = {"dafl": QUICK}
    history = taught(given, method, params)
    assert len(history) == given.epochs
    assert {"dafl", "dafl one-hot", "dafl information"} <= set(history[-1])
    assert all(np.isfinite(v) for row in history for v in row.values() if isinstance(v, float))


def test_a_teacher_of_rows():
    X, y = load_iris(return_X_y=True)
    teacher = train_teacher(X, y, arch="mlp", epochs=20, random_state=0)
    student = NeuralStudentClassifier(
        "mlp", method=DAFL(width=16, steps=100), epochs=3, batch_size=64, random_state=0
    ).fit(None, teacher)
    assert (student.predict(X) == teacher.predict(X)).mean() > 0.8


def test_what_is_refused():
    given = data_free()
    given.teacher.network = None
    with pytest.raises(ValueError, match="must be a PyTorch module"):
        DAFL().check(given)
    given.teacher = None
    with pytest.raises(ValueError, match="learns from a teacher alone"):
        DAFL().check(given)
    with pytest.raises(ValueError, match="'steps' parameter of DAFL"):
        taught(data_free(), DAFL(steps=0))
