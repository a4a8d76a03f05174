import json

import pytest


@pytest.fixture(scope="module")
def snapshots(done, teacher, tmp_path_factory):
    folder = tmp_path_factory.mktemp("snapshots")
    settings = ("--student", "neural", "--epochs", 2, "--transfer", "none", "--no-baseline")
    done(
        *("distill", "--teacher", teacher, *settings, "--set", f"snapshots={folder / 'all'}"),
        *("--out", folder / "neural.student"),
    )
    return folder / "all"


def test_a_training_is_quantified_and_compared(done, snapshots, tmp_path):
    pattern, picture = snapshots / "*.student", tmp_path / "entropies.png"
    arguments = ("--data", "digits", "--students", pattern, "--images", 4, "--steps", 10)
    said = json.loads(done("quantify", *arguments, "--compare", pattern, "--json").stdout)
    assert said["students"]["table"][0]["checkpoint"] == "epoch-0000"
    assert said["students"] == said["compare"]
    text = done("quantify", *arguments, "--pictures", picture).stdout
    assert "rho" in text
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_too_few_snapshots_are_bad_usage(softkd, snapshots):
    result = softkd("quantify", "--students", snapshots / "epoch-0000.student")
    assert result.exit_code == 2
    assert "at least one snapshot more" in result.stderr
