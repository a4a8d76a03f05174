"""Batches hold the rows they promise, in an order that the generator alone decides."""

import pytest
import torch

from soft_students.methods.ddgsd import TwoViews
from soft_students.methods.samplers import ClassUniform, SameClassPairs, SuperclassUniform
from soft_students.training.batch import Batches, Shuffled, TrainingData

BALANCED = torch.arange(120) % 6
UNBALANCED = torch.cat([torch.zeros(70), torch.ones(6), 2 * torch.ones(24)]).long()


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def passes(sampler, seed=0, n=1):
    generator = seeded(seed)
    return [list(sampler.batches(generator)) for _ in range(n)]


@pytest.mark.parametrize("per_class", [1, 2, 4])
def test_class_uniform_takes_k_rows_of_each_of_its_classes(per_class):
    sampler = ClassUniform(BALANCED, 4 * per_class, per_class)
    (batches,) = passes(sampler)
    assert len(batches) == len(sampler) == -(-120 // (4 * per_class))
    for batch in batches:
        assert batch.shape == (per_class, 4)
        labels = BALANCED[batch]
        assert (labels == labels[0]).all()
        assert len(labels[0].unique()) == 4
        assert len(batch.unique()) == batch.numel()


def test_class_uniform_covers_all_rows_of_equal_classes():
    sampler = ClassUniform(BALANCED, 12, 2)  # every class in every batch
    (batches,) = passes(sampler)
    assert torch.cat([batch.flatten() for batch in batches]).unique().numel() == 120


def test_class_uniform_gives_rare_classes_equal_turns_and_forgets_no_row():
    sampler = ClassUniform(UNBALANCED, 6, 2)
    seen = torch.cat([b.flatten() for batches in passes(sampler, n=15) for b in batches])
    shares = UNBALANCED[seen].bincount() / len(seen)
    torch.testing.assert_close(shares, torch.full((3,), 1 / 3), atol=0.01, rtol=0)
    assert seen.unique().numel() == len(UNBALANCED)


def test_class_uniform_uses_a_class_again_where_there_are_few_classes():
    sampler = ClassUniform(UNBALANCED, 16, 2)
    for batch in passes(sampler)[0]:
        assert batch.shape == (2, 8)
        assert len(batch.unique()) == 16  # class 1 has 6 rows: three groups at most
        assert (UNBALANCED[batch[0]] == 1).sum() <= 3


def test_class_uniform_batches_are_smaller_where_rows_do_not_suffice():
    labels = torch.tensor([0, 0, 0, 1, 1])
    sampler = ClassUniform(labels, 64, 2)
    (batches,) = passes(sampler)
    assert [tuple(batch.shape) for batch in batches] == [(2, 2), (2, 2)]


def test_class_uniform_names_the_class_that_is_too_small():
    with pytest.raises(ValueError, match=r"takes 4 rows per class, but class 7 has 3\. Lower"):
        ClassUniform(torch.tensor([2] * 9 + [7] * 3), 8, 4)


@pytest.mark.parametrize("per_class", [0, 9])
def test_class_uniform_names_the_range_of_per_class(per_class):
    with pytest.raises(ValueError, match=rf"range \[1, 8\].*Got {per_class}"):
        ClassUniform(BALANCED, 8, per_class)


def test_superclasses_are_clusters():
    centres = torch.tensor([[0.0, 9.0], [9.0, 0.0], [0.0, -9.0]])
    which = torch.arange(60) % 3
    features = centres[which] + 0.1 * torch.randn(60, 2, generator=seeded())
    sampler = SuperclassUniform(features, 6, 2, n_superclasses=3)
    assert len(torch.stack([which, sampler.superclasses]).unique(dim=1).T) == 3
    for batch in passes(sampler)[0]:
        assert (which[batch] == which[batch][0]).all()


def test_rows_of_small_superclasses_go_to_the_nearest_other():
    features = torch.cat([torch.zeros(20), torch.full((20,), 5.0), torch.tensor([100.0])])[:, None]
    sampler = SuperclassUniform(features, 8, 4, n_superclasses=3)
    assert sampler.superclasses[40] == sampler.superclasses[39]
    assert len(sampler.superclasses.unique()) == 2


@pytest.mark.parametrize("n_superclasses", [0, 21])
def test_number_of_superclasses_is_checked(n_superclasses):
    with pytest.raises(ValueError, match=rf"range \[1, 20\].*Got {n_superclasses}"):
        SuperclassUniform(torch.zeros(20, 1), 8, 4, n_superclasses=n_superclasses)


def test_superclasses_need_rows():
    with pytest.raises(ValueError, match=r"takes 4 rows per superclass\. Got 3 rows"):
        SuperclassUniform(torch.randn(3, 2), 8, 4, n_superclasses=2)


def test_pairs_share_a_class_and_never_a_row():
    sampler = SameClassPairs(UNBALANCED, 16)
    (batches,) = passes(sampler)
    assert len(batches) == len(sampler) == 7
    firsts = torch.cat([batch[0] for batch in batches])
    assert firsts.sort().values.tolist() == list(range(100))
    for rows, partners in batches:
        assert (UNBALANCED[rows] == UNBALANCED[partners]).all()
        assert (rows != partners).all()


def test_partners_are_uniform_among_the_others():
    sampler = SameClassPairs(torch.zeros(4, dtype=torch.int64), 4)
    generator = seeded()
    counts = torch.zeros(4, 4)
    for _ in range(3000):
        for rows, partners in sampler.batches(generator):
            counts[rows, partners] += 1
    off = counts[~torch.eye(4, dtype=torch.bool)]
    assert off.min() > 900
    assert off.max() < 1100


def test_single_rows_of_a_class_are_left_out():
    sampler = SameClassPairs(torch.tensor([0, 1, 1, 2]), 8)
    ((batch,),) = passes(sampler)
    assert batch.sort().values.tolist() in ([[1, 2], [2, 1]], [[1, 2], [1, 2]])


def test_pairs_need_two_rows_of_some_class():
    with pytest.raises(ValueError, match=r"a class with at least 2 rows\. Got 3 rows"):
        SameClassPairs(torch.tensor([2, 0, 1]), 8)


@pytest.mark.parametrize(
    "sampler",
    [
        ClassUniform(BALANCED, 8, 2),
        SameClassPairs(BALANCED, 8),
        SuperclassUniform(torch.randn(120, 3, generator=seeded()), 8, 2, 4),
    ],
    ids=lambda sampler: type(sampler).__name__,
)
def test_generator_alone_decides(sampler):
    first, second = passes(sampler, n=2)
    again, _ = passes(sampler, n=2)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert torch.cat(first, dim=1).dtype == torch.int64


def test_processes_share_whole_pairs():
    data = TrainingData(torch.arange(120.0)[:, None], BALANCED)
    shares = []
    for process in range(2):
        sampler = SameClassPairs(BALANCED, 15)
        batches = Batches(data, sampler, seeded(), torch.device("cpu"), share=(process, 2))
        shares.append(list(batches))
        for batch in batches:
            first, second = batch.index.view(2, -1)
            assert (BALANCED[first] == BALANCED[second]).all()
    rows = torch.cat([batch.index.view(2, -1)[0] for share in shares for batch in share])
    assert rows.sort().values.tolist() == list(range(120))


# -- weights --------------------------------------------------------------------------------------

WEIGHTS = torch.tensor([1.0, 3.0, 2.0, 0.5, 2.5, 3.0])


def counted(batches, n):
    return torch.cat([batch.flatten() for batch in batches]).bincount(minlength=n).double()


@pytest.mark.parametrize("make", [Shuffled, TwoViews])
def test_each_pass_draws_a_row_as_often_as_its_weight_says_up_to_rounding(make):
    sampler = make(6, 4, WEIGHTS)
    expected = 6 * WEIGHTS / WEIGHTS.sum()
    views = 2 if make is not Shuffled else 1
    for batches in passes(sampler, n=20):
        assert len(batches) == len(sampler)
        drawn = counted(batches, 6) / views
        assert ((drawn - expected).abs() < 1).all()
    everything = [batch for batches in passes(sampler, n=4000) for batch in batches]
    torch.testing.assert_close(
        counted(everything, 6) / 4000 / views, expected.double(), atol=0.05, rtol=0
    )


def test_rows_without_weight_are_never_drawn_and_equal_weights_change_nothing():
    zeros = torch.tensor([0.0, 2.0, 0.0, 1.0, 0.0])
    assert counted([b for p in passes(Shuffled(5, 2, zeros), n=50) for b in p], 5)[::2].sum() == 0
    (plain,), (equal,) = passes(Shuffled(7, 3)), passes(Shuffled(7, 3, torch.full((7,), 0.3)))
    assert torch.equal(torch.cat(plain), torch.cat(equal))


def test_class_uniform_draws_the_rows_of_a_class_by_weight():
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    sampler = ClassUniform(labels, 4, 1, WEIGHTS)
    drawn = counted([b for batches in passes(sampler, n=3000) for b in batches], 6)
    for rows in (slice(0, 3), slice(3, 6)):  # classes have equal turns
        shares = drawn[rows] / drawn.sum()
        torch.testing.assert_close(
            shares, (WEIGHTS[rows] / WEIGHTS[rows].sum() / 2).double(), atol=0.02, rtol=0
        )


def test_both_rows_of_a_pair_are_drawn_by_weight():
    labels = torch.tensor([0, 1, 0, 1, 0, 1])
    sampler = SameClassPairs(labels, 6, WEIGHTS)
    pairs = torch.cat([b for batches in passes(sampler, n=4000) for b in batches], dim=1)
    first, partner = pairs
    assert (labels[first] == labels[partner]).all()
    assert (first != partner).all()
    firsts = first.bincount(minlength=6).double() / len(first)
    torch.testing.assert_close(firsts, (WEIGHTS / WEIGHTS.sum()).double(), atol=0.01, rtol=0)
    # beside row 0, whose class has the weights 1, 2 and 2.5
    shares = partner[first == 0].bincount(minlength=6).double() / (first == 0).sum()
    torch.testing.assert_close(
        shares[[2, 4]], torch.tensor([2.0, 2.5]).double() / 4.5, atol=0.02, rtol=0
    )
