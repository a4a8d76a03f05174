import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from torch import nn

from soft_students import DecisionTreeStudentClassifier, DistilledClassifier, as_teacher
from soft_students.evaluation import evaluate, evaluate_teacher

X = np.round(np.random.default_rng(5).normal(size=(60, 2)), 3)
y = (X[:, 0] > 0).astype(int)


@pytest.fixture
def bill():
    return []


@pytest.fixture
def service(bill):
    model = LogisticRegression().fit(X, y)

    def ask(rows):
        bill.append(len(rows))
        return model.predict_proba(np.asarray(rows))

    return ask


def test_each_distinct_row_is_asked_once(service, bill):
    teacher = as_teacher(service, cache=True, batch_size=25)
    twice = np.concatenate([X, X[::-1]])
    expected = as_teacher(service).logits(twice)
    bill.clear()
    np.testing.assert_array_equal(teacher.logits(twice), expected)
    assert bill == [25, 25, 10]
    np.testing.assert_array_equal(teacher.logits(X[7:9]), expected[7:9])
    teacher.logits(X.astype(np.float32).astype(np.float64))  # other numbers are other rows
    assert sum(bill) > 60


def test_a_search_and_an_evaluation_share_the_answers(service, bill):
    teacher = as_teacher(service, cache=True)
    grid = {"student__max_depth": [1, 2], "student__temperature": [1.0, 3.0]}
    GridSearchCV(DistilledClassifier(DecisionTreeStudentClassifier(), teacher), grid, cv=3).fit(
        X, y
    )
    student = DecisionTreeStudentClassifier(max_depth=2).fit(X, teacher)
    evaluate({"tree": student}, X, y, teacher)
    assert sum(bill) == 60


def test_a_function_is_not_timed_unasked(service, bill):
    student = DecisionTreeStudentClassifier(max_depth=2).fit(X, y)
    result = evaluate({"tree": student}, X, y, service)
    assert bill == [60]
    assert result.wide()["teacher"]["latency_us"] is None
    assert result.wide()["tree"]["latency_us"] > 0
    assert evaluate_teacher(service, X, y)["latency_us"] is None
    bill.clear()
    timed = evaluate({"tree": student}, X, y, [service, service], metrics=["latency_us"])
    assert timed.wide()["teacher"]["latency_us"] > 0
    assert sum(bill) > 120


def test_tables_are_told_apart_by_their_columns(bill):
    def service(rows):
        bill.append(len(rows))
        p = 1 / (1 + np.exp(-rows["up"].to_numpy()))
        return pd.DataFrame({"yes": p, "no": 1 - p})

    teacher = as_teacher(service, cache=True)
    table = pd.DataFrame(X, columns=["up", "down"])
    first = teacher.predict_proba(table)
    assert teacher.classes_.tolist() == ["yes", "no"]
    np.testing.assert_array_equal(teacher.predict_proba(table), first)
    turned = table.set_axis(["down", "up"], axis=1)
    assert abs(teacher.predict_proba(turned) - first).max() > 0.1
    assert bill == [60, 60]


def test_modules_and_words_can_be_cached():
    network = nn.Linear(2, 3)
    teacher = as_teacher(network, cache=True, batch_size=16, classes=["a", "b", "c"])
    with torch.no_grad():
        expected = network(torch.tensor(X, dtype=torch.float32)).numpy()
    np.testing.assert_allclose(teacher.logits(X), expected, rtol=1e-5, atol=1e-6)
    words = np.array([["red"], ["blue"], ["red"]], dtype=object)
    told = []
    named = as_teacher(
        lambda rows: told.append(len(rows)) or np.full((len(rows), 2), 0.5), cache=True
    )
    assert named.predict_proba(words).shape == (3, 2)
    assert told == [2]


@pytest.mark.parametrize("size", [0, 2.5])
def test_a_batch_has_rows(service, size):
    with pytest.raises(ValueError, match="'batch_size' of a teacher must be an int >= 1"):
        as_teacher(service, cache=True, batch_size=size)
