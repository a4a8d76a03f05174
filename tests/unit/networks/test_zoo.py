import json
import subprocess
import sys
import time

import pytest
import torch
from torch import nn

from soft_students.networks.prepared import evaluating
from soft_students.networks.zoo import (
    NETWORKS,
    Recipe,
    complete_config,
    get_network,
    make_network,
)
from soft_students.teachers.network import BuiltNetwork

ALL = list(NETWORKS)
IMAGES = [name for name, entry in NETWORKS.items() if entry.takes_images]


def test_names_are_known_without_torch():
    code = "import sys, soft_students.networks.zoo; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"Unknown network 'resnt'.*mlp, cnn.*mean 'resnet'\?"):
        get_network("resnt")


@pytest.mark.parametrize("arch", ALL)
@pytest.mark.parametrize("shape", [(1, 28, 28), (1, 8, 8), (3, 32, 32), (2, 4, 9), (1, 20, 20)])
def test_every_image_shape_gives_one_row_of_logits_each(arch, shape):
    network = make_network(arch, shape, 7).eval()
    assert network(torch.randn(3, *shape)).shape == (3, 7)


def test_mlp_is_wider_for_a_teacher_than_for_a_student():
    student = [p.shape for p in make_network("mlp", (5,), 2).parameters()]
    teacher = [p.shape for p in BuiltNetwork("mlp", (5,), 2).parameters()]
    assert student[0] == (64, 5)
    assert teacher[0] == (256, 5)
    same = make_network("mlp", (5,), 2, {"hidden": [256, 256], "dropout": 0.1})
    assert [p.shape for p in same.parameters()] == teacher


@pytest.mark.parametrize("arch", ALL)
def test_activations_are_modules_that_a_method_can_look_at(arch):
    network = make_network(arch, (1, 8, 8), 3).eval()
    negative = []
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_pre_hook(
                lambda _, inputs: negative.append(bool((inputs[0] < 0).any()))
            )
    with evaluating(network), torch.no_grad():
        network(torch.randn(4, 1, 8, 8))
    assert len(negative) >= 2
    assert all(negative)


def test_mlp_takes_rows_of_a_table():
    assert BuiltNetwork("mlp", (5,), 2).eval()(torch.randn(3, 5)).shape == (3, 2)


@pytest.mark.parametrize("arch", ALL)
def test_json_of_the_configuration_and_the_weights_rebuild_the_network(arch):
    torch.manual_seed(0)
    network = BuiltNetwork(arch, (1, 12, 12), 4).eval()
    config = json.loads(json.dumps(network.config))
    again = BuiltNetwork(network.arch, network.input_shape, network.n_classes, config).eval()
    X = torch.randn(5, 1, 12, 12)
    assert not torch.equal(again(X), network(X))
    again.load_state_dict(network.state_dict(), strict=True)
    assert torch.equal(again(X), network(X))


@pytest.mark.parametrize("arch", ALL)
def test_a_row_does_not_depend_on_the_others_when_predicting(arch):
    network = BuiltNetwork(arch, (1, 8, 8), 10).eval().double()
    X = torch.randn(6, 1, 8, 8, dtype=torch.double)
    torch.testing.assert_close(network(X)[2:3], network(X[2:3]))


@pytest.mark.parametrize("arch", ALL)
def test_every_parameter_gets_a_gradient(arch):
    network = BuiltNetwork(arch, (1, 8, 8), 3)
    network(torch.randn(8, 1, 8, 8)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_given_settings_replace_the_defaults_and_are_kept_as_json():
    network = BuiltNetwork("cnn", (1, 28, 28), 10, {"channels": (4, 6, 8), "hidden": 16})
    assert network.config["channels"] == [4, 6, 8]
    # 28 -5+1 -> 24 /2 -> 12 -3+1 -> 10 -3+1 -> 8 /2 -> 4 pixels a side
    weights = {tuple(parameter.shape) for parameter in network.parameters()}
    assert {(4, 1, 5, 5), (6, 4, 3, 3), (8, 6, 3, 3), (16, 8 * 4 * 4), (10, 16)} <= weights


def test_dropout_acts_in_training_only():
    network = BuiltNetwork("mlp", (30,), 2, {"dropout": 0.5})
    X = torch.randn(16, 30)
    network.eval()
    assert torch.equal(network(X), network(X))
    network.train()
    assert not torch.equal(network(X), network(X))


def test_unknown_setting_is_refused_with_those_that_exist():
    with pytest.raises(ValueError, match=r"'mlp' has no setting 'depth'\. It has: hidden, dropout"):
        complete_config("mlp", (4,), {"depth": 3})


@pytest.mark.parametrize("arch", IMAGES)
@pytest.mark.parametrize("shape", [(784,), (28, 28), (1, 3, 28)])
def test_what_is_no_image_is_refused_with_a_way_out(arch, shape):
    with pytest.raises(ValueError, match=r"takes images of shape .*use 'mlp'"):
        BuiltNetwork(arch, shape, 10)


@pytest.mark.parametrize("shape", [(), (0,), (1, -8, 8), (1, 8.0, 8)])
def test_impossible_input_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="input shape holds positive ints"):
        BuiltNetwork("mlp", shape, 10)


@pytest.mark.parametrize(
    ("arch", "config"),
    [
        ("mlp", {"hidden": [0]}),
        ("mlp", {"hidden": 5}),
        ("mlp", {"hidden": [True]}),
        ("mlp", {"hidden": ["64"]}),
        ("mlp", {"hidden": [10**9]}),
        ("mlp", {"hidden": [8] * 1000}),
        ("mlp", {"dropout": 1.5}),
        ("mlp", {"dropout": "half"}),
        ("cnn", {"channels": [8, 8]}),
        ("cnn", {"channels": None}),
        ("cnn", {"hidden": -1}),
        ("cnn", {"kernels": [25, 25, 25]}),
        ("resnet", {"channels": []}),
        ("resnet", {"blocks": 0}),
        ("resnet", {"blocks": 1000}),
        ("resnet", {"channels": [8] * 8}),
    ],
)
def test_nonsense_in_a_configuration_is_refused(arch, config):
    with pytest.raises(ValueError, match=f"Cannot build the network {arch!r}"):
        BuiltNetwork(arch, (1, 28, 28), 10, config).eval()(torch.zeros(1, 1, 28, 28))


def test_settings_that_are_not_json_are_refused():
    with pytest.raises(ValueError, match="must hold only JSON values"):
        BuiltNetwork("mlp", (4,), 2, {"hidden": object()})


def test_a_huge_configuration_costs_nothing_on_the_meta_device():
    started = time.monotonic()
    with torch.device("meta"):
        BuiltNetwork("mlp", (4,), 2, {"hidden": [65536] * 64})
    assert time.monotonic() - started < 5


def test_epochs_and_batches_follow_from_the_number_of_rows_within_bounds():
    recipe = Recipe(
        rows=1000,
        min_epochs=5,
        max_epochs=50,
        largest_batch=64,
        learning_rate=0.1,
        weight_decay=0.0,
    )
    assert [recipe.epochs(n) for n in (1, 40, 100, 1000)] == [50, 25, 10, 5]
    assert [recipe.batch_size(n) for n in (1, 100, 320, 1000)] == [8, 10, 32, 64]
