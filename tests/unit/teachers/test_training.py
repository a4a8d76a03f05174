import io
import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_iris

from soft_students.teachers import course, training
from soft_students.teachers.checkpoint import record_test_accuracy, save_teacher
from soft_students.teachers.training import train_teacher
from soft_students.transfer import ImageDistortion, Transfer

IRIS, SPECIES = load_iris(return_X_y=True)
QUICK = {
    "arch": "mlp",
    "config": {"hidden": [16], "dropout": 0.0},
    "epochs": 3,
    "learning_rate": 0.02,
    "n_jobs": 1,
}


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32), y


def test_a_table_is_learnt_whatever_the_scale_of_its_features():
    # Columns in micrometres and light years: only standardised inputs train at one learning rate.
    X = IRIS * [1e4, 1e-13, 1.0, 1e-3] + [0.0, 0.0, 500.0, 0.0]
    teacher = train_teacher(X, SPECIES, **QUICK | {"epochs": 30}, random_state=0)
    assert teacher.predict(X).shape == (150,)
    assert np.mean(teacher.predict(X) == SPECIES) > 0.95


def test_images_are_learnt_by_the_convolutional_network(digits):
    X, y = digits
    teacher = train_teacher(X[:1200], y[:1200], epochs=6, n_jobs=1, random_state=0)
    assert record_test_accuracy(teacher, X[1200:], y[1200:]) > 0.85
    assert teacher.record.data == {"n_train": 1080, "n_validation": 120}
    assert teacher.input_range_ == (0.0, 1.0)


def test_the_same_seed_gives_the_same_teacher_and_another_seed_another(digits):
    X, y = digits
    X, y = X[:200], y[:200]
    distortion = ImageDistortion(image_shape=(8, 8))

    def logits(seed):
        # The state of the caller's generator must not matter.
        torch.manual_seed(seed + 100 * len(repr(seed)))
        settings = {"arch": "cnn", "epochs": 2, "n_jobs": 1, "augment": distortion}
        return train_teacher(X, y, **settings, random_state=seed).logits(X)

    first = logits(3)
    torch.rand(7)
    np.testing.assert_array_equal(logits(3), first)
    assert not np.allclose(logits(4), first)


def test_neither_the_threads_nor_the_random_numbers_of_the_caller_change():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    threads = torch.get_num_threads()
    train_teacher(IRIS, SPECIES, **QUICK | {"n_jobs": threads + 1}, random_state=0)
    assert torch.equal(torch.rand(3), expected)
    assert np.random.rand() == np.random.RandomState(5).rand()  # noqa: NPY002
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("n_features", "n_jobs", "expected"), [(100, None, 1), (1000, None, 3), (100, 2, 2)]
)
def test_small_batches_are_trained_by_one_thread_unless_told_otherwise(
    n_features, n_jobs, expected
):
    X, y = np.random.RandomState(0).rand(60, n_features), np.arange(60) % 2
    used = []
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        train_teacher(
            X,
            y,
            **QUICK | {"n_jobs": n_jobs, "batch_size": 50, "epochs": 1},
            callback=lambda epoch: used.append(torch.get_num_threads()),
            random_state=0,
        )
        assert used == [expected]
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_labels_may_be_strings():
    names = np.array(["setosa", "versicolor", "virginica"])[SPECIES]
    teacher = train_teacher(IRIS, names, **QUICK | {"epochs": 30}, random_state=0)
    assert teacher.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert np.mean(teacher.predict(IRIS) == names) > 0.9


def test_an_ensemble_has_networks_of_different_seeds(digits):
    X, y = digits
    X, y = X[:300], y[:300]
    told = []
    teacher = train_teacher(
        X, y, **QUICK, n_models=3, average="probabilities", random_state=0, callback=told.append
    )
    seeds = [member.record.seed for member in teacher.members]
    assert len(set(seeds)) == 3
    outputs = [member.predict_proba(X) for member in teacher.members]
    assert not np.allclose(outputs[0], outputs[1])
    np.testing.assert_allclose(teacher.predict_proba(X), np.mean(outputs, axis=0), atol=1e-6)
    assert [(each.model, each.epoch) for each in told] == [
        (model, epoch) for model in (1, 2, 3) for epoch in (1, 2, 3)
    ]


