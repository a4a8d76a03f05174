"""The classifier as an estimator: what it learns from, how it predicts, what it refuses."""

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from references import soft_tree as reference
from scipy.sparse import csr_matrix
from scipy.special import softmax
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from soft_students import SoftDecisionTreeClassifier, as_teacher
from soft_students.transfer import ImageDistortion


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def teacher(iris):
    return LogisticRegression(max_iter=1000).fit(*iris)


def tree(depth=2, **parameters):
    settings = {"epochs": 40, "learning_rate": 0.05, "random_state": 0, **parameters}
    return SoftDecisionTreeClassifier(depth, **settings)


def by_hand(depth, n_features=3, n_classes=4, seed=0, **parameters):
    """Return a tree whose fitted state is drawn, not trained."""
    rng = np.random.RandomState(seed)
    student = SoftDecisionTreeClassifier(depth, **parameters)
    n_gates = 2**depth - 1
    student.gate_weights_ = rng.normal(size=(n_gates, n_features))
    student.gate_biases_ = rng.normal(size=n_gates)
    student.gate_betas_ = np.exp(0.3 * rng.normal(size=n_gates))
    student.feature_offset_ = None
    student.leaf_logits_ = rng.normal(size=(n_gates + 1, n_classes))
    student.classes_ = np.arange(n_classes)
    student.temperature_ = 1.0
    student.n_features_in_ = n_features
    return student


@pytest.mark.parametrize("prediction", ["expectation", "greatest_path", "greedy"])
def test_predictions_equal_the_reference(prediction):
    student = by_hand(3, prediction=prediction)
    X = np.random.RandomState(1).normal(size=(20, 3))
    leaves = [reference.distribution(list(leaf)) for leaf in student.leaf_logits_]
    expected = [
        reference.predict(
            x, student.gate_weights_, student.gate_biases_, student.gate_betas_, leaves, prediction
        )
        for x in X
    ]
    np.testing.assert_allclose(student.predict_proba(X), expected, atol=1e-12)


def test_greedy_descent_need_not_find_the_leaf_of_greatest_path_probability():
    student = by_hand(2, n_features=1, n_classes=2)
    student.gate_weights_ = np.zeros((3, 1))
    # right with 0.6, then 0.5 each way: 0.3; left with 0.4, then 0.99 one way: 0.396
    student.gate_biases_ = np.log([0.6 / 0.4, 0.99 / 0.01, 1.0])
    student.gate_betas_ = np.ones(3)
    student.prediction = "greatest_path"
    assert student.apply([[0.0]]).tolist() == [4]
    student.prediction = "greedy"
    assert student.apply([[0.0]]).tolist()[0] in (5, 6)


def test_path_probabilities_and_paths_belong_together():
    student = by_hand(4)
    X = np.random.RandomState(2).normal(size=(30, 3))
    paths = student.path_probabilities(X)
    for level in range(5):
        nodes = slice(2**level - 1, 2 ** (level + 1) - 1)
        np.testing.assert_allclose(paths[:, nodes].sum(axis=1), 1)
    leaves = student.apply(X)
    assert (leaves == 15 + paths[:, 15:].argmax(axis=1)).all()
    indicator = student.decision_path(X).toarray()
    assert (indicator.sum(axis=1) == 5).all()
    for row, leaf in zip(indicator, leaves, strict=True):
        node = leaf
        while node > 0:
            assert row[node] == 1
            node = (node - 1) // 2
    statistics = student.node_statistics(X)
    np.testing.assert_allclose(statistics["reach"], paths.mean(axis=0))
    assert statistics["level"].tolist() == [0] + [1] * 2 + [2] * 4 + [3] * 8 + [4] * 16
    assert np.isnan(statistics["right"][15:]).all()
    np.testing.assert_allclose(statistics["right"][0], paths[:, 2].mean())


def test_extreme_activations_are_finite():
    student = by_hand(3)
    student.gate_weights_ *= 1e6
    for dtype in (np.float32, np.float64):
        X = np.random.RandomState(0).normal(size=(5, 3)).astype(dtype)
        proba = student.predict_proba(X)
        assert np.isfinite(proba).all()
        np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)


def test_the_temperature_is_undone(iris, teacher):
    X, _ = iris
    hot = tree(4, temperature=5.0, epochs=400).fit(X, teacher)
    assert hot.temperature_ == 5
    # probabilities left at temperature 5 would hardly exceed one half
    assert np.abs(hot.predict_proba(X) - teacher.predict_proba(X)).mean() < 0.05


