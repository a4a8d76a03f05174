"""The main job from the command line."""

import json
import shutil
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from torch import nn

from soft_students import as_teacher, load
from soft_students.datasets import load_dataset
from soft_students.students.files import dumps, trained_on
from soft_students.teachers import load_teacher

MEASURES = {"accuracy", "agreement", "kl_to_teacher", "bytes", "latency_us"}
KEYS = MEASURES | {
    "accuracy_by_prediction",
    "chosen",
    "teacher",
    "labels",
    "student",
    "data",
    "out",
    "parameters",
    "seconds",
    "threads",
    "seed",
    "unlabeled",
    "versions",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return the current folder, which is empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_teacher_and_a_students_name_are_enough(done, folder, teacher):
    shutil.copy(teacher, "t.pt")
    result = done("distill", "--teacher", "t.pt", "--student", "soft_tree", "--epochs", 1)
    for row in ("teacher: mlp", "student: distilled", "labels + distorted", "labels alone"):
        assert row in result.stdout
    assert "KL to teacher" in result.stdout
    assert "greatest path" in result.stdout
    assert "digits, on which the model was trained" in result.stderr
    assert {path.name for path in folder.iterdir()} == {"t.pt", "soft_tree-digits.student"}


def test_json_has_stable_keys_and_is_all_of_stdout(done, folder, teacher, fast):
    result = done("distill", "--teacher", teacher, *fast, "--out", "new/s", "--json", "--seed", 7)
    said = json.loads(result.stdout)
    assert set(said) == KEYS
    assert set(said["teacher"]) == set(said["labels"]) == MEASURES
    assert set(said["seconds"]) == {"student", "labels", "total"}
    packages = {"soft-students", "torch", "scikit-learn", "numpy", "xgboost"}
    assert set(said["versions"]) == {"python", *packages}
    assert (said["student"], said["data"], said["out"]) == ("soft_tree", "digits", "new/s")
    assert said["seed"] == said["parameters"]["random_state"] == 7
    assert said["parameters"]["depth"] == 3
    student, digits = load("new/s"), load_dataset("digits")
    assert said["bytes"] == len(dumps(student))  # the file also says what it was trained on
    assert trained_on("new/s")["data"] == "digits"
    assert said["accuracy"] == np.mean(student.predict(digits.X_test) == digits.y_test)
    assert student.verbose == 0


def test_every_way_to_predict_is_measured_and_the_chosen_one_counts(done, folder, teacher, fast):
    arguments = ("--teacher", teacher, *fast, "--no-baseline", "--out", "s", "--json")
    said = json.loads(done("distill", *arguments, "--prediction", "greedy").stdout)
    student, digits = load("s"), load_dataset("digits")
    assert student.prediction == "greedy"
    assert said["accuracy"] == said["accuracy_by_prediction"]["greedy"]
    for prediction, accuracy in said["accuracy_by_prediction"].items():
        student.prediction = prediction
        assert accuracy == np.mean(student.predict(digits.X_test) == digits.y_test)


def test_the_same_seed_gives_the_same_file(done, folder, teacher):
    settings = ("--depth", 2, "--epochs", 1, "--no-baseline")
    for out, seed in (("a", 1), ("b", 1), ("c", 2)):
        done("distill", "--teacher", teacher, *settings, "--out", out, "--seed", seed)
    a, b, c = ((folder / out).read_bytes() for out in "abc")
    assert a == b
    assert a != c


def test_images_get_settings_of_their_own_which_options_override(done, folder, teacher):
    arguments = ("--teacher", teacher, "--depth", 2, "--epochs", 1, "--json", "--force")
    preset = json.loads(done("distill", *arguments).stdout)
    assert "ImageDistortion" in preset["parameters"]["transfer"]
    assert set(preset["labels_transfer"]) == MEASURES
    assert preset["parameters"]["epochs"] == 1
    chosen = ("--transfer", "none", "--temperature", "1.25", "--set", "standardize=true")
    said = json.loads(done("distill", *arguments, *chosen, "--set", "batch_size=99").stdout)
    assert said["parameters"]["transfer"] is None
    assert said["parameters"]["temperature"] == 1.25
    assert said["parameters"]["standardize"] is True
    assert said["parameters"]["batch_size"] == 99
    assert "labels_transfer" not in said


def test_threads_are_as_asked_and_given_back(done, folder, teacher, fast, monkeypatch):
    before = torch.get_num_threads()
    arguments = ("--teacher", teacher, *fast, "--no-baseline", "--json", "--force")
    assert json.loads(done("distill", *arguments, "--threads", 1).stdout)["threads"] == 1
    assert json.loads(done("distill", *arguments).stdout)["threads"] == before
    assert torch.get_num_threads() == before


# -- tables -----------------------------------------------------------------------------------


def test_a_table_in_another_order_teaches_the_same(done, folder, table_teacher, reversed_table):
    settings = ("--depth", 2, "--epochs", 3, "--no-baseline", "--json")
    straight = done("distill", "--teacher", table_teacher, *settings, "--out", "straight")
    turned = done(
        "distill", "--teacher", table_teacher, "--data", reversed_table, "--target", "species",
        *settings, "--out", "turned",
    )  # fmt: skip
    assert json.loads(turned.stdout)["teacher"]["accuracy"] > 0.8
    assert dumps(load("straight")) == dumps(load("turned"))
    measured = [json.loads(result.stdout)["accuracy"] for result in (straight, turned)]
    assert measured[0] == measured[1]


def test_a_table_that_lacks_a_column_of_the_teacher_is_refused(softkd, folder, iris, table_teacher):
    iris.drop(columns="petal width (cm)").assign(other=1).to_csv("other.csv", index=False)
    result = softkd(
        "distill", "--teacher", table_teacher, "--data", "other.csv", "--target", "species"
    )
    assert result.exit_code == 1
    assert "'petal width (cm)'" in result.stderr


def test_the_table_of_the_teacher_is_found_from_anywhere(done, softkd, folder, iris, fast):
    iris.to_csv("here.csv", index=False)
    done("teach", "--data", "here.csv", "--target", "species", "--epochs", 1, "--out", "t.pt")
    (folder / "below").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder / "below")
        done("distill", "--teacher", "../t.pt", *fast, "--no-baseline")
        assert (folder / "below" / "soft_tree-here.student").exists()
    (folder / "here.csv").unlink()
    result = softkd("distill", "--teacher", "t.pt", *fast)
    assert result.exit_code == 1
    assert "no longer there" in result.stderr
    assert "--data" in result.stderr


