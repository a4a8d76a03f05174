import numpy as np
import pytest
import torch

from soft_students.methods import (
    dist_losses,
    dkd_losses,
    kd_loss,
    pearson_correlation,
    standardize_logits,
    ttm_loss,
)
from soft_students.students import NeuralStudentClassifier
from tests.references import logits as reference
from tests.unit.methods.lessons import lesson, taught

N, C = 6, 5


def double(*shape, seed=0, scale=2.0):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.fixture
def pair():
    return double(N, C), double(N, C, seed=1), torch.arange(N) % C


LOSSES = {
    "dkd": lambda s, t: sum(dkd_losses(s, t, torch.arange(len(s)) % s.shape[1])),
    "dist": lambda s, t: sum(dist_losses(s, t)),
    "logit_std": lambda s, t: kd_loss(standardize_logits(s), standardize_logits(t), 2.0),
    "ttm": ttm_loss,
    "wttm": lambda s, t: ttm_loss(s, t, weighted=True),
}


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_dkd_is_its_formula(pair, temperature):
    student, teacher, labels = pair
    found = dkd_losses(student, teacher, labels, temperature)
    wanted = reference.dkd(student.numpy(), teacher.numpy(), labels.numpy(), temperature)
    np.testing.assert_allclose([float(x) for x in found], wanted, rtol=1e-10)


def test_dkd_parts_make_up_kd_row_by_row(pair):
    student, teacher, labels = pair
    for s, t, y in zip(student[:, None], teacher[:, None], labels[:, None], strict=True):
        tckd, nckd = dkd_losses(s, t, y, 3.0)
        p_y = (t / 3.0).softmax(1)[0, y]
        torch.testing.assert_close((tckd + (1 - p_y) * nckd)[0], kd_loss(s, t, 3.0))


def test_dkd_of_sure_logits_is_finite():
    sure = torch.tensor([[300.0, -300.0, 0.0]], requires_grad=True)
    tckd, nckd = dkd_losses(sure, -sure.detach(), torch.tensor([0]), 1.0)
    (tckd + nckd).backward()
    assert torch.isfinite(tckd)
    assert torch.isfinite(nckd)
    assert torch.isfinite(sure.grad).all()


def test_dkd_refuses_two_classes():
    with pytest.raises(ValueError, match=r"at least 3 classes\. Got 2\. Use 'kd'"):
        dkd_losses(torch.zeros(3, 2), torch.zeros(3, 2), torch.tensor([0, 1, 1]))
    with pytest.raises(ValueError, match=r"at least 3 classes\. Got 2"):
        taught(lesson(n_classes=2), "dkd")


def test_dkd_rises_and_works_without_labels():
    history = taught(lesson(epochs=2, labels=False), "dkd", {"warmup": 1.0}, schedule="constant")
    first, second = history[0]["dkd others"], history[1]["dkd others"]
    assert first > 0
    assert second > 1.5 * first  # the weight grows, whatever the student learns in two batches


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_dist_is_its_formula(pair, temperature):
    student, teacher, _ = pair
    found = dist_losses(student, teacher, temperature)
    wanted = reference.dist(student.numpy(), teacher.numpy(), temperature)
    np.testing.assert_allclose([float(x) for x in found], wanted, rtol=1e-8)


def test_dist_of_one_row_is_constant_within_classes():
    inter, intra = dist_losses(double(1, C), double(1, C, seed=1), 2.0)
    assert float(intra) == 4.0
    assert 0 <= float(inter) <= 8


def test_correlation_of_constant_rows_is_zero_with_gradient_zero():
    flat = torch.full((2, 4), 0.25, requires_grad=True)
    found = pearson_correlation(flat, torch.rand(2, 4))
    found.sum().backward()
    assert torch.equal(found, torch.zeros(2))
    assert torch.equal(flat.grad, torch.zeros(2, 4))


@pytest.mark.parametrize("variant", ["reference", "paper"])
def test_standardised_logits_are_their_formula(variant):
    logits = double(N, C)
    wanted = reference.standardized(logits.numpy(), variant == "reference")
    np.testing.assert_allclose(standardize_logits(logits, variant).numpy(), wanted, rtol=1e-9)


def test_standardised_logits_forget_shift_and_scale(pair):
    student, _, _ = pair
    moved = 3 + 10 * student
    torch.testing.assert_close(standardize_logits(moved), standardize_logits(student))
    loss = kd_loss(standardize_logits(moved), standardize_logits(student))
    assert float(loss) == pytest.approx(0, abs=1e-12)


def test_standardised_equal_logits_are_zero_with_gradient_zero():
    equal = torch.ones(2, C, requires_grad=True)
    found = standardize_logits(equal)
    found.square().sum().backward()
    assert torch.equal(found, torch.zeros(2, C))
    assert torch.equal(equal.grad, torch.zeros(2, C))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("gamma", [0.1, 1.0])
