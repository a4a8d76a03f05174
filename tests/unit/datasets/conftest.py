"""Small IDX files written by hand, and no way to the network."""

import dataclasses
import gzip
import hashlib
import struct

import numpy as np
import pytest
import sklearn.datasets

from soft_students.datasets import image_sets, registry, sources

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def idx_bytes(array):
    """The format restated: magic, big-endian sizes, values."""
    header = b"\x00\x00\x08" + struct.pack("B", array.ndim)
    return header + b"".join(struct.pack(">I", n) for n in array.shape) + array.tobytes()


class SmallSet:
    """Files in the shape of MNIST, but of 12 + 5 images."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.arrays = {
            FILES[0]: rng.integers(0, 256, (12, 28, 28), dtype=np.uint8),
            FILES[1]: (np.arange(12) % 10).astype(np.uint8),
            FILES[2]: rng.integers(0, 256, (5, 28, 28), dtype=np.uint8),
            FILES[3]: np.array([3, 1, 4, 1, 5], dtype=np.uint8),
        }
        self.contents = {name: idx_bytes(array) for name, array in self.arrays.items()}
        self.sha256 = {
            name: hashlib.sha256(content).hexdigest() for name, content in self.contents.items()
        }

    def write(self, folder, *, packed=False, dotted=False):
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.contents.items():
            file = name.replace("-idx", ".idx") if dotted else name
            if packed:
                (folder / f"{file}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / file).write_bytes(content)
        return folder


@pytest.fixture
def small_set(monkeypatch):
    """What "mnist" and "fashion_mnist" are during the test; the latter has no other source."""
    small = SmallSet()
    for name, image_set in (
        ("mnist", image_sets.MNIST),
        ("fashion_mnist", image_sets.FASHION_MNIST),
    ):
        replaced = dataclasses.replace(
            image_set, sha256=small.sha256, n_train=12, system_folder=None
        )
        monkeypatch.setitem(registry._IMAGE_SETS, name, replaced)
    return small


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    folder = tmp_path / "cache"
    monkeypatch.setenv("SOFTKD_CACHE", str(folder))
    monkeypatch.delenv("SOFTKD_DATA", raising=False)
    return folder


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def unreachable(*args, **kwargs):
        raise OSError("no network in tests")

    monkeypatch.setattr(sources.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(sources.subprocess, "run", unreachable)
    monkeypatch.setattr(sklearn.datasets, "fetch_openml", unreachable)
