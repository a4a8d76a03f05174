"""Soft trees through bundles: not a bit changes."""

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_iris

from soft_students.persistence import BundleError
from soft_students.students import SoftDecisionTreeClassifier, SoftDecisionTreeRegressor
from soft_students.students.files import dumps, load, loads, save
from soft_students.transfer import ImageDistortion
from tests.references import bundle_v1


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def classifier(iris):
    X, y = iris
    names = np.array(["setosa", "versicolor", "virginica"])
    return SoftDecisionTreeClassifier(depth=3, epochs=3, random_state=0).fit(X, names[y])


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("schedule", ["fixed", "learned"])
@pytest.mark.parametrize("prediction", ["expectation", "greatest_path", "greedy"])
def test_a_classifier_predicts_the_same(tmp_path, iris, standardize, dtype, schedule, prediction):
    X, y = iris[0].astype(dtype), iris[1]
    student = SoftDecisionTreeClassifier(
        depth=2,
        epochs=2,
        standardize=standardize,
        beta_schedule=schedule,
        prediction=prediction,
        random_state=0,
    ).fit(X, np.eye(3)[y] * 0.7 + 0.1)
    again = load(save(student, tmp_path / "a"))

    assert again.get_params() == student.get_params()
    np.testing.assert_array_equal(again.predict_proba(X), student.predict_proba(X))
    np.testing.assert_array_equal(again.apply(X), student.apply(X))


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_a_regressor_predicts_the_same(n_outputs):
    X, y = load_diabetes(return_X_y=True)
    targets = y if n_outputs == 1 else np.column_stack([y, -y])
    student = SoftDecisionTreeRegressor(depth=2, epochs=2, random_state=0).fit(X, targets)
    again = loads(dumps(student))
    assert type(again) is SoftDecisionTreeRegressor
    np.testing.assert_array_equal(again.predict(X), student.predict(X))


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["ant", "bee", "cicada"]),
        np.array(["ant", "bee", "cicada"], dtype=object),
        np.array([-5, 7, 2**40]),
        np.array([0.0, 1.0, 2.0]),
    ],
    ids=lambda labels: str(labels.dtype),
)
def test_labels_come_back_with_their_type(iris, labels):
    X, y = iris
    student = SoftDecisionTreeClassifier(depth=1, epochs=1).fit(X, labels[y])
    again = loads(dumps(student))
    assert again.classes_.dtype == student.classes_.dtype
    assert again.predict(X).tolist() == student.predict(X).tolist()


def test_column_names_come_back_and_are_checked(iris):
    X, y = iris
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    student = SoftDecisionTreeClassifier(depth=1, epochs=1).fit(frame, y)
    again = loads(dumps(student))
    assert again.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    with pytest.raises(ValueError, match="feature names"):
        again.predict(frame[["b", "a", "c", "d"]])


def test_a_transfer_and_a_generator_among_the_parameters(classifier, iris):
    X, y = iris
    student = SoftDecisionTreeClassifier(
        depth=1,
        epochs=1,
        transfer=ImageDistortion(image_shape=(2, 2), rotation=1.0),
        random_state=np.random.RandomState(0),
    ).fit(X, y)
    again = loads(dumps(student))
    assert again.transfer.get_params() == student.transfer.get_params()
    assert again.random_state is None


def test_training_goes_on_from_a_bundle(classifier, iris):
    X, _ = iris
    again = loads(dumps(classifier))
    again.partial_fit(X, classifier.predict(X))
    assert not np.array_equal(again.gate_weights_, classifier.gate_weights_)


def test_a_bundle_is_hardly_larger_than_its_arrays():
    X = np.random.default_rng(0).random((50, 784), dtype=np.float32)
    student = SoftDecisionTreeClassifier(depth=6, epochs=1, random_state=0).fit(
        X, np.arange(50) % 10
    )
    arrays = student._bundle_state()[1]
    assert 0 < len(dumps(student)) - sum(array.nbytes for array in arrays.values()) < 4096


