import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeClassifier, export_text

from soft_students import as_teacher
from soft_students.students import (
    DecisionTreeStudentClassifier,
    DecisionTreeStudentRegressor,
    RandomForestStudentClassifier,
)
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


def test_text_names_classes_and_their_probabilities_at_temperature_one(wine, soft_targets):
    X, _ = wine
    student = DecisionTreeStudentClassifier(max_depth=2, temperature=3.0, random_state=0)
    student.fit(X, as_teacher(soft_targets, classes=["red", "white", "rosé"]))
    for leaf in np.unique(student.estimator_.apply(X)):
        row = student.predict_proba(X[student.estimator_.apply(X) == leaf][:1])[0]
        order = row.argsort()[::-1]
        said = ", ".join(f"{student.classes_[k]} {row[k]:.3f}" for k in order)
        assert f"--- {said}\n" in student.export_text(decimals=3)
        assert sum(f"THEN {said} (" in rule for rule in student.rules(decimals=3)) == 1


def test_text_shows_what_scikit_learn_shows(wine):
    X, y = wine
    student = DecisionTreeStudentClassifier(max_depth=4, random_state=0).fit(X, y)
    expected = export_text(student.estimator_, max_depth=10)
    found = student.export_text(decimals=2)

    def splits(text):
        return [" ".join(line.split()) for line in text.splitlines() if "=" in line or ">" in line]

    assert splits(found) == splits(expected)
    assert len(found.splitlines()) == len(expected.splitlines())
    assert "leaves below" in student.export_text(max_depth=1)


def test_rules_say_which_rows_they_hold_for(wine):
    """Each rule is evaluated as written, on rows whose values the text does not round."""
    X, y = np.round(wine[0] * 2), wine[1]
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
    student = DecisionTreeStudentClassifier(max_depth=4, random_state=0).fit(frame, y)
    leaves = student.estimator_.apply(X.astype(np.float32))
    shares, groups = [], []
    for rule in student.rules():
        conditions = rule.removeprefix("IF ").split(" THEN ")[0].split(" AND ")
        holds = np.logical_and.reduce(
            [pd.eval(c, local_dict=dict(frame.items())) for c in conditions]
        )
        assert len(np.unique(leaves[holds])) == 1
        groups.append(leaves[holds][0])
        shares.append(holds.mean())
        assert rule.endswith(f"({holds.mean():.1%})")
    assert sorted(groups) == sorted(set(leaves))
    assert shares == sorted(shares, reverse=True)


def test_text_of_values(diabetes):
    X, y = diabetes
    student = DecisionTreeStudentRegressor(max_depth=1).fit(X, np.stack([y, -y], axis=1))
    values = student.predict(X[:1])[0]
    assert f"--- {values[0]:.2f}, {values[1]:.2f}" in student.export_text(decimals=2)
    alone = DecisionTreeStudentRegressor(min_samples_split=200).fit(X, y)
    assert alone.rules() == [f"ALWAYS {y.mean():.2f} (100.0%)"]


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1.0, 1e9])
def test_text_has_digits_enough(scale):
    """Litres in millionths or billions: no interval is empty, and leaves differ."""
    x = (np.arange(300) + 0.25) * scale
    values = np.repeat([1.0, 1.0001, 7.0], 100) * max(scale, 1e-3)
    student = DecisionTreeStudentRegressor(max_leaf_nodes=3).fit(x[:, None], values)
    low, high = next(
        rule.removeprefix("IF ").split(" THEN ")[0].split(" < feature_0 <= ")
        for rule in student.rules()
        if " < feature_0 <= " in rule
    )
    assert float(low) < float(high)
    said = [float(rule.split(" THEN ")[1].split()[0]) for rule in student.rules()]
    assert len(set(said)) == 3
    np.testing.assert_allclose(
        sorted(said), np.array([1.0, 1.0001, 7.0]) * max(scale, 1e-3), rtol=1e-5
    )
    lines = [line for line in student.export_text().splitlines() if "feature_0" in line]
    assert sorted({float(line.split()[-1]) for line in lines}) == [float(low), float(high)]


def test_whole_numbers_are_written_in_full():
    x = np.arange(1_234_500, 1_234_600)[:, None]
    student = DecisionTreeStudentClassifier(max_depth=1).fit(x, (x[:, 0] > 1_234_560).astype(int))
    assert student.rules() == [
        "IF feature_0 <= 1234560.5 THEN 0 1.00 (61.0%)",
        "IF feature_0 > 1234560.5 THEN 1 1.00 (39.0%)",
    ]


def test_leaves_of_one_split_have_other_texts():
    x = np.repeat([0.0, 1.0], 50)[:, None]
    proba = np.where(x == 0, [[0.9990, 0.0010]], [[0.9988, 0.0012]])
    student = DecisionTreeStudentClassifier(max_depth=1).fit(x, proba)
    assert [rule.split(" THEN ")[1] for rule in sorted(student.rules())] == [
        "0 0.9990, 1 0.0010 (50.0%)",
        "0 0.9988, 1 0.0012 (50.0%)",
    ]


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
