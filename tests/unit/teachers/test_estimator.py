import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier, XGBRegressor, XGBRFClassifier

from soft_students.teachers import EstimatorTeacher, InputRangeWarning

X, y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])


def xgb(**settings):
    return XGBClassifier(n_estimators=5, max_depth=3, n_jobs=1, **settings)


def test_probabilities_are_the_estimators():
    model = LogisticRegression(max_iter=500).fit(X, NAMES[y])
    teacher = EstimatorTeacher(model)
    np.testing.assert_allclose(teacher.predict_proba(X), model.predict_proba(X), rtol=1e-9)
    assert teacher.classes_.tolist() == NAMES.tolist()
    assert teacher.predict(X).tolist() == model.predict(X).tolist()
    assert teacher.n_features_in_ == 4


def test_softening_goes_through_logarithms():
    model = LogisticRegression(max_iter=500).fit(X, y)
    powers = np.exp(model.decision_function(X) / 4)
    expected = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(EstimatorTeacher(model).predict_proba(X, 4.0), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "model",
    [
        DecisionTreeClassifier(random_state=0),
        KNeighborsClassifier(3),
        RandomForestClassifier(10, random_state=0),
        HistGradientBoostingClassifier(max_iter=5),
        make_pipeline(StandardScaler(), MLPClassifier((8,), max_iter=20, random_state=0)),
        GridSearchCV(LogisticRegression(max_iter=500), {"C": [1.0]}, cv=2),
    ],
    ids=lambda model: type(model).__name__,
)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_estimators_of_all_sorts_teach(model):
    teacher = EstimatorTeacher(model.fit(X, NAMES[y]))
    assert np.isfinite(teacher.logits(X)).all()
    np.testing.assert_allclose(teacher.predict_proba(X), model.predict_proba(X), atol=1e-6)
    assert teacher.predict(X).tolist() == model.predict(X).tolist()


@pytest.mark.parametrize("objective", ["multi:softprob", "multi:softmax"])
def test_margins_of_xgboost_are_logits_up_to_a_constant_a_row(objective):
    model = xgb(objective=objective).fit(X, y)
    logits = EstimatorTeacher(model).logits(X)
    difference = logits - np.log(model.predict_proba(X))
    np.testing.assert_allclose(difference, difference[:, :1] + np.zeros(3), atol=1e-5)
    np.testing.assert_array_equal(logits, model.predict(X, output_margin=True))


def test_the_margin_of_two_classes_is_that_of_the_second():
    model = xgb().fit(X, y > 0)
    teacher = EstimatorTeacher(model)
    p = model.predict_proba(X)[:, 1]
    logits = teacher.logits(X)
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0], np.log(p / (1 - p)), atol=1e-5)
    np.testing.assert_allclose(teacher.predict_proba(X), model.predict_proba(X), atol=1e-6)
    np.testing.assert_array_equal(teacher.predict(X), model.predict(X))


def test_margins_survive_where_probabilities_vanish():
    """In float32, predict_proba gives 0 for what the margins tell apart."""
    model = XGBClassifier(n_estimators=300, learning_rate=1.0, reg_lambda=0, n_jobs=1).fit(X, y)
    logits = EstimatorTeacher(model).logits(X).astype(float)
    assert np.isfinite(logits).all()
    np.testing.assert_allclose(
        EstimatorTeacher(model).predict_proba(X), model.predict_proba(X), atol=1e-5
    )


def _hinge(labels, margins):
    return margins - labels, np.ones_like(margins)


@pytest.mark.parametrize("objective", ["binary:hinge", _hinge], ids=["hinge", "custom"])
def test_margins_of_other_objectives_are_not_taken_for_logits(objective):
    model = xgb(objective=objective).fit(X, (y > 0).astype(int))
    np.testing.assert_allclose(
        EstimatorTeacher(model).predict_proba(X), model.predict_proba(X), atol=1e-6
    )


def test_forests_and_pipelines_of_xgboost_teach():
    for model in (
        XGBRFClassifier(n_estimators=3, n_jobs=1),
        make_pipeline(StandardScaler(), xgb()),
    ):
        model.fit(X, y)
        np.testing.assert_allclose(
            EstimatorTeacher(model).predict_proba(X), model.predict_proba(X), atol=1e-5
        )


