"""Checks that make an untrusted XGBoost model safe to load."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from soft_students.students.tree_depth import check_depth
from soft_students.students.xgboost.ubjson import read_ubjson

_LEAF = -1
_DELETED = 2**31 - 1  # feature of a node that pruning has removed
_MAX_CATEGORY_BYTES = 2**28  # for the sets of categories of all splits
_MAX_NUMBER = 10**9

#: Arrays of a tree by dtype; all but the first group may be missing or have another length.
_OF_NODES = {
    "default_left": "u1",
    "left_children": "i4",
    "right_children": "i4",
    "parents": "i4",
    "split_conditions": "f4",
    "split_indices": "i4",
    "split_type": "u1",
}
_OF_CATEGORIES = {
    "categories": "i4",
    "categories_nodes": "i4",
    "categories_segments": "i8",
    "categories_sizes": "i8",
}
_STATISTICS = {"loss_changes": "f4", "sum_hessian": "f4"}
_WEIGHTS = {"base_weights": "f4", "leaf_weights": "f4"}
_OPTIONAL = {"leaf_weights", *_STATISTICS}


def check_model(
    data: bytes, objective: str, n_outputs: int, n_features: int, categories: list[Any] | None
) -> None:
    """Raise ValueError for a model that XGBoost's own writer would not write.

    XGBoost does not check the indices of children and features, nor the memory for categories, so
    they are checked here. The model is untrusted.

    Parameters
    ----------
    data : bytes
        Model in UBJSON.
    objective : {"binary:logistic", "multi:softprob", "reg:squarederror"}
    n_outputs : int
        Number of margins per row.
    n_features : int
    categories : list or None
        Array of the categories, or None, for each column.

    Raises
    ------
    ValueError
        If the model is invalid or does not fit the other arguments.
    """
    model = read_ubjson(data)
    _check_keys(model, {"learner", "version"}, "the model")
    version = model["version"]
    if not (isinstance(version, list) and len(version) == 3 and all(map(_is_count, version))):
        raise ValueError("the version of XGBoost's model must be three numbers")
    if version[0] < 3:
        raise ValueError(f"the model is of XGBoost {version[0]}; bundles need 3 or later")
    learner = model["learner"]
    _check_keys(
        learner,
        {
            *("attributes", "feature_names", "feature_types", "gradient_booster"),
            *("learner_model_param", "objective"),
        },
        "the learner",
    )
    n_classes = n_outputs if objective == "multi:softprob" else 0
    _check_objective(learner["objective"], objective, n_classes)
    _check_learner(learner, n_outputs, n_classes, n_features)
    booster = learner["gradient_booster"]
    _check_keys(booster, {"model", "name"}, "the booster")
    if booster["name"] != "gbtree":
        raise ValueError(f"the booster must be 'gbtree', not {booster['name']!r:.80}")
    counts = np.zeros(n_features, dtype=np.int64)
    if categories is not None:
        counts[:] = [0 if known is None else len(known) for known in categories]
    trees = booster["model"]
    _check_keys(
        trees,
        {"gbtree_model_param", "iteration_indptr", "tree_info", "trees"},
        "the booster's model",
        {"cats"},
    )
    _check_categories(trees.get("cats"), categories, n_features)
    _check_rounds(trees, n_outputs)
    n_rounds = len(trees["iteration_indptr"]) - 1
    if int(learner["attributes"].get("best_iteration", "0")) >= n_rounds:
        raise ValueError(f"best_iteration must be below the {n_rounds} rounds of the model")
    n_bytes = 0
    for number, tree in enumerate(trees["trees"]):
        n_bytes += _check_tree(tree, number, n_outputs, n_features, counts)
    if n_bytes > _MAX_CATEGORY_BYTES:
        raise ValueError(f"the splits by category take {n_bytes} bytes, which is too much")


def _check_objective(found: Any, name: str, n_classes: int) -> None:
    _check_keys(found, {"name"}, "the objective", {"reg_loss_param", "softmax_multiclass_param"})
    expected: dict[str, Any] = {"name": name, "reg_loss_param": {"scale_pos_weight": "1"}}
    if n_classes:
        expected = {"name": name, "softmax_multiclass_param": {"num_class": str(n_classes)}}
    if found != expected:
        raise ValueError(f"the objective must be {expected}, not {found!r:.200}")


def _check_learner(
    learner: dict[str, Any], n_outputs: int, n_classes: int, n_features: int
) -> None:
    params = learner["learner_model_param"]
    names = {"base_score", "boost_from_average", "num_class", "num_feature", "num_target"}
    _check_keys(params, names, "the learner's parameters")
    n_targets = 1 if n_classes else n_outputs
    expected = {"num_class": n_classes, "num_feature": n_features, "num_target": n_targets}
    for name, value in expected.items():
        if params[name] != str(value):
            raise ValueError(f"{name} must be {value}, not {params[name]!r:.80}")
    if params["boost_from_average"] not in ("0", "1"):
        raise ValueError("boost_from_average must be 0 or 1")
    score = params["base_score"]
    number = r"-?[0-9]+(\.[0-9]+)?(E-?[0-9]+)?"
    if not isinstance(score, str) or not re.fullmatch(rf"{number}|\[{number}(,{number})*\]", score):
        raise ValueError(f"base_score must hold numbers, not {score!r:.80}")
    scores = np.array(score.strip("[]").split(","), dtype=np.float64)
    if len(scores) not in (1, n_outputs) or not (np.abs(scores) < np.finfo(np.float32).max).all():
        raise ValueError(f"base_score must hold 1 or {n_outputs} finite numbers")
    attributes = learner["attributes"]
    _check_keys(attributes, set(), "the attributes", {"best_iteration", "best_score"})
    if not re.fullmatch(r"[0-9]{1,9}", attributes.get("best_iteration", "0")):
        raise ValueError("best_iteration must be an integer")
    if not np.isfinite(float(attributes.get("best_score", "0"))):
        raise ValueError("best_score must be a finite number")
    for key in ("feature_names", "feature_types"):
        texts = learner[key]
        if not (isinstance(texts, list) and len(texts) in (0, n_features)) or not all(
            isinstance(each, str) and "\0" not in each for each in texts
        ):
            raise ValueError(f"{key} must be {n_features} strings, or none")
    if not set(learner["feature_types"]) <= {"float", "int", "i", "q", "c"}:
        raise ValueError("feature_types holds an unknown type")


def _check_categories(cats: Any, categories: list[Any] | None, n_features: int) -> None:
    """Raise ValueError if categories are not those of the student's columns."""
    if cats is None:  # before 3.1
        return
    _check_keys(cats, {"enc", "feature_segments", "sorted_idx"}, "the categories")
    segments = _ints(cats["feature_segments"], "i4")
    order = _ints(cats["sorted_idx"], "i4")
    columns = cats["enc"]
    if categories is None:
        if columns or segments.size or order.size:
            raise ValueError("the model has categories, but the student has none")
        return
    if not isinstance(columns, list) or len(columns) != n_features:
        raise ValueError(f"the model must hold the categories of {n_features} columns")
    for column, known in zip(columns, categories, strict=True):
        labels = [] if known is None else known.tolist()
        if isinstance(column, dict) and "type" in column:  # integers
            _check_keys(column, {"type", "values"}, "the categories of a column")
            if column["type"] != 15 or _ints(column["values"], "i8").tolist() != labels:
                raise ValueError("the model's categories must be those of the student's columns")
            continue
        # texts are not compared: beyond ASCII, XGBoost keeps only their first bytes
        _check_keys(column, {"offsets", "values"}, "the categories of a column")
        ends, text = _ints(column["offsets"], "i4"), _ints(column["values"], "i1")
        expected = len(labels) + 1 if labels else 0
        if len(ends) != expected or (
            len(ends) and (ends[0] != 0 or ends[-1] != len(text) or (np.diff(ends) < 0).any())
        ):
            raise ValueError("the model's categories must be those of the student's columns")
    counts = [0 if known is None else len(known) for known in categories]
    if segments.tolist() != np.cumsum([0, *counts]).tolist() or len(order) != sum(counts):
        raise ValueError("the number of the model's categories does not fit its columns")
    for start, count in zip(segments.tolist(), counts, strict=False):
        if not np.array_equal(np.sort(order[start : start + count]), np.arange(count)):
            raise ValueError("the order of the model's categories must be a permutation")


