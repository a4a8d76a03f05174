"""What the commands say of files, students, data sets and themselves."""

import json
from importlib.metadata import version

import pytest

from softkd.shell import main


def test_info_describes_a_teacher(done, teacher):
    said = json.loads(done("info", teacher, "--json").stdout)
    assert (said["kind"], said["name"], said["features"]) == ("teacher", "mlp", 64)
    assert said["bytes"] == teacher.stat().st_size
    assert said["classes"] == list(range(10))
    assert 0.5 < said["accuracy"]["test"] <= 1
    assert said["data"]["name"] == "digits"
    assert "scikit-learn load_digits" in done("info", teacher).stdout


def test_info_describes_a_student(done, table_student):
    said = json.loads(done("info", table_student, "--json").stdout)
    assert (said["kind"], said["class"]) == ("student", "SoftDecisionTreeClassifier")
    assert said["classes"] == ["setosa", "versicolor", "virginica"]
    assert "petal width (cm)" in said["feature_names"]
    assert said["parameters"]["depth"] == 2
    assert "depth: 2" in done("info", table_student).stdout


def test_info_says_why_a_file_is_neither(softkd, tmp_path):
    for name in ("broken.student", "broken.pt"):
        (tmp_path / name).write_bytes(b"hello")
        result = softkd("info", tmp_path / name)
        assert result.exit_code == 1
        assert name in result.stderr
        assert result.stderr.count("\n") == 1
    assert softkd("info", tmp_path / "nowhere").exit_code == 1


def test_the_catalogues_are_listed(done):
    said = json.loads(done("students", "--json").stdout)
    assert said["soft_tree"]["classifier"] == "SoftDecisionTreeClassifier"
    assert "SoftDecisionTreeRegressor" in done("students").stdout
    assert set(json.loads(done("datasets", "--json").stdout)) >= {"digits", "mnist"}
    assert "fashion_mnist" in done("datasets").stdout


def test_the_version_is_that_of_the_distribution(done):
    assert version("soft-students") in done("--version").stdout


@pytest.mark.parametrize("command", [[], *([name] for name in main.list_commands(None))])
def test_every_command_explains_itself(done, command):
    text = done(*command, "--help").stdout
    assert text.startswith("Usage:")
    assert "\\" not in text
