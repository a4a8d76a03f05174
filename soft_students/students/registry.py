"""The catalogue of students, used by bundles, the command line and the docs.

Nothing heavy is imported here: classes, and the libraries behind them, are imported at first use.
"""

from __future__ import annotations

import warnings

from soft_students.choices import choose
from soft_students.students.entry import StudentEntry
from soft_students.students.plugins import loaded_entries

_ENTRIES = [
    StudentEntry(
        "soft_tree",
        "soft_students.students.soft_tree:SoftDecisionTreeClassifier",
        "soft_students.students.soft_tree:SoftDecisionTreeRegressor",
        "One tree of linear gates: accurate, drawn as a picture, a few dot products a row.",
        learns="gradient descent on the soft cross-entropy, with a hand-written backward pass",
        from_parts="fit",
    ),
    StudentEntry(
        "xgboost",
        "soft_students.students.xgboost:XGBoostStudentClassifier",
        "soft_students.students.xgboost:XGBoostStudentRegressor",
        "Gradient-boosted trees: the most accurate on tables; a plain XGBoost model.",
        learns="XGBoost's own training, with the gradient of the soft cross-entropy; the result is "
        "a plain `XGBClassifier` in `estimator_`",
        from_parts="fit_xgboost",
    ),
    StudentEntry(
        "lightgbm",
        "soft_students.students.lightgbm:LightGBMStudentClassifier",
        "soft_students.students.lightgbm:LightGBMStudentRegressor",
        "Gradient-boosted trees grown leaf by leaf: quick on many rows; a plain LightGBM model.",
        learns="LightGBM's own training, with the gradient of the soft cross-entropy; the result "
        "is a plain `lightgbm.Booster` in `booster_`",
        extra="lightgbm",
    ),
    StudentEntry(
        "hist",
        "soft_students.students.classical.hist:HistGradientBoostingStudentClassifier",
        "soft_students.students.classical.hist:HistGradientBoostingStudentRegressor",
        "Gradient-boosted trees of scikit-learn: no library beside it, missing values.",
        learns="one regression for each logit; a scale and biases, fitted to the soft "
        "cross-entropy, turn the outputs into logits",
    ),
    StudentEntry(
        "tree",
        "soft_students.students.classical.trees:DecisionTreeStudentClassifier",
        "soft_students.students.classical.trees:DecisionTreeStudentRegressor",
        "One hard tree: every prediction is a short rule on single features.",
        learns="regression on the probabilities: Gini impurity with soft targets",
    ),
    StudentEntry(
        "forest",
        "soft_students.students.classical.forests:RandomForestStudentClassifier",
        "soft_students.students.classical.forests:RandomForestStudentRegressor",
        "A random forest: accurate without tuning, large.",
        learns="regression on the probabilities: Gini impurity with soft targets",
    ),
    StudentEntry(
        "extra_trees",
        "soft_students.students.classical.forests:ExtraTreesStudentClassifier",
        "soft_students.students.classical.forests:ExtraTreesStudentRegressor",
        "Extremely randomised trees: smoother than a forest, quicker to train, larger.",
        learns="regression on the probabilities: Gini impurity with soft targets",
    ),
    StudentEntry(
        "logistic",
        "soft_students.students.classical.linear:LogisticStudentClassifier",
        "soft_students.students.classical.linear:RidgeStudentRegressor",
        "One linear model: the smallest, fastest and most readable where it is enough.",
        learns="the soft cross-entropy itself, by L-BFGS",
    ),
    StudentEntry(
        "svm",
        "soft_students.students.classical.svm:SVMStudentClassifier",
        "soft_students.students.classical.svm:SVMStudentRegressor",
        "Support vector machines: the most faithful on few rows; slow to train on many.",
        learns="one regression for each logit, calibrated as in `hist`",
    ),
    StudentEntry(
        "knn",
        "soft_students.students.classical.neighbors:KNeighborsStudentClassifier",
        "soft_students.students.classical.neighbors:KNeighborsStudentRegressor",
        "Nearest neighbours: every prediction is shown by examples; keeps all rows.",
        learns="nothing is trained: the mean of the neighbours' soft targets",
    ),
    StudentEntry(
        "neural",
        "soft_students.students.neural:NeuralStudentClassifier",
        None,
        "A small network taught by any of the methods that 'softkd methods' lists; for images.",
        learns="any [method](methods.md): soft targets, features of layers, peers, or without data",
        from_parts="fit",
    ),
    StudentEntry(
        "generic",
        "soft_students.students.classical.generic:GenericStudentClassifier",
        "soft_students.students.classical.generic:GenericStudentRegressor",
        "Any scikit-learn estimator: regressors on logits, classifiers by weighted rows.",
        learns="a regressor as `hist` does; a classifier on each row once for each class, weighted "
        "by the class's probability",
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
    return choose(available(), name, "student")


def exported() -> dict[str, str]:
    """Return the module of each class of this package's students, by the class's name."""
    return {name: module for entry in _ENTRIES for name, module in entry.modules.items()}
