"""Methods that train several students: DML and grafting."""

import numpy as np
import pytest
import torch
from references import dml as dml_reference
from references import grafting as grafting_reference
from torch import nn

from soft_students.methods import (
    DML,
    Combination,
    Ensemble,
    Grafting,
    TrainingData,
    ensemble_logits,
    graft,
    mutual_loss,
    weight_entropy,
)
from soft_students.methods.peers import best_peer, keeping_statistics
from soft_students.persistence.checkpoints import Checkpoint
from tests.unit.methods.lessons import lesson, network, state, taught


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def begin(given, method):
    """Return the first stage of a method, and its generator."""
    stages = Combination([method]).stages(given)
    return next(stages), stages


def finish(stages):
    with pytest.raises(StopIteration) as end:
        next(stages)
    return end.value.value


@pytest.mark.parametrize(("k", "n_classes"), [(2, 2), (3, 4)])
def test_mutual_loss_and_gradient(k, n_classes):
    z, others = random(5, n_classes).mul(2).requires_grad_(), random(k - 1, 5, n_classes, seed=1)
    wanted = dml_reference.mutual(z.detach().numpy(), others.numpy())
    assert mutual_loss(z, others).item() == pytest.approx(wanted, rel=1e-10)
    assert torch.autograd.gradcheck(lambda own: mutual_loss(own, others), z)
    others.requires_grad_()
    mutual_loss(z, others).backward()
    assert others.grad is None


@pytest.mark.parametrize("update", ["simultaneous", "alternating"])
def test_each_peer_is_run_once_with_gradients_on_every_batch(update):
    given = lesson()
    stage, _ = begin(given, DML(n_peers=3, update=update))
    peers = stage.selects
    runs = {id(peer): [] for peer in peers}
    for peer in peers:
        peer.register_forward_hook(
            lambda module, *_: runs[id(module)].append(torch.is_grad_enabled())
        )
    batch = next(iter(stage.batches))
    for player in stage.players:
        player.loss(batch)
    assert all(sum(seen) == 1 for seen in runs.values())
    again = sum(not grad for seen in runs.values() for grad in seen)
    assert again == (0 if update == "simultaneous" else 4)  # 2 at first, then 1 each of the others


def test_alternating_peers_learn_from_what_the_others_say_after_their_step():
    given = lesson()
    stage, _ = begin(given, DML(update="alternating"))
    first, second = stage.selects
    batch = next(iter(stage.batches))
    stage.players[0].loss(batch)
    with torch.no_grad():
        for p in first.parameters():
            p.add_(0.5)
    loss = stage.players[1].loss(batch)["dml"]
    with torch.no_grad():
        wanted = mutual_loss(second(batch.inputs), first(batch.inputs)[None])
    torch.testing.assert_close(loss.detach(), wanted)


def test_the_second_look_leaves_statistics_alone():
    net = network((3, 5)).train()
    before = state(net)
    x = torch.randn(8, 1, 8, 8)
    with torch.no_grad(), keeping_statistics(net):
        seen = net(x)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    torch.testing.assert_close(net(x), seen)  # normalised by the batch all the same
    assert net[4].track_running_stats


def test_peers_begin_differently_and_the_best_on_validation_rows_predicts():
    given = lesson()
    given.validation = TrainingData(given.data.inputs[:8], given.data.labels[:8])
    stage, stages = begin(given, DML(n_peers=3))
    peers = stage.selects
    assert peers[0] is given.student
    assert len({tuple(p[0].weight.flatten().tolist()) for p in peers}) == 3
    with torch.no_grad():
        for i, peer in enumerate(peers):
            peer[8].weight.zero_()
            peer[8].bias.copy_(torch.eye(4)[i] * 9)
    # each peer says one class for all; that of peer 2 is the only one that is right
    given.validation = TrainingData(given.data.inputs[:8], torch.full((8,), 2))
    assert finish(stages) is peers[2]


def test_without_validation_rows_the_student_predicts():
    given = lesson()
    _, stages = begin(given, DML())
    assert finish(stages) is given.student
    assert best_peer(given, [given.student, network((3, 5))]) is given.student


def test_the_ensemble_is_the_mean_of_probabilities():
    z = random(3, 5, 4)
    torch.testing.assert_close(ensemble_logits(list(z)).exp(), z.softmax(2).mean(0))
    given = lesson()
    stage, stages = begin(given, DML(keep="ensemble"))
    predictor = finish(stages)
    assert isinstance(predictor, Ensemble)
    assert list(stage.selects) == [predictor]
    assert predictor.networks[0] is given.student


def test_weight_entropy():
    for seed in range(5):
        w = random(4, 3, 3, 3, seed=seed)
        wanted = grafting_reference.entropy(w.float().numpy().astype(float))
        assert weight_entropy(w) == pytest.approx(wanted, abs=1e-6)
    assert weight_entropy(torch.full((3, 3), 0.2)) == 0.0
    assert weight_entropy(torch.zeros(1, 1)) == 0.0