def test_the_accuracy_of_an_ensemble_is_measured_on_the_validation_rows(digits):
    X, y = digits
    teacher = train_teacher(
        X[:300], y[:300], **QUICK, X_val=X[300:400], y_val=y[300:400], n_models=2, random_state=0
    )
    expected = np.mean(teacher.predict(X[300:400]) == y[300:400])
    assert teacher.record.accuracy == {"validation": pytest.approx(expected)}


# On 100 rows the standard error of 0.9 is about 0.03.
@pytest.mark.parametrize(
    ("accuracies", "kept"),
    [
        ([0.5, 0.9, 0.7, 0.8], 1),  # the best, since what follows is clearly worse
        ([0.5, 0.9, 0.88, 0.8], 2),  # the last that is as good but for chance
        ([0.9, 0.88, 0.95, 0.8], 2),  # what was good enough once is no longer
        ([1.0, 0.98, 0.99, 0.99], 3),  # all rows right does not mean no chance is involved
        ([0.0, 0.0, 0.0, 0.0], 3),
    ],
)
def test_the_last_epoch_about_as_good_as_the_best_is_kept(monkeypatch, accuracies, kept):
    weights = []

    def is_same(state, other):
        return all(torch.equal(state[name], other[name]) for name in state)

    def score(network, data, device):
        state = {name: each.clone() for name, each in network.module.state_dict().items()}
        seen = [is_same(state, each) for each in weights]
        if not any(seen):
            weights.append(state)
            seen.append(True)
        return accuracies[seen.index(True)], 0.0

    monkeypatch.setattr(course, "score", score)
    teacher = train_teacher(
        IRIS, SPECIES, **QUICK | {"epochs": 4}, X_val=IRIS[:100], y_val=SPECIES[:100]
    )
    final = teacher.module.state_dict()
    same = [is_same(final, each) for each in weights]
    assert same.index(True) == kept
    assert sum(same) == 1
    assert teacher.record.accuracy == {"validation": accuracies[kept]}


def test_validation_rows_are_apart_from_training_rows():
    # Each row carries its number: what the network is trained on can be read off the batches.
    X = np.column_stack([np.arange(60.0), np.zeros(60)])
    y = np.arange(60) % 2
    seen = set()

    class Spy(Transfer):
        def sample(self, X, random_state=None):
            seen.update(X[:, 0].astype(int).tolist())
            return X

    teacher = train_teacher(X, y, **QUICK, augment=Spy(), validation_fraction=0.25, random_state=0)
    assert len(seen) == 45
    assert teacher.record.data == {"n_train": 45, "n_validation": 15}
    # Mean and deviation are learnt from the training rows alone.
    assert teacher.preprocess.mean[0].item() == pytest.approx(np.mean(list(seen)), rel=1e-6)


def test_given_validation_rows_are_not_trained_on_and_nothing_is_split_off():
    teacher = train_teacher(
        IRIS[::2], SPECIES[::2], **QUICK, X_val=IRIS[1::2], y_val=SPECIES[1::2], random_state=0
    )
    assert teacher.record.data == {"n_train": 75, "n_validation": 75}
    expected = np.mean(teacher.predict(IRIS[1::2]) == SPECIES[1::2])
    assert teacher.record.accuracy["validation"] == pytest.approx(expected)


def test_a_class_too_rare_to_be_in_both_parts_is_still_a_class():
    y = np.array([0] * 99 + [1])
    X = np.random.RandomState(0).rand(100, 3)
    for seed in range(5):
        settings = QUICK | {"epochs": 1}
        teacher = train_teacher(X, y, **settings, validation_fraction=0.5, random_state=seed)
        assert teacher.classes_.tolist() == [0, 1]
        assert teacher.logits(X).shape == (100, 2)


