import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn
from xgboost import XGBClassifier, XGBRegressor

from soft_students import DecisionTreeStudentClassifier, as_teacher
from soft_students.teachers import (
    ArrayTeacher,
    EnsembleTeacher,
    EstimatorTeacher,
    FunctionTeacher,
    InputRangeWarning,
    TorchTeacher,
)

X = np.zeros((2, 3))
A = np.array([[0.0, 1.0, 2.0], [3.0, -1.0, 0.5]])
B = np.array([[4.0, 0.0, -2.0], [1.0, 1.0, 2.5]])


def softmax(logits):
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True)


def fixed(logits, classes=None):
    return ArrayTeacher(logits, kind="logits", classes=classes)


def test_the_mean_of_logits():
    np.testing.assert_allclose(EnsembleTeacher([fixed(A), fixed(B)]).logits(X), (A + B) / 2)


def test_the_mean_of_probabilities():
    teacher = EnsembleTeacher([fixed(A), fixed(B)], average="probabilities")
    expected = (softmax(A) + softmax(B)) / 2
    np.testing.assert_allclose(teacher.predict_proba(X), expected, rtol=1e-12)
    softer = np.sqrt(expected)
    softer /= softer.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(teacher.predict_proba(X, 2.0), softer, rtol=1e-12)


@pytest.mark.parametrize("weights", [(3, 1), [0.75, 0.25], np.array([6, 2])])
def test_weights_are_relative(weights):
    members = [fixed(A), fixed(B)]
    logits = EnsembleTeacher(members, weights=weights).logits(X)
    np.testing.assert_allclose(logits, 0.75 * A + 0.25 * B, rtol=1e-12)
    proba = EnsembleTeacher(members, weights=weights, average="probabilities").predict_proba(X)
    np.testing.assert_allclose(proba, 0.75 * softmax(A) + 0.25 * softmax(B), rtol=1e-12)


def test_a_member_without_weight_says_nothing():
    def fail(X):
        raise RuntimeError("asked")

    teacher = EnsembleTeacher([fixed(A), FunctionTeacher(fail)], weights=[1, 0])
    np.testing.assert_array_equal(teacher.logits(X), A)


def test_zero_probabilities_do_not_make_nan():
    certain = ArrayTeacher([[1.0, 0.0], [0.0, 1.0]])
    other = ArrayTeacher([[0.0, 1.0], [0.5, 0.5]])
    for average in ("logits", "probabilities"):
        proba = EnsembleTeacher([certain, other], average=average).predict_proba(X)
        np.testing.assert_allclose(proba[0], [0.5, 0.5])
    np.testing.assert_allclose(proba[1], [0.25, 0.75])


def test_classes_are_aligned_by_label():
    first = fixed(A, ["cat", "dog", "eel"])
    second = fixed(B[:, [2, 0, 1]], ["eel", "cat", "dog"])
    for average in ("logits", "probabilities"):
        teacher = EnsembleTeacher([first, second], average=average)
        assert teacher.classes_.tolist() == ["cat", "dog", "eel"]
        same = EnsembleTeacher([fixed(A), fixed(B)], average=average)
        np.testing.assert_allclose(teacher.logits(X), same.logits(X))


def test_a_member_that_knows_no_classes_follows_the_first_that_does():
    teacher = EnsembleTeacher([fixed(B), fixed(A, ["x", "y", "z"])])
    assert teacher.classes_.tolist() == ["x", "y", "z"]
    np.testing.assert_allclose(teacher.logits(X), (A + B) / 2)


@pytest.mark.parametrize("classes", [["cat", "dog", "fox"], ["cat", "dog"], [0, 1, 2]])
def test_different_classes_are_refused(classes):
    logits = A[:, : len(classes)]
    with pytest.raises(ValueError, match=r"must have the same classes.*cat.*"):
        EnsembleTeacher([fixed(A, ["cat", "dog", "eel"]), fixed(logits, classes)])


def test_different_numbers_of_unnamed_classes_are_refused():
    teacher = EnsembleTeacher([fixed(A), fixed(A[:, :2])])
    with pytest.raises(ValueError, match=r"arrays of the same shape.*\(2, 3\).*\(2, 2\)"):
        teacher.logits(X)


def test_regressors_give_the_mean_of_their_values():
    members = [
        FunctionTeacher(lambda X: X[:, 0], task="regression"),
        FunctionTeacher(lambda X: X[:, 1], task="regression"),
    ]
    teacher = EnsembleTeacher(members, weights=[1, 3])
    np.testing.assert_allclose(teacher.predict(np.array([[4.0, 8.0], [0.0, 1.0]])), [7.0, 0.75])


def test_regressors_of_different_shapes_are_refused():
    """(n,) and (n, 2) values broadcast to a matrix when n is two."""
    members = [
        FunctionTeacher(lambda X: X[:, 0], task="regression"),
        FunctionTeacher(lambda X: X[:, :2], task="regression"),
    ]
    with pytest.raises(ValueError, match="same shape"):
        EnsembleTeacher(members).predict(X)


def test_tasks_and_features_must_agree():
    regressor = FunctionTeacher(lambda X: X[:, 0], task="regression")
    with pytest.raises(ValueError, match="the same task"):
        EnsembleTeacher([fixed(A), regressor])
    modules = [TorchTeacher(nn.Flatten(), input_shape=shape) for shape in ((3,), (4,))]
    with pytest.raises(ValueError, match="the same n_features_in"):
        EnsembleTeacher(modules)


