"""Soft trees on labelled parts, of which a window is in memory."""

import os
import subprocess
import sys

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from soft_students import SoftDecisionTreeClassifier, SoftDecisionTreeRegressor
from soft_students.labelled import LabelledParts, TeacherFile, label_parts, windows
from soft_students.persistence.checkpoints import Checkpoint
from soft_students.students.files import load, save
from soft_students.students.soft_tree import base
from soft_students.targets import soften
from soft_students.teachers import as_teacher, save_teacher, train_teacher

N_FEATURES = 6
CLASSES = np.array(["a", "b", "c"])
ATTRIBUTES = ("gate_weights_", "gate_biases_", "gate_betas_")


@pytest.fixture(scope="module")
def rows():
    X = np.random.RandomState(0).normal(size=(1500, N_FEATURES)).astype(np.float32)
    X[:, 1] = 5 * X[:, 1] + 3
    return X, CLASSES[(X[:, 0] > 0).astype(int) + (X[:, 1] > 6)]


@pytest.fixture(scope="module")
def folder(rows, tmp_path_factory):
    """Return a folder with rows in three files, and with what two kinds of teachers say of them."""
    pd = pytest.importorskip("pandas")
    folder = tmp_path_factory.mktemp("parts")
    X, y = rows
    names = [f"f{i}" for i in range(N_FEATURES)]
    for i in range(3):
        table = pd.DataFrame(X[i * 500 : (i + 1) * 500], columns=names)
        table["y"] = y[i * 500 : (i + 1) * 500]
        table.to_parquet(folder / f"rows{i}.parquet", row_group_size=100)
    teacher = train_teacher(X, y, arch="mlp", epochs=3, random_state=0)
    save_teacher(teacher, folder / "t.pt")
    data = f"{folder}/*.parquet"
    label_parts(folder / "t.pt", data, folder / "logits", target="y", part_rows=200)
    label_parts(
        folder / "t.pt",
        data,
        folder / "soft",
        target="y",
        part_rows=200,
        kind="probabilities",
        temperature=2.0,
    )
    return folder


@pytest.fixture
def parts(folder):
    return LabelledParts(folder / "logits")


@pytest.fixture
def small_window(monkeypatch):
    """Let windows hold 400 rows: two parts."""
    monkeypatch.setattr(windows, "WINDOW_BYTES", 4 * (N_FEATURES + 3) * 400)


def stored(parts):
    return np.concatenate([p.X() for p in parts]), np.concatenate([p.targets() for p in parts])


def difference(one, other):
    leaves = "leaf_logits_" if hasattr(one, "leaf_logits_") else "leaf_values_"
    return max(
        np.abs(getattr(one, name) - getattr(other, name)).max() for name in (*ATTRIBUTES, leaves)
    )


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("hard_weight", [0.0, 0.3])
@pytest.mark.parametrize("kind", ["logits", "soft"])
def test_steps_are_those_of_rows_in_memory(folder, rows, kind, hard_weight, standardize):
    """From the same start, and with all rows in each batch: their order then says nothing."""
    parts = LabelledParts(folder / kind)
    X, said = stored(parts)
    teacher = said if kind == "logits" else 2 * np.log(said)
    teacher = as_teacher(teacher, kind="logits", classes=CLASSES)
    student = SoftDecisionTreeClassifier(
        depth=3,
        epochs=1,
        batch_size=len(X),
        temperature=3.0,
        hard_weight=hard_weight,
        standardize=standardize,
        random_state=0,
    ).fit(X, teacher, labels=rows[1])
    start = save_and_load(student, folder).set_params(warm_start=True, epochs=5)
    in_memory = save_and_load(start, folder).fit(X, teacher, labels=rows[1])
    streamed = save_and_load(start, folder).fit(parts)
    assert difference(in_memory, start) > 1e-3
    assert difference(streamed, in_memory) < 1e-5
    np.testing.assert_allclose(streamed.loss_curve_, in_memory.loss_curve_, rtol=1e-5)
    assert streamed.temperature_ == 3.0
    assert streamed.hard_weight_ == hard_weight


def save_and_load(student, folder):
    path = folder / f"{os.getpid()}.student"
    save(student, path)
    return load(path)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.usefixtures("small_window")
