import copy
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from soft_students import DistilledClassifier, SoftDecisionTreeClassifier, as_teacher
from soft_students.teachers import EnsembleTeacher, InputRangeWarning, Teacher


class Answers(Teacher):
    """Gives what it was made with, whatever it is asked."""

    def __init__(self, outputs, **facts):
        super().__init__(**{"name": "answers"} | facts)
        self.outputs = outputs

    def _outputs(self, X):
        return self.outputs


X = np.zeros((2, 3))


def test_logits_come_through_as_they_are():
    logits = np.array([[1.0, -7.5, 3.0], [0.0, 0.0, 80.0]])
    np.testing.assert_array_equal(Answers(logits).logits(X), logits)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_probabilities_are_the_softmax_of_divided_logits(temperature):
    logits = np.array([[0.0, 1.0, 2.0], [-3.0, 4.0, 1.5]])
    powers = np.exp(logits / temperature)
    expected = powers / powers.sum(axis=1, keepdims=True)
    proba = Answers(logits.astype(np.float32)).predict_proba(X, temperature)
    assert proba.dtype == np.float64
    np.testing.assert_allclose(proba, expected, rtol=1e-6)


def test_probabilities_of_huge_logits_are_exact():
    proba = Answers(np.array([[1e30, 0.0], [-1e30, 0.0]])).predict_proba(X)
    np.testing.assert_array_equal(proba, [[1.0, 0.0], [0.0, 1.0]])


def test_given_probabilities_are_softened_by_powers():
    P = np.array([[0.8, 0.15, 0.05], [0.1, 0.1, 0.8]])
    teacher = Answers(P, kind="probabilities")
    np.testing.assert_allclose(teacher.predict_proba(X), P, rtol=1e-12)
    roots = P ** (1 / 3)
    np.testing.assert_allclose(
        teacher.predict_proba(X, 3.0), roots / roots.sum(axis=1, keepdims=True), rtol=1e-12
    )


def test_a_probability_of_zero_stays_zero_and_finite():
    teacher = Answers(np.array([[1.0, 0.0], [0.5, 0.5]]), kind="probabilities")
    assert np.isfinite(teacher.logits(X)).all()
    np.testing.assert_allclose(teacher.predict_proba(X, 10.0), [[1, 0], [0.5, 0.5]], atol=1e-30)


def test_a_single_logit_is_that_of_the_second_class():
    for outputs in (np.array([0.0, 2.0]), np.array([[0.0], [2.0]])):
        teacher = Answers(outputs, classes=["no", "yes"])
        np.testing.assert_array_equal(teacher.logits(X), [[0, 0], [0, 2]])
        np.testing.assert_allclose(teacher.predict_proba(X)[:, 1], [0.5, 1 / (1 + np.exp(-2))])
    assert Answers(np.array([-1.0, 2.0]), classes=["no", "yes"]).predict(X).tolist() == [
        "no",
        "yes",
    ]


def test_a_single_probability_is_that_of_the_second_class():
    teacher = Answers(np.array([0.25, 1.0]), kind="probabilities")
    np.testing.assert_allclose(teacher.predict_proba(X), [[0.75, 0.25], [0, 1]], atol=1e-300)


def test_a_single_class_stays_single():
    teacher = Answers(np.ones((2, 1)), kind="probabilities", classes=["only"])
    np.testing.assert_array_equal(teacher.predict_proba(X), [[1], [1]])


def test_predictions_are_labels_or_column_numbers():
    logits = np.array([[0.0, 5.0, 1.0], [3.0, 0.0, 1.0]])
    assert Answers(logits).predict(X).tolist() == [1, 0]
    assert Answers(logits, classes=["a", "b", "c"]).predict(X).tolist() == ["b", "a"]


def test_regressors_predict_values_and_have_no_logits():
    teacher = Answers(np.array([[1.5], [-2.0]]), task="regression")
    assert teacher.predict(X).tolist() == [1.5, -2.0]
    several = np.arange(4.0).reshape(2, 2)
    np.testing.assert_array_equal(Answers(several, task="regression").predict(X), several)
    for ask in (teacher.logits, teacher.predict_proba):
        with pytest.raises(ValueError, match="'answers' predicts values"):
            ask(X)


@pytest.mark.parametrize("kind", ["logits", "probabilities", None])
def test_nan_is_refused_and_counted(kind):
    outputs = np.array([[0.5, 0.5], [np.nan, 0.5], [0.5, 0.5], [np.inf, 0.0]])
    with pytest.raises(ValueError, match=r"'answers' .* for 2 of 4 rows \(first: row 1\)"):
        Answers(outputs, kind=kind).logits(np.zeros((4, 1)))


def test_minus_infinity_is_a_probability_of_zero_but_not_of_all_classes():
    proba = Answers(np.array([[0.0, -np.inf], [1.0, 1.0]])).predict_proba(X)
    np.testing.assert_array_equal(proba, [[1, 0], [0.5, 0.5]])
    with pytest.raises(ValueError, match="1 of 2 rows"):
        Answers(np.array([[-np.inf, -np.inf], [1.0, 1.0]])).logits(X)


