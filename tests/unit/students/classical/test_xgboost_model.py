"""XGBoost's models out of strangers' bundles: its reader ends the process on most of these."""

import io
import json
import zipfile

import numpy as np
import pandas as pd
import pytest

from soft_students import XGBoostStudentClassifier, XGBoostStudentRegressor
from soft_students.persistence import BundleError
from soft_students.students.files import dumps, loads
from soft_students.students.tree_depth import MAX_DEPTH
from soft_students.students.xgboost.ubjson import read_ubjson
from tests.references import bundle_v1, ubjson

X = np.random.default_rng(0).normal(size=(60, 3))
Y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.3)
QUICK = {"n_estimators": 2, "max_depth": 2, "random_state": 0}


def table():
    letters = np.array(["a", "é", "zed"])[Y]
    columns = {"x": X[:, 0], "letter": pd.Categorical(letters), "digit": pd.Categorical(Y + 5)}
    return pd.DataFrame(columns)


def model_of(student):
    return bytes(student.estimator_.get_booster().save_raw("ubj"))


def restored(student, model):
    """Load the student with other bytes in the place of its model."""
    state, _ = student._bundle_state()
    again = type(student)(**student.get_params())
    again._restore_bundle(state, {"model": np.frombuffer(model, dtype=np.uint8)})
    return again


@pytest.fixture(scope="module")
def student():
    return XGBoostStudentClassifier(**QUICK).fit(X, Y)


@pytest.fixture(scope="module")
def coded():
    return XGBoostStudentClassifier(**QUICK, max_cat_to_onehot=1).fit(table(), Y)


@pytest.mark.parametrize(
    "made",
    [
        lambda: XGBoostStudentClassifier(**QUICK).fit(X, Y),
        lambda: XGBoostStudentClassifier(**QUICK).fit(X, Y > 0),
        lambda: XGBoostStudentClassifier(**QUICK, base_score=[0.1, 2.5e-9, -3e6]).fit(X, Y),
        lambda: XGBoostStudentClassifier(**QUICK, multi_strategy="multi_output_tree").fit(X, Y),
        lambda: XGBoostStudentClassifier(
            n_estimators=3, max_depth=4, tree_method="exact", gamma=5
        ).fit(X, Y),
        lambda: XGBoostStudentClassifier(n_estimators=9, early_stopping_rounds=1).fit(X, Y),
        lambda: XGBoostStudentClassifier(**QUICK, max_leaves=3, grow_policy="lossguide").fit(X, Y),
        lambda: XGBoostStudentClassifier(n_estimators=150, max_depth=1).fit(X, Y),
        lambda: XGBoostStudentClassifier(n_estimators=1, max_depth=0, max_leaves=2).fit(X * 0, Y),
        lambda: XGBoostStudentRegressor(**QUICK).fit(X, X[:, :2]),
        lambda: XGBoostStudentRegressor(**QUICK, early_stopping_rounds=1).fit(X, X[:, 0] * 1e30),
        lambda: XGBoostStudentRegressor(**QUICK, multi_strategy="multi_output_tree").fit(X, X),
    ],
)
def test_what_xgboost_writes_is_read(made):
    student = made()
    again = loads(dumps(student))
    np.testing.assert_array_equal(again.predict(X), student.predict(X))


def test_models_of_categories_are_read(coded):
    again = loads(dumps(coded))
    np.testing.assert_array_equal(again.predict_proba(table()), coded.predict_proba(table()))


def test_the_reference_writer_writes_as_xgboost_does(student):
    assert ubjson.dumps(read_ubjson(model_of(student))) == model_of(student)


def change(*path, to):
    """Return a function that puts a value at a place of a model."""

    def apply(model):
        *way, last = path
        for key in way:
            model = model[key]
        model[last] = to(model[last]) if callable(to) else to

    return apply


def at(place, value):
    """Return a function that changes one number of an array."""

    def apply(array):
        array = array.copy()
        array[place] = value
        return array

    return apply


LEARNER = ("learner",)
PARAMS = ("learner", "learner_model_param")
MODEL = ("learner", "gradient_booster", "model")
TREE = (*MODEL, "trees", 1)