def test_learns_from_windows(parts, rows):
    X, said = stored(parts)
    settings = {"depth": 4, "epochs": 20, "batch_size": 64, "random_state": 0}
    student = SoftDecisionTreeClassifier(**settings).fit(parts)
    teacher = as_teacher(said, kind="logits", classes=CLASSES)
    in_memory = SoftDecisionTreeClassifier(**settings).fit(X, teacher)
    losses = [
        -np.mean(np.sum(soften(said) * np.log(s.predict_proba(X)), axis=1))
        for s in (student, in_memory)
    ]
    assert losses[0] < 1.05 * losses[1]
    np.testing.assert_array_equal(student.classes_, CLASSES)
    assert student.feature_names_in_.tolist() == [f"f{i}" for i in range(N_FEATURES)]
    assert student.n_features_in_ == N_FEATURES
    again = SoftDecisionTreeClassifier(**settings).fit(parts)
    assert difference(student, again) == 0
    assert student.feature_offset_ == pytest.approx(X.mean(axis=0), abs=1e-5)


@pytest.mark.usefixtures("small_window")
def test_early_stopping_holds_rows_out(parts):
    student = SoftDecisionTreeClassifier(
        depth=3, epochs=12, early_stopping=True, n_iter_no_change=3, random_state=0
    ).fit(parts)
    assert len(student.validation_curve_) == student.n_iter_
    assert student.best_iter_ == int(np.argmin(student.validation_curve_))


@pytest.mark.usefixtures("small_window")
@pytest.mark.parametrize("early_stopping", [False, True])
def test_goes_on_to_the_same_tree(parts, monkeypatch, tmp_path, early_stopping):
    monkeypatch.setattr(base, "CHECKPOINT_INTERVAL", 0.0)
    settings = {"depth": 3, "epochs": 6, "random_state": 0, "early_stopping": early_stopping}
    whole = SoftDecisionTreeClassifier(**settings).fit(parts)
    student = SoftDecisionTreeClassifier(**settings, checkpoint=tmp_path / "c", resume=True)
    write = Checkpoint.write

    def interrupted(self, *values):
        write(self, *values)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "write", interrupted)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                student.fit(parts)
    student.fit(parts)
    assert difference(student, whole) == 0
    assert student.loss_curve_ == whole.loss_curve_


def test_a_checkpoint_of_other_parts_is_refused(folder, parts, monkeypatch, tmp_path):
    monkeypatch.setattr(base, "CHECKPOINT_INTERVAL", 0.0)
    student = SoftDecisionTreeClassifier(
        depth=2, epochs=2, random_state=0, checkpoint=tmp_path / "c", resume=True
    )
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "remove", lambda self: None)
        student.fit(parts)
    with pytest.raises(ValueError, match="other data"):
        student.fit(LabelledParts(folder / "soft"))


@pytest.fixture(scope="module")
def value_parts(rows, folder):
    """Return parts of a regressor, with true values in the column y."""
    joblib = pytest.importorskip("joblib")
    pd = pytest.importorskip("pandas")
    X, _ = rows
    names = [f"f{i}" for i in range(N_FEATURES)]
    values = 10 * X[:, 0] + X[:, 1] ** 2 + 100
    table = pd.DataFrame(X, columns=names)
    model = Ridge().fit(table, values)
    table["y"] = values
    table.to_parquet(folder / "values.parquet", row_group_size=100)
    joblib.dump(model, folder / "ridge.joblib")
    label_parts(
        TeacherFile(folder / "ridge.joblib", trust=True),
        [folder / "values.parquet"],
        folder / "values",
        target="y",
        part_rows=200,
    )
    return LabelledParts(folder / "values"), values


@pytest.mark.parametrize("hard_weight", [0.0, 0.4])
def test_values_of_a_regressor(value_parts, folder, hard_weight):
    parts, values = value_parts
    X, said = stored(parts)
    student = SoftDecisionTreeRegressor(
        depth=3, epochs=1, batch_size=len(X), hard_weight=hard_weight, random_state=0
    ).fit(X, as_teacher(said[:, 0], task="regression"), labels=values)
    start = save_and_load(student, folder).set_params(warm_start=True, epochs=5)
    teacher = as_teacher(said[:, 0], task="regression")
    in_memory = save_and_load(start, folder).fit(X, teacher, labels=values)
    streamed = save_and_load(start, folder).fit(parts)
    assert difference(streamed, in_memory) < 1e-4 * np.abs(values).max()
    fresh = SoftDecisionTreeRegressor(depth=4, random_state=0).fit(parts)
    assert fresh.score(X, said[:, 0]) > 0.9
    assert fresh.predict(X).shape == (len(X),)


