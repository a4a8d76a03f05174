"""A teacher and a student in one estimator."""

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_wine
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    RandomizedSearchCV,
    StratifiedKFold,
    cross_val_score,
    cross_validate,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn
from xgboost import XGBClassifier

from soft_students import (
    DecisionTreeStudentClassifier,
    DecisionTreeStudentRegressor,
    DistilledClassifier,
    DistilledRegressor,
    LogisticStudentClassifier,
    RidgeStudentRegressor,
)
from soft_students.evaluation import get_scorers
from soft_students.transfer import GaussianNoise


@parametrize_with_checks(
    [
        DistilledClassifier(LogisticStudentClassifier(), LogisticRegression(), cross_fit=3),
        DistilledRegressor(RidgeStudentRegressor(), LinearRegression(), cross_fit=3),
    ],
    expected_failed_checks=lambda estimator: {
        "check_sample_weight_equivalence_on_dense_data": "folds are made of rows, not of weights",
    },
)
def test_scikit_learn_contract(estimator, check):
    check(estimator.set_params(random_state=0))


@pytest.fixture(scope="module")
def wine():
    return load_wine(return_X_y=True)


@pytest.fixture(scope="module")
def diabetes():
    return load_diabetes(return_X_y=True)


def forest():
    return RandomForestClassifier(10, random_state=0)


def tree(**parameters):
    return DecisionTreeStudentClassifier(random_state=0, **parameters)


class Recorder(LogisticStudentClassifier):
    """Keeps what it was given."""

    def fit(self, X, y=None, *, labels=None, teacher=None, sample_weight=None, X_unlabeled=None):
        self.logits_ = teacher.logits(X)
        self.given_weight_ = sample_weight
        return super().fit(
            X,
            y,
            labels=labels,
            teacher=teacher,
            sample_weight=sample_weight,
            X_unlabeled=X_unlabeled,
        )


def test_out_of_fold_targets_are_those_of_a_loop_by_hand(wine):
    X, y = wine
    fitted = DistilledClassifier(Recorder(), forest(), cross_fit=4, random_state=1).fit(X, y)
    expected = np.empty((len(X), 3))
    folds = StratifiedKFold(4, shuffle=True, random_state=1)
    for others, fold in folds.split(X, y):
        expected[fold] = forest().fit(X[others], y[others]).predict_proba(X[fold])
    said = np.exp(fitted.student_.logits_)
    np.testing.assert_allclose(said / said.sum(axis=1, keepdims=True), expected, atol=1e-12)
    # a forest is nearly certain of the rows that it has seen
    assert fitted.teacher_.predict_proba(X).max(axis=1).mean() > expected.max(axis=1).mean() + 0.03


def test_the_teacher_of_all_rows_is_kept_and_the_given_one_untouched(wine):
    X, y = wine
    given = forest()
    fitted = DistilledClassifier(tree(), given, cross_fit=3, random_state=0).fit(X, y)
    assert not hasattr(given, "classes_")
    all_rows = forest().fit(X, y).predict_proba(X)
    np.testing.assert_allclose(fitted.teacher_.predict_proba(X), all_rows, atol=1e-12)
    other = DistilledClassifier(tree(), forest().fit(X, y)).fit(X, y)
    np.testing.assert_allclose(other.teacher_.predict_proba(X), all_rows, atol=1e-12)


def test_folds_repeat_with_the_seed(wine):
    X, y = wine

    def logits(seed):
        distilled = DistilledClassifier(Recorder(), forest(), cross_fit=3, random_state=seed)
        return distilled.fit(X, y).student_.logits_

    np.testing.assert_array_equal(logits(0), logits(0))
    assert not np.array_equal(logits(0), logits(1))


def test_pipelines_on_both_sides(wine):
    X, y = wine
    names = np.array(["red", "white", "rosé"])[y]
    distilled = DistilledClassifier(
        make_pipeline(StandardScaler(), LogisticStudentClassifier()),
        make_pipeline(StandardScaler(), LogisticRegression()),
        cross_fit=3,
        random_state=0,
    )
    assert cross_val_score(distilled, X, names, cv=3).mean() > 0.9
    assert distilled.fit(X, names).classes_.tolist() == ["red", "rosé", "white"]


