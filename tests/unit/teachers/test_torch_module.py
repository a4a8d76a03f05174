import copy
import pickle
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.base import clone
from torch import nn

from soft_students.teachers import InputRangeWarning, TorchTeacher

HAS_CUDA = torch.cuda.is_available()
RNG = np.random.RandomState(0)
X = RNG.rand(11, 4).astype(np.float32)


def linear(weight, bias):
    """A linear layer of known weights."""
    module = nn.Linear(len(weight[0]), len(weight))
    with torch.no_grad():
        module.weight.copy_(torch.tensor(weight))
        module.bias.copy_(torch.tensor(bias))
    return module


WEIGHT = RNG.randn(3, 4).astype(np.float32)
BIAS = RNG.randn(3).astype(np.float32)
LOGITS = X @ WEIGHT.T + BIAS


@pytest.fixture
def layer():
    return linear(WEIGHT.tolist(), BIAS.tolist())


class Function(nn.Module):
    """A module that is a function, and keeps what it was given."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.seen = []

    def forward(self, inputs):
        self.seen.append(inputs)
        return self.function(inputs)


@pytest.mark.parametrize("batch_size", [1, 2, 10, 11, 1000])
def test_logits_are_the_modules_whatever_the_batch(layer, batch_size):
    teacher = TorchTeacher(layer, batch_size=batch_size)
    np.testing.assert_allclose(teacher.logits(X), LOGITS, rtol=1e-5, atol=1e-6)


def test_rows_may_be_a_view_of_any_strides(layer):
    """Columns of a reversed DataFrame were refused: torch takes no negative strides."""
    turned = np.ascontiguousarray(X[::-1, ::-1])
    np.testing.assert_array_equal(
        TorchTeacher(layer).logits(turned[::-1, ::-1]), TorchTeacher(layer).logits(X)
    )


def test_no_batch_is_larger_than_allowed():
    module = Function(lambda x: x)
    TorchTeacher(module, batch_size=4).logits(X)
    assert [len(batch) for batch in module.seen] == [4, 4, 3]


@pytest.mark.parametrize(
    "rows",
    [
        X.tolist(),
        pd.DataFrame(X, columns=list("abcd")),
        X.astype(np.float64),
        np.asfortranarray(X),
        X[::-1][::-1],
        torch.from_numpy(X),
    ],
    ids=["list", "frame", "float64", "fortran", "view", "tensor"],
)
def test_rows_of_any_type_are_taken(layer, rows):
    np.testing.assert_allclose(TorchTeacher(layer).logits(rows), LOGITS, rtol=1e-5, atol=1e-6)


def test_integers_are_taken_as_numbers(layer):
    pixels = np.arange(8, dtype=np.uint8).reshape(2, 4)
    expected = pixels @ WEIGHT.T + BIAS
    np.testing.assert_allclose(TorchTeacher(layer).logits(pixels), expected, rtol=1e-5, atol=1e-5)


def test_sparse_rows_are_refused(layer):
    with pytest.raises(TypeError, match="toarray"):
        TorchTeacher(layer).logits(csr_matrix(X))


def test_rows_are_reshaped_for_the_module():
    module = Function(lambda x: x.mean((2, 3)))
    images = np.arange(2 * 3 * 2 * 2, dtype=np.float32).reshape(2, 12)
    teacher = TorchTeacher(module, input_shape=(3, 2, 2))
    np.testing.assert_allclose(teacher.logits(images), [[1.5, 5.5, 9.5], [13.5, 17.5, 21.5]])
    np.testing.assert_allclose(teacher.logits(images.reshape(2, 3, 2, 2)), teacher.logits(images))
    with pytest.raises(ValueError, match=r"X has 10 features, .* was trained on 12 features"):
        teacher.logits(np.zeros((2, 10)))


def test_mean_and_std_standardise_channels():
    module = Function(lambda x: x[:, :, 0, 0])
    preprocess = {"mean": [1.0, 2.0, 3.0], "std": [1.0, 2.0, 4.0]}
    teacher = TorchTeacher(module, input_shape=(3, 1, 1), preprocess=preprocess)
    np.testing.assert_allclose(teacher.logits([[3.0, 3.0, 3.0]]), [[2.0, 0.5, 0.0]])


def test_mean_and_std_may_be_numbers_or_of_features():
    module = Function(lambda x: x)
    for preprocess in ({"mean": 1.0, "std": 2.0}, {"mean": [1.0, 1.0], "std": [2.0, 2.0]}):
        teacher = TorchTeacher(module, preprocess=preprocess)
        np.testing.assert_allclose(teacher.logits([[3.0, 5.0]]), [[1.0, 2.0]])


@pytest.mark.parametrize(
    "preprocess",
    [{"mean": 0.0}, {"mean": 0.0, "std": 0.0}, {"mean": np.nan, "std": 1.0}, {"mu": 0, "std": 1}],
)
def test_unusable_means_and_deviations_are_refused(preprocess):
    with pytest.raises(ValueError, match="'preprocess'"):
        TorchTeacher(nn.Identity(), preprocess=preprocess)


def test_preprocessing_may_be_a_function_or_a_module_in_training():
    double = TorchTeacher(nn.Identity(), preprocess=lambda x: 2 * x)
    np.testing.assert_allclose(double.logits(X), 2 * X)
    dropout = nn.Dropout(0.9)
    teacher = TorchTeacher(nn.Identity(), preprocess=dropout)
    np.testing.assert_array_equal(teacher.logits(X - 1), X - 1)
    assert dropout.training


def test_preprocessing_may_make_integers_of_the_inputs():
    table = nn.Embedding.from_pretrained(torch.tensor([[0.0, 9.0], [5.0, -1.0]]))
    module = nn.Sequential(table, nn.Flatten())
    teacher = TorchTeacher(module, preprocess=lambda x: x.long())
    np.testing.assert_array_equal(teacher.logits([[1.0], [0.0]]), [[5, -1], [0, 9]])


@pytest.mark.parametrize(
    ("dtype", "answer"),
    [(torch.float64, np.float64), (torch.float16, np.float32), (torch.bfloat16, np.float32)],
)
def test_the_module_keeps_its_precision(layer, dtype, answer):
    teacher = TorchTeacher(layer.to(dtype), preprocess={"mean": 0.0, "std": 1.0})
    logits = teacher.logits(X)
    assert logits.dtype == answer
    np.testing.assert_allclose(logits, LOGITS, atol=0.05)


def test_float64_modules_see_float64_rows():
    module = nn.Sequential(nn.Linear(1, 1).double(), Function(lambda x: x))
    with torch.no_grad():
        module[0].weight.fill_(1.0)
        module[0].bias.fill_(0.0)
    value = 1 + 1e-12
    assert TorchTeacher(module, task="regression").predict([[value]]) == value


def test_every_submodule_is_back_in_its_mode():
    module = nn.Sequential(
        nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(4))
    )
    module.train()
    module[1].eval()  # a frozen normalisation inside a module in training
    module[2][0].eval()
    modes = [part.training for part in module.modules()]
    before = copy.deepcopy(module.state_dict())
    teacher = TorchTeacher(module)
    first = teacher.logits(X)
    np.testing.assert_array_equal(teacher.logits(X), first)
    assert [part.training for part in module.modules()] == modes == [1, 1, 0, 1, 0, 1]
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_the_mode_is_restored_after_an_error():
    def fail(x):
        raise RuntimeError("no")

    module = nn.Sequential(nn.Dropout(0.5), Function(fail)).train()
    with pytest.raises(ValueError, match="no"):
        TorchTeacher(module).logits(X)
    assert all(part.training for part in module.modules())


def test_the_module_is_asked_in_eval_mode_without_gradients():
    modes = []

    def look(x):
        modes.append((module.training, torch.is_grad_enabled()))
        return x

    module = Function(look).train()
    TorchTeacher(module).logits(X)
    assert modes == [(False, False)]


def test_what_a_module_caches_may_still_be_trained_with():
    """Under inference_mode the cached tensor could not be saved for a backward pass."""

    class Caching(nn.Linear):
        cache = None

        def forward(self, inputs):
            if self.cache is None:
                self.cache = torch.ones(len(self.bias)) * 2
            return super().forward(inputs) * self.cache

    module = Caching(4, 3)
    TorchTeacher(module).logits(X)
    module(torch.from_numpy(X)).sum().backward()
    assert module.weight.grad is not None


def test_modules_that_work_in_place_leave_the_rows_alone():
    rows = X - 0.5
    before = rows.copy()
    TorchTeacher(nn.ReLU(inplace=True), preprocess=lambda x: x.mul_(2)).logits(rows)
    np.testing.assert_array_equal(rows, before)


def test_read_only_rows_are_taken_without_a_warning(layer, recwarn):
    rows = X.copy()
    rows.setflags(write=False)
    TorchTeacher(layer).logits(rows)
    assert not recwarn.list


def test_batch_normalisation_takes_a_batch_of_one():
    module = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)).train()
    assert TorchTeacher(module).logits(X[:1]).shape == (1, 3)


@pytest.mark.parametrize("squeeze", [False, True])
@pytest.mark.parametrize("n", [1, 5])
def test_a_single_logit_is_that_of_the_second_class(squeeze, n):
    module = Function(lambda x: x[:, :1].squeeze() if squeeze else x[:, :1])
    teacher = TorchTeacher(module, kind="logits")
    expected = np.column_stack([np.zeros(n), X[:n, 0]])
    np.testing.assert_array_equal(teacher.logits(X[:n]), expected)


def test_a_module_that_ends_in_softmax_is_told_apart(layer):
    module = nn.Sequential(layer, nn.Softmax(dim=1))
    powers = np.exp(LOGITS)
    expected = powers / powers.sum(axis=1, keepdims=True)
    teacher = TorchTeacher(module, kind="probabilities")
    np.testing.assert_allclose(teacher.predict_proba(X), expected, rtol=1e-5)
    unsaid = TorchTeacher(module)
    with pytest.warns(UserWarning, match=r"'Sequential' lie in \[0, 1\] and sum .*--kind logits"):
        np.testing.assert_allclose(unsaid.predict_proba(X), expected, rtol=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # once is enough
        unsaid.predict_proba(X)
    logits = TorchTeacher(module, kind="logits")
    assert abs(logits.predict_proba(X) - expected).max() > 0.1


@pytest.mark.parametrize(
    "form",
    [
        lambda x: (x, x.mean()),
        lambda x: [x],
        lambda x: {"loss": None, "logits": x},
        lambda x: SimpleNamespace(logits=x, hidden_states=()),
    ],
)
def test_the_logits_among_several_outputs_are_taken(layer, form):
    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return form(self.layer(x))

    expected = TorchTeacher(layer).logits(X)
    np.testing.assert_array_equal(TorchTeacher(Wrapped()).logits(X), expected)


def test_a_log_softmax_needs_no_option(layer):
    module = nn.Sequential(layer, nn.LogSoftmax(dim=1))
    plain = TorchTeacher(layer).predict_proba(X, 3.0)
    np.testing.assert_allclose(TorchTeacher(module).predict_proba(X, 3.0), plain, rtol=1e-5)


def test_regression_modules_give_values(layer):
    np.testing.assert_allclose(
        TorchTeacher(layer, task="regression").predict(X), LOGITS, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: ("logits", x), "returned a tuple without logits"),
        (lambda x: {"scores": x}, "returned a dict without logits"),
        (lambda x: x[:, :, None], r"must return logits of shape \(11, n_classes\).* \(11, 4, 1\)"),
        (lambda x: x[:5], r"\(5, 4\)"),
        (lambda x: x.sum(), r"Got \(\)"),
        (lambda x: x / 0 * 0, "NaN or infinity for 11 of 11 rows"),
    ],
)
def test_unfit_answers_are_refused(function, message):
    with pytest.raises(ValueError, match=message):
        TorchTeacher(Function(function)).logits(X)


def test_a_squeezed_row_is_refused_rather_than_misread():
    with pytest.raises(ValueError, match=r"shape \(1, n_classes\) for 1 inputs. Got \(4,\)"):
        TorchTeacher(Function(lambda x: x.squeeze())).logits(X[:1])


def test_a_failing_module_is_named_with_what_it_was_given(layer):
    with pytest.raises(ValueError, match=r"'Linear' failed .* \(11, 3\): .*input_shape") as caught:
        TorchTeacher(layer).logits(X[:, :3])
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_nan_in_the_rows_is_reported_by_row(layer):
    rows = X.copy()
    rows[[3, 7], 0] = np.nan
    with pytest.raises(ValueError, match=r"'Linear' .* for 2 of 11 rows \(first: row 3\)"):
        TorchTeacher(layer).logits(rows)


def test_inputs_outside_the_range_give_a_warning(layer):
    teacher = TorchTeacher(layer, input_range=(0, 1))
    with pytest.warns(InputRangeWarning, match=r"\[0, 1\]"):
        teacher.logits(X * 5 - 3)


def test_the_module_is_neither_copied_nor_moved_unasked(layer):
    teacher = TorchTeacher(layer)
    assert teacher.module is layer
    assert clone(teacher) is teacher
    meta = nn.Linear(4, 3, device="meta")
    assert TorchTeacher(meta).module.weight.device.type == "meta"


@pytest.mark.parametrize(
    "device", ["gpu", pytest.param("cuda", marks=pytest.mark.skipif(HAS_CUDA, reason="has CUDA"))]
)
def test_a_device_that_is_not_there_is_refused(layer, device):
    with pytest.raises(ValueError, match=f"'device' of a teacher must be .* Got '{device}'"):
        TorchTeacher(layer, device=device)


@pytest.mark.skipif(not HAS_CUDA, reason="needs CUDA")
def test_a_module_may_be_on_another_device(layer):
    expected = TorchTeacher(layer).logits(X)
    teacher = TorchTeacher(layer, device="cuda", preprocess={"mean": 0.0, "std": 1.0})
    assert teacher.module.weight.is_cuda
    np.testing.assert_allclose(teacher.logits(X), expected, atol=1e-2)


def test_a_module_changed_by_its_owner_is_asked_as_it_is(layer):
    teacher = TorchTeacher(layer)
    layer.double()
    assert teacher.logits(X).dtype == np.float64


def test_pickling_keeps_the_answers(layer):
    teacher = TorchTeacher(layer, classes=["a", "b", "c"], preprocess={"mean": 0.5, "std": 2.0})
    again = pickle.loads(pickle.dumps(teacher))
    np.testing.assert_array_equal(again.logits(X), teacher.logits(X))
    assert again.predict(X).tolist() == teacher.predict(X).tolist()


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, None])
def test_the_batch_size_must_be_positive(batch_size):
    with pytest.raises(ValueError, match="'batch_size' of a TorchTeacher"):
        TorchTeacher(nn.Identity(), batch_size=batch_size)