def test_joblib_works_for_those_who_want_it(tmp_path, classifier, iris):
    joblib.dump(classifier, tmp_path / "a.joblib")
    with pytest.raises(BundleError, match="trust=True"):
        load(tmp_path / "a.joblib")
    again = load(tmp_path / "a.joblib", trust=True)
    np.testing.assert_array_equal(again.predict_proba(iris[0]), classifier.predict_proba(iris[0]))


def forge(student, changed_params=(), changed_fitted=(), changed_arrays=()):
    """A bundle with valid checksums around values that do not fit."""
    from soft_students.students.files import _to_bundle

    bundle = _to_bundle(student)
    arrays = {**bundle.arrays, **dict(changed_arrays)}
    content = {
        "student": bundle.student,
        "class": bundle.class_name,
        "params": {**bundle.params, **dict(changed_params)},
        "fitted": {**bundle.fitted, **dict(changed_fitted)},
        "written_by": {},
    }
    return bundle_v1.bundle(content, {k: v for k, v in arrays.items() if v is not None})


def test_the_forger_can_also_be_honest(classifier, iris):
    again = loads(forge(classifier))
    np.testing.assert_array_equal(again.predict_proba(iris[0]), classifier.predict_proba(iris[0]))


@pytest.mark.parametrize(
    ("params", "fitted", "arrays"),
    [
        ({"depth": 4}, {}, {}),
        ({"depth": 10**18}, {}, {}),
        ({"depth": 3.0}, {}, {}),
        ({"prediction": "magic"}, {}, {}),
        ({"transfer": "distort"}, {}, {}),
        ({"random_state": [1, 2]}, {}, {}),
        ({}, {"temperature": 0.0}, {}),
        ({}, {"temperature": None}, {}),
        ({}, {"temperature": {"__float__": "nan"}}, {}),
        ({}, {"n_features": 5}, {}),
        ({}, {"n_features": -4}, {}),
        ({}, {"n_features": "4"}, {}),
        ({}, {"n_iter": None}, {}),
        ({}, {"classes": [0, 1, 2]}, {}),
        ({}, {"classes": {"__array__": {"dtype": "int64", "values": [0, 1]}}}, {}),
        ({}, {"feature_names": {"__array__": {"dtype": "object", "values": ["a"]}}}, {}),
        ({}, {}, {"gate_weights": None}),
        ({}, {}, {"gate_weights": np.zeros((7, 5))}),
        ({}, {}, {"gate_weights": np.zeros(28)}),
        ({}, {}, {"gate_weights": np.zeros((7, 4), dtype=np.int64)}),
        ({}, {}, {"gate_biases": np.zeros(6)}),
        ({}, {}, {"gate_betas": np.full(7, np.nan)}),
        ({}, {}, {"leaf_logits": np.zeros((8, 2))}),
        ({}, {}, {"feature_offset": np.zeros(3)}),
    ],
    ids=str,
)
def test_a_forged_tree_is_refused(classifier, params, fitted, arrays):
    with pytest.raises(BundleError):
        loads(forge(classifier, params, fitted, arrays))


def test_a_tree_whose_depth_was_changed_after_fit_is_not_saved(classifier, tmp_path):
    classifier = loads(dumps(classifier))
    with pytest.raises(ValueError, match="cannot be saved, since it could not be loaded again"):
        save(classifier.set_params(depth=5), tmp_path / "a")


def test_the_learning_curves_are_kept(tmp_path):
    X = np.random.RandomState(0).normal(size=(60, 2))
    tree = SoftDecisionTreeClassifier(1, epochs=4, early_stopping=True, random_state=0)
    tree.fit(X, X[:, 0] > 0)
    again = loads(dumps(tree))
    assert again.loss_curve_ == tree.loss_curve_
    assert again.validation_curve_ == tree.validation_curve_
    assert again.best_iter_ == tree.best_iter_
    assert dumps(again) == dumps(tree)
    tree.partial_fit(X, X[:, 0] > 0)
    assert loads(dumps(tree)).loss_curve_ == tree.loss_curve_
