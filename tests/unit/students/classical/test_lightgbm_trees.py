import re
import sys

import numpy as np
import pandas as pd
import pytest
from lightgbm import Booster, LGBMClassifier, LGBMRegressor

from soft_students.students import LightGBMStudentClassifier, LightGBMStudentRegressor
from soft_students.students.files import dumps, loads
from soft_students.students.lightgbm.students import _SoftCrossEntropy
from soft_students.students.tree_depth import MAX_DEPTH


def student(**parameters):
    return LightGBMStudentClassifier(
        **{"n_estimators": 15, "random_state": 0, "n_jobs": 1, **parameters}
    )


@pytest.mark.parametrize("n_classes", [2, 3])
def test_labels_give_native_training(wine, rng, n_classes):
    X, y = wine
    X, y = X[y < n_classes], y[y < n_classes]
    weights = rng.uniform(0.5, 2, size=len(X))
    native = LGBMClassifier(n_estimators=15, n_jobs=1, verbosity=-1)
    native.fit(X, y, sample_weight=weights)
    found = student().fit(X, np.eye(n_classes)[y], sample_weight=weights).predict_proba(X)
    np.testing.assert_allclose(found, native.predict_proba(X), atol=1e-6)


def test_values_give_native_training(diabetes):
    X, y = diabetes
    native = LGBMRegressor(n_estimators=15, n_jobs=1, verbosity=-1).fit(X, y)
    found = LightGBMStudentRegressor(n_estimators=15, n_jobs=1).fit(X, y)
    np.testing.assert_allclose(found.predict(X), native.predict(X), rtol=1e-6)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_model_text_is_one_of_plain_lightgbm(wine, soft_targets, temperature, n_classes):
    X, _ = wine
    targets = soft_targets[:, :n_classes] / soft_targets[:, :n_classes].sum(axis=1, keepdims=True)
    fitted = student(temperature=temperature).fit(X, targets)
    plain = Booster(model_str=fitted.booster_.model_to_string()).predict(X)
    expected = fitted.predict_proba(X)
    np.testing.assert_array_equal(plain, expected if n_classes == 3 else expected[:, 1])


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_gradient_and_hessian_are_those_of_the_loss(rng, n_classes, temperature):
    targets = rng.dirichlet(np.ones(n_classes), size=6)
    weights = rng.uniform(0.5, 2, size=6)
    scores = rng.normal(size=6 if n_classes == 2 else (6, n_classes))

    def loss(z):
        z = np.stack([0 * z, z], axis=1) if n_classes == 2 else z
        log_p = z / temperature - np.log(np.exp(z / temperature).sum(axis=1, keepdims=True))
        return -(temperature**2) * weights @ (targets * log_p).sum(axis=1)

    objective = _SoftCrossEntropy(targets, weights, temperature)
    gradient, hessian = objective(scores, None)
    factor = 1 if n_classes == 2 else n_classes / (n_classes - 1)
    step = 1e-4
    for index in np.ndindex(scores.shape):
        up, down = scores.copy(), scores.copy()
        up[index] += step
        down[index] -= step
        assert gradient[index] == pytest.approx((loss(up) - loss(down)) / (2 * step), abs=1e-6)
        curvature = (loss(up) - 2 * loss(scores) + loss(down)) / step**2
        assert hessian[index] == pytest.approx(factor * curvature, abs=1e-4)
    mean = objective.loss(scores, targets, weights)
    assert mean == pytest.approx(loss(scores) / temperature**2 / weights.sum(), rel=1e-9)


def test_early_stopping_keeps_the_best_round(wine, soft_targets):
    X, _ = wine
    settings = {"n_estimators": 400, "early_stopping_rounds": 5, "learning_rate": 0.5}
    stopped = student(**settings).fit(X, soft_targets)
    assert 3 <= stopped.booster_.num_trees() < 3 * 400
    again = student(**settings).fit(X, soft_targets)
    np.testing.assert_array_equal(again.predict_proba(X), stopped.predict_proba(X))
    noisy = X[:, 0] + np.random.RandomState(0).normal(size=len(X))
    regressor = LightGBMStudentRegressor(random_state=0, **settings).fit(X, noisy)
    assert regressor.boosters_[0].num_trees() < 400


def test_values_may_be_missing(wine):
    X, y = wine
    X = X.copy()
    X[::3, 2] = np.nan
    fitted = student().fit(X, y)
    assert fitted.score(X, y) > 0.95
    np.testing.assert_array_equal(loads(dumps(fitted)).predict_proba(X), fitted.predict_proba(X))


