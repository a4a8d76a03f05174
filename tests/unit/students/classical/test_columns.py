"""Columns of the dtype ``category``: codes for students that take them, a remedy for the others."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from xgboost import XGBClassifier, XGBRegressor

from soft_students import DistilledClassifier
from soft_students.students import (
    DecisionTreeStudentClassifier,
    XGBoostStudentClassifier,
    XGBoostStudentRegressor,
)
from soft_students.students.classical.columns import Columns
from soft_students.students.files import dumps, loads
from soft_students.transfer import Transfer

COLOURS = ["red", "green", "blue", "grey"]


@pytest.fixture
def table(rng):
    n = 300
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=n),
            "colour": pd.Categorical(rng.choice(COLOURS, n), categories=COLOURS),
            "count": rng.randint(0, 5, n),
            "grade": pd.Categorical(rng.choice([3, 5, 9], n), categories=[9, 3, 5], ordered=True),
        }
    )
    frame.loc[::9, "colour"] = np.nan
    frame.loc[::7, "size"] = np.nan
    return frame


@pytest.fixture
def labels(table):
    return ((table["colour"] == "red") + 1 * (table["grade"] == 5)).to_numpy()


def student(**parameters):
    return XGBoostStudentClassifier(
        **{"n_estimators": 10, "random_state": 0, "n_jobs": 1, **parameters}
    )


def native(kind=XGBClassifier):
    return kind(n_estimators=10, random_state=0, n_jobs=1, enable_categorical=True)


def test_codes_and_back(table):
    columns = Columns.of(table, "Student")
    codes = columns.codes(table)
    expected = [COLOURS.index(c) if isinstance(c, str) else np.nan for c in table["colour"]]
    np.testing.assert_array_equal(codes["colour"], expected)
    np.testing.assert_array_equal(codes["grade"], [[9, 3, 5].index(g) for g in table["grade"]])
    back = columns.frame(codes.to_numpy())
    pd.testing.assert_frame_equal(back, table.astype({"count": float}))
    assert columns.is_categorical.tolist() == [False, True, False, True]


def test_labels_give_native_training(table, labels):
    expected = native().fit(table, labels).predict_proba(table)
    found = student().fit(table, labels)
    np.testing.assert_allclose(found.predict_proba(table), expected, atol=1e-6)
    np.testing.assert_array_equal(found.is_categorical_, [False, True, False, True])


@pytest.mark.parametrize("tree_method", ["hist", "approx"])
def test_the_plain_model_predicts_the_same(table, labels, tmp_path, tree_method):
    teacher = native().fit(table, labels)
    fitted = student(tree_method=tree_method, early_stopping_rounds=3).fit(table, teacher)
    fitted.estimator_.save_model(tmp_path / "plain.ubj")
    plain = XGBClassifier()
    plain.load_model(tmp_path / "plain.ubj")
    np.testing.assert_array_equal(plain.predict_proba(table), fitted.predict_proba(table))


def test_categories_are_matched_by_value(table, labels):
    fitted = student().fit(table, labels)
    expected = fitted.predict_proba(table)
    other = table.copy()
    other["colour"] = table["colour"].cat.reorder_categories(COLOURS[::-1])
    np.testing.assert_array_equal(fitted.predict_proba(other), expected)
    plain = table.astype({"colour": object, "grade": int})
    np.testing.assert_array_equal(fitted.predict_proba(plain), expected)
    one = table.iloc[[1]].astype({"colour": object})
    np.testing.assert_array_equal(fitted.predict_proba(one), expected[[1]])


def test_unseen_categories_are_missing_values(table, labels):
    fitted = student().fit(table, labels)
    unseen, missing = table.copy(), table.copy()
    unseen["colour"] = pd.Categorical(["violet"] * len(table))
    missing["colour"] = pd.Categorical([None] * len(table), categories=COLOURS)
    np.testing.assert_array_equal(fitted.predict_proba(unseen), fitted.predict_proba(missing))


def test_bundles_keep_categories(table, labels):
    teacher = native().fit(table, labels)
    fitted = student(temperature=2.0).fit(table, teacher)
    again = loads(dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(table), fitted.predict_proba(table))
    other = table.astype({"colour": object})
    np.testing.assert_array_equal(again.predict_proba(other), fitted.predict_proba(table))
    np.testing.assert_array_equal(again.is_categorical_, fitted.is_categorical_)
    assert dumps(again) == dumps(fitted)
    with pytest.raises(ValueError, match="Pass a DataFrame"):
        again.predict(table.to_numpy())


@pytest.mark.parametrize(
    "changed",
    [
        {"categories": None},
        {"categories": [None] * 3},
        {"categories": [None, np.array(["a", "a"]), None, np.array([9, 3, 5])]},
        {"categories": [None] * 4},
        {"categories": ["red"] * 4},
        {"ordered": [1, 0, 0, 0]},
    ],
)
def test_forged_categories_are_refused(table, labels, changed):
    state, arrays = student().fit(table, labels)._bundle_state()
    with pytest.raises(ValueError, match=r"categor|columns"):
        student()._restore_bundle({**state, **changed}, arrays)


def test_regressors_take_categories(table, labels):
    values = labels + np.nan_to_num(table["size"])
    expected = native(XGBRegressor).fit(table, values).predict(table)
    fitted = XGBoostStudentRegressor(n_estimators=10, random_state=0, n_jobs=1).fit(table, values)
    np.testing.assert_allclose(fitted.predict(table), expected, atol=1e-6)
    np.testing.assert_array_equal(loads(dumps(fitted)).predict(table), fitted.predict(table))


class Redrawn(Transfer):
    """Rows with another category, of those that occur."""

    def sample(self, X, random_state=None, *, categorical=None):
        made = X.copy()
        made[:, 1] = (made[:, 1] + 1) % len(COLOURS)
        return made


class Shifted(Transfer):
    """Rows with codes that stand for nothing."""

    def sample(self, X, random_state=None, *, categorical=None):
        return X + 0.5


def test_the_teacher_is_asked_in_its_own_terms(table, labels):
    asked = []
    fitted = native().fit(table, labels)

    def teacher(rows):
        asked.append(rows)
        return fitted.predict_proba(rows)

    few = table[:100]
    student(transfer=Redrawn(), transfer_copies=1).fit(few, teacher, X_unlabeled=table[100:])
    for rows, expected in zip(asked, (few, table[100:], table), strict=True):
        assert rows["colour"].dtype == expected["colour"].dtype
        assert list(rows.columns) == list(expected.columns)
    pd.testing.assert_frame_equal(asked[0], few)
    shifted = [(COLOURS.index(c) + 1) % 4 if isinstance(c, str) else -1 for c in table["colour"]]
    assert asked[2]["colour"].cat.codes.tolist() == shifted
    with pytest.raises(ValueError, match="no category of the column 'colour'"):
        student(transfer=Shifted()).fit(table, teacher)


def test_a_teacher_of_named_columns_labels_transferred_rows(rng):
    """It was asked with arrays, which a ColumnTransformer by name refuses."""
    frame = pd.DataFrame(rng.normal(size=(60, 2)), columns=["a", "b"])
    y = (frame["a"] > 0).to_numpy()
    teacher = make_pipeline(
        make_column_transformer(("passthrough", ["b", "a"])), LogisticRegression()
    ).fit(frame, y)
    taught = DecisionTreeStudentClassifier(transfer=Redrawn(), random_state=0).fit(frame, teacher)
    assert taught.score(frame, y) > 0.9


def test_students_without_categories_say_how_to_encode(classifier, table, labels):
    model = classifier()
    if model._takes_categories:
        pytest.skip("takes them")
    table = table.fillna({"size": 0.0})
    with pytest.raises(ValueError, match=r"categorical columns.*'colour', 'grade'.*OneHotEncoder"):
        model.fit(table, labels)
    teacher = native().fit(table, labels)
    encoder = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["colour", "grade"]),
        remainder="passthrough",
        sparse_threshold=0,
    )
    fitted = DistilledClassifier(make_pipeline(encoder, model), teacher).fit(table, labels)
    assert fitted.score(table, labels) > 0.8


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (["red", "blue"] * 150, r"'colour' of dtype .*astype\(\{'colour': 'category'\}\)"),
        (pd.date_range("2020-01-01", periods=300), "'colour' of dtype datetime64"),
        (pd.cut(np.arange(300), 4), "rename_categories"),
        (pd.Categorical([1, "a"] * 150), "rename_categories"),
        (pd.Categorical([1.0, np.nan, 2.0] * 100), "must be text, or integers. Got 1.0"),
        (pd.Categorical([True, False] * 150), "rename_categories"),
    ],
)
def test_columns_of_other_kinds_are_refused(table, labels, column, message):
    table["colour"] = column
    with pytest.raises(ValueError, match=message):
        student().fit(table, labels)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: t.assign(colour=1),
            "'colour' contained categories such as 'red' in training, but now contains 1",
        ),
        (lambda t: t.assign(size=t["colour"]), "'size' contained numbers"),
        (lambda t: t[["colour", "size", "count", "grade"]], "same order"),
        (lambda t: t.drop(columns="size"), "missing:\n- size"),
        (lambda t: t.to_numpy(dtype=object), "Pass a DataFrame"),
    ],
)
def test_columns_that_changed_are_refused(table, labels, change, message):
    fitted = student().fit(table, labels)
    with pytest.raises(ValueError, match=message):
        fitted.predict(change(table))
    with pytest.raises(ValueError, match=message):
        student().fit(table, native().fit(table, labels), X_unlabeled=change(table))


def test_fitting_again_forgets_categories(table, labels):
    fitted = student().fit(table, labels)
    fitted.fit(table[["count"]].to_numpy(), labels)
    assert fitted.is_categorical_ is None
    assert fitted.predict(table[["count"]].to_numpy()).shape == (300,)


def test_a_column_without_any_value(table, labels):
    table["colour"] = pd.Categorical([None] * len(table))
    fitted = student().fit(table, labels)
    again = loads(dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(table), fitted.predict_proba(table))
    coloured = table.assign(colour=pd.Categorical(["red"] * len(table)))
    np.testing.assert_array_equal(fitted.predict_proba(coloured), fitted.predict_proba(table))


def test_names_need_not_be_text(table, labels):
    expected = student().fit(table, labels).predict_proba(table)
    table.columns = range(4)
    fitted = student().fit(table, labels)
    np.testing.assert_array_equal(fitted.predict_proba(table), expected)
    np.testing.assert_array_equal(loads(dumps(fitted)).predict_proba(table), expected)
    with pytest.raises(ValueError, match="3 features"):
        fitted.predict(table[[0, 1, 2]])


def test_dates_and_signs_of_missing_values_are_not_called_categories():
    table = pd.DataFrame({"day": ["2024-05-01", "2024-05-02"] * 20, "n": [1, 2, 3, 4] * 10})
    odd = table.astype({"n": object})
    odd.loc[6, "n"] = "?"
    with pytest.raises(ValueError, match="dtype 'category'") as found:
        XGBoostStudentClassifier().fit(odd, [0, 1] * 20)
    said = str(found.value)
    assert "'day' holds dates or times, '2024-05-01' in row 1" in said
    assert "'n' holds numbers, but '?' in row 7." in said
    assert "astype" not in said