def _check_rounds(model: dict[str, Any], n_outputs: int) -> None:
    trees, groups, ends = model["trees"], model["tree_info"], model["iteration_indptr"]
    for values in (trees, groups, ends):
        if not isinstance(values, list):
            raise ValueError("trees, tree_info and iteration_indptr must be lists")
    n_rounds = len(ends) - 1
    per_round = len(trees) // n_rounds if n_rounds > 0 else 0
    expected = {"num_parallel_tree": "1", "num_trees": str(len(trees))}
    if model["gbtree_model_param"] != expected:
        raise ValueError(f"gbtree_model_param must be {expected}")
    if per_round not in (1, n_outputs) or len(trees) != n_rounds * per_round:
        raise ValueError(f"the model must hold rounds of 1 or {n_outputs} trees")
    if ends != [k * per_round for k in range(n_rounds + 1)]:
        raise ValueError("iteration_indptr must count the trees of the rounds")
    if groups != list(range(per_round)) * n_rounds:
        raise ValueError("tree_info must name the output of each tree")
    sizes = {_tree_outputs(tree) for tree in trees}
    if sizes != {n_outputs // per_round}:
        raise ValueError(f"the leaves of the trees must hold {n_outputs // per_round} values")


def _tree_outputs(tree: Any) -> int:
    known = {*_OF_NODES, *_OF_CATEGORIES, "id", "tree_param", "base_weights"}
    _check_keys(tree, known, "a tree", _OPTIONAL)
    params = tree["tree_param"]
    _check_keys(
        params,
        {"num_deleted", "num_feature", "num_nodes", "size_leaf_vector"},
        "a tree's parameters",
    )
    for name, value in params.items():
        if not (isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value)):
            raise ValueError(f"{name} of a tree must be an integer")
    return int(params["size_leaf_vector"])


