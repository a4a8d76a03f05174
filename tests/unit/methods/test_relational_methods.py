"""What the relational methods add to their losses: layers, adapters and batches."""

import numpy as np
import pytest
import torch
from torch import nn

from soft_students.methods import CC, RKD, SP, make_method
from soft_students.methods.samplers import ClassUniform, SuperclassUniform
from soft_students.persistence.checkpoints import Checkpoint
from tests.unit.methods.lessons import changed, lesson, stage_by_stage, state, taught


@pytest.mark.parametrize("key", ["pkt", "rkd", "cc", "sp", "nst"])
def test_the_term_falls_and_the_teacher_stays(key):
    given = lesson(epochs=8)
    there = state(given.teacher.network)
    parameters = {"angle_weight": 0.0} if key == "rkd" else None
    history = taught(given, key, parameters)
    name = "rkd distance" if key == "rkd" else key
    assert history[-1][name] < history[0][name]
    assert not changed(there, given.teacher.network)


def test_cc_maps_the_students_embedding_where_sizes_differ():
    given = lesson(student=(3, 5), teacher=(4, 6))
    _, adapter = stage_by_stage(given, CC())
    (linear,) = adapter
    assert (linear.in_features, linear.out_features) == (5, 6)


def test_cc_leaves_equal_sizes_alone():
    _, adapter = stage_by_stage(lesson(student=(3, 6), teacher=(4, 6)), CC())
    assert adapter is None


def test_cc_of_several_layers_maps_those_that_need_it():
    layers = {"student_layers": ["1", "7"], "teacher_layers": ["1", "7"]}
    given = lesson(student=(3, 6), teacher=(4, 6))
    _, adapter = stage_by_stage(given, CC(**layers))
    first, second = adapter
    assert (first.in_features, first.out_features) == (3 * 64, 4 * 64)
    assert isinstance(second, nn.Identity)
    assert taught(given, "cc", layers)[-1]["cc"] > 0


def test_cc_takes_class_uniform_batches():
    given = lesson()
    sampler = CC(per_class=2).sampler(given)
    assert isinstance(sampler, ClassUniform)
    (first, _) = sampler.batches(torch.Generator().manual_seed(0))
    labels = given.data.labels[first]
    assert (labels[0] == labels[1]).all()


def test_cc_clusters_the_teachers_embedding():
    given = lesson()
    with given.teacher.frozen():
        sampler = CC(sampler_kind="superclass_uniform", per_class=2, n_superclasses=2).sampler(
            given
        )
    assert isinstance(sampler, SuperclassUniform)
    assert set(sampler.superclasses.tolist()) <= {0, 1}
    history = taught(given, "cc", {"sampler_kind": "superclass_uniform", "per_class": 2})
    assert history[-1]["cc"] > 0


def test_cc_shuffles_when_told():
    assert CC(sampler_kind="shuffled").sampler(lesson()) is None


def test_cc_says_which_class_is_too_small():
    given = lesson(n_rows=10)  # classes of 3 and 2 rows
    with pytest.raises(ValueError, match=r"takes 3 rows per class, but class 2 has 2"):
        taught(given, "cc", {"per_class": 3})


@pytest.mark.parametrize(
    ("method", "parameter", "value"),
    [
        ("cc", "kernel", "rbf"),
        ("cc", "sampler_kind", "pairs"),
        ("cc", "order", -1),
        ("nst", "kernel", "rbf"),
    ],
)
def test_parameters_are_checked_before_training(method, parameter, value):
    with pytest.raises(ValueError, match=rf"The {parameter} of {method} .*Got {value!r}"):
        taught(lesson(), method, {parameter: value})


def test_sp_looks_at_the_last_maps_alone():
    given = lesson()
    assert SP().layers(given, given.student) == (["5"], ["5"])
    named = SP(student_layers=["1", "5"], teacher_layers=["1", "5"])
    assert named.layers(given, given.student) == (["1", "5"], ["1", "5"])


@pytest.mark.parametrize("left_out", ["distance", "angle"])
def test_rkd_leaves_out_what_weighs_nothing(left_out):
    history = taught(lesson(epochs=1), "rkd", {f"{left_out}_weight": 0.0})
    assert f"rkd {left_out}" not in history[0]
    assert len([name for name in history[0] if name.startswith("rkd")]) == 1


def test_rkd_sums_over_layers():
    def first_distance(layers):
        method = RKD(student_layers=layers, teacher_layers=layers)
        return taught(lesson(epochs=1), [method], learning_rate=1e-12)[0]["rkd distance"]

    total = first_distance(["5", "7"])
    assert total == pytest.approx(first_distance(["5"]) + first_distance(["7"]), rel=1e-3)


def test_they_combine():
    method = make_method("rkd,pkt,kd", {"kd.hard_weight": 0.5})
    history = taught(lesson(epochs=1), method.methods)
    assert {"rkd distance", "rkd angle", "pkt", "kd", "labels"} <= set(history[0])


@pytest.mark.parametrize("key", ["pkt", "rkd", "cc", "sp", "nst", "crd"])
def test_half_precision(key):
    given = lesson()
    parameters = {"n_negatives": 8} if key == "crd" else None
    history = taught(given, key, parameters, precision="bf16-mixed")
    assert all(np.isfinite(v) for row in history for v in row.values() if isinstance(v, float))
    assert changed(state(lesson().student), given.student)


@pytest.mark.parametrize("key", ["cc", "crd"])
def test_an_interrupted_training_goes_on_bit_for_bit(key, tmp_path):
    """Of crd also the memories, the normalisers and the drawn negatives."""
    parameters = {"crd": {"n_negatives": 8}, "cc": {"sampler_kind": "superclass_uniform"}}[key]
    whole, part, again = (lesson(epochs=3) for _ in range(3))
    taught(whole, key, parameters)

    class StoppedError(Exception):
        pass

    kept = Checkpoint(tmp_path / "training.ckpt", "same", resume=False)
    write = kept.write

    def stop(*args):
        write(*args)
        raise StoppedError

    kept.write = stop
    with pytest.raises(StoppedError):
        taught(part, key, parameters, checkpoint=kept)
    resumed = Checkpoint(tmp_path / "training.ckpt", "same", resume=True)
    taught(again, key, parameters, checkpoint=resumed)
    assert not changed(state(whole.student), again.student)
