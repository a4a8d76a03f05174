"""What a command leaves when it is interrupted, and how --resume goes on with it."""

import pytest

from soft_students.persistence.checkpoints import Checkpoint
from soft_students.students.classical import boosting_rounds
from soft_students.students.soft_tree import base
from soft_students.teachers import training

SLOW = {
    "soft_tree": ("--depth", 3, "--epochs", 4, "--transfer", "none", "--no-baseline"),
    "neural": ("--module", "mlp", "--epochs", 3, "--no-baseline"),
    "xgboost": ("--set", "n_estimators=4", "--set", "n_jobs=1", "--no-baseline"),
}


@pytest.fixture(autouse=True)
def _every_epoch(monkeypatch):
    monkeypatch.setattr(base, "CHECKPOINT_INTERVAL", 0.0)
    monkeypatch.setattr(boosting_rounds, "CHECKPOINT_INTERVAL", 0.0)
    monkeypatch.setattr(training, "CHECKPOINT_INTERVAL", 0.0)


@pytest.fixture
def interrupted(softkd, monkeypatch):
    """Return a function that runs the command and presses Ctrl-C at its second checkpoint."""

    def run(*arguments):
        write, written = Checkpoint.write, []

        def counted(self, *values):
            write(self, *values)
            written.append(values)
            if len(written) == 2:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(Checkpoint, "write", counted)
            result = softkd(*arguments)
        assert result.exit_code == 130
        return result

    return run


@pytest.mark.parametrize("student", SLOW)
def test_distill_goes_on(done, interrupted, softkd, teacher, tmp_path, student):
    command = ("distill", "--teacher", teacher, "--student", student, *SLOW[student])
    done(*command, "--out", tmp_path / "whole.student")
    out = tmp_path / "parts.student"
    interrupted(*command, "--out", out)
    assert not out.exists()
    refused = softkd(*command, "--out", out)
    assert refused.exit_code == 1
    assert "Pass --resume to go on with it, or --force to begin anew" in refused.stderr
    done(*command, "--out", out, "--resume")
    assert out.read_bytes() == (tmp_path / "whole.student").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"parts.student", "whole.student"}


def test_other_settings_are_no_continuation(interrupted, softkd, done, teacher, tmp_path):
    out = tmp_path / "s.student"
    command = ("distill", "--teacher", teacher, *SLOW["soft_tree"], "--out", out)
    interrupted(*command)
    result = softkd(*command, "--seed", 1, "--resume")
    assert result.exit_code == 1
    assert "other parameters or other data" in result.stderr
    assert result.stderr.count("Error") == 1
    done(*command, "--seed", 1, "--force")
    assert [path.name for path in tmp_path.iterdir()] == ["s.student"]


def test_teach_goes_on(done, interrupted, tmp_path):
    command = ("teach", "--data", "digits", "--arch", "mlp", "--epochs", 4)
    done(*command, "--out", tmp_path / "whole.pt")
    interrupted(*command, "--out", tmp_path / "parts.pt")
    done(*command, "--out", tmp_path / "parts.pt", "--resume")
    assert (tmp_path / "parts.pt").read_bytes() == (tmp_path / "whole.pt").read_bytes()


def test_students_without_a_checkpoint_begin_anew(done, teacher, tmp_path):
    command = ("distill", "--teacher", teacher, "--student", "tree", "--no-baseline", "--resume")
    done(*command, "--out", tmp_path / "tree.student")
    assert [path.name for path in tmp_path.iterdir()] == ["tree.student"]
