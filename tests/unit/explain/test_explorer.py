"""The page maker: what is in the page, exactly, and that nothing in it can act."""

import base64
import json
import re

import numpy as np
import pytest
from sklearn.datasets import load_iris
from unit.explain.conftest import make_classifier

from soft_students import SoftDecisionTreeClassifier
from soft_students.explain import explorer_page, save_explorer
from soft_students.explain.explorer.encoding import pack, pack_rows, rows_that_fit, to_script
from soft_students.students import (
    DecisionTreeStudentClassifier,
    DecisionTreeStudentRegressor,
    RandomForestStudentClassifier,
)

EVIL = "</script><script>alert(1)</script><!--"


def data_of(page):
    (text,) = re.findall(r'<script type="application/json" id="page-data">(.*?)</script>', page)
    return json.loads(text)


def unpack(packed):
    raw = base64.b64decode(packed["base64"])
    return np.frombuffer(raw, dtype=packed["dtype"]).reshape(packed["shape"])


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


class TestData:
    def test_a_soft_tree_is_embedded_bit_for_bit(self, classifier):
        X = np.array([[2.0, 3.0], [0.1, -1.0]])
        data = data_of(explorer_page(classifier, X=X, y=["ant", "bee"]))
        for name, values in {
            "weights": classifier.gate_weights_,
            "biases": classifier.gate_biases_,
            "betas": classifier.gate_betas_,
            "offset": classifier.feature_offset_,
            "rows": X,
        }.items():
            np.testing.assert_array_equal(unpack(data[name]), values)
        values = np.exp(classifier.leaf_logits_)
        np.testing.assert_allclose(unpack(data["values"]), values, rtol=1e-15)
        assert data["temperature"] == 2.0
        assert data["labels"] == ["ant", "bee"]
        assert unpack(data["left"]).tolist() == [1, 3, 5, -1, -1, -1, -1]
        assert unpack(data["right"]).tolist() == [2, 4, 6, -1, -1, -1, -1]
        paths = classifier.path_probabilities(X)
        np.testing.assert_allclose(unpack(data["reach"]), paths.mean(axis=0), rtol=1e-6)

    def test_a_hard_tree_is_embedded_bit_for_bit(self, iris):
        X, y = iris
        student = DecisionTreeStudentClassifier(max_depth=3).fit(X, y)
        data = data_of(explorer_page(student, X=X, y=y))
        tree = student.estimator_.tree_
        inner = tree.children_left >= 0
        np.testing.assert_array_equal(unpack(data["left"]), tree.children_left)
        np.testing.assert_array_equal(unpack(data["threshold"])[inner], tree.threshold[inner])
        np.testing.assert_array_equal(unpack(data["feature"])[inner], tree.feature[inner])
        visits = student.estimator_.decision_path(X.astype(np.float32)).mean(axis=0)
        np.testing.assert_allclose(unpack(data["reach"]), np.ravel(visits), rtol=1e-6)

    def test_a_tree_of_one_leaf_and_one_of_values(self, iris):
        X, y = iris
        lone = DecisionTreeStudentClassifier(min_samples_split=50).fit(X[40:60], y[40:60])
        assert unpack(data_of(explorer_page(lone))["left"]).tolist() == [-1]
        values = DecisionTreeStudentRegressor(max_depth=2).fit(X[:, :3], X[:, 3])
        data = data_of(explorer_page(values, X=X[:, :3], y=X[:, 3]))
        assert data["classes"] is None
        assert data["temperature"] == 1.0

    def test_without_rows(self, classifier, regressor):
        for tree in (classifier, regressor):
            data = data_of(explorer_page(tree))
            assert data["rows"] is None
            assert data["reach"] is None

    @pytest.mark.parametrize("divisor", [255, 16, 1])
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_pixels_take_a_byte_and_come_back_exactly(self, divisor, dtype):
        rows = np.arange(17, dtype=dtype).reshape(1, 17) / dtype(divisor)
        packed = pack_rows(rows)
        assert packed["dtype"] == "uint8"
        again = unpack(packed).astype(np.float64) / packed["divisor"]  # as JavaScript divides
        np.testing.assert_array_equal(again.astype(packed["type"]), rows)

    def test_other_rows_are_kept_as_they_are(self):
        rows = np.array([[0.1, 3.7e-5]], dtype=np.float32)
        packed = pack_rows(rows)
        assert packed["divisor"] is None
        np.testing.assert_array_equal(unpack(packed), rows)

    def test_a_type_that_the_page_does_not_read(self):
        with pytest.raises(TypeError, match=r"float64, float32, int32, uint8\. Got int64"):
            pack(np.arange(3, dtype=np.int64))

    def test_rows_are_limited_by_number_and_bytes(self):
        assert rows_that_fit(1000, 8, most=200, budget=10_000) == 200
        assert rows_that_fit(1000, 100, most=200, budget=10_000) == 100
        assert rows_that_fit(1000, 20_000, most=200, budget=10_000) == 1


