"""Networks that learn from labelled parts, against those that have the same rows in memory."""

import copy
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from soft_students import NeuralStudentClassifier
from soft_students.labelled import LabelledParts, TeacherFile, label_parts, windows
from soft_students.methods import KD, available
from soft_students.persistence import checkpoints
from soft_students.students.files import dumps, loads
from soft_students.students.neural.streamed_parts import StreamedParts
from soft_students.teachers import load_teacher, save_teacher, train_teacher
from soft_students.teachers.preprocessing import Standardize
from soft_students.training.batch import Shuffled, share_of
from soft_students.transfer import GaussianNoise

N_ROWS = 1500
ROW_BYTES = 4 * (64 + 10 + 1)  # of features, outputs and a label, as a window counts it
NAMES = [f"p{i}" for i in range(64)]


@pytest.fixture(scope="module")
def digits():
    """Return rows and labels 3, ..., 12: first those of the parts, then others."""
    X, y = load_digits(return_X_y=True)
    return X.astype(np.float32), y + 3


@pytest.fixture(scope="module")
def folder(digits, tmp_path_factory):
    """Return a folder of a teacher, its labelled parts in three forms, and their files."""
    X, y = digits[0][:N_ROWS], digits[1][:N_ROWS]
    folder = tmp_path_factory.mktemp("parts")
    save_teacher(train_teacher(X, y, arch="mlp", epochs=8, random_state=0), folder / "t.pt")
    for i, rows in enumerate(np.split(np.arange(N_ROWS), 5)):
        columns = {name: X[rows, j] for j, name in enumerate(NAMES)}
        pq.write_table(pa.table({"y": y[rows], **columns}), folder / f"rows{i}.parquet", 100)
    np.save(folder / "rows.npy", X)
    files = str(folder / "*.parquet")
    label_parts(folder / "t.pt", files, folder / "logits", target="y", part_rows=300)
    label_parts(
        folder / "t.pt",
        files,
        folder / "probabilities",
        target="y",
        part_rows=300,
        kind="probabilities",
        temperature=4.0,
    )
    label_parts(folder / "t.pt", folder / "rows.npy", folder / "plain")
    return folder


@pytest.fixture(scope="module")
def teacher(folder):
    return load_teacher(folder / "t.pt")


@pytest.fixture(scope="module")
def parts(folder):
    return LabelledParts(folder / "logits")


@pytest.fixture
def few_in_memory(monkeypatch):
    """Let a window hold two of the five parts."""
    monkeypatch.setattr(windows, "WINDOW_BYTES", 700 * ROW_BYTES)


def quick(module="mlp", **parameters):
    return NeuralStudentClassifier(module, **{"epochs": 2, "random_state": 0, **parameters})


def weights(student):
    return torch.cat([p.detach().flatten() for p in student.module_.parameters()])


