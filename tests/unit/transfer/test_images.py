import numpy as np
import pytest
from scipy import ndimage

from soft_students.transfer import ImageDistortion

STILL = {"rotation": 0, "scale": 0, "shear": 0, "shift": 0, "elastic": 0}


@pytest.fixture
def images():
    rng = np.random.RandomState(0)
    smooth = ndimage.gaussian_filter(rng.uniform(size=(6, 20, 16)), (0, 2, 2))
    return smooth.reshape(6, -1)


def test_no_distortion_is_the_identity(images):
    same = ImageDistortion((20, 16), **STILL).sample(images, 0)
    np.testing.assert_allclose(same, images, atol=1e-6)


def test_a_seed_repeats_and_another_differs(images):
    distortion = ImageDistortion((20, 16))
    np.testing.assert_array_equal(distortion.sample(images, 3), distortion.sample(images, 3))
    assert (distortion.sample(images, 3) != distortion.sample(images, 4)).any()
    assert (distortion.sample(images, 3) != images).any()


def test_a_rotation_is_one_of_the_plane(images, monkeypatch):
    """With every draw at the limit, the images are turned by that angle, in pixels."""
    import torch

    monkeypatch.setattr(torch, "rand", lambda n, generator: torch.ones(n))
    turned = ImageDistortion((20, 16), **{**STILL, "rotation": 10}).sample(images, 0)
    for row, image in zip(turned, images, strict=True):
        expected = ndimage.rotate(image.reshape(20, 16), 10, reshape=False, order=1, mode="nearest")
        np.testing.assert_allclose(row.reshape(20, 16)[4:-4, 4:-4], expected[4:-4, 4:-4], atol=1e-4)


def test_a_shift_is_a_fraction_of_the_side(images, monkeypatch):
    import torch

    monkeypatch.setattr(torch, "rand", lambda n, generator: torch.ones(n))
    moved = ImageDistortion((20, 16), **{**STILL, "shift": 0.25}).sample(images, 0)
    before, after = images.reshape(6, 20, 16), moved.reshape(6, 20, 16)
    np.testing.assert_allclose(after[:, :-5, :-4], before[:, 5:, 4:], atol=1e-5)


def test_colour_images_and_integers():
    rng = np.random.RandomState(0)
    colours = rng.randint(0, 256, size=(4, 3 * 8 * 8)).astype(np.uint8)
    distorted = ImageDistortion((3, 8, 8)).sample(colours, 0)
    assert distorted.dtype == np.uint8
    assert distorted.shape == colours.shape
    # all channels of an image move alike
    grey = np.repeat(rng.uniform(size=(4, 1, 64)), 3, axis=1).reshape(4, -1)
    channels = ImageDistortion((3, 8, 8)).sample(grey, 0).reshape(4, 3, 64)
    np.testing.assert_array_equal(channels[:, 0], channels[:, 2])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"image_shape": (8, 8)}, "image_shape"),
        ({"image_shape": None}, "square"),
        ({"image_shape": (20, 16), "rotation": -1}, "'rotation' parameter"),
        ({"image_shape": (20, 16), "scale": 1.0}, "below 1"),
        ({"image_shape": (20, 16), "elastic_points": 1}, "elastic_points"),
    ],
)
def test_impossible_settings_are_refused(images, parameters, message):
    with pytest.raises(ValueError, match=message):
        ImageDistortion(**parameters).sample(images, 0)


def test_a_flip_exchanges_left_and_right():
    X = np.random.RandomState(0).rand(6, 30).astype(np.float32)
    flipped = ImageDistortion(image_shape=(5, 6), flip=1.0, **STILL).sample(X, random_state=0)
    mirrored = X.reshape(-1, 5, 6)[:, :, ::-1].reshape(6, 30)
    np.testing.assert_allclose(flipped, mirrored, atol=1e-5)
    some = ImageDistortion(image_shape=(5, 6), flip=0.5, **STILL).sample(X, random_state=1)
    as_they_were = np.isclose(some, X, atol=1e-5).all(axis=1)
    assert 0 < as_they_were.sum() < 6


def test_cutout_fills_a_square_with_the_mean():
    X = np.random.RandomState(0).rand(20, 100).astype(np.float32)
    cut = ImageDistortion(image_shape=(10, 10), cutout=0.4, **STILL).sample(X, random_state=0)
    changed = ~np.isclose(cut, X, atol=1e-5)
    assert (changed.sum(axis=1) <= 25).all()
    assert changed.any(axis=1).all()
    means = np.repeat(X.mean(axis=1), changed.sum(axis=1))
    np.testing.assert_allclose(cut[changed], means, atol=1e-5)


@pytest.mark.parametrize("name", ["flip", "cutout"])
def test_shares_lie_between_zero_and_one(name):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of ImageDistortion must be a n"):
        ImageDistortion(**{name: 1.5}).sample(np.zeros((1, 16), dtype=np.float32))
