"""What goes wrong is one line on stderr, before any work, and nothing is lost."""

import os
import pickle
from pathlib import Path

import pytest
import torch

from soft_students.comparison import distillation


def one_line(result):
    return result.stderr.startswith("Error: ") and result.stderr.count("\n") == 1


@pytest.fixture
def untouched(monkeypatch):
    """Fail if anything is trained."""

    def trains(*args, **kwargs):
        raise AssertionError("Training began.")

    monkeypatch.setattr("soft_students.teachers.training.run_stages", trains)
    monkeypatch.setattr("soft_students.students.SoftDecisionTreeClassifier.fit", trains)


@pytest.mark.parametrize("command", ["teach", "distill"])
def test_existing_output_is_refused_before_training(softkd, untouched, teacher, tmp_path, command):
    out = tmp_path / "kept"
    out.write_text("precious")
    source = ("--data", "digits") if command == "teach" else ("--teacher", teacher)
    result = softkd(command, *source, "--out", out)
    assert result.exit_code == 1
    assert one_line(result)
    assert "--force" in result.stderr
    assert out.read_text() == "precious"


def test_the_default_output_is_not_replaced_either(
    softkd, untouched, teacher, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("soft_tree-digits.student").write_text("precious")
    result = softkd("distill", "--teacher", teacher)
    assert result.exit_code == 1
    assert "soft_tree-digits.student" in result.stderr
    assert Path("soft_tree-digits.student").read_text() == "precious"


def test_force_replaces_it(done, teacher, fast, tmp_path):
    out = tmp_path / "old"
    out.write_text("old")
    done("distill", "--teacher", teacher, *fast, "--no-baseline", "--out", out, "--force")
    assert out.read_bytes()[:2] == b"PK"


def test_the_teacher_is_not_replaced_by_its_student(softkd, untouched, teacher):
    before = teacher.read_bytes()
    result = softkd("distill", "--teacher", teacher, "--out", teacher, "--force")
    assert result.exit_code == 2
    assert "never replaces what it reads" in result.stderr
    assert teacher.read_bytes() == before


@pytest.mark.parametrize("out", ["{file}/x", "/proc/x", "/dev/null", "{folder}"])
def test_output_that_cannot_be_is_refused_before_training(
    softkd, untouched, teacher, tmp_path, out
):
    out = out.format(file=teacher, folder=tmp_path)
    result = softkd("distill", "--teacher", teacher, "--out", out, "--force")
    assert result.exit_code == 1
    assert one_line(result)
    assert f"'{out}'" in result.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_is_refused_before_training(softkd, untouched, teacher, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    result = softkd("distill", "--teacher", teacher, "--out", locked / "x.student")
    assert result.exit_code == 1
    assert "Cannot write" in result.stderr


class _Payload:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


@pytest.mark.parametrize("torch_made_it", [True, False])
def test_a_pickle_as_teacher_does_not_run_without_trust(softkd, tmp_path, torch_made_it):
    marker, path = tmp_path / "ran", tmp_path / "t.pt"
    if torch_made_it:
        torch.save(_Payload(marker), path)
    else:
        path.write_bytes(pickle.dumps(_Payload(marker)))
    for command in (["distill", "--data", "digits", "--teacher", path], ["info", path]):
        result = softkd(*command)
        assert result.exit_code == 1
        assert "--trust" in result.stderr
        assert one_line(result)
        assert not marker.exists()


def test_a_corrupt_teacher_is_one_line(softkd, teacher, tmp_path):
    whole = teacher.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    broken = {"half": whole[: len(whole) // 2], "flipped": flipped, "text": b"hello", "none": b""}
    for name, content in broken.items():
        path = tmp_path / f"{name}.pt"
        path.write_bytes(content)
        result = softkd("distill", "--teacher", path, "--data", "digits")
        assert result.exit_code == 1
        assert one_line(result)
        assert path.name in result.stderr


def test_a_teacher_of_other_features_is_refused(softkd, teacher, table, tmp_path):
    result = softkd(
        "distill", "--teacher", teacher, "--data", table, "--target", "species",
        "--out", tmp_path / "never",
    )  # fmt: skip
    assert result.exit_code == 1
    assert "4 features" in result.stderr
    assert "64 features" in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["distill", "--teacher", "t.pt", "--student", "soft_treee"], "soft_tree"),
        (["distill", "--teacher", "t.pt", "--dept", "3"], "--depth"),
        (["distill", "--teacher", "t.pt", "--depth", "99"], "16"),
        (["distill", "--teacher", "t.pt", "--set", "depth"], "name=value"),
        (["distill", "--teacher", "t.pt", "--input-shape", "8x8"], "1,28,28"),
        (["distil"], "distill"),
        (["teach", "--out", "t.pt"], "--data"),
        (["distill"], "--teacher"),
    ],
)
def test_bad_usage_exits_2_and_says_what_would_do(softkd, arguments, hint):
    result = softkd(*arguments)
    assert result.exit_code == 2
    assert hint in result.stderr


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("batchsize=3", "Did you mean 'batch_size'?"),
        ("penalty=-1", "'penalty' parameter of SoftDecisionTreeClassifier must be"),
        ("prediction=greed", "'greedy'"),
        ("standardize='no'", "'standardize' parameter"),
    ],
)
def test_a_setting_is_checked_by_the_student(softkd, untouched, teacher, tmp_path, setting, said):
    arguments = ("--teacher", teacher, "--out", tmp_path / "never", "--set", setting)
    result = softkd("distill", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize("value", ["[" * 100_000, "-" * 100_000, "9" * 5000, '{"a":' * 100_000])
def test_a_setting_that_python_cannot_read_is_text(softkd, untouched, teacher, tmp_path, value):
    arguments = ("--teacher", teacher, "--out", tmp_path / "never", "--set", f"depth={value}")
    result = softkd("distill", *arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("value", ["1e400/3", "1/0", "1e999999999", "1/2/3", "x", "1e-999999999/1"])
def test_judgements_that_are_no_numbers_are_refused(softkd, teacher, tmp_path, value):
    judged = f"accuracy:latency={value}"
    result = softkd(
        "compare", "--teacher", teacher, "--out", tmp_path / "never", "--rank", "ahp",
        "--judgements", judged,
    )  # fmt: skip
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr


def test_debug_shows_the_traceback(softkd, tmp_path):
    (tmp_path / "t.pt").write_bytes(b"hello")
    result = softkd("--debug", "distill", "--teacher", tmp_path / "t.pt", "--data", "digits")
    assert result.exit_code == 1
    assert isinstance(result.exception, ValueError)


def test_what_nobody_thought_of_says_how_to_learn_more(softkd, teacher, tmp_path, monkeypatch):
    def fails(*args, **kwargs):
        return {}["missing"]

    monkeypatch.setattr(distillation, "compare", fails)
    arguments = ("--teacher", teacher, "--depth", 1, "--epochs", 1, "--transfer", "none")
    result = softkd("distill", *arguments, "--no-baseline", "--out", tmp_path / "s")
    assert result.exit_code == 1
    assert "KeyError: 'missing'" in result.stderr
    assert "--debug" in result.stderr
