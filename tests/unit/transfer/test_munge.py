import numpy as np
import pytest
from scipy import stats
from sklearn.neighbors import NearestNeighbors

import soft_students.transfer.munge as module
from soft_students.transfer import Munge
from soft_students.transfer.munge import nearest_neighbours
from tests.references import munge as reference


@pytest.fixture
def mixed():
    """Return two continuous columns, one of whole numbers and one of codes."""
    rng = np.random.RandomState(0)
    numbers = rng.normal(size=(60, 2)) * [1, 100]
    return np.column_stack([numbers, rng.poisson(3, 60), rng.randint(4, size=60)])


CODES = np.array([False, False, False, True])


def test_neighbours_are_those_of_a_plain_loop(mixed):
    expected = [reference.nearest(mixed, i, CODES) for i in range(len(mixed))]
    assert nearest_neighbours(mixed, CODES, np.arange(60)).tolist() == expected


def test_neighbours_among_candidates_are_the_nearest_of_these(mixed):
    pool = np.arange(0, 60, 3)
    found = nearest_neighbours(mixed, CODES, pool)
    assert set(found) <= set(pool)
    assert (found != np.arange(60)).all()
    scaled = mixed / mixed.std(axis=0)
    numbers = np.zeros(4, dtype=bool)
    found = nearest_neighbours(mixed, numbers, pool)
    distance = np.linalg.norm(scaled[:, None] - scaled[None, pool], axis=2)
    distance[pool, np.arange(len(pool))] = np.inf
    np.testing.assert_array_equal(found, pool[distance.argmin(axis=1)])


def test_values_follow_the_law_of_the_paper(mixed):
    """Many copies have the mean, the deviation and the share of new values that it states."""
    p, s = 0.3, 2.0
    munge = Munge(p, s, categorical=[3])
    copies = np.stack(list(munge.copies(mixed, 4000, 0)))
    neighbours = mixed[[reference.nearest(mixed, i, CODES) for i in range(60)]]
    changed = (copies != mixed).mean(axis=0)
    np.testing.assert_allclose(changed[:, :2], p, atol=0.04)
    unlike = (mixed != neighbours)[:, 2:]
    np.testing.assert_allclose(changed[:, 2:], p * unlike, atol=0.04)
    for i in (0, 7, 31):
        drawn = copies[:, i, 1][copies[:, i, 1] != mixed[i, 1]]
        law = stats.norm(neighbours[i, 1], abs(mixed[i, 1] - neighbours[i, 1]) / s)
        assert stats.kstest(drawn, law.cdf).pvalue > 1e-3
        assert set(copies[:, i, 3]) <= {mixed[i, 3], neighbours[i, 3]}


def test_every_value_has_the_moments_of_a_plain_loop(mixed):
    rng, few = np.random.RandomState(1), mixed[:12]
    swapped = np.array([False, False, True, True])
    loop = np.stack([reference.munge(few, 0.5, 1.0, CODES, swapped, rng) for _ in range(300)])
    ours = np.stack(list(Munge(categorical=CODES).copies(few, 2000, 2)))
    spread = loop.std(axis=0)
    error = spread * np.sqrt(1 / 300 + 1 / 2000)
    assert (np.abs(ours.mean(axis=0) - loop.mean(axis=0)) <= 5 * error + 1e-12).all()
    np.testing.assert_allclose(ours.std(axis=0), spread, rtol=0.3)


def test_nothing_swapped_is_the_identity_and_all_swapped_discrete_is_the_neighbour(mixed):
    np.testing.assert_array_equal(Munge(0.0).sample(mixed, 0), mixed)
    made = Munge(1.0, discrete=[0, 1, 2], categorical=[3]).sample(mixed, 0)
    neighbours = mixed[nearest_neighbours(mixed, CODES, np.arange(60))]
    np.testing.assert_array_equal(made, neighbours)


def test_one_search_serves_all_copies(mixed, monkeypatch):
    fits = []

    class Counted(NearestNeighbors):
        def fit(self, X, y=None):
            fits.append(len(X))
            return super().fit(X, y)

    monkeypatch.setattr(module, "NearestNeighbors", Counted)
    copies = list(Munge().copies(mixed, 5, 0))
    assert len(copies) == 5
    assert (copies[0] != copies[1]).any()
    assert fits == [60]
    list(Munge(candidates=20).copies(mixed, 2, 0))
    assert fits == [60, 20]


