"""Methods that begin with stages of their own: what trains in which, and what is left over."""

import numpy as np
import pytest
import torch

from soft_students.methods import AB, FSP, FT, KD, FitNet, ab_loss
from soft_students.persistence.checkpoints import Checkpoint
from tests.unit.methods.lessons import changed, lesson, network, stage_by_stage, state, taught

EQUAL = {"student": (4, 6), "teacher": (4, 6)}


def names(history):
    return list(dict.fromkeys(row["stage"] for row in history))


def run(given, stages):
    """Take one optimiser step a stage, with weight decay, as the loop does."""
    for stage in stages:
        for player in stage.players:
            parameters = [p for m in player.trains for p in m.parameters() if p.requires_grad]
            optimizer = torch.optim.AdamW(parameters, lr=0.1, weight_decay=0.5)
            for module in player.trains:
                module.train()
            batch = next(iter(given.batches()))
            optimizer.zero_grad()
            sum(player.loss(batch).values()).backward()
            optimizer.step()


@pytest.mark.parametrize(
    ("key", "settings", "first", "rows"),
    [
        ("ft", {}, "ft paraphraser", 1),
        ("fitnet", {}, "fitnet hints", 2),
        ("fsp", EQUAL, "fsp flow", 2),
        ("ab", {}, "ab boundaries", 2),
    ],
)
def test_stages_and_their_share_of_epochs(key, settings, first, rows):
    history = taught(lesson(epochs=8, **settings), key)
    assert names(history) == [first, key]
    assert sum(row["stage"] == first for row in history) == rows
    assert sum(row["stage"] == key for row in history) == 8
    assert all(np.isfinite(v) for row in history for v in row.values() if isinstance(v, float))


@pytest.mark.parametrize(
    ("key", "parameter"),
    [
        ("ft", "paraphraser_epochs"),
        ("fitnet", "hint_epochs"),
        ("fsp", "flow_epochs"),
        ("ab", "boundary_epochs"),
    ],
)
def test_epochs_can_be_told(key, parameter):
    history = taught(lesson(epochs=1, **EQUAL), key, {parameter: 3})
    assert len(history) == 4
    with pytest.raises(ValueError, match=f"'{parameter}' parameter of .* must be .* Got 0"):
        taught(lesson(epochs=1, **EQUAL), key, {parameter: 0})


@pytest.mark.parametrize(
    ("method", "moves"),
    [
        # "0" and "3" are convolutions, "4" the second's normalisation and "8" the head
        (FitNet(student_layers=["1"], teacher_layers=["1"]), {"0"}),
        (FitNet(), {"0", "3", "4"}),
        (FSP(), {"0", "3", "4"}),
        (AB(), {"0", "3", "4"}),
        (FT(), set()),
    ],
    ids=["fitnet at the first", "fitnet", "fsp", "ab", "ft"],
)
def test_what_lies_beyond_is_not_trained_nor_decayed(method, moves):
    given = lesson(**EQUAL)
    before = state(given.student)
    teacher = state(given.teacher.network)
    with given.teacher.frozen():
        stages, _ = stage_by_stage(given, method)
        run(given, stages)
    parameters = {name for name, _ in given.student.named_parameters()}
    assert {name.split(".")[0] for name in changed(before, given.student) & parameters} == moves
    assert not changed(teacher, given.teacher.network)


@pytest.mark.parametrize("method", [FT(), FitNet(joint=True)], ids=["ft", "fitnet"])
def test_everything_beside_the_student_moves(method):
    given = lesson()
    with given.teacher.frozen():
        preparation = method.prepare(given, given.student)
        modules = []
        try:
            while True:
                stage = next(preparation)
                before = [state(module) for module in stage.players[0].trains]
                run(given, [stage])
                for old, module in zip(before, stage.players[0].trains, strict=True):
                    assert changed(old, module) == set(old)
        except StopIteration as end:
            modules.append(end.value)
    assert any(p.requires_grad for p in modules[0].parameters())


@pytest.mark.parametrize("key", ["fitnet", "ab"])
def test_adapters_of_the_first_stage_move(key):
    given = lesson()
    method = {"fitnet": FitNet, "ab": AB}[key]()
    with given.teacher.frozen():
        stages, adapter = stage_by_stage(given, method)
        assert adapter is None  # dropped when the main stage begins
        beside = stages[0].players[0].trains[1]
        before = state(beside)
        run(given, stages)
    parameters = {name for name, _ in beside.named_parameters()}
    assert changed(before, beside) >= parameters


