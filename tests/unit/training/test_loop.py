import pytest
import torch
from lightning_fabric import Fabric
from torch import nn
from torch.nn import functional as F

from soft_students.persistence.checkpoints import Checkpoint
from soft_students.training.batch import Batches, Shuffled, TrainingData
from soft_students.training.loop import Alone, run_stages
from soft_students.training.optimization import OptimizerSettings
from soft_students.training.selection import score
from soft_students.training.stages import Player, Stage


class Rows:
    """Twelve rows of two classes, and no more than the loop asks for."""

    epochs = 3
    device = torch.device("cpu")

    def __init__(self):
        self.generator = torch.Generator().manual_seed(0)
        inputs = torch.randn(12, 4, generator=self.generator)
        self.data = TrainingData(inputs, (inputs[:, 0] > 0).long())

    def batches(self):
        return Batches(self.data, Shuffled(12, 5), self.generator, self.device)

    def score(self, network):
        return score(network, self.data, self.device)


def two_stages(networks):
    for name, network in networks.items():
        yield Stage(
            name,
            [
                Player(
                    [network], lambda b, n=network: {"loss": F.cross_entropy(n(b.inputs), b.labels)}
                )
            ],
            selects=[network],
        )
    return "done"


def make_networks():
    torch.manual_seed(1)
    return {name: nn.Sequential(nn.Dropout(0.2), nn.Linear(4, 2)) for name in ("first", "second")}


def trained(fabric, checkpoint=None, on_epoch=None):
    networks = make_networks()
    torch.manual_seed(2)
    result, history = run_stages(
        two_stages(networks),
        Rows(),
        OptimizerSettings(learning_rate=0.1),
        fabric,
        checkpoint=checkpoint,
        on_epoch=on_epoch,
    )
    assert result == "done"
    return [network[1].weight for network in networks.values()], history


def test_alone_is_fabric_in_one_process():
    weights, history = trained(Alone())
    wanted, rows = trained(Fabric(accelerator="cpu", devices=1))
    assert [(row["stage"], row["epoch"]) for row in history] == [
        (stage, epoch) for stage in ("first", "second") for epoch in (1, 2, 3)
    ]
    assert [row["loss"] for row in history] == [row["loss"] for row in rows]
    for weight, other in zip(weights, wanted, strict=True):
        assert torch.equal(weight, other)


class StoppedError(Exception):
    pass


def test_a_file_that_is_rarely_written_holds_finished_stages(tmp_path):
    path = tmp_path / "state"
    wanted, _ = trained(Alone())
    checkpoint = Checkpoint(path, "same", resume=False, interval=1e6)

    def stopped(report):
        if (report.stage, report.epoch) == ("second", 1):
            assert not path.exists()
            checkpoint._interval = 0.0
        if (report.stage, report.epoch) == ("second", 2):
            raise StoppedError

    with pytest.raises(StoppedError):
        trained(Alone(), checkpoint, stopped)
    seen = []
    weights, history = trained(Alone(), Checkpoint(path, "same", resume=True), seen.append)
    assert len(history) == 6
    assert [(report.stage, report.epoch) for report in seen] == [("second", 2), ("second", 3)]
    for weight, other in zip(weights, wanted, strict=True):
        assert torch.equal(weight, other)