@pytest.mark.parametrize(
    ("apply", "match"),
    [
        (change(*TREE, "left_children", to=at(0, 99)), "not among them"),
        (change(*TREE, "left_children", to=at(0, -7)), "not among them"),
        (change(*TREE, "left_children", to=at(0, 0)), "not among them"),
        (change(*TREE, "left_children", to=at(0, 2)), "do not make a tree"),
        (change(*TREE, "right_children", to=at(1, 1)), "do not make a tree"),
        (change(*TREE, "right_children", to=at(-1, 3)), "must have no children"),
        (change(*TREE, "parents", to=at(1, 2)), "parents"),
        (change(*TREE, "parents", to=at(0, 1)), "no parent"),
        (change(*TREE, "split_indices", to=at(0, 3)), "features beyond the 3"),
        (change(*TREE, "split_indices", to=at(0, -1)), "features beyond the 3"),
        (change(*TREE, "split_type", to=at(0, 1)), "by category"),
        (change(*TREE, "split_type", to=at(0, 7)), "unknown kind"),
        (change(*TREE, "split_conditions", to=at(0, np.nan)), "finite"),
        (change(*TREE, "split_conditions", to=lambda array: array[:-1]), "must hold"),
        (change(*TREE, "split_conditions", to=lambda array: array.astype("i4")), "float32"),
        (change(*TREE, "split_conditions", to=[]), "must be an array"),
        (change(*TREE, "base_weights", to=lambda array: array[:0]), "must hold"),
        (change(*TREE, "categories", to=np.array([0], "i4")), "by category"),
        (change(*TREE, "id", to=0), "or another id"),
        (change(*TREE, "tree_param", "num_nodes", to="8"), "must hold 8"),
        (change(*TREE, "tree_param", "num_nodes", to="0"), "must hold 0"),
        (change(*TREE, "tree_param", "num_nodes", to="99999999999"), "an integer"),
        (change(*TREE, "tree_param", "num_deleted", to="1"), "unreachable nodes"),
        (change(*TREE, "tree_param", "size_leaf_vector", to="3"), "1 values"),
        (change(*TREE, "tree_param", "num_feature", to="4"), "3 features"),
        (change(*TREE, to=[]), "must be an object"),
        (change(*MODEL, "trees", to=lambda trees: trees[:-1]), "gbtree_model_param"),
        (change(*MODEL, "trees", to={}), "must be lists"),
        (change(*MODEL, "tree_info", to=[0, 1, 9, 0, 1, 2]), "tree_info"),
        (change(*MODEL, "iteration_indptr", to=[0, 3, 600]), "iteration_indptr"),
        (change(*MODEL, "iteration_indptr", to=[0, 2, 6]), "iteration_indptr"),
        (change(*MODEL, "iteration_indptr", to=[]), "rounds"),
        (change(*MODEL, "gbtree_model_param", "num_parallel_tree", to="2"), "num_parallel_tree"),
        (change(*MODEL, "cats", "enc", to=[{"offsets": [], "values": []}]), "student has none"),
        (change("learner", "gradient_booster", "name", to="dart"), "must be 'gbtree'"),
        (change("learner", "gradient_booster", to="gbtree"), "must be an object"),
        (change(*PARAMS, "num_feature", to="4"), "num_feature must be 3"),
        (change(*PARAMS, "num_class", to="1000000000"), "num_class must be 3"),
        (change(*PARAMS, "num_target", to="2"), "num_target must be 1"),
        (change(*PARAMS, "base_score", to="nan"), "base_score"),
        (change(*PARAMS, "base_score", to="[1E0,2E0]"), "base_score"),
        (change(*PARAMS, "base_score", to="9E99"), "base_score"),
        (change(*PARAMS, "boost_from_average", to="yes"), "boost_from_average"),
        (change(*LEARNER, "objective", "name", to="binary:hinge"), "objective"),
        (change(*LEARNER, "objective", to={"name": "reg:squarederror"}), "objective"),
        (change(*LEARNER, "attributes", to={"scikit_learn": "{}"}), "scikit_learn"),
        (change(*LEARNER, "attributes", to={"best_iteration": "-5"}), "best_iteration"),
        (change(*LEARNER, "attributes", to={"best_iteration": "2"}), "below the 2 rounds"),
        (change(*LEARNER, "attributes", to={"best_score": "x"}), "could not convert"),
        (change(*LEARNER, "attributes", to={"best_score": "inf"}), "finite"),
        (change(*TREE, "right_children", to=at(0, -1)), "not among them"),
        (change(*LEARNER, "feature_names", to=["a", "b"]), "feature_names"),
        (change(*LEARNER, "feature_types", to=["float", "float", "x"]), "feature_types"),
        (change("version", to=[2, 1, 0]), "XGBoost 2"),
        (change("version", to=[3, 1]), "three numbers"),
        (change("version", to=["3", 0, 0]), "three numbers"),
    ],
)  # fmt: skip
def test_a_forged_model_is_refused_before_xgboost_reads_it(student, apply, match):
    model = read_ubjson(model_of(student))
    apply(model)
    with pytest.raises(ValueError, match=match):
        restored(student, ubjson.dumps(model))