def test_without_validation_rows_the_last_epoch_is_kept():
    told = []
    teacher = train_teacher(
        IRIS, SPECIES, **QUICK, validation_fraction=0, random_state=0, callback=told.append
    )
    assert teacher.record.accuracy == {}
    assert teacher.record.data["n_train"] == 150
    assert told[-1].validation_accuracy is None


def test_the_loss_told_falls_and_starts_near_that_of_guessing():
    told = []
    settings = QUICK | {"epochs": 30}
    train_teacher(IRIS, SPECIES, **settings, random_state=0, callback=told.append)
    assert told[0].loss == pytest.approx(math.log(3), abs=0.3)
    assert told[-1].loss < told[0].loss / 2


@pytest.mark.parametrize("epochs", [1, 2, 3, 4, 5])
def test_the_learning_rate_makes_one_cycle_however_few_the_steps(epochs, monkeypatch):
    rates = []

    class Recorder(torch.optim.AdamW):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    monkeypatch.setattr(torch.optim, "AdamW", Recorder)
    settings = QUICK | {"epochs": epochs, "batch_size": 50, "learning_rate": 0.01}
    train_teacher(IRIS, SPECIES, **settings, validation_fraction=0, random_state=0)
    assert len(rates) == 3 * epochs
    assert rates[0] == pytest.approx(0.001)
    assert 0 < rates[-1] < max(rates) <= 0.01
    peak = int(np.argmax(rates))
    assert sorted(rates[: peak + 1]) == rates[: peak + 1]
    assert sorted(rates[peak:], reverse=True) == rates[peak:]


@pytest.mark.parametrize("n", [2, 3, 5, 9])
def test_a_last_batch_of_one_row_is_no_trouble(n):
    # Batch normalisation refuses a batch of one row.
    X, y = IRIS[:n], np.arange(n) % 2
    settings = QUICK | {"batch_size": 4}
    teacher = train_teacher(X, y, **settings, validation_fraction=0, random_state=0)
    assert np.isfinite(teacher.logits(X)).all()


def test_a_constant_feature_is_harmless():
    X = np.column_stack([IRIS, np.full(150, 0.1), np.zeros(150)])
    teacher = train_teacher(X, SPECIES, **QUICK | {"epochs": 30}, random_state=0)
    assert np.mean(teacher.predict(X) == SPECIES) > 0.9


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_models": 0}, "'n_models' parameter of train_teacher must be an int >= 1. Got 0"),
        ({"epochs": 0}, "'epochs' parameter"),
        ({"epochs": 2.5}, "'epochs' parameter"),
        ({"batch_size": True}, "'batch_size' parameter"),
        ({"learning_rate": -1.0}, "'learning_rate' parameter"),
        ({"learning_rate": math.nan}, "'learning_rate' parameter"),
        ({"validation_fraction": 1.0}, "'validation_fraction' parameter"),
        ({"average": "median"}, "'average' parameter"),
        ({"arch": "cmn"}, "Did you mean 'cnn'"),
        ({"arch": "cnn", "config": None}, "use 'mlp'"),
        (
            {"arch": "cnn", "config": None, "input_shape": (3, 3)},
            "takes 9 features per row. X has 4",
        ),
        ({"config": {"widths": [3]}}, "no setting 'widths'"),
        ({"X_val": IRIS}, "needs both X_val and y_val"),
        ({"X_val": IRIS[:, :3], "y_val": SPECIES}, "X_val has 3 features, but X has 4"),
        ({"X_val": IRIS, "y_val": SPECIES + 1}, "y_val holds the label 3, which is not in y"),
    ],
)
def test_bad_settings_are_refused_and_named(settings, message):
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        train_teacher(IRIS, SPECIES, **QUICK | settings, random_state=0)


def test_what_no_file_could_hold_is_refused_before_training():
    def never(epoch):
        raise AssertionError("training has begun")

    with pytest.raises(TypeError, match="plain JSON values only"):
        train_teacher(IRIS, SPECIES, **QUICK, data={"rows": np.arange(3)}, callback=never)


