import json
import os
import pickle
import shutil
import threading

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression, LogisticRegression

from soft_students.labelled import LabelledParts, TeacherFile, label_parts
from soft_students.labelled import labelling as worker
from soft_students.persistence import atomic_write
from soft_students.teachers import EnsembleTeacher, as_teacher, load_teacher


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def label(teacher_file, big, folder, **options):
    options = {"target": "y", "part_rows": 300, **options}
    return label_parts(teacher_file, f"{big}/*.parquet", folder, **options)


def test_targets_are_what_the_teacher_says(teacher_file, big, tmp_path):
    done = label(teacher_file, big, tmp_path / "out")
    assert (done.n_files, done.n_parts, done.n_rows) == (3, 9, 2100)
    assert (len(done.labelled), done.n_kept, done.failures) == (9, 0, {})
    parts = LabelledParts(tmp_path / "out")
    assert (parts.n_rows, parts.n_features, parts.kind) == (2100, 6, "logits")
    assert parts.classes.tolist() == [0, 1, 2]
    teacher = load_teacher(teacher_file)
    for part in parts:
        assert part.targets().dtype == np.float32
        np.testing.assert_allclose(part.targets(), teacher.logits(part.X()), atol=1e-5)


def test_probabilities_at_a_temperature(teacher_file, big, tmp_path):
    label(teacher_file, big, tmp_path / "out", kind="probabilities", temperature=3.0)
    parts = LabelledParts(tmp_path / "out")
    assert (parts.kind, parts.temperature) == ("probabilities", 3.0)
    expected = load_teacher(teacher_file).predict_proba(parts[4].X(), temperature=3.0)
    np.testing.assert_allclose(parts[4].targets(), expected, atol=1e-6)


@pytest.mark.parametrize("suffix", ["npy", "zarr"])
def test_arrays_give_what_tables_give(teacher_file, big, tmp_path, suffix, write_array):
    label(teacher_file, big, tmp_path / "tables", part_rows=None)
    X = np.concatenate([part.X() for part in LabelledParts(tmp_path / "tables")])
    path = write_array(tmp_path / f"rows.{suffix}", X)
    label_parts(teacher_file, path, tmp_path / "arrays", part_rows=1000)
    parts = LabelledParts(tmp_path / "arrays")
    assert [part.n_rows for part in parts] == [1000, 1000, 100]
    tables = np.concatenate([part.targets() for part in LabelledParts(tmp_path / "tables")])
    arrays = np.concatenate([part.targets() for part in parts])
    np.testing.assert_allclose(arrays, tables, atol=1e-5)
    np.testing.assert_array_equal(np.concatenate([part.X() for part in parts]), X)


def test_workers_write_the_same_bytes(teacher_file, big, tmp_path, worker_threads):
    label(teacher_file, big, tmp_path / "one")
    progress = []
    done = label(
        teacher_file,
        big,
        tmp_path / "two",
        client=worker_threads,
        on_part=lambda rows, total: progress.append((rows, total)),
    )
    assert contents(tmp_path / "two") == contents(tmp_path / "one")
    assert len(done.labelled) == len(progress) == 9
    assert progress[-1] == (2100, 2100)


def test_the_teacher_is_read_once_a_process(teacher_file, big, tmp_path, monkeypatch):
    loads = []
    load = TeacherFile.load
    monkeypatch.setattr(TeacherFile, "load", lambda self: loads.append(self) or load(self))
    worker._kept.clear()
    label(teacher_file, big, tmp_path / "out")
    assert len(loads) == 2  # one to plan, one to label nine parts
    label(teacher_file, big, tmp_path / "other")
    assert len(loads) == 3


def test_labelling_has_one_thread_and_gives_them_back(teacher_file, big, tmp_path, monkeypatch):
    seen, before = [], torch.get_num_threads()
    answer = worker._outputs
    monkeypatch.setattr(
        worker, "_outputs", lambda *args: seen.append(torch.get_num_threads()) or answer(*args)
    )
    label(teacher_file, big, tmp_path / "out")
    assert set(seen) == {1}
    assert torch.get_num_threads() == before