def test_xgboost_may_be_cross_fitted(wine):
    X, y = wine
    teacher = XGBClassifier(n_estimators=5, n_jobs=1)
    distilled = DistilledClassifier(tree(), teacher, cross_fit=3, random_state=0).fit(X, y)
    assert distilled.score(X, y) > 0.9


def test_a_class_that_a_fold_lacks_keeps_its_column(wine):
    X, y = wine
    rows = np.r_[np.arange(100), np.flatnonzero(y == 2)[:1]]
    distilled = DistilledClassifier(Recorder(), forest(), cross_fit=3, random_state=0)
    with pytest.warns(UserWarning, match="least populated class"):
        distilled.fit(X[rows], y[rows])
    assert distilled.classes_.tolist() == [0, 1, 2]
    # who was asked about the only row of the class did not know it
    assert np.exp(distilled.student_.logits_[-1]).argmax() != 2
    assert distilled.predict_proba(X).shape == (len(X), 3)


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        (RandomForestClassifier(5).fit([[0], [1]], [0, 1]), r"is fitted. Pass it unfitted"),
        (
            make_pipeline(StandardScaler(), LogisticRegression()).fit([[0], [1]], [0, 1]),
            "this Pipeline is fitted",
        ),
        (nn.Linear(2, 2), r"unfitted estimator with fit and predict_proba. Got Linear"),
        (RandomForestClassifier, "an unfitted estimator"),
        (lambda rows: rows, "an unfitted estimator"),
        (Ridge(), "with fit and predict_proba. Got Ridge"),
        (np.zeros((178, 3)), "an unfitted estimator"),
    ],
)
def test_what_cannot_be_cross_fitted_is_refused(wine, teacher, message):
    with pytest.raises(ValueError, match=message):
        DistilledClassifier(tree(), teacher, cross_fit=3).fit(*wine)


@pytest.mark.parametrize("folds", [1, 0, 2.5, "3"])
def test_other_numbers_of_folds_are_refused(wine, folds):
    with pytest.raises(ValueError, match="'cross_fit' parameter of DistilledClassifier"):
        DistilledClassifier(tree(), forest(), cross_fit=folds).fit(*wine)


def test_an_unfitted_teacher_needs_cross_fit(wine):
    with pytest.raises(sklearn.exceptions.NotFittedError):
        DistilledClassifier(tree(), forest()).fit(*wine)


def test_out_of_fold_targets_are_of_the_rows_alone(wine):
    X, y = wine
    student = tree(transfer=GaussianNoise())
    with pytest.raises(ValueError, match="not available for a transfer set"):
        DistilledClassifier(student, forest(), cross_fit=3).fit(X, y)
    with pytest.raises(ValueError, match="or X_unlabeled"):
        DistilledClassifier(tree(), forest(), cross_fit=3).fit(X, y, X_unlabeled=X)
    DistilledClassifier(tree(), forest().fit(X, y)).fit(X, y, X_unlabeled=X)


def test_clones_share_a_fitted_teacher_and_copy_an_unfitted_one(wine):
    fitted = forest().fit(*wine)
    assert clone(DistilledClassifier(tree(), fitted)).teacher is fitted
    distilled = DistilledClassifier(tree(), forest(), cross_fit=3, random_state=2)
    again = clone(distilled)
    assert again.teacher is not distilled.teacher
    assert again.get_params()["teacher__n_estimators"] == 10
    assert (again.cross_fit, again.random_state) == (3, 2)


def test_searches_may_set_an_unfitted_teacher_and_no_fitted_one(wine):
    X, y = wine
    search = GridSearchCV(
        DistilledClassifier(tree(), KNeighborsClassifier(), cross_fit=3, random_state=0),
        {"teacher__n_neighbors": [1, 9], "student__max_depth": [1, 4]},
        cv=3,
    ).fit(X, y)
    assert search.best_params_["student__max_depth"] == 4
    fitted = KNeighborsClassifier().fit(X, y)
    distilled = DistilledClassifier(tree(), fitted)
    with pytest.raises(ValueError, match="does not change a fitted teacher"):
        distilled.set_params(teacher__n_neighbors=1)
    assert fitted.n_neighbors == 5
    distilled.set_params(teacher=clone(fitted), cross_fit=3, teacher__n_neighbors=1)
    assert distilled.teacher.n_neighbors == 1


