import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

from soft_students.students import DecisionTreeStudentClassifier, RandomForestStudentClassifier
from soft_students.students.classical.tree_arrays import restore_tree, tree_arrays


def test_labels_give_scikit_learns_tree(wine):
    X, y = wine
    expected = DecisionTreeClassifier(max_depth=3, random_state=0).fit(X, y)
    found = DecisionTreeStudentClassifier(max_depth=3, random_state=0).fit(X, y)
    np.testing.assert_allclose(found.predict_proba(X), expected.predict_proba(X), atol=1e-12)


def test_soft_targets_are_rows_that_count_in_part(wine, soft_targets):
    X, _ = wine
    expected = DecisionTreeClassifier(max_depth=3, random_state=0)
    expected.fit(np.repeat(X, 3, axis=0), np.tile([0, 1, 2], len(X)), soft_targets.ravel())
    found = DecisionTreeStudentClassifier(max_depth=3, random_state=0).fit(X, soft_targets)
    np.testing.assert_allclose(found.predict_proba(X), expected.predict_proba(X), atol=1e-9)


def test_rules_are_text(wine):
    X, y = wine
    text = DecisionTreeStudentClassifier(max_depth=2, random_state=0).fit(X, y).export_text()
    assert text.count("value:") == 4
    assert "feature_12 <= 755.00" in text


@pytest.fixture
def arrays(wine):
    student = DecisionTreeStudentClassifier(max_depth=3, random_state=0).fit(*wine)
    return tree_arrays(student.estimator_)


def test_a_tree_comes_back(wine, arrays):
    X, y = wine
    student = DecisionTreeStudentClassifier(max_depth=3, random_state=0).fit(X, y)
    restored = restore_tree(arrays, X.shape[1], 3)
    np.testing.assert_array_equal(restored.predict(X), student.estimator_.predict(X))
    assert restored.tree_.max_depth == student.estimator_.tree_.max_depth


@pytest.mark.parametrize(
    ("name", "node", "value"),
    [
        ("left_child", 0, 10**6),
        ("left_child", 0, -5),
        ("right_child", 0, 0),
        ("right_child", 0, 1),
        ("left_child", 1, 0),
        ("feature", 0, 13),
        ("feature", 0, -2),
    ],
)
def test_forged_nodes_are_refused(arrays, name, node, value):
    arrays[name] = arrays[name].copy()
    arrays[name][node] = value
    with pytest.raises(ValueError, match="tree"):
        restore_tree(arrays, 13, 3)


def test_arrays_of_other_types_and_shapes_are_refused(arrays):
    for name in arrays:
        with pytest.raises(ValueError, match=r"tree must|must be"):
            restore_tree({**arrays, name: arrays[name].astype(np.float32)}, 13, 3)
        with pytest.raises(ValueError, match=r"tree must|must be"):
            restore_tree({**arrays, name: arrays[name][:-1]}, 13, 3)
        with pytest.raises(ValueError, match=r"tree must|must be"):
            restore_tree({key: value for key, value in arrays.items() if key != name}, 13, 3)


def test_forests_are_the_mean_of_their_trees(wine, soft_targets):
    X, _ = wine
    forest = RandomForestStudentClassifier(n_estimators=3, random_state=0).fit(X, soft_targets)
    mean = np.mean([tree.predict(X) for tree in forest.estimator_.estimators_], axis=0)
    np.testing.assert_allclose(forest.predict_proba(X), mean, atol=1e-12)