def test_an_interrupted_run_is_completed_to_the_same_bytes(
    teacher_file, big, tmp_path, monkeypatch
):
    label(teacher_file, big, tmp_path / "whole")
    written = []

    def interrupt(path, **options):
        written.append(path)
        if len(written) == 8:  # the fourth part: its record is not written
            raise KeyboardInterrupt
        return atomic_write(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(worker, "atomic_write", interrupt)
        with pytest.raises(KeyboardInterrupt):
            label(teacher_file, big, tmp_path / "out")
    with pytest.raises(ValueError, match="0 of 3 files could not be read, 6 of 9 parts have no"):
        LabelledParts(tmp_path / "out")
    done = label(teacher_file, big, tmp_path / "out")
    assert (done.n_kept, len(done.labelled)) == (3, 6)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert label(teacher_file, big, tmp_path / "out").labelled == []


def test_a_rerun_removes_what_a_killed_run_has_left(teacher_file, big, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    for name in (".manifest.json", ".p0.parquet.0.npy", ".p1.parquet.300.json"):
        (folder / f"{name}.0123456789abcdef.tmp").write_bytes(b"half")
    with atomic_write(folder / "p2.parquet.600.npy") as file:  # of another run, still at work
        label(teacher_file, big, folder)
        (at_work,) = (path.name for path in folder.iterdir() if path.name.startswith("."))
        assert at_work.startswith(".p2.parquet.600.npy.")
        file.write(b"other")
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("change", ["size", "time"])
def test_a_file_that_changes_while_it_is_read_is_refused(
    teacher_file, big, tmp_path, monkeypatch, change
):
    answer = worker._outputs

    def changing(teacher, X, part):
        path = big / "p1.parquet"
        if part.source == str(path) and part.start == 600:
            stat = path.stat()
            if change == "size":
                path.write_bytes(path.read_bytes() + b" ")
                os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
            else:
                os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000))
        return answer(teacher, X, part)

    monkeypatch.setattr(worker, "_outputs", changing)
    done = label(teacher_file, big, tmp_path / "out")
    assert set(done.failures) == {"p1.parquet.600"}
    assert done.failures["p1.parquet.600"] == (
        f"'{big / 'p1.parquet'}' changed while it was read. Run the command again."
    )
    assert not (tmp_path / "out" / "p1.parquet.600.json").exists()  # so it is not taken as done
    assert len(done.labelled) == 8


def test_what_is_damaged_or_gone_is_labelled_again(teacher_file, big, tmp_path):
    folder = tmp_path / "out"
    label(teacher_file, big, folder)
    whole = contents(folder)
    flipped = bytearray(whole["p0.parquet.300.npy"])
    flipped[-1] ^= 1
    (folder / "p0.parquet.300.npy").write_bytes(flipped)
    (folder / "p1.parquet.0.json").unlink()
    (folder / "p1.parquet.300.json").write_text("{")
    (folder / "p2.parquet.600.npy").unlink()
    done = label(teacher_file, big, folder)
    assert sorted(done.labelled) == [
        "p0.parquet.300",
        "p1.parquet.0",
        "p1.parquet.300",
        "p2.parquet.600",
    ]
    assert contents(folder) == whole


def test_a_changed_file_is_labelled_again(teacher_file, big, tmp_path, write_table):
    folder = tmp_path / "out"
    label(teacher_file, big, folder)
    X = np.ones((200, 6), np.float32)
    write_table(big / "p1.parquet", X, np.zeros(200, int))
    parts = LabelledParts(folder)
    with pytest.raises(ValueError, match=r"p1.parquet' has changed since its rows were labelled"):
        parts[3].X()
    done = label(teacher_file, big, folder)
    assert done.labelled == ["p1.parquet.0"]
    assert [part.n_rows for part in LabelledParts(folder)] == [300, 300, 100, 200, 300, 300, 100]
    label(teacher_file, big, tmp_path / "fresh")
    assert contents(folder) == contents(tmp_path / "fresh")


