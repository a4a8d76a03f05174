"""Methods without a teacher that train one student: CS-KD, DDGSD, BYOT."""

import copy

import numpy as np
import pytest
import torch
from references import byot as byot_reference
from references import cskd as cskd_reference
from references import ddgsd as ddgsd_reference
from torch import nn

from soft_students.methods import (
    BYOT,
    CSKD,
    DDGSD,
    Combination,
    Objective,
    cskd_loss,
    exit_hint_loss,
    kd_loss,
    view_discrepancy,
    view_divergence,
)
from soft_students.methods.byot import ExitPredictor
from soft_students.methods.observation import peek
from soft_students.transfer import ImageDistortion, Mixup
from tests.unit.methods.lessons import changed, lesson, state, taught


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_cskd_loss_and_gradient(n_classes, temperature):
    z = random(6, n_classes).mul(3).requires_grad_()
    loss = cskd_loss(z, temperature)
    rows = z.detach().numpy()
    assert loss.item() == pytest.approx(cskd_reference.cskd(rows, temperature), rel=1e-10)
    (gradient,) = torch.autograd.grad(loss, z)
    np.testing.assert_allclose(gradient, cskd_reference.cskd_gradient(rows, temperature), rtol=1e-9)


def test_view_losses_and_gradients():
    z, h = random(8, 3).mul(2).requires_grad_(), random(8, 5).requires_grad_()
    divergence, discrepancy = view_divergence(z), view_discrepancy(h)
    rows, features = z.detach().numpy(), h.detach().numpy()
    assert divergence.item() == pytest.approx(ddgsd_reference.view_divergence(rows), rel=1e-10)
    assert discrepancy.item() == pytest.approx(ddgsd_reference.view_discrepancy(features), rel=1e-9)
    assert torch.autograd.gradcheck(view_divergence, z)
    assert torch.autograd.gradcheck(view_discrepancy, h)


def test_the_discrepancy_is_of_each_dimension():
    """A scalar mean over all dimensions would be zero here."""
    assert view_discrepancy(torch.tensor([[1.0, -1.0], [-1.0, 1.0]])).item() == 8.0


@pytest.mark.parametrize("loss", [cskd_loss, view_divergence, view_discrepancy])
def test_rows_without_a_partner_and_equal_rows_cost_nothing(loss):
    single = random(1, 3).requires_grad_()
    value = loss(single)
    value.backward()
    assert value.item() == 0.0
    assert not single.grad.any()
    equal = random(1, 3).repeat(6, 1).requires_grad_()
    value = loss(equal)
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-12)
    assert equal.grad.abs().max() < 1e-12
    assert torch.isfinite(loss(random(7, 3)))


