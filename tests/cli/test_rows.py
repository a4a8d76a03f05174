"""Which rows of a table are test rows: those that no model was trained on."""

import json

import numpy as np
import pandas as pd
import pytest

from soft_students import LogisticStudentClassifier, load, save
from softkd.reading import Source, load_whole, record_of
from softkd.rows import measured_rows


@pytest.fixture(scope="module")
def coins():
    """Return a table whose labels nothing can predict."""
    rng = np.random.default_rng(4)
    table = pd.DataFrame(rng.normal(size=(240, 3)).round(4), columns=["long", "wide", "high"])
    return table.assign(side=np.where(rng.integers(0, 2, 240), "head", "tail"))


@pytest.fixture(scope="module")
def trained(done, coins, tmp_path_factory):
    """Return a folder with a table, its teacher, and a student that knows its rows by heart."""
    at = tmp_path_factory.mktemp("coins")
    coins.to_csv(at / "coins.csv", index=False)
    done(
        "teach", "--data", at / "coins.csv", "--target", "side", "--epochs", 1, "--out", at / "t.pt"
    )
    tree = ("--student", "tree", "--set", "hard_weight=1", "--no-baseline")
    done("distill", "--teacher", at / "t.pt", *tree, "--out", at / "s.student")
    return at


@pytest.fixture
def edited(trained, coins):
    """Return a function that rewrites the table; it is restored afterwards."""
    yield lambda table: table.to_csv(trained / "coins.csv", index=False)
    coins.to_csv(trained / "coins.csv", index=False)


def measured(done, trained, *arguments):
    result = done("evaluate", "--model", trained / "s.student", *arguments, "--json")
    return json.loads(result.stdout), result.stderr


def test_an_untouched_table_is_split_as_in_training(done, trained):
    said, notes = measured(done, trained)
    assert said["test_rows"] == 60
    assert said["accuracy"] < 0.65
    assert "changed" not in notes


@pytest.mark.parametrize(
    "edit",
    [lambda table: table[::-1], lambda table: table.sort_values("wide")[table.columns[::-1]]],
    ids=["turned", "sorted"],
)
def test_the_same_rows_are_measured_in_any_order(done, trained, edited, coins, edit):
    before, _ = measured(done, trained)
    edited(edit(coins))
    after, notes = measured(done, trained)
    assert (after["test_rows"], after["accuracy"]) == (60, before["accuracy"])
    assert "has changed since the training: 180 of its 240 rows are among the 180" in notes
    assert "60 others are measured" in notes


def test_new_rows_are_measured_and_lost_ones_counted(done, trained, edited, coins):
    new = coins.assign(long=coins.long + 20)
    edited(pd.concat([new[:30], coins[100:]]))
    said, notes = measured(done, trained)
    old = 140 - (said["test_rows"] - 30)
    assert f"{old} of its 170 rows are among the 180" in notes
    assert 90 <= old <= 120


def test_a_table_of_training_rows_alone_is_refused(softkd, trained, edited, coins):
    source = Source(str(trained / "coins.csv"), target="side")
    record = record_of(str(trained / "s.student"))
    unseen = measured_rows(load_whole(source), source, [record]).test_rows
    edited(coins.drop(index=unseen))
    result = softkd("evaluate", "--model", trained / "s.student")
    assert result.exit_code == 1
    assert "All rows of" in result.stderr
    assert "180 of its 180 rows" in result.stderr


def test_a_file_of_new_rows_is_measured_whole(done, trained, coins):
    coins.assign(wide=coins.wide - 9)[:11].to_csv(trained / "new.csv", index=False)
    said, notes = measured(done, trained, "--data", trained / "new.csv", "--target", "side")
    assert said["test_rows"] == 11
    assert notes == ""
    said, _ = measured(
        done, trained, "--data", trained / "coins.csv", "--target", "side", "--all-rows"
    )
    assert said["test_rows"] == 240
    assert said["accuracy"] > 0.8


def test_unknown_training_rows_are_told(done, softkd, coins, tmp_path):
    X, y = coins.drop(columns="side"), coins.side
    save(LogisticStudentClassifier().fit(X, y), tmp_path / "l.student")
    coins.to_csv(tmp_path / "c.csv", index=False)
    arguments = ("--model", tmp_path / "l.student", "--data", tmp_path / "c.csv")
    result = done("evaluate", *arguments, "--target", "side", "--json")
    assert json.loads(result.stdout)["test_rows"] == 60
    assert "does not record the rows" in result.stderr
    assert "--all-rows" in result.stderr
    named = softkd("evaluate", "--model", tmp_path / "l.student", "--data", "digits", "--all-rows")
    assert named.exit_code == 2