class TestSafety:
    def test_names_cannot_leave_the_data(self):
        tree = make_classifier(classes=(EVIL, "b&b", 'c"c'))
        page = explorer_page(tree, feature_names=[EVIL, "x"], title=EVIL)
        assert "alert(1)</script>" not in page
        assert page.count("<script") == 2
        data = data_of(page)
        assert data["classes"][0] == data["features"][0] == data["title"] == EVIL
        assert "<title>&lt;/script&gt;" in page

    def test_no_character_of_markup_in_json(self):
        text = to_script({"<a>&": "\u2028</script>"})
        assert not set(text) & set("<>&\u2028")
        assert json.loads(text) == {"<a>&": "\u2028</script>"}
        with pytest.raises(ValueError, match="JSON"):
            to_script(float("nan"))

    def test_nothing_is_loaded(self, classifier):
        page = explorer_page(classifier)
        assert not re.findall(r"https?:|[\"'(]//|url\(|@import|\ssrc=|<link", page)
        assert "default-src 'none'" in page

    def test_all_placeholders_are_filled(self, classifier):
        page = explorer_page(classifier, title="$data $title")
        assert "<h1>$data $title</h1>" in page


class TestRefusals:
    def test_a_forest_is_many_trees(self, iris):
        forest = RandomForestStudentClassifier(n_estimators=3).fit(*iris)
        with pytest.raises(TypeError, match="RandomForestStudentClassifier, whose prediction is"):
            explorer_page(forest)

    def test_what_is_not_fitted(self):
        with pytest.raises(ValueError, match="not fitted"):
            explorer_page(SoftDecisionTreeClassifier())

    def test_labels_that_do_not_fit(self, classifier):
        with pytest.raises(ValueError, match=r"one label for each of the 1 rows\. Got 2"):
            explorer_page(classifier, X=[[1.0, 2.0]], y=[1, 2])
        with pytest.raises(ValueError, match="Pass X as well"):
            explorer_page(classifier, y=[1])

    def test_files(self, classifier, tmp_path):
        with pytest.raises(ValueError, match=r"must end in \.html"):
            save_explorer(classifier, tmp_path / "tree.png")
        path = save_explorer(classifier, tmp_path / "tree.html")
        assert path.read_text(encoding="utf-8") == explorer_page(classifier)
        with pytest.raises(FileExistsError):
            save_explorer(classifier, path, overwrite=False)


def test_the_page_of_a_deep_tree_of_images_is_small():
    rng = np.random.default_rng(0)
    tree = SoftDecisionTreeClassifier(8, standardize=False)
    tree.gate_weights_ = rng.normal(size=(255, 784)).astype(np.float32)
    tree.gate_biases_ = np.zeros(255, dtype=np.float32)
    tree.gate_betas_ = np.ones(255, dtype=np.float32)
    tree.feature_offset_ = None
    tree.leaf_logits_ = rng.normal(size=(256, 10)).astype(np.float32)
    tree.classes_, tree.temperature_ = np.arange(10), 1.0
    tree.n_features_in_, tree.n_iter_ = 784, 1
    X = rng.integers(0, 256, size=(300, 784)).astype(np.float32) / np.float32(255)
    page = explorer_page(tree, X=X, image_shape=(28, 28))
    assert len(page.encode()) < 3_000_000
    assert data_of(page)["rows"]["shape"] == [200, 784]
