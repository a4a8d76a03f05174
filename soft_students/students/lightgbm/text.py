"""LightGBM's model text: checks before loading, and a model that predicts a constant."""

from __future__ import annotations

import re

import numpy as np

from soft_students.students.tree_depth import check_depth

_MAX_LEAVES = 131_072  # LightGBM's own limit
_END = "end of trees\n"
_NUMBERS = re.compile(r"[-+0-9.e ]*")
_THRESHOLDS = re.compile(r"([-+0-9.e ]|inf)*")  # infinity splits missing values from all others
_INTEGERS = re.compile(r"[-0-9 ]*")
_HEADER = (
    "tree",
    "version",
    "num_class",
    "num_tree_per_iteration",
    "label_index",
    "max_feature_idx",
    "objective",
    "feature_names",
    "feature_infos",
    "tree_sizes",
)
#: Lines of a tree, in order: whether integers, and how many fewer than leaves.
_LINES = {
    "split_feature": (True, 1),
    "split_gain": (False, 1),
    "threshold": (False, 1),
    "decision_type": (True, 1),
    "left_child": (True, 1),
    "right_child": (True, 1),
    "leaf_value": (False, 0),
    "leaf_weight": (False, 0),
    "leaf_count": (True, 0),
    "internal_value": (False, 1),
    "internal_weight": (False, 1),
    "internal_count": (True, 1),
}
#: Further lines of a tree with splits by category: sets of codes, as words of 32 bits.
_SETS = ("cat_boundaries", "cat_threshold")
_STATISTICS = ("leaf_weight", "leaf_count", "internal_value", "internal_weight", "internal_count")


def trees_only(text: str) -> str:
    """Return a model text without the importances and parameters after its trees."""
    return text[: text.index(_END) + len(_END)]


def with_objective(text: str, objective: str) -> str:
    """Add LightGBM's name of the objective to the text of a model with a custom objective."""
    start = text.index("\nfeature_names=")
    return f"{text[:start]}\nobjective={objective}{text[start:]}"


def constant_text(scores: np.ndarray, n_features: int, objective: str) -> str:
    """Return the text of a model that ignores its features.

    LightGBM does not train if all features are constant.

    Parameters
    ----------
    scores : ndarray of shape (n_trees,)
        Output of each tree.
    n_features : int
    objective : str

    Returns
    -------
    str
    """
    trees = [
        f"Tree={i}\nnum_leaves=1\nnum_cat=0\nsplit_feature=\nsplit_gain=\nthreshold=\n"
        f"decision_type=\nleft_child=\nright_child=\nleaf_value={score!r}\nleaf_weight=\n"
        "leaf_count=\ninternal_value=\ninternal_weight=\ninternal_count=\nis_linear=0\n"
        "shrinkage=1\n\n\n"
        for i, score in enumerate(scores.tolist())
    ]
    header = (
        "tree",
        "version=v4",
        f"num_class={len(scores)}",
        f"num_tree_per_iteration={len(scores)}",
        "label_index=0",
        f"max_feature_idx={n_features - 1}",
        f"objective={objective}",
        "feature_names=" + " ".join(f"Column_{i}" for i in range(n_features)),
        "feature_infos=" + " ".join(["none"] * n_features),
        "tree_sizes=" + " ".join(str(len(tree)) for tree in trees),
    )
    return "\n".join(header) + "\n\n" + "".join(trees) + _END


def check_text(text: str, n_features: int, n_trees: int, objective: str) -> None:
    """Raise ValueError for a model text that LightGBM's own writer would not write.

    LightGBM does not check the indices of children and features, so they are checked here. The text
    is untrusted.

    Parameters
    ----------
    text : str
        Model text from `trees_only`.
    n_features : int
    n_trees : int
        Number of trees per round.
    objective : str

    Raises
    ------
    ValueError
        If the text is invalid or does not fit the other arguments.
    """
    head, *blocks = re.split(r"(?m)^(?=Tree=)", text)
    if not blocks or not blocks[-1].endswith(_END) or not text.isascii():
        raise ValueError("LightGBM's model text is truncated or damaged")
    if n_features > len(text):  # before as many names are generated for the comparison
        raise ValueError(f"LightGBM's model text is too short for {n_features} features")
    blocks[-1] = blocks[-1].removesuffix(_END)
    lines = head.split("\n")
    keys = tuple(line.partition("=")[0] for line in lines)
    if keys != (*_HEADER, "", ""):
        raise ValueError(f"the header of LightGBM's model text must hold {', '.join(_HEADER)}")
    header = {key: line.partition("=")[2] for key, line in zip(keys, lines, strict=True)}
    expected = {
        "version": "v4",
        "num_class": str(n_trees),
        "num_tree_per_iteration": str(n_trees),
        "label_index": "0",
        "max_feature_idx": str(n_features - 1),
        "objective": objective,
        "feature_names": " ".join(f"Column_{i}" for i in range(n_features)),
        "tree_sizes": " ".join(str(len(block)) for block in blocks),
    }
    for key, value in expected.items():
        if header[key] != value:
            raise ValueError(
                f"LightGBM's model text must have {key}={value:.80}, not {header[key]:.80}"
            )
    infos = header["feature_infos"].split(" ")
    values = re.compile(r"none|\[[-+0-9.e]+:[-+0-9.e]+\]|-?[0-9]{1,9}(:-?[0-9]{1,9})*")
    if len(infos) != n_features or not all(values.fullmatch(info) for info in infos):
        raise ValueError("the feature_infos of LightGBM's model text must be the values by column")
    if len(blocks) % n_trees:
        raise ValueError(f"LightGBM's model text must hold rounds of {n_trees} trees")
    for i, block in enumerate(blocks):
        _check_tree(block, i, n_features)


