"""`softkd distill` from a folder of labels, and by several processes."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from distributed import Client, LocalCluster
from joblib import cpu_count
from sklearn.datasets import load_digits

from soft_students import load
from soft_students.dask import fit_xgboost
from soft_students.labelled import LabelledParts
from soft_students.persistence.checkpoints import Checkpoint
from soft_students.students import XGBoostStudentClassifier
from soft_students.students.files import dumps, trained_on
from soft_students.students.soft_tree import base

X = (load_digits().data / 16).astype(np.float32)
TREE = ("--student", "soft_tree", "--depth", 2, "--epochs", 2)
NEURAL = ("--student", "neural", "--epochs", 2)
XGBOOST = ("--student", "xgboost", "--set", "n_estimators=3")
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", 2)


@pytest.fixture(scope="session")
def targets(done, teacher, shared):
    """Return a folder of labels: 1,500 rows in three parts."""
    (shared / "rows").mkdir()
    for i in range(3):
        np.save(shared / "rows" / f"{i}.npy", X[i * 500 : (i + 1) * 500])
    data = ("--data", f"{shared}/rows/*.npy", "--workers", 0)
    done("label", "--teacher", teacher, *data, "--out", shared / "targets")
    return shared / "targets"


@pytest.fixture(scope="module")
def client():
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def asked(client, monkeypatch):
    """Have workers that are threads train; return what the command asked for."""
    calls = []

    @contextlib.contextmanager
    def started(scheduler, workers):
        calls.append((scheduler, workers))
        yield client

    monkeypatch.setattr("softkd.parts.dask_client", started)
    return calls


@pytest.mark.parametrize("student", [TREE, NEURAL])
def test_a_student_of_parts(done, targets, tmp_path, monkeypatch, student):
    monkeypatch.chdir(tmp_path)
    result = done("distill", "--targets", targets, *student)
    name = f"{student[1]}-targets.student"
    assert result.stdout.startswith(
        f"{name}: {student[1]}, trained on 1,500 rows in 3 parts, labelled by 'mlp', in "
    )
    assert f"softkd evaluate --model {name} --teacher FILE --data FILE" in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == [name]
    fitted = load(name)
    assert (fitted.n_features_in_, fitted.verbose, fitted.checkpoint) == (64, 0, None)
    same = type(fitted)(**fitted.get_params()).fit(LabelledParts(targets))
    assert dumps(same) == dumps(fitted)


def test_json_and_what_the_file_says(done, targets, tmp_path):
    out = tmp_path / "s"
    arguments = ("--targets", targets, *TREE, "--seed", 3, "--out", out, "--json")
    said = json.loads(done("distill", *arguments).stdout)
    assert set(said) == {
        *("student", "targets", "rows", "parts", "labelled_by", "out", "bytes", "parameters"),
        *("seconds", "threads", "seed", "versions"),
    }
    assert (said["rows"], said["parts"], said["labelled_by"]) == (1500, 3, "mlp")
    assert (said["seed"], said["parameters"]["random_state"]) == (3, 3)
    assert said["bytes"] == out.stat().st_size
    known = trained_on(out)
    assert (known["targets"], known["rows"]) == (str(targets), 1500)


def test_it_is_measured_like_any_other(done, targets, teacher, tmp_path):
    out = tmp_path / "s"
    done("distill", "--targets", targets, *NEURAL, "--out", out)
    arguments = ("--model", out, "--teacher", teacher, "--data", "digits", "--json")
    assert json.loads(done("evaluate", *arguments).stdout)["accuracy"] > 0.5


def test_xgboost_is_trained_on_workers(done, targets, client, asked, tmp_path):
    done("distill", "--targets", targets, *XGBOOST, "--workers", 5, "--out", tmp_path / "a")
    more = ("--scheduler", "tcp://x:1", "--out", tmp_path / "b")
    done("distill", "--targets", targets, *XGBOOST, *more)
    assert asked == [(None, 3), ("tcp://x:1", min(cpu_count(), 3))]  # at most one a part
    student = XGBoostStudentClassifier(n_estimators=3, random_state=0)
    fitted = fit_xgboost(student, LabelledParts(targets), client=client)
    np.testing.assert_allclose(
        load(tmp_path / "a").predict_proba(X), fitted.predict_proba(X), atol=1e-6
    )


def test_an_interrupted_training_goes_on(done, softkd, targets, tmp_path, monkeypatch):
    monkeypatch.setattr(base, "CHECKPOINT_INTERVAL", 0.0)
    command = ("distill", "--targets", targets, *TREE)
    done(*command, "--out", tmp_path / "whole")
    write = Checkpoint.write

    def interrupted(self, *values):
        write(self, *values)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "write", interrupted)
        assert softkd(*command, "--out", tmp_path / "s").exit_code == 130
    refused = softkd(*command, "--out", tmp_path / "s")
    assert (refused.exit_code, "Pass --resume" in refused.stderr) == (1, True)
    done(*command, "--out", tmp_path / "s", "--resume")
    assert (tmp_path / "s").read_bytes() == (tmp_path / "whole").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"s", "whole"}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "Name the teacher: --teacher FILE, or --targets FOLDER"),
        (("--targets", "t", "--teacher", "a", "--data", "b"), "Leave out --teacher, --data."),
        (("--targets", "t", "--baseline", "--transfer", "munge"), "out --transfer, --baseline."),
        (("--targets", "t", "--student", "tree"), "soft_tree, xgboost and neural learn. Got"),
        (("--targets", "t", "--workers", "2"), "--workers and --scheduler are for --student xgb"),
        (("--teacher", "t", "--scheduler", "a"), "are for --targets with --student xgboost"),
        (("--targets", "t", "--student", "xgboost", "--resume"), "keeps no checkpoint"),
        (
            ("--targets", "t", "--student", "xgboost", "--workers", "2", "--scheduler", "a"),
            "--scheduler has its own",
        ),
    ],
)
def test_bad_usage(softkd, arguments, text):
    result = softkd("distill", *arguments)
    assert result.exit_code == 2
    assert text in " ".join(result.stderr.split())


def test_what_goes_wrong_with_parts_is_one_line(softkd, targets, tmp_path):
    for folder, more, code, text in (
        (tmp_path, (), 1, "holds no labelled parts"),
        (targets, ("--hard-weight", 0.5), 1, "has no column of labels"),
        (targets, ("--set", "depht=3"), 2, "Did you mean 'depth'?"),
        (targets, ("--temperature", "auto"), 1, "cannot choose temperature='auto'"),
    ):
        result = softkd("distill", "--targets", folder, *TREE, *more, "--out", tmp_path / "s")
        assert (result.exit_code, result.stderr.count("Error: ")) == (code, 1)
        assert text in result.stderr
    assert not list(tmp_path.iterdir())


def test_without_the_extra_xgboost_says_so(softkd, targets, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "soft_students.dask.boosting", raising=False)
    result = softkd("distill", "--targets", targets, *XGBOOST, "--out", tmp_path / "s")
    assert result.exit_code == 1
    assert "pip install 'soft-students[scale]'" in result.stderr


# -- several processes ------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["targets", "teacher"])
def test_devices_are_for_students_of_several_processes(softkd, targets, teacher, way, tmp_path):
    source = ("--targets", targets) if way == "targets" else ("--teacher", teacher)
    more = ("--out", tmp_path / "s")
    result = softkd("distill", *source, *XGBOOST, "--devices", 2, *more)
    assert result.exit_code == 2
    assert (
        "--devices and --num-nodes are for students that several processes train" in result.stderr
    )
    result = softkd("distill", *source, *NEURAL, "--num-nodes", 2, *more)
    assert result.exit_code == 2
    assert "n_nodes=2 needs processes started by torchrun on each host" in result.stderr


@pytest.fixture
def second(monkeypatch):
    """Make this the second of two processes that torchrun has started."""
    for name, value in {
        "TORCHELASTIC_RUN_ID": "x",
        "WORLD_SIZE": "2",
        "RANK": "1",
        "LOCAL_RANK": "1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("softkd.shell._TORCHRUN_PATIENCE", 0)


def test_torchrun_and_the_student_must_agree(softkd, second, targets, teacher):
    result = softkd("distill", "--targets", targets, *TREE)
    assert result.exit_code == 2
    assert "torchrun has started 2" in result.stderr
    result = softkd("distill", "--teacher", teacher, *XGBOOST)
    assert result.exit_code == 2
    assert "--student xgboost is trained by one. Run it without torchrun" in result.stderr


@pytest.mark.parametrize("way", ["targets", "teacher"])
def test_the_second_process_trains_and_neither_looks_nor_writes(
    softkd, second, targets, teacher, tmp_path, monkeypatch, way
):
    fitted = []

    def fit(self, *arguments, **named):
        fitted.append(self)
        return self

    monkeypatch.setattr("soft_students.students.SoftDecisionTreeClassifier.fit", fit)
    source = ("--targets", targets) if way == "targets" else ("--teacher", teacher)
    (tmp_path / "s").write_text("of the first")
    (tmp_path / "s.checkpoint").write_text("of the first")
    command = ("distill", *source, *TREE, "--transfer", "none", "--devices", 2)
    result = softkd(*command, "--out", tmp_path / "s")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert len(fitted) == (1 if way == "targets" else 2)
    assert {path.read_text() for path in tmp_path.iterdir()} == {"of the first"}


def run(*command, **more):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, env=environment, **more
    )


@pytest.mark.slow
@pytest.mark.parametrize("student", [TREE, NEURAL])
def test_torchrun_gives_the_file_of_spawned_processes(done, targets, tmp_path, student):
    command = ("distill", "--targets", targets, *student, "--devices", 2, "--out")
    done(*command, tmp_path / "spawned")
    script = Path(sys.executable).with_name("softkd")
    for name, started in (("module", ("-m", "softkd")), ("script", ("--no-python", script))):
        result = run(*TORCHRUN, *started, *command, tmp_path / name, timeout=120)
        assert result.returncode == 0, result.stderr
        assert result.stdout.count("trained on 1,500 rows") == 1
        assert (tmp_path / name).read_bytes() == (tmp_path / "spawned").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"spawned", "module", "script"}


@pytest.mark.slow
def test_torchrun_with_teacher_and_data(teacher, tmp_path):
    command = ("distill", "--teacher", teacher, *TREE, "--transfer", "none", "--devices", 2)
    out = ("--out", tmp_path / "s")
    result = run(*TORCHRUN, "-m", "softkd", *command, *out, "--json", timeout=120)
    assert result.returncode == 0, result.stderr
    assert set(json.loads(result.stdout)["seconds"]) == {"student", "labels", "total"}
    assert result.stderr.count("Written: ") == 1
    again = run(*TORCHRUN, "-m", "softkd", *command, *out, timeout=120)
    assert again.returncode == 1
    assert again.stderr.count("exists. Choose another --out, or pass --force.") == 1


@pytest.fixture
def on_workers(targets):
    command = (sys.executable, "-m", "softkd", "distill", "--targets", targets, "--workers", 2)
    return (*command, "--student", "xgboost", "--set")


@pytest.mark.slow
def test_workers(on_workers, tmp_path):
    for name in "st":
        command = (*on_workers, "n_estimators=3", "--out", tmp_path / name, "--json")
        result = run(*command, timeout=120)
        assert result.returncode == 0, result.stderr
        assert json.loads(result.stdout)["rows"] == 1500
    assert (tmp_path / "s").read_bytes() == (tmp_path / "t").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("end", ["Ctrl-C", "a worker is killed"])
def test_training_on_workers_is_broken_off(on_workers, tmp_path, end):
    command = (*on_workers, "n_estimators=100000", "--out", tmp_path / "s")
    process = subprocess.Popen(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stderr is not None
    assert "got rank" in process.stderr.readline()  # XGBoost's word that training begins
    time.sleep(2)
    if end == "Ctrl-C":
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    else:
        children = psutil.Process(process.pid).children(recursive=True)
        workers = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
        workers[0].kill()
    _, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors
    if end == "Ctrl-C":
        assert process.returncode == 130
        assert errors.splitlines()[-1] == "Interrupted. Files are written whole or not at all."
    else:
        assert process.returncode == 1
        assert errors.splitlines()[-1].startswith("Error: A worker was killed while the trees")
    assert not list(tmp_path.iterdir())
