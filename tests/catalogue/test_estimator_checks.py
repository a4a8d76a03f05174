"""Being in the registry means passing scikit-learn's own checks."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from soft_students import DistilledClassifier, SoftDecisionTreeClassifier
from soft_students.students import available, get_student
from soft_students.testing.instances import quick_instance
from soft_students.testing.students import expected_failures


@parametrize_with_checks(
    [quick_instance(student) for entry in available().values() for student in entry.classes],
    expected_failed_checks=expected_failures,
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def test_an_unknown_student_names_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'soft_tree'"):
        get_student("softtree")


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


def quick_tree(**parameters):
    return SoftDecisionTreeClassifier(
        2, epochs=60, learning_rate=0.05, random_state=0, **parameters
    )


def test_a_search_over_a_pipeline_asks_the_teacher_about_raw_rows(iris):
    X, y = iris
    shown = []
    fitted = LogisticRegression(max_iter=500).fit(X, y)

    def teacher(rows):
        shown.append(rows)
        return fitted.predict_proba(rows)

    search = GridSearchCV(
        DistilledClassifier(make_pipeline(StandardScaler(), quick_tree()), teacher),
        {"student__softdecisiontreeclassifier__temperature": [0.5, 3.0]},
        cv=3,
    ).fit(X, y)
    assert search.best_score_ > 0.85
    assert min(rows.min() for rows in shown) >= X.min()  # standardised rows would be negative
    assert len(shown) == 2 * 3 + 1


def test_cloning_keeps_the_teacher_and_unfits_the_student(iris):
    X, y = iris
    module = nn.Linear(4, 3)
    distilled = DistilledClassifier(quick_tree(), module).fit(X, y)
    again = clone(distilled)
    assert again.teacher is module
    assert not hasattr(again, "student_")
    assert again.student is not distilled.student
    fitted = LogisticRegression(max_iter=500).fit(X, y)
    assert hasattr(clone(DistilledClassifier(quick_tree(), fitted)).teacher, "coef_")


def test_cross_validation_is_stratified_and_predicts_labels(iris):
    X, y = iris
    names = np.array(["a", "b", "c"])[y]
    teacher = LogisticRegression(max_iter=500).fit(X, names)
    # sorted by class: unstratified folds would each miss one, and score near zero
    predicted = cross_val_predict(DistilledClassifier(quick_tree(), teacher), X, names, cv=3)
    assert (predicted == names).mean() > 0.85


def test_an_array_is_no_teacher_for_a_search(iris):
    X, y = iris
    with pytest.raises(ValueError, match="belongs to one X"):
        DistilledClassifier(quick_tree(), np.full((150, 3), 1 / 3)).fit(X, y)


def test_soft_targets_are_routed_by_metadata(iris):
    import sklearn

    X, y = iris
    proba = LogisticRegression(max_iter=500).fit(X, y).predict_proba(X)
    with sklearn.config_context(enable_metadata_routing=True):
        student = quick_tree().set_fit_request(teacher=True).set_score_request(sample_weight=False)
        search = GridSearchCV(student, {"temperature": [1.0, 2.0]}, cv=3)
        search.fit(X, y, teacher=proba)
    assert search.best_score_ > 0.85