def test_ttm_is_its_formula(pair, gamma, weighted):
    student, teacher, _ = pair
    found = ttm_loss(student, teacher, gamma, weighted=weighted)
    wanted = reference.ttm(student.numpy(), teacher.numpy(), gamma, weighted)
    assert float(found) == pytest.approx(wanted, rel=1e-10)


def test_ttm_of_exponent_one_is_kd_at_temperature_one(pair):
    student, teacher, _ = pair
    torch.testing.assert_close(ttm_loss(student, teacher, 1.0), kd_loss(student, teacher, 1.0))
    # all weights are one then
    weighted = ttm_loss(student, teacher, 1.0, weighted=True)
    torch.testing.assert_close(weighted, kd_loss(student, teacher, 1.0))


def test_wttm_counts_sure_rows_less():
    student = torch.zeros(1, C)
    sure, unsure = torch.tensor([[20.0, 0, 0, 0, 0]]), torch.tensor([[2.0, 0, 0, 0, 0]])

    def ratio(teacher):
        return float(ttm_loss(student, teacher, weighted=True) / ttm_loss(student, teacher))

    assert 1 < ratio(sure) < ratio(unsure) < C


@pytest.mark.parametrize("key", LOSSES)
def test_gradients(key, pair):
    student, teacher, _ = pair
    student.requires_grad_()
    assert torch.autograd.gradcheck(lambda s: LOSSES[key](s, teacher), student)


@pytest.mark.parametrize("key", ["dkd", "dist", "logit_std"])
def test_equal_logits_cost_nothing(key, pair):
    student, _, _ = pair
    assert float(LOSSES[key](student, student)) == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("key", LOSSES)
@pytest.mark.parametrize(
    "student",
    [torch.zeros(4, C), torch.ones(4, C), double(1, C).float(), double(1, C).float().repeat(4, 1)],
    ids=["zeros", "constant", "one row", "identical rows"],
)
def test_degenerate_rows_are_finite(key, student):
    student = student.clone().requires_grad_()
    teacher = double(len(student), C, seed=1).float().requires_grad_()
    loss = LOSSES[key](student, teacher)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(student.grad).all()
    assert float(student.grad.abs().max()) < 1e3
    assert teacher.grad is None


@pytest.mark.parametrize("key", ["dist", "logit_std", "ttm", "wttm"])
def test_two_classes(key):
    history = taught(lesson(n_classes=2, epochs=1), key)
    assert all(np.isfinite(v) for v in history[-1].values() if isinstance(v, float))


@pytest.mark.parametrize("key", LOSSES)
def test_training_brings_the_student_nearer(key):
    history = taught(lesson(epochs=30), key, {"warmup": 0.0} if key == "dkd" else None)
    ours = [sum(v for name, v in row.items() if name.split()[0] == key) for row in history]
    assert ours[-1] < 0.9 * ours[0]


def test_dkd_takes_standardised_logits():
    given = lesson(epochs=1)
    plain = taught(given, "dkd", {"warmup": 0.0})
    other = taught(lesson(epochs=1), "dkd", {"warmup": 0.0, "standardize": True})
    assert plain[0]["dkd target"] != other[0]["dkd target"]


@pytest.mark.parametrize(
    ("key", "name", "value"),
    [
        ("dkd", "temperature", 0),
        ("dkd", "warmup", 2.0),
        ("dist", "inter_weight", -1.0),
        ("logit_std", "variant", "ours"),
        ("ttm", "gamma", 0.0),
        ("wttm", "weight", "big"),
    ],
)
def test_bad_parameters_are_named(key, name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of .* must be .*Got {value!r}"):
        taught(lesson(epochs=1), key, {name: value})


def test_the_student_leaves_each_method_its_own_temperature():
    X, y = np.random.RandomState(0).rand(24, 4), np.arange(24) % 3
    probabilities = np.random.RandomState(1).dirichlet(np.ones(3), 24)

    def loss(**settings):
        settings = {"method": "logit_std", "validation_fraction": 0, **settings}
        student = NeuralStudentClassifier(epochs=1, random_state=0, **settings)
        return student.fit(X, probabilities, labels=y).history_[-1]["logit_std"]

    assert loss() == loss(method_params={"temperature": 2.0})
    assert loss() != loss(method_params={"temperature": 4.0})
    with pytest.raises(ValueError, match=r"Set method_params=\{'logit_std.temperature': \.\.\.\}"):
        loss(temperature=4.0)
    with pytest.raises(ValueError, match=r"not among 'ttm'. Leave it out, or add 'kd'"):
        loss(method="ttm", hard_weight=0.5)
