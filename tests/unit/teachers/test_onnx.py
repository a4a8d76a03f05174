import os
import pickle
import sys
import warnings

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from soft_students.persistence import BundleError
from soft_students.teachers import OnnxTeacher

RNG = np.random.RandomState(0)
X = RNG.rand(7, 4).astype(np.float32)
WEIGHT = RNG.randn(4, 3).astype(np.float32)
LOGITS = X @ WEIGHT
POWERS = np.exp(LOGITS)
P = POWERS / POWERS.sum(axis=1, keepdims=True)


def write(path, nodes, inputs, outputs, weights=()):
    graph = helper.make_graph(
        nodes, "model", inputs, outputs, [numpy_helper.from_array(w, n) for n, w in weights]
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def value(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def write_linear(path, *, output="logits", batch="batch", softmax=False, kind=TensorProto.FLOAT):
    """X @ WEIGHT, and its softmax on demand."""
    nodes = [helper.make_node("MatMul", ["rows", "weight"], ["product" if softmax else output])]
    if softmax:
        nodes.append(helper.make_node("Softmax", ["product"], [output], axis=1))
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    return write(
        path,
        nodes,
        [value("rows", [batch, 4], kind)],
        [value(output, [batch, 3], kind)],
        [("weight", WEIGHT.astype(dtype))],
    )


def write_classifier(path, *, zipmap):
    """What converters make of a scikit-learn classifier: labels beside probabilities."""
    nodes = [
        helper.make_node(
            "LinearClassifier",
            ["X"],
            ["label", "scores"],
            domain="ai.onnx.ml",
            coefficients=WEIGHT.T.ravel().tolist(),
            intercepts=[0.0] * 3,
            classlabels_ints=[0, 1, 2],
            post_transform="SOFTMAX",
            multi_class=1,
        )
    ]
    if zipmap:
        nodes.append(
            helper.make_node(
                "ZipMap",
                ["scores"],
                ["output_probability"],
                domain="ai.onnx.ml",
                classlabels_int64s=[0, 1, 2],
            )
        )
        mapping = helper.make_map_type_proto(
            TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, None)
        )
        last = helper.make_value_info(
            "output_probability", helper.make_sequence_type_proto(mapping)
        )
    else:
        nodes.append(helper.make_node("Identity", ["scores"], ["probabilities"]))
        last = value("probabilities", [None, 3])
    outputs = [value("label", [None], TensorProto.INT64), last]
    return write(path, nodes, [value("X", [None, 4])], outputs)


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_logits_are_the_models_whatever_the_batch(tmp_path, batch_size):
    path = write_linear(tmp_path / "net.onnx")
    teacher = OnnxTeacher(path, batch_size=batch_size, classes=["a", "b", "c"])
    np.testing.assert_allclose(teacher.logits(X), LOGITS, rtol=1e-5)
    assert teacher.predict(X).tolist() == [["a", "b", "c"][i] for i in LOGITS.argmax(axis=1)]
    assert teacher.name == "net"
    assert teacher.n_features_in_ == 4


def test_probabilities_are_known_by_name(tmp_path):
    path = write_linear(tmp_path / "net.onnx", output="probabilities", softmax=True)
    np.testing.assert_allclose(OnnxTeacher(path).predict_proba(X), P, rtol=1e-5)


def test_probabilities_of_another_name_need_an_option(tmp_path):
    path = write_linear(tmp_path / "net.onnx", output="out", softmax=True)
    np.testing.assert_allclose(
        OnnxTeacher(path, kind="probabilities").predict_proba(X), P, rtol=1e-5
    )
    with pytest.warns(UserWarning, match="'net' lie in .* taken as probabilities"):
        OnnxTeacher(path).logits(X)


def test_converted_classifiers_give_their_probabilities(tmp_path):
    path = write_classifier(tmp_path / "sklearn.onnx", zipmap=False)
    teacher = OnnxTeacher(path)
    assert teacher.output == "probabilities"
    np.testing.assert_allclose(teacher.predict_proba(X), P, rtol=1e-5)


def test_zipmaps_are_refused_with_a_way_out(tmp_path):
    path = write_classifier(tmp_path / "sklearn.onnx", zipmap=True)
    with pytest.raises(BundleError, match=r"'output_probability' of seq.*'zipmap': False"):
        OnnxTeacher(path)


def test_regressors_give_values(tmp_path):
    teacher = OnnxTeacher(write_linear(tmp_path / "net.onnx"), task="regression")
    np.testing.assert_allclose(teacher.predict(X), LOGITS, rtol=1e-5)


def test_a_single_logit_is_that_of_the_second_class(tmp_path):
    node = helper.make_node("MatMul", ["x", "w"], ["z"])
    for shape, weight in (([None, 1], WEIGHT[:, :1]), ([None], WEIGHT[:, 0])):
        path = tmp_path / f"binary{len(shape)}.onnx"
        write(path, [node], [value("x", [None, 4])], [value("z", shape)], [("w", weight)])
        for rows in (X, X[:1]):
            expected = np.column_stack([np.zeros(len(rows)), rows @ WEIGHT[:, 0]])
            np.testing.assert_allclose(OnnxTeacher(path).logits(rows), expected, rtol=1e-5)


def test_a_fixed_batch_is_filled_up(tmp_path):
    path = write_linear(tmp_path / "net.onnx", batch=3)
    for n in (1, 3, 7):
        np.testing.assert_allclose(OnnxTeacher(path).logits(X[:n]), LOGITS[:n], rtol=1e-5)


@pytest.mark.parametrize("kind", [TensorProto.DOUBLE, TensorProto.FLOAT16])
def test_other_precisions_are_taken(tmp_path, kind):
    teacher = OnnxTeacher(write_linear(tmp_path / "net.onnx", kind=kind))
    np.testing.assert_allclose(teacher.logits(X), LOGITS, atol=1e-2)


def test_images_are_reshaped(tmp_path):
    nodes = [helper.make_node("ReduceMean", ["image"], ["means"], axes=[2, 3], keepdims=0)]
    inputs, outputs = [value("image", [None, 2, 1, 2])], [value("means", [None, 2])]
    teacher = OnnxTeacher(write(tmp_path / "image.onnx", nodes, inputs, outputs))
    assert teacher.input_shape == (2, 1, 2)
    assert teacher.logits([[1.0, 3.0, 10.0, 30.0]]).tolist() == [[2.0, 20.0]]


def test_an_output_may_be_named(tmp_path):
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["first"]),
        helper.make_node("Neg", ["first"], ["second"]),
    ]
    outputs = [value(name, [None, 3]) for name in ("first", "second")]
    path = tmp_path / "two.onnx"
    write(path, nodes, [value("x", [None, 4])], outputs, [("w", WEIGHT)])
    np.testing.assert_allclose(OnnxTeacher(path, output="second").logits(X), -LOGITS, rtol=1e-5)
    with pytest.raises(BundleError, match=r"'first' .*'second' .*output='\.\.\.'"):
        OnnxTeacher(path)
    with pytest.raises(ValueError, match="Got 'third' instead; the file has 'first'"):
        OnnxTeacher(path, output="third")