def test_paraphraser_is_frozen_in_the_main_stage():
    given = lesson()
    with given.teacher.frozen():
        stages, factors = stage_by_stage(given, FT())
    encoders = [f.encoder for f in factors]
    assert all(not p.requires_grad for encoder in encoders for p in encoder.parameters())
    assert stages[0].players[0].trains[0].encoder is encoders[0]


def test_paraphraser_is_trained_on_the_teacher_alone():
    given = lesson(epochs=2)
    history = taught(given, "ft", {"paraphraser_epochs": 60, "weight": 0.0}, schedule="constant")
    losses = [row["ft reconstruction"] for row in history if row["stage"] == "ft paraphraser"]
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("variant", ["paper", "reference"])
def test_paraphraser_variants(variant):
    given = lesson()
    method = FT(variant=variant)
    with given.teacher.frozen():
        (stage,), _ = stage_by_stage(given, method)
        batch = next(iter(given.batches()))
        (features,) = given.teacher.observe(batch, method.layers(given, given.student)[1]).features
        difference = stage.players[0].trains[0](features) - features
        found = stage.players[0].loss(batch)["ft reconstruction"]
    wanted = difference.square().mean() if variant == "paper" else difference.abs().mean()
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize(("rate", "entries"), [(0.5, 3 * 16), (1.0, 6 * 16)])
def test_factor_transfer_weighs_as_the_authors_do_whatever_the_size(rate, entries):
    given = lesson()
    with given.teacher.frozen():
        method = FT(rate=rate)
        _, factors = stage_by_stage(given, method)
        step = method.look(given, given.student)(next(iter(given.batches())))
        (found,) = method.terms(step, factors).values()
        (one,) = FT(rate=rate, weight=1.0).terms(step, factors).values()
    torch.testing.assert_close(found, 500 * (entries / 2048) ** 0.5 * one)


def test_fitnet_takes_the_middle_layer_and_soft_targets_fall():
    given = lesson(epochs=4)
    assert FitNet().layers(given, given.student) == (["5"], ["5"])
    history = taught(given, FitNet(), schedule="constant", learning_rate=1e-9)
    soft = [row["fitnet soft targets"] for row in history if row["stage"] == "fitnet"]
    # four epochs of two batches: λ is the mean of two steps of 3/8 down from 4
    wanted = np.array([4 - 3 * (2 * e + 0.5) / 8 for e in range(4)])
    np.testing.assert_allclose(np.array(soft) / soft[0], wanted / wanted[0], rtol=0.05)


def test_fitnet_has_no_factor_of_squared_temperature():
    given = lesson()
    batch = next(iter(given.batches()))
    with given.teacher.frozen():
        step = FitNet().look(given, given.student)(batch)
        found = FitNet(soft_weight=1.0).terms(step, None)["soft targets"]
        (wanted,) = KD(temperature=3.0, hard_weight=0.0).terms(step, None).values()
    torch.testing.assert_close(found, wanted / 9)


def test_fitnet_joint_is_one_stage():
    history = taught(lesson(), "fitnet", {"joint": True, "soft_weight": 0, "final_soft_weight": 0})
    assert names(history) == ["fitnet"]
    assert history[-1]["fitnet"] < history[0]["fitnet"]
    assert "fitnet soft targets" not in history[0]


def test_fitnet_leaves_soft_targets_to_another():
    history = taught(
        lesson(),
        "fitnet,kd",
        {"fitnet.soft_weight": 0.0, "fitnet.final_soft_weight": 0.0, "kd.hard_weight": 0.1},
    )
    assert {"labels", "kd"} <= set(history[-1])
    assert "fitnet soft targets" not in history[-1]


def test_several_methods_run_their_first_stages_in_turn():
    history = taught(lesson(**EQUAL), "ft,fsp,ab,kd", {"kd.hard_weight": 0.1})
    assert names(history) == ["ft paraphraser", "fsp flow", "ab boundaries", "ft+fsp+ab+kd"]
    assert {"labels", "ft", "kd"} <= set(history[-1])


def test_hints_bring_the_guided_layer_nearer():
    given = lesson(epochs=1)
    history = taught(given, "fitnet", {"hint_epochs": 40})
    hints = [row["fitnet"] for row in history if row["stage"] == "fitnet hints"]
    assert hints[-1] < 0.8 * hints[0]


def test_a_student_that_is_the_teacher_has_no_flow_to_learn():
    given = lesson(**EQUAL)
    given.student.load_state_dict(given.teacher.network.module.state_dict())
    with given.teacher.frozen():
        (stage,), _ = stage_by_stage(given, FSP())
        given.student.eval()
        assert stage.players[0].loss(next(iter(given.batches())))["fsp"].item() < 1e-12


