"""The command line end to end, on digits and a small table, with settings that train in seconds."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from sklearn.datasets import load_iris

from softkd.__main__ import main

MEASURES = {"accuracy", "agreement", "kl_to_teacher", "bytes", "latency_us"}
FAST = ["--depth", "3", "--epochs", "3", "--transfer", "none"]


def softkd(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Hold a teacher of digits, and a table with string labels with its own teacher."""
    folder = tmp_path_factory.mktemp("cli")
    result = softkd(
        "teach", "--data", "digits", "--arch", "mlp", "--epochs", 8, "--out", folder / "t.pt"
    )
    assert result.exit_code == 0, result.output
    iris = load_iris(as_frame=True)
    table = iris.data.assign(species=iris.target_names[iris.target])
    table.to_csv(folder / "iris.csv", index=False)
    result = softkd(
        "teach", "--data", folder / "iris.csv", "--target", "species", "--epochs", 30,
        "--out", folder / "iris.pt",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    return folder


def test_distill_takes_the_data_from_the_teacher_and_compares_with_labels(folder):
    out = folder / "tree.student"
    result = softkd(
        "distill", "--teacher", folder / "t.pt", "--student", "soft_tree", *FAST, "--out", out
    )
    assert result.exit_code == 0, result.output
    assert "labels alone" in result.stdout
    assert "teacher: mlp" in result.stdout
    assert out.exists()


def test_json_has_stable_keys_and_is_all_of_stdout(folder):
    out = folder / "json.student"
    result = softkd("distill", "--teacher", folder / "t.pt", *FAST, "--out", out, "--json")
    assert result.exit_code == 0, result.output
    parsed = json.loads(result.stdout)
    for row in (parsed, parsed["teacher"], parsed["labels"]):
        assert set(row) >= MEASURES
    assert parsed["bytes"] == out.stat().st_size
    assert set(parsed["accuracy_by_prediction"]) == {"expectation", "greatest_path", "greedy"}
    assert parsed["accuracy_by_prediction"]["expectation"] == parsed["accuracy"]
    assert parsed["parameters"]["depth"] == 3
    evaluated = softkd("evaluate", "--model", out, "--teacher", folder / "t.pt", "--json")
    measured = json.loads(evaluated.stdout)
    assert measured["accuracy"] == parsed["accuracy"]
    assert measured["kl_to_teacher"] == pytest.approx(parsed["kl_to_teacher"])


def test_images_get_a_transfer_set_that_options_can_turn_off(folder):
    arguments = ["distill", "--teacher", folder / "t.pt", "--depth", 2, "--epochs", 1, "--json"]
    with_transfer = json.loads(softkd(*arguments, "--out", folder / "a.student").stdout)
    without = json.loads(
        softkd(*arguments, "--transfer", "none", "--out", folder / "b.student").stdout
    )
    assert "ImageDistortion" in with_transfer["parameters"]["transfer"]
    assert "labels_transfer" in with_transfer
    assert without["parameters"]["transfer"] is None
    assert "labels_transfer" not in without


def test_a_table_with_string_labels_from_end_to_end(folder):
    out = folder / "iris.student"
    result = softkd(
        "distill", "--teacher", folder / "iris.pt", "--depth", 2, "--epochs", 200, "--out", out,
        "--set", "batch_size=64", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["accuracy"] > 0.8
    table = pd.read_csv(folder / "iris.csv")
    # columns in another order, and the target still there: they are found by name
    table[table.columns[::-1]].to_csv(folder / "shuffled.csv", index=False)
    straight = softkd("predict", "--model", out, "--data", folder / "iris.csv", "--proba")
    shuffled = softkd("predict", "--model", out, "--data", folder / "shuffled.csv", "--proba")
    assert straight.exit_code == 0, straight.output
    assert straight.stdout == shuffled.stdout
    lines = straight.stdout.splitlines()
    assert len(lines) == 151
    assert lines[0].startswith("prediction,probability_setosa,")
    assert {line.split(",")[0] for line in lines[1:]} <= {"setosa", "versicolor", "virginica"}


def test_predict_says_which_columns_are_missing(folder):
    out = folder / "missing.student"
    softkd("distill", "--teacher", folder / "iris.pt", *FAST, "--no-baseline", "--out", out)
    table = pd.read_csv(folder / "iris.csv").drop(columns="petal width (cm)")
    table.to_csv(folder / "fewer.csv", index=False)
    result = softkd("predict", "--model", out, "--data", folder / "fewer.csv")
    assert result.exit_code == 1
    assert "petal width (cm)" in result.stderr


def test_missing_values_in_a_table_are_refused(folder):
    table = pd.read_csv(folder / "iris.csv")
    table.iloc[3, 0] = np.nan
    table.to_csv(folder / "nan.csv", index=False)
    result = softkd(
        "distill", "--teacher", folder / "iris.pt", "--data", folder / "nan.csv",
        "--target", "species", "--out", folder / "nan.student",
    )  # fmt: skip
    assert result.exit_code == 1
    assert "NaN" in result.stderr
    assert not (folder / "nan.student").exists()


def test_existing_output_is_refused_before_training_and_kept(folder):
    out = folder / "kept.student"
    out.write_text("precious")
    result = softkd("distill", "--teacher", folder / "t.pt", *FAST, "--out", out)
    assert result.exit_code == 1
    assert "--force" in result.stderr
    assert out.read_text() == "precious"
    assert softkd("teach", "--data", "digits", "--out", out).exit_code == 1
    assert out.read_text() == "precious"
    forced = softkd("distill", "--teacher", folder / "t.pt", *FAST, "--out", out, "--force")
    assert forced.exit_code == 0
    assert out.read_bytes()[:2] == b"PK"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_unwritable_folder_is_refused_before_training(folder):
    locked = folder / "locked"
    locked.mkdir(mode=0o500)
    result = softkd("distill", "--teacher", folder / "t.pt", "--out", locked / "x.student")
    assert result.exit_code == 1
    assert "Cannot write" in result.stderr


def test_output_below_a_file_is_refused_before_training(folder):
    result = softkd("distill", "--teacher", folder / "t.pt", "--out", folder / "t.pt" / "x")
    assert result.exit_code == 1
    assert len(result.stderr.strip().splitlines()) == 1


class _Payload:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


def test_a_pickle_as_teacher_does_not_run_without_trust(folder):
    marker, path = folder / "ran", folder / "pickle.pt"
    torch.save(_Payload(marker), path)
    for write in (
        lambda: torch.save(_Payload(marker), path),
        lambda: path.write_bytes(pickle.dumps(_Payload(marker))),
    ):
        write()
        result = softkd("distill", "--teacher", path, "--data", "digits")
        assert result.exit_code == 1
        assert "--trust" in result.stderr
        assert not marker.exists()


def test_a_corrupt_teacher_is_one_line(folder):
    whole = (folder / "t.pt").read_bytes()
    for name, content in {"half.pt": whole[: len(whole) // 2], "text.pt": b"hello"}.items():
        (folder / name).write_bytes(content)
        result = softkd("distill", "--teacher", folder / name, "--data", "digits")
        assert result.exit_code == 1
        assert len(result.stderr.strip().splitlines()) == 1
        assert name in result.stderr


def test_a_teacher_of_other_features_is_refused(folder):
    result = softkd(
        "distill", "--teacher", folder / "t.pt", "--data", folder / "iris.csv",
        "--target", "species", "--out", folder / "never.student",
    )  # fmt: skip
    assert result.exit_code == 1
    assert "4 features" in result.stderr
    assert "64 features" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["distill", "--teacher", "t.pt", "--student", "soft_treee"], "soft_tree"),
        (["distill", "--teacher", "t.pt", "--depth", "99"], "16"),
        (["distill", "--teacher", "t.pt", "--set", "depth"], "name=value"),
        (["distil"], "distill"),
        (["teach", "--out", "t.pt"], "--data"),
        (["distill"], "--teacher"),
    ],
)
def test_bad_usage_exits_2_and_says_what_would_do(arguments, hint):
    result = softkd(*arguments)
    assert result.exit_code == 2
    assert hint in result.stderr


def test_an_unknown_parameter_names_the_nearest(folder):
    result = softkd("distill", "--teacher", folder / "t.pt", "--set", "batchsize=3")
    assert result.exit_code == 2
    assert "'batch_size'" in result.stderr


def test_a_bad_value_is_explained_by_the_student(folder):
    result = softkd(
        "distill", "--teacher", folder / "t.pt", "--set", "penalty=-1",
        "--out", folder / "bad.student",
    )  # fmt: skip
    assert result.exit_code == 1
    assert "'penalty' parameter of SoftDecisionTreeClassifier" in result.stderr


def test_debug_shows_the_traceback(folder):
    (folder / "broken.pt").write_bytes(b"hello")
    result = softkd("--debug", "distill", "--teacher", folder / "broken.pt", "--data", "digits")
    assert result.exit_code == 1
    assert isinstance(result.exception, ValueError)


def test_info_describes_both_kinds_of_file(folder):
    teacher = json.loads(softkd("info", folder / "t.pt", "--json").stdout)
    assert (teacher["kind"], teacher["features"]) == ("teacher", 64)
    assert 0.5 < teacher["accuracy"]["test"] <= 1
    out = folder / "info.student"
    softkd("distill", "--teacher", folder / "t.pt", *FAST, "--no-baseline", "--out", out)
    student = json.loads(softkd("info", out, "--json").stdout)
    assert (student["kind"], student["class"]) == ("student", "SoftDecisionTreeClassifier")
    assert student["parameters"]["depth"] == 3
    assert "soft_tree" in softkd("students").stdout
    assert set(json.loads(softkd("datasets", "--json").stdout)) >= {"digits", "mnist"}


def test_a_state_dict_needs_a_factory_from_the_current_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "mynet.py").write_text(
        "import torch\n\n\ndef make():\n    return torch.nn.Linear(64, 10)\n"
    )
    torch.save(torch.nn.Linear(64, 10).state_dict(), folder / "state.pt")
    arguments = ["distill", "--teacher", "state.pt", "--data", "digits", *FAST, "--no-baseline"]
    refused = softkd(*arguments, "--out", "s1.student")
    assert refused.exit_code == 1
    assert "--arch" in refused.stderr
    taken = softkd(*arguments, "--arch", "mynet:make", "--out", "s2.student")
    assert taken.exit_code == 0, taken.output


def test_interrupting_training_leaves_no_file(folder):
    out = folder / "interrupted.student"
    process = subprocess.Popen(
        [
            sys.executable, "-m", "softkd", "distill", "--teacher", folder / "t.pt",
            "--epochs", "100000", "--out", out,
        ],
        stderr=subprocess.PIPE,
        text=True,
        # a job in the background of a shell starts with SIGINT ignored, and would pass that on
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert process.stderr is not None
    process.stderr.readline()  # "Data: ...": the work begins
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Aborted" in errors
    assert "Traceback" not in errors
    assert not out.exists()
    assert not list(folder.glob(".*interrupted*")) + list(folder.glob("*.tmp"))
