import ctypes

import numpy as np
import pytest

from soft_students.export import to_c, to_soft_tree

PREDICTIONS = ["expectation", "greatest_path", "greedy"]


def ask(library, name, X, n_outputs):
    """Call a generated function for each row; return its outputs and what it returned."""
    function = getattr(ctypes.CDLL(str(library)), name)
    function.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    outputs = np.full((len(X), n_outputs), np.nan)
    returned = [function(x.ctypes.data, out.ctypes.data) for x, out in zip(X, outputs, strict=True)]
    return outputs, np.array(returned)


def test_all_three_predictions_are_the_students(tree, answers, compiled, tmp_path):
    student, X = tree
    source, _ = to_c(student, tmp_path / "tree.c")
    library = compiled(source)
    for prediction in PREDICTIONS:
        expected = answers(student, X, prediction)
        outputs, columns = ask(library, f"tree_{prediction}", X, expected.shape[1])
        np.testing.assert_allclose(outputs, expected, rtol=0, atol=1e-6, err_msg=prediction)
        if hasattr(student, "classes_"):
            np.testing.assert_array_equal(columns, expected.argmax(axis=1))


@pytest.mark.parametrize("weights", ["float64", "float16", "int8"])
def test_stored_weights_are_read_as_the_numpy_form_reads_them(tree, compiled, tmp_path, weights):
    student, X = tree
    source, _ = to_c(student, tmp_path / "tree.c", weights=weights)
    exported = to_soft_tree(student, weights=weights)
    said = exported.predict(X) if exported.classes_ is None else exported.predict_proba(X)
    said = said.reshape(len(X), -1)
    outputs, _ = ask(compiled(source), "tree_expectation", X, said.shape[1])
    np.testing.assert_allclose(outputs, said, atol=2e-6)


def test_predict_is_the_prediction_that_was_asked_for(classifier, answers, compiled, tmp_path):
    student, X = classifier
    for prediction in (None, *PREDICTIONS):
        source, _ = to_c(student, tmp_path / f"{prediction}.c", prediction=prediction)
        outputs, _ = ask(compiled(source), "tree_predict", X, 10)
        expected = answers(student, X, prediction or "expectation")
        np.testing.assert_allclose(outputs, expected, atol=1e-6)


def test_equal_paths_go_to_the_first_leaf_as_in_the_student(
    classifier, answers, compiled, tmp_path
):
    student, X = classifier
    student.gate_weights_[:] = 0
    student.gate_biases_[:] = 0
    source, _ = to_c(student, tmp_path / "tree.c")
    outputs, _ = ask(compiled(source), "tree_greatest_path", X, 10)
    np.testing.assert_allclose(outputs, answers(student, X, "greatest_path"), atol=1e-6)
    np.testing.assert_allclose(outputs[0], student.leaf_probabilities_[0], atol=1e-6)


@pytest.mark.parametrize("tree", ["images", "table", "stump"], indirect=True)
def test_class_names_survive_quoting(tree, compiled, tmp_path):
    student, _ = tree
    source, _ = to_c(student, tmp_path / "tree.c")
    library = ctypes.CDLL(str(compiled(source)))
    names = (ctypes.c_char_p * len(student.classes_)).in_dll(library, "tree_classes")
    assert [name.decode() for name in names] == [str(label) for label in student.classes_]


def test_two_trees_of_other_prefixes_link_together(tree, compiled, tmp_path):
    student, X = tree
    for name in ("one", "two"):
        to_c(student, tmp_path / f"{name}.c", prefix=name)
    both = tmp_path / "both.c"
    both.write_text(
        '#include "one.h"\n#include "two.h"\n#include "one.h"\n'
        "int both(void); int both(void) { return ONE_N_FEATURES + TWO_N_FEATURES; }\n"
    )
    library = ctypes.CDLL(str(compiled(both)))
    assert library.both() == 2 * X.shape[1]
    assert "tree_" not in (tmp_path / "one.h").read_text().replace("soft_tree", "")


@pytest.mark.parametrize("prefix", ["", "1st", "_tree", "my tree", "arbre_é", "a;b"])
def test_a_prefix_that_is_no_identifier_is_refused(classifier, tmp_path, prefix):
    with pytest.raises(ValueError, match="'prefix' parameter"):
        to_c(classifier[0], tmp_path / "tree.c", prefix=prefix)


@pytest.mark.parametrize("name", ['a"b.c', "é.c", "a\nb.c"])
def test_a_file_name_that_cannot_be_included_is_refused(classifier, tmp_path, name):
    with pytest.raises(ValueError, match="includes the header by name"):
        to_c(classifier[0], tmp_path / name)