def _check_tree(
    tree: dict[str, Any], number: int, n_outputs: int, n_features: int, n_categories: np.ndarray
) -> int:
    """Check a tree; return the bytes that XGBoost takes for its sets of categories."""
    where = f"tree {number} of XGBoost's model"
    params = {name: int(value) for name, value in tree["tree_param"].items()}
    n, size = params["num_nodes"], params["size_leaf_vector"]
    arrays = {
        name: _array(tree[name], kind, f"{name} of {where}")
        for name, kind in (_OF_NODES | _OF_CATEGORIES | _STATISTICS | _WEIGHTS).items()
        if name in tree
    }
    lengths = dict.fromkeys((*_OF_NODES, *_STATISTICS), n) | {"base_weights": n * size}
    for name, length in lengths.items():
        if name in arrays and len(arrays[name]) != length:
            raise ValueError(f"{name} of {where} must hold {length} values")
    if n < 1 or params["num_feature"] != n_features or tree["id"] != number:
        raise ValueError(f"{where} has another number than {n_features} features, or another id")
    left, right = arrays["left_children"], arrays["right_children"]
    feature, kinds = arrays["split_indices"], arrays["split_type"]
    reached = _reach(left, right, arrays["parents"], where)
    inner = reached & (left != _LEAF)
    leaves = reached & ~inner
    if not ((feature[inner] >= 0) & (feature[inner] < n_features)).all():
        raise ValueError(f"{where} uses features beyond the {n_features} of the student")
    if not np.isin(feature[~reached], _DELETED).all() or params["num_deleted"] != (~reached).sum():
        raise ValueError(f"{where} has unreachable nodes")
    if (kinds > 1).any() or (arrays["default_left"] > 1).any():
        raise ValueError(f"{where} has an unknown kind of split")
    if "leaf_weights" in arrays:
        # trees of several outputs: the right child of a leaf is the index of its weights
        if len(arrays["leaf_weights"]) != leaves.sum() * size or not np.array_equal(
            np.sort(right[leaves]), np.arange(leaves.sum())
        ):
            raise ValueError(f"the leaves of {where} do not match their weights")
    elif not (right[leaves] == _LEAF).all():
        raise ValueError(f"the leaves of {where} must have no children")
    return _check_sets(arrays, inner & (kinds == 1), feature, n_categories, where)


