import numpy as np
import pytest
from sklearn.neighbors import KNeighborsRegressor
from sklearn.preprocessing import StandardScaler

from soft_students.students import KNeighborsStudentClassifier, KNeighborsStudentRegressor


@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.parametrize("metric", ["minkowski", "manhattan", "cosine"])
def test_probabilities_are_the_means_of_the_neighbours(wine, soft_targets, weights, metric):
    X, _ = wine
    settings = {"n_neighbors": 4, "weights": weights, "metric": metric}
    Z = StandardScaler().fit(X[::2])
    native = KNeighborsRegressor(**settings).fit(Z.transform(X[::2]), soft_targets[::2])
    student = KNeighborsStudentClassifier(**settings).fit(X[::2], soft_targets[::2])
    np.testing.assert_allclose(student.predict_proba(X), native.predict(Z.transform(X)), atol=1e-9)


@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_a_neighbour_weighs_what_its_row_weighs(weights):
    X = np.array([[0.0], [1.0], [1.0], [9.0]])
    student = KNeighborsStudentRegressor(n_neighbors=3, weights=weights, standardize=False)
    student.fit(X, [0.0, 1.0, 4.0, 9.0], sample_weight=[2.0, 1.0, 3.0, 1.0])
    assert student.predict([[0.5]])[0] == pytest.approx((2 * 0 + 1 * 1 + 3 * 4) / 6)
    at_rows = {"uniform": (2 * 0 + 1 * 1 + 3 * 4) / 6, "distance": (1 * 1 + 3 * 4) / 4}
    assert student.predict([[1.0]])[0] == pytest.approx(at_rows[weights])


def test_columns_count_alike_unless_told_otherwise(wine):
    X, y = wine
    assert KNeighborsStudentClassifier().fit(X, y).score(X, y) > 0.95
    assert KNeighborsStudentClassifier(standardize=False).fit(X, y).score(X, y) < 0.9


def test_fewer_rows_than_neighbours_are_refused(wine):
    X, y = wine
    weights = np.zeros(len(X))
    weights[:4] = 1
    with pytest.raises(ValueError, match=r"n_neighbors=5 needs as many rows .* n_samples=4"):
        KNeighborsStudentClassifier().fit(X, y, sample_weight=weights)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("rows", lambda a: a[:, :-1]),
        ("rows", lambda a: a[:-1]),
        ("rows", lambda a: a.astype(np.int64)),
        ("targets", lambda a: a[:, :-1]),
        ("targets", lambda a: a - 0.5),
        ("sample_weight", lambda a: a * 0),
        ("mean", lambda a: a[:-1]),
        ("scale", lambda a: -a),
    ],
)
def test_forged_arrays_are_refused(wine, soft_targets, name, change):
    metadata, arrays = KNeighborsStudentClassifier().fit(wine[0], soft_targets)._bundle_state()
    with pytest.raises(ValueError, match="must be"):
        KNeighborsStudentClassifier()._restore_bundle(
            metadata, {**arrays, name: change(arrays[name])}
        )
