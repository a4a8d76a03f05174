"""What models consist of and compute: counted by hand, and by walking through trees."""

import json

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from soft_students import (
    DistilledClassifier,
    SoftDecisionTreeClassifier,
    as_teacher,
)
from soft_students.evaluation import flops, n_parameters, structure
from soft_students.students import (
    DecisionTreeStudentClassifier,
    GenericStudentClassifier,
    HistGradientBoostingStudentClassifier,
    KNeighborsStudentClassifier,
    LightGBMStudentClassifier,
    LogisticStudentClassifier,
    NeuralStudentClassifier,
    RandomForestStudentClassifier,
    SVMStudentClassifier,
    XGBoostStudentClassifier,
    XGBoostStudentRegressor,
)
from soft_students.students.files import dumps, loads


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.mark.parametrize(
    ("prediction", "expected"),
    # 7 gates of 4 features, 8 leaves of 3 classes
    [("expectation", 56 + 14 + 48), ("greatest_path", 56 + 14 + 7), ("greedy", 3 * 9)],
)
def test_a_soft_tree_computes_what_its_reading_needs(iris, prediction, expected):
    tree = SoftDecisionTreeClassifier(3, epochs=1, prediction=prediction).fit(*iris)
    assert structure(tree) == {"gates": 7, "leaves": 8, "parameters": 7 * 5 + 8 * 3}
    assert flops(tree, iris[0]) == expected


def test_dense_students_by_hand(iris):
    X, y = iris
    linear = LogisticStudentClassifier().fit(X, y)
    assert (n_parameters(linear), flops(linear, X)) == (15, 24)
    svm = SVMStudentClassifier().fit(X, y)
    vectors = len(svm.support_vectors_)
    # vectors, duals and intercepts of three logits, and the scale and biases of calibration
    assert n_parameters(svm) == vectors * 4 + 3 * vectors + 3 + 4
    assert flops(svm, X) == 2 * vectors * 4 + 2 * vectors * 3
    neighbours = KNeighborsStudentClassifier(n_neighbors=5).fit(X, y)
    assert structure(neighbours) == {"rows": 150, "parameters": 150 * (4 + 3 + 1)}
    assert flops(neighbours, X) == 2 * 150 * 4 + 2 * 5 * 3
    generic = GenericStudentClassifier().fit(X, y)  # ridge of three logits
    assert (n_parameters(generic), flops(generic, X)) == (15 + 4, 24)


def test_networks_are_counted_as_pytorch_counts_them(iris):
    X, y = iris
    network = nn.Sequential(nn.Linear(4, 7), nn.ReLU(), nn.Linear(7, 3))
    teacher = as_teacher(network)
    assert n_parameters(teacher) == 4 * 7 + 7 + 7 * 3 + 3
    assert flops(teacher, X.astype(np.float32)) == 2 * (4 * 7 + 7 * 3)
    both = as_teacher([network, network])
    assert (n_parameters(both), flops(both, X)) == (2 * 59, 2 * 98)
    convolution = nn.Sequential(nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 2, 2), nn.Flatten())
    assert flops(as_teacher(convolution), X) == 2 * 2 * 4
    student = NeuralStudentClassifier(network, epochs=1).fit(X, y)
    assert (n_parameters(student), flops(student, X)) == (59, 98)
    mlp = MLPClassifier((7,), max_iter=5000).fit(X, y)
    assert (n_parameters(mlp), flops(mlp, X)) == (59, 98)


def walk(tree, row):
    """Return the comparisons on the way of one row through a tree of scikit-learn."""
    node = comparisons = 0
    while tree.children_left[node] >= 0:
        left = row[tree.feature[node]] <= tree.threshold[node]
        node = tree.children_left[node] if left else tree.children_right[node]
        comparisons += 1
    return comparisons


