"""The losses of features with adapters: ft, fitnet, vid, fsp and ab."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from soft_students.methods import (
    ab_loss,
    fsp_loss,
    fsp_matrix,
    ft_loss,
    hint_loss,
    hint_regressor,
    vid_loss,
)
from soft_students.methods.fsp import FSP
from soft_students.methods.ft import Factors, Paraphraser, translator
from soft_students.methods.vid import VariationalGaussian
from tests.references import ab as ab_reference
from tests.references import fitnet as fitnet_reference
from tests.references import fsp as fsp_reference
from tests.references import ft as ft_reference
from tests.references import vid as vid_reference

gradcheck = torch.autograd.gradcheck


def double(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("size", [(4, 4), (2, 2), (3, 2), (8, 5)])
def test_ft_is_its_formula(size):
    student, teacher = double(3, 2, 4, 4), double(3, 2, *size, seed=1)
    wanted = ft_reference.ft(student.numpy(), teacher.numpy())
    assert float(ft_loss(student, teacher)) == pytest.approx(wanted, rel=1e-10)


def test_ft_of_zero_factors_is_finite_with_gradient_zero():
    student = torch.zeros(2, 3, 4, 4, requires_grad=True)
    loss = ft_loss(student, torch.zeros(2, 3, 4, 4))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(student.grad, torch.zeros_like(student))


def test_ft_forgets_scale_and_normalises_the_whole_factor():
    student = double(3, 2, 4, 4)
    assert float(ft_loss(5 * student, student)) == pytest.approx(0, abs=1e-12)
    other = student.clone()
    other[:, 0] *= 5  # a channel alone is not forgiven, as it would be by a norm a channel
    assert float(ft_loss(other, student)) > 1e-3


def test_factors_keep_the_encoder_frozen_and_in_eval_mode():
    factors = Factors(translator(3, 2), Paraphraser(4, 2).encoder).train()
    assert factors.translator.training
    assert not factors.encoder.training
    ours, theirs = factors(torch.randn(2, 3, 4, 4), torch.randn(2, 4, 4, 4))
    assert ours.shape == theirs.shape == (2, 2, 4, 4)
    assert ours.requires_grad
    assert not theirs.requires_grad


def test_hint_is_its_formula():
    guided, hint = double(3, 2, 4, 4), double(3, 2, 4, 4, seed=1)
    wanted = fitnet_reference.hint(guided.numpy(), hint.numpy())
    assert float(hint_loss(guided, hint)) == pytest.approx(wanted, rel=1e-10)
    assert float(hint_loss(guided, guided)) == 0


@pytest.mark.parametrize(
    ("student", "teacher", "kernel"),
    [
        ((3, 8, 8), (5, 8, 8), (1, 1)),
        ((3, 8, 8), (5, 4, 4), (3, 3)),
        ((3, 7, 8), (5, 4, 4), (4, 5)),
        ((3, 4, 4), (5, 8, 8), (4, 4)),
        ((3, 4, 4), (5, 6, 4), (3, 1)),
        ((3, 1, 1), (5, 3, 3), (3, 3)),
    ],
)
def test_regressors_match_shapes(student, teacher, kernel):
    regressor = hint_regressor(student, teacher)
    assert regressor.kernel_size == kernel
    assert regressor(torch.zeros(2, *student)).shape == (2, *teacher)


def test_regressors_reach_negative_hints():
    regressor = hint_regressor((3, 4, 4), (5, 4, 4))
    assert float(regressor(torch.randn(8, 3, 4, 4)).min()) < 0
    assert hint_regressor((7,), (5,))(torch.zeros(2, 7)).shape == (2, 5)


@pytest.mark.parametrize(
    ("student", "teacher", "match"),
    [
        ((3, 8, 4), (5, 4, 8), "enlarges or shrinks both"),
        ((3, 8, 4), (5,), "two feature maps"),
    ],
)
def test_regressors_that_cannot_be(student, teacher, match):
    with pytest.raises(ValueError, match=match):
        hint_regressor(student, teacher)


def test_vid_is_its_formula():
    mean, teacher = double(2, 3, 4, 2), double(2, 3, 4, 2, seed=1)
    variance = torch.tensor([0.3, 1.0, 5.0], dtype=torch.float64)
    wanted = vid_reference.vid(mean.numpy(), teacher.numpy(), variance.numpy())
    assert float(vid_loss(mean, teacher, variance)) == pytest.approx(wanted, rel=1e-10)


def test_vid_may_be_negative_and_is_least_at_the_true_variance():
    mean, teacher = torch.zeros(50, 1, 4, 4), 0.1 * torch.randn(50, 1, 4, 4)
    true = float(teacher.square().mean())
    losses = {v: float(vid_loss(mean, teacher, torch.tensor([v]))) for v in (true / 2, true, 1.0)}
    assert min(losses, key=losses.get) == true
    assert losses[true] < 0


def test_variance_starts_where_it_is_told_and_never_overflows():
    gaussian = VariationalGaussian(3, 4, initial_variance=5.0)
    torch.testing.assert_close(gaussian.variance, torch.full((4,), 5.0))
    torch.testing.assert_close(VariationalGaussian(3, 4, 0.1).variance, torch.full((4,), 0.1))
    with torch.no_grad():
        gaussian.alpha.copy_(torch.tensor([1e4, 100.0, -1e4, 0.0]))
    variance = gaussian.variance
    variance.log().sum().backward()
    assert torch.isfinite(variance).all()
    assert (variance > 0).all()
    assert torch.isfinite(gaussian.alpha.grad).all()


@pytest.mark.parametrize("size", [(4, 4), (2, 2), (3, 5)])
def test_fsp_is_its_formula(size):
    student = [double(2, 3, 4, 4), double(2, 2, *size, seed=1), double(2, 4, 2, 2, seed=2)]
    teacher = [double(2, 3, 6, 6, seed=3), double(2, 2, 6, 6, seed=4), double(2, 4, 3, 3, seed=5)]
    wanted = fsp_reference.fsp([x.numpy() for x in student], [x.numpy() for x in teacher])
    assert float(fsp_loss(student, teacher)) == pytest.approx(wanted, rel=1e-10)
    matrix = fsp_reference.matrix(student[0].numpy(), student[1].numpy())
    np.testing.assert_allclose(fsp_matrix(student[0], student[1]).numpy(), matrix, rtol=1e-10)


@pytest.mark.parametrize("margin", [1.0, 0.25])
def test_ab_is_its_formula(margin):
    student, teacher = double(3, 2, 4, 4), double(3, 2, 4, 4, seed=1)
    student[0, 0, 0] = torch.tensor([margin, -margin, 0.0, 3.0])
    teacher[0, 0, 0] = torch.tensor([1.0, -1.0, 0.0, 0.0])
    wanted = ab_reference.ab(student.numpy(), teacher.numpy(), margin)
    assert float(ab_loss(student, teacher, margin)) == pytest.approx(wanted, rel=1e-10)


def test_ab_is_zero_beyond_the_margin_on_the_same_side():
    teacher = double(3, 2, 4, 4)
    assert float(ab_loss(torch.where(teacher > 0, 1.0, -1.0), teacher)) == 0
    assert float(ab_loss(torch.where(teacher > 0, -1.0, 1.0), teacher)) == 4 * 32


def _fsp(student, teacher):
    return fsp_loss([student, 2 * student[:, :2]], [teacher, teacher[:, :2]])


LOSSES = {
    "ft": ft_loss,
    "fitnet": hint_loss,
    "vid": lambda s, t: vid_loss(s, t, F.softplus(s.new_zeros(3)) + 1e-5),
    "fsp": _fsp,
    "ab": ab_loss,
}


@pytest.mark.parametrize("key", LOSSES)
def test_gradients(key):
    student, teacher = double(2, 3, 3, 3).requires_grad_(), double(2, 3, 3, 3, seed=1)
    assert gradcheck(lambda s: LOSSES[key](s, teacher), student)


def test_gradients_of_the_variance():
    mean, teacher = double(2, 3, 2, 2), double(2, 3, 2, 2, seed=1)
    variance = torch.tensor([0.3, 1.0, 5.0], dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda v: vid_loss(mean, teacher, v), variance)


@pytest.mark.parametrize("key", LOSSES)
@pytest.mark.parametrize(
    "student",
    [torch.zeros(3, 3, 4, 4), torch.randn(1, 3, 4, 4), torch.randn(1, 3, 4, 4).repeat(3, 1, 1, 1)],
    ids=["zeros", "one row", "identical rows"],
)
def test_degenerate_rows_are_finite_and_the_teacher_learns_nothing(key, student):
    student = student.clone().requires_grad_()
    teacher = torch.randn_like(student).requires_grad_()
    loss = LOSSES[key](student, teacher)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(student.grad).all()
    assert teacher.grad is None


def test_fsp_has_no_term_of_its_own_in_the_main_stage():
    assert FSP().terms(None, None) == {}
