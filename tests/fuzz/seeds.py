"""Small valid files of every kind, made with the product: what mutations start from."""

import functools
import gzip
import io
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from sklearn.base import is_classifier

ROWS = np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32)
LABELS = np.repeat([0, 1, 2], 8)

# Smaller than the test parameters of the classes: short files are mutated to more effect.
_SMALLER = {
    "soft_tree": {"depth": 1, "epochs": 1},
    "xgboost": {"n_estimators": 2, "max_depth": 2},
    "lightgbm": {"n_estimators": 2, "num_leaves": 3},
    "hist": {"max_iter": 2, "max_leaf_nodes": 3},
    "tree": {"max_depth": 2},
    "forest": {"n_estimators": 2, "max_depth": 2},
    "extra_trees": {"n_estimators": 2, "max_depth": 2},
    "neural": {"epochs": 1},
}


def table():
    """Return rows with columns of categories, as text and as numbers."""
    import pandas as pd

    kinds = np.array(["x", "y", "zed"])[LABELS]
    numbers = pd.Categorical((ROWS[:, 0] * 3).astype(int))
    return pd.DataFrame({"a": ROWS[:, 1], "b": pd.Categorical(kinds), "c": numbers})


def rows_for(student):
    """Return rows that the student can be asked about."""
    if getattr(student, "is_categorical_", None) is not None:
        return table()[:3]
    if getattr(student, "n_features_in_", 3) > 1000:
        return None
    rows = np.zeros((3, student.n_features_in_), dtype=np.float32)
    rows[1], rows[2] = 1, -1
    return rows


@functools.cache
def students(name=None):
    """Return fitted students: of all kinds, or of one."""
    from soft_students.students import available

    made = []
    for key, entry in available().items():
        if name not in (None, key):
            continue
        quick = entry.classes[0]._test_params() | _SMALLER.get(key, {})
        for cls in entry.classes:
            target = LABELS if is_classifier(cls()) else ROWS[:, :2]
            made.append(cls(**quick, random_state=0).fit(ROWS, target))
        if key in ("xgboost", "lightgbm"):
            made.append(entry.classifier(**quick, random_state=0).fit(table(), LABELS))
            made.append(entry.classifier(**quick, random_state=0).fit(ROWS, LABELS > 0))
            made.append(entry.regressor(**quick, random_state=0).fit(ROWS, ROWS[:, 0]))
        if key == "xgboost":
            joint = {**quick, "multi_strategy": "multi_output_tree"}
            made.append(entry.classifier(**joint, random_state=0).fit(ROWS, LABELS))
            pruned = {**quick, "tree_method": "exact", "gamma": 1, "max_depth": 3}
            made.append(entry.classifier(**pruned, random_state=0).fit(ROWS, LABELS))
            cut = entry.classifier(**quick, max_cat_to_onehot=1, random_state=0)
            made.append(cut.fit(table(), LABELS))
    return made


def bundles():
    from soft_students.students.files import dumps

    return [dumps(student) for student in students()]


def boosted(name):
    """Return the native models of a boosting student, each with its place in `students(name)`."""
    found = []
    for place, student in enumerate(students(name)):
        for key, array in student._bundle_state()[1].items():
            if key in ("model", "model_0"):
                found.append(bytes([place]) + array.tobytes())
    return found


def _files(write, *cases):
    with tempfile.TemporaryDirectory() as folder:
        made = []
        for case in cases:
            path = Path(folder, "seed")
            write(path, case)
            made.append(path.read_bytes())
            path.unlink()
    return made


@functools.cache
def teachers():
    """Return files of teachers, and of plain state dicts."""
    import torch

    from soft_students.teachers import save_teacher, train_teacher

    images = np.random.default_rng(1).random((12, 64)).astype(np.float32)
    halves = np.repeat([0, 1], 6)
    small = {"hidden": [3]}
    made = [
        train_teacher(ROWS, LABELS, arch="mlp", config=small, epochs=1, random_state=0),
        train_teacher(ROWS, LABELS, arch="mlp", config=small, epochs=1, n_models=2, random_state=0),
        train_teacher(
            images, halves, arch="cnn", input_shape=(1, 8, 8), epochs=1, random_state=0,
            config={"channels": [2, 2, 2], "hidden": 4},
        ),
    ]  # fmt: skip
    files = _files(lambda path, teacher: save_teacher(teacher, path), *made)
    state = torch.nn.Linear(3, 2).state_dict()
    files += _files(lambda path, value: torch.save(value, path), state, {"state_dict": state})
    files += _files(
        lambda path, value: torch.save(value, path, _use_new_zipfile_serialization=False), state
    )
    return files