def test_hard_labels_are_one_hot_soft_targets(iris):
    X, y = iris
    from_labels = tree().fit(X, y)
    from_targets = tree().fit(X, np.eye(3)[y])
    np.testing.assert_array_equal(from_labels.leaf_logits_, from_targets.leaf_logits_)
    np.testing.assert_array_equal(from_labels.gate_weights_, from_targets.gate_weights_)


def test_every_way_of_naming_the_teacher_is_the_same(iris, teacher):
    X, y = iris
    expected = tree().fit(X, teacher).predict_proba(X)
    proba = teacher.predict_proba(X)
    for other in (
        tree().fit(X, teacher=teacher),
        tree().fit(X, teacher, labels=y),
        tree().fit(X, y, teacher=teacher),
        tree().fit(X, proba),
        tree().fit(X, as_teacher(proba)),
        tree().fit(X, teacher.predict_proba),
    ):
        np.testing.assert_allclose(other.predict_proba(X), expected, atol=1e-6)


def test_hard_weight_one_is_training_on_labels(iris, teacher):
    X, y = iris
    mixed = tree(hard_weight=1.0, temperature=3.0).fit(X, teacher, labels=y)
    alone = tree().fit(X, y)
    np.testing.assert_allclose(mixed.gate_weights_, alone.gate_weights_, atol=1e-6)
    with pytest.raises(ValueError, match="labels=y"):
        tree(hard_weight=0.5).fit(X, teacher)


def test_a_class_missing_in_the_data_keeps_its_column(iris, teacher):
    X, y = iris
    kept = y != 1
    student = tree(hard_weight=0.2).fit(X[kept], teacher, labels=y[kept])
    assert student.classes_.tolist() == [0, 1, 2]
    assert student.predict_proba(X).shape == (150, 3)


def test_string_classes_come_from_the_teacher(iris):
    X, y = iris
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    teacher = LogisticRegression(max_iter=1000).fit(X, names)
    student = tree(hard_weight=0.3, epochs=200).fit(X, teacher, labels=names)
    assert student.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert student.score(X, names) > 0.9
    with pytest.raises(ValueError, match=r"\['rose'\], which the teacher 'Log.* does not have"):
        tree().fit(X, teacher, labels=np.where(names == "setosa", "rose", names))


def test_labels_of_a_teacher_without_classes_must_fit(iris):
    X, y = iris
    module = torch.nn.Linear(4, 3)
    names = np.array(["a", "b", "c"])[y]
    with pytest.warns(UserWarning, match="does not name its classes: its columns are taken as"):
        assert tree().fit(X, module, labels=names).classes_.tolist() == ["a", "b", "c"]
    assert tree().fit(X, module).classes_.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="does not name its classes"):
        tree().fit(X[:100], module, labels=names[:100])


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([[1.0, np.nan]], "NaN"),
        ([[1.0, np.inf]], "infinity"),
        (np.empty((0, 2)), "0 sample"),
        ([1.0, 2.0], "2D array"),
    ],
)
def test_unusable_rows_are_refused(X, message):
    with pytest.raises(ValueError, match=message):
        tree().fit(X, [0] * len(X))


def test_sparse_rows_are_refused(iris):
    X, y = iris
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        tree().fit(csr_matrix(X), y)


def test_unusable_targets_are_refused(iris):
    X, y = iris
    with pytest.raises(ValueError, match="must sum to one"):
        tree().fit(X, np.full((150, 3), 0.5))
    with pytest.raises(ValueError, match="NaN"):
        tree().fit(X, np.where(np.eye(3)[y] == 1, np.nan, 0))
    with pytest.raises(ValueError, match="149"):
        tree().fit(X, np.eye(3)[y][:149])
    with pytest.raises(ValueError, match="trained on 7 features"):
        tree().fit(X, as_teacher(torch.nn.Linear(7, 3), input_shape=(7,)))
    with pytest.raises(ValueError, match="twice"):
        tree().fit(X, y, labels=y)
    with pytest.raises(ValueError, match="requires y to be passed"):
        tree().fit(X)
    with pytest.raises(ValueError, match=r"'depth' parameter of SoftDecisionTreeClassifier"):
        tree(0).fit(X, y)