def test_fsp_says_which_channels_differ():
    with pytest.raises(
        ValueError, match=r"'5' of the student with 5 and '5' of the teacher with 6"
    ):
        taught(lesson(student=(4, 5), teacher=(4, 6)), "fsp", layers("1", "5"))


def test_fsp_needs_two_layers():
    with pytest.raises(ValueError, match="needs at least two layers"):
        taught(lesson(**EQUAL), "fsp", layers("1"))


def layers(*given):
    return {"student_layers": list(given), "teacher_layers": list(given)}


@pytest.mark.parametrize("key", ["ft", "vid", "ab", "fsp"])
def test_layers_that_are_no_maps_are_named(key):
    with pytest.raises(ValueError, match=rf"'{key}' compares feature maps .* The layer '7' of the"):
        taught(lesson(**EQUAL), key, layers("1", "7"))


def test_fitnet_takes_flat_layers():
    history = taught(lesson(), "fitnet", layers("7"))
    assert names(history) == ["fitnet hints", "fitnet"]


@pytest.mark.parametrize("key", ["ft", "fitnet", "vid", "ab"])
def test_maps_of_other_sizes(key):
    parameters = {"student_layers": ["1:input"], "teacher_layers": ["5:input"]}
    assert taught(lesson(epochs=1), key, parameters)
    parameters = {"student_layers": ["5:input"], "teacher_layers": ["1:input"]}
    assert taught(lesson(epochs=1), key, parameters)


def test_ab_takes_what_goes_into_activations_and_weighs_the_deepest_most():
    given = lesson()
    method = AB(weight=1.0)
    assert method.layers(given, given.student) == (["1:input", "5:input"],) * 2
    with given.teacher.frozen():
        (stage,), _ = stage_by_stage(given, method)
        connectors = stage.players[0].trains[1].eval()
        batch = next(iter(given.batches()))
        step = method.look(given, given.student.eval())(batch)
        found = stage.players[0].loss(batch)["ab"]
    first, second = (
        ab_loss(connect(s), t)
        for connect, s, t in zip(
            connectors, step.student.features, step.teacher.features, strict=True
        )
    )
    torch.testing.assert_close(found, first / 2 + second)


def test_connectors_between_equal_shapes_are_none():
    given = lesson(**EQUAL)
    assert [list(c.parameters()) for c in AB().adapter(given, given.student)] == [[], []]
    widths = [c[0].out_channels for c in AB().adapter(lesson(), lesson().student)]
    assert widths == [4, 6]


def test_main_stages_without_terms_ask_the_teacher_for_no_features():
    given = lesson(**EQUAL)
    asked = []
    observe_teacher = given.teacher.observe
    given.teacher.observe = lambda batch, layers=(): (
        asked.append(tuple(layers)) or observe_teacher(batch, layers)
    )
    history = taught(given, "ab")
    main = 2 * sum(row["stage"] == "ab" for row in history)
    assert set(asked[-main:]) == {()}
    assert asked[0] == ("1:input", "5:input")


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("key", ["ft", "fitnet", "vid", "fsp", "ab"])
def test_mixed_precision(key):
    given = lesson(epochs=2, **EQUAL)
    given.teacher.know(np.zeros((16, 4)))  # in single precision, beside features in half
    history = taught(given, key, precision="bf16-mixed")
    assert all(np.isfinite(v) for row in history for v in row.values() if isinstance(v, float))


@pytest.mark.parametrize("key", ["ft", "fitnet", "ab", "fsp"])
def test_an_interrupted_training_goes_on_bit_for_bit(key, tmp_path):
    whole = lesson(epochs=3, **EQUAL)
    taught(whole, key)
    path = tmp_path / "training.ckpt"
    part = lesson(epochs=3, **EQUAL)

    class StoppedError(Exception):
        pass

    kept = Checkpoint(path, "same", resume=False)
    write, written = kept.write, []

    def stop(stage, content, seconds):
        write(stage, content, seconds)
        written.append(stage)
        if written.count(1) == 1:
            raise StoppedError

    kept.write = stop
    with pytest.raises(StoppedError):
        taught(part, key, checkpoint=kept)
    again = lesson(epochs=3, **EQUAL)
    taught(again, key, checkpoint=Checkpoint(path, "same", resume=True))
    assert not changed(state(whole.student), again.student)


def test_the_student_is_left_without_extras():
    given = lesson()
    taught(given, "ft,fitnet,ab,vid", {"ab.boundary_epochs": 1})
    assert set(given.student.state_dict()) == set(network((3, 5)).state_dict())