def test_files_may_be_added_but_not_be_lost(teacher_file, big, tmp_path, write_table):
    folder = tmp_path / "out"
    label(teacher_file, big, folder)
    write_table(big / "p00.parquet", np.ones((10, 6), np.float32), np.zeros(10, int))
    assert label(teacher_file, big, folder).labelled == ["p00.parquet.0"]
    assert LabelledParts(folder).n_rows == 2110
    (big / "p00.parquet").unlink()
    with pytest.raises(ValueError, match="1 files are missing from the data, such as 'p00"):
        label(teacher_file, big, folder)
    label(teacher_file, big, folder, force=True)
    label(teacher_file, big, tmp_path / "fresh")
    assert contents(folder) == contents(tmp_path / "fresh")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"kind": "probabilities"}, "kind was 'logits' and is 'probabilities'"),
        ({"part_rows": 600}, "part_rows was 300 and is 600"),
        ({"target": None, "exclude": ["y"]}, "target was 'y' and is None"),
    ],
)
def test_other_settings_are_refused(teacher_file, big, tmp_path, options, match):
    label(teacher_file, big, tmp_path / "out")
    before = contents(tmp_path / "out")
    with pytest.raises(ValueError, match=match):
        label(teacher_file, big, tmp_path / "out", **options)
    assert contents(tmp_path / "out") == before
    label(teacher_file, big, tmp_path / "out", **options, force=True)
    label(teacher_file, big, tmp_path / "fresh", **options)
    assert contents(tmp_path / "out") == contents(tmp_path / "fresh")


def test_another_teacher_is_refused(teacher_file, big, tmp_path):
    label(teacher_file, big, tmp_path / "out")
    other = tmp_path / "t.pt"
    torch.save(torch.load(teacher_file, weights_only=True), other)  # other bytes, same network
    with pytest.raises(ValueError, match=r"teacher_sha256 was .* and is .* start again: --force"):
        label(other, big, tmp_path / "out")


def test_a_teacher_that_changes_underway_is_refused(teacher_file, big, tmp_path):
    assignment = worker.Assignment(TeacherFile(str(teacher_file)), "0" * 64, "")
    with pytest.raises(ValueError, match="of this worker differs from the one where labelling was"):
        worker._teacher_of(assignment)


def test_bad_files_are_named_and_the_others_labelled(
    teacher_file, big, tmp_path, write_table, worker_threads
):
    X, y = np.ones((700, 6), np.float32), np.zeros(700, int)
    write_table(big / "a_other_names.parquet", X, y, [*"abcdef"])
    write_table(big / "q_narrow.parquet", X[:, :5], y, [f"f{i}" for i in range(5)])
    X[350, 2] = np.nan
    write_table(big / "r_nan.parquet", X, y)
    (big / "s_short.parquet").write_bytes((big / "p0.parquet").read_bytes()[:-20])
    write_table(big / "t_no_label.parquet", np.ones((9, 6), np.float32))
    (big / "a_other_names.parquet").rename(big / "u_other_names.parquet")
    for client in (None, worker_threads):
        folder = tmp_path / f"out{client is None}"
        done = label(teacher_file, big, folder, client=client)
        failures = {os.path.basename(name): text for name, text in done.failures.items()}
        assert set(failures) == {
            "q_narrow.parquet",
            "r_nan.parquet.300",
            "s_short.parquet",
            "t_no_label.parquet",
            "u_other_names.parquet",
        }
        assert "has 5 features, but the teacher takes 6" in failures["q_narrow.parquet"]
        assert (
            "r_nan.parquet' (rows 300 to 599) has no value (NaN) in 1 of 300 rows, in the "
            in (failures["r_nan.parquet.300"])
        )
        assert "columns 'f2'" in failures["r_nan.parquet.300"]
        assert "cannot be read as a Parquet file" in failures["s_short.parquet"]
        assert "lacks the columns 'y'" in failures["t_no_label.parquet"]
        assert "has the columns 'a', 'b'" in failures["u_other_names.parquet"]
        assert len(done.labelled) == 9 + 2
        with pytest.raises(ValueError, match="4 of 8 files could not be read, 1 of 12 parts"):
            LabelledParts(folder)
    X[350, 2] = 0
    write_table(big / "r_nan.parquet", X, y)
    for name in ("q_narrow", "s_short", "t_no_label", "u_other_names"):
        write_table(big / f"{name}.parquet", X, y)
    done = label(teacher_file, big, folder)
    assert len(done.labelled) == 3 * 5  # r_nan was written anew, too
    label(teacher_file, big, tmp_path / "fresh")
    assert contents(folder) == contents(tmp_path / "fresh")


