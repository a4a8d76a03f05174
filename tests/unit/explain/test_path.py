import json

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.tree import DecisionTreeClassifier

from soft_students import DistilledClassifier, SoftDecisionTreeClassifier
from soft_students.explain import explain_path
from soft_students.transfer import ImageDistortion


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


RIGHT, LEFT = sigmoid(2), sigmoid(3)  # at node 0, at node 2
MIXED = (
    (1 - RIGHT) * (1 - sigmoid(4)) * np.array([0.5, 0.25, 0.25])
    + (1 - RIGHT) * sigmoid(4) * np.array([0.2, 0.6, 0.2])
    + RIGHT * LEFT * np.array([0.1, 0.1, 0.8])
    + RIGHT * (1 - LEFT) * np.array([0.25, 0.5, 0.25])
)


def test_every_number_is_what_hand_computation_gives(classifier):
    path = explain_path(classifier, [2.0, 3.0])
    assert path.nodes.tolist() == [0, 2, 5]
    assert path.leaf == 5
    assert path.went_right.tolist() == [True, False]
    assert path.way == "greatest_path"
    assert path.prediction == "cat"
    np.testing.assert_allclose(path.activations, [2, -3], rtol=1e-12)
    np.testing.assert_allclose(path.probabilities, [RIGHT, LEFT], rtol=1e-12)
    np.testing.assert_allclose(path.path_probabilities, [1, RIGHT, RIGHT * LEFT], rtol=1e-12)
    np.testing.assert_array_equal(path.weights, [[2, 0], [1, -1]])
    np.testing.assert_array_equal(path.contributions, [[2, 0], [1, -3]])
    np.testing.assert_array_equal(path.biases, [0, -1])
    np.testing.assert_allclose(path.leaf_output, np.array([1, 1, 64]) / 66, rtol=1e-12)
    np.testing.assert_allclose(path.mean_output, MIXED**2 / (MIXED**2).sum(), rtol=1e-12)


def test_values_of_a_regressor_are_averaged_as_they_are(regressor):
    path = explain_path(regressor, [2.0, 3.0])
    expected = -1 * (1 - RIGHT) * (1 - sigmoid(4)) + 2 * RIGHT * LEFT + 4 * RIGHT * (1 - LEFT)
    assert path.classes is None
    assert path.leaf_output.tolist() == [2.0]
    assert path.mean_output == pytest.approx([expected], rel=1e-12)
    assert path.prediction == pytest.approx(expected, rel=1e-12)
    assert "leaf 5     2\n" in str(path)


def test_greedy_descent_may_lead_to_another_leaf(classifier):
    # Node 0: 0.2 leans right; node 1 is sure, node 2 is not. The path through node 1 is greater.
    x = [1.1, 8.0]
    classifier.gate_weights_[2] = [0, 0]
    classifier.gate_biases_[2] = 0.1
    greatest = explain_path(classifier, x)
    classifier.prediction = "greedy"
    greedy = explain_path(classifier, x)
    assert (greatest.leaf, greedy.leaf) == (4, 6)
    assert greedy.way == "greedy"
    assert greedy.nodes.tolist() == [0, 2, 6]
    assert greedy.prediction == classifier.predict([x])[0] == "bee"


@pytest.mark.parametrize("prediction", ["expectation", "greatest_path", "greedy"])
def test_a_trained_student_is_explained_as_it_predicts(prediction):
    X, y = load_iris(return_X_y=True, as_frame=True)
    tree = SoftDecisionTreeClassifier(3, epochs=10, prediction=prediction, random_state=0)
    tree.fit(X.astype(np.float32), y)
    for row in (0, 60, 140):
        path = explain_path(tree, X.iloc[row])
        table = X.iloc[[row]].astype(np.float64)
        assert path.prediction == tree.predict(table)[0]
        assert path.leaf == tree.apply(table)[0]
        np.testing.assert_allclose(
            path.path_probabilities, tree.path_probabilities(table)[0, path.nodes], rtol=1e-9
        )
        np.testing.assert_allclose(
            path.contributions.sum(axis=1) + path.biases, path.activations, rtol=1e-9, atol=1e-9
        )
        if prediction == "expectation":
            np.testing.assert_allclose(path.mean_output, tree.predict_proba(table)[0], atol=1e-6)
    assert path.feature_names == list(X.columns)