def test_sample_weights_count_for_teacher_and_student(wine):
    X, y = wine
    weights = 1.0 + np.arange(len(X)) % 3
    pair = Pipeline([("scale", StandardScaler()), ("student", Recorder())])
    teacher = make_pipeline(StandardScaler(), LogisticRegression())
    fitted = DistilledClassifier(pair, teacher, cross_fit=3, random_state=0)
    fitted.fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(fitted.student_[-1].given_weight_, weights)
    expected = np.empty((len(X), 3))
    for others, fold in StratifiedKFold(3, shuffle=True, random_state=0).split(X, y):
        part = clone(teacher).fit(
            X[others], y[others], logisticregression__sample_weight=weights[others]
        )
        expected[fold] = part.predict_proba(X[fold])
    said = np.exp(fitted.student_[-1].logits_)
    np.testing.assert_allclose(said / said.sum(axis=1, keepdims=True), expected, atol=1e-9)
    same = clone(fitted).fit(X, y, student__sample_weight=weights)  # the student's alone
    assert not np.allclose(same.student_[-1].logits_, fitted.student_[-1].logits_)
    with pytest.warns(UserWarning, match="KNeighborsClassifier takes no sample_weight"):
        DistilledClassifier(tree(), KNeighborsClassifier(), cross_fit=3).fit(
            X, y, sample_weight=weights
        )


def test_data_frames_keep_their_names(wine):
    X, y = wine
    frame = pd.DataFrame(X).add_prefix("f")
    teacher = make_pipeline(StandardScaler().set_output(transform="pandas"), forest())
    student = make_pipeline(StandardScaler().set_output(transform="pandas"), tree())
    distilled = DistilledClassifier(student, teacher, cross_fit=3, random_state=0)
    distilled.fit(frame, pd.Series(y, name="kind"))
    assert distilled.feature_names_in_.tolist() == frame.columns.tolist()
    assert distilled.student_[-1].feature_names_in_.tolist() == frame.columns.tolist()
    with pytest.raises(ValueError, match="feature names"):
        distilled.predict(frame.add_suffix("x"))
    distilled.fit(X, y)
    assert not hasattr(distilled, "feature_names_in_")


def test_only_what_the_student_has(wine):
    X, y = wine
    distilled = DistilledClassifier(LogisticStudentClassifier(), DummyClassifier(), cross_fit=2)
    scores = distilled.fit(X, y).decision_function(X)
    np.testing.assert_array_equal(scores, distilled.student_.decision_function(X))
    assert hasattr(distilled, "predict_proba")
    assert not hasattr(DistilledClassifier(tree(), DummyClassifier()), "decision_function")


@pytest.fixture
def module():
    torch.manual_seed(0)
    return nn.Sequential(nn.BatchNorm1d(13, affine=False), nn.Linear(13, 3)).double()


@pytest.fixture
def trained(module, wine):
    X, y = map(torch.tensor, wine)
    module.train()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(X), y).backward()
        optimizer.step()
    return module.eval()


def scaled(student):
    return Pipeline([("scale", StandardScaler()), ("student", student)])


def test_searches_and_cross_validation_with_a_module_in_two_processes(wine, trained):
    X, y = wine
    before = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    distilled = DistilledClassifier(scaled(tree()), trained)
    grid = GridSearchCV(
        distilled,
        {"student__student__max_depth": [1, 5], "student__student__temperature": [1.0, "auto"]},
        scoring=get_scorers("agreement", "neg_kl_to_teacher", "soft_cross_entropy"),
        refit="neg_kl_to_teacher",
        cv=3,
        n_jobs=2,
    ).fit(X, y)
    assert grid.best_params_["student__student__max_depth"] == 5
    assert (grid.cv_results_["mean_test_neg_kl_to_teacher"] <= 0).all()
    assert grid.cv_results_["mean_test_agreement"].max() > 0.8
    random = RandomizedSearchCV(
        distilled,
        {"student__student__temperature": loguniform(0.5, 4)},
        n_iter=2,
        cv=3,
        random_state=0,
    ).fit(X, y)
    assert random.best_score_ > 0.8
    scores = cross_validate(
        distilled,
        X,
        y,
        cv=3,
        scoring={**get_scorers("agreement", "kl_to_teacher"), "accuracy": "accuracy"},
    )
    assert {"test_agreement", "test_neg_kl_to_teacher", "test_accuracy"} <= set(scores)
    assert scores["test_agreement"].shape == (3,)
    for name, tensor in trained.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)


