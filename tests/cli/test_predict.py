"""Predictions from the command line."""

import csv
import io
import json

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from soft_students import load
from soft_students.datasets import load_dataset


def test_strings_come_out_where_strings_went_in(done, table_student, table, iris):
    lines = list(
        csv.reader(io.StringIO(done("predict", "--model", table_student, "--data", table).stdout))
    )
    assert lines[0] == ["prediction"]
    predicted = [line[0] for line in lines[1:]]
    X = iris.drop(columns="species").astype(np.float32)
    assert predicted == load(table_student).predict(X).tolist()
    assert np.mean(np.array(predicted) == iris["species"]) > 0.8


def test_columns_are_found_by_name(done, table_student, table, reversed_table):
    straight, turned = (
        done("predict", "--model", table_student, "--data", path, "--proba").stdout
        for path in (table, reversed_table)
    )
    assert straight == turned


def test_columns_are_found_by_name_behind_a_pipeline_that_passes_them_through(
    done, iris, table, reversed_table, tmp_path
):
    X = iris.drop(columns="species")
    joblib.dump(
        make_pipeline("passthrough", DecisionTreeClassifier()).fit(X, iris["species"]),
        tmp_path / "tree.pkl",
    )
    arguments = ("predict", "--trust", "--model", tmp_path / "tree.pkl", "--data")
    straight, turned = (done(*arguments, path).stdout for path in (table, reversed_table))
    assert straight == turned
    assert straight.splitlines()[1:] == iris["species"].tolist()


def test_standard_input_is_read_as_csv(done, table_student, table):
    arguments = ("predict", "--model", table_student, "--proba", "--data")
    assert done(*arguments, "-", stdin=table.read_bytes()).stdout == done(*arguments, table).stdout


def test_probabilities_have_the_classes_as_names_and_sum_to_one(done, table_student, table):
    text = done("predict", "--model", table_student, "--data", table, "--proba").stdout
    frame = pd.read_csv(io.StringIO(text))
    classes = ["setosa", "versicolor", "virginica"]
    assert list(frame.columns) == ["prediction", *(f"probability_{name}" for name in classes)]
    probabilities = frame.drop(columns="prediction").to_numpy()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert frame["prediction"].tolist() == [classes[k] for k in probabilities.argmax(axis=1)]


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_arrays_are_rows(done, student, tmp_path, suffix):
    X = load_dataset("digits").X_test[:20]
    path = tmp_path / f"rows{suffix}"
    if suffix == ".npy":
        np.save(path, X)
    else:
        np.savez(path, X=X)
    said = json.loads(
        done("predict", "--model", student, "--data", path, "--proba", "--json").stdout
    )
    model = load(student)
    assert said["predictions"] == model.predict(X).tolist()
    assert said["classes"] == list(range(10))
    np.testing.assert_allclose(said["probabilities"], model.predict_proba(X), rtol=1e-6)


def test_out_is_a_file_that_is_not_replaced_unasked(softkd, done, table_student, table, tmp_path):
    arguments = ("predict", "--model", table_student, "--data", table, "--out")
    out = tmp_path / "predicted.csv"
    result = done(*arguments, out)
    assert result.stdout == ""
    assert out.read_text() == done(*arguments[:-1]).stdout
    out.write_text("precious")
    assert softkd(*arguments, out).exit_code == 1
    assert out.read_text() == "precious"
    done(*arguments, out, "--force")
    assert out.read_text().startswith("prediction\n")


def test_an_input_is_not_replaced_even_if_asked(softkd, table_student, tmp_path, iris):
    rows = tmp_path / "rows.csv"
    iris.to_csv(rows, index=False)
    before = rows.read_bytes()
    result = softkd("predict", "--model", table_student, "--data", rows, "--out", rows, "--force")
    assert result.exit_code == 2
    assert rows.read_bytes() == before


def test_missing_columns_are_named(softkd, table_student, tmp_path, iris):
    iris.drop(columns="petal width (cm)").to_csv(tmp_path / "fewer.csv", index=False)
    result = softkd("predict", "--model", table_student, "--data", tmp_path / "fewer.csv")
    assert result.exit_code == 1
    assert "'petal width (cm)'" in result.stderr


def test_missing_values_are_named(softkd, table_student, iris):
    text = iris.assign(**{"sepal width (cm)": np.nan}).to_csv(index=False)
    result = softkd("predict", "--model", table_student, "--data", "-", stdin=text)
    assert result.exit_code == 1
    assert "'sepal width (cm)'" in result.stderr
    assert result.stdout == ""


def test_text_among_the_features_is_named(softkd, table_student, iris):
    text = iris.assign(**{"sepal width (cm)": "wide"}).to_csv(index=False)
    result = softkd("predict", "--model", table_student, "--data", "-", stdin=text)
    assert result.exit_code == 1
    assert "'sepal width (cm)'" in result.stderr


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (np.zeros((3, 63), np.float32), "63 features"),
        (np.full((3, 64), np.nan, np.float32), "NaN"),
        (np.zeros(64, np.float32), "2 dimensions"),
        (np.zeros((0, 64), np.float32), "0 sample"),
        (np.full((2, 64), "text"), "text"),
    ],
)
def test_unfit_arrays_are_one_line(softkd, student, tmp_path, rows, said):
    np.save(tmp_path / "rows.npy", rows)
    result = softkd("predict", "--model", student, "--data", tmp_path / "rows.npy")
    assert result.exit_code == 1
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_name_of_a_data_set_is_no_file_of_rows(softkd, student):
    result = softkd("predict", "--model", student, "--data", "digits")
    assert result.exit_code == 2
    assert "softkd evaluate" in result.stderr


def test_a_pickled_student_needs_trust(softkd, done, student, table_student, table, tmp_path):
    path = tmp_path / "tree.joblib"
    joblib.dump(load(table_student), path)
    refused = softkd("predict", "--model", path, "--data", table)
    assert refused.exit_code == 1
    assert "trust" in refused.stderr
    taken = done("predict", "--model", path, "--data", table, "--trust")
    assert taken.stdout == done("predict", "--model", table_student, "--data", table).stdout
