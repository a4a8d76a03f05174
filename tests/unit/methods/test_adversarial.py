"""Conditional adversarial distillation."""

import numpy as np
import pytest
import torch
from references import cgan as reference

from soft_students.methods import CGAN, Combination, deception_loss, discriminator_loss
from tests.unit.methods.lessons import lesson, state, taught


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def begin(given, method):
    stage = next(Combination([method]).stages(given))
    return stage, next(iter(stage.batches))


@pytest.mark.parametrize("n_classes", [2, 5])
def test_losses_and_gradients(n_classes):
    t, s = random(6, 2 + n_classes).requires_grad_(), random(6, 2 + n_classes, seed=1)
    s.requires_grad_()
    labels = torch.arange(6) % n_classes
    wanted = reference.losses(t.detach().numpy(), s.detach().numpy(), labels.tolist())
    assert discriminator_loss(t, s, labels).item() == pytest.approx(wanted[0], rel=1e-10)
    assert deception_loss(s, labels).item() == pytest.approx(wanted[1], rel=1e-10)
    assert torch.autograd.gradcheck(lambda a, b: discriminator_loss(a, b, labels), (t, s))
    assert torch.autograd.gradcheck(lambda b: deception_loss(b, labels), s)


def test_the_student_wants_to_be_taken_for_the_teacher():
    s = torch.zeros(1, 4, requires_grad=True)
    deception_loss(s, torch.tensor([1])).backward()
    real, fake, other, own = s.grad[0].tolist()
    assert real < 0 < fake
    assert own < 0 < other


def test_each_player_moves_itself_alone():
    given = lesson()
    stage, batch = begin(given, CGAN())
    (discriminator,), trained = (list(p.trains) for p in stage.players)
    assert trained == [given.student]
    sum(stage.players[0].loss(batch).values()).backward()
    assert all(p.grad is not None for p in discriminator.parameters())
    assert all(p.grad is None for p in given.student.parameters())
    discriminator.zero_grad()
    sum(stage.players[1].loss(batch).values()).backward()
    assert all(p.grad is None for p in discriminator.parameters())
    assert all(p.grad is not None for p in given.student.parameters())


def test_the_student_plays_against_the_stepped_discriminator():
    given = lesson()
    stage, batch = begin(given, CGAN())
    discriminator = stage.players[0].trains[0]
    given.student.eval()
    stage.players[0].loss(batch)
    with torch.no_grad():
        for p in discriminator.parameters():
            p.mul_(-1.5)
        z = given.student(batch.inputs)
        wanted = deception_loss(discriminator(z), batch.labels)
        said = given.teacher.logits(batch)
    terms = stage.players[1].loss(batch)
    torch.testing.assert_close(terms["cgan"].detach(), wanted)
    distance = (z - said).abs().sum(1).mean()
    torch.testing.assert_close(terms["cgan logits"].detach(), distance)


def test_the_student_sees_a_batch_once():
    given = lesson()
    stage, batch = begin(given, CGAN())
    runs = []
    given.student.register_forward_hook(lambda *_: runs.append(1))
    for player in stage.players:
        player.loss(batch)
    assert len(runs) == 1


@pytest.mark.parametrize("labels", [True, False])
@pytest.mark.parametrize("method", ["cgan", "cgan,kd", "cgan,at"])
def test_training(labels, method):
    given = lesson(labels=labels)
    before = state(given.teacher.network)
    history = taught(given, method)
    assert {"cgan", "cgan discriminator", "cgan logits"} <= set(history[-1])
    assert all(np.isfinite(v) for row in history for v in row.values() if isinstance(v, float))
    assert all(torch.equal(v, before[k]) for k, v in given.teacher.network.state_dict().items())