def test_missing_values_are_named_by_column(softkd, folder, iris, table_teacher):
    incomplete = iris.copy()
    incomplete.iloc[3, 0] = np.nan
    incomplete.to_csv("nan.csv", index=False)
    result = softkd(
        "distill", "--teacher", table_teacher, "--data", "nan.csv", "--target", "species"
    )
    assert result.exit_code == 1
    assert "'sepal length (cm)'" in result.stderr
    assert "NaN" in result.stderr
    assert not list(folder.glob("*.student"))


# -- foreign teachers -------------------------------------------------------------------------


@pytest.fixture
def factory(folder, monkeypatch):
    """Write a module with the factory of a convolutional network of digits; return its net."""
    monkeypatch.setattr(sys, "path", sys.path[:])
    (folder / "ournet.py").write_text(
        "from torch import nn\n\n\n"
        "def make():\n"
        "    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(144, 10))\n"
    )
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(144, 10))
    torch.save(net.state_dict(), "state.pt")
    return net


def test_a_state_dict_needs_a_factory_and_perhaps_a_shape(softkd, done, factory, fast):
    arguments = ("distill", "--teacher", "state.pt", "--data", "digits", *fast, "--no-baseline")
    without_factory = softkd(*arguments)
    assert without_factory.exit_code == 1
    assert "--arch" in without_factory.stderr
    without_shape = softkd(*arguments, "--arch", "ournet:make")
    assert without_shape.exit_code == 1
    assert "--input-shape" in without_shape.stderr
    taken = done(*arguments, "--arch", "ournet:make", "--input-shape", "1,8,8", "--json")
    digits = load_dataset("digits")
    with torch.no_grad():
        logits = factory(torch.from_numpy(digits.X_test).view(-1, 1, 8, 8))
    expected = np.mean(logits.argmax(1).numpy() == digits.y_test)
    assert json.loads(taken.stdout)["teacher"]["accuracy"] == expected


