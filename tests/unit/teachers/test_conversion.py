import functools

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from torch import nn
from xgboost import XGBClassifier

from soft_students import as_teacher
from soft_students.teachers import (
    ArrayTeacher,
    EnsembleTeacher,
    EstimatorTeacher,
    FunctionTeacher,
    TorchTeacher,
)

X, y = load_iris(return_X_y=True)
P = np.array([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]])


@pytest.fixture(scope="module")
def classifier():
    return LogisticRegression(max_iter=500).fit(X, y)


class Predictor:
    """A model of some library that only looks like scikit-learn."""

    def predict_proba(self, rows):
        return pd.DataFrame(np.full((len(rows), 2), 0.5))


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (nn.Linear(4, 3), TorchTeacher),
        (LinearRegression().fit(X, y), EstimatorTeacher),
        (XGBClassifier(n_estimators=1).fit(X, y), EstimatorTeacher),
        (Predictor(), EstimatorTeacher),
        (lambda rows: rows, FunctionTeacher),
        (functools.partial(np.add, 1), FunctionTeacher),
        (P, ArrayTeacher),
        (P.tolist(), ArrayTeacher),
        (pd.DataFrame(P), ArrayTeacher),
        (torch.tensor(P), ArrayTeacher),
        ([nn.Linear(4, 3)], EnsembleTeacher),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_kind_of_model_has_its_teacher(model, expected):
    assert type(as_teacher(model)) is expected


def test_a_teacher_is_returned_as_it_is():
    teacher = ArrayTeacher(P)
    assert as_teacher(teacher) is teacher
    assert as_teacher(teacher, task="regression") is teacher  # callers check the task themselves


def test_a_model_that_only_looks_like_scikit_learn_teaches():
    np.testing.assert_allclose(as_teacher(Predictor()).predict_proba(X[:2]), np.full((2, 2), 0.5))
    assert as_teacher(Predictor(), classes=["a", "b"]).predict(X[:1]).tolist() == ["a"]


def test_options_reach_the_module():
    teacher = as_teacher(
        nn.Flatten(),
        classes=["a", "b", "c", "d"],
        kind="logits",
        input_shape=(2, 1, 2),
        preprocess={"mean": 1.0, "std": 2.0},
        input_range=(0, 8),
        device="cpu",
        batch_size=7,
    )
    np.testing.assert_allclose(teacher.logits(X), (X - 1) / 2, rtol=1e-6)
    assert teacher.classes_.tolist() == ["a", "b", "c", "d"]
    assert (teacher.n_features_in_, teacher.input_range_, teacher.batch_size) == (4, (0, 8), 7)
    assert as_teacher(nn.Flatten(), task="regression").predict(X).shape == (150, 4)


def test_options_reach_functions_and_arrays():
    teacher = as_teacher(lambda rows: rows, kind="logits", classes=list("abcd"))
    np.testing.assert_array_equal(teacher.logits(X), X)
    assert teacher.predict(X[:1]).tolist() == ["a"]
    logits = as_teacher(P * 9 - 3, kind="logits", classes=[7, 8, 9])
    np.testing.assert_array_equal(logits.logits(X[:2]), P * 9 - 3)
    assert logits.predict(X[:2]).tolist() == [7, 9]
    values = as_teacher([1.5, 2.5], task="regression")
    assert values.predict(X[:2]).tolist() == [1.5, 2.5]


def test_a_list_may_mix_all_kinds(classifier):
    powers = np.exp(X[:, :3])
    softmaxed = powers / powers.sum(axis=1, keepdims=True)
    models = [
        nn.Sequential(nn.Flatten(), nn.Linear(4, 3, bias=False)),
        classifier,
        lambda rows: softmaxed,
        ArrayTeacher(X[:, :3], kind="logits"),
    ]
    with torch.no_grad():
        models[0][1].weight.copy_(torch.eye(3, 4))
    teacher = as_teacher(models, input_shape=(2, 2), average="probabilities", weights=[1, 2, 1, 1])
    expected = (3 * softmaxed + 2 * classifier.predict_proba(X)) / 5
    np.testing.assert_allclose(teacher.predict_proba(X), expected, rtol=1e-5)
    assert teacher.classes_.tolist() == [0, 1, 2]


def test_a_list_of_modules_is_their_mean():
    modules = [nn.Linear(4, 3), nn.Linear(4, 3)]
    rows = torch.tensor(X, dtype=torch.float32)
    with torch.no_grad():
        expected = (modules[0](rows) + modules[1](rows)).numpy() / 2
    np.testing.assert_allclose(as_teacher(modules).logits(X), expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(as_teacher(tuple(modules)).logits(X), expected, rtol=1e-4, atol=1e-6)


def test_classes_of_members_must_be_the_same(classifier):
    other = LogisticRegression(max_iter=500).fit(X[y < 2], y[y < 2])
    with pytest.raises(ValueError, match=r"the same classes. Got \[0, 1, 2\] and \[0, 1\]"):
        as_teacher([classifier, other])


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (P, {"input_shape": (3,)}, r"'input_shape', which does not apply .* 'array'"),
        (P, {"weights": [1]}, "'weights', which does not apply"),
        (lambda rows: rows, {"device": "cpu"}, "'device', which does not apply .* 'callable'"),
        (ArrayTeacher(P), {"classes": [1, 2, 3]}, "'classes', which does not apply .* 'teacher'"),
        (nn.Linear(4, 3), {"average": "logits"}, "'average', which does not apply .* 'module'"),
        ([ArrayTeacher(P)], {"batch_size": 3}, "'batch_size', which does not apply"),
        (
            LinearRegression().fit(X, y),
            {"kind": "logits"},
            "'kind', which does not apply .* 'estimator'",
        ),
    ],
)
def test_options_that_would_be_ignored_are_refused(model, options, message):
    with pytest.raises(ValueError, match=message):
        as_teacher(model, **options)


@pytest.mark.parametrize("model", [None, 3, "t.pt", {"a": 1}, ["a.pt", "b.pt"], np.array(["a"])])
def test_what_cannot_teach_is_refused(model):
    with pytest.raises(TypeError, match=r"A teacher must be .*load_teacher\("):
        as_teacher(model)


@pytest.mark.parametrize("model", [LogisticRegression, nn.Linear])
def test_classes_are_not_models(model):
    with pytest.raises(TypeError, match=f"not the class {model.__name__}"):
        as_teacher(model)


def test_labels_are_not_soft_targets():
    with pytest.raises(ValueError, match=r"shape \(n_samples, n_classes\).*Pass labels as y"):
        as_teacher(y)


@pytest.mark.parametrize("kind", ["odds", "proba"])
def test_an_unknown_kind_is_refused(kind):
    with pytest.raises(ValueError, match="'kind' of a teacher must be"):
        as_teacher(nn.Linear(4, 3), kind=kind)
