"""One prediction of every student: parts that add up to what the student itself computes."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from soft_students import (
    DecisionTreeStudentClassifier,
    DecisionTreeStudentRegressor,
    DistilledClassifier,
    KNeighborsStudentClassifier,
    LogisticStudentClassifier,
    SVMStudentClassifier,
)
from soft_students.explain import (
    ContributionExplanation,
    Explanation,
    PathExplanation,
    RuleExplanation,
    explain,
)
from soft_students.explain.gate_effects import gate_effects
from soft_students.explain.prediction import explained_students, is_explained
from soft_students.students import available
from soft_students.students.files import dumps, loads

EXPLAINED = explained_students()
TASKS = ["wine", "cancer", "diabetes"]
KINDS = {"soft_tree": PathExplanation, "tree": RuleExplanation}


def quick(name):
    return available()[name].classifier._test_params()


def rows_and_answers(task):
    """A table of three classes, of two, or of values, with what a teacher says of its rows."""
    load = {"wine": load_wine, "cancer": load_breast_cancer, "diabetes": load_diabetes}[task]
    X, y = load(return_X_y=True, as_frame=True)
    if task == "diabetes":
        return X[:200], y[:200]
    X, y = X[:200], np.array(["ant", "bee", "cat"])[y[:200]]
    teacher = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    return X, teacher


@pytest.fixture(scope="module")
def fitted():
    """Every student on every task, trained when it is first asked for."""
    made = {}

    def get(name, task):
        if name == "lightgbm":
            pytest.importorskip("lightgbm")
        if (name, task) not in made:
            X, answers = rows_and_answers(task)
            entry = available()[name]
            cls = entry.regressor if task == "diabetes" else entry.classifier
            if cls is None:
                pytest.skip("it has no regressor, or no classifier")
            student = cls(random_state=0, **quick(name))
            if task == "cancer" and name in ("hist", "forest"):
                student.set_params(temperature=2.0)
            made[name, task] = student.fit(X, answers), X
        return made[name, task]

    return get


def own_outputs(student, x):
    """What the student's library says of one row, in the scale of the explanation."""
    name = type(student).__name__
    x = x.to_numpy()
    if name.startswith("XGBoost"):
        return student.estimator_.predict(x, output_margin=True).ravel()
    if name == "LightGBMStudentClassifier":
        return student.booster_.predict(x, raw_score=True).ravel()
    if name.startswith(("RandomForest", "ExtraTrees")):
        return student.estimator_.predict(x).ravel()
    if name.endswith("Regressor"):
        return student.predict(x).ravel()
    log_p = np.log(student.predict_proba(x)[0])
    return log_p[1:] - log_p[0] if len(log_p) == 2 else log_p


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", [name for name in EXPLAINED if name not in KINDS])
def test_contributions_add_up_to_what_the_student_computes(fitted, name, task):
    student, X = fitted(name, task)
    for row in (0, 70, 150):
        x = X.iloc[[row]]
        found = student.explain(x)
        total, own = found.base + found.contributions.sum(axis=1), own_outputs(student, x)
        np.testing.assert_allclose(found.outputs, total, rtol=1e-5, atol=1e-5)
        if found.scale == "logit" and len(own) > 1:  # logits are known up to a constant
            total, own = total - total.mean(), own - own.mean()
        np.testing.assert_allclose(total, own, rtol=1e-5, atol=1e-5)
        assert found.contributions.shape == (len(found.base), X.shape[1])


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", EXPLAINED)
def test_every_explanation_keeps_the_contract(fitted, name, task):
    student, X = fitted(name, task)
    x = X.iloc[3]
    found = explain(student, x)
    assert isinstance(found, Explanation)
    assert type(found) is KINDS.get(name, ContributionExplanation)
    if task == "diabetes":
        assert found.classes is None
        assert found.prediction == pytest.approx(student.predict(X.iloc[[3]])[0], rel=1e-6)
    else:
        assert found.prediction == student.predict(X.iloc[[3]])[0]
    assert found.feature_names == list(X.columns)
    sizes = found.importances()
    assert sizes.shape == (X.shape[1],)
    assert (sizes >= 0).all()
    assert sizes.any()
    said = found.to_dict()
    assert json.loads(json.dumps(said, allow_nan=False)) == said
    assert said["prediction"] == found.prediction
    assert said["importances"] == sizes.tolist()
    text = found.to_text(top=1)
    assert text.startswith("Predicted: ")
    assert str(found) == found.to_text()
    same = loads(dumps(student)).explain(x.to_frame().T)
    np.testing.assert_allclose(same.importances(), sizes, rtol=1e-6, atol=1e-9)


