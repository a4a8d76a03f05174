import pytest

from soft_students.training.selection import better, is_best, within_one_standard_error


def kept(rule, scores):
    """Return the number of the epoch whose weights are left at the end."""
    best, last = None, None
    for epoch, score in enumerate(scores):
        best = better(score, best)
        if rule(score, best):
            last = epoch
    return last


@pytest.mark.parametrize(
    ("scores", "epoch"),
    [
        ([(0.7, 1.0), (0.9, 1.0), (0.8, 0.1)], 1),
        ([(0.9, 0.5), (0.9, 0.4), (0.9, 0.6)], 1),  # ties go to the lower loss
        ([(0.9, 0.5), (0.8, 0.5), (0.9, 0.5)], 2),  # and then to the later epoch
    ],
)
def test_the_best_epoch(scores, epoch):
    assert kept(is_best, scores) == epoch


@pytest.mark.parametrize(
    ("n_rows", "accuracies", "epoch"),
    [
        (100, [0.9, 0.87, 0.86], 1),  # the standard error of 0.9 is 0.03
        (10_000, [0.9, 0.898, 0.896], 1),  # and here 0.003
        (100, [0.9, 0.88, 0.95, 0.9], 2),
    ],
)
def test_the_last_epoch_within_one_standard_error_of_the_best(n_rows, accuracies, epoch):
    scores = [(accuracy, 0.0) for accuracy in accuracies]
    assert kept(within_one_standard_error(n_rows), scores) == epoch


def test_no_accuracy_is_certain():
    rule = within_one_standard_error(20)
    assert rule((0.95, 0.0), (1.0, 0.0))
    assert not rule((0.8, 0.0), (1.0, 0.0))