def test_hard_trees_take_the_comparisons_on_the_path(iris):
    X, y = iris
    rows = X.astype(np.float32)
    tree = DecisionTreeStudentClassifier(random_state=0).fit(X, y)
    inner = tree.estimator_.tree_
    assert flops(tree, X) == pytest.approx(np.mean([walk(inner, row) for row in rows]))
    leaves = int((inner.children_left < 0).sum())
    assert structure(tree) == {
        "trees": 1, "splits": leaves - 1, "leaves": leaves,
        "parameters": 2 * (leaves - 1) + 3 * leaves,
    }  # fmt: skip
    student = RandomForestStudentClassifier(n_estimators=4, random_state=0).fit(X, y)
    plain = RandomForestClassifier(n_estimators=4, random_state=0).fit(X, y)
    for forest, trees in ((student, student.estimator_.estimators_), (plain, plain.estimators_)):
        paths = sum(np.mean([walk(t.tree_, row) for row in rows]) for t in trees)
        assert flops(forest, X) == pytest.approx(paths + 4 * 3)
        assert structure(forest)["trees"] == 4
        assert structure(forest)["splits"] == sum(t.tree_.node_count // 2 for t in trees)


def xgboost_walk(node, row):
    comparisons = 0
    while "children" in node:
        yes = np.float32(row[int(node["split"][1:])]) < np.float32(node["split_condition"])
        wanted = node["yes"] if yes else node["no"]
        node = next(child for child in node["children"] if child["nodeid"] == wanted)
        comparisons += 1
    return comparisons


def test_xgboost_takes_those_of_all_its_trees(iris):
    X, y = iris
    student = XGBoostStudentClassifier(n_estimators=4).fit(X, y)
    trees = list(map(json.loads, student.estimator_.get_booster().get_dump(dump_format="json")))
    expected = sum(np.mean([xgboost_walk(tree, row) for row in X]) + 1 for tree in trees)
    assert flops(student, X) == pytest.approx(expected)
    assert structure(student)["trees"] == len(trees) == 12
    nodes = sum(json.dumps(tree).count("nodeid") for tree in trees)
    assert structure(student)["splits"] + structure(student)["leaves"] == nodes


def test_hist_reaches_the_leaves_that_it_predicts_from(iris):
    X = iris[0].copy()
    X[::7, 2] = np.nan
    student = HistGradientBoostingStudentClassifier(max_iter=4).fit(X, iris[1])
    leaves = iter(student._reached_leaves(X))
    values = np.tile(student.baseline_, (150, 1))
    for output, trees in enumerate(student.nodes_):
        for nodes in trees:
            values[:, output] += nodes["value"][next(leaves)]
    np.testing.assert_allclose(values, student._values(X))
    assert all(max(depths.values()) <= len(depths) - 1 for depths in student._leaf_depths())
    # Kraft: a binary tree's leaves have 2^-depth summing to one
    assert all(
        sum(2.0**-depth for depth in depths.values()) == 1 for depths in student._leaf_depths()
    )


def test_lightgbm_and_xgboost_trees_are_whole(iris):
    X, y = load_diabetes(return_X_y=True)
    for student in (
        LightGBMStudentClassifier(n_estimators=3).fit(*iris),
        LightGBMStudentClassifier(n_estimators=3).fit(iris[0][:8], [0, 1] * 4),  # single leaves
        XGBoostStudentRegressor(n_estimators=60, early_stopping_rounds=2).fit(X, y),
        XGBoostStudentRegressor(
            n_estimators=3, multi_strategy="multi_output_tree", tree_method="hist"
        ).fit(X, np.column_stack([y, -y])),
    ):
        rows = X if student.n_features_in_ == 10 else iris[0]
        depths = student._leaf_depths()
        assert all(sum(2.0**-d for d in tree.values()) == 1 for tree in depths)
        assert flops(student, rows) >= len(depths)
    assert structure(student)["parameters"] == (
        2 * structure(student)["splits"] + 2 * structure(student)["leaves"]
    )


def test_a_student_from_a_file_counts_the_same(iris):
    for cls in (RandomForestStudentClassifier, LightGBMStudentClassifier, XGBoostStudentClassifier):
        student = cls(n_estimators=3, random_state=0).fit(*iris)
        again = loads(dumps(student))
        assert structure(again) == structure(student)
        assert flops(again, iris[0]) == flops(student, iris[0])


def test_what_holds_a_model_counts_as_it(iris):
    X, y = iris
    teacher = LogisticRegression(max_iter=1000).fit(X, y)
    assert n_parameters(as_teacher(teacher)) == 15
    distilled = DistilledClassifier(LogisticStudentClassifier(), teacher).fit(X, y)
    assert (n_parameters(distilled), flops(distilled, X)) == (15, 24)


def test_what_is_not_known_is_none(iris):
    X, y = iris
    for model in (GaussianNB(), make_pipeline(StandardScaler(), GaussianNB())):
        assert n_parameters(model.fit(X, y)) is None
        assert flops(model, X) is None
    generic = GenericStudentClassifier(GaussianNB()).fit(X, y)
    assert n_parameters(generic) is None
    assert flops(generic, X) is None