def _check_tree(block: str, number: int, n_features: int) -> None:
    lines = dict(line.partition("=")[::2] for line in block.split("\n") if line)
    sets = () if lines.get("num_cat") == "0" else _SETS
    known = ["Tree", "num_leaves", "num_cat", *_LINES, *sets, "is_linear", "shrinkage"]
    count = lines.get("num_leaves", "")
    if (
        list(lines) != known
        or block.count("\n") != len(known) + 2
        or not re.fullmatch(r"[1-9][0-9]{0,5}", count)
        or int(count) > _MAX_LEAVES
        or (lines["Tree"], lines["is_linear"]) != (str(number), "0")
        or not re.fullmatch(r"[0-9.e+-]+", lines["shrinkage"])
    ):
        raise ValueError(f"tree {number} of LightGBM's model text is not a tree of plain splits")
    n_leaves = int(count)
    values: dict[str, np.ndarray] = {}
    for name, (whole, fewer) in _LINES.items():
        line = lines[name]
        by_threshold = name == "threshold"
        allowed = _INTEGERS if whole else _THRESHOLDS if by_threshold else _NUMBERS
        if not allowed.fullmatch(line):
            raise ValueError(f"{name} of tree {number} must hold numbers only")
        numbers = np.array(line.split(), dtype=np.int64 if whole else np.float64)
        if not (n_leaves == 1 and name in _STATISTICS and not numbers.size) and (
            len(numbers) != n_leaves - fewer or not (by_threshold or np.isfinite(numbers).all())
        ):
            raise ValueError(f"{name} of tree {number} must hold {n_leaves - fewer} finite numbers")
        values[name] = numbers
    feature, decision = values["split_feature"], values["decision_type"]
    if not ((feature >= 0) & (feature < n_features)).all():
        raise ValueError(f"tree {number} uses features beyond the {n_features} of the student")
    by_category = (decision & 1).astype(bool)
    # bit 1: missing values go left; bits 2 and 3: the kind of missing values
    if not ((decision >= 0) & (decision < 12)).all():
        raise ValueError(f"tree {number} has an unknown kind of split")
    _check_sets(lines, values["threshold"][by_category], number)
    children = np.concatenate([values["left_child"], values["right_child"]])
    parents = np.tile(np.arange(n_leaves - 1), 2)
    inner = children >= 0
    if (
        not (children[inner] > parents[inner]).all()
        or not np.array_equal(np.sort(children[inner]), np.arange(1, n_leaves - 1))
        or (n_leaves > 1 and not np.array_equal(np.sort(~children[~inner]), np.arange(n_leaves)))
    ):
        raise ValueError(f"the children of tree {number}'s nodes do not make a tree")
    level, depth = np.zeros(min(n_leaves - 1, 1), dtype=np.int64), 0
    while level.size:
        depth += 1
        check_depth(depth, f"tree {number} of LightGBM's model text")
        below = np.concatenate([values["left_child"][level], values["right_child"][level]])
        level = below[below >= 0]


def _check_sets(lines: dict[str, str], places: np.ndarray, number: int) -> None:
    """Raise ValueError if sets of categories, or the splits that use them, are invalid."""
    if lines["num_cat"] != str(len(places)) or not np.isin(places, np.arange(len(places))).all():
        raise ValueError(f"the splits of tree {number} by category do not match num_cat")
    if not len(places):
        return
    bounds, words = lines["cat_boundaries"], lines["cat_threshold"]
    if not re.fullmatch(r"[0-9]{1,9}( [0-9]{1,9})*", bounds):
        raise ValueError(f"cat_boundaries of tree {number} must hold integers")
    if not re.fullmatch(r"[0-9]{1,10}( [0-9]{1,10})*", words):
        raise ValueError(f"cat_threshold of tree {number} must hold integers")
    ends, bits = np.array(bounds.split(), np.int64), np.array(words.split(), np.int64)
    if len(ends) != len(places) + 1 or ends[0] != 0 or (np.diff(ends) < 1).any():
        raise ValueError(f"cat_boundaries of tree {number} must bound {len(places)} sets")
    if ends[-1] != len(bits) or (bits >= 2**32).any():
        raise ValueError(f"cat_threshold of tree {number} must hold {ends[-1]} words of 32 bits")
