"""Methods that compare rows (pkt, rkd, cc, sp) or channels (nst) with each other."""

import numpy as np
import pytest
import torch

from soft_students.methods import (
    cc_loss,
    nst_loss,
    pkt_loss,
    rkd_angle_loss,
    rkd_distance_loss,
    sp_loss,
)
from soft_students.methods.gram import cosines, gram, unit
from tests.references import cc, nst, pkt, rkd, sp


def double(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def with_kernel(loss, **parameters):
    return lambda student, teacher: loss(student, teacher, **parameters)


# Each loss beside its restatement.
CASES = {
    "pkt": (pkt_loss, pkt.pkt),
    "pkt paper": (
        with_kernel(pkt_loss, variant="paper"),
        lambda s, t: pkt.pkt(s, t, among_others=True),
    ),
    "rkd distance": (rkd_distance_loss, rkd.distance),
    "rkd angle": (rkd_angle_loss, rkd.angle),
    "sp": (sp_loss, sp.sp),
}
for kernel in ("gaussian", "bilinear", "mmd"):
    CASES[f"cc {kernel}"] = (
        with_kernel(cc_loss, kernel=kernel, gamma=0.7, order=3),
        lambda s, t, kernel=kernel: cc.cc(s, t, kernel, 0.7, 3),
    )
for kernel, offset in (("linear", 0.0), ("poly", 0.0), ("poly", 0.5), ("gaussian", 0.0)):
    CASES[f"nst {kernel} {offset}"] = (
        with_kernel(nst_loss, kernel=kernel, offset=offset),
        lambda s, t, kernel=kernel, offset=offset: nst.nst(s, t, kernel, offset),
    )


def restated(reference, name, student, teacher):
    if not name.startswith("nst"):
        student, teacher = student.flatten(1), teacher.flatten(1)
    return float(reference(student.numpy(), teacher.numpy()))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(
    ("student", "teacher"),
    [
        ((5, 3, 2, 4), (5, 3, 2, 4)),
        ((5, 2, 4, 4), (5, 7, 4, 4)),  # pixels outnumber channels
        ((4, 9, 2, 2), (4, 3, 2, 2)),  # and the other way round
        ((2, 2, 1, 3), (2, 4, 1, 3)),
        ((1, 3, 2, 2), (1, 4, 2, 2)),
    ],
)
def test_is_its_formula(name, student, teacher):
    loss, reference = CASES[name]
    student, teacher = double(*student), double(*teacher, seed=1)
    wanted = restated(reference, name, student, teacher)
    assert float(loss(student, teacher)) == pytest.approx(wanted, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_is_its_formula_on_degenerate_rows(name):
    loss, reference = CASES[name]
    student, teacher = double(5, 4, 2, 2), double(5, 3, 2, 2, seed=1)
    student[0] = 0
    student[1, 1] = 0
    student[3] = student[2]
    teacher[2] = 0
    teacher[4] = teacher[3]
    wanted = restated(reference, name, student, teacher)
    assert float(loss(student, teacher)) == pytest.approx(wanted, rel=1e-9, abs=1e-12)


# The width of nst's Gaussian depends on the student and has no gradient: see the next test.
@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith("nst gaussian")])
def test_gradient(name):
    loss, _ = CASES[name]
    student = double(4, 3, 2, 2).requires_grad_()
    teacher = double(4, 5, 2, 2, seed=1)
    assert torch.autograd.gradcheck(lambda s: loss(s, teacher), student)


def test_gradient_of_nst_gaussian_leaves_the_width_out():
    student, teacher = double(1, 3, 2, 2).requires_grad_(), double(1, 5, 2, 2, seed=1)
    nst_loss(student, teacher, "gaussian").backward()
    ours = unit(student.detach().flatten(2), dim=2)[0].requires_grad_()
    theirs = unit(teacher.flatten(2), dim=2)[0]
    width = 2 * torch.cdist(ours, theirs).square().mean().item()

    def k(a, b):
        return (-(a[:, None] - b).square().sum(2) / width).exp().mean()

    (by_unit,) = torch.autograd.grad(k(ours, ours) - 2 * k(ours, theirs), ours)
    lengths = student.detach().flatten(2)[0].norm(dim=1, keepdim=True)
    along = (by_unit * ours).sum(1, keepdim=True) * ours
    wanted = ((by_unit - along) / lengths).view_as(student)
    torch.testing.assert_close(student.grad, wanted.detach())


@pytest.mark.parametrize("name", CASES)
def test_no_gradient_to_the_teacher(name):
    loss, _ = CASES[name]
    student = double(4, 3, 2, 2).requires_grad_()
    teacher = double(4, 3, 2, 2, seed=1).requires_grad_()
    loss(student, teacher).backward()
    assert teacher.grad is None
    assert student.grad.abs().sum() > 0


