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