def test_labels_that_the_teacher_does_not_name_are_those_of_the_data(done, folder, iris, fast):
    iris.to_csv("iris.csv", index=False)
    torch.manual_seed(0)
    torch.jit.script(nn.Linear(4, 3)).save("script.pt")
    said = json.loads(
        done(
            "distill", "--teacher", "script.pt", "--trust", "--data", "iris.csv", "--target",
            "species", *fast, "--no-baseline", "--out", "s", "--json",
        ).stdout
    )  # fmt: skip
    assert load("s").classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert 0 < said["teacher"]["accuracy"] < 1


def test_a_trusted_estimator_with_named_columns_teaches(done, folder, iris, reversed_table, fast):
    X, y = iris.drop(columns="species"), iris["species"]
    joblib.dump(LogisticRegression(max_iter=500).fit(X, y), "model.joblib")
    result = done(
        "distill", "--teacher", "model.joblib", "--trust", "--data", reversed_table,
        "--target", "species", *fast, "--json",
    )  # fmt: skip
    assert json.loads(result.stdout)["teacher"]["accuracy"] > 0.9
    assert "Warning" not in result.stderr


def test_values_are_learnt_from_a_regressor(done, folder, fast):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(80, 3)), columns=list("abc"))
    X.assign(y=X.sum(axis=1)).to_csv("values.csv", index=False)
    joblib.dump(LinearRegression().fit(X, X.sum(axis=1)), "model.joblib")
    result = done(
        "distill", "--teacher", "model.joblib", "--trust", "--data", "values.csv",
        "--target", "y", "--depth", 2, "--epochs", 3, "--json",
    )  # fmt: skip
    said = json.loads(result.stdout)
    assert {"r2", "r2_to_teacher", "mse_to_teacher", "bytes", "latency_us"} < set(said)
    assert said["teacher"]["r2"] == pytest.approx(1)
    assert said["accuracy_by_prediction"] is None


def test_a_teacher_of_labels_is_not_asked_about_values(softkd, folder, teacher):
    rng = np.random.default_rng(0)
    pd.DataFrame(rng.normal(size=(40, 65))).to_csv("values.csv", index=False)
    result = softkd("distill", "--teacher", teacher, "--data", "values.csv", "--target", "64")
    assert result.exit_code == 1
    assert "predicts labels" in result.stderr


@pytest.mark.parametrize("student", ["xgboost", "tree", "forest", "extra_trees", "logistic"])
def test_classical_students_are_distilled_and_measured(done, teacher, tmp_path, student):
    out = tmp_path / "s"
    arguments = ("--teacher", teacher, "--student", student, "--out", out, "--no-baseline")
    said = json.loads(done("distill", *arguments, "--json").stdout)
    assert said["accuracy"] > 0.7
    assert said["accuracy_by_prediction"] is None
    again = json.loads(done("evaluate", "--model", out, "--teacher", teacher, "--json").stdout)
    assert again["agreement"] == said["agreement"]
    assert again["bytes"] == said["bytes"]


# -- further rows -----------------------------------------------------------------------------


@pytest.fixture
def distil_table(softkd, table_teacher):
    """Return a function that distils the table's teacher into a hard tree."""

    def run(*arguments):
        return softkd(
            "distill", "--teacher", table_teacher, "--student", "tree", "--force", "--json",
            *arguments,
        )  # fmt: skip

    return run


@pytest.mark.parametrize("name", ["marginal", "mixup", "munge", "noise"])
def test_a_transfer_set_by_name(distil_table, folder, name):
    result = distil_table("--transfer", name, "--set", "transfer_copies=2", "--out", "s")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert load("s").transfer_copies == 2
    # rows whose label nobody knows cannot be compared with labels
    assert ("labels_transfer" in said) == (name == "noise")
    assert said["unlabeled"] is None


