import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from soft_students.methods import CRD, Observation, Step, crd_loss
from soft_students.methods.crd import ContrastiveMemory, Negatives, similarities
from tests.references import crd as reference
from tests.unit.methods.lessons import changed, lesson, state, taught

QUICK = {"n_negatives": 6, "size": 8}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def double(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def step_of(index, student, teacher, given):
    batch = replace(next(iter(given.batches())), index=index, rows=None)
    logits = torch.zeros(len(student), 4)
    return Step(
        batch,
        Observation(logits, (student,)),
        Observation(logits, (teacher,)),
        given.student,
        given,
    )


def test_loss_is_its_formula():
    scores = double(5, 8)
    wanted = reference.nce(np.exp(scores.numpy()), n_rows=20)
    assert float(crd_loss(scores, 20)) == pytest.approx(wanted, rel=1e-10)


def test_loss_gradient():
    assert torch.autograd.gradcheck(lambda s: crd_loss(s, 20), double(3, 5).requires_grad_())


def test_loss_of_large_scores_is_finite():
    """Exponentials of similarities over a low temperature overflow."""
    scores = torch.tensor([[500.0, -500.0, 300.0]], requires_grad=True)
    value = crd_loss(scores, 10)
    value.backward()
    assert value.item() == pytest.approx(300 - math.log(2 / 10))
    assert torch.isfinite(scores.grad).all()


@pytest.mark.parametrize("variant", ["reference", "paper"])
@pytest.mark.parametrize("n_negatives", [6, 1])
def test_term_is_its_formula(variant, n_negatives):
    given = lesson(n_rows=40)  # of 40 rows one negative is gathered, of six all are multiplied
    method = CRD(
        n_negatives=n_negatives, size=8, temperature=0.3, momentum=0.25, weight=2.0, variant=variant
    )
    adapter = ContrastiveMemory(3, 7, 8, given.labels()).double()
    before = state(adapter)
    student, teacher = double(4, 3), double(4, 7, seed=1)
    index = torch.tensor([7, 0, 30, 12])
    found = method.terms(step_of(index, student, teacher, given), adapter)["crd"]

    given.generator.manual_seed(2)
    next(iter(given.batches()))
    drawn = adapter.negatives.draw(index, n_negatives, given.generator)
    u = F.normalize(F.linear(student, before["student_map.weight"], before["student_map.bias"]))
    v = F.normalize(F.linear(teacher, before["teacher_map.weight"], before["teacher_map.bias"]))
    wanted = reference.crd(
        u.numpy(),
        v.numpy(),
        before["student_memory"].numpy(),
        before["teacher_memory"].numpy(),
        torch.cat([index[:, None], drawn], 1).tolist(),
        0.3,
        variant == "reference",
    )
    assert found.item() == pytest.approx(2 * wanted, rel=1e-6)

    for name, vectors in (("student_memory", u), ("teacher_memory", v)):
        moved = F.normalize(0.25 * before[name][index] + 0.75 * vectors)
        torch.testing.assert_close(getattr(adapter, name)[index], moved)
        others = torch.ones(40, dtype=torch.bool)
        others[index] = False
        assert torch.equal(getattr(adapter, name)[others], before[name][others])


def test_normalisers_are_those_of_the_first_batch():
    given = lesson()
    method = CRD(**QUICK)
    adapter = ContrastiveMemory(3, 7, 8, given.labels())
    assert adapter.log_normalizers.isnan().all()
    for seed in range(2):
        student, teacher = double(4, 3, seed=seed).float(), double(4, 7, seed=seed).float()
        method.terms(step_of(torch.arange(4), student, teacher, given), adapter)
        if seed == 0:
            first = adapter.log_normalizers.clone()
            assert torch.isfinite(first).all()
    assert torch.equal(adapter.log_normalizers, first)


def test_similarities_are_the_same_either_way():
    """Few rows are multiplied at once, many are gathered; the memory may change before backward."""
    anchors, memory = double(3, 4), double(50, 4, seed=1)
    gradients = []
    for k in (4, 3):
        rows = torch.randint(50, (3, 4), generator=seeded())[:, :k]
        assert (len(memory) <= 16 * k) == (k == 4)
        leaf, changing = anchors.clone().requires_grad_(), memory.clone()
        found = similarities(leaf, changing, rows)
        wanted = torch.einsum("nd,nkd->nk", anchors, memory[rows])
        torch.testing.assert_close(found.detach(), wanted)
        changing.zero_()
        found[:, :3].sum().backward()
        gradients.append(leaf.grad)
    torch.testing.assert_close(*gradients)


def test_negatives_are_the_rows_of_other_classes_alike():
    labels = torch.tensor([3, 0, 3, 7, 0, 0])
    drawn = Negatives(labels).draw(torch.arange(6), 6000, seeded())
    for row in range(6):
        others = torch.where(labels != labels[row])[0]
        counts = drawn[row].bincount(minlength=6)
        assert counts.nonzero().flatten().tolist() == others.tolist()
        share = counts[others] / 6000
        torch.testing.assert_close(
            share, torch.full_like(share, 1 / len(others)), atol=0.03, rtol=0
        )


def test_one_class_has_no_negatives():
    with pytest.raises(ValueError, match=r"at least 2 classes among the labels\. Got 1"):
        Negatives(torch.zeros(5, dtype=torch.int64))


def test_everything_trains_but_the_teacher():
    given = lesson()
    before, there = state(given.student), state(given.teacher.network)
    history = taught(given, "crd", QUICK)
    assert changed(before, given.student) >= {"0.weight", "8.weight"}
    assert not changed(there, given.teacher.network)
    assert history[-1]["crd"] < history[0]["crd"]


class Doubling:
    def __init__(self, keeps_labels):
        self.keeps_labels = keeps_labels

    def sample(self, X, random_state):
        return 2 * X


def test_distorted_rows_keep_their_place():
    given = lesson()
    given.augment = Doubling(keeps_labels=True)
    batch = next(iter(given.batches()))
    assert batch.rows is None
    torch.testing.assert_close(batch.inputs, 2 * given.data.inputs[batch.index])
    assert taught(given, "crd", QUICK)[-1]["crd"] > 0


def test_mixed_rows_are_refused():
    given = lesson()
    given.augment = Doubling(keeps_labels=False)
    with pytest.raises(ValueError, match="needs each input's training row"):
        taught(given, "crd", QUICK)


def test_inputs_that_come_from_no_row_are_refused():
    given = lesson()
    adapter = ContrastiveMemory(3, 7, 8, given.labels())
    step = step_of(None, double(4, 3).float(), double(4, 7).float(), given)
    with pytest.raises(ValueError, match="needs each input's training row"):
        CRD(**QUICK).terms(step, adapter)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("variant", "code"), ("n_negatives", 0), ("temperature", 0.0), ("momentum", 1.0)],
)
def test_parameters_are_checked(parameter, value):
    with pytest.raises(ValueError, match=rf"The {parameter} of crd .*Got {value!r}"):
        taught(lesson(), "crd", {parameter: value})
