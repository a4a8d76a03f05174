"""MarginalResample, GaussianNoise and Mixup."""

import numpy as np
import pytest
from scipy import stats

from soft_students.transfer import GaussianNoise, MarginalResample, Mixup


@pytest.fixture
def mixed():
    rng = np.random.RandomState(0)
    return np.column_stack([rng.normal(5, 10, size=400), rng.exponential(size=400), np.arange(400)])


EACH = pytest.mark.parametrize(
    "transfer", [MarginalResample(), GaussianNoise(), Mixup()], ids=lambda t: type(t).__name__
)


@EACH
def test_a_seed_repeats_and_the_rows_stay_as_they_are(transfer, mixed):
    before = mixed.copy()
    first, again, other = (transfer.sample(mixed, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert (first != mixed).any()
    np.testing.assert_array_equal(mixed, before)


@EACH
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_stays(transfer, mixed, dtype):
    assert transfer.sample(mixed.astype(dtype), 0).dtype == dtype


@EACH
def test_infinite_values_are_refused(transfer):
    with pytest.raises(ValueError, match=r"Columns \[0\] contain infinite"):
        transfer.sample(np.array([[np.inf, 1.5], [2.0, 3.0]]), 0)


@EACH
def test_copies_are_as_many_as_asked_for_and_differ(transfer, mixed):
    copies = list(transfer.copies(mixed, 3, 0))
    assert len(copies) == 3
    assert (copies[0] != copies[1]).any()
    np.testing.assert_array_equal(copies[0], transfer.sample(mixed, 0))


def test_resampled_columns_have_their_marginals_and_no_dependence(mixed):
    X = np.column_stack([mixed[:, 0], mixed[:, 0]])
    made = MarginalResample(1.0).sample(np.tile(X, (20, 1)), 0)
    assert stats.ks_2samp(made[:, 1], X[:, 1]).pvalue > 1e-3
    assert abs(np.corrcoef(made.T)[0, 1]) < 0.05
    half = MarginalResample(0.5).sample(X, 0)
    assert np.mean(half == X) == pytest.approx(0.5, abs=0.05)
    np.testing.assert_array_equal(MarginalResample(0.0).sample(X, 0), X)


def test_missing_values_are_resampled_like_others():
    X = np.where(np.arange(4000) % 4 == 0, np.nan, 1.0)[:, None]
    made = MarginalResample(1.0).sample(X, 0)
    assert np.isnan(made).mean() == pytest.approx(0.25, abs=0.03)


def test_noise_is_normal_in_units_of_each_column(mixed):
    X = np.tile(mixed, (20, 1))
    noise = GaussianNoise(0.2).sample(X, 0) - X
    np.testing.assert_allclose(noise[:, :2].std(axis=0), 0.2 * X[:, :2].std(axis=0), rtol=0.03)
    assert stats.kstest(noise[:, 0] / noise[:, 0].std(), "norm").pvalue > 1e-3
    np.testing.assert_array_equal(noise[:, 2], 0)
    moved = GaussianNoise(0.2, discrete=[0]).sample(X, 0) != X
    assert moved.any(axis=0).tolist() == [False, True, True]
    told = GaussianNoise(0.2, discrete=None).sample(
        X, 0, categorical=np.array([True, False, False])
    )
    assert (told != X).any(axis=0).tolist() == [False, True, True]


@pytest.mark.filterwarnings("error")
def test_noise_leaves_missing_and_constant_values_alone():
    X = np.column_stack([[0.5, np.nan, 2.5], np.full(3, np.nan), np.full(3, 0.1)])
    made = GaussianNoise(discrete=None).sample(X, 0)
    np.testing.assert_array_equal(np.isnan(made), np.isnan(X))
    np.testing.assert_allclose(made[:, 2], 0.1)


def test_noise_on_whole_numbers_alone_is_refused():
    with pytest.raises(ValueError, match=r"all 2 columns are discrete.*discrete=None"):
        GaussianNoise().sample(np.arange(10.0).reshape(5, 2), 0)
    with pytest.raises(ValueError, match="all 2 columns are discrete"):
        GaussianNoise(discrete=None).sample(np.arange(10).reshape(5, 2), 0)


def test_mixed_rows_lie_between_two_rows(mixed):
    X = mixed[:, :2]
    made = Mixup(0.5).sample(X, 0)
    # on a line with i and some j: the share of the way is the same in both columns
    for i in range(0, 400, 50):
        way = X - X[i]
        way[i] = np.nan
        share = (made[i] - X[i]) / way
        on_line = np.isclose(share[:, 0], share[:, 1], rtol=1e-6) & (share[:, 0] <= 1 + 1e-9)
        assert (on_line & (share[:, 0] >= 0)).any()


def test_shares_follow_the_beta_distribution():
    X = np.repeat([[0.0], [1.0]], [1, 1], axis=0)
    drawn = np.concatenate(
        [made[0] for made in Mixup(0.4, discrete=None).copies(X, 2000, 0)]
    )  # 1 - λ of row 0 with row 1
    assert stats.kstest(drawn, stats.beta(0.4, 0.4).cdf).pvalue > 1e-3


def test_discrete_and_missing_values_are_of_one_of_the_two():
    X = np.column_stack([[0.5, 2.5], [3.0, 7.0], [np.nan, 1.5]])
    copies = np.stack(list(Mixup().copies(X, 400, 0)))
    assert set(copies[:, :, 1].ravel()) == {3.0, 7.0}
    third = copies[:, :, 2]
    assert np.isnan(third).mean() == pytest.approx(0.5, abs=0.06)
    assert set(third[~np.isnan(third)]) == {1.5}
    whole = Mixup(discrete=None).sample(X.astype(np.float32)[:, :2], 0)
    assert not np.isin(whole[:, 1], [3.0, 7.0]).any()


def test_integers_stay_integers():
    X = np.random.RandomState(0).randint(0, 256, size=(30, 4)).astype(np.uint8)
    made = Mixup(discrete=None).sample(X, 0)
    assert made.dtype == np.uint8
    assert all(np.isin(made[:, a], X[:, a]).all() for a in range(4))


@pytest.mark.parametrize(
    ("transfer", "message"),
    [
        (MarginalResample(-0.1), r"'probability' parameter of MarginalResample .* Got -0.1"),
        (MarginalResample(np.nan), "'probability' parameter"),
        (GaussianNoise(0), r"'scale' parameter of GaussianNoise .* Got 0"),
        (GaussianNoise(np.inf), "'scale' parameter"),
        (GaussianNoise(discrete=[3]), "'discrete' parameter of GaussianNoise must be indices"),
        (Mixup(0.0), r"'alpha' parameter of Mixup .* Got 0.0"),
        (Mixup(discrete=[[0]]), "'discrete' parameter of Mixup"),
    ],
)
def test_impossible_settings_are_refused(mixed, transfer, message):
    with pytest.raises(ValueError, match=message):
        transfer.sample(mixed, 0)


def test_one_row_has_no_partner():
    with pytest.raises(ValueError, match=r"Mixup needs at least 2 rows\. Got 1"):
        Mixup().sample(np.array([[0.5]]), 0)