def test_pairs_are_of_one_class_and_never_a_row_with_itself():
    given = lesson()
    batches = list(Objective(given, [CSKD()]).batches())
    assert sorted(torch.cat([b.rows[: len(b.rows) // 2] for b in batches]).tolist()) == list(
        range(16)
    )
    for batch in batches:
        first, second = batch.rows.view(2, -1)
        assert torch.equal(*batch.labels.view(2, -1))
        assert not (first == second).any()


def test_views_are_two_different_distortions_of_the_same_rows():
    given = lesson()
    plain = given.training_data().inputs
    batch = next(iter(Objective(given, [DDGSD()]).batches()))
    a, b = batch.inputs.view(2, 8, 1, 8, 8)
    assert batch.rows is None
    assert torch.equal(*batch.labels.view(2, -1))
    assert (a != b).flatten(1).any(1).all()
    far = (a[:, None] - plain[None]).flatten(2).norm(dim=2)
    nearest = far.argmin(1)
    assert torch.equal(nearest, (b[:, None] - plain[None]).flatten(2).norm(dim=2).argmin(1))


def test_the_students_own_distortion_makes_the_views():
    given = lesson()
    given.augment = ImageDistortion((8, 8))
    assert DDGSD().augment(given) is None
    own = ImageDistortion((8, 8), rotation=1)
    assert DDGSD(distortion=own).augment(given) is own


def test_bad_distortions_and_layers_are_refused():
    given = lesson()
    with pytest.raises(ValueError, match=r"keep a row's label\. Got Mixup"):
        DDGSD(distortion=Mixup()).check(given)
    with pytest.raises(ValueError, match="must name one layer"):
        DDGSD(student_layers=["1", "2"]).check(given)
    with pytest.raises(ValueError, match=r"'cskd' and 'ddgsd' each need batches"):
        taught(given, "cskd,ddgsd")


def test_ddgsd_names_its_terms_and_averages_maps():
    history = taught(lesson(), "ddgsd", {"student_layers": ["5"]})
    assert {"ddgsd", "ddgsd discrepancy", "labels"} <= set(history[-1])


def byot_task(given, method):
    objective = Objective(given, [method])
    return objective.task(given.student)


def test_byot_terms_are_those_of_the_paper():
    given = lesson()
    given.student.double()
    given.data = type(given.data)(given.data.inputs.double(), given.data.labels)
    method = BYOT(temperature=2.0, weight=0.3, hint_weight=0.5)
    task = byot_task(given, method)
    exits = task.trains[1].double()
    batch = next(iter(given.batches()))
    terms = task(batch)
    with torch.no_grad():
        for module in task.trains:
            module.train()  # statistics of the batch, as above
        maps = given.student[:3](batch.inputs)
        features, logits = exits.exits[0](given.student[1](given.student[0](batch.inputs)))
        deepest = given.student[3:8](maps)
        last = given.student[8](deepest)
    soft, hard, hints = byot_reference.terms(
        [logits.numpy()],
        [features.numpy()],
        last.numpy(),
        deepest.numpy(),
        batch.labels.tolist(),
        2.0,
    )
    assert terms["byot"].item() == pytest.approx(0.3 * soft, rel=1e-6)
    assert terms["byot labels"].item() == pytest.approx(0.7 * hard, rel=1e-6)
    assert terms["byot hints"].item() == pytest.approx(0.5 * hints, rel=1e-6)
    assert terms["labels"].item() > 0  # the deepest learns the labels alone, at full weight


def test_exits_teach_the_body_and_not_the_last_layer():
    given = lesson()
    task = byot_task(given, BYOT())
    terms = task(next(iter(given.batches())))
    (terms["byot"] + terms["byot hints"] + terms["byot labels"]).backward()
    assert given.student[8].weight.grad is None  # sg: the deepest is the teacher
    assert given.student[3].weight.grad is None
    assert given.student[0].weight.grad.abs().sum() > 0
    assert all(p.grad is not None for p in task.trains[1].parameters())


def test_exits_are_trained_and_dropped():
    given = lesson()
    before = state(given.student)
    names = set(given.student.state_dict())
    taught(given, "byot")
    assert changed(before, given.student)
    assert set(given.student.state_dict()) == names


@pytest.mark.parametrize("predict_with", [0, "ensemble"])
def test_exits_can_predict(predict_with):
    given = lesson()
    stages = Combination([BYOT(predict_with=predict_with)]).stages(given)
    stage = next(stages)
    with pytest.raises(StopIteration) as end:
        next(stages)
    predictor = end.value.value
    assert isinstance(predictor, ExitPredictor)
    assert list(stage.selects) == [predictor]
    x = given.training_data().inputs
    said = peek(predictor, x).logits
    with torch.no_grad():
        given.student.eval(), predictor.eval()
        own = given.student(x).softmax(1)
        _, logits = predictor.exits.exits[0](given.student[:2](x))
    wanted = logits.softmax(1)
    if predict_with == "ensemble":
        wanted = (wanted + own) / 2
    torch.testing.assert_close(said.softmax(1), wanted)
    again = copy.deepcopy(predictor)
    torch.testing.assert_close(peek(again, x).logits, said)


def test_byot_says_what_it_needs():
    given = lesson()
    with pytest.raises(ValueError, match="must be below 1, the number of exits"):
        BYOT(predict_with=1).check(given)
    given.student = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 4))
    with pytest.raises(ValueError, match="feature maps of at least two sizes"):
        BYOT().check(given)


def test_hints_do_not_pull_at_what_they_aim_at():
    features, deepest = random(4, 3).requires_grad_(), random(4, 3, seed=1).requires_grad_()
    exit_hint_loss(features, deepest).backward()
    assert deepest.grad is None
    assert features.grad.abs().sum() > 0


@pytest.mark.parametrize("key", ["cskd", "ddgsd", "byot"])
@pytest.mark.parametrize("labels", [True, False])
def test_combined_with_soft_targets(key, labels):
    given = lesson(labels=labels)
    history = taught(given, f"{key},kd", {"kd.hard_weight": 0.1})
    assert {"kd", key, "labels"} <= set(history[-1])
    assert all(np.isfinite(v) for row in history for v in row.values() if isinstance(v, float))


def test_soft_targets_of_views_are_the_teachers_answers_to_them():
    given = lesson()
    objective = Objective(given, [DDGSD()])
    batch = next(iter(objective.batches()))
    with given.teacher.frozen(), torch.no_grad():
        wanted = given.teacher.network(batch.inputs)
        torch.testing.assert_close(given.teacher.logits(batch), wanted)
        assert kd_loss(wanted, given.teacher.logits(batch)).item() == pytest.approx(0, abs=1e-6)
