"""One target a loader: it feeds bytes to the product and lets the documented errors through."""

import atexit
import functools
import io
import shutil
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz import mutation, seeds


@dataclass(frozen=True)
class Loader:
    """A door through which files come in.

    `load` is called with the bytes of a file; it must end, or raise one of `documented`.
    """

    load: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    mutate: Callable[[bytes, Random], bytes]
    documented: tuple[type[Exception], ...] = (ValueError, OSError)

    def run(self, data: bytes) -> str:
        """Return how the file was received: ``"accepted"`` or the name of a documented error."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.load(data)
        except self.documented as error:
            if not str(error).strip():
                raise AssertionError("an error without a message") from error
            return type(error).__name__
        return "accepted"


@functools.cache
def _folder() -> Path:
    # In memory where there is such a place: a hundred thousand files are no work for a disk.
    place = "/dev/shm" if Path("/dev/shm").is_dir() else None
    folder = tempfile.mkdtemp(prefix="fuzz-", dir=place)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _file(name: str, data: bytes) -> Path:
    path = _folder() / name
    path.write_bytes(data)
    return path


def _bundle(data: bytes) -> None:
    from soft_students.students.files import loads

    _use(loads(data))


def _use(student: Any) -> None:
    """Do with a loaded student what its user does: predict, explain, export, and show its tree."""
    from soft_students.explain import explorer_page
    from soft_students.export import to_c, to_numpy
    from soft_students.students.classical.trees import TreeStudent
    from soft_students.students.soft_tree.base import BaseSoftDecisionTree

    rows = seeds.rows_for(student)
    if rows is None:
        return
    student.predict(rows)
    if hasattr(student, "explain"):
        explanation = student.explain(rows[:1])
        explanation.to_text()
        explanation.to_dict()
    if isinstance(student, BaseSoftDecisionTree):
        to_c(student, _folder() / "tree.c", overwrite=True)
        to_numpy(student, _folder() / "tree.npz", overwrite=True)
    if isinstance(student, BaseSoftDecisionTree) or (
        isinstance(student, TreeStudent) and hasattr(student.estimator_, "tree_")
    ):
        explorer_page(student, X=rows)


@functools.cache
def _carrier(name: str, place: int) -> tuple[dict, dict]:
    """Return what the bundle of a student holds besides its native model."""
    import json
    import zipfile

    from safetensors.numpy import load

    from soft_students.students.files import dumps

    with zipfile.ZipFile(io.BytesIO(dumps(seeds.students(name)[place]))) as archive:
        metadata = json.loads(archive.read("metadata.json"))
        return metadata, load(archive.read("arrays.safetensors"))


def _boosted(name: str, data: bytes) -> None:
    """Load a student whose native model is `data` after its first byte."""
    import copy

    import numpy as np

    from soft_students.persistence.bundle import Bundle
    from soft_students.students.files import _from_bundle

    if not data:
        return
    metadata, arrays = _carrier(name, data[0] % len(seeds.students(name)))
    key = "model" if "model" in arrays else "model_0"
    content = copy.deepcopy(metadata["content"])
    bundle = Bundle(
        student=content["student"],
        class_name=content["class"],
        params=content["params"],
        fitted=content["fitted"],
        arrays=arrays | {key: np.frombuffer(data[1:], dtype=np.uint8)},
        written_by=content["written_by"],
    )
    _use(_from_bundle(bundle))


def _after_first(mutate: Callable[[bytes, Random], bytes]) -> Callable[[bytes, Random], bytes]:
    return lambda data, random: data[:1] + mutate(data[1:], random)


def _teacher(data: bytes) -> None:
    import numpy as np

    from soft_students.teachers import load_teacher

    teacher = load_teacher(_file("t.pt", data))
    shape = getattr(teacher, "input_shape", None)
    if shape is not None and np.prod(shape) < 10_000:
        teacher.predict_proba(np.zeros((2, int(np.prod(shape))), dtype=np.float32))


def _onnx(data: bytes) -> None:
    import numpy as np

    from soft_students.teachers import load_teacher

    teacher = load_teacher(_file("t.onnx", data))
    teacher.predict_proba(np.zeros((2, 3), dtype=np.float32))


def _checkpoint(data: bytes) -> None:
    from soft_students.persistence.checkpoints import Checkpoint

    Checkpoint(_file("c.ckpt", data), "seed", resume=True).take(0)


def _table(name: str) -> Callable[[bytes], None]:
    def load(data: bytes) -> None:
        from soft_students.datasets import load_dataset

        load_dataset(_file(name, data), target="y")

    return load


def _rows(data: bytes) -> None:
    from soft_students.datasets.tables import load_rows

    load_rows(_file("rows.npy", data))


def _source(data: bytes) -> None:
    from soft_students.labelled.sources import open_source

    source = open_source(_file("part.parquet", data))
    names = [name for name in source.names if name != "y"]
    stop = source.cuts(2**16)[-1]
    for batch in source.batches(0, stop, 100, names):
        batch.sum()


def _idx(data: bytes) -> None:
    from soft_students.datasets.idx import read_idx_file

    read_idx_file(_file("images", data), max_bytes=48 * 2**20)


def _npm_archive(data: bytes) -> None:
    from soft_students.datasets.sources import read_archive

    read_archive(_file("package.tgz", data))


def _settings(data: bytes) -> None:
    from soft_students.ranking import ahp_weights
    from softkd.parameter_types import Criteria, Pairs, Setting, Shape

    text = data.decode("utf-8", "replace")
    errors = []
    for kind in (Setting(), Shape(), Criteria(), Pairs()):
        try:
            value = kind.convert(text, None, None)
            if isinstance(kind, Pairs):
                ahp_weights(value)
        except (_bad_usage(), ValueError) as error:
            errors.append(error)
    if len(errors) == 4:
        raise ValueError(str(errors[0]) or "bad usage")


def _bad_usage() -> type[Exception]:
    import click

    return click.BadParameter


def _results(data: bytes) -> None:
    from soft_students.report import report_page

    folder = _file("results.json", data).parent
    _file("answers.npz", seeds.comparison()[1])
    report_page(folder)


def _answers(data: bytes) -> None:
    from soft_students.report import report_page

    folder = _file("results.json", seeds.comparison()[0]).parent
    _file("answers.npz", data)
    report_page(folder)


def _manifest(data: bytes) -> None:
    from soft_students.labelled.manifest import MANIFEST
    from soft_students.labelled.parts import LabelledParts

    for start in (0, 10):
        _file(f"p.{start}.npy", b"")
        _file(f"p.{start}.json", b"{}")
    for part in LabelledParts(_file(MANIFEST, data).parent):
        part.record()


def _numpy_predictor(data: bytes) -> None:
    import numpy as np

    from soft_students.export import SoftTree

    tree = SoftTree.load(_file("tree.npz", data))
    if tree.n_features_in_ < 1000:
        tree.predict(np.zeros((2, tree.n_features_in_)))


LOADERS = {
    "bundle": Loader(_bundle, seeds.bundles, mutation.bundle),
    "xgboost": Loader(
        functools.partial(_boosted, "xgboost"),
        functools.partial(seeds.boosted, "xgboost"),
        _after_first(mutation.ubjson),
    ),
    "lightgbm": Loader(
        functools.partial(_boosted, "lightgbm"),
        functools.partial(seeds.boosted, "lightgbm"),
        _after_first(mutation.text),
    ),
    "teacher": Loader(
        _teacher,
        lambda: [*seeds.teachers(), *seeds.torchscript(), *seeds.disguised()],
        mutation.torch_file,
    ),
    "onnx": Loader(_onnx, seeds.onnx_models, mutation.protobuf),
    "checkpoint": Loader(_checkpoint, seeds.checkpoints, mutation.torch_file),
    "csv": Loader(_table("table.csv"), seeds.csv_files, mutation.text),
    "parquet": Loader(_table("table.parquet"), seeds.parquet_files, mutation.edited),
    "parquet_parts": Loader(_source, seeds.parquet_files, mutation.edited),
    "npz": Loader(_table("table.npz"), seeds.npz_files, mutation.npz),
    "npy": Loader(_rows, seeds.npy_files, mutation.npy),
    "idx": Loader(_idx, seeds.idx_files, mutation.edited),
    "npm_archive": Loader(_npm_archive, seeds.npm_archives, mutation.gzipped),
    "settings": Loader(_settings, seeds.settings, mutation.text),
    "results": Loader(_results, lambda: [seeds.comparison()[0]], mutation.structured_json),
    "answers": Loader(_answers, lambda: [seeds.comparison()[1]], mutation.npz),
    "manifest": Loader(_manifest, seeds.manifests, mutation.structured_json),
    "numpy_predictor": Loader(_numpy_predictor, seeds.numpy_predictors, mutation.npz),
}