def test_frames_are_taken_by_name(iris, teacher):
    X, y = iris
    frame = pd.DataFrame(X, columns=list("abcd"))
    student = tree().fit(frame, y)
    assert student.feature_names_in_.tolist() == list("abcd")
    with pytest.raises(ValueError, match="feature names"):
        student.predict(frame[list("dcba")])
    listed = tree().fit(X.tolist(), y.tolist())
    np.testing.assert_array_equal(listed.predict(X.tolist()), student.predict(frame))


@pytest.mark.parametrize("n_classes", [1, 2])
def test_few_classes(n_classes):
    X = np.random.RandomState(0).normal(size=(40, 2))
    y = (X[:, 0] > 0).astype(int) % n_classes
    student = tree(epochs=150).fit(X, y)
    assert student.predict_proba(X).shape == (40, n_classes)
    assert student.score(X, y) > 0.9


def test_one_sample_constant_features_and_repeated_rows():
    assert tree().fit([[1.0, 2.0]], [3]).predict([[0.0, 0.0]]).tolist() == [3]
    X = np.array([[5.0, 0.0], [5.0, 1.0]] * 10)
    y = np.array([0, 1] * 10)
    student = tree(epochs=150).fit(X, y)
    assert student.score(X, y) == 1
    assert np.isfinite(student.gate_weights_).all()


def test_features_far_from_zero_and_of_any_unit():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(200, 2)) * [1e3, 1e-6] + [1.6e9, 0]
    y = (X[:, 0] > 1.6e9).astype(int)
    student = tree(epochs=200).fit(X, y)
    assert student.score(X, y) > 0.95


def test_dtype_is_kept(iris):
    X, y = iris
    student = tree().fit(X.astype(np.float32), y)
    assert student.gate_weights_.dtype == np.float32
    assert student.predict_proba(X.astype(np.float32)).dtype == np.float32
    assert student.predict_proba(X).dtype == np.float64


def test_early_stopping_keeps_the_best_epoch(iris):
    X, y = iris
    student = tree(early_stopping=True, validation_fraction=0.3, epochs=60, n_iter_no_change=5)
    student.fit(X, y)
    best = int(np.argmin(student.validation_curve_))
    assert student.best_iter_ == best
    assert student.n_iter_ == len(student.validation_curve_) <= 60
    # the rows held out are the first draw of the generator
    from sklearn.model_selection import train_test_split

    _, X_val, _, y_val = train_test_split(
        X, y, test_size=0.3, random_state=np.random.RandomState(0), stratify=y
    )
    expected = log_loss(y_val, student.predict_proba(X_val))
    assert student.validation_curve_[best] == pytest.approx(expected, abs=1e-6)


def test_early_stopping_with_too_few_rows_says_so():
    with pytest.raises(ValueError, match="early_stopping=True cannot hold out"):
        tree(early_stopping=True).fit([[0.0]], [1])


def test_seed_and_threads(iris):
    X, y = iris
    before = torch.get_num_threads()
    first = tree(n_jobs=1).fit(X, y)
    assert torch.get_num_threads() == before
    second = tree(n_jobs=1).fit(X, y)
    np.testing.assert_array_equal(first.gate_weights_, second.gate_weights_)
    third = tree(n_jobs=1, random_state=1).fit(X, y)
    assert (first.gate_weights_ != third.gate_weights_).any()


def test_partial_fit_learns_from_a_stream(iris):
    X, y = iris
    student = tree(learning_rate=0.03, batch_size=50)
    rng = np.random.RandomState(0)
    for _ in range(120):
        rows = rng.permutation(150)
        student.partial_fit(X[rows], y[rows], classes=[0, 1, 2])
    assert student.score(X, y) > 0.9
    with pytest.raises(ValueError, match="not among the classes"):
        student.partial_fit(X, y + 5)
    with pytest.raises(ValueError, match="classes must be passed"):
        tree().partial_fit(X, y)
    score = student.score(X, y)
    resumed = pickle.loads(pickle.dumps(student)).partial_fit(X, y)
    assert resumed.score(X, y) > score - 0.1


def test_warm_start_goes_on(iris):
    X, y = iris
    student = tree(warm_start=True, epochs=30).fit(X, y)
    first = student.loss_curve_[-1]
    student.fit(X, y)
    assert student.loss_curve_[-1] < first
    with pytest.raises(ValueError, match="depth=3"):
        student.set_params(depth=3).fit(X, y)


