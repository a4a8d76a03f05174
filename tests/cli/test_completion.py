"""Values that a shell offers, asked for as the scripts for bash, zsh and fish do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from soft_students.methods import entries
from soft_students.networks.zoo import NETWORKS
from soft_students.students import available
from softkd.shell import main


@pytest.fixture
def offered(monkeypatch, tmp_path, capfd):
    """Return a function that completes the last word of a line in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def complete(line, shell="bash"):
        words = line.split(" ")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", words[-1] if shell == "fish" else str(len(words) - 1))
        monkeypatch.setenv("_SOFTKD_COMPLETE", f"{shell}_complete")
        with pytest.raises(SystemExit) as ended:
            main(prog_name="softkd")
        printed = capfd.readouterr()
        assert (ended.value.code, printed.err) == (0, "")
        lines = printed.out.splitlines()
        return [line.removeprefix("plain,") for line in lines] if shell == "bash" else lines

    return complete


def test_commands(offered):
    assert offered("softkd ") == main.list_commands(None)
    assert offered("softkd ex") == ["explain", "explore", "export"]


def test_students(offered):
    assert offered("softkd distill --student ") == list(available())
    assert offered("softkd distill --teacher t.pt --student so") == ["soft_tree"]
    assert offered("softkd distill --student svm --depth 3 --student kn") == ["knn"]


def test_several_students_complete_the_last_and_repeat_none(offered):
    names = offered("softkd compare --students tree,svm,")
    assert names == [f"tree,svm,{name}" for name in available() if name not in ("tree", "svm")]
    assert offered("softkd compare --students tree,s") == ["tree,soft_tree", "tree,svm"]


def test_methods(offered):
    assert offered("softkd distill --method ") == list(entries())
    assert offered("softkd distill --student neural --method rkd,kd,d") == [
        f"rkd,kd,{key}" for key in entries() if key.startswith("d")
    ]
    assert offered("softkd methods wt") == ["wttm"]


def test_networks(offered):
    assert offered("softkd teach --arch ") == list(NETWORKS)
    assert offered("softkd distill --module small") == ["small_cnn"]


def test_fixed_choices(offered):
    assert offered("softkd distill --transfer m") == ["marginal", "mixup", "munge"]
    assert offered("softkd compare --rank ") == [
        "index",
        "topsis",
        "ahp",
        "aggregate_index",
        "mean_index",
    ]
    assert offered("softkd reproduce ") == ["mnist"]


def test_data_are_names_tables_and_folders(offered, tmp_path):
    for name in ("mine.csv", "march.PARQUET", "notes.txt", ".more.csv"):
        (tmp_path / name).touch()
    (tmp_path / "months").mkdir()
    assert offered("softkd teach --data m") == ["mnist", "march.PARQUET", "mine.csv", "months/"]
    assert offered("softkd teach --data f") == ["fashion_mnist"]


def test_other_files_are_left_to_the_shell(offered, tmp_path):
    assert offered("softkd teach --data months/j") == ["file,months/j"]
    assert offered("softkd info x") == ["file,x"]
    assert offered("softkd distill --teacher x") == ["file,x"]
    assert offered("softkd distill --data-dir x") == ["dir,x"]


def test_a_factory_is_found_in_the_files_of_the_folder(offered, tmp_path):
    (tmp_path / "nets.py").write_text("class Net:\n    def forward(self): ...\n\ndef make(): ...\n")
    (tmp_path / "other.py").write_bytes(b"\xff\xfe")
    assert offered("softkd distill --arch ") == ["nets:Net", "nets:make"]
    assert offered("softkd distill --arch nets:m") == ["nets:make"]


def test_zsh_and_fish_get_what_names_mean(offered):
    title = entries()["wttm"].title
    assert offered("softkd methods wt", "zsh") == ["plain", "wttm", title]
    assert offered("softkd methods wt", "fish") == [f"plain,wttm\t{title}"]


def test_errors_in_the_line_are_no_failures(offered):
    assert "distill" in offered("softkd distil ")
    assert offered("softkd distill --depth 99 --student nope --method logit") == ["logit_std"]


@pytest.mark.skipif(not os.path.exists("/bin/bash"), reason="bash is not installed")
def test_bash_takes_the_script():
    program = (
        f'PATH="{Path(sys.executable).parent}:$PATH"\n'
        'eval "$(_SOFTKD_COMPLETE=bash_source softkd)"\n'
        "COMP_WORDS=(softkd distill --student kn) COMP_CWORD=3\n"
        '_softkd_completion softkd\necho "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["/bin/bash", "-c", program], capture_output=True, text=True)
    assert done.stdout == "knn\n", done.stderr