def test_columns_are_found_by_name(teacher_file, big, tmp_path, write_table):
    label(teacher_file, big, tmp_path / "out")
    X = LabelledParts(tmp_path / "out")[0].X()
    turned = tmp_path / "turned"
    turned.mkdir()
    write_table(turned / "a.parquet", X, np.zeros(300, int))
    order = [3, 1, 0, 5, 4, 2]
    write_table(turned / "b.parquet", X[:, order], np.zeros(300, int), [f"f{i}" for i in order])
    label(teacher_file, turned, tmp_path / "both")
    first, second = LabelledParts(tmp_path / "both")
    assert first.columns == ("f0", "f1", "f2", "f3", "f4", "f5")
    np.testing.assert_array_equal(first.X(), second.X())
    np.testing.assert_array_equal(first.targets(), second.targets())


def test_a_teacher_that_knows_names_leaves_other_columns_out(big, tmp_path, recwarn):
    import joblib
    import pandas as pd

    frame = pd.read_parquet(big / "p0.parquet")
    names = ["f5", "f0", "f3"]
    model = LogisticRegression().fit(frame[names], frame["y"])
    joblib.dump(model, tmp_path / "t.pkl")
    label(TeacherFile(str(tmp_path / "t.pkl"), trust=True), big, tmp_path / "out", target=None)
    part = LabelledParts(tmp_path / "out")[0]
    assert part.columns == ("f5", "f0", "f3")
    np.testing.assert_array_equal(part.X(), frame[names].to_numpy()[:300])
    expected = model.predict_proba(frame[names])[:300]
    np.testing.assert_allclose(part.probabilities(), expected, atol=1e-6)
    assert not [str(warning.message) for warning in recwarn if "names" in str(warning.message)]


@pytest.mark.parametrize("kind", ["ensemble", "nested", "passthrough", "method", "regressors"])
def test_teachers_of_named_columns_are_asked_by_name(kind, big, tmp_path, write_table, recwarn):
    import joblib
    import pandas as pd
    from sklearn.pipeline import make_pipeline

    frame = pd.read_parquet(big / "p0.parquet")
    known, turned = [f"f{i}" for i in range(6)], ["f4", "f2", "f5", "f0", "f1", "f3"]
    models = [
        make_pipeline("passthrough", LogisticRegression(C=C)).fit(frame[known], frame["y"])
        for C in (0.1, 10)
    ]
    teacher = {
        "ensemble": lambda: as_teacher(models),
        "nested": lambda: EnsembleTeacher([as_teacher(models), as_teacher(models[0])]),
        "passthrough": lambda: models[0],
        "method": lambda: as_teacher(models[0].predict_proba, classes=[0, 1, 2]),
        "regressors": lambda: as_teacher(
            [LinearRegression(positive=p).fit(frame[known], frame["f1"]) for p in (True, False)]
        ),
    }[kind]()
    joblib.dump(teacher, tmp_path / "t.pkl")
    write_table(big / "turned.parquet", frame[turned].to_numpy(), names=turned)
    label_parts(
        TeacherFile(str(tmp_path / "t.pkl"), trust=True), big / "turned.parquet", tmp_path / "out"
    )
    parts = LabelledParts(tmp_path / "out")
    assert parts.columns == tuple(known)
    asked = as_teacher(teacher)
    if kind == "regressors":
        said, expected = parts[0].targets()[:, 0], asked.predict(frame[known])
    else:
        said, expected = parts[0].probabilities(), asked.predict_proba(frame[known])
    np.testing.assert_allclose(said, expected, atol=1e-5)
    assert not [str(warning.message) for warning in recwarn if "names" in str(warning.message)]


def test_labels_of_columns_in_the_files_order_are_not_kept(big, tmp_path):
    """Earlier versions asked ensembles in the order of the file, and recorded that order."""
    import joblib
    import pandas as pd

    frame = pd.read_parquet(big / "p0.parquet")
    names = [f"f{i}" for i in range(5, -1, -1)]
    joblib.dump(
        as_teacher([LogisticRegression().fit(frame[names], frame["y"])] * 2), tmp_path / "t.pkl"
    )
    file = TeacherFile(str(tmp_path / "t.pkl"), trust=True)
    label(file, big, tmp_path / "out")
    manifest = tmp_path / "out" / "manifest.json"
    content = json.loads(manifest.read_bytes())
    content["settings"]["columns"] = names[::-1]
    manifest.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"columns was .*'f0', 'f1'.* and is .*'f5', 'f4'"):
        label(file, big, tmp_path / "out")