class Plain(nn.Module):
    """Without batch normalisation, whose statistics are those of a process."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 10))

    def forward(self, inputs):
        return self.layers(inputs.flatten(1))


@pytest.mark.parametrize("form", ["logits", "probabilities", "plain"])
def test_a_student_of_parts_is_as_good_as_one_of_memory(
    folder, digits, teacher, few_in_memory, form
):
    X, y = digits
    student = quick(epochs=8).fit(LabelledParts(folder / form))
    labels = None if form == "plain" else y[:N_ROWS]
    memory = quick(epochs=8).fit(X[:N_ROWS], teacher, labels=labels)
    rest = X[N_ROWS:] if form == "plain" else pd.DataFrame(X[N_ROWS:], columns=NAMES)
    accuracy = np.mean(student.predict(rest) == y[N_ROWS:])
    assert abs(accuracy - memory.score(X[N_ROWS:], y[N_ROWS:])) < 0.05
    assert np.mean(student.predict(rest) == teacher.predict(X[N_ROWS:])) > 0.85
    assert student.history_[-1]["validation_accuracy"] > 0.85
    assert list(student.history_[0]) == list(memory.history_[0])
    assert student.classes_.tolist() == list(range(3, 13))
    assert student.n_features_in_ == 64


def test_one_step_is_that_of_memory(parts, teacher, digits):
    X, y = digits[0][:N_ROWS], digits[1][:N_ROWS]
    settings = {"epochs": 1, "batch_size": N_ROWS, "validation_fraction": 0.0, "hard_weight": 0.1}
    student = quick(Plain(), **settings).fit(parts)
    memory = quick(Plain(), **settings).fit(X, teacher, labels=y)
    torch.testing.assert_close(weights(student), weights(memory), rtol=0, atol=1e-5)
    assert student.history_[0]["kd"] == pytest.approx(memory.history_[0]["kd"], abs=1e-5)
    assert student.history_[0]["labels"] == pytest.approx(memory.history_[0]["labels"], abs=1e-5)


def test_names_of_columns_are_those_of_the_features(parts, folder, digits):
    student = quick().fit(parts)
    assert student.feature_names_in_.tolist() == NAMES
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        student.predict(digits[0][:2])
    student.fit(LabelledParts(folder / "plain"))
    assert not hasattr(student, "feature_names_in_")
    again = loads(dumps(student))
    np.testing.assert_array_equal(
        again.predict_proba(digits[0][:9]), student.predict_proba(digits[0][:9])
    )


def test_probabilities_teach_what_logits_do(folder, few_in_memory):
    logits, probabilities = (
        quick(Plain(), epochs=1).fit(LabelledParts(folder / form))
        for form in ("logits", "probabilities")
    )
    torch.testing.assert_close(weights(logits), weights(probabilities), rtol=0, atol=1e-3)


def test_a_probability_of_zero_is_no_infinite_logit(digits, tmp_path):
    X, y = digits[0][:200], digits[1][:200]
    joblib.dump(DecisionTreeClassifier(random_state=0).fit(X, y), tmp_path / "t.pkl")
    np.save(tmp_path / "rows.npy", X)
    known = TeacherFile(str(tmp_path / "t.pkl"), trust=True)
    label_parts(
        known, tmp_path / "rows.npy", tmp_path / "out", kind="probabilities", temperature=4.0
    )
    sure = LabelledParts(tmp_path / "out")
    assert set(np.unique(sure[0].targets())) == {0, 1}
    student = quick(epochs=10, method="kd,dkd,dist").fit(sure)
    assert student.score(X, y) > 0.8


@pytest.mark.parametrize("shape", [(64,), (1, 8, 8), (4, 4, 4)])
def test_one_pass_measures_what_memory_does(parts, digits, few_in_memory, shape):
    rows = StreamedParts(parts, shape, held_out_fraction=0.2, seed=0, labels=True)
    random = torch.Generator().manual_seed(0)
    X = torch.cat([batch.inputs for batch in rows.read(64, random, (0, 1))]).flatten(1).numpy()
    standardize, extent = rows.measure()
    expected = Standardize.fit(X, shape)
    torch.testing.assert_close(standardize.mean, expected.mean, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(standardize.std, expected.std, rtol=1e-5, atol=1e-5)
    assert extent == (float(X.min()), float(X.max()))


@pytest.mark.parametrize("batch_size", [7, 64, 1499, 5000])
@pytest.mark.parametrize("n_processes", [1, 3])
def test_processes_share_each_batch(parts, digits, few_in_memory, batch_size, n_processes):
    shares = []
    for process in range(n_processes):
        rows = StreamedParts(parts, (64,), held_out_fraction=0.0, seed=0, labels=True)
        random = torch.Generator().manual_seed(0)
        shares.append(list(rows.read(batch_size, random, (process, n_processes))))
    steps = list(zip(*shares, strict=True))
    assert len(steps) == rows.n_batches(batch_size)
    sizes = [sum(len(batch.inputs) for batch in step if batch.weight) for step in steps]
    assert sum(sizes) == N_ROWS
    assert max(sizes) <= 1.5 * batch_size
    assert min(sizes) >= min(batch_size, N_ROWS) / 4
    table = torch.cat([batch.inputs for step in steps for batch in step if batch.weight])
    expected = digits[0][:N_ROWS]
    table = table.numpy()
    np.testing.assert_array_equal(table[np.lexsort(table.T)], expected[np.lexsort(expected.T)])
    for step in steps[-2:]:  # the mean over processes is that over the batch
        mean = sum(batch.weight * batch.inputs.mean(0) for batch in step) / n_processes
        whole = torch.cat([batch.inputs for batch in step if batch.weight])
        torch.testing.assert_close(mean, whole.mean(0))


def test_shares_of_pairs_are_columns():
    pairs = torch.arange(10).view(2, 5)
    (first, a), (second, b) = (share_of(pairs, (process, 2)) for process in range(2))
    assert first.tolist() == [[0, 2, 4], [5, 7, 9]]
    assert second.tolist() == [[1, 3], [6, 8]]
    assert (a, b) == (6 / 5, 4 / 5)
    none, weight = share_of(pairs[:, :1], (1, 2))
    assert none.tolist() == [[0], [5]]
    assert weight == 0


@pytest.mark.parametrize("method", ["kd", "dml"])
def test_a_resumed_training_ends_bit_for_bit_the_same(parts, few_in_memory, tmp_path, method):
    path = tmp_path / "training.pt"
    settings = {"method": method, "epochs": 3, "batch_size": 256}
    whole = quick(**settings).fit(parts)
    student = quick(**settings, checkpoint=path, resume=True)
    write, done = checkpoints.Checkpoint.write, []

    def stop_after_one(self, *args):
        write(self, *args)
        done.append(1)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints.Checkpoint, "write", stop_after_one)
        with pytest.raises(KeyboardInterrupt):
            student.fit(parts)
    assert path.exists()
    with pytest.raises(ValueError, match="other parameters or other data"):
        quick(**settings, checkpoint=path, resume=True, validation_fraction=0.3).fit(parts)
    student.fit(parts)
    assert len(done) == 1
    assert torch.equal(weights(student), weights(whole))
    assert [row["epoch"] for row in student.history_] == [1, 2, 3]
    assert not path.exists()


def test_the_teacher_beside_the_parts_is_looked_into(parts, teacher, few_in_memory):
    student = quick(method="rkd,kd", hard_weight=0.1, epochs=1).fit(parts, teacher)
    assert {"kd", "labels"} < set(student.history_[0])
    assert any(name.startswith("rkd") for name in student.history_[0])
    noisy = quick(epochs=1, augment=GaussianNoise(scale=0.1, discrete=None))
    noisy.fit(parts, teacher=teacher)
    assert not torch.equal(weights(noisy), weights(quick(epochs=1).fit(parts)))


def test_another_teacher_is_refused(parts, digits):
    X, y = digits
    other = train_teacher(X[:100], y[:100], arch="mlp", epochs=1, random_state=1)
    with pytest.raises(ValueError, match=r"differ from those of .*, which labelled the parts"):
        quick().fit(parts, other)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "rkd"}, "'rkd' uses the layers of the teacher, but labelled parts contain"),
        ({"method": "cskd,kd"}, "'cskd' needs all training rows in memory, but labelled parts"),
        ({"method": "ddgsd"}, "'ddgsd' needs all training rows in memory"),
        ({"method": "crd"}, "'crd' needs all training rows in memory"),
        ({"method": "cc"}, "'cc' needs all training rows in memory"),
        ({"method": "dafl"}, "'dafl' makes its own rows"),
        ({"augment": GaussianNoise()}, "distorts rows, whose teacher outputs are not in the"),
        ({"transfer": GaussianNoise()}, "makes rows from rows in memory"),
        ({"temperature": "auto"}, "fit on labelled parts cannot choose temperature='auto'"),
        ({"input_shape": (7, 7)}, "takes 49 features per row"),
    ],
)
def test_what_parts_cannot_teach_is_refused(parts, settings, message):
    student = quick(**settings)
    with pytest.raises(ValueError, match=message):
        student.fit(parts)
    assert not hasattr(student, "classes_")


def test_what_parts_take_the_place_of_is_refused(parts, digits, teacher):
    X, y = digits[0][:N_ROWS], digits[1][:N_ROWS]
    said = teacher.predict_proba(X)
    for given in ({"y": y}, {"y": y.tolist()}, {"y": said}, {"y": y, "teacher": teacher}):
        with pytest.raises(ValueError, match="fit got y beside labelled parts"):
            quick().fit(parts, **given)
    for given in ({"labels": y}, {"X_unlabeled": X}, {"sample_weight": y}):
        with pytest.raises(ValueError, match=f"fit got {next(iter(given))} beside labelled parts"):
            quick().fit(parts, **given)


@pytest.fixture(scope="module")
def images(digits, tmp_path_factory):
    """Return a teacher of images, and a hundred rows that it has labelled."""
    X, y = digits[0][:100], digits[1][:100]
    folder = tmp_path_factory.mktemp("images")
    train = {"arch": "cnn", "epochs": 1, "input_shape": (1, 8, 8), "random_state": 0}
    teacher = train_teacher(X, y, **train)
    save_teacher(teacher, folder / "t.pt")
    columns = {name: X[:, j] for j, name in enumerate(NAMES)}
    pq.write_table(pa.table({"y": y, **columns}), folder / "rows.parquet")
    label_parts(folder / "t.pt", folder / "rows.parquet", folder / "out", target="y")
    return teacher, LabelledParts(folder / "out")


@pytest.mark.parametrize("key", available())
def test_every_method_learns_from_parts_or_says_that_it_cannot(images, key):
    teacher, parts = images
    student = quick(copy.deepcopy(teacher.module), method=key, epochs=1, batch_size=50)
    if available()[key]().needs_all_rows or key == "dafl":
        with pytest.raises(ValueError, match=f"The method '{key}' (needs all|makes) "):
            student.fit(parts, teacher)
    else:
        last = student.fit(parts, teacher).history_[-1]
        assert np.isfinite([last[name] for name in last if name != "stage"]).all()


def test_batches_by_class_alone_need_all_rows(images):
    teacher, parts = images
    shuffled = quick("small_cnn", method="cc", method_params={"sampler_kind": "shuffled"})
    assert "cc" in shuffled.fit(parts, teacher).history_[0]


def test_a_sampler_that_nobody_announced(parts):
    class Sampling(KD):
        def sampler(self, lesson):
            return Shuffled(len(lesson.data), 10)

    with pytest.raises(ValueError, match="needs all training rows in memory, but they are read"):
        quick(method=Sampling()).fit(parts)


def test_values_are_refused(digits, tmp_path):
    X = digits[0][:9]
    joblib.dump(LinearRegression().fit(X, X[:, 10]), tmp_path / "t.pkl")
    np.save(tmp_path / "rows.npy", X)
    known = TeacherFile(str(tmp_path / "t.pkl"), trust=True)
    label_parts(known, tmp_path / "rows.npy", tmp_path / "out")
    with pytest.raises(ValueError, match="predicts values"):
        quick().fit(LabelledParts(tmp_path / "out"))


def test_labels_that_the_teacher_does_not_know(digits, folder, tmp_path):
    columns = {name: digits[0][:9, j] for j, name in enumerate(NAMES)}
    pq.write_table(pa.table({"y": np.arange(9), **columns}), tmp_path / "rows.parquet")
    label_parts(folder / "t.pt", tmp_path / "rows.parquet", tmp_path / "out", target="y")
    with pytest.raises(ValueError, match=r"The labels contain \[0, 1, 2\], which are none"):
        quick().fit(LabelledParts(tmp_path / "out"))


@pytest.mark.slow
def test_two_processes_train_as_one_does(parts):
    one, two = (
        quick(Plain(), batch_size=51, n_devices=n_devices).fit(parts) for n_devices in (1, 2)
    )
    torch.testing.assert_close(weights(two), weights(one), rtol=0, atol=1e-5)


@pytest.mark.slow
def test_two_processes_share_uneven_batches_of_memory(digits, teacher):
    X, y = digits[0][:300], digits[1][:300]
    one, two = (
        quick(Plain(), batch_size=51, n_devices=n_devices).fit(X, teacher, labels=y)
        for n_devices in (1, 2)
    )
    torch.testing.assert_close(weights(two), weights(one), rtol=0, atol=1e-5)


SCRIPT = """
import os
import sys
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from soft_students import NeuralStudentClassifier
from soft_students.labelled import LabelledParts
from soft_students.students.processes import is_first_process
from soft_students.teachers import load_teacher