def test_a_regressors_infinities_are_refused():
    with pytest.raises(ValueError, match="1 of 2 rows"):
        Answers(np.array([-np.inf, 1.0]), task="regression").predict(X)


@pytest.mark.parametrize(
    "outputs",
    [np.zeros((3, 2)), np.zeros(3), np.zeros((2, 2, 2)), np.zeros((2, 0)), np.float64(1.0)],
)
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_answers_of_another_shape_are_refused(outputs, task):
    with pytest.raises(ValueError, match=r"shape \(2, n_\w+\) for the 2 rows .* Got one of shape"):
        Answers(outputs, task=task).predict(X)


def test_answers_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="must return numbers"):
        Answers(np.array(["a", "b"])).logits(X)


def test_probabilities_that_do_not_sum_to_one_are_refused():
    with pytest.raises(ValueError, match="must sum to one; 1 of 2"):
        Answers(np.array([[0.5, 0.5], [0.5, 0.6]]), kind="probabilities").logits(X)


def test_another_number_of_columns_than_classes_is_refused():
    with pytest.raises(ValueError, match="returned 3 columns for 2 classes"):
        Answers(np.zeros((2, 3)), classes=[0, 1]).logits(X)


def test_another_number_of_features_is_refused():
    teacher = Answers(np.zeros((2, 2)), name="cnn", n_features=784)
    message = "X has 10 features, but the teacher 'cnn' was trained on 784 features."
    with pytest.raises(ValueError, match=message):
        teacher.logits(np.zeros((2, 10)))
    assert teacher.logits(np.zeros((2, 28, 28))).shape == (2, 2)
    with pytest.raises(ValueError, match=r"inputs of shape \(5, 5\)"):
        teacher.logits(np.zeros((2, 5, 5)))


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("empty", [np.zeros((0, 3)), []])
def test_no_rows_are_refused(task, empty):
    with pytest.raises(ValueError, match="X is empty: the teacher 'answers'"):
        Answers(np.zeros(0), task=task).predict(empty)


@pytest.mark.parametrize("temperature", [0, -1.0, np.nan, np.inf])
def test_temperatures_must_be_positive(temperature):
    with pytest.raises(ValueError, match="temperature"):
        Answers(np.zeros((2, 2))).predict_proba(X, temperature)


def test_what_looks_like_probabilities_is_taken_as_such_and_said():
    P = np.array([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]])
    for method in ("logits", "predict"):
        teacher = Answers(P, kind=None)
        with pytest.warns(UserWarning, match="taken as probabilities") as caught:
            getattr(teacher, method)(X)
        assert [warning.filename for warning in caught] == [__file__]
        np.testing.assert_allclose(teacher.predict_proba(X), P)
    sigmoids = np.linspace(0, 1, 50)
    teacher = Answers(sigmoids, kind=None)
    with pytest.warns(UserWarning, match=r"lie in \[0, 1\]: they are taken as probabilities"):
        found = teacher.predict_proba(np.zeros((50, 1)))
    np.testing.assert_allclose(found[:, 1], sigmoids, atol=1e-12)


def test_outputs_are_logits_for_good_once_some_are_outside_of_probabilities():
    teacher = Answers(np.array([[0.2, 3.0], [0.1, -1.0]]), kind=None)
    teacher.logits(X)
    assert teacher.kind == "logits"


def test_columns_that_name_classes_are_put_in_their_order():
    table = pd.DataFrame({"sun": [0.9, 0.2], "rain": [0.1, 0.8]})
    by_name = Answers(table, kind="probabilities", classes=["rain", "sun"])
    np.testing.assert_allclose(by_name.predict_proba(X), [[0.1, 0.9], [0.8, 0.2]])
    unnamed = Answers(table, kind="probabilities")
    np.testing.assert_allclose(unnamed.predict_proba(X), [[0.9, 0.1], [0.2, 0.8]])
    assert unnamed.classes_.tolist() == ["sun", "rain"]
    counted = Answers(table.set_axis([0, 1], axis=1), kind="probabilities", classes=["a", "b"])
    np.testing.assert_allclose(counted.predict_proba(X), table.to_numpy())
    as_text = Answers(table.set_axis(["1", "0"], axis=1), kind="probabilities", classes=[0, 1])
    np.testing.assert_allclose(as_text.predict_proba(X), [[0.1, 0.9], [0.8, 0.2]])
    with pytest.raises(ValueError, match=r"columns named \['sun', 'rain'\].*classes=\[...\]"):
        Answers(table, kind="probabilities", classes=["sun", "snow"]).logits(X)


