import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from soft_students import as_teacher
from soft_students.dask import label_array
from soft_students.teachers import load_teacher

X = np.random.RandomState(0).normal(size=(90, 6)).astype(np.float32)


@pytest.fixture
def teacher(teacher_file):
    return load_teacher(teacher_file)


def test_labels_are_lazy_and_keep_the_blocks(teacher):
    asked = []
    listening = as_teacher(lambda rows: asked.append(len(rows)) or teacher.predict_proba(rows))
    listening.classes_ = teacher.classes_
    labels = label_array(listening, da.from_array(X, chunks=(40, 3)), temperature=2.0)
    assert not asked
    assert (labels.shape, labels.dtype) == ((90, 3), np.float32)
    assert labels.chunks == ((40, 40, 10), (3,))
    assert (labels._meta.ndim, labels._meta.dtype) == (2, np.float32)
    expected = teacher.predict_proba(X, temperature=2.0)
    np.testing.assert_allclose(labels.compute(scheduler="sync"), expected, atol=1e-6)
    assert sorted(asked) == [10, 40, 40]


def test_temperature_one_is_the_default(teacher):
    labels = label_array(teacher, da.from_array(X, chunks=(50, 6))).compute(scheduler="sync")
    np.testing.assert_allclose(labels, teacher.predict_proba(X), atol=1e-6)


def test_blocks_of_unknown_length_and_of_none(teacher):
    frame = pd.DataFrame(X)
    parts = dd.from_pandas(frame, npartitions=3)
    array = parts[parts[0] > 5].to_dask_array()
    labels = label_array(teacher, array)
    assert np.isnan(labels.shape[0])
    assert labels.compute(scheduler="sync").shape == (0, 3)


def test_the_number_of_classes_is_asked_where_it_is_not_known():
    teacher = as_teacher(lambda rows: np.full((len(rows), 4), 0.25))
    assert label_array(teacher, da.from_array(X, chunks=(50, 6))).shape == (90, 4)


def test_images():
    images = da.ones((10, 1, 2, 3), chunks=(4, 1, 1, 3))
    teacher = as_teacher(lambda rows: np.eye(2)[[0] * len(rows)] * rows.shape[1:].count(2))
    labels = label_array(teacher, images)
    assert labels.chunks == ((4, 4, 2), (2,))
    np.testing.assert_array_equal(labels.compute(scheduler="sync"), [[1, 0]] * 10)


def test_regressor():
    model = LinearRegression().fit(X, X[:, :2])
    labels = label_array(model, da.from_array(X, chunks=(50, 6)))
    np.testing.assert_allclose(labels.compute(scheduler="sync"), X[:, :2], atol=1e-5)
    with pytest.raises(ValueError, match="predicts values: leave out the temperature"):
        label_array(model, da.from_array(X, chunks=(50, 6)), temperature=2.0)


def test_on_a_cluster(teacher, worker_threads):
    labels = label_array(teacher, da.from_array(X, chunks=(30, 6)))
    found = worker_threads.compute(labels).result()
    np.testing.assert_allclose(found, teacher.predict_proba(X), atol=1e-6)


def test_what_cannot_be_labelled(teacher):
    with pytest.raises(TypeError, match=r"takes a Dask array.*Got ndarray"):
        label_array(teacher, X)
    with pytest.raises(ValueError, match="X has 5 features, but the teacher 'mlp' was trained"):
        label_array(teacher, da.ones((4, 5)))
    with pytest.raises(ValueError, match="1 dimension"):
        label_array(teacher, da.ones(4))
    with pytest.raises(ValueError, match="finite number > 0"):
        label_array(teacher, da.ones((4, 6)), temperature=0)