def test_parameters_of_a_transfer_set(distil_table, folder):
    chosen = ("--transfer-set", "local_variance=2.5", "--transfer-set", "discrete=[0, 1]")
    result = distil_table("--transfer", "munge", *chosen, "--no-baseline", "--out", "s")
    assert result.exit_code == 0, result.output
    assert load("s").transfer.local_variance == 2.5
    assert load("s").transfer.discrete == [0, 1]


def test_parameters_of_the_distortions_of_images(done, folder, teacher):
    arguments = ("--teacher", teacher, "--depth", 2, "--epochs", 1, "--no-baseline", "--out", "s")
    done("distill", *arguments, "--transfer-set", "rotation=3.5")
    assert load("s").transfer.rotation == 3.5
    assert load("s").transfer.image_shape == (8, 8)


def test_networks_distort_images_in_every_batch(done, softkd, folder, teacher):
    quick = ("--student", "neural", "--epochs", 1, "--no-baseline", "--out", "s", "--force")
    arguments = ("--teacher", teacher, *quick)
    done("distill", *arguments, "--transfer-set", "rotation=3.5")
    student = load("s")
    assert (student.augment.rotation, student.transfer) == (3.5, None)
    assert (student.temperature, student.hard_weight) == (4.0, 0.1)
    done("distill", *arguments, "--transfer", "none", "--method", "dist")
    student = load("s")
    assert (student.augment, student.transfer, student.temperature) == (None, None, 1.0)
    result = softkd("distill", *arguments, "--method", "dist", "--temperature", 2)
    assert result.exit_code == 2
    assert "method_params={'dist.temperature': ...}" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--transfer", "munge", "--transfer-set", "p=1"), "Munge has no parameter 'p'"),
        (("--transfer", "munge", "--transfer-set", "local_variance=0"), "'local_variance'"),
        (("--transfer-set", "local_variance=2"), "--transfer-set needs a transfer set"),
        (("--transfer", "noises"), "noise"),
    ],
)
def test_a_transfer_set_that_cannot_be_is_bad_usage(distil_table, folder, arguments, message):
    result = distil_table(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_transfer_set_that_suits_other_rows_fails_in_a_line(distil_table, folder):
    result = distil_table("--transfer", "munge", "--transfer-set", "categorical=[9]")
    assert result.exit_code == 1
    assert "indices from 0 to 3" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz"])
def test_unlabelled_rows_of_a_file(distil_table, folder, iris, kind):
    more = pd.concat([iris, iris]).drop(columns="species").astype(float) + 0.01
    path = folder / f"more.{kind}"
    if kind == "csv":
        more[more.columns[::-1]].assign(note="text").to_csv(path, index=False)
    elif kind == "parquet":
        more.to_parquet(path)
    else:
        np.savez(path, X=more.to_numpy())
    result = distil_table("--unlabeled", path, "--out", kind, "--no-baseline")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["unlabeled"] == {"file": str(path), "rows": 300}
    assert "Warning" not in result.stderr
    without = distil_table("--out", "without", "--no-baseline")
    assert without.exit_code == 0
    assert dumps(load(kind)) != dumps(load("without"))


def test_a_soft_tree_takes_unlabelled_rows_of_images(done, folder, teacher, fast):
    np.savez("more.npz", X=load_dataset("digits").X_test)
    arguments = ("--teacher", teacher, *fast, "--no-baseline", "--out", "s", "--json")
    said = json.loads(done("distill", *arguments, "--unlabeled", "more.npz").stdout)
    assert said["unlabeled"]["rows"] == len(load_dataset("digits").X_test)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"drop": "petal width (cm)"}, "'petal width (cm)'"),
        ({"nan": "petal width (cm)"}, "no value (NaN)"),
        ({"text": "petal width (cm)"}, "must be numbers"),
    ],
)
def test_unlabelled_rows_that_do_not_fit_are_refused(distil_table, folder, iris, columns, message):
    ((how, column),) = columns.items()
    table = iris.drop(columns="species")
    if how == "drop":
        table = table.drop(columns=column)
    else:
        table[column] = np.nan if how == "nan" else "wide"
    table.to_csv("more.csv", index=False)
    result = distil_table("--unlabeled", "more.csv")
    assert result.exit_code == 1
    assert message in result.stderr
    assert not list(folder.glob("*.student"))