def test_members_check_the_rows():
    teacher = EnsembleTeacher([fixed(A), TorchTeacher(nn.Linear(3, 3), input_shape=(3,))])
    assert teacher.n_features_in_ == 3
    with pytest.raises(ValueError, match="X has 5 features, but the teacher 'Linear'"):
        teacher.logits(np.zeros((2, 5)))
    with pytest.raises(ValueError, match="array of 2 rows"):
        teacher.logits(np.zeros((3, 3)))
    with pytest.raises(ValueError, match="X has 0"):
        teacher.logits(np.zeros((0, 3)))


@pytest.mark.parametrize("ranges", [[(0, 1), (0, 1)], [(0, 1), None], [None, (-1, 1)]])
def test_members_warn_once_together(ranges):
    members = [TorchTeacher(nn.Linear(3, 3), input_range=known) for known in ranges]
    with pytest.warns(InputRangeWarning) as caught:
        EnsembleTeacher(members).logits(X + 200)
    assert len(caught) == 1


def test_members_are_asked_in_eval_mode():
    torch.manual_seed(0)
    modules = [nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5)).train() for _ in range(2)]
    teacher = EnsembleTeacher([TorchTeacher(module) for module in modules])
    np.testing.assert_array_equal(teacher.logits(X + 1), teacher.logits(X + 1))
    assert all(part.training for module in modules for part in module.modules())


def test_names_tell_the_members():
    assert EnsembleTeacher([fixed(A), fixed(A)]).name == "2 x array"
    mixed = EnsembleTeacher([fixed(A), TorchTeacher(nn.Linear(3, 3))])
    assert mixed.name == "array + Linear"


@pytest.mark.parametrize(
    "weights", [[1], [1, 2, 3], [-1, 2], [0, 0], [np.nan, 1], [np.inf, 1], [[1, 1]]]
)
def test_unusable_weights_are_refused(weights):
    with pytest.raises(ValueError, match="'weights' of an ensemble of 2"):
        EnsembleTeacher([fixed(A), fixed(B)], weights=weights)


def test_other_misuse_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        EnsembleTeacher([])
    with pytest.raises(ValueError, match="'average'"):
        EnsembleTeacher([fixed(A)], average="median")
    with pytest.raises(TypeError, match=r"Got Linear instead; as_teacher\(\[...\]\)"):
        EnsembleTeacher([nn.Linear(2, 2)])


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("average", ["logits", "probabilities"])
def test_any_mix_of_models(n_classes, average):
    """A module that does not know its classes, boosted trees, a forest and a pipeline."""
    X, y = make_classification(
        120, 5, n_informative=4, n_redundant=0, n_classes=n_classes, random_state=0
    )
    names = np.array(["lion", "ant", "bee"])[y]
    order = np.unique(names)
    codes = np.searchsorted(order, names)
    module = nn.Linear(5, 1 if n_classes == 2 else 3).double()  # one logit, of the second class
    boosted = XGBClassifier(n_estimators=5, n_jobs=1).fit(X, codes)
    forest = RandomForestClassifier(5, random_state=0).fit(X, names)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, names)
    models = [module, EstimatorTeacher(boosted, classes=order), forest, pipeline]
    teacher = as_teacher(models, average=average, weights=[1, 2, 3, 4])
    assert teacher.classes_.tolist() == order.tolist()

    raw = module(torch.tensor(X)).detach().numpy()
    logits = np.hstack([np.zeros_like(raw), raw]) if n_classes == 2 else raw
    said = [softmax(logits)] + [m.predict_proba(X) for m in (boosted, forest, pipeline)]
    weights = np.array([0.1, 0.2, 0.3, 0.4])
    if average == "probabilities":
        expected = np.tensordot(weights, np.array(said), 1)
    else:
        logs = [np.log(np.maximum(p, np.finfo(float).tiny)) for p in said]
        expected = softmax(np.tensordot(weights, np.array(logs), 1))
    np.testing.assert_allclose(teacher.predict_proba(X), expected, atol=1e-6)

    student = DecisionTreeStudentClassifier(max_depth=4, random_state=0).fit(X, models[1:])
    assert student.classes_.tolist() == order.tolist()
    np.testing.assert_array_equal(
        DecisionTreeStudentClassifier(max_depth=4, random_state=0)
        .fit(X, teacher)
        .predict_proba(X)
        .shape,
        (120, n_classes),
    )


def test_counted_classes_beside_named_ones_are_refused():
    """XGBoost counts its classes: which is which is for the user to say."""
    X, y = make_classification(60, 5, random_state=0)
    boosted = XGBClassifier(n_estimators=2, n_jobs=1).fit(X, y)
    named = LogisticRegression().fit(X, np.array(["no", "yes"])[y])
    with pytest.raises(ValueError, match=r"same classes. Got \[0, 1\] and \['no', 'yes'\]"):
        as_teacher([boosted, named])
    both = as_teacher([EstimatorTeacher(boosted, classes=["yes", "no"]), named])
    turned = 0.5 * (boosted.predict(X, output_margin=True) - named.decision_function(X))
    np.testing.assert_allclose(np.diff(both.logits(X))[:, 0], turned, atol=1e-5)


def test_a_mix_of_regressors():
    X, y = make_classification(60, 5, random_state=0)
    module = nn.Linear(5, 1).double()
    linear = LinearRegression().fit(X, 2.0 * y)
    boosted = XGBRegressor(n_estimators=3, n_jobs=1).fit(X, y)
    teacher = as_teacher([module, linear, boosted], task="regression")
    raw = module(torch.tensor(X)).detach().numpy()[:, 0]
    expected = (raw + linear.predict(X) + boosted.predict(X)) / 3
    np.testing.assert_allclose(teacher.predict(X), expected, atol=1e-6)