def keep(student, path):
    if is_first_process():
        np.save(path, np.concatenate([p.detach().ravel() for p in student.module_.parameters()]))

folder, out, n_devices = sys.argv[1:3] + [int(sys.argv[3])]
X, y = load_digits(return_X_y=True)
X, y = X[:1500].astype(np.float32), y[:1500] + 3
torch.manual_seed(int(os.environ.get("RANK", 0)))  # the module of the first process counts
module = nn.Sequential(nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 10))
student = NeuralStudentClassifier(module, n_devices=n_devices, epochs=2, random_state=0)
keep(student.fit(X, load_teacher(f"{folder}/t.pt"), labels=y), f"{out}/memory{n_devices}.npy")
keep(student.fit(LabelledParts(f"{folder}/logits")), f"{out}/parts{n_devices}.npy")
"""


@pytest.mark.slow
def test_torchrun_trains_as_one_process_does(folder, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    for start, n_devices in (([sys.executable], 1), (torchrun, 2)):
        command = [*start, script, folder, tmp_path, str(n_devices)]
        subprocess.run(command, check=True, timeout=300)
    for rows in ("memory", "parts"):
        one, two = (np.load(tmp_path / f"{rows}{n_devices}.npy") for n_devices in (1, 2))
        np.testing.assert_allclose(two, one, rtol=0, atol=1e-5)