def test_unlabelled_arrays_that_do_not_fit_are_refused(softkd, distil_table, folder, iris, teacher):
    np.savez("narrow.npz", X=np.ones((3, 2)))
    np.savez("text.npz", X=np.array([["a"] * 4]))
    for path, message in (("narrow.npz", "4 features"), ("text.npz", "real numbers")):
        result = distil_table("--unlabeled", path)
        assert result.exit_code == 1
        assert message in result.stderr
    assert distil_table("--unlabeled", "nowhere.csv").exit_code == 1
    iris.to_csv("named.csv", index=False)
    result = softkd("distill", "--teacher", teacher, "--unlabeled", "named.csv")
    assert result.exit_code == 1
    assert ".npz" in result.stderr


def test_temperature_and_hard_weight_may_be_chosen(done, teacher, fast, tmp_path):
    out = tmp_path / "s"
    arguments = ("distill", "--teacher", teacher, *fast, "--no-baseline", "--out", out)
    both = ("--temperature", "auto", "--hard-weight", "auto")
    said = json.loads(done(*arguments, *both, "--json").stdout)
    student = load(out)
    assert student.temperature == student.hard_weight == "auto"
    assert said["chosen"] == {
        "temperature": student.temperature_,
        "hard_weight": student.hard_weight_,
    }
    assert said["parameters"]["temperature"] == "auto"
    one = ("--temperature", "auto", "--hard-weight", "0.3", "--force")
    printed = done(*arguments, *one).stdout
    assert "Chosen on held-out training rows: temperature" in printed
    assert "hard weight" not in printed
    assert load(out).hard_weight_ == 0.3


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--temperature", "warm", "'warm' is neither a number nor 'auto'"),
        ("--hard-weight", "automatic", "'automatic' is neither a number nor 'auto'"),
        ("--hard-weight", "2", "not in the range 0<=x<=1"),
        ("--temperature", "0", "temperature"),
    ],
)
def test_other_temperatures_and_hard_weights_are_bad_usage(softkd, teacher, option, value, message):
    result = softkd("distill", "--teacher", teacher, option, value)
    assert result.exit_code == 2
    assert message in result.stderr


def test_several_teachers_are_an_ensemble(
    done, teacher, table_teacher, table, iris, fast, tmp_path
):
    other, out = tmp_path / "forest.joblib", tmp_path / "s"
    forest = RandomForestClassifier(10, random_state=0).fit(iris.iloc[:, :4], iris.species)
    joblib.dump(forest, other)
    arguments = ("--teacher", table_teacher, "--teacher", other, "--trust")
    result = done(
        "distill", *arguments, "--student", "tree", "--no-baseline", "--out", out, "--json"
    )
    said = json.loads(result.stdout)
    assert said["teacher"]["accuracy"] > 0.8
    assert f"Data: {table}, on which the model was trained" in result.stderr
    data = trained_on(out)
    assert data["target"] == "species"
    dataset = load_dataset(str(table), target="species")
    ensemble = as_teacher([load_teacher(table_teacher), forest])
    frame = pd.DataFrame(dataset.X_test, columns=dataset.feature_names)
    agreement = np.mean(load(out).predict(frame) == ensemble.predict(frame))
    assert said["agreement"] == agreement
    measured = json.loads(done("evaluate", "--model", out, *arguments, "--json").stdout)
    assert measured["agreement"] == agreement
    assert measured["teacher"]["accuracy"] == said["teacher"]["accuracy"]
    copy = tmp_path / "copy.pt"
    shutil.copy(teacher, copy)
    printed = done(
        "distill", "--teacher", teacher, "--teacher", copy, *fast, "--out", tmp_path / "d"
    ).stdout
    assert "teacher: 2 x mlp" in printed


def test_teachers_of_other_data_are_no_ensemble(softkd, teacher, table_teacher, tmp_path):
    result = softkd(
        "distill", "--teacher", teacher, "--teacher", table_teacher, "--out", tmp_path / "s"
    )
    assert result.exit_code == 1
    assert "ensemble must" in result.stderr
    assert result.stderr.strip().count("\n") <= 1