def compared(text):
    """Return the numbers on both sides of each comparison in a text."""
    found = re.findall(r"(-?[\d.]+(?:e[-+]\d+)?) (<=|>) (-?[\d.]+(?:e[-+]\d+)?)", text)
    return [(float(one), sign, float(two)) for one, sign, two in found]


@pytest.mark.parametrize("unit", [1e-6, 1e-3, 1.0, 1e6, 1e12])
def test_a_value_is_told_from_the_threshold(unit):
    X = (np.arange(1_000) + 5_000)[:, None] * unit
    tree = DecisionTreeStudentClassifier(max_depth=1).fit(X, np.arange(1_000) > 600)
    for row in (600, 601):
        ((value, sign, bound),) = compared(explain(tree, X[row]).to_text())
        assert value == pytest.approx(X[row, 0], rel=1e-5)
        assert (value > bound) is (sign == ">") is (row == 601)
        assert value != bound


def test_outputs_along_a_path_are_told_apart():
    X = np.repeat([0.0, 1.0, 2.0], 50)[:, None]
    y = np.repeat([80_123.25, 80_123.5, 80_124.0], 50)
    lines = explain(DecisionTreeStudentRegressor(max_depth=2).fit(X, y), [1.0]).to_text()
    said = re.findall(r"-> +([\d.]+) \(", lines)
    assert len(said) == len(set(said)) == 3
    assert lines.startswith("Predicted: 80123.5\n")


