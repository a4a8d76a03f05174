"""How much a network knows of its images: entropies, visual concepts and metrics."""

import math

import numpy as np
import pytest
import torch
from references import knowledge as reference
from sklearn.datasets import load_digits
from torch import nn

from soft_students import NeuralStudentClassifier, load
from soft_students.knowledge import (
    foreground_mask,
    knowledge_metrics,
    pixel_entropies,
    plot_entropies,
    quantify_knowledge,
    visual_concepts,
    weight_distances,
)

UNIT = 0.5 * math.log(2 * math.pi * math.e)


def linear(weights):
    network = nn.Sequential(nn.Linear(weights.shape[1], weights.shape[0], bias=False))
    network[0].weight.data = weights
    return network


def test_entropies_of_a_linear_layer_are_known():
    """The optimum is σ_i² = (λ / 2) τ² mean‖w‖² / ‖w_i‖², with the columns w of the layer."""
    weights = torch.tensor([[1.0, 0.5, 2.0], [0.0, 1.0, 1.0]], dtype=torch.float64)
    inputs = torch.randn(2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = pixel_entropies(
        linear(weights), inputs, "0", n_draws=512, batch_size=2048, n_steps=400, random_state=0
    )
    norms = weights.square().sum(0).numpy()
    expected = 0.5 * np.log(7.0 / 2 * 0.01**2 * norms.mean() / norms) + UNIT
    np.testing.assert_allclose(found, np.tile(expected, (2, 1)), atol=0.05)


def test_images_have_one_noise_for_all_channels_and_do_not_depend_on_the_batch():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
    network.train()
    images = torch.rand(3, 3, 5, 5)
    together = pixel_entropies(network, images, "1", n_steps=20, random_state=0)
    one_by_one = pixel_entropies(network, images, "1", n_steps=20, batch_size=1, random_state=0)
    assert together.shape == (3, 5, 5)
    np.testing.assert_allclose(together, one_by_one, atol=1e-4)
    np.testing.assert_array_equal(
        together, pixel_entropies(network, images, "1", n_steps=20, random_state=0)
    )
    assert network.training
    assert all(p.grad is None for p in network.parameters())


def test_an_image_that_a_layer_ignores_is_nan():
    network = linear(torch.zeros(2, 3))
    assert np.isnan(pixel_entropies(network, torch.ones(1, 3), "0", n_steps=2)).all()


def test_foreground_is_what_differs_from_the_border():
    image = np.zeros((2, 6, 6))
    image[0, 2:4, 2:4] = 1.0
    mask = foreground_mask(image)
    assert mask[0].sum() == 4
    assert not mask[1].any()
    np.testing.assert_array_equal(foreground_mask(np.stack([image, 1 - image], 1))[0], mask[0])
    with pytest.raises(ValueError, match="takes images of shape"):
        foreground_mask(np.zeros(4))


def test_concepts_and_metrics_are_those_of_the_paper():
    rng = np.random.RandomState(0)
    foreground = rng.rand(7, 12) > 0.5
    entropies = rng.randn(5, 7, 12) - foreground
    distances = np.sort(rng.rand(5))
    found = np.stack([visual_concepts(h, foreground, 0.3) for h in entropies])
    expected = [reference.concepts(h, foreground, 0.3) for h in entropies.tolist()]
    np.testing.assert_array_equal(found, expected)
    metrics = knowledge_metrics(found, foreground, distances)
    slow = reference.metrics(expected, foreground.tolist(), distances.tolist())
    fast = (metrics.lambda_, metrics.d_mean, metrics.d_std, metrics.rho)
    np.testing.assert_allclose(fast, slow)


def test_images_without_a_concept_are_counted():
    foreground = np.array([[True, False], [True, False]])
    found = np.zeros((3, 2, 2), dtype=bool)
    found[2, 0] = [True, True]
    metrics = knowledge_metrics(found, foreground, [0.0, 1.0, 2.0])
    assert (metrics.lambda_, metrics.d_mean, metrics.rho) == (0.5, 2.0, 1.0)
    assert (metrics.without_concept, metrics.never_learnt) == (1, 1)
    with pytest.raises(ValueError, match="two checkpoints or more"):
        knowledge_metrics(found[:1], foreground, [0.0])


def test_weights_travel_the_length_of_their_steps():
    networks = [linear(torch.tensor([[value, 0.0]])) for value in (2.0, 3.0, 1.0)]
    np.testing.assert_allclose(weight_distances(networks), [0.0, 0.5, 1.5])
    with pytest.raises(ValueError, match="must be of one network"):
        weight_distances([networks[0], linear(torch.ones(2, 2))])


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:300].astype(np.float32), y[:300]


@pytest.fixture(scope="module")
def snapshots(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("training") / "snapshots"
    NeuralStudentClassifier("small_cnn", epochs=4, random_state=0, snapshots=folder).fit(*digits)
    return folder


def test_a_training_is_quantified(digits, snapshots):
    X, _ = digits
    students = [load(path) for path in sorted(snapshots.iterdir())]
    known = quantify_knowledge(students, X[:6], n_steps=30, noise=0.2, random_state=0)
    assert [row["checkpoint"] for row in known.table] == list("01234")
    assert known.table[0]["weight_distance"] == 0
    assert known.concepts.shape == (5, len(known.rows), 8, 8)
    assert known.layer in known.summary()
    assert 0 <= known.metrics.rho <= 1
    again = quantify_knowledge(students, X[:6], n_steps=30, noise=0.2, random_state=0)
    np.testing.assert_array_equal(again.entropies, known.entropies)
    figure = plot_entropies(known, X[:6], most_images=2, most_checkpoints=3)
    assert len(figure.axes) == 2 * 4


def test_what_cannot_be_quantified_is_refused(digits, snapshots):
    X, _ = digits
    students = [load(path) for path in sorted(snapshots.iterdir())][:2]
    with pytest.raises(ValueError, match="the untrained network and at least one checkpoint"):
        quantify_knowledge(students[:1], X[:2])
    with pytest.raises(ValueError, match="None of 2 images can be measured: 2 have no foreground"):
        quantify_knowledge(students, np.zeros((2, 64)))
    with pytest.raises(ValueError, match="must hold one value per pixel"):
        quantify_knowledge(students, X[:2], foreground=np.ones((2, 5)))
    with pytest.raises(ValueError, match="has no layer 'nowhere'"):
        quantify_knowledge(students, X[:2], layer="nowhere")
    with pytest.raises(ValueError, match="fitted NeuralStudentClassifier"):
        quantify_knowledge([NeuralStudentClassifier(), students[0]], X[:2])