def test_graft_is_cyclic_by_layer_and_from_what_was_before():
    nets = [network((3, 5)) for _ in range(3)]
    before = [state(net) for net in nets]
    after = graft(before, scale=0.4, steepness=500.0)
    for i in range(3):
        for layer in ("0", "3", "8"):
            own, other = before[i][f"{layer}.weight"], before[i - 1][f"{layer}.weight"]
            w = grafting_reference.share(own.numpy(), other.numpy(), 0.4, 500.0)
            assert 0.3 < w < 0.7
            torch.testing.assert_close(after[i][f"{layer}.weight"], w * own + (1 - w) * other)
            own, other = before[i][f"{layer}.bias"], before[i - 1][f"{layer}.bias"]
            torch.testing.assert_close(after[i][f"{layer}.bias"], w * own + (1 - w) * other)


def test_counters_are_not_blended_and_statistics_are():
    nets = [network((3, 5)).train() for _ in range(2)]
    for i, net in enumerate(nets):
        for _ in range(3 + 4 * i):
            net(torch.randn(8, 1, 8, 8))
    before = [state(net) for net in nets]
    after = graft(before)
    assert [int(s["4.num_batches_tracked"]) for s in after] == [3, 7]
    for i in range(2):
        assert not torch.equal(after[i]["4.running_mean"], before[i]["4.running_mean"])
        assert all(torch.equal(nets[i].state_dict()[k], v) for k, v in before[i].items())


def test_peers_have_rates_and_orders_of_their_own():
    given = lesson()
    stage, stages = begin(given, Grafting(n_peers=3))
    assert [p.rate for p in stage.players] == pytest.approx([0.25, 0.75, 1.0])
    assert stage.selects[-1] is given.student
    assert finish(stages) is given.student
    seen = [[] for _ in stage.players]
    for i, player in enumerate(stage.players):
        player.trains[0].register_forward_pre_hook(
            lambda module, args, i=i: seen[i].append(args[0])
        )
    for batch in stage.batches:
        for player in stage.players:
            player.loss(batch)
    orders = [torch.cat(parts).flatten(1).sum(1) for parts in seen]
    assert not torch.equal(orders[0], orders[1])
    for order in orders[1:]:
        torch.testing.assert_close(order.sort().values, orders[0].sort().values)


def test_grafting_after_an_epoch_changes_every_peer_at_once():
    given = lesson()
    stage, _ = begin(given, Grafting())
    peers = stage.selects
    before = [state(peer) for peer in peers]
    stage.after_epoch(0)
    wanted = graft(before)
    for peer, state_ in zip(peers, wanted, strict=True):
        for name, value in peer.state_dict().items():
            torch.testing.assert_close(value, state_[name])


@pytest.mark.parametrize("key", ["dml", "grafting"])
@pytest.mark.parametrize("labels", [True, False])
@pytest.mark.parametrize("other", ["kd", "cskd", "byot", "ft"])
def test_each_peer_learns_by_what_it_is_combined_with(key, labels, other):
    history = taught(lesson(labels=labels), f"{key},{other}")
    assert other in history[-1]
    assert all(np.isfinite(v) for row in history for v in row.values() if isinstance(v, float))


def test_two_methods_of_several_networks_exclude_each_other():
    with pytest.raises(ValueError, match="'dml' and 'grafting' each define their own training"):
        taught(lesson(), "dml,grafting")


@pytest.mark.parametrize("method", [DML(n_peers=1), Grafting(n_peers=1), Grafting(scale=2)])
def test_parameters_out_of_range(method):
    with pytest.raises(ValueError, match="parameter of"):
        taught(lesson(), method)


def test_sums_of_terms_are_over_peers():
    given = lesson()
    stage, _ = begin(given, DML())
    batch = next(iter(stage.batches))
    for peer in stage.selects:
        peer.eval()
    terms = stage.players[0].loss(batch)
    z = [peer(batch.inputs) for peer in stage.selects]
    wanted = sum(nn.functional.cross_entropy(one, batch.labels) for one in z)
    torch.testing.assert_close(terms["labels"], wanted)
    mutual = mutual_loss(z[0], z[1][None]) + mutual_loss(z[1], z[0][None])
    torch.testing.assert_close(terms["dml"], mutual)


@pytest.mark.parametrize("method", [DML(), DML(update="alternating"), Grafting(n_peers=3)])
def test_a_training_that_was_stopped_goes_on_bit_for_bit(method, tmp_path):
    whole = lesson(epochs=3)
    taught(whole, method)
    part, path = lesson(epochs=3), tmp_path / "training.pt"
    kept = Checkpoint(path, "same", resume=False)
    write = kept.write

    def stop(stage, content, seconds):
        write(stage, content, seconds)
        if content["epoch"] == 2:
            raise KeyboardInterrupt

    kept.write = stop
    with pytest.raises(KeyboardInterrupt):
        taught(part, method, checkpoint=kept)
    again = lesson(epochs=3)
    taught(again, method, checkpoint=Checkpoint(path, "same", resume=True))
    for name, value in whole.student.state_dict().items():
        assert torch.equal(again.student.state_dict()[name], value)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("key", ["bss", "byot", "cgan", "cskd", "ddgsd", "dml", "grafting"])
def test_mixed_precision(key):
    history = taught(lesson(epochs=2), key, precision="bf16-mixed")
    assert all(np.isfinite(v) for row in history for v in row.values() if isinstance(v, float))