@pytest.mark.parametrize("scale", [1e-12, 1e-5, 1.0, 1e7])
@pytest.mark.parametrize("name", ["soft_tree", "logistic"])
def test_what_is_added_up_has_digits(name, scale):
    """Of values of any size the text holds the terms, not zeros."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    y = (X @ [3.0, 2.0, 1.0]) * scale
    cls = available()[name].regressor
    student = cls(**quick(name), random_state=0) if name == "soft_tree" else cls()
    text = explain(student.fit(X, y), X[:1]).to_text()
    if name == "logistic":
        terms = [float(term) for term in re.findall(r"^  +([-+][\d.]+(?:e[-+]\d+)?)  ", text, re.M)]
        assert len(terms) == 4
        said = float(re.search(r"is ([-+][^ ]+):", text)[1])
        assert sum(terms) == pytest.approx(said, abs=1e-3 * max(map(abs, terms)))
        assert said == pytest.approx(student.predict(X[:1])[0], rel=1e-3)
    else:
        predicted = float(re.match(r"Predicted: (.*)", text)[1])
        assert predicted == pytest.approx(student.predict(X[:1])[0], rel=1e-3)


@pytest.mark.parametrize("name", ["soft_tree", "tree", "xgboost"])
def test_pictures(fitted, name):
    plt = pytest.importorskip("matplotlib.figure")
    student, X = fitted(name, "wine")
    figure = student.explain(X.iloc[0]).plot()
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert len(texts) > 4
    ax = plt.Figure(figsize=(6, 4)).add_subplot()
    assert student.explain(X.iloc[0]).plot(ax, top=1) is ax.figure
    with pytest.raises(ValueError, match=r"'top' parameter of plot must be an int"):
        student.explain(X.iloc[0]).plot(top=0)


def test_probabilities_are_those_of_the_student(fitted):
    for name in EXPLAINED:
        if name not in KINDS:
            for task in ("wine", "cancer"):
                student, X = fitted(name, task)
                found = student.explain(X.iloc[9])
                np.testing.assert_allclose(
                    found.probabilities, student.predict_proba(X.iloc[[9]])[0], atol=1e-6
                )


def test_linear_parts_are_by_hand(fitted):
    student, X = fitted("logistic", "wine")
    found = student.explain(X.iloc[5])
    mean = X.to_numpy().mean(axis=0)
    np.testing.assert_allclose(
        found.contributions, student.coef_ * (X.iloc[5].to_numpy() - mean), rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(found.base, student.coef_ @ mean + student.intercept_, rtol=1e-9)
    middle = student.explain(pd.Series(mean, index=X.columns))
    np.testing.assert_allclose(middle.importances(), 0, atol=1e-12)


def test_a_file_without_the_mean_row_is_explained_from_zero(fitted):
    student, X = fitted("logistic", "wine")
    old = loads(dumps(student))
    old.feature_mean_ = None
    old = loads(dumps(old))
    found = old.explain(X.iloc[5])
    assert found.baseline == "row of zeros"
    np.testing.assert_allclose(found.base, student.intercept_)
    np.testing.assert_allclose(
        found.base + found.contributions.sum(axis=1), student.explain(X.iloc[5]).outputs
    )


def walk(tree, x):
    """Follow one row; return (feature asked, change of value) of each step, by hand."""
    node, steps = 0, []
    x = x.astype(np.float32)
    while tree.children_left[node] != -1:
        feature = tree.feature[node]
        child = (
            tree.children_left[node]
            if x[feature] <= tree.threshold[node]
            else tree.children_right[node]
        )
        steps.append((feature, tree.value[child, :, 0] - tree.value[node, :, 0]))
        node = child
    return steps


def test_forest_parts_are_those_of_a_walk_by_hand(fitted):
    student, X = fitted("forest", "wine")
    expected = np.zeros((3, X.shape[1]))
    for tree in student.estimator_.estimators_:
        for feature, change in walk(tree.tree_, X.iloc[11].to_numpy()):
            expected[:, feature] += change / len(student.estimator_.estimators_)
    found = student.explain(X.iloc[11])
    np.testing.assert_allclose(found.contributions, expected, atol=1e-12)


def test_inner_values_of_hist_are_means_of_the_leaves_below(fitted):
    # What explain reads at inner nodes, which scikit-learn's own prediction does not.
    student, X = fitted("hist", "diabetes")
    student = type(student)(max_iter=1, min_samples_leaf=5, random_state=0).fit(
        X, rows_and_answers("diabetes")[1]
    )
    (nodes,) = student.nodes_[0]
    reached = np.zeros(len(nodes))
    leaf_sum = np.zeros(len(nodes))
    for row in X.to_numpy():
        path = [0]
        while not nodes["is_leaf"][path[-1]]:
            node = nodes[path[-1]]
            left = row[node["feature_idx"]] <= node["num_threshold"]
            path.append(int(node["left"] if left else node["right"]))
        reached[path] += 1
        leaf_sum[path] += nodes["value"][path[-1]]
    inner = nodes["is_leaf"] == 0
    np.testing.assert_allclose(
        student.learning_rate * nodes["value"][inner], (leaf_sum / reached)[inner], atol=1e-4
    )


def test_missing_values_go_where_the_student_sends_them(fitted):
    X, y = rows_and_answers("cancer")
    X = X.copy()
    X.iloc[::5, 0] = np.nan
    for name in ("xgboost", "hist"):
        student = available()[name].classifier(random_state=0, **quick(name))
        student.fit(X, y.predict(X.fillna(0)))
        found = student.explain(X.iloc[0])
        np.testing.assert_allclose(
            found.probabilities, student.predict_proba(X.iloc[[0]])[0], atol=1e-6
        )
        assert found.to_dict()["row"][0] is None
        np.testing.assert_allclose(
            found.base + found.contributions.sum(axis=1), found.outputs, rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize("name", ["xgboost", "lightgbm"])
def test_categories_are_shown_by_name(name):
    if name == "lightgbm":
        pytest.importorskip("lightgbm")
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "girth": rng.normal(size=200),
            "bark": pd.Categorical(rng.choice(["rough", "smooth", "peeling"], 200)),
        }
    )
    X.loc[0, "girth"] = np.nan
    y = np.where((X["bark"] == "rough") | (X["girth"] > 1), "oak", "birch")
    student = available()[name].classifier(random_state=0, **quick(name)).fit(X, y)
    for x in (X.iloc[0], X.iloc[[0]]):
        found = student.explain(x)
        assert found.to_dict()["row"] == [None, X["bark"][0]]
        assert f"bark = {X['bark'][0]}" in str(found)
        np.testing.assert_allclose(
            found.base + found.contributions.sum(axis=1), found.outputs, atol=1e-5
        )
        np.testing.assert_allclose(
            found.probabilities, student.predict_proba(X.iloc[[0]])[0], atol=1e-6
        )


@pytest.mark.parametrize("name", ["logistic", "xgboost", "lightgbm", "tree", "soft_tree"])
def test_several_values(name):
    if name == "lightgbm":
        pytest.importorskip("lightgbm")
    X, y = rows_and_answers("diabetes")
    Y = np.column_stack([y, -y + 3])
    student = available()[name].regressor(random_state=0, **quick(name)).fit(X, Y)
    found = student.explain(X.iloc[0])
    np.testing.assert_allclose(found.prediction, student.predict(X.iloc[[0]])[0], rtol=1e-5)
    assert found.importances().shape == (10,)
    assert "Predicted: " in str(found)
    json.dumps(found.to_dict())
    found.plot()


def test_rules_are_the_path_that_scikit_learn_takes(fitted):
    student, X = fitted("tree", "wine")
    found = student.explain(X.iloc[40])
    x = X.iloc[[40]].to_numpy()
    assert found.leaf == student.estimator_.apply(x)[0]
    np.testing.assert_array_equal(found.leaf_output, student.predict_proba(X.iloc[[40]])[0])
    above = found.row[found.features] > found.thresholds
    np.testing.assert_array_equal(found.went_right, above)
    np.testing.assert_allclose(
        found.contributions.sum(axis=1) + found.node_outputs[0], found.leaf_output, atol=1e-12
    )
    steps = found.to_dict()["steps"]
    assert [step["branch"] == "right" for step in steps] == above.tolist()
    in_leaf = student.estimator_.apply(X.to_numpy()) == found.leaf
    assert found.to_dict()["leaf_samples"] == in_leaf.sum()
    assert len(str(found).splitlines()) == len(steps) + 3


def test_a_tree_of_one_leaf(fitted):
    X, _ = rows_and_answers("wine")
    student = available()["tree"].classifier().fit(X, np.tile([0.25, 0.75], (len(X), 1)))
    found = student.explain(X.iloc[0])
    assert found.features.size == 0
    assert not found.importances().any()
    assert found.prediction == 1
    found.plot()


def test_gate_effects_of_a_soft_tree_add_up(fitted):
    student, X = fitted("soft_tree", "wine")
    found = student.explain(X.iloc[7])
    leaves = student._leaf_values()
    paths = student.path_probabilities(X.iloc[[7]])[0]
    np.testing.assert_allclose(
        found.base_output + found.output_contributions.sum(axis=1),
        paths[-len(leaves) :] @ leaves,
        atol=1e-6,
    )
    average = student.path_probabilities(
        pd.DataFrame([student.feature_offset_], columns=X.columns)
    )[0]
    np.testing.assert_allclose(found.base_output, average[-len(leaves) :] @ leaves, atol=1e-6)


def test_gate_effects_where_nothing_pushes():
    leaves = np.array([[0.0], [1.0], [2.0], [4.0]])
    paths = np.array([1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25])
    parts, base = gate_effects(paths, np.zeros((3, 2)), np.zeros(3), leaves)
    np.testing.assert_array_equal(parts, 0)
    assert base == pytest.approx([1.75])
    # pushes that cancel: the gate stays, its features still have their share
    parts, base = gate_effects(paths, np.array([[1.0, -1], [0, 0], [0, 0]]), np.zeros(3), leaves)
    assert parts.sum() == pytest.approx(0)
    np.testing.assert_allclose(parts, [[0.25 * 2.5, -0.25 * 2.5]])


def test_a_feature_that_is_never_asked_counts_nothing(fitted):
    X, teacher = rows_and_answers("wine")
    X = X.assign(idle=3.0)
    y = teacher.predict(X.drop(columns="idle"))
    for name in EXPLAINED:
        if name == "lightgbm":
            pytest.importorskip("lightgbm")
        student = available()[name].classifier(random_state=0, **quick(name)).fit(X, y)
        assert student.explain(X.iloc[0]).importances()[-1] == pytest.approx(0, abs=1e-12)


def test_meta_estimators_explain_by_their_student(fitted):
    X, teacher = rows_and_answers("wine")
    y = teacher.predict(X)
    plain = DistilledClassifier(LogisticStudentClassifier(), teacher).fit(X, y)
    np.testing.assert_array_equal(
        plain.explain(X.iloc[0]).contributions, plain.student_.explain(X.iloc[0]).contributions
    )
    inside = make_pipeline(StandardScaler(), LogisticStudentClassifier())
    piped = DistilledClassifier(inside, teacher).fit(X, y)
    found = piped.explain(X.iloc[0])
    assert found.prediction == piped.predict(X.iloc[[0]])[0]
    assert found.feature_names == list(X.columns)
    scaled = piped.student_[0].transform(X.iloc[[0]])[0]
    np.testing.assert_allclose(found.row, scaled)
    alone = make_pipeline(LogisticStudentClassifier()).fit(X, y)
    assert explain(alone, X.iloc[0]).prediction == alone.predict(X.iloc[[0]])[0]


def test_refusals_name_what_is_offered(fitted):
    X, teacher = rows_and_answers("wine")
    y = teacher.predict(X)
    for cls in (SVMStudentClassifier, KNeighborsStudentClassifier):
        student = cls().fit(X, y)
        assert not hasattr(student, "explain")
        with pytest.raises(TypeError, match=rf"{cls.__name__} cannot be .*soft_tree, xgb"):
            explain(student, X.iloc[0])
    boosted = available()["xgboost"].classifier(multi_strategy="multi_output_tree", n_estimators=2)
    with pytest.raises(ValueError, match="Train it with 'one_output_per_tree'"):
        boosted.fit(X, y).explain(X.iloc[0])
    for name in EXPLAINED:
        with pytest.raises(NotFittedError):
            available()[name].classifier().explain([1.0])
    student, _ = fitted("logistic", "wine")
    with pytest.raises(ValueError, match=r"x must be one row of 13 features"):
        student.explain([1.0, 2.0])
    with pytest.raises(ValueError, match="one name for each"):
        student.explain(X.iloc[0], feature_names=["a"])


def test_students_that_are_explained_have_explain():
    assert {
        name
        for name, entry in available().items()
        if all(hasattr(cls, "explain") for cls in entry.classes)
    } == set(EXPLAINED)
    assert set(EXPLAINED) >= {
        *("soft_tree", "xgboost", "lightgbm", "hist", "tree", "forest", "extra_trees", "logistic")
    }
    for name in EXPLAINED:
        assert all(is_explained(cls) for cls in available()[name].classes)


def test_a_student_of_another_package_is_registered_by_its_class(fitted):
    class Mine:
        pass

    student, X = fitted("tree", "wine")
    explain.register(Mine, lambda mine, x, **_: student.explain(x))
    assert explain(Mine(), X.iloc[0]).prediction == student.predict(X.iloc[[0]])[0]


def test_names_cannot_command_a_terminal(fitted):
    student, X = fitted("tree", "wine")
    names = [f"\x1b[31m{i}\n" for i in range(13)]
    assert "\x1b" not in str(student.explain(X.iloc[0], feature_names=names))
    student, X = fitted("xgboost", "wine")
    assert "\x1b" not in str(student.explain(X.iloc[0], feature_names=names))