def test_sorting_by_class_moves_columns_and_names_together():
    logits = np.array([[3.0, 1.0, 2.0], [0.0, 5.0, 1.0]])
    teacher = Answers(logits, classes=["mid", "top", "low"])
    by_class = teacher.sorted_by_class()
    assert by_class.classes_.tolist() == ["low", "mid", "top"]
    np.testing.assert_array_equal(by_class.logits(X), logits[:, [2, 0, 1]])
    np.testing.assert_array_equal(by_class.predict(X), teacher.predict(X))
    assert by_class.sorted_by_class() is by_class
    two = by_class.with_columns(np.array([2, 0]), np.array(["top", "low"]))
    np.testing.assert_array_equal(two.logits(X), logits[:, [1, 2]])
    assert teacher.classes_.tolist() == ["mid", "top", "low"]


def test_an_ensemble_is_sorted_by_class_once():
    a = Answers(np.array([[3.0, 1.0], [0.0, 5.0]]), classes=["q", "p"])
    b = Answers(np.array([[1.0, 1.0], [2.0, 7.0]]), classes=["p", "q"])
    teacher = EnsembleTeacher([a, b])
    by_class = teacher.sorted_by_class()
    assert by_class.classes_.tolist() == ["p", "q"]
    np.testing.assert_allclose(by_class.logits(X), [[1.0, 2.0], [3.5, 3.5]])
    np.testing.assert_allclose(by_class.logits(X), teacher.logits(X)[:, ::-1])


@pytest.mark.parametrize(
    ("outputs", "kind"),
    [
        ([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]], "logits"),
        ([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]], "probabilities"),
        ([[0.7, 0.2, 0.1], [0.3, 0.3, 4.0]], None),
        ([[-0.2, 0.7, 0.5], [0.0, 0.0, 1.0]], None),
        ([0.5, 0.9], None),  # two logits in [0, 1] may be so by chance
    ],
)
def test_what_is_no_probability_or_said_to_be_one_is_not_pointed_out(outputs, kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Answers(np.array(outputs), kind=kind).logits(X)


def test_inputs_far_outside_the_range_give_one_warning_a_question():
    teacher = Answers(np.zeros((2, 2)), name="cnn", input_range=(0.0, 1.0))
    standardised = np.array([[-3.0, 0.0], [0.5, 12.0]])
    for ask in (teacher.logits, teacher.predict_proba, teacher.predict):
        with pytest.warns(InputRangeWarning) as caught:
            ask(standardised)
        (warning,) = caught
        assert warning.filename == __file__
        text = str(warning.message)
        assert "'cnn' was trained on inputs in [0, 1]" in text
        assert "[-3, 12]" in text
        assert "DistilledClassifier" in text


def test_standardising_in_a_pipeline_is_noticed_where_it_was_asked_for():
    rows = np.random.RandomState(0).rand(40, 3)
    teacher = as_teacher(lambda X: X, kind="logits", input_range=(0.0, 1.0))
    pipeline = make_pipeline(StandardScaler(), SoftDecisionTreeClassifier(depth=1, epochs=1))
    with pytest.warns(InputRangeWarning, match="DistilledClassifier") as caught:
        pipeline.fit(rows, teacher)
    assert "soft_students" not in caught[0].filename
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputRangeWarning)
        DistilledClassifier(pipeline, teacher).fit(rows, rows.argmax(axis=1))


def test_cloning_gives_the_same_teacher():
    teacher = Answers(np.zeros((2, 2)))
    assert clone(teacher) is teacher


def test_copies_answer_alike():
    teacher = Answers(np.array([[1.0, 2.0], [3.0, 0.0]]), classes=["a", "b"], input_range=(0, 1))
    again = copy.deepcopy(teacher)
    assert again is not teacher
    np.testing.assert_array_equal(again.logits(X), teacher.logits(X))
    assert again.predict(X).tolist() == ["b", "a"]
    assert again.input_range_ == (0.0, 1.0)


def test_the_representation_says_what_is_known():
    assert repr(Answers(None)) == "Answers('answers')"
    known = {"classes": [0, 1, 2], "n_features": 64, "input_range": (0, 16)}
    assert (
        repr(Answers(None, name="cnn", **known))
        == "Answers('cnn', n_classes=3, n_features=64, input_range=(0, 16))"
    )
    assert repr(Answers(None, task="regression")) == "Answers('answers', task='regression')"


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"task": "ranking"}, "'task' of a teacher must be"),
        ({"kind": "odds"}, "'kind' of a teacher must be"),
        ({"classes": [1, 2, 1]}, "'classes' of a teacher must be distinct"),
        ({"classes": []}, "'classes'"),
        ({"classes": [[1, 2]]}, "'classes'"),
        ({"input_range": (1, 0)}, "'input_range'"),
        ({"input_range": (0, np.nan)}, "'input_range'"),
        ({"input_range": 3}, "'input_range'"),
        ({"input_range": (1, 2, 3)}, "'input_range'"),
    ],
)
def test_unusable_facts_are_refused(facts, message):
    with pytest.raises(ValueError, match=message):
        Answers(None, **facts)