def test_regressor(big, tmp_path):
    import joblib
    import pandas as pd

    frame = pd.read_parquet(big / "p0.parquet")
    model = LinearRegression().fit(frame.drop(columns="y").to_numpy(), frame["y"])
    joblib.dump(model, tmp_path / "t.pkl")
    file = TeacherFile(str(tmp_path / "t.pkl"), trust=True)
    label(file, big, tmp_path / "out")
    parts = LabelledParts(tmp_path / "out")
    assert (parts.kind, parts.task, parts.classes) == ("values", "regression", None)
    assert parts[0].targets().shape == (300, 1)
    np.testing.assert_allclose(parts[0].targets()[:, 0], model.predict(parts[0].X()), atol=1e-5)
    with pytest.raises(ValueError, match="values of a regressor"):
        parts[0].probabilities()
    with pytest.raises(ValueError, match="predicts values: leave out kind and temperature"):
        label(file, big, tmp_path / "other", temperature=2.0)


def test_warnings_of_the_teacher_are_told_once(teacher_file, big, tmp_path, write_table):
    for name in ("q", "r"):
        write_table(big / f"{name}.parquet", np.full((10, 6), 1e6, np.float32), np.zeros(10, int))
    with pytest.warns(UserWarning, match=r"q.parquet.0: .*was trained on inputs in") as caught:
        label(teacher_file, big, tmp_path / "out")
    (message,) = [str(w.message) for w in caught if "trained on inputs" in str(w.message)]
    assert message.endswith("(The same of 1 further parts.)")


def test_folders_below_the_pattern_are_kept(teacher_file, big, tmp_path):
    nested = tmp_path / "by_year"
    for year in ("2024", "2025"):
        (nested / f"year={year}").mkdir(parents=True)
        shutil.copy(big / "p0.parquet", nested / f"year={year}" / "part.parquet")
    label_parts(teacher_file, f"{nested}/**/*.parquet", tmp_path / "out", target="y")
    names = [part.name for part in LabelledParts(tmp_path / "out")]
    assert names == ["year=2024/part.parquet.0", "year=2025/part.parquet.0"]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"kind": "odds"}, "'kind' must be one of 'logits', 'probabilities'. Got 'odds'"),
        ({"temperature": 2.0}, "A temperature applies to probabilities"),
        ({"kind": "probabilities", "temperature": 0.0}, "finite number > 0"),
        ({"part_rows": 0}, "'part_rows' must be at least 1"),
        ({"target": "z"}, "lacks the columns 'z'.*None of the 3 files can be labelled"),
        ({"target": None}, "has 7 features, but the teacher takes 6. They are .*'y'"),
    ],
)
def test_bad_arguments_write_nothing(teacher_file, big, tmp_path, options, match):
    with pytest.raises(ValueError, match=match):
        label(teacher_file, big, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_folders_of_other_things_are_left_alone(teacher_file, big, tmp_path):
    with pytest.raises(ValueError, match="the folder of the targets"):
        label(teacher_file, big, big)
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "thesis.tex").write_text("")
    with pytest.raises(ValueError, match=r"holds other files \('thesis.tex'\)"):
        label(teacher_file, big, folder)
    with pytest.raises(NotADirectoryError, match="is a file"):
        label(teacher_file, big, folder / "thesis.tex")
    with pytest.raises(FileNotFoundError, match="There is no file"):
        label_parts(teacher_file, "nowhere/*.parquet", folder)


def test_two_runs_into_one_folder(teacher_file, big, tmp_path):
    label(teacher_file, big, tmp_path / "whole")
    runs = [
        threading.Thread(target=label, args=(teacher_file, big, tmp_path / "out")) for _ in range(2)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_parts_travel_to_other_processes(teacher_file, big, tmp_path):
    label(teacher_file, big, tmp_path / "out")
    part = pickle.loads(pickle.dumps(LabelledParts(tmp_path / "out")[1]))
    assert part.X().shape == (300, 6)