def test_a_seed_repeats_and_another_differs(mixed):
    munge = Munge(candidates=30)
    np.testing.assert_array_equal(munge.sample(mixed, 3), munge.sample(mixed, 3))
    assert (munge.sample(mixed, 3) != munge.sample(mixed, 4)).any()


def test_a_lack_swaps_like_a_category():
    X = np.array([[0.0, 1.5], [0.1, np.nan], [5.0, 7.5], [5.1, np.nan]])
    made = Munge(1.0, discrete=None).sample(X, 0)
    np.testing.assert_array_equal(np.isnan(made[:, 1]), [True, False, True, False])
    assert made[[1, 3], 1].tolist() == [1.5, 7.5]
    kept = Munge(0.0).sample(X, 0)
    np.testing.assert_array_equal(kept, X)
    codes = Munge(1.0, categorical=[1]).sample(X, 0)
    assert set(codes[~np.isnan(codes[:, 1]), 1]) <= {1.5, 7.5}


@pytest.mark.filterwarnings("error")
def test_columns_without_any_value_and_constant_ones_do_no_harm():
    X = np.column_stack([np.full(9, np.nan), np.full(9, 0.1), np.linspace(0, 1, 9)])
    made = Munge(1.0).sample(X, 0)
    assert np.isnan(made[:, 0]).all()
    np.testing.assert_array_equal(made[:, 1], 0.1)
    nothing = np.full((3, 2), np.nan)
    np.testing.assert_array_equal(Munge().sample(nothing, 0), nothing)


def test_a_duplicate_is_a_neighbour_as_good_as_any():
    X = np.repeat([[0.25, 1.0], [9.5, 2.0]], 3, axis=0)
    np.testing.assert_array_equal(Munge(1.0).sample(X, 0), X)


def test_many_levels_are_told_apart_up_to_a_limit():
    codes = np.arange(200) % 100
    X = np.column_stack([np.linspace(0, 1, 200), codes])
    made = Munge(1.0, categorical=[1]).sample(X, 0)
    assert set(made[:, 1]) <= set(codes)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8, np.int64])
def test_the_dtype_stays(dtype):
    X = np.random.RandomState(0).randint(0, 2, size=(20, 3)).astype(dtype)
    made = Munge(discrete=None).sample(X, 0)
    assert made.dtype == dtype
    if dtype not in (np.float32, np.float64):
        assert np.isin(made, X).all()


def test_columns_known_to_the_student_are_added(mixed):
    told = Munge(1.0, discrete=None).sample(mixed, 0, categorical=CODES)
    assert np.isin(told[:, 3], mixed[:, 3]).all()
    untold = Munge(1.0, discrete=None).sample(mixed, 0)
    assert not np.isin(untold[:, 3], mixed[:, 3]).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"swap_probability": 1.5}, r"'swap_probability' parameter of Munge .* Got 1.5"),
        ({"swap_probability": np.nan}, "'swap_probability' parameter"),
        ({"local_variance": 0}, r"'local_variance' parameter of Munge .* Got 0"),
        ({"local_variance": -1.0}, "'local_variance' parameter"),
        ({"local_variance": np.inf}, "'local_variance' parameter"),
        ({"candidates": 1}, "'candidates' parameter"),
        ({"categorical": [4]}, r"'categorical' parameter of Munge must be indices from 0 to 3"),
        ({"categorical": [-1]}, "'categorical' parameter"),
        ({"categorical": [0.5]}, "'categorical' parameter"),
        ({"categorical": [True, False]}, "boolean mask of 4 columns"),
        ({"categorical": ["colour"]}, "'categorical' parameter"),
        ({"discrete": [9]}, "'discrete' parameter of Munge"),
        ({"discrete": "always"}, "'discrete' parameter of Munge"),
    ],
)
def test_impossible_settings_are_refused(mixed, parameters, message):
    with pytest.raises(ValueError, match=message):
        Munge(**parameters).sample(mixed, 0)


def test_rows_that_have_no_neighbour_or_no_numbers_are_refused(mixed):
    with pytest.raises(ValueError, match=r"at least 2 rows\. Got 1"):
        Munge().sample(mixed[:1], 0)
    with pytest.raises(ValueError, match=r"Columns \[1\] contain infinite"):
        Munge().sample(np.array([[1.0, np.inf], [2.0, 3.0]]), 0)
    with pytest.raises(ValueError, match="needs numbers"):
        Munge().sample(np.array([["a"], ["b"]]), 0)
    with pytest.raises(ValueError, match="needs numbers of shape"):
        Munge().sample(mixed[0], 0)
