"""`softkd explore` in the shell."""

import json


def test_a_page_of_the_data_that_the_student_was_trained_on(done, student, tmp_path):
    out = tmp_path / "tree.html"
    told = json.loads(done("explore", student, "--out", out, "--json").stdout)
    assert told == {"out": str(out), "bytes": out.stat().st_size}
    assert "<title>digits: digits</title>" in out.read_text(encoding="utf-8")


def test_a_page_of_a_table(done, table_student, table, tmp_path):
    out = tmp_path / "tree.html"
    arguments = ("--data", table, "--target", "species", "--out", out)
    assert "Written" in done("explore", table_student, *arguments).stdout
    assert "petal length" in out.read_text(encoding="utf-8")


def test_refusals(softkd, student, tmp_path):
    out = tmp_path / "tree.html"
    result = softkd("explore", student, "--out", tmp_path / "tree.png")
    assert result.exit_code == 2
    assert "A page ends in .html" in result.output
    out.write_text("mine")
    result = softkd("explore", student, "--out", out)
    assert result.exit_code == 1
    assert "--force" in result.output
    assert out.read_text() == "mine"


def test_a_forest_is_refused(done, softkd, teacher, tmp_path):
    forest = tmp_path / "forest.student"
    settings = ("--set", "n_estimators=3", "--transfer", "none", "--no-baseline")
    done("distill", "--teacher", teacher, "--student", "forest", *settings, "--out", forest)
    result = softkd("explore", forest, "--out", tmp_path / "tree.html")
    assert result.exit_code == 1
    assert "The explorer shows single trees" in result.output
    assert not (tmp_path / "tree.html").exists()
