import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from soft_students import DistilledClassifier, SoftDecisionTreeClassifier
from soft_students.teachers import EstimatorTeacher, InputRangeWarning
from soft_students.teachers.inputs import dense_rows, range_complaint

DATA = {
    "iris": load_iris().data,
    "wine": load_wine().data,
    "cancer": load_breast_cancer().data,
    "digits": load_digits().data / 16,
}


@pytest.fixture(params=list(DATA))
def split(request):
    return train_test_split(DATA[request.param], random_state=0)


def _range(X):
    return X.min(), X.max()


def test_standardised_rows_are_noticed(split):
    train, test = split
    scaler = StandardScaler().fit(train)
    for rows in (train, test):
        assert range_complaint(scaler.transform(rows), _range(train), "t")


def test_held_out_rows_pass(split):
    train, test = split
    assert range_complaint(test, _range(train), "t") is None
    assert range_complaint(test[:1], _range(train), "t") is None


def test_a_pipeline_is_warned_of_and_its_remedy_is_silent():
    """Pipeline.fit(X, teacher) asks the teacher about transformed rows: 33 % instead of 97 %."""
    X, y = load_iris(return_X_y=True)
    teacher = EstimatorTeacher(GaussianNB().fit(X, y), input_range=_range(X))
    tree = SoftDecisionTreeClassifier(depth=1, epochs=1, random_state=0)
    pipeline = make_pipeline(StandardScaler(), tree)
    with pytest.warns(InputRangeWarning, match="DistilledClassifier"):
        pipeline.fit(X, teacher)
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputRangeWarning)
        DistilledClassifier(pipeline, teacher).fit(X, y)


def test_pixels_of_another_scale_are_noticed():
    assert range_complaint(DATA["digits"] * 255, (0.0, 1.0), "t")


def test_mild_distortions_pass():
    X = DATA["digits"] + 0.05 * np.random.RandomState(0).randn(*DATA["digits"].shape)
    assert X.min() < 0
    assert range_complaint(X, (0.0, 1.0), "t") is None


@pytest.mark.parametrize(
    ("values", "noticed"),
    [
        ([-0.24, 1.24], False),
        ([-0.26, 0.5], True),
        ([0.5, 1.26], True),
        ([-0.01, 0.05], True),  # sticks out, and spans a twentieth of what is known
        ([0.01, 0.05], False),
        ([-0.01, 0.5], False),
        ([np.nan, 0.5], False),
        ([np.nan, 7.0], True),
        ([np.nan, np.nan], False),
        ([0.5, np.inf], True),
    ],
)
def test_the_tolerance(values, noticed):
    assert bool(range_complaint([values], (0.0, 1.0), "t")) is noticed


def test_what_has_no_range_passes():
    assert range_complaint([["a", "b"]], (0.0, 1.0), "t") is None
    assert range_complaint(csr_matrix([[9.0]]), (0.0, 1.0), "t") is None
    assert range_complaint([[9.0]], None, "t") is None
    assert range_complaint(pd.DataFrame({"a": [9.0], "b": ["x"]}), (0.0, 1.0), "t") is None


def test_rows_take_the_shape_of_inputs():
    X = np.arange(24).reshape(2, 12)
    rows = dense_rows(X, (3, 2, 2), "t")
    np.testing.assert_array_equal(rows[1, 2], [[20, 21], [22, 23]])
    np.testing.assert_array_equal(dense_rows(rows, (3, 2, 2), "t"), rows)
    assert dense_rows(np.zeros((5, 2, 2)), (1, 2, 2), "t").shape == (5, 1, 2, 2)
    assert dense_rows(X, None, "t").shape == (2, 12)


def test_channels_at_the_wrong_end_are_not_shuffled():
    with pytest.raises(ValueError, match=r"takes inputs of shape \(3, 8, 9\)\. Got \(8, 9, 3\)"):
        dense_rows(np.zeros((5, 8, 9, 3)), (3, 8, 9), "t")


def test_unusable_rows_are_refused():
    with pytest.raises(TypeError, match=r"toarray\(\)"):
        dense_rows(csr_matrix([[1.0]]), None, "t")
    with pytest.raises(ValueError, match="1D array"):
        dense_rows([1.0, 2.0], None, "t")
    with pytest.raises(ValueError, match="numeric"):
        dense_rows([["a"], ["b"]], None, "t")
