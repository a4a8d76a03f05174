"""save and load: what comes back, and what is refused before anything is written."""

import io
import json
import os
import pickle
import zipfile

import joblib
import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from soft_students import RandomForestStudentClassifier
from soft_students.persistence import BundleError
from soft_students.persistence import bundle as bundle_module
from soft_students.students import SoftDecisionTreeClassifier
from soft_students.students.classical.tree_arrays import tree_arrays
from soft_students.students.files import dumps, load, loads, save, trained_on
from soft_students.transfer import ImageDistortion
from tests.references import bundle_v1


def test_a_student_comes_back_the_same(tmp_path, student, X):
    path = save(student, tmp_path / "a.student")
    again = load(path)

    assert path == tmp_path / "a.student"
    assert type(again) is type(student)
    assert again.get_params() == student.get_params()
    assert again.classes_.dtype == student.classes_.dtype
    np.testing.assert_array_equal(again.centres_, student.centres_)
    np.testing.assert_array_equal(again.predict(X), student.predict(X))


def test_what_comes_back_can_be_written_to(student):
    again = loads(dumps(student))
    again.centres_ += 1.0
    np.testing.assert_array_equal(again.centres_, student.centres_ + 1.0)


def test_parameters_come_back_with_their_types(student):
    student.set_params(power=(1, 2.5), transfer=ImageDistortion(image_shape=(1, 3)))
    again = loads(dumps(student))
    assert again.power == (1, 2.5)
    assert again.transfer.image_shape == (1, 3)


@pytest.mark.parametrize(
    "layout",
    [
        np.asfortranarray,
        lambda a: np.repeat(a, 2, axis=0)[::2],
        lambda a: a.astype(">f8"),
        lambda a: a[:, :0],
    ],
    ids=["fortran", "strided", "big-endian", "empty"],
)
def test_arrays_come_back_whatever_their_memory_layout(student, layout):
    student.centres_ = layout(student.centres_)
    np.testing.assert_array_equal(loads(dumps(student)).centres_, student.centres_)