def disguised():
    """Return pickles that would run code, by themselves and under the names of other files."""

    class Payload:
        def __reduce__(self):
            return (exec, ("raise SystemExit('code ran')",))

    import pickle
    import zipfile

    bare = pickle.dumps(Payload(), protocol=2)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in (("x/data.pkl", bare), ("x/version", b"3\n"), ("x/byteorder", b"little")):
            archive.writestr(name, data)
    return [bare, gzip.compress(bare), packed.getvalue()]


def checkpoints():
    """Return files that hold the state of a training."""
    import torch

    from soft_students.persistence.checkpoints import Checkpoint, kept_random

    def write(path, state):
        Checkpoint(path, "seed", resume=False).write(0, state, 1.5)

    random = kept_random(np.random.RandomState(0))
    module = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(module.parameters())
    states = [
        {"epoch": 1, "module": module.state_dict(), "random": random},
        {"optimizer": optimizer.state_dict(), "losses": [0.5, 0.25], "best": None},
    ]
    return _files(write, *states)


def onnx_models():
    """Return ONNX models: a network and a tree ensemble."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, size])
        for name, size in (("x", 3), ("probabilities", 2))
    ]
    nodes = [
        helper.make_node("Gemm", ["x", "W", "b"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Softmax", ["r"], ["probabilities"], axis=1),
    ]
    constants = [
        numpy_helper.from_array(weights, "W"),
        numpy_helper.from_array(np.zeros(2, np.float32), "b"),
    ]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], constants)
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    trees = helper.make_node(
        "TreeEnsembleRegressor",
        ["x"],
        ["probabilities"],
        domain="ai.onnx.ml",
        n_targets=2,
        nodes_treeids=[0, 0, 0],
        nodes_nodeids=[0, 1, 2],
        nodes_featureids=[1, 0, 0],
        nodes_values=[0.5, 0.0, 0.0],
        nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"],
        nodes_truenodeids=[1, 0, 0],
        nodes_falsenodeids=[2, 0, 0],
        target_treeids=[0, 0, 0, 0],
        target_nodeids=[1, 1, 2, 2],
        target_ids=[0, 1, 0, 1],
        target_weights=[0.3, 0.7, 0.6, 0.4],
    )
    graph = helper.make_graph([trees], "g", ends[:1], ends[1:])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    ensemble = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.checker.check_model(network)
    return [network.SerializeToString(), ensemble.SerializeToString()]


def torchscript():
    """Return TorchScript archives."""
    import torch

    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    traced = torch.jit.trace(net.eval(), torch.zeros(1, 3))
    return _files(lambda path, module: module.save(str(path)), traced, torch.jit.script(net))


def csv_files():
    """Return tables as text."""
    import pandas as pd

    frame = pd.DataFrame(ROWS, columns=["a", "b", "c"]).assign(y=LABELS)
    texts = [frame, frame.assign(y=[*"xyz"] * 8), frame.assign(b=LABELS > 0, y=ROWS[:, 0])]
    return [text.head(8).to_csv(index=False).encode() for text in texts]


def parquet_files():
    """Return tables as Parquet: plain, of categories, with nulls, of other types."""
    import pandas as pd

    frame = pd.DataFrame(ROWS, columns=["a", "b", "c"]).assign(y=LABELS)
    mixed = frame.assign(b=pd.Categorical([*"xyz"] * 8), c=[None, 1] * 12)
    typed = frame.assign(a=pd.array([1, None] * 12, dtype="Int64"), y=[*"xyz"] * 8)
    made = []
    for each, packing in ((frame, "snappy"), (mixed, "gzip"), (typed, None)):
        file = io.BytesIO()
        each.to_parquet(file, index=False, compression=packing)
        made.append(file.getvalue())
    return made


def npz_files():
    """Return data sets as NPZ: with and without an official split, packed, of Python objects."""
    split = {"X_train": ROWS, "y_train": LABELS, "X_test": ROWS, "y_test": LABELS}
    files = []
    for write, arrays in (
        (np.savez, {"X": ROWS, "y": LABELS}),
        (np.savez_compressed, {"X": ROWS, "y": np.array([*"xyz"] * 8)}),
        (np.savez, split),
        (np.savez, {"X": ROWS.astype(object), "y": LABELS}),
    ):
        file = io.BytesIO()
        write(file, **arrays)
        files.append(file.getvalue())
    return files


def npy_files():
    """Return arrays as NPY, in both orders."""
    files = []
    for array in (ROWS, np.asfortranarray(ROWS), LABELS[:, None], ROWS.astype(object)):
        file = io.BytesIO()
        np.save(file, array)
        files.append(file.getvalue())
    return files


def idx_files():
    """Return IDX files, plain and packed."""
    from soft_students.datasets.idx import write_idx

    files = []
    for array in (np.arange(24, dtype=np.uint8).reshape(2, 3, 4), np.arange(9, dtype=np.uint8)):
        file = io.BytesIO()
        write_idx(file, array)
        files += [file.getvalue(), gzip.compress(file.getvalue())]
    return files


def npm_archives():
    """Return archives with the four files of an image data set."""
    from soft_students.datasets.sources import FILES

    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, data in zip(FILES, idx_files()[::2] * 2, strict=True):
            member = tarfile.TarInfo(f"package/data/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return [file.getvalue()]


def settings():
    """Return values as the command line takes them."""
    texts = [
        "depth=4",
        "rkd.angle_weight=50.5",
        'a=[1, {"b": null}]',
        "s=(1, 2)",
        "t=text",
        "x=1e9",
    ]
    shapes = ["1,28,28", "8", "3,32,32"]
    pairs = ["accuracy:latency_us=3,accuracy:bytes=1/5,latency_us:bytes=2", "a:b=9"]
    return [text.encode() for text in [*texts, *shapes, *pairs]]


def numpy_predictors():
    """Return soft trees exported for numpy alone."""
    from soft_students.export import to_numpy

    made = []
    for student in students("soft_tree"):
        with tempfile.TemporaryDirectory() as folder:
            to_numpy(student, Path(folder, "tree.npz"))
            made.append(Path(folder, "tree.npz").read_bytes())
    return made


@functools.cache
def comparison():
    """Return the two files of a small comparison that a report is made of."""
    from sklearn.linear_model import LogisticRegression

    from soft_students import DecisionTreeStudentClassifier, as_teacher
    from soft_students.comparison import compare_students
    from soft_students.datasets import load_dataset

    data = load_dataset("digits")
    few = np.arange(0, len(data.X_train), 4)
    teacher = as_teacher(LogisticRegression(max_iter=50).fit(data.X_train[few], data.y_train[few]))
    students = {f"tree {depth}": DecisionTreeStudentClassifier(max_depth=depth) for depth in (1, 4)}
    with tempfile.TemporaryDirectory() as folder:
        compare_students(
            students, teacher, data, folder, criteria={"accuracy": 0.7, "size": 0.3}, method="index"
        )
        return tuple(
            next(Path(folder).glob(name)).read_bytes() for name in ("results.json", "answers.npz")
        )


def manifests():
    """Return what says how a folder of labelled parts was made."""
    from soft_students.labelled.manifest import MANIFEST, write_manifest

    settings = {
        "task": "classification",
        "kind": "probabilities",
        "temperature": 1.0,
        "classes": [0, 1, 2],
        "n_features": 3,
        "columns": ["a", "b", "c"],
        "target": "y",
        "part_rows": 10,
        "teacher_sha256": "0" * 64,
    }
    sources = [{"path": "p.parquet", "name": "p", "cuts": [0, 10, 24]}]
    with tempfile.TemporaryDirectory() as folder:
        write_manifest(folder, "teacher", settings, sources)
        return [Path(folder, MANIFEST).read_bytes()]