def test_each_task_has_its_student(value_parts, parts):
    with pytest.raises(ValueError, match="predicts values"):
        SoftDecisionTreeClassifier().fit(value_parts[0])
    with pytest.raises(ValueError, match="predicts classes"):
        SoftDecisionTreeRegressor().fit(parts)


@pytest.mark.parametrize("name", ["y", "labels", "teacher", "sample_weight", "X_unlabeled"])
def test_parts_stand_alone(parts, name):
    with pytest.raises(ValueError, match=f"got {name} beside labelled parts"):
        SoftDecisionTreeClassifier().fit(parts, **{name: np.ones(3)})


@pytest.mark.parametrize("name", ["temperature", "hard_weight"])
def test_nothing_is_chosen_on_parts(parts, name):
    with pytest.raises(ValueError, match=f"fit on labelled parts cannot choose {name}='auto'"):
        SoftDecisionTreeClassifier(**{name: "auto"}).fit(parts)


def test_labels_that_the_teacher_does_not_know(rows, folder, tmp_path):
    X, y = rows
    known = y != "c"
    teacher = train_teacher(X[known], y[known], arch="mlp", epochs=1, random_state=0)
    save_teacher(teacher, tmp_path / "t.pt")
    label_parts(tmp_path / "t.pt", f"{folder}/rows*.parquet", tmp_path / "out", target="y")
    with pytest.raises(ValueError, match=r"labels contain \['c'\], which are none of the teacher"):
        SoftDecisionTreeClassifier(hard_weight=0.5).fit(LabelledParts(tmp_path / "out"))


# -- several processes ----------------------------------------------------------------------------

SCRIPT = """
import sys
import numpy as np
from soft_students import SoftDecisionTreeClassifier, save
from soft_students.labelled import LabelledParts
from soft_students.students.processes import is_first_process

if __name__ == "__main__":
    folder, out, n_devices = sys.argv[1:]
    parts = LabelledParts(folder)
    for name, X, y in (
        ("streamed", parts, None),
        ("in_memory", parts[0].X().astype(np.float64), parts[0].labels()),
    ):
        student = SoftDecisionTreeClassifier(
            depth=3, epochs=1, batch_size=50, n_devices=int(n_devices), random_state=0,
            focusing=1.0, sharpening=2.0, early_stopping=True,
        ).fit(X, y)
        if is_first_process():
            save(student, f"{out}/{name}")
"""


@pytest.mark.slow
@pytest.mark.parametrize("start", [[], ["-m", "torch.distributed.run", "--nproc-per-node", "2"]])
def test_two_processes_train_as_one_does(folder, tmp_path, start):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    for n_devices, launcher in (("1", []), ("2", start)):
        out = tmp_path / n_devices
        out.mkdir()
        command = [sys.executable, *launcher, script, folder / "logits", out, n_devices]
        subprocess.run(command, check=True, timeout=300)
    for name, tolerance in (("streamed", 1e-5), ("in_memory", 1e-12)):
        one, two = (load(tmp_path / n / name) for n in "12")
        assert difference(one, two) < tolerance
        np.testing.assert_allclose(one.loss_curve_, two.loss_curve_, rtol=1e-6)


def test_several_hosts_need_torchrun():
    X, y = np.eye(4), [0, 1, 0, 1]
    with pytest.raises(ValueError, match="torchrun --nnodes 2 --nproc-per-node 1"):
        SoftDecisionTreeClassifier(n_nodes=2).fit(X, y)
    with pytest.raises(ValueError, match="names one device"):
        SoftDecisionTreeClassifier(n_devices=2, device="cuda:0").fit(X, y)


def test_torchrun_and_the_student_say_the_same_number(monkeypatch):
    X, y = np.eye(4), [0, 1, 0, 1]
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="torchrun has started 2"):
        SoftDecisionTreeClassifier(random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="random_state must be an int"):
        SoftDecisionTreeClassifier(n_devices=2).fit(X, y)
