"""Boundary-supporting samples."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from references import bss as reference
from torch import nn

from soft_students.methods import (
    BSS,
    Combination,
    base_rows,
    boundary_samples,
    kd_loss,
    observe,
    target_classes,
)
from soft_students.methods.lesson import Step
from soft_students.training.batch import TrainingData
from tests.unit.methods.lessons import lesson, taught


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def linear(n_features, n_classes, seed=0):
    teacher = nn.Linear(n_features, n_classes).double()
    with torch.no_grad():
        teacher.weight.copy_(random(n_classes, n_features, seed=seed))
        teacher.bias.copy_(random(n_classes, seed=seed + 1))
    return teacher.requires_grad_(False)


@pytest.mark.parametrize("most", [3, 100])
def test_base_rows(most):
    student, teacher = random(30, 3), random(30, 3, seed=1)
    labels = torch.arange(30) % 3
    rows = base_rows(student, teacher, labels, most)
    wanted = reference.base_rows(student.numpy(), teacher.numpy(), labels.tolist(), most)
    assert rows.tolist() == wanted


def test_no_base_rows_if_nobody_is_right():
    z = torch.tensor([[0.0, 1.0]])
    assert base_rows(z, z, torch.tensor([0])).tolist() == []


def test_targets_are_drawn_by_the_teachers_probabilities_among_the_others():
    logits = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05])).repeat(20000, 1)
    drawn = target_classes(logits, torch.Generator().manual_seed(0))
    shares = torch.bincount(drawn, minlength=4) / len(drawn)
    np.testing.assert_allclose(shares, [0, 0.6, 0.3, 0.1], atol=0.015)


def test_targets_of_a_teacher_whose_other_probabilities_round_to_zero():
    logits = torch.tensor([[1e4, 0.0, -50.0], [1e4, -90.0, 3.0]])
    drawn = target_classes(logits, torch.Generator().manual_seed(0))
    assert drawn.tolist() == [1, 2]


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("n_steps", [1, 10])
@pytest.mark.parametrize("input_range", [(-2.5, 2.5), (-1.0, 0.5), (0.0, 255.0)])
def test_attack(n_classes, n_steps, input_range):
    teacher = linear(6, n_classes)
    low, high = input_range
    x = low + (high - low) * torch.rand(
        12, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64
    )
    targets = target_classes(teacher(x), torch.Generator().manual_seed(4))
    before = x.clone()
    found = boundary_samples(teacher, x, targets, input_range, 0.3, n_steps)
    assert torch.equal(x, before)
    assert not found.requires_grad
    assert found.min() >= low
    assert found.max() <= high
    for row, target, made in zip(x, targets, found, strict=True):
        wanted = reference.attack(
            teacher.weight.numpy(),
            teacher.bias.numpy(),
            row.numpy(),
            int(target),
            low,
            high,
            0.3,
            n_steps,
        )
        np.testing.assert_allclose(made, wanted, rtol=1e-7, atol=1e-9)


def test_samples_that_flipped_stand_still():
    teacher = linear(6, 3)
    x = random(40, 6)
    targets = target_classes(teacher(x), torch.Generator().manual_seed(0))
    many = boundary_samples(teacher, x, targets, (-9.0, 9.0), n_steps=200)
    assert (teacher(many).argmax(1) != teacher(x).argmax(1)).all()
    more = boundary_samples(teacher, x, targets, (-9.0, 9.0), n_steps=400)
    torch.testing.assert_close(many, more)


def test_zero_gradients_move_nothing():
    def constant(x):
        return x.sum(1, keepdim=True) * 0 + torch.tensor([1.0, 0.0])

    x = torch.rand(4, 3)
    found = boundary_samples(constant, x, torch.ones(4, dtype=torch.long), (0.0, 1.0))
    assert torch.equal(found, x)


def both_right(given):
    """Have labels at which the teacher is right, and a student for whom all is the commonest."""
    with given.teacher.frozen():
        labels = given.teacher.all_logits(given.data.inputs).argmax(1)
    given.data = TrainingData(given.data.inputs, labels)
    with torch.no_grad():
        given.student[-1].bias[labels.mode().values] += 10
    return given


def test_terms_and_their_weights_over_the_training():
    given = both_right(lesson())
    method = BSS(weight=2.0)
    stage = next(Combination([method]).stages(given))
    task = stage.players[0].loss
    batch = next(iter(given.batches()))
    given.student.eval()
    with given.teacher.frozen():
        start, half, late = (task(replace(batch, progress=p)) for p in (0.0, 0.5, 0.8))
        z_t = given.teacher.logits(batch)
    clean = kd_loss(given.student(batch.inputs), z_t, 3.0) / 9
    for terms, r1 in ((start, 4.0), (half, 2.5), (late, 1.6)):
        torch.testing.assert_close(terms["bss soft targets"], r1 * clean)
    assert start["bss"].item() > 0
    assert half["bss"].item() > 0
    assert late["bss"].item() == 0.0


def test_samples_carry_a_gradient_to_the_student_and_none_to_the_teacher():
    given = both_right(lesson())
    batch = next(iter(given.batches()))
    with given.teacher.frozen():
        seen = given.teacher.observe(batch)
        mine = observe(given.student, batch.inputs)
        step = Step(batch, mine, seen, given.student, given)
        terms = BSS().terms(step, None)
        terms["bss"].backward()
    assert given.student[0].weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in given.teacher.network.parameters())


def test_one_sample_alone_passes_batch_normalisation():
    given = lesson()
    given.student = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 3), nn.BatchNorm1d(3), nn.Linear(3, 4)
    )
    history = taught(both_right(given), BSS(n_samples=1))
    assert history[0]["bss"] > 0
    assert all(np.isfinite(v) for v in history[-1].values() if isinstance(v, float))


@pytest.mark.parametrize("labels", [True, False])
def test_combined_with_soft_targets(labels):
    history = taught(lesson(labels=labels), "bss,kd", {"kd.hard_weight": 0.1})
    assert {"bss", "bss soft targets", "kd", "labels"} <= set(history[-1])


def test_seeds_repeat():
    one, two = taught(lesson(), "bss"), taught(lesson(), "bss")
    assert [row["bss"] for row in one] == [row["bss"] for row in two]
