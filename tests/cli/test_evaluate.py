"""Measures of a student that was written earlier."""

import json

import numpy as np
import pytest

from soft_students import load, save
from soft_students.datasets import load_dataset

MEASURES = {"accuracy", "agreement", "kl_to_teacher", "bytes", "latency_us"}


def test_it_measures_what_distill_measured(done, teacher, fast, tmp_path):
    out = tmp_path / "s"
    distilled = json.loads(
        done("distill", "--teacher", teacher, *fast, "--no-baseline", "--out", out, "--json").stdout
    )
    said = json.loads(done("evaluate", "--model", out, "--teacher", teacher, "--json").stdout)
    assert set(said) == MEASURES | {"teacher", "data", "test_rows", "model", "threads"}
    for key in ("accuracy", "agreement", "bytes"):
        assert said[key] == distilled[key]
        assert said["teacher"][key] == distilled["teacher"][key]
    assert said["kl_to_teacher"] == pytest.approx(distilled["kl_to_teacher"])
    assert said["test_rows"] == 450


def test_without_a_teacher_fidelity_is_unknown(done, student):
    said = json.loads(done("evaluate", "--model", student, "--data", "digits", "--json").stdout)
    digits = load_dataset("digits")
    assert said["accuracy"] == np.mean(load(student).predict(digits.X_test) == digits.y_test)
    assert said["agreement"] is None
    assert "teacher" not in said
    printed = done("evaluate", "--model", student, "--data", "digits").stdout
    assert "digits: 450 test rows" in printed


def test_columns_are_found_by_name(done, table_teacher, table_student, table, reversed_table):
    straight, turned = (
        json.loads(
            done(
                "evaluate", "--model", table_student, "--teacher", table_teacher, "--data", data,
                "--target", "species", "--json",
            ).stdout
        )
        for data in (table, reversed_table)
    )  # fmt: skip
    assert straight["teacher"]["accuracy"] == turned["teacher"]["accuracy"] > 0.8
    for key in ("accuracy", "agreement", "kl_to_teacher"):
        assert straight[key] == turned[key]


def test_a_student_remembers_its_data(softkd, done, student, tmp_path):
    said = json.loads(done("evaluate", "--model", student, "--json").stdout)
    assert said["data"] == "digits"
    silent = tmp_path / "silent.student"
    save(load(student), silent)
    result = softkd("evaluate", "--model", silent)
    assert result.exit_code == 2
    assert "--data" in result.stderr


def test_other_data_than_the_students_are_refused(softkd, student, table):
    result = softkd("evaluate", "--model", student, "--data", table, "--target", "species")
    assert result.exit_code == 1
    assert "4 features" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.fixture(scope="module")
def stump(done, teacher, tmp_path_factory):
    path = tmp_path_factory.mktemp("students") / "stump.student"
    settings = ("--student", "tree", "--set", "max_depth=2", "--no-baseline")
    done("distill", "--teacher", teacher, *settings, "--out", path)
    return path


def test_several_students_are_measured_side_by_side(done, teacher, student, stump):
    arguments = ("evaluate", "--model", student, "--model", stump, "--teacher", teacher)
    said = json.loads(done(*arguments, "--json").stdout)
    assert set(said) == {"models", "teacher", "data", "test_rows", "threads"}
    assert list(said["models"]) == ["digits", "stump"]
    alone = json.loads(done("evaluate", "--model", stump, "--teacher", teacher, "--json").stdout)
    for key in ("accuracy", "agreement", "kl_to_teacher", "bytes"):
        assert said["models"]["stump"][key] == alone[key]
        assert said["teacher"][key] == alone["teacher"][key]
    printed = done(*arguments).stdout.splitlines()
    assert [line.split()[0] for line in printed[3:6]] == ["teacher:", "digits", "stump"]


def test_full_has_all_metrics_and_their_intervals(done, teacher, student, stump):
    arguments = ("evaluate", "--model", student, "--model", stump, "--teacher", teacher, "--full")
    said = json.loads(done(*arguments, "--bootstrap", 50, "--json").stdout)
    assert set(said) == {
        "rows", "mcnemar", "disagreements", "confidence", "models", "data", "test_rows", "threads",
    }  # fmt: skip
    digits = load_dataset("digits")
    values = {(row["model"], row["metric"]): row for row in said["rows"]}
    accuracy = values["stump", "accuracy"]
    assert accuracy["value"] == np.mean(load(stump).predict(digits.X_test) == digits.y_test)
    assert accuracy["low"] < accuracy["value"] < accuracy["high"]
    assert accuracy["direction"] == "higher"
    assert values["teacher", "parameters"]["value"] > values["digits", "parameters"]["value"]
    for metric in ("ece", "brier_score", "flops", "throughput", "kl_to_teacher"):
        assert values["digits", metric]["value"] > 0
    (test,) = said["mcnemar"]
    assert (test["first"], test["second"]) == ("digits", "stump")
    right = [load(path).predict(digits.X_test) == digits.y_test for path in (student, stump)]
    assert test["only_second"] == np.sum(right[1] & ~right[0])
    differing = said["disagreements"]["stump"]
    assert differing["count"] == round((1 - values["stump", "agreement"]["value"]) * 450)
    assert len(differing["examples"]) == 5
    assert all(each["student"] != each["teacher"] for each in differing["examples"])


def test_full_is_printed_metric_by_metric(done, teacher, student, stump):
    arguments = ("--model", student, "--model", stump, "--teacher", teacher, "--full")
    printed = done("evaluate", *arguments, "--bootstrap", 20).stdout
    assert "95% intervals" in printed
    for words in ("accuracy ↑", "adaptive ECE ↓", "FLOPs/row ↓", "rows/s ↑", "McNemar: digits"):
        assert words in printed
    assert "stump and the teacher predict different classes on" in printed
    without = done("evaluate", "--model", student, "--full", "--bootstrap", 0).stdout
    assert "intervals" not in without
    assert "teacher" not in without


def test_full_of_a_table_finds_columns_by_name(done, table_teacher, table_student, reversed_table):
    said = json.loads(
        done(
            "evaluate", "--model", table_student, "--teacher", table_teacher, "--data",
            reversed_table, "--target", "species", "--full", "--bootstrap", 0, "--json",
        ).stdout
    )  # fmt: skip
    values = {(row["model"], row["metric"]): row["value"] for row in said["rows"]}
    assert values["teacher", "accuracy"] > 0.8
    assert values["iris", "accuracy"] > 0.8


def test_bad_usage_of_full(softkd, student):
    result = softkd("evaluate", "--model", student, "--bootstrap", 10)
    assert result.exit_code == 2
    assert "Add --full" in result.stderr
    result = softkd("evaluate", "--model", student, "--model", student)
    assert result.exit_code == 2
    assert "twice" in result.stderr


def test_students_of_the_same_name_are_told_apart_by_their_paths(done, student, tmp_path):
    other = tmp_path / "digits.student"
    other.write_bytes(student.read_bytes())
    said = json.loads(done("evaluate", "--model", student, "--model", other, "--json").stdout)
    assert list(said["models"]) == [str(student), str(other)]