@pytest.mark.parametrize(
    ("apply", "match"),
    [
        (change(*TREE, "categories", to=at(0, 2**24)), "by categories"),
        (change(*TREE, "categories", to=at(0, -1)), "by categories"),
        (change(*TREE, "categories_sizes", to=at(0, 2**40)), "do not match"),
        (change(*TREE, "categories_sizes", to=at(0, 0)), "do not match"),
        (change(*TREE, "categories_segments", to=at(0, 2**40)), "do not match"),
        (change(*TREE, "categories_nodes", to=at(0, 99)), "do not match"),
        (change(*MODEL, "cats", "sorted_idx", to=at(0, 99)), "permutation"),
        (
            change(*MODEL, "cats", "feature_segments", to=at(1, 99)),
            "number of the model's categories",
        ),
        (change(*MODEL, "cats", "enc", 1, "offsets", to=at(1, 99)), "those of the student"),
        (change(*MODEL, "cats", "enc", 1, "values", to=np.zeros(0, "i1")), "those of the student"),
        (change(*MODEL, "cats", "enc", 2, "type", to=3), "those of the student"),
        (change(*MODEL, "cats", "enc", 2, "values", to=at(0, 66)), "those of the student"),
        (change(*MODEL, "cats", "enc", to=[]), "of 3 columns"),
    ],
)
def test_forged_categories_are_refused(coded, apply, match):
    model = read_ubjson(model_of(coded))
    apply(model)
    with pytest.raises(ValueError, match=match):
        restored(coded, ubjson.dumps(model))


@pytest.mark.parametrize("model", [b"", b"{", b"{}", b"{L", b'{"learner": {}}', b"binf", b"[#L"])
def test_what_is_no_model_is_refused(student, model):
    """An empty one ends XGBoost's process, by an exception that C++ does not catch."""
    with pytest.raises(ValueError, match=r"."):
        restored(student, model)


def test_every_cut_is_refused(student):
    model = model_of(student)
    for length in range(0, len(model), 7):
        with pytest.raises(ValueError, match=r"."):
            restored(student, model[:length])
    with pytest.raises(ValueError, match="after its end"):
        restored(student, model + b"\0")


def test_unknown_and_repeated_keys_are_refused(student):
    model = read_ubjson(model_of(student))
    with pytest.raises(ValueError, match="newer XGBoost"):
        restored(student, ubjson.dumps(model | {"more": 1}))
    twice = ubjson.Pairs([*model.items(), ("version", [3, 2, 0])])
    with pytest.raises(ValueError, match="'version' twice"):
        restored(student, ubjson.dumps(twice))


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"{" + b"L\0\0\0\0\0\0\0\1a{" * 99, "too deeply"),
        (b"{L\0\0\0\0\0\0\0\1a[#L\x7f" + b"\xff" * 7, "claims a length"),
        (b"{L\xff\xff\xff\xff\xff\xff\xff\xff", "claims a length"),
        (b"{L\0\0\0\0\0\0\0\1aZ", "unknown kind"),
        (b"{L\0\0\0\0\0\0\0\1a[$Z#L", "unknown kind"),
        (b"{L\0\0\0\0\0\0\0\1a[i\1]", "without a length"),
        (b"{i\1a", "length of an unknown kind"),
    ],
)
def test_ubjson_that_lies_is_refused(data, match):
    with pytest.raises(ValueError, match=match):
        read_ubjson(data)


def test_in_a_bundle_it_is_an_error_of_the_bundle(student):
    with zipfile.ZipFile(io.BytesIO(dumps(student))) as archive:
        content = json.loads(archive.read("metadata.json"))["content"]
    content.pop("arrays_sha256")
    with pytest.raises(BundleError, match="do not make a XGBoostStudentClassifier"):
        loads(bundle_v1.bundle(content, {"model": np.zeros(0, dtype=np.uint8)}))


def chain(depth):
    """Return a tree each of whose left children is a leaf."""
    n = 2 * depth + 1
    inner = np.arange(n) % 2 == 0
    inner[-1] = False
    left = np.where(inner, np.arange(n) + 1, -1).astype("i4")
    parents = np.maximum((np.arange(n) - 1) // 2 * 2, 0).astype("i4")
    parents[0] = 2**31 - 1
    return {"left_children": left, "right_children": np.where(inner, left + 1, -1).astype("i4")} | {
        "parents": parents,
        "split_indices": np.zeros(n, "i4"),
        **{name: np.zeros(n, "u1") for name in ("split_type", "default_left")},
        **{
            name: np.zeros(n, "f4")
            for name in ("split_conditions", "base_weights", "loss_changes", "sum_hessian")
        },
    }


@pytest.mark.parametrize(("depth", "is_read"), [(MAX_DEPTH, True), (MAX_DEPTH + 1, False)])
def test_a_tree_deeper_than_xgboost_and_json_can_follow_is_refused(student, depth, is_read):
    model = read_ubjson(model_of(student))
    tree = model["learner"]["gradient_booster"]["model"]["trees"][1]
    tree |= chain(depth)
    tree["tree_param"] |= {"num_nodes": str(2 * depth + 1), "num_deleted": "0"}
    if is_read:
        assert restored(student, ubjson.dumps(model)).explain([0.5, 0.5, 0.5]).to_text()
    else:
        with pytest.raises(ValueError, match=f"more than {MAX_DEPTH} splits deep"):
            restored(student, ubjson.dumps(model))
