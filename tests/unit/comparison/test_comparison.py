"""Ranked on rows that nobody learnt from, measured once on the test rows."""

import json

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression, LogisticRegression

from soft_students import (
    DecisionTreeStudentClassifier,
    DecisionTreeStudentRegressor,
    LogisticStudentClassifier,
    RidgeStudentRegressor,
    as_teacher,
    load,
)
from soft_students.comparison import compare_students
from soft_students.datasets import Dataset, load_dataset, validation_split
from soft_students.ranking import ahp_weights

STUDENTS = {
    "stump": DecisionTreeStudentClassifier(max_depth=1, random_state=0),
    "tree": DecisionTreeStudentClassifier(max_depth=8, random_state=0),
    "linear": LogisticStudentClassifier(),
}
CRITERIA = {"accuracy": 0.5, "size": 0.5}


@pytest.fixture(scope="module")
def digits():
    data = load_dataset("digits")
    model = LogisticRegression(max_iter=300).fit(data.X_train, data.y_train)
    return as_teacher(model), data


@pytest.fixture(scope="module")
def compared(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    return compare_students(STUDENTS, *digits, folder, criteria=CRITERIA, random_state=3), folder


def test_nobody_learns_from_the_rows_that_rank(compared, digits):
    """The students are those of the rest of the training rows, and the figures of the part."""
    result, folder = compared
    teacher, data = digits
    X, X_part, y, y_part = validation_split(
        data.X_train, data.y_train, fraction=0.2, random_state=3
    )
    for name, student in STUDENTS.items():
        kept = load(folder / f"{name}.student")
        alone = student.fit(X, teacher, labels=y)
        np.testing.assert_array_equal(kept.predict(X_part), alone.predict(X_part))
        about = result.results["students"][name]
        assert about["validation"]["accuracy"]["value"] == np.mean(kept.predict(X_part) == y_part)
        on_test = np.mean(kept.predict(data.X_test) == data.y_test)
        assert about["test"]["accuracy"]["value"] == on_test
    assert result.results["data"]["train"] == len(X)
    assert result.results["data"]["validation"] == len(X_part)
    assert result.results["data"]["test"] == len(data.X_test)


def test_the_ranking_is_of_validation_figures(compared):
    result, _ = compared
    students = result.results["students"]
    best = max(students, key=lambda name: students[name]["validation"]["accuracy"]["value"])
    ranking = result.results["ranking"]
    assert ranking["winner"] == ranking["order"][0] == result.ranking.winner
    assert best in ranking["pareto"]
    assert ranking["weights"] == {"accuracy": 0.5, "bytes": 0.5}


def test_results_are_the_file(compared):
    result, folder = compared
    held = json.loads((folder / "results.json").read_text("utf-8"))
    assert held == result.results
    assert set(held) == {
        "schema", "task", "data", "teacher", "students", "ranking", "judgements", "mcnemar",
        "confidence", "seed", "jobs", "threads", "versions", "command", "finished",
    }  # fmt: skip
    tree = held["students"]["tree"]
    assert set(tree) == {
        "status", "error", "file", "sha256", "class", "parameters", "seconds", "cpu_seconds",
        "threads", "versions", "warnings", "resumed", "validation", "test", "cost",
    }  # fmt: skip
    assert tree["parameters"]["max_depth"] == 8
    assert set(tree["cost"]) == {"bytes", "parameters", "flops", "latency_us", "throughput"}
    assert tree["cost"]["bytes"]["value"] == (folder / tree["file"]).stat().st_size
    accuracy = tree["test"]["accuracy"]
    assert accuracy["low"] < accuracy["value"] < accuracy["high"]
    assert accuracy["interval"] == "bootstrap"
    assert held["teacher"]["test"]["agreement"]["value"] == 1
    others = [name for name in STUDENTS if name != held["ranking"]["winner"]]
    assert [each["second"] for each in held["mcnemar"]] == others
    assert all(each["first"] == held["ranking"]["winner"] for each in held["mcnemar"])


def test_mcnemar_counts_from_the_winner(compared, digits):
    result, _ = compared
    _, data = digits
    winner = result.students[result.ranking.winner].predict(data.X_test) == data.y_test
    for each in result.results["mcnemar"]:
        other = result.students[each["second"]].predict(data.X_test) == data.y_test
        assert each["only_first"] == np.sum(winner & ~other)
        assert each["only_second"] == np.sum(other & ~winner)


def test_limits_that_exclude_all_leave_the_test_rows_alone(digits, tmp_path):
    few = {"stump": STUDENTS["stump"]}
    compare_students(few, *digits, tmp_path, criteria=CRITERIA)
    with pytest.raises(ValueError, match=r"stump: accuracy 0\.\d+ is below 0.99"):
        compare_students(few, *digits, tmp_path, criteria=CRITERIA, constraints={"accuracy": 0.99})
    held = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert held["students"]["stump"]["test"] == held["teacher"]["test"] == {}
    accuracy = held["students"]["stump"]["validation"]["accuracy"]["value"]
    assert held["ranking"]["winner"] is None
    assert held["ranking"]["misses"] == {"stump": {"accuracy": pytest.approx(0.99 - accuracy)}}
    assert not (tmp_path / "answers.npz").exists()
    again = compare_students(few, *digits, tmp_path, criteria=CRITERIA)
    assert again.trainings["stump"].resumed


def test_weights_of_judgements(digits, tmp_path):
    pairs = {("accuracy", "bytes"): 3}
    result = compare_students(
        {"stump": STUDENTS["stump"]},
        *digits,
        tmp_path,
        criteria=ahp_weights(pairs),
        pairs=pairs,
        method="ahp",
    )
    judged = result.results["judgements"]
    assert judged["pairs"] == [["accuracy", "bytes", 3]]
    assert judged["weights"] == pytest.approx({"accuracy": 0.75, "bytes": 0.25})
    assert result.ranking.weights == pytest.approx(judged["weights"])


def test_values(tmp_path):
    X, y = load_diabetes(return_X_y=True)
    X = X.astype(np.float32)
    data = Dataset(
        "diabetes", X[:300], y[:300], X[300:], y[300:], None, None, None, "", "regression"
    )
    teacher = as_teacher(LinearRegression().fit(X[:300], y[:300]), task="regression")
    students = {"tree": DecisionTreeStudentRegressor(max_depth=3), "ridge": RidgeStudentRegressor()}
    result = compare_students(students, teacher, data, tmp_path, criteria={"r2": 1.0})
    r2 = {name: of["validation"]["r2"]["value"] for name, of in result.results["students"].items()}
    assert result.ranking.winner == max(r2, key=r2.__getitem__)
    assert result.results["threads"] == 1
    assert result.results["mcnemar"] == []
    assert result.results["data"]["classes"] is None
    with pytest.raises(ValueError, match="'accuracy' is for classification"):
        compare_students(students, teacher, data, tmp_path, criteria=["accuracy"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"criteria": {"acuracy": 1}}, "Did you mean 'accuracy'"),
        ({"criteria": {"size": 1, "bytes": 1}}, "named once. Repeated: bytes"),
        ({"criteria": {"size": -1}}, "0 or more"),
        ({"method": "best"}, "Unknown method 'best'"),
        ({"constraints": {"weight": 1}}, "Unknown criterion 'weight'"),
    ],
)
def test_unfit_arguments_are_refused_before_training(digits, tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        compare_students(STUDENTS, *digits, tmp_path / "new", **{"criteria": CRITERIA, **settings})
    assert not (tmp_path / "new").exists()


def test_names_that_are_taken(digits, tmp_path):
    for name in ("teacher", "results", "comparison"):
        with pytest.raises(ValueError, match=f"may be called '{name}'"):
            compare_students({name: STUDENTS["tree"]}, *digits, tmp_path, criteria=CRITERIA)


def test_a_folder_of_other_things_is_left_alone(digits, tmp_path):
    (tmp_path / "tree.student").write_bytes(b"mine")
    with pytest.raises(FileExistsError, match="contains files that are not of a comparison"):
        compare_students(STUDENTS, *digits, tmp_path, criteria=CRITERIA)
    assert (tmp_path / "tree.student").read_bytes() == b"mine"


def test_errors_are_those_of_the_validation_rows_and_of_the_calls(compared):
    result, _ = compared
    shares = result.ranking.sensitivity.measured_shares
    assert set(shares) == set(result.ranking.order)
    assert sum(shares.values()) == pytest.approx(1)
    assert result.results["ranking"]["sensitivity"]["measured_shares"] == shares
    assert not any("as exact" in note for note in result.ranking.notes)


def test_ratios_compare_with_the_teacher_unless_told(digits, tmp_path):
    few = {name: STUDENTS[name] for name in ("stump", "tree") if name in STUDENTS}
    settings = {"criteria": ["accuracy", "agreement"], "method": "mean_index"}
    result = compare_students(few, *digits, tmp_path, **settings)
    taught = result.validation.wide()["teacher"]
    assert result.ranking.reference == {"accuracy": taught["accuracy"], "agreement": 1.0}
    for name, score in result.ranking.scores.items():
        of = result.validation.wide()[name]
        expected = (of["accuracy"] / taught["accuracy"] + of["agreement"]) / 2
        assert score == pytest.approx(expected)
    told = compare_students(
        few, *digits, tmp_path, **settings, reference={"accuracy": 0.5, "fidelity": 0.5}
    )
    assert told.ranking.reference == {"accuracy": 0.5, "agreement": 0.5}
    with pytest.raises(ValueError, match="normalization 'reference' alone"):
        compare_students(few, *digits, tmp_path, criteria=["accuracy"], reference={"accuracy": 1})
