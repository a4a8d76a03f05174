"""The catalogue of students, used by bundles, the command line and the docs."""

from __future__ import annotations

import difflib
import warnings

from soft_students.students.classical import (
    DecisionTreeStudentClassifier,
    DecisionTreeStudentRegressor,
    ExtraTreesStudentClassifier,
    ExtraTreesStudentRegressor,
    GenericStudentClassifier,
    GenericStudentRegressor,
    HistGradientBoostingStudentClassifier,
    HistGradientBoostingStudentRegressor,
    KNeighborsStudentClassifier,
    KNeighborsStudentRegressor,
    LogisticStudentClassifier,
    RandomForestStudentClassifier,
    RandomForestStudentRegressor,
    RidgeStudentRegressor,
    SVMStudentClassifier,
    SVMStudentRegressor,
)
from soft_students.students.classical.scaling import pixel_settings
from soft_students.students.entry import StudentEntry
from soft_students.students.lightgbm import LightGBMStudentClassifier, LightGBMStudentRegressor
from soft_students.students.neural.presets import neural_settings
from soft_students.students.plugins import loaded_entries
from soft_students.students.soft_tree import SoftDecisionTreeClassifier, SoftDecisionTreeRegressor
from soft_students.students.soft_tree.presets import image_settings
from soft_students.students.xgboost import XGBoostStudentClassifier, XGBoostStudentRegressor

_ENTRIES = [
    StudentEntry(
        "soft_tree",
        SoftDecisionTreeClassifier,
        SoftDecisionTreeRegressor,
        "One tree of linear gates: accurate, drawn as a picture, a few dot products a row.",
        image_settings,
    ),
    StudentEntry(
        "xgboost",
        XGBoostStudentClassifier,
        XGBoostStudentRegressor,
        "Gradient-boosted trees: the most accurate on tables; a plain XGBoost model.",
    ),
    StudentEntry(
        "lightgbm",
        LightGBMStudentClassifier,
        LightGBMStudentRegressor,
        "Gradient-boosted trees grown leaf by leaf: quick on many rows; a plain LightGBM model.",
        extra="lightgbm",
    ),
    StudentEntry(
        "hist",
        HistGradientBoostingStudentClassifier,
        HistGradientBoostingStudentRegressor,
        "Gradient-boosted trees of scikit-learn: no library beside it, missing values.",
    ),
    StudentEntry(
        "tree",
        DecisionTreeStudentClassifier,
        DecisionTreeStudentRegressor,
        "One hard tree: every prediction is a short rule on single features.",
    ),
    StudentEntry(
        "forest",
        RandomForestStudentClassifier,
        RandomForestStudentRegressor,
        "A random forest: accurate without tuning, large.",
    ),
    StudentEntry(
        "extra_trees",
        ExtraTreesStudentClassifier,
        ExtraTreesStudentRegressor,
        "Extremely randomised trees: smoother than a forest, quicker to train, larger.",
    ),
    StudentEntry(
        "logistic",
        LogisticStudentClassifier,
        RidgeStudentRegressor,
        "One linear model: the smallest, fastest and most readable where it is enough.",
    ),
    StudentEntry(
        "svm",
        SVMStudentClassifier,
        SVMStudentRegressor,
        "Support vector machines: the most faithful on few rows; slow to train on many.",
        pixel_settings,
    ),
    StudentEntry(
        "knn",
        KNeighborsStudentClassifier,
        KNeighborsStudentRegressor,
        "Nearest neighbours: every prediction is shown by examples; keeps all rows.",
        pixel_settings,
    ),
    StudentEntry(
        "neural",
        "soft_students.students.neural:NeuralStudentClassifier",
        None,
        "A small network taught by any of the methods that 'softkd methods' lists; for images.",
        neural_settings,
    ),
    StudentEntry(
        "generic",
        GenericStudentClassifier,
        GenericStudentRegressor,
        "Any scikit-learn estimator: regressors on logits, classifiers by weighted rows.",
    ),
]


def available() -> dict[str, StudentEntry]:
    """Return all students by name, including those of other packages.

    A package adds a student by an entry point of the group ``soft_students.students`` that loads a
    `StudentEntry`; see ``docs/tutorials/own_student.md``. Entries that cannot be loaded, or have
    the name of another, are skipped with a warning.

    Examples
    --------
    >>> from soft_students.students import available
    >>> available()["soft_tree"].classifier.__name__
    'SoftDecisionTreeClassifier'
    """
    entries = {entry.name: entry for entry in _ENTRIES}
    for package, entry in loaded_entries():
        if entry.name in entries:
            warnings.warn(
                f"The student {entry.name!r} of the package {package} is skipped: another has that "
                "name. Ask its authors to rename it.",
                stacklevel=2,
            )
            continue
        entries[entry.name] = entry
    return entries


def get_student(name: str) -> StudentEntry:
    """Return a student by name.

    Raises
    ------
    ValueError
        If the name is unknown; the message suggests the nearest one.
    """
    entries = available()
    if name in entries:
        return entries[name]
    near = difflib.get_close_matches(str(name), entries, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"Unknown student {name!r}. Available: {', '.join(entries)}.{hint}")