def _reach(left: np.ndarray, right: np.ndarray, parents: np.ndarray, where: str) -> np.ndarray:
    """Return the mask of reachable nodes; each must have one path from the root."""
    n = len(left)
    reached = np.zeros(n, dtype=bool)
    reached[0] = True
    level = np.zeros(1, dtype=np.int64)
    for depth in range(n + 1):
        level = level[left[level] != _LEAF]
        if not level.size:
            break
        check_depth(depth + 1, where)
        children = np.concatenate([left[level], right[level]]).astype(np.int64)
        if not ((children > 0) & (children < n)).all():
            raise ValueError(f"the children of {where}'s nodes are not among them")
        if len(np.unique(children)) < len(children) or reached[children].any():
            raise ValueError(f"the children of {where}'s nodes do not make a tree")
        if not np.array_equal(parents[children], np.tile(level, 2)):
            raise ValueError(f"the parents of {where}'s nodes do not match their children")
        reached[children] = True
        level = children
    # XGBoost reads the parents of nodes that pruning has removed, too
    if not ((parents[1:] >= 0) & (parents[1:] < n)).all():
        raise ValueError(f"the parents of {where}'s nodes are not among them")
    if parents[0] not in (-1, _DELETED):
        raise ValueError(f"the root of {where} must have no parent")
    return reached


def _check_sets(
    arrays: dict[str, np.ndarray],
    by_category: np.ndarray,
    feature: np.ndarray,
    n_categories: np.ndarray,
    where: str,
) -> int:
    nodes, members = arrays["categories_nodes"], arrays["categories"]
    sizes, starts = arrays["categories_sizes"], arrays["categories_segments"]
    if not len(nodes) == len(sizes) == len(starts):
        raise ValueError(f"the splits of {where} by category do not match")
    if not len(nodes):
        if by_category.any() or len(members):
            raise ValueError(f"the splits of {where} by category do not match")
        return 0
    ends = np.cumsum(sizes)
    if (
        not np.array_equal(nodes, np.flatnonzero(by_category))
        or not ((sizes > 0) & (sizes <= len(members))).all()
        or not np.array_equal(starts, np.append(0, ends[:-1]))
        or ends[-1] != len(members)
    ):
        raise ValueError(f"the splits of {where} by category do not match")
    limits = np.repeat(n_categories[feature[nodes]], sizes)
    if not ((members >= 0) & (members < limits)).all():
        raise ValueError(f"{where} splits by categories that its columns lack")
    return int((np.maximum.reduceat(members, starts).astype(np.int64) // 8 + 8).sum())


def _array(value: Any, kind: str, what: str) -> np.ndarray:
    if not isinstance(value, np.ndarray) or value.dtype != np.dtype(kind):
        raise ValueError(f"{what} must be an array of {np.dtype(kind)}")
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        raise ValueError(f"{what} must hold finite numbers")
    return value


def _ints(value: Any, kind: str) -> np.ndarray:
    return _array(value, kind, "the categories of XGBoost's model")


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < _MAX_NUMBER


def _check_keys(
    value: Any, names: set[str], what: str, optional: set[str] | frozenset[str] = frozenset()
) -> None:
    if not isinstance(value, dict):
        raise ValueError(f"{what} of XGBoost must be an object")
    if missing := sorted(names - set(value)):
        raise ValueError(f"{what} of XGBoost lacks {missing[0]!r}")
    if unknown := sorted(set(value) - names - optional):
        raise ValueError(
            f"{what} of XGBoost has the unknown entry {unknown[0]!r:.80}. A newer XGBoost may have "
            "written it"
        )
