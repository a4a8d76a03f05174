import joblib
import numpy as np
import pytest
from sklearn.base import is_classifier
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVR
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks

from soft_students.students import GenericStudentClassifier, GenericStudentRegressor
from soft_students.students.classical.logits import clipped_logits
from soft_students.students.files import dumps, load


@parametrize_with_checks(
    [
        GenericStudentClassifier(DecisionTreeClassifier()),
        GenericStudentClassifier(KernelRidge()),
        GenericStudentClassifier(LinearSVR(max_iter=10_000, tol=1e-12)),
        GenericStudentRegressor(DecisionTreeRegressor()),
    ],
    expected_failed_checks=lambda student: (
        {
            "check_sample_weight_equivalence_on_dense_data": "draws rows by their number",
            "check_sample_weight_equivalence_on_sparse_data": "draws rows by their number",
        }
        if isinstance(student.estimator, LinearSVR)
        else {}
    ),
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def test_several_outputs_are_learnt_together_where_the_library_can(wine, soft_targets):
    X, _ = wine
    logits = clipped_logits(soft_targets)
    together = GenericStudentClassifier(DecisionTreeRegressor(max_depth=3, random_state=0))
    together.fit(X, soft_targets)
    assert len(together.estimators_) == 1
    native = DecisionTreeRegressor(max_depth=3, random_state=0).fit(X, logits)
    np.testing.assert_allclose(together._outputs(X), native.predict(X))
    apart = GenericStudentClassifier(LinearSVR(random_state=0, max_iter=50_000))
    assert len(apart.fit(StandardScaler().fit_transform(X), soft_targets).estimators_) == 3
    two = np.c_[soft_targets[:, 0], 1 - soft_targets[:, 0]]
    assert together.fit(X, two).estimators_[0].n_outputs_ == 1


def test_a_classifier_learns_each_row_once_a_class(wine, soft_targets):
    X, _ = wine
    weights = np.linspace(1, 2, len(X))
    student = GenericStudentClassifier(GaussianNB()).fit(X, soft_targets, sample_weight=weights)
    native = GaussianNB().fit(
        np.tile(X, (3, 1)),
        np.repeat([0, 1, 2], len(X)),
        sample_weight=(soft_targets.T * weights).ravel(),
    )
    np.testing.assert_allclose(student.predict_proba(X), native.predict_proba(X), atol=1e-9)
    assert is_classifier(student.estimators_[0])


def test_labels_give_a_classifier_its_usual_rows(wine):
    X, y = wine
    for targets in (y, np.eye(3)[y]):
        student = GenericStudentClassifier(DecisionTreeClassifier(random_state=0))
        native = DecisionTreeClassifier(random_state=0).fit(X, y)
        fitted = student.fit(X, targets).estimators_[0]
        np.testing.assert_array_equal(fitted.tree_.threshold, native.tree_.threshold)


@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_classifiers_undo_the_temperature(wine, temperature):
    X, _ = wine
    constant = np.tile([0.7, 0.2, 0.1], (len(X), 1))
    student = GenericStudentClassifier(DecisionTreeClassifier(), temperature=temperature)
    np.testing.assert_allclose(student.fit(X, constant).predict_proba(X[:3]), constant[:3])


def test_a_class_without_weight_keeps_its_column(wine):
    X, y = wine
    targets = np.eye(4)[y + (y > 0)]
    student = GenericStudentClassifier(GaussianNB()).fit(X, targets)
    probabilities = student.predict_proba(X)
    assert probabilities.shape == (len(X), 4)
    assert not probabilities[:, 1].any()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_the_seed_is_also_the_estimators(wine, soft_targets):
    X = StandardScaler().fit_transform(wine[0])
    network = MLPRegressor(hidden_layer_sizes=(8,), max_iter=5, random_state=7)

    def fit(seed):
        student = GenericStudentClassifier(network, random_state=seed)
        with pytest.warns(UserWarning, match="converge"):
            return student.fit(X, soft_targets).predict_proba(X)

    np.testing.assert_array_equal(fit(0), fit(0))
    assert np.abs(fit(0) - fit(1)).max() > 1e-3
    np.testing.assert_array_equal(fit(None), fit(None))  # its own seed stays
    assert network.random_state == 7
    assert not hasattr(network, "coefs_")


@pytest.mark.parametrize(
    "estimator", [KNeighborsClassifier(), make_pipeline(StandardScaler(), GaussianNB())]
)
def test_classifiers_without_weights_are_refused(wine, estimator):
    with pytest.raises(ValueError, match="takes no sample_weight"):
        GenericStudentClassifier(estimator).fit(*wine)


def test_weights_that_a_regressor_does_not_take_are_refused(wine, soft_targets):
    X, _ = wine
    student = GenericStudentClassifier(KNeighborsRegressor()).fit(X, soft_targets)
    with pytest.raises(ValueError, match=r"KNeighborsRegressor.fit takes no sample_weight"):
        student.fit(X, soft_targets, sample_weight=np.linspace(1, 2, len(X)))


def test_values_are_not_taught_to_a_classifier(diabetes):
    with pytest.raises(ValueError, match=r"must be a regressor. Got the classifier"):
        GenericStudentRegressor(LogisticRegression()).fit(*diabetes)


def test_values_may_be_missing_where_the_estimator_says_so(wine, soft_targets):
    X = np.where(np.arange(wine[0].size).reshape(wine[0].shape) % 9, wine[0], np.nan)
    GenericStudentClassifier(DecisionTreeRegressor()).fit(X, soft_targets).predict(X)
    with pytest.raises(ValueError, match="contains NaN"):
        GenericStudentClassifier().fit(X, soft_targets)


def test_only_the_default_is_kept_in_bundles(diabetes, tmp_path):
    X, y = diabetes
    student = GenericStudentRegressor(KernelRidge()).fit(X, y)
    with pytest.raises(TypeError, match=r"estimator=None only.*KernelRidge.*joblib"):
        dumps(student)
    joblib.dump(student, tmp_path / "any.student")
    again = load(tmp_path / "any.student", trust=True)
    np.testing.assert_allclose(again.predict(X), student.predict(X))
    default = GenericStudentRegressor().fit(X, y)
    np.testing.assert_allclose(default.predict(X), Ridge().fit(X, y).predict(X))
    dumps(default)
