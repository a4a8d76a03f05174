"""`softkd report` in the shell."""

import json
import shutil

import pytest


@pytest.fixture(scope="module")
def compared(done, table_teacher, tmp_path_factory):
    """Return the folder of a comparison; nobody writes to it."""
    folder = tmp_path_factory.mktemp("compare") / "out"
    students = ("--students", "tree,logistic", "--set", "tree.max_depth=1", "--jobs", "1")
    done("compare", "--teacher", table_teacher, *students, "--out", folder)
    return folder


def test_a_page_of_a_comparison(done, compared, tmp_path):
    out = tmp_path / "new" / "report.html"
    result = done("report", compared, "--out", out)
    assert result.stdout == f"Written: {out} ({out.stat().st_size:,} bytes)\n"
    page = out.read_text(encoding="utf-8")
    winner = json.loads((compared / "results.json").read_text("utf-8"))["ranking"]["winner"]
    assert f"<title>iris.csv: {winner} chosen of 2 students</title>" in page
    assert "petal length" in page
    told = json.loads(done("report", compared, "--out", out, "--force", "--json").stdout)
    assert told == {"out": str(out), "bytes": out.stat().st_size}
    assert out.read_text(encoding="utf-8") == page
    assert list(out.parent.iterdir()) == [out]


def test_the_page_may_lie_in_the_folder(done, compared, table_teacher, tmp_path):
    folder = shutil.copytree(compared, tmp_path / "copy")
    done("report", folder, "--out", folder / "report.html")
    students = ("--students", "tree,logistic", "--set", "tree.max_depth=1", "--jobs", "1")
    again = done("compare", "--teacher", table_teacher, *students, "--out", folder, "--json")
    assert all(of["resumed"] for of in json.loads(again.stdout)["students"].values())
    done("report", folder, "--out", folder / "report.html", "--force")


def refused(result, code, message):
    assert result.exit_code == code
    assert result.stdout == ""
    last = result.stderr.splitlines()[-1]
    assert last.startswith("Error: ")
    assert message in last
    if code == 1:
        assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", ["report.pdf", "report", "report.html.gz"])
def test_other_formats_are_refused(softkd, compared, tmp_path, name):
    result = softkd("report", compared, "--out", tmp_path / name)
    refused(result, 2, "A page ends in .html. Got '")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_bad_usage(softkd, tmp_path):
    refused(softkd("report", tmp_path / "none"), 2, "does not exist")
    refused(softkd("report"), 2, "Missing argument 'FOLDER'")


def test_an_unfinished_comparison_is_refused(softkd, compared, tmp_path):
    folder = shutil.copytree(compared, tmp_path / "half")
    for name in ("results.json", "answers.npz"):
        (folder / name).unlink()
    out = tmp_path / "report.html"
    refused(softkd("report", folder, "--out", out), 1, "has no finished comparison")
    (tmp_path / "empty").mkdir()
    refused(softkd("report", tmp_path / "empty", "--out", out), 1, "softkd compare --out")
    assert not out.exists()


def test_damaged_results_are_refused(softkd, compared, tmp_path):
    folder = shutil.copytree(compared, tmp_path / "damaged")
    text = (folder / "results.json").read_text("utf-8")
    (folder / "results.json").write_text(text[: len(text) // 2])
    result = softkd("report", folder, "--out", tmp_path / "report.html")
    refused(result, 1, "results.json' is damaged")


def test_an_existing_page_is_kept(softkd, compared, tmp_path):
    out = tmp_path / "report.html"
    out.write_text("mine")
    refused(softkd("report", compared, "--out", out), 1, "--force")
    assert out.read_text() == "mine"
    refused(softkd("report", compared / "none", "--out", out, "--force"), 2, "does not exist")
    assert out.read_text() == "mine"
