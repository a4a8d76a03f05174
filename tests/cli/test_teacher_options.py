"""What a teacher's file does not say of its outputs, options say: their labels and their kind."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from softkd.reading import labels_of

SIZES = ("small", "middle", "large")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Return a folder with a table of sizes, and networks that answer without an error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    weight = np.random.default_rng(8).uniform(-3, 3, size=200).round(3)
    size = np.array(SIZES)[np.digitize(weight, [-1, 1])]
    table = pd.DataFrame({"weight": weight, "other": weight[::-1], "size": size})
    table["heavy"] = (weight > 1.5).astype(int)
    table.to_csv("things.csv", index=False)
    sizes = nn.Linear(2, 3)
    heavy = nn.Sequential(nn.Linear(2, 1), nn.Sigmoid())
    with torch.no_grad():
        sizes.weight[:] = torch.tensor([[-30.0, 0], [0, 0], [30.0, 0]])
        sizes.bias[:] = torch.tensor([-30.0, 0, -30.0])
        heavy[0].weight[:], heavy[0].bias[:] = torch.tensor([[50.0, 0]]), -75.0
    torch.save(sizes.state_dict(), "sizes.pt")
    torch.save(heavy.state_dict(), "heavy.pt")
    (tmp_path / "made_here.py").write_text(
        "from torch import nn\n"
        "def sizes(): return nn.Linear(2, 3)\n"
        "def heavy(): return nn.Sequential(nn.Linear(2, 1), nn.Sigmoid())\n"
    )
    pd.DataFrame({"weight": weight, "other": weight[::-1]}).to_parquet("things.parquet")
    return tmp_path


def arguments(name, target):
    table = ("--data", "things.csv", "--target", target)
    return ("--teacher", f"{name}.pt", "--arch", f"made_here:{name}", *table)


def distilled(done, name, target, *more):
    columns = ("--student", "tree", "--no-baseline", "--force", "--out", "s.student", "--json")
    # the table has a second target, which the network does not take
    table = pd.read_csv("things.csv")[["weight", "other", target]]
    table.to_csv("things.csv", index=False)
    result = done("distill", *arguments(name, target), *columns, *more)
    return json.loads(result.stdout), result.stderr


def test_the_order_of_classes_is_an_option_of_all_commands(done, here):
    said, notes = distilled(done, "sizes", "size", "--classes", ", ".join(SIZES))
    assert said["teacher"]["accuracy"] == 1
    assert said["agreement"] > 0.9
    assert "--classes" not in notes
    given = ("--classes", ",".join(SIZES), "--json")
    measured = done("evaluate", "--model", "s.student", *arguments("sizes", "size"), *given)
    assert json.loads(measured.stdout)["teacher"]["accuracy"] == 1
    compared = done(
        "compare", "--students", "tree,logistic", "--jobs", 1, *arguments("sizes", "size"), *given
    )
    test = json.loads(compared.stdout)["teacher"]["test"]
    assert test["accuracy"]["value"] == 1
    teacher = ("--teacher", "sizes.pt", "--arch", "made_here:sizes", *given[:2])
    done("label", *teacher, "--data", "things.parquet", "--out", "l", "--workers", 0)
    manifest = (here / "l" / "manifest.json").read_text()
    assert json.loads(manifest)["settings"]["classes"] == list(SIZES)


def test_an_order_that_is_assumed_is_told(done, here):
    said, notes = distilled(done, "sizes", "size")
    assert said["teacher"]["accuracy"] < 0.5
    assert "'large', 'middle', 'small', in this order; name another by --classes" in notes


def test_a_sigmoid_may_be_named_as_such(done, here):
    said, notes = distilled(done, "heavy", "heavy", "--kind", "probabilities")
    assert said["teacher"]["accuracy"] == 1
    assert "--kind" not in notes
    forced, _ = distilled(done, "heavy", "heavy", "--kind", "logits")
    assert forced["teacher"]["accuracy"] < 1


@pytest.mark.parametrize(
    ("words", "labels", "expected"),
    [
        (("b", "a"), np.array(["a", "b"]), ("b", "a")),
        (("2", "1"), np.array([1, 2]), (2, 1)),
        (("1", "2", "3"), np.array([1, 2]), (1, 2, 3)),
        (("1", "2"), np.array(["1", "2"]), ("1", "2")),
        (("True", "False"), np.array([False, True]), (True, False)),
        (("7", "x"), None, ("7", "x")),
        (("7", "-1"), None, (7, -1)),
    ],
)
def test_labels_are_those_of_the_data(words, labels, expected):
    found = labels_of(words, labels)
    assert found == expected
    assert list(map(type, found)) == list(map(type, expected))


def test_bad_lists_of_classes_are_bad_usage(softkd, here):
    for classes in ("alone", "a,a", "a,,b"):
        result = softkd("distill", *arguments("sizes", "size"), "--classes", classes)
        assert result.exit_code == 2
        assert "two or more different labels" in result.stderr
