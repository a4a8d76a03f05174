"""Batches hold the rows they promise, in an order that the generator alone decides."""

import pytest
import torch

from soft_students.methods.batch import Batches, TrainingData
from soft_students.methods.samplers import ClassUniform, SameClassPairs, SuperclassUniform

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
    with pytest.raises(ValueError, match=r"takes 4 rows of a class, but class 7 has 3\. Lower"):
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
    with pytest.raises(ValueError, match=r"takes 4 rows of a superclass\. Got 3 rows"):
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
