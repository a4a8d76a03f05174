"""Teachers from the command line."""

import json

import numpy as np
import pytest

from soft_students.datasets import load_dataset
from soft_students.teachers import EnsembleTeacher, load_teacher, training

KEYS = {
    "accuracy",
    "validation_accuracy",
    "teacher",
    "members",
    "data",
    "out",
    "bytes",
    "seconds",
    "threads",
    "seed",
    "versions",
}


def test_json_is_all_of_stdout_and_tells_what_the_file_holds(done, tmp_path):
    out = tmp_path / "t.pt"
    arguments = ("--data", "digits", "--epochs", 1, "--threads", 1, "--seed", 3, "--json")
    said = json.loads(done("teach", *arguments, "--out", out).stdout)
    assert set(said) == KEYS
    assert (said["teacher"], said["threads"], said["seed"]) == ("cnn", 1, 3)
    assert said["bytes"] == out.stat().st_size
    digits, teacher = load_dataset("digits"), load_teacher(out)
    assert said["accuracy"] == np.mean(teacher.predict(digits.X_test) == digits.y_test)
    assert teacher.record.accuracy == {
        "test": said["accuracy"],
        "validation": said["validation_accuracy"],
    }
    assert teacher.record.data["data"] == "digits"
    assert teacher.record.data["source"] == digits.source


def test_several_seeds_are_an_ensemble(done, tmp_path):
    out = tmp_path / "two.pt"
    arguments = ("--data", "digits", "--arch", "mlp", "--epochs", 1, "--seeds", 2)
    printed = done("teach", *arguments, "--out", out).stdout
    assert "mlp on digits, test accuracy" in printed
    teacher = load_teacher(out)
    assert isinstance(teacher, EnsembleTeacher)
    first, second = (member.record.seed for member in teacher.members)
    assert first != second
    assert json.loads(done("info", out, "--json").stdout)["members"] == 2


def test_the_seed_decides_everything(done, tmp_path):
    X = load_dataset("digits").X_test
    answers = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        arguments = ("--data", "digits", "--arch", "mlp", "--epochs", 1, "--seed", seed)
        done("teach", *arguments, "--out", tmp_path / name)
        answers.append(load_teacher(tmp_path / name).logits(X))
    np.testing.assert_array_equal(answers[0], answers[1])
    assert not np.array_equal(answers[0], answers[2])


def test_a_table_of_values_is_refused(softkd, tmp_path, iris):
    iris.drop(columns="species").to_csv(tmp_path / "values.csv", index=False)
    result = softkd(
        "teach", "--data", tmp_path / "values.csv", "--target", "petal width (cm)",
        "--out", tmp_path / "t.pt",
    )  # fmt: skip
    assert result.exit_code == 1
    assert "trains classifiers" in result.stderr


def test_a_table_without_target_lists_its_columns(softkd, tmp_path, table):
    result = softkd("teach", "--data", table, "--out", tmp_path / "t.pt")
    assert result.exit_code == 1
    assert "--target" in result.stderr
    assert "'species'" in result.stderr


def test_ctrl_c_in_training_leaves_no_file(softkd, tmp_path, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "run_stages", interrupted)
    result = softkd("teach", "--data", "digits", "--out", tmp_path / "t.pt")
    assert result.exit_code == 130
    assert "Interrupted" in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["digit", "mnits"])
def test_an_unknown_data_set_names_the_nearest(softkd, tmp_path, name):
    result = softkd("teach", "--data", name, "--out", tmp_path / "t.pt")
    assert result.exit_code == 1
    assert "Did you mean" in result.stderr
