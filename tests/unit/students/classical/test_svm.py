import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from soft_students.students import SVMStudentClassifier, SVMStudentRegressor


@pytest.mark.parametrize("kernel", ["linear", "poly", "rbf", "sigmoid"])
def test_values_are_those_of_the_library(diabetes, kernel):
    X, y = diabetes
    Z = StandardScaler().fit_transform(X)
    native = SVR(kernel=kernel, coef0=0.5).fit(Z, (y - y.mean()) / y.std())
    student = SVMStudentRegressor(kernel=kernel, coef0=0.5).fit(X, y)
    np.testing.assert_allclose(
        student.predict(X), native.predict(Z) * y.std() + y.mean(), rtol=1e-6
    )


def test_units_of_rows_and_values_do_not_matter(diabetes):
    X, y = diabetes
    student = SVMStudentRegressor(tol=1e-8).fit(X, y)
    other = SVMStudentRegressor(tol=1e-8).fit(1000 * X - 7, 1e-3 * y + 1)
    np.testing.assert_allclose(
        other.predict(1000 * X - 7), 1e-3 * student.predict(X) + 1, rtol=1e-6
    )
    plain = SVMStudentRegressor(standardize=False).fit(X * [1000, *np.ones(X.shape[1] - 1)], y)
    assert np.abs(plain.predict(X) - student.predict(X)).max() > 1


def test_many_rows_are_predicted_in_batches(diabetes, monkeypatch):
    X, y = diabetes
    student = SVMStudentRegressor().fit(X, y)
    at_once = student.predict(X)
    monkeypatch.setattr("soft_students.students.classical.svm._KERNEL_ENTRIES", 500)
    np.testing.assert_allclose(student.predict(X), at_once, rtol=1e-12)


def test_targets_within_the_tube_need_no_support_vector(wine):
    X, _ = wine
    student = SVMStudentClassifier().fit(X, np.tile([0.7, 0.2, 0.1], (len(X), 1)))
    assert len(student.support_vectors_) == 0
    np.testing.assert_allclose(student.predict_proba(X[:1]), [[0.7, 0.2, 0.1]], atol=1e-6)


@pytest.mark.parametrize(
    "name", ["mean", "scale", "support_vectors", "dual_coef", "intercept", "n_iter"]
)
def test_arrays_of_other_types_or_shapes_are_refused(wine, soft_targets, name):
    metadata, arrays = SVMStudentClassifier().fit(wine[0], soft_targets)._bundle_state()
    for changed in (arrays[name].astype(np.float32), arrays[name][..., :-1], arrays[name][None]):
        with pytest.raises(ValueError, match="must be"):
            SVMStudentClassifier()._restore_bundle(dict(metadata), {**arrays, name: changed})


@pytest.mark.parametrize(
    "changed",
    [
        {"gamma": float("nan")},
        {"gamma": "scale"},
        {"scale": float("inf")},
        {"scale": None},
        {"bias": np.zeros(2)},
        {"bias": np.array([0, np.nan, 0])},
        {"bias": [0.0, 0.0, 0.0]},
    ],
)
def test_forged_numbers_are_refused(wine, soft_targets, changed):
    metadata, arrays = SVMStudentClassifier().fit(wine[0], soft_targets)._bundle_state()
    with pytest.raises(ValueError, match="must"):
        SVMStudentClassifier()._restore_bundle({**metadata, **changed}, arrays)