@pytest.mark.parametrize("name", CASES)
def test_zero_where_student_equals_teacher(name):
    loss, _ = CASES[name]
    features = torch.relu(double(6, 5, 3, 3)).float()
    student = features.clone().requires_grad_()
    value = loss(student, features)
    assert value.item() == pytest.approx(0, abs=1e-6)
    value.backward()
    assert student.grad.abs().max() < 1e-5


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("of", ["zeros", "equal rows", "one row", "one channel and pixel", "large"])
def test_degenerate_input_has_finite_and_bounded_gradients(name, of):
    loss, _ = CASES[name]
    student, teacher = double(4, 3, 2, 2).float(), double(4, 5, 2, 2, seed=1).float()
    if of == "zeros":
        student, teacher = torch.zeros(4, 3, 2, 2), teacher
    elif of == "equal rows":
        student, teacher = student[:1].repeat(4, 1, 1, 1), teacher[:1].repeat(4, 1, 1, 1)
    elif of == "one row":
        student, teacher = student[:1], teacher[:1]
    elif of == "one channel and pixel":
        student, teacher = student[:, :1, :1, :1], teacher[:, :1, :1, :1]
    elif of == "large":
        student = 1e4 * student
    student.requires_grad_()
    value = loss(student, teacher)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(student.grad).all()
    if of != "large":
        assert student.grad.abs().max() < 1e3


@pytest.mark.parametrize("name", ["rkd distance", "rkd angle", "pkt", "sp", "cc gaussian"])
def test_order_of_rows_does_not_matter(name):
    loss, _ = CASES[name]
    student, teacher = double(6, 4), double(6, 7, seed=1)
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    torch.testing.assert_close(loss(student, teacher), loss(student[order], teacher[order]))


@pytest.mark.parametrize("name", ["rkd distance", "rkd angle"])
def test_rkd_ignores_shift_scale_and_rotation(name):
    loss, _ = CASES[name]
    student, teacher = double(6, 4), double(6, 7, seed=1)
    turn, _ = torch.linalg.qr(double(4, 4, seed=2))
    torch.testing.assert_close(loss(3 * student @ turn + 5, teacher), loss(student, teacher))


@pytest.mark.parametrize("name", ["rkd distance", "rkd angle"])
def test_rkd_in_single_precision_with_a_large_shift(name):
    """Distances through inner products lose them here: rows of length 1000 that differ by 1."""
    loss, _ = CASES[name]
    student, teacher = double(6, 4) + 1000, double(6, 7, seed=1)
    student = student.float()
    close = loss(student, teacher.float())
    torch.testing.assert_close(close.double(), loss(student.double(), teacher), rtol=1e-4, atol=0)


def test_sp_scales_rows_by_their_euclidean_length():
    """Public code divides by the sum of absolute values, ``normalize(G, 1)``."""
    student, teacher = torch.eye(2), torch.ones(2, 2)
    assert float(sp_loss(student, teacher)) == pytest.approx(4 * (1 - 0.5**0.5) ** 2 / 4 / 2 + 0.25)


def test_nst_pools_the_larger_maps():
    student, teacher = double(2, 3, 4, 4), double(2, 3, 2, 4, seed=1)
    pooled = student.view(2, 3, 2, 2, 4).mean(3)
    torch.testing.assert_close(nst_loss(student, teacher), nst_loss(pooled, teacher))
    torch.testing.assert_close(nst_loss(teacher, student), nst_loss(teacher, pooled))


def test_unknown_names_are_refused():
    features = torch.ones(2, 3, 2, 2)
    with pytest.raises(ValueError, match=r"kernel of cc must be one of .*'mmd'.*Got 'rbf'"):
        cc_loss(features, features, "rbf")
    with pytest.raises(ValueError, match=r"kernel of nst must be one of .*'linear'.*Got 'rbf'"):
        nst_loss(features, features, "rbf")
    with pytest.raises(ValueError, match=r"variant of pkt must be one of .*'paper'.*Got 'code'"):
        pkt_loss(features, features, "code")


def test_gram_has_the_gradients_of_a_plain_product():
    rows = double(5, 3).requires_grad_()
    assert torch.autograd.gradcheck(gram, rows)
    assert torch.autograd.gradgradcheck(gram, rows)
    assert torch.autograd.gradcheck(cosines, rows)


def test_zero_vectors_keep_moderate_gradients():
    vectors = torch.zeros(2, 3, requires_grad=True)
    unit(vectors).sum().backward()
    np.testing.assert_array_equal(vectors.grad, np.ones((2, 3)))
