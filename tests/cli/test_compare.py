"""Several students side by side: files, ranking, interruptions, bad usage."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from soft_students import load
from soft_students.datasets import load_dataset

STUDENTS = ("--students", "tree,logistic", "--set", "tree.max_depth=3", "--jobs", "1")


@pytest.fixture(scope="module")
def compared(done, teacher, tmp_path_factory):
    out = tmp_path_factory.mktemp("compare") / "out"
    return done("compare", "--teacher", teacher, *STUDENTS, "--out", out), out


def test_files_and_tables(compared):
    result, out = compared
    assert {path.name for path in out.iterdir()} == {
        "comparison.json", "results.json", "answers.npz", "tree.student", "tree.json",
        "logistic.student", "logistic.json",
    }  # fmt: skip
    held = json.loads((out / "results.json").read_text("utf-8"))
    winner = held["ranking"]["winner"]
    assert f"1. {winner}" in result.stdout
    assert f"{winner} wins" in result.stdout
    assert "450 test rows, used once and for no choice" in result.stdout
    assert held["students"]["tree"]["parameters"]["max_depth"] == 3
    assert held["ranking"]["weights"] == pytest.approx(
        {"accuracy": 0.4, "latency_us": 0.3, "bytes": 0.3}
    )
    assert held["command"].split()[0] == "softkd"  # of the test runner, the arguments are others
    assert held["data"]["origin"]["data"] == "digits"
    digits = load_dataset("digits")
    for name, of in held["students"].items():
        on_test = np.mean(load(out / f"{name}.student").predict(digits.X_test) == digits.y_test)
        assert of["test"]["accuracy"]["value"] == on_test
    assert "trained" in result.stderr


def test_again_trains_what_is_missing_or_has_changed(done, teacher, compared, tmp_path):
    _, first = compared
    out = tmp_path / "out"
    out.mkdir()
    for path in first.iterdir():
        (out / path.name).write_bytes(path.read_bytes())
    arguments = ("compare", "--teacher", teacher, *STUDENTS, "--out", out, "--json")
    (out / "tree.json").unlink()
    again = done(*arguments)
    told = json.loads(again.stdout)["students"]
    assert {name: of["resumed"] for name, of in told.items()} == {"tree": False, "logistic": True}
    assert "logistic kept from an earlier run" in again.stderr
    told = json.loads(done(*arguments, "--set", "tree.max_depth=4").stdout)["students"]
    assert {name: of["resumed"] for name, of in told.items()} == {"tree": False, "logistic": True}
    assert told["tree"]["parameters"]["max_depth"] == 4


def test_killed_halfway_it_trains_only_what_is_missing(done, teacher, tmp_path):
    out = tmp_path / "out"
    slow = ("--set", "soft_tree.transfer=null", "--set", "soft_tree.epochs=100000")
    quick = ("--set", "soft_tree.transfer=null", "--set", "soft_tree.epochs=1")
    arguments = (
        "compare", "--teacher", str(teacher), "--students", "tree,logistic,soft_tree",
        "--out", str(out), "--jobs", "1",
    )  # fmt: skip
    process = subprocess.Popen(
        (sys.executable, "-m", "softkd", *arguments, *slow), stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 300
    while not (out / "logistic.json").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    assert not (out / "results.json").exists()
    assert not (out / "soft_tree.student").exists()
    told = json.loads(done(*arguments, *quick, "--json").stdout)["students"]
    assert {name: of["resumed"] for name, of in told.items()} == {
        "tree": True, "logistic": True, "soft_tree": False,
    }  # fmt: skip


def test_one_that_fails_is_reported_and_the_others_are_ranked(done, teacher, tmp_path):
    bad = ("--students", "tree,neural", "--set", "neural.input_shape=(1,3,3)", "--jobs", "1")
    result = done("compare", "--teacher", teacher, *bad, "--out", tmp_path / "b")
    assert "neural failed: ValueError" in result.stderr
    assert "Failed: neural" in result.stdout
    held = json.loads((tmp_path / "b" / "results.json").read_text("utf-8"))
    assert held["students"]["neural"]["status"] == "failed"
    assert held["ranking"]["order"] == ["tree"]


def test_all_failed_is_a_failure(softkd, teacher, tmp_path):
    bad = ("--students", "neural", "--set", "neural.input_shape=(1,3,3)")
    result = softkd("compare", "--teacher", teacher, *bad, "--out", tmp_path / "c")
    assert result.exit_code == 1
    assert "All students failed. neural: ValueError" in result.stderr.splitlines()[-1]


def test_limits(done, softkd, teacher, compared):
    _, out = compared
    arguments = ("compare", "--teacher", teacher, *STUDENTS, "--out", out)
    accuracies = {
        name: of["validation"]["accuracy"]["value"]
        for name, of in json.loads((out / "results.json").read_text("utf-8"))["students"].items()
    }
    assert accuracies["tree"] < 0.8 < accuracies["logistic"]
    result = done(*arguments, "--min-accuracy", 0.8)
    assert "Excluded: tree: accuracy 0." in result.stdout
    refused = softkd(*arguments, "--min-accuracy", 0.8, "--max-bytes", 10)
    assert refused.exit_code == 1
    last = refused.stderr.splitlines()[-1]
    assert "All 2 students are excluded" in last
    assert "tree: bytes 3," in last
    assert ", accuracy 0." in last
    assert "logistic: bytes 6," in last
    assert f"'softkd report {out}' shows by how much each misses the limits." in last
    page = out.parent / "none.html"
    done("report", out, "--out", page)
    assert "no student meets the limits" in page.read_text("utf-8")
    done(*arguments)


def test_weights_are_normalised_and_it_says_so(done, teacher, compared):
    _, out = compared
    arguments = ("compare", "--teacher", teacher, *STUDENTS, "--out", out)
    result = done(*arguments, "--criteria", "accuracy=4,size=1", "--rank", "index")
    assert "Note: The weights sum to 5, not to 1: each was divided by that." in result.stdout
    result = done(*arguments, "--criteria", "accuracy,ece", "--json")
    assert json.loads(result.stdout)["ranking"]["weights"] == {"accuracy": 0.5, "ece": 0.5}
    judged = ("--rank", "ahp", "--judgements", "accuracy:latency=3,latency:size=1,accuracy:size=3")
    told = json.loads(done(*arguments, *judged, "--json").stdout)
    assert told["ranking"]["weights"]["accuracy"] == pytest.approx(0.6)
    assert told["judgements"]["consistency_ratio"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--students", "tre"), 2, "Did you mean 'tree'"),
        (("--students", "tree,tree"), 2, "named twice"),
        (("--criteria", "acuracy=1"), 2, "Did you mean 'accuracy'"),
        (("--criteria", "accuracy=x"), 2, "no number"),
        (("--criteria", "accuracy=1,size"), 2, "to each criterion, or to none"),
        (("--criteria", "size=1,bytes=1"), 2, "named twice"),
        (("--criteria", "accuracy=-1"), 1, "must be 0 or more"),
        (("--criteria", "r2=1"), 1, "is for regression"),
        (("--rank", "ahp"), 2, "needs --judgements"),
        (("--judgements", "accuracy=3"), 2, "not of the form one:two=value"),
        (("--judgements", "accuracy:size=3", "--criteria", "size=1"), 2, "exclude each other"),
        (
            ("--judgements", "accuracy:size=9,size:latency=9,latency:accuracy=9"),
            1,
            "contradict each other",
        ),
        (("--set", "max_depth=3"), 2, "name one of the students first"),
        (("--set", "tree.max_dept=3"), 2, "Did you mean 'max_depth'"),
        (("--validation-fraction", "1"), 2, "--validation-fraction"),
    ],
)
def test_bad_input(softkd, teacher, tmp_path, arguments, code, message):
    out = tmp_path / "out"
    result = softkd("compare", "--teacher", teacher, *STUDENTS, "--out", out, *arguments)
    assert result.exit_code == code
    assert message in " ".join(result.stderr.split())
    assert not out.exists()
    if code == 1:
        assert result.stderr.splitlines()[-1].startswith("Error: ")


def test_a_folder_of_other_things_is_left_alone(softkd, teacher, tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    result = softkd("compare", "--teacher", teacher, *STUDENTS, "--out", tmp_path)
    assert result.exit_code == 1
    assert "contains files that are not of a comparison" in result.stderr
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_a_table_of_labels(done, table_teacher, tmp_path):
    arguments = ("--students", "tree,logistic", "--out", tmp_path / "out", "--jobs", "2")
    told = json.loads(done("compare", "--teacher", table_teacher, *arguments, "--json").stdout)
    assert told["data"]["feature_names"]
    assert told["students"]["tree"]["status"] == "trained"


def test_ratios_to_a_reference(done, softkd, teacher, compared):
    _, out = compared
    arguments = ("compare", "--teacher", teacher, *STUDENTS, "--out", out, "--rank", "mean_index")
    done(*arguments, "--criteria", "accuracy,size", "--reference", "accuracy=0.5,size=1000")
    ranking = json.loads((out / "results.json").read_text("utf-8"))["ranking"]
    assert ranking["reference"] == {"accuracy": 0.5, "bytes": 1000}
    refused = softkd(*arguments, "--reference", "accuracy")
    assert refused.exit_code == 2
    assert "--reference needs a value for each criterion" in refused.stderr
