"""The table of benchmarks is complete, its page is up to date, and runs go on where they were."""

import importlib.util
import json
import shlex
import statistics
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "benchmarks"


def _module(name):
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look for it
    spec.loader.exec_module(module)
    return module


runner = _module("run")
BENCHMARKS = runner.BENCHMARKS


def test_every_script_is_in_the_table():
    named = {Path(each.script).name for each in BENCHMARKS.values()} | set(runner.PARTS)
    assert {path.name for path in FOLDER.glob("*.py")} <= named
    assert all((FOLDER / name).exists() for name in runner.PARTS)


def test_every_result_is_in_the_table_and_there():
    there = {path.stem for path in (FOLDER / "results").iterdir()}
    assert there == set(BENCHMARKS)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_the_page_of_a_figure_names_its_source(name):
    text = (ROOT / BENCHMARKS[name].page).read_text()
    script = BENCHMARKS[name].script
    named = [f"{name}.json", f"`{script}`", script.removeprefix("benchmarks/").removesuffix(".py")]
    assert any(each in text for each in named)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_commands_use_options_that_their_scripts_have(name):
    each = BENCHMARKS[name]
    for command in filter(None, (each.first, each.command, each.table)):
        arguments = shlex.split(command)
        if arguments[0] == "-m" and arguments[1] == "softkd":
            import click

            from softkd.shell import main

            found = main.get_command(click.Context(main), arguments[2])
            known = " ".join(option for each in found.params for option in each.opts)
        else:
            path = arguments[1].replace(".", "/") + ".py" if arguments[0] == "-m" else arguments[0]
            known = (ROOT / path).read_text()
        assert [part for part in arguments if part.startswith("--") and part not in known] == []


def test_the_page_holds_the_table():
    text = (ROOT / "docs" / "benchmarks.md").read_text()
    between = text.partition("<!-- benchmarks -->")[2].partition("<!-- end of benchmarks -->")[0]
    assert between.strip() == runner.table(), "run: python benchmarks/run.py --page"


def test_the_pages_own_figures_are_those_of_the_results():
    text = (ROOT / "docs" / "benchmarks.md").read_text()
    results = {
        name: json.loads((FOLDER / "results" / f"{name}.json").read_text())
        for name in ("xgboost_student", "neural_student_cost", "loss_speed")
    }
    for row in results["xgboost_student"]["rows"]:
        shape = row["shape"].removesuffix(" classes")
        nodes = row["nodes"]["soft"] / row["nodes"]["native"]
        assert f"| {shape} | {row['ratio_mean']['soft']:.2f} | {nodes:.2f} |" in text
        assert row["plain_model_differs_by"] == 0
    ratios = list(results["neural_student_cost"]["median_ratio_to_labels"].values())[1:]
    lines = text.partition("| training | x labels |")[2].splitlines()[2:8]
    assert [line.split("|")[2].strip() for line in lines] == [f"{x:.2f}" for x in ratios]
    losses = results["loss_speed"]["results"]
    time, memory = ([row[f"{of}_ratio"] for row in losses] for of in ("time", "memory"))
    assert f"{len({row['case'] for row in losses})} losses" in text
    medians = f"{statistics.median(time):.2f} in time and {statistics.median(memory):.2f} in memory"
    assert medians in text
    slowest = max(losses, key=lambda row: row["time_ratio"])
    assert (slowest["case"], slowest["channels"]) == ("dkd", 64)
    assert f"`dkd` at 64 channels, {slowest['time_ratio']:.2f};" in text
    largest = max(losses, key=lambda row: row["memory_ratio"])
    assert (largest["case"], largest["channels"]) == ("cc gaussian, rows as they are", 64)
    assert f"{largest['memory_ratio']:.2f} at 64 channels" in text


SUCCEEDS = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text('{\"value\": 3}')"


@pytest.fixture
def repository(tmp_path):
    (tmp_path / "benchmarks" / "results").mkdir(parents=True)
    return tmp_path


def made(code=SUCCEEDS, **settings):
    command = f"-c {shlex.quote(code.replace('{', '{{').replace('}', '}}'))} {{out}}"
    return runner.Benchmark(command, "something", "docs/some.md", 1, **settings)


def test_results_are_put_in_place_and_benchmarks_not_run_again(repository, capfd):
    work = repository / "work"
    chosen = {"one": made(), "two": made("print(7)", printed=True)}
    assert runner.run(chosen, work, root=repository) == {}
    results = repository / "benchmarks" / "results"
    assert json.loads((results / "one.json").read_text()) == {"value": 3}
    assert (results / "two.json").read_text() == "7\n"
    again = {name: replace(each, command="-c 1/0") for name, each in chosen.items()}
    assert runner.run(again, work, root=repository) == {}
    assert capfd.readouterr().out.count("is finished") == 2


def test_one_that_adds_starts_from_the_result_that_is_there(repository):
    kept = repository / "benchmarks" / "results" / "one.json"
    kept.write_text("first,")
    adds = "import sys; open(sys.argv[1], 'a').write('second')"
    assert runner.run({"one": made(adds, adds=True)}, repository / "work", root=repository) == {}
    assert kept.read_text() == "first,second"


def test_a_failure_leaves_the_result_and_the_others_go_on(repository):
    kept = repository / "benchmarks" / "results" / "one.json"
    kept.write_text("old")
    chosen = {
        "one": made("import sys; sys.exit(5)"),
        "two": made(),
        "three": made(after="one"),
        "four": made(needs=("no_such_module",)),
        "five": runner.Benchmark("script.py {peers}", "something", "docs/some.md", 1),
    }
    wrong = runner.run(chosen, repository / "work", root=repository)
    assert set(wrong) == {"one", "three", "four", "five"}
    assert "exit code 5" in wrong["one"]
    assert "one, which must run first" in wrong["three"]
    assert "install no_such_module" in wrong["four"]
    assert "--peer-python" in wrong["five"]
    assert kept.read_text() == "old"
    mended = runner.run(chosen | {"one": made()}, repository / "work", root=repository)
    assert set(mended) == {"four", "five"}


def test_an_interrupted_run_goes_on(repository, monkeypatch):
    chosen = {"one": made(), "two": made()}
    run, calls = runner.subprocess.run, []

    def interrupted(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return run(*arguments, **options)

    monkeypatch.setattr(runner.subprocess, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        runner.run(chosen, repository / "work", root=repository)
    assert runner.is_done(repository / "work", "one")
    assert not runner.is_done(repository / "work", "two")
    assert runner.run(chosen, repository / "work", root=repository) == {}
    assert len(calls) == 3


def test_the_list_names_all_and_runs_none(tmp_path):
    done = CliRunner().invoke(runner.main, ["--list", "--work", str(tmp_path)])
    assert done.exit_code == 0
    assert [line.split()[0] for line in done.output.splitlines()] == list(BENCHMARKS)
    assert list(tmp_path.iterdir()) == []