def test_metadata_is_routed_to_student_and_teacher(wine):
    X, y = StandardScaler().fit_transform(wine[0]), wine[1]
    weights = 1.0 + np.arange(len(X)) % 3
    with sklearn.config_context(enable_metadata_routing=True):
        student = scaled(Recorder().set_fit_request(sample_weight=True))
        student[0].set_fit_request(sample_weight=False)
        teacher = LogisticRegression(max_iter=200).set_fit_request(sample_weight=False)
        distilled = DistilledClassifier(student, teacher, cross_fit=3, random_state=0)
        distilled.set_score_request(sample_weight=False)
        fitted = clone(distilled).fit(X, y, sample_weight=weights)
        np.testing.assert_array_equal(fitted.student_[-1].given_weight_, weights)
        plain = clone(distilled).fit(X, y)
        np.testing.assert_array_equal(
            fitted.student_[-1].logits_, plain.student_[-1].logits_
        )  # the teacher asked for no weights
        teacher.set_fit_request(sample_weight=True)
        both = clone(distilled).fit(X, y, sample_weight=weights)
        assert not np.allclose(both.student_[-1].logits_, plain.student_[-1].logits_)
        search = GridSearchCV(distilled, {"student__student__C": [0.1, 1.0]}, cv=3)
        search.fit(X, y, sample_weight=weights)
        assert search.best_estimator_.student_[-1].given_weight_ is not None
        # a bare student in a pipeline, with soft targets that follow the folds
        proba = LogisticRegression(max_iter=200).fit(X, y).predict_proba(X)
        bare = make_pipeline(
            StandardScaler(), LogisticStudentClassifier().set_fit_request(teacher=True)
        )
        scores = cross_val_score(bare, X, y, cv=3, scoring="accuracy", params={"teacher": proba})
        assert scores.mean() > 0.9
        fitted_teacher = LogisticRegression(max_iter=200).fit(X, y)
        shared = DistilledClassifier(student, fitted_teacher).fit(X, y, sample_weight=weights)
        np.testing.assert_array_equal(shared.student_[-1].given_weight_, weights)


def test_a_regressor_learns_values_out_of_fold(diabetes):
    X, y = diabetes
    teacher = RandomForestRegressor(8, random_state=0)
    student = DecisionTreeStudentRegressor(max_depth=4, random_state=0)
    fitted = DistilledRegressor(student, teacher, cross_fit=3, random_state=0).fit(X, y)
    values = np.empty(len(X))
    for others, fold in KFold(3, shuffle=True, random_state=0).split(X):
        values[fold] = clone(teacher).fit(X[others], y[others]).predict(X[fold])
    by_hand = clone(student).fit(X, values)
    np.testing.assert_allclose(fitted.predict(X), by_hand.predict(X))
    assert fitted.score(X, y) > 0.4
    np.testing.assert_allclose(
        fitted.teacher_.predict(X), clone(teacher).fit(X, y).predict(X), atol=1e-9
    )


def test_a_regressor_with_a_given_teacher_pipelines_and_several_outputs(diabetes):
    X, y = diabetes
    two = np.column_stack([y, -2 * y])
    teacher = LinearRegression().fit(X, two)
    distilled = DistilledRegressor(scaled(RidgeStudentRegressor(alpha=1e-6)), teacher).fit(X, two)
    np.testing.assert_allclose(distilled.predict(X), teacher.predict(X), rtol=1e-3, atol=1e-2)
    scores = cross_validate(
        DistilledRegressor(RidgeStudentRegressor(alpha=1e-3), lambda rows: 3 * rows[:, 0]),
        X,
        y,
        cv=3,
        scoring=get_scorers("r2_to_teacher", "mean_squared_error_to_teacher"),
    )
    assert scores["test_r2_to_teacher"].min() > 0.9
    assert scores["test_neg_mean_squared_error_to_teacher"].max() <= 0


def test_teachers_of_the_other_task_are_refused(diabetes, wine):
    X, y = diabetes
    with pytest.raises(ValueError, match=r"regress|value"):
        DistilledClassifier(tree(), Ridge().fit(X, y)).fit(X, y > 100)
    with pytest.raises(ValueError, match="class"):
        DistilledRegressor(RidgeStudentRegressor(), forest().fit(*wine)).fit(*wine)
    with pytest.raises(ValueError, match="requires y to be passed"):
        DistilledRegressor(RidgeStudentRegressor(), Ridge(), cross_fit=2).fit(X, None)