@pytest.mark.parametrize("schedule", ["learned", "annealed"])
def test_beta_schedules(iris, schedule):
    X, y = iris
    student = tree(beta=1.5, beta_schedule=schedule, beta_final=6.0).fit(X, y)
    if schedule == "annealed":
        np.testing.assert_allclose(student.gate_betas_, 6.0, rtol=0.1)
    else:
        assert np.ptp(student.gate_betas_) > 0
        assert (student.gate_betas_ != 1.5).all()
    fixed = tree(beta=1.5).fit(X, y)
    np.testing.assert_allclose(fixed.gate_betas_, 1.5)


def test_weights_of_zero_and_negative_weights(iris):
    X, y = iris
    weights = (y != 2).astype(float)
    dropped = tree().fit(X[y != 2], np.eye(3)[y[y != 2]])
    weighted = tree().fit(X, np.eye(3)[y], sample_weight=weights)
    np.testing.assert_allclose(dropped.predict_proba(X), weighted.predict_proba(X), atol=1e-6)
    with pytest.raises(ValueError, match=r"[Nn]egative"):
        tree().fit(X, y, sample_weight=-np.ones(150))
    with pytest.raises(ValueError, match="zero"):
        tree().fit(X, y, sample_weight=np.zeros(150))


class _Recorder:
    """A teacher of 8 x 8 images that remembers what it was shown."""

    def __init__(self):
        self.shown = []

    def __call__(self, X):
        self.shown.append(X.copy())
        return softmax(np.column_stack([X.mean(axis=1), X.std(axis=1)]), axis=1)


@pytest.mark.parametrize("standardize", [False, True])
def test_a_transfer_set_is_labelled_by_the_teacher(standardize):
    X = np.random.RandomState(0).uniform(size=(30, 64))
    teacher = _Recorder()
    student = tree(
        transfer=ImageDistortion((8, 8)), transfer_copies=3, epochs=2, standardize=standardize
    )
    student.fit(X, teacher)
    assert len(teacher.shown) == 1 + 3
    np.testing.assert_array_equal(teacher.shown[0], X)
    assert all((copy != X).any() for copy in teacher.shown[1:])
    assert (teacher.shown[1] != teacher.shown[2]).any()
    with pytest.raises(ValueError, match="A transfer set needs a teacher that predicts any rows"):
        student.fit(X, np.full((30, 2), 0.5))


def test_without_a_teacher_copies_keep_their_label():
    X = np.random.RandomState(0).uniform(size=(30, 64))
    y = np.arange(30) % 3
    student = tree(transfer=ImageDistortion((8, 8)), epochs=2).fit(X, y)
    assert student.classes_.tolist() == [0, 1, 2]


def test_an_interrupted_fit_leaves_the_old_tree(iris, monkeypatch):
    X, y = iris
    student = tree().fit(X, y)
    before = student.predict_proba(X)

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("soft_students.students.soft_tree.trainer.Trainer.step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        student.fit(X[:100], np.array(["a", "b"])[y[:100]])
    monkeypatch.undo()
    assert student.classes_.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(student.predict_proba(X), before)


def test_a_loss_that_is_not_finite_is_an_error(iris):
    X, y = iris
    with pytest.raises(FloatingPointError, match="learning_rate"):
        tree(learning_rate=1e200, weight_decay=1e200).fit(X, y)


def test_fitted_state_is_numpy_and_pickles_small(iris):
    X, y = iris
    student = tree().fit(X, y)
    assert not any(isinstance(value, torch.Tensor) for value in vars(student).values())
    content = pickle.dumps(student)
    assert len(content) < 10_000
    assert (pickle.loads(content).predict(X) == student.predict(X)).all()


def test_predicting_needs_no_torch(iris, tmp_path):
    X, y = iris
    student = tree().fit(X, y)
    path = tmp_path / "tree.pickle"
    path.write_bytes(pickle.dumps((student, X, student.predict(X))))
    script = (
        "import pickle, sys\n"
        "class NoTorch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'torch':\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, NoTorch())\n"
        f"student, X, expected = pickle.load(open({str(path)!r}, 'rb'))\n"
        "assert (student.predict(X) == expected).all()\n"
        "student.predict_proba(X); student.apply(X); student.decision_path(X)\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
