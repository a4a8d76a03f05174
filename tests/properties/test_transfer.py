"""Transfer sets: laws that hold for whatever table they start from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from soft_students.transfer import GaussianNoise, MarginalResample, Mixup, Munge

reals = st.one_of(st.just(np.nan), st.floats(-1e6, 1e6, width=32))
wholes = st.one_of(st.just(np.nan), st.integers(-(10**6), 10**6).map(float))


@st.composite
def tables(draw, dtype=None):
    """Return rows with columns of numbers and of whole numbers, and which are codes."""
    n = draw(st.integers(2, 12))
    kinds = draw(st.lists(st.sampled_from(["real", "whole", "code"]), min_size=1, max_size=5))
    elements = {"real": reals, "whole": wholes, "code": st.sampled_from([0.0, 1.0, 2.0, np.nan])}
    columns = [draw(arrays.arrays(np.float64, n, elements=elements[kind])) for kind in kinds]
    X = np.column_stack(columns).astype(dtype or draw(st.sampled_from([np.float32, np.float64])))
    return X, np.array([kind == "code" for kind in kinds])


def makers():
    probability = st.floats(0, 1)
    return st.one_of(
        st.builds(
            Munge, probability, st.floats(1e-3, 1e3), candidates=st.sampled_from([2, 5, None])
        ),
        st.builds(MarginalResample, probability),
        st.builds(GaussianNoise, st.floats(1e-3, 10)),
        st.builds(Mixup, st.floats(1e-2, 1e2)),
    )


def whole(X):
    return ((np.rint(X) == X) | np.isnan(X)).all(axis=0)


def occurs(made, X):
    """Return, by value, whether it is one of its column; NaN where the column has NaN."""
    return np.column_stack([
        np.isin(made[:, a], X[:, a]) | (np.isnan(made[:, a]) & np.isnan(X[:, a]).any())
        for a in range(X.shape[1])
    ])  # fmt: skip


@given(table=tables(), transfer=makers(), seed=st.integers(0, 2**32 - 1))
def test_no_category_and_no_whole_number_that_did_not_occur(table, transfer, seed):
    X, codes = table
    discrete = whole(X) | codes
    if isinstance(transfer, GaussianNoise) and discrete.all():
        with pytest.raises(ValueError, match="changes nothing"):
            transfer.sample(X, seed, categorical=codes)
        return
    made = transfer.sample(X, seed, categorical=codes)
    assert made.shape == X.shape
    assert made.dtype == X.dtype
    assert occurs(made, X)[:, discrete].all()
    # a value is missing only where the column lacks some, and never infinite
    assert not np.isinf(made).any()
    assert not np.isnan(made[:, ~np.isnan(X).any(axis=0)]).any()


@given(table=tables(), transfer=makers(), seed=st.integers(0, 2**32 - 1))
def test_the_rows_given_are_not_changed_and_a_seed_repeats(table, transfer, seed):
    X, codes = table
    if isinstance(transfer, GaussianNoise) and (whole(X) | codes).all():
        return
    before = X.copy()
    first, again = (list(transfer.copies(X, 2, seed, categorical=codes)) for _ in range(2))
    np.testing.assert_array_equal(X, before)
    np.testing.assert_array_equal(first, again)


@given(table=tables(dtype=np.float64), seed=st.integers(0, 2**32 - 1))
def test_mixed_values_stay_within_the_range_of_their_column(table, seed):
    X, codes = table
    made = Mixup(discrete=None).sample(X, seed, categorical=codes)
    for column, values in zip(made.T, X.T, strict=True):
        known = values[~np.isnan(values)]
        kept = column[~np.isnan(column)]
        if len(kept):
            slack = 1e-9 * np.abs(known).max()
            assert known.min() - slack <= kept.min() <= kept.max() <= known.max() + slack