def test_equal_students_become_equal_bytes(student, tmp_path):
    save(student, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == dumps(student) == dumps(loads(dumps(student)))


def test_any_zip_tool_can_look_inside(student):
    with zipfile.ZipFile(io.BytesIO(dumps(student))) as archive:
        assert archive.namelist() == ["metadata.json", "arrays.safetensors"]
        content = json.loads(archive.read("metadata.json"))["content"]
    assert content["student"] == "centre"
    assert content["params"] == {"power": 2.0, "transfer": None}
    assert content["written_by"]["numpy"] == np.__version__


def test_a_file_of_format_1_written_by_hand_is_read(content, centres):
    again = loads(bundle_v1.bundle(content, {"centres": centres}))
    assert again.power == 1
    assert again.predict(np.array([[0.2], [0.9]])).tolist() == ["no", "yes"]


def test_a_parameter_that_an_older_file_lacks_takes_its_default(content, centres):
    del content["params"]["power"]
    assert loads(bundle_v1.bundle(content, {"centres": centres})).power == 2.0


def test_an_existing_file_is_replaced_or_kept_as_asked(tmp_path, student):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(FileExistsError, match="exists already"):
        save(student, path, overwrite=False)
    assert path.read_bytes() == b"old"
    save(student, path)
    assert load(path).power == student.power


def test_a_student_that_is_not_fitted_is_refused(tmp_path, student):
    with pytest.raises(NotFittedError):
        save(type(student)(), tmp_path / "a")
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("wrap", [lambda s: make_pipeline(StandardScaler(), s), lambda s: "text"])
def test_what_is_not_a_student_is_refused(tmp_path, student, wrap):
    with pytest.raises(TypeError, match=r"holds one fitted student: .*, NearestCentre\. Got "):
        save(wrap(student), tmp_path / "a")
    assert not os.listdir(tmp_path)


def test_a_subclass_is_refused_since_it_would_come_back_as_another_class(student):
    class Own(type(student)):
        pass

    own = Own()
    vars(own).update(vars(student))
    with pytest.raises(TypeError, match="Got Own instead"):
        dumps(own)


def test_a_parameter_that_bundles_cannot_keep_is_named(tmp_path, student):
    with pytest.raises(TypeError, match="The 'transfer' parameter of NearestCentre must be made"):
        save(student.set_params(transfer=print), tmp_path / "a")
    assert not os.listdir(tmp_path)


def test_a_student_that_could_not_be_loaded_again_is_refused(tmp_path, student):
    """A parameter may be set after fit, and not fit what was learnt."""
    student.set_params(power="two")
    with pytest.raises(ValueError, match=r"cannot be saved.*The 'power' parameter"):
        save(student, tmp_path / "a")
    student.set_params(power=2)
    student.classes_ = student.classes_[:2]
    with pytest.raises(ValueError, match=r"cannot be saved.*for 2 classes"):
        save(student, tmp_path / "a")
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(tmp_path, student, value):
    (tmp_path / "a").write_bytes(b"old")
    student.centres_[1, 2] = value
    with pytest.raises(ValueError, match="'centres' holds NaN or infinity: the training has diver"):
        save(student, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_student_larger_than_any_reader_accepts_is_not_written(student, monkeypatch):
    monkeypatch.setattr(bundle_module, "MAX_METADATA_BYTES", 100)
    with pytest.raises(ValueError, match=r"too large for a bundle: its metadata\.json takes"):
        dumps(student)


def test_ctrl_c_while_saving_leaves_the_old_file_alone(tmp_path, student, monkeypatch):
    (tmp_path / "a").write_bytes(b"old")

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(zipfile.ZipFile, "writestr", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save(student, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_full_disk_leaves_the_old_file_alone_and_is_said(tmp_path, student, monkeypatch):
    (tmp_path / "a").write_bytes(b"old")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    with pytest.raises(OSError, match="no space left on device; the old file is intact"):
        save(student, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Cannot load '.*nowhere': no such file"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize("trust", [False, True])
def test_a_folder_is_refused(tmp_path, trust):
    with pytest.raises(IsADirectoryError, match="it is a folder"):
        load(tmp_path, trust=trust)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a POSIX system")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="device or a pipe"):
        load(tmp_path / "pipe")


class _MakesAFile:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


PICKLERS = {
    "pickle": lambda x, path: path.write_bytes(pickle.dumps(x)),
    "pickle-0": lambda x, path: path.write_bytes(pickle.dumps(x, protocol=0)),
    "joblib": joblib.dump,
    "joblib-zlib": lambda x, path: joblib.dump(x, path, compress=("zlib", 3)),
    "joblib-gzip": lambda x, path: joblib.dump(x, path, compress=("gzip", 3)),
    "joblib-xz": lambda x, path: joblib.dump(x, path, compress=("xz", 3)),
}


@pytest.mark.parametrize("dump", PICKLERS.values(), ids=PICKLERS)
def test_a_pickle_is_not_run_without_trust(tmp_path, dump):
    dump(_MakesAFile(tmp_path / "evil"), tmp_path / "a.student")
    with pytest.raises(BundleError, match="trust=True"):
        load(tmp_path / "a.student")
    assert not (tmp_path / "evil").exists()
    # The trap does work.
    with pytest.raises(BundleError, match="holds a TextIOWrapper, not a student"):
        load(tmp_path / "a.student", trust=True)
    assert (tmp_path / "evil").exists()


def test_a_pickle_inside_a_zip_is_not_run_even_with_trust(tmp_path, content):
    evil = pickle.dumps(_MakesAFile(tmp_path / "evil"))
    for members in (
        [("metadata.json", evil), ("arrays.safetensors", evil)],
        [("archive/data.pkl", evil), ("archive/version", b"3")],
    ):
        (tmp_path / "a").write_bytes(bundle_v1.archive(members))
        for trust in (False, True):
            with pytest.raises(BundleError):
                load(tmp_path / "a", trust=trust)
    (tmp_path / "a").write_bytes(bundle_v1.bundle(content, evil))
    with pytest.raises(BundleError):
        load(tmp_path / "a", trust=True)
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("dump", PICKLERS.values(), ids=PICKLERS)
def test_with_trust_a_pickled_student_is_loaded(tmp_path, student, X, dump):
    # In a module of its own, since these test classes cannot be imported by name.
    scaler = StandardScaler().fit(X)
    dump(scaler, tmp_path / "a")
    np.testing.assert_array_equal(load(tmp_path / "a", trust=True).mean_, scaler.mean_)


def test_with_trust_a_bundle_is_still_read_the_safe_way(tmp_path, student):
    assert load(save(student, tmp_path / "a"), trust=True).power == student.power


@pytest.mark.parametrize("junk", [b"", b"text", b"\x80\x04broken", bytes(1000)])
def test_with_trust_a_file_that_is_no_pickle_is_refused(tmp_path, junk):
    (tmp_path / "a").write_bytes(junk)
    with pytest.raises(BundleError, match="neither a bundle nor a readable pickle"):
        load(tmp_path / "a", trust=True)


def test_a_teachers_file_is_told_apart(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"weight": torch.zeros(3)}, tmp_path / "t.pt")
    with pytest.raises(BundleError, match=r"PyTorch file.*load_teacher"):
        load(tmp_path / "t.pt")


def test_the_error_is_one_sentence_with_the_path(tmp_path):
    (tmp_path / "a.student").write_bytes(b"")
    with pytest.raises(BundleError) as caught:
        load(tmp_path / "a.student")
    assert str(caught.value) == (
        f"Cannot load '{tmp_path / 'a.student'}': it is empty. Save the student again."
    )


def test_a_file_says_what_its_student_was_trained_on(tmp_path):
    tree = SoftDecisionTreeClassifier(1, epochs=1, random_state=0).fit([[0.0], [1.0]], [0, 1])
    save(tree, tmp_path / "with", data={"data": "digits", "target": None})
    assert trained_on(tmp_path / "with") == {"data": "digits", "target": None}
    save(tree, tmp_path / "without")
    assert trained_on(tmp_path / "without") == {}
    assert dumps(load(tmp_path / "with")) == dumps(tree)
    (tmp_path / "none").write_bytes(b"nothing")
    with pytest.raises(BundleError, match="Cannot load"):
        trained_on(tmp_path / "none")


def test_what_was_written_is_read_before_it_replaces_a_file(student, tmp_path, monkeypatch):
    path = save(student, tmp_path / "a.student")
    before = path.read_bytes()
    monkeypatch.setattr(bundle_module, "_MAX_ARRAYS_HEADER_BYTES", 10)
    with pytest.raises(ValueError, match="could not be loaded again: the header of its arrays"):
        save(student, path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["a.student"]


def test_a_forest_of_as_many_trees_as_one_likes_has_as_many_arrays_as_one_tree(X):
    few, many = (
        RandomForestStudentClassifier(n_estimators=n, max_depth=2, random_state=0).fit(
            X, np.arange(30) % 3
        )
        for n in (2, 300)
    )
    assert few._bundle_state()[1].keys() == many._bundle_state()[1].keys()
    np.testing.assert_array_equal(loads(dumps(many)).predict_proba(X), many.predict_proba(X))


def test_a_forest_of_an_earlier_version_is_read(X):
    """Each field of each tree was an array of its own."""
    forest = RandomForestStudentClassifier(n_estimators=3, max_depth=2, random_state=0)
    forest.fit(X, np.arange(30) % 3)
    metadata, _ = forest._bundle_state()
    arrays = {
        f"{name}_{i}": array
        for i, tree in enumerate(forest.estimator_.estimators_)
        for name, array in tree_arrays(tree).items()
    }
    again = RandomForestStudentClassifier(n_estimators=3)
    again._restore_bundle(metadata, arrays)
    np.testing.assert_array_equal(again.predict_proba(X), forest.predict_proba(X))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda sizes: sizes[:-1], "trees are missing"),
        (lambda sizes: sizes + 1, "must hold"),
        (lambda sizes: sizes * 0, "positive"),
        (lambda sizes: sizes - np.array([0, 1, -1]), "tree"),
        (lambda sizes: sizes.astype(np.int8), "int64"),
        (lambda sizes: np.array([2**62, 2**62, 2**62]), "must hold"),
    ],
)
def test_forged_sizes_of_trees_are_refused(X, change, match):
    forest = RandomForestStudentClassifier(n_estimators=3, max_depth=2, random_state=0)
    metadata, arrays = forest.fit(X, np.arange(30) % 3)._bundle_state()
    forged = arrays | {"tree_sizes": change(arrays["tree_sizes"])}
    with pytest.raises(ValueError, match=match):
        RandomForestStudentClassifier(n_estimators=3)._restore_bundle(metadata, forged)