def test_the_dict_survives_json_unchanged(classifier):
    path = explain_path(classifier, [2.0, 3.0], feature_names=["a", "b"])
    said = path.to_dict()
    assert json.loads(json.dumps(said, allow_nan=False)) == said
    assert said["classes"] == ["ant", "bee", "cat"]
    assert said["feature_names"] == ["a", "b"]
    assert [step["node"] for step in said["steps"]] == [0, 2]
    assert [step["branch"] for step in said["steps"]] == ["right", "left"]
    assert said["steps"][1]["contributions"] == [1.0, -3.0]
    assert said["steps"][1]["path_probability"] == pytest.approx(RIGHT * LEFT)
    assert (said["leaf"], said["prediction"], said["row"]) == (5, "cat", [2.0, 3.0])


def test_text_names_the_features_that_push_most(classifier):
    path = explain_path(classifier, [2.0, 3.0], feature_names=["legs", "wings"])
    lines = path.to_text(top=1).splitlines()
    assert lines[0] == "Predicted: cat"
    assert "node 0     right p = 0.881" in lines[2]
    assert lines[2].endswith("activation +2.00: legs +2.00, bias +0.00")
    assert lines[3].endswith("activation -3.00: wings -3.00, bias -1.00")
    assert lines[4] == "  leaf 5     cat: 0.970"
    assert str(path) == path.to_text(top=3)


def test_names_cannot_command_a_terminal(classifier):
    classifier.classes_ = np.array(["a\x1b[31m", "b\nb", "c\u202e$<b>"])
    text = str(explain_path(classifier, [2.0, 3.0]))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert r"c\u202e$<b>: 0.970" in text
    assert "b b: " in text


def test_pixels_are_named_by_row_and_column(deep):
    assert explain_path(deep, np.ones(6), image_shape=(3, 2)).feature_names[3] == "pixel 1,1"
    assert explain_path(deep, np.ones(6), image_shape=(2, 3, 1)).feature_names[3] == "pixel 1,0,0"
    assert explain_path(deep, np.ones(6)).feature_names[3] == "x3"
    deep.transfer = ImageDistortion((2, 3))
    assert explain_path(deep, np.ones(6)).feature_names[3] == "pixel 1,0"


@pytest.mark.parametrize(
    "x", [[2.0, 3.0], [[2.0, 3.0]], np.array([2, 3]), pd.DataFrame([[2.0, 3.0]]), (2.0, 3.0)]
)
def test_one_row_may_come_in_several_forms(classifier, x):
    assert explain_path(classifier, x).row.tolist() == [2.0, 3.0]


@pytest.mark.parametrize("x", [[1.0], [[1.0, 2.0], [3.0, 4.0]], 1.0, [], np.ones((2, 1, 1))])
def test_what_is_not_one_row_is_refused(classifier, x):
    with pytest.raises(ValueError, match=r"x must be one row of 2 features\. Got an array of"):
        explain_path(classifier, x)


def test_nan_is_refused(classifier):
    with pytest.raises(ValueError, match="contains NaN"):
        explain_path(classifier, [np.nan, 1.0])


def test_extreme_rows_stay_finite(classifier):
    path = explain_path(classifier, [1e300, -1e300])
    assert path.probabilities.tolist() == [1.0, 1.0]
    assert np.isfinite(path.mean_output).all()


def test_only_fitted_soft_trees_are_explained(classifier):
    with pytest.raises(NotFittedError):
        explain_path(SoftDecisionTreeClassifier(), [1.0])
    with pytest.raises(TypeError, match="Got DecisionTreeClassifier"):
        explain_path(DecisionTreeClassifier(), [1.0])
    distilled = DistilledClassifier(SoftDecisionTreeClassifier(), None)
    distilled.student_ = classifier
    with pytest.raises(TypeError, match="'student_'"):
        explain_path(distilled, [1.0])


def test_names_must_be_as_many_as_features(classifier):
    with pytest.raises(ValueError, match="one name for each of the student's 2 features"):
        explain_path(classifier, [1.0, 2.0], feature_names=["a", "b", "c"])