def test_columns_may_be_given_other_names():
    model = xgb().fit(X, y)
    teacher = EstimatorTeacher(model, classes=NAMES)
    assert teacher.predict(X).tolist() == NAMES[model.predict(X)].tolist()
    with pytest.raises(ValueError, match="Got 2 for the 3 classes of XGBClassifier"):
        EstimatorTeacher(model, classes=["a", "b"])


@pytest.mark.parametrize("model", [LinearRegression(), XGBRegressor(n_estimators=3, n_jobs=1)])
def test_regressors_give_values(model):
    model.fit(X[:, :3], X[:, 3])
    teacher = EstimatorTeacher(model)
    assert teacher.task == "regression"
    np.testing.assert_allclose(teacher.predict(X[:, :3]), model.predict(X[:, :3]))


def test_frames_reach_the_estimator_as_they_are():
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = LogisticRegression(max_iter=500).fit(frame, y)
    teacher = EstimatorTeacher(model)
    np.testing.assert_allclose(teacher.predict_proba(frame), model.predict_proba(frame))
    with pytest.raises(ValueError, match="feature names"):
        teacher.predict_proba(frame[list("badc")])


def test_sparse_rows_and_texts_reach_the_estimator_as_they_are():
    model = MultinomialNB().fit(csr_matrix(X), y)
    teacher = EstimatorTeacher(model)
    np.testing.assert_allclose(
        teacher.predict_proba(csr_matrix(X)), model.predict_proba(X), rtol=1e-9
    )
    texts, labels = ["good fine", "bad worse", "fine", "worse"], [1, 0, 1, 0]
    reader = make_pipeline(CountVectorizer(), MultinomialNB()).fit(texts, labels)
    assert EstimatorTeacher(reader).predict(["good", "bad", "bad"]).tolist() == [1, 0, 0]


def test_a_single_class_is_a_single_column():
    model = DecisionTreeClassifier().fit(X, np.full(len(X), "all"))
    teacher = EstimatorTeacher(model)
    np.testing.assert_array_equal(teacher.predict_proba(X[:2]), [[1], [1]])
    assert teacher.predict(X[:2]).tolist() == ["all", "all"]


def test_another_number_of_features_is_refused():
    teacher = EstimatorTeacher(LogisticRegression(max_iter=500).fit(X, y))
    with pytest.raises(
        ValueError, match=r"X has 3 features, but the teacher 'LogisticRegression' .* 4 features"
    ):
        teacher.predict_proba(X[:, :3])


@pytest.mark.parametrize(
    "model",
    [LogisticRegression(), XGBClassifier(), make_pipeline(StandardScaler(), LogisticRegression())],
    ids=["logistic", "xgboost", "pipeline"],
)
def test_unfitted_estimators_are_refused(model):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        EstimatorTeacher(model)


@pytest.mark.parametrize("model", [LinearSVC(), SVC()], ids=["linear", "kernel"])
def test_classifiers_without_probabilities_are_refused_with_a_way_out(model):
    with pytest.raises(TypeError, match=r"SVC has no predict_proba.*CalibratedClassifierCV"):
        EstimatorTeacher(model.fit(X, y))


def test_neither_classifier_nor_regressor_is_refused():
    from sklearn.cluster import KMeans

    with pytest.raises(TypeError, match="KMeans has no predict_proba"):
        EstimatorTeacher(KMeans(2, n_init=1).fit(X))


def test_several_outputs_are_refused():
    model = RandomForestClassifier(3).fit(X, np.column_stack([y, y > 0]))
    with pytest.raises(TypeError, match="several outputs"):
        EstimatorTeacher(model)


def test_several_labels_a_row_are_refused():
    model = xgb().fit(X, np.eye(3, dtype=int)[y])
    with pytest.raises(ValueError, match="3 columns for 2 classes"):
        EstimatorTeacher(model).logits(X)


def test_a_range_may_be_given():
    teacher = EstimatorTeacher(LogisticRegression(max_iter=500).fit(X, y), input_range=(0, 8))
    with pytest.warns(InputRangeWarning):
        teacher.logits(StandardScaler().fit_transform(X))


def test_pickling_keeps_the_answers():
    teacher = EstimatorTeacher(xgb().fit(X, y), classes=NAMES)
    again = pickle.loads(pickle.dumps(teacher))
    np.testing.assert_array_equal(again.logits(X), teacher.logits(X))
