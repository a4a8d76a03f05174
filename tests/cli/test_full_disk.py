"""Where there is no room for the output, the old file stays and one line says so.

The limit is a real one of the operating system, on the size of files.
"""

import contextlib

import numpy as np
import pytest

resource = pytest.importorskip("resource")


@contextlib.contextmanager
def largest_file(n_bytes):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


COMMANDS = {
    "teach": ("teach", "--data", "digits", "--arch", "mlp", "--epochs", 1),
    "distill": ("distill", "--teacher", "{teacher}", "--depth", 2, "--epochs", 1, "--no-baseline"),
    "predict": ("predict", "--model", "{student}", "--data", "{rows}", "--proba"),
    "export": ("export", "{student}", "--format", "c"),
    "explain": ("explain", "{student}"),
    "explore": ("explore", "{student}", "--data", "digits"),
}
SUFFIXES = {"export": ".c", "explain": ".png", "explore": ".html", "predict": ".csv"}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("old", [None, b"the old file"], ids=["new", "old"])
def test_the_old_file_is_intact(softkd, tmp_path, tmp_path_factory, teacher, student, name, old):
    out = tmp_path / f"out{SUFFIXES.get(name, '')}"
    if old is not None:
        out.write_bytes(old)
    rows = tmp_path_factory.mktemp("rows") / "rows.npy"
    np.save(rows, np.zeros((200, 64), dtype=np.float32))
    given = {"teacher": teacher, "student": student, "rows": rows}
    command = [str(part).format(**given) for part in COMMANDS[name]]
    with largest_file(1000):
        result = softkd(*command, "--out", out, "--force")
    assert result.exit_code == 1, result.output
    said = [line for line in result.stderr.splitlines() if line.startswith("Error")]
    assert len(said) == 1
    assert "file too large" in said[0].lower()
    assert ("nothing was written" if old is None else "old file is intact") in said[0]
    assert [path.name for path in tmp_path.iterdir()] == ([] if old is None else [out.name])
    if old is not None:
        assert out.read_bytes() == old
