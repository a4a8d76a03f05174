"""No command replaces a file that it reads, whatever path names it and whether it is forced to."""

import os
import shutil

import pytest


@pytest.fixture
def here(tmp_path, monkeypatch, table, table_teacher, table_student, iris):
    """Return a folder of copies, as the current one."""
    monkeypatch.chdir(tmp_path)
    for source, name in (
        (table, "rows.csv"),
        (table_teacher, "t.pt"),
        (table_student, "s.student"),
    ):
        shutil.copy(source, name)
    iris.iloc[::3].to_csv("test.csv", index=False)
    iris.drop(columns="species").to_csv("more.csv", index=False)
    return tmp_path


@pytest.fixture(autouse=True)
def nothing_is_trained(monkeypatch, table_student):
    def trains(*args, **kwargs):
        raise AssertionError("Training began.")

    monkeypatch.setattr("soft_students.teachers.training.run_stages", trains)
    monkeypatch.setattr("soft_students.students.SoftDecisionTreeClassifier.fit", trains)


DATA = ("--data", "rows.csv", "--target", "species")
DISTILL = ("distill", "--teacher", "t.pt", *DATA, "--unlabeled", "more.csv")


@pytest.mark.parametrize(
    ("read", "arguments"),
    [
        ("rows.csv", ("teach", *DATA, "--out")),
        ("test.csv", ("teach", *DATA, "--test-data", "test.csv", "--out")),
        ("rows.csv", (*DISTILL, "--out")),
        ("more.csv", (*DISTILL, "--out")),
        ("t.pt", (*DISTILL, "--out")),
        ("test.csv", (*DISTILL, "--test-data", "test.csv", "--out")),
        ("s.student", ("predict", "--model", "s.student", "--data", "more.csv", "--out")),
        ("more.csv", ("predict", "--model", "s.student", "--data", "more.csv", "--out")),
    ],
)
@pytest.mark.parametrize("way", ["dotted", "symlink", "hard link"])
def test_files_that_are_read_stay_as_they_are(softkd, here, read, arguments, way):
    before = (here / read).read_bytes()
    out = here / "sub" / ".." / read
    (here / "sub").mkdir()
    if way != "dotted":
        out = here / "link"
        (out.symlink_to if way == "symlink" else out.hardlink_to)(here / read)
    result = softkd(*arguments, out, "--force")
    assert result.exit_code == 2, result.output
    assert "never replaces what it reads" in result.stderr
    assert (here / read).read_bytes() == before


@pytest.mark.parametrize(
    ("read", "ending", "arguments"),
    [
        ("s.student", ".png", ("explain", "s.student", "--sample", "1")),
        ("rows.csv", ".png", ("explain", "s.student", *DATA, "--row", "1")),
        ("s.student", ".html", ("explore", "s.student")),
        ("rows.csv", ".html", ("explore", "s.student", *DATA)),
        ("s.student", ".onnx", ("export", "s.student", "--format", "onnx")),
        ("rows.csv", ".c", ("export", "s.student", "--format", "c", *DATA)),
    ],
)
def test_links_to_inputs_are_not_replaced_by_pictures_and_exports(
    softkd, here, read, ending, arguments
):
    before = (here / read).read_bytes()
    os.link(read, f"out{ending}")
    result = softkd(*arguments, "--out", f"out{ending}", "--force")
    assert result.exit_code == 2, result.output
    assert (here / read).read_bytes() == before


def test_a_file_written_beside_an_export_is_no_input_either(softkd, here):
    os.link("s.student", "tree.h")
    before = (here / "s.student").read_bytes()
    result = softkd("export", "s.student", "--format", "c", "--out", "tree.c", "--force")
    assert result.exit_code == 2
    assert (here / "s.student").read_bytes() == before


def test_data_that_only_the_teacher_names_are_not_replaced(softkd, table, table_teacher):
    before = table.read_bytes()
    result = softkd("distill", "--teacher", table_teacher, "--out", table, "--force")
    assert result.exit_code == 2
    assert table.read_bytes() == before


def test_a_checkpoint_replaces_no_input(softkd, here):
    os.rename("more.csv", "s.checkpoint")
    os.symlink("s.checkpoint", "link.csv")
    arguments = ("distill", "--teacher", "t.pt", *DATA, "--unlabeled", "link.csv")
    result = softkd(*arguments, "--out", "s", "--force")
    assert result.exit_code == 2
    assert (here / "s.checkpoint").read_bytes()


@pytest.mark.parametrize("command", ["compare", "label"])
def test_no_input_lies_in_the_folder_of_results(softkd, here, command):
    (here / "out").mkdir()
    shutil.copy("t.pt", "out/t.pt")
    given = ("--students", "tree", *DATA) if command == "compare" else ("--data", "rows.npy")
    (here / "rows.npy").write_bytes(b"")
    result = softkd(command, "--teacher", "out/t.pt", *given, "--out", "out")
    assert result.exit_code == 2, result.output
    assert "lies in 'out'" in result.stderr
    assert sorted(path.name for path in (here / "out").iterdir()) == ["t.pt"]


def test_a_report_replaces_no_results(softkd, here):
    (here / "c").mkdir()
    (here / "c" / "results.json").write_text("{}")
    os.link("c/results.json", "c/report.html")
    result = softkd("report", "c", "--out", "c/report.html", "--force")
    assert result.exit_code == 2
    assert (here / "c" / "results.json").read_text() == "{}"


def test_labels_of_a_folder_are_not_replaced_by_a_student(softkd, here):
    (here / "labels").mkdir()
    (here / "labels" / "manifest.json").write_text("{}")
    out = ("--out", "labels/manifest.json", "--force")
    result = softkd("distill", "--targets", "labels", *out)
    assert result.exit_code == 2
    assert (here / "labels" / "manifest.json").read_text() == "{}"
