"""Fitted trees of every kind, with gates that are drawn: training would add nothing here."""

import shutil
import subprocess

import numpy as np
import pytest

from soft_students import SoftDecisionTreeClassifier, SoftDecisionTreeRegressor

# Quotes, a trigraph, a digit after an escape, a comment's end and more than ASCII.
AWKWARD = ['say "no"', "back\\slash", "??/", "é1", "*/ %s", "\n1", ""]


def drawn(student, n_features, *, dtype=np.float32, targets, offset=0.0, scale=2.0):
    """Return `student` with random gates and leaves, and rows to ask it about."""
    rng = np.random.default_rng(7)
    X = (offset + rng.normal(size=(60, n_features))).astype(dtype)
    student.set_params(epochs=1, random_state=0).fit(X, targets(rng, len(X)))
    shape = student.gate_weights_.shape
    student.gate_weights_ = rng.normal(scale=scale * n_features**-0.5, size=shape).astype(dtype)
    student.gate_biases_ = rng.normal(scale=0.3, size=shape[0]).astype(dtype)
    student.gate_betas_ = rng.uniform(0.5, 2, size=shape[0]).astype(dtype)
    for name in ("leaf_logits_", "leaf_values_"):
        if hasattr(student, name):
            leaves = rng.normal(scale=3, size=getattr(student, name).shape).astype(dtype)
            setattr(student, name, leaves)
    return student, X


def soft_targets(n_classes):
    return lambda rng, n: rng.dirichlet(np.ones(n_classes), n)


def _images():
    student = SoftDecisionTreeClassifier(5, temperature=3.0, standardize=False)
    return drawn(student, 64, targets=soft_targets(10))


def _sharp():
    # Below one, p**T magnifies what is lost in small probabilities.
    return drawn(
        SoftDecisionTreeClassifier(4, temperature=0.5), 9, targets=soft_targets(3), scale=40
    )


def _table():
    student = SoftDecisionTreeClassifier(3)
    names = np.array(AWKWARD)
    return drawn(
        student,
        5,
        dtype=np.float64,
        targets=lambda rng, n: names[np.arange(n) % len(names)],
        offset=2000.0,
    )


def _stump():
    return drawn(SoftDecisionTreeClassifier(1), 1, targets=lambda rng, n: np.arange(n) % 2 == 0)


def _value():
    student = SoftDecisionTreeRegressor(4)
    return drawn(
        student, 7, dtype=np.float64, targets=lambda rng, n: rng.normal(size=n), offset=-300.0
    )


def _values():
    return drawn(SoftDecisionTreeRegressor(2), 16, targets=lambda rng, n: rng.normal(size=(n, 3)))


TREES = {
    "images": _images,
    "sharp": _sharp,
    "table": _table,
    "stump": _stump,
    "value": _value,
    "values": _values,
}


@pytest.fixture(params=TREES)
def tree(request):
    """A student and rows in the type that it was trained on."""
    return TREES[request.param]()


@pytest.fixture
def classifier():
    return _images()


@pytest.fixture
def answers():
    """What the student says by one way of reading it, in double precision, (n, n_outputs)."""

    def ask(student, X, prediction):
        asked = student.prediction
        student.prediction = prediction
        rows = X.astype(np.float64)
        said = (
            student.predict_proba(rows) if hasattr(student, "classes_") else student.predict(rows)
        )
        student.prediction = asked
        return said.reshape(len(X), -1)

    return ask


@pytest.fixture
def compiled(tmp_path):
    """Compile C source without a warning; return the shared library's path."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("There is no C compiler (cc or gcc) on this machine.")

    def build(source):
        library = tmp_path / f"{source.stem}.so"
        flags = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-O2", "-fPIC", "-shared"]
        done = subprocess.run(
            [compiler, *flags, str(source), "-o", str(library), "-lm"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return library

    return build