def test_a_student_is_not_tested_on_rows_of_its_teacher(done, trained, edited, coins):
    edited(coins.sample(frac=1, random_state=2))
    out = trained / "again.student"
    arguments = ("--teacher", trained / "t.pt", "--student", "tree", "--no-baseline", "--force")
    result = done("distill", *arguments, "--set", "hard_weight=1", "--out", out, "--json")
    assert json.loads(result.stdout)["accuracy"] < 0.65
    assert "180 of its 240 rows are among the 180" in result.stderr
    said = json.loads(done("evaluate", "--model", out, "--json").stdout)
    assert said["test_rows"] == 60
    assert said["accuracy"] == json.loads(result.stdout)["accuracy"]


def test_test_data_are_measured_whole_by_all_commands(done, coins, tmp_path):
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    coins[:200].to_csv(train, index=False)
    coins[190:][coins.columns[::-1]].to_csv(test, index=False)
    data = ("--data", train, "--target", "side", "--test-data", test)
    taught = done("teach", *data, "--epochs", 1, "--out", tmp_path / "t.pt")
    assert "10 of the 50 rows of" in taught.stderr
    tree = ("--student", "tree", "--set", "max_depth=2", "--no-baseline", "--json")
    student = ("--out", tmp_path / "s.student")
    done("distill", "--teacher", tmp_path / "t.pt", *tree, *student)
    said = json.loads(done("evaluate", "--model", tmp_path / "s.student", "--json").stdout)
    assert said["test_rows"] == 50
    model = load(tmp_path / "s.student")
    rows = coins[190:]
    right = model.predict(rows.drop(columns="side").astype(np.float32)) == rows.side
    assert said["accuracy"] == pytest.approx(right.mean())
    compared = done(
        "compare", "--teacher", tmp_path / "t.pt", "--students", "tree,logistic", "--jobs", 1,
        "--out", tmp_path / "c", *data, "--json",
    )  # fmt: skip
    told = json.loads(compared.stdout)["data"]
    assert (told["train"] + told["validation"], told["test"]) == (200, 50)
    assert "trained_rows" not in told["origin"]


def test_a_row_of_a_file_is_explained_as_it_stands(done, softkd, trained, coins):
    coins.drop(columns="side").to_csv(trained / "bare.csv", index=False)
    for data, label in (("bare.csv", None), ("coins.csv", coins.side[17])):
        arguments = ("--data", trained / data, "--target", "side", "--row", 17, "--json")
        said = json.loads(done("explain", trained / "s.student", *arguments).stdout)
        assert said["row"] == pytest.approx(coins.drop(columns="side").iloc[17].tolist())
        assert (said["file_row"], said["label"]) == (17, label)
    sample = done("explain", trained / "s.student", "--sample", 3, "--json")
    said = json.loads(sample.stdout)
    row = coins.iloc[said["file_row"]]
    assert said["row"] == pytest.approx(row.drop("side").tolist())
    assert said["label"] == row.side
    late = softkd("explain", trained / "s.student", "--data", trained / "bare.csv", "--row", 240)
    assert late.exit_code == 2
    assert "has 240 rows" in late.stderr
    both = softkd("explain", trained / "s.student", "--row", 1, "--sample", 1)
    assert both.exit_code == 2


def test_rows_that_differ_are_numbered_as_in_the_file(done, trained, coins):
    arguments = ("--teacher", trained / "t.pt", "--full", "--bootstrap", 0)
    said, _ = measured(done, trained, *arguments)
    student = load(trained / "s.student")
    examples = said["disagreements"]["s"]["examples"]
    assert len(examples) == 5
    for each in examples:
        row = coins.drop(columns="side").iloc[[each["row"]]].astype(np.float32)
        assert student.predict(row)[0] == each["student"] != each["teacher"]


def test_info_counts_rows_and_prints_no_digests(done, trained):
    for file in ("t.pt", "s.student"):
        said = json.loads(done("info", trained / file, "--json").stdout)
        assert said["data"]["trained_rows"] == 180


def test_unlabelled_rows_among_the_test_rows_are_told(done, trained, coins):
    result = done(
        "distill", "--teacher", trained / "t.pt", "--student", "tree", "--no-baseline",
        "--unlabeled", trained / "coins.csv", "--out", trained / "u.student",
    )  # fmt: skip
    assert "60 of the 240 rows" in result.stderr
    assert "test rows, too" in result.stderr