def test_a_model_of_two_inputs_is_refused(tmp_path):
    nodes = [helper.make_node("Add", ["a", "b"], ["c"])]
    inputs = [value(name, [None, 3]) for name in "ab"]
    path = write(tmp_path / "two.onnx", nodes, inputs, [value("c", [None, 3])])
    with pytest.raises(
        BundleError, match=r"one floating-point input\. .* 'a' of tensor\(float\), 'b'"
    ):
        OnnxTeacher(path)


def test_another_number_of_features_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"X has 3 features, but the teacher 'net' .* 4 features"):
        OnnxTeacher(write_linear(tmp_path / "net.onnx")).logits(X[:, :3])


def test_a_failing_model_is_named_with_what_it_was_given(tmp_path):
    node = helper.make_node("MatMul", ["x", "w"], ["z"])
    path = tmp_path / "free.onnx"
    write(path, [node], [value("x", [None, None])], [value("z", [None, 3])], [("w", WEIGHT)])
    teacher = OnnxTeacher(path)
    np.testing.assert_allclose(teacher.logits(X), LOGITS, rtol=1e-5)
    with pytest.raises(ValueError, match=r"'free' failed on inputs of shape \(7, 2\)"):
        teacher.logits(X[:, :2])


def test_damaged_and_missing_files_are_refused(tmp_path):
    path = write_linear(tmp_path / "net.onnx")
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b"not a model", b""):
        path.write_bytes(damaged)
        with pytest.raises(BundleError, match=r"net\.onnx' cannot be read as an ONNX model"):
            OnnxTeacher(path)
    with pytest.raises(FileNotFoundError, match="no ONNX file"):
        OnnxTeacher(tmp_path / "none.onnx")


def test_a_missing_runtime_names_the_extra(tmp_path, monkeypatch):
    path = write_linear(tmp_path / "net.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"pip install 'soft-students\[onnx\]'"):
        OnnxTeacher(path)


def test_pickling_opens_the_file_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    teacher = OnnxTeacher(os.path.relpath(write_linear(tmp_path / "net.onnx")), classes=list("abc"))
    pickled = pickle.dumps(teacher)
    monkeypatch.chdir("/")
    again = pickle.loads(pickled)
    np.testing.assert_array_equal(again.logits(X), teacher.logits(X))
    assert again.predict(X).tolist() == teacher.predict(X).tolist()


def test_loading_is_silent(tmp_path, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        OnnxTeacher(write_linear(tmp_path / "net.onnx")).logits(X)
    assert capfd.readouterr() == ("", "")