def test_rows_that_are_no_square_images_need_a_shape():
    X, y = np.random.RandomState(0).rand(20, 60), np.arange(20) % 2
    with pytest.raises(
        ValueError, match=r"takes images of shape .* Got inputs of shape \(60,\): set input_shape"
    ):
        train_teacher(X, y, arch="cnn", epochs=1)
    teacher = train_teacher(
        X, y, arch="cnn", epochs=1, input_shape=(6, 10), n_jobs=1, random_state=0
    )
    assert teacher.logits(X).shape == (20, 2)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.full((10, 4), np.nan), np.arange(10) % 2, "NaN"),
        (np.ones((10, 4)), np.zeros(10), "at least two classes"),
        (np.ones((0, 4)), np.zeros(0), "0 sample"),
        (np.ones((10, 4)), np.zeros(9), "inconsistent numbers of samples"),
    ],
)
def test_unusable_data_is_refused(X, y, message):
    with pytest.raises(ValueError, match=message):
        train_teacher(X, y, **QUICK)


def test_a_training_that_diverges_is_reported_with_a_way_out():
    with pytest.raises(ValueError, match=r"diverged: the loss of epoch 1 .* learning_rate below"):
        train_teacher(IRIS, SPECIES, **QUICK | {"learning_rate": 1e38}, random_state=0)


def test_an_interrupt_ends_the_training_and_leaves_no_file(tmp_path):
    threads = torch.get_num_threads()

    def interrupt(epoch):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_teacher(
            train_teacher(IRIS, SPECIES, **QUICK, callback=interrupt, verbose=1), tmp_path / "t.pt"
        )
    assert not list(tmp_path.iterdir())
    assert torch.get_num_threads() == threads


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "verbose", "shown"),
    [(Terminal(), 1, True), (Terminal(), 0, False), (io.StringIO(), 1, False)],
)
def test_progress_is_shown_on_a_terminal_only_and_when_asked(
    monkeypatch, capsys, stream, verbose, shown
):
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    train_teacher(IRIS, SPECIES, **QUICK, verbose=verbose, random_state=0)
    assert ("epoch 3/3" in stream.getvalue()) is shown
    assert bool(stream.getvalue()) is shown
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("after", [1, 2, 3, 5])
def test_an_interrupted_training_goes_on_to_the_same_teacher(digits, monkeypatch, tmp_path, after):
    X, y = digits[0][:200], digits[1][:200]
    path = tmp_path / "training.checkpoint"
    config = {"hidden": [16], "dropout": 0.3}
    settings = QUICK | {"config": config, "n_models": 2, "random_state": 0}
    settings |= {"augment": ImageDistortion((8, 8))}
    whole = train_teacher(X, y, **settings)
    monkeypatch.setattr(training, "CHECKPOINT_INTERVAL", 0.0)
    write, written = training.Checkpoint.write, []

    def counted(self, *values):
        write(self, *values)
        written.append(values[0])
        if len(written) == after:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training.Checkpoint, "write", counted)
        with pytest.raises(KeyboardInterrupt):
            train_teacher(X, y, **settings, checkpoint=path)
    epochs = []
    again = train_teacher(X, y, **settings, checkpoint=path, resume=True, callback=epochs.append)
    assert len(epochs) == 6 - after
    assert not path.exists()
    np.testing.assert_array_equal(again.logits(X), whole.logits(X))
    assert again.record.accuracy == whole.record.accuracy


def test_a_checkpoint_of_another_teacher_is_refused(digits, monkeypatch, tmp_path):
    X, y = digits[0][:200], digits[1][:200]
    path = tmp_path / "training.checkpoint"
    monkeypatch.setattr(training, "CHECKPOINT_INTERVAL", 0.0)

    def stop(epoch):
        if epoch.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_teacher(X, y, **QUICK, random_state=0, checkpoint=path, callback=stop)
    for X2, y2, seed in [(X, y, 1), (X[:-1], y[:-1], 0), (X, np.roll(y, 1), 0)]:
        with pytest.raises(ValueError, match="other parameters or other data"):
            train_teacher(X2, y2, **QUICK, random_state=seed, checkpoint=path, resume=True)