def test_missing_values_may_be_split_from_all_others(rng):
    y = rng.random_sample(80) < 0.5
    X = np.where(y, np.nan, rng.random_sample(80))[:, None]
    fitted = student().fit(X, y)
    assert re.search(r"threshold=.*inf", fitted.booster_.model_to_string())
    np.testing.assert_array_equal(loads(dumps(fitted)).predict(X), y)


@pytest.fixture
def table(rng):
    n = 400
    levels = [f"level {i}" for i in range(40)]
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=n),
            "level": pd.Categorical(rng.choice(levels[:39], n), categories=levels),
            "colour": pd.Categorical(rng.choice(["red", "green", "blue"], n)),
        }
    )
    frame.loc[::9, "level"] = np.nan
    odd = frame["level"].cat.codes.to_numpy() % 2
    return frame, np.where(frame["colour"] == "red", 2, odd)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_categories_are_split_as_by_plain_lightgbm(table, n_classes):
    X, y = table
    y = y % n_classes
    settings = {"n_estimators": 15, "min_child_samples": 5, "n_jobs": 1}
    native = LGBMClassifier(verbosity=-1, **settings).fit(X, y)
    fitted = student(**settings).fit(X, y)
    np.testing.assert_allclose(fitted.predict_proba(X), native.predict_proba(X), atol=1e-6)
    assert re.search("num_cat=[1-9]", fitted.booster_.model_to_string())
    again = loads(dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    unseen = X.assign(level=pd.Categorical(["elsewhere"] * len(X)))
    missing = X.assign(level=pd.Categorical([None] * len(X), categories=["elsewhere"]))
    np.testing.assert_array_equal(fitted.predict_proba(unseen), fitted.predict_proba(missing))


def test_values_are_learnt_by_category(table):
    X, y = table
    settings = {"n_estimators": 15, "min_child_samples": 5, "n_jobs": 1}
    native = LGBMRegressor(verbosity=-1, **settings).fit(X, y)
    fitted = LightGBMStudentRegressor(**settings).fit(X, y * 1.0)
    np.testing.assert_allclose(fitted.predict(X), native.predict(X), rtol=1e-6)
    np.testing.assert_array_equal(loads(dumps(fitted)).predict(X), fitted.predict(X))


@pytest.mark.parametrize(
    ("pattern", "forged"),
    [
        (r"num_cat=\d+", "num_cat=1000000"),
        (r"num_cat=\d+", "num_cat=0"),
        (r"num_cat=\d+", "num_cat=-1"),
        (r"decision_type=\d+", "decision_type=8"),
        (r"decision_type=\d+", "decision_type=16"),
        (r"threshold=0", "threshold=99999"),
        (r"threshold=0", "threshold=0.5"),
        (r"cat_boundaries=0 \d+", "cat_boundaries=0 100000"),
        (r"cat_boundaries=0 ", "cat_boundaries=1 "),
        (r"cat_boundaries=0 ", "cat_boundaries="),
        (r"cat_boundaries=.*\n", ""),
        (r"cat_threshold=\d+", "cat_threshold=4294967296"),
        (r"cat_threshold=\d+ ", "cat_threshold="),
        (r"cat_threshold=\d+", "cat_threshold=-1"),
    ],
)
def test_forged_categories_are_refused_before_lightgbm_reads_them(table, pattern, forged):
    fitted = student(n_estimators=2, min_child_samples=5).fit(*table)
    metadata, arrays = fitted._bundle_state()
    changed, count = re.subn(pattern, forged, arrays["model_0"].tobytes().decode(), count=1)
    assert count == 1
    model = {"model_0": np.frombuffer(with_sizes(changed).encode(), dtype=np.uint8)}
    with pytest.raises(ValueError, match="tree"):
        LightGBMStudentClassifier()._restore_bundle(dict(metadata), model)
    LightGBMStudentClassifier()._restore_bundle(dict(metadata), arrays)


def with_sizes(text):
    """Return a model text with the sizes of its trees put right, as a careful forger would."""
    blocks = re.split(r"(?m)^(?=Tree=)", text)[1:]
    sizes = " ".join(str(len(block.removesuffix("end of trees\n"))) for block in blocks)
    return re.sub("tree_sizes=.*", f"tree_sizes={sizes}", text)


def test_one_class_is_refused(wine):
    with pytest.raises(ValueError, match="at least two classes"):
        student().fit(wine[0], np.zeros(len(wine[0])))


@pytest.mark.parametrize("cls", [LightGBMStudentClassifier, LightGBMStudentRegressor])
def test_without_lightgbm_the_error_names_the_extra(wine, monkeypatch, cls):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(ImportError, match=re.escape("pip install 'soft-students[lightgbm]'")):
        cls().fit(*wine)


@pytest.mark.parametrize(
    ("pattern", "forged"),
    [
        (r"left_child=\d+", "left_child=0"),  # a loop
        (r"left_child=-?\d+", "left_child=70000"),
        (r"right_child=-?\d+", "right_child=-70000"),
        (r"split_feature=\d+", "split_feature=13"),
        (r"split_feature=\d+", "split_feature=-1"),
        (r"decision_type=\d+", "decision_type=1"),
        (r"decision_type=\d+", "decision_type=-2"),
        (r"num_cat=0", "num_cat=1"),
        (r"num_leaves=\d+", "num_leaves=131072"),
        (r"num_leaves=\d+", "num_leaves=0"),
        (r"leaf_value=\S+", "leaf_value=nan"),
        (r"leaf_value=\S+", "leaf_value=1e999"),
        (r"leaf_value=\S+ ", "leaf_value="),
        (r"threshold=\S+", "threshold=x"),
        (r"is_linear=0", "is_linear=1"),
        (r"num_class=3", "num_class=1000000"),
        (r"num_tree_per_iteration=3", "num_tree_per_iteration=2"),
        (r"max_feature_idx=12", "max_feature_idx=2000000000"),
        (r"objective=multiclass num_class:3", "objective=multiclass num_class:9"),
        (r"feature_infos=\S+ ", "feature_infos="),
        (r"tree_sizes=\d+", "tree_sizes=99999999"),
        (r"shrinkage=0.1", "shrinkage=0.1\nleaf_coeff=1"),
        (r"Tree=0", "Tree=5"),
        (r"end of trees\n", ""),
        (r"^tree\n", ""),
        (r"version=v4", "version=v4\nlinear_tree=1"),
    ],
)
def test_forged_text_is_refused_before_lightgbm_reads_it(wine, pattern, forged):
    metadata, arrays = student(n_estimators=2).fit(*wine)._bundle_state()
    text = arrays["model_0"].tobytes().decode()
    changed, count = re.subn(pattern, forged, text, count=1)
    assert count == 1
    if "tree_sizes" not in pattern:
        changed = with_sizes(changed)
    model = {"model_0": np.frombuffer(changed.encode(), dtype=np.uint8)}
    with pytest.raises(ValueError, match=r"LightGBM|tree"):
        LightGBMStudentClassifier()._restore_bundle(dict(metadata), model)
    LightGBMStudentClassifier()._restore_bundle(dict(metadata), arrays)


def test_bytes_that_are_no_text_are_refused(wine):
    metadata, arrays = student(n_estimators=2).fit(*wine)._bundle_state()
    for model in (
        np.full(9, 255, dtype=np.uint8),
        arrays["model_0"][:500],
        arrays["model_0"].astype(np.int64),
        np.zeros(0, dtype=np.uint8),
    ):
        with pytest.raises(ValueError):  # noqa: PT011 - whatever it is, no crash
            LightGBMStudentClassifier()._restore_bundle(dict(metadata), {"model_0": model})


@pytest.mark.parametrize(("depth", "is_read"), [(MAX_DEPTH, True), (MAX_DEPTH + 1, False)])
def test_a_tree_deeper_than_lightgbm_and_json_can_follow_is_refused(wine, depth, is_read):
    X, y = wine
    fitted = student(n_estimators=1).fit(X, y)
    metadata, arrays = fitted._bundle_state()
    text = arrays["model_0"].tobytes().decode()
    n = depth + 1
    lines = {
        "num_leaves": [n],
        **dict.fromkeys(("split_feature", "split_gain", "threshold"), [0] * depth),
        "decision_type": [2] * depth,
        "left_child": [-1 - i for i in range(depth)],
        "right_child": [*range(1, depth), -n],
        **dict.fromkeys(("leaf_value", "leaf_weight", "leaf_count"), [1] * n),
        **dict.fromkeys(("internal_value", "internal_weight", "internal_count"), [1] * depth),
    }
    for key, values in lines.items():
        text = re.sub(rf"(?m)^{key}=.*$", f"{key}={' '.join(map(str, values))}", text, count=1)
    array = np.frombuffer(with_sizes(text).encode(), dtype=np.uint8)
    again = LightGBMStudentClassifier()
    if is_read:
        again._restore_bundle(metadata, arrays | {"model_0": array})
        assert again.explain(X[0]).to_text()
    else:
        with pytest.raises(ValueError, match=f"more than {MAX_DEPTH} splits deep"):
            again._restore_bundle(metadata, arrays | {"model_0": array})
