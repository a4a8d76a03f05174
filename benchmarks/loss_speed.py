"""Time and memory of every loss, forward and backward, beside its straightforward formulation.

Each case is a line of OURS here and one of PEERS in loss_peers.py: PyPI's ``torchdistill`` where
it has the loss, plain torch where it lacks it. The peer runs in a process of its own, whose
interpreter may be that of another environment:

    python -m venv peers && peers/bin/pip install torchdistill==1.1.5
    python benchmarks/loss_speed.py --peer-python peers/bin/python

Both sides use one thread and take turns, round by round; a time (on the CPU: processor time) is the
median over rounds of the median over repeats. Memory is the most held at once beside the inputs,
gradients included. Maps are 8x8; rows of relational losses have as many features as there are
channels, and logits as many classes. Values of both sides are kept: they differ where the peer
leaves out a factor, or is not the paper's loss. `crd` is the scoring and the loss; the peer's also
updates its memory, 64 rows of it. `bss` attacks a teacher of one hidden layer from 64 maps
towards its second choices, and compares answers to what was found. What `grafting` does, once an
epoch, is no loss.
"""

from __future__ import annotations

import json
import platform
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import torch
from loss_peers import (
    CRD_ROWS,
    CRD_TEMPERATURE,
    PEERS,
    TEMPERATURE,
    Inputs,
    make_inputs,
    peak_bytes,
    seconds,
)
from rich.console import Console
from rich.table import Table
from torch import Tensor

from soft_students.methods import (
    ab_loss,
    at_loss,
    boundary_samples,
    cc_loss,
    crd_loss,
    dist_losses,
    dkd_losses,
    fsp_loss,
    ft_loss,
    hint_loss,
    kd_loss,
    nst_loss,
    pkt_loss,
    rkd_angle_loss,
    rkd_distance_loss,
    sp_loss,
    standardize_logits,
    ttm_loss,
    vid_loss,
)
from soft_students.methods.byot import exit_hint_loss
from soft_students.methods.cgan import discriminator_loss
from soft_students.methods.crd import similarities
from soft_students.methods.cskd import cskd_loss
from soft_students.methods.dafl import information_loss
from soft_students.methods.ddgsd import view_discrepancy, view_divergence
from soft_students.methods.dml import mutual_loss
from soft_students.persistence import atomic_write

RESULTS = Path(__file__).parent / "results" / "loss_speed.json"
N = 64
#: The broadcast of the peer would take gigabytes beyond.
MOST_CHANNELS = {"nst linear": 128, "nst poly": 128, "nst gaussian": 128}


def _crd(x: Inputs) -> Tensor:
    loss = torch.zeros(())
    for anchors, memory in ((x.student_vectors, x.memories[1]), (x.teacher_vectors, x.memories[0])):
        scores = similarities(anchors, memory, x.candidates) / CRD_TEMPERATURE
        normaliser = scores.detach().exp().mean().log() + torch.tensor(CRD_ROWS).log()
        loss = loss + crd_loss(scores - normaliser, CRD_ROWS)
    return loss


def _bss(x: Inputs) -> Tensor:
    targets = x.teacher(x.teacher_maps).topk(2).indices[:, 1]
    samples = boundary_samples(x.teacher, x.teacher_maps, targets, (-2.5, 2.5))
    return kd_loss(x.student_logits, x.teacher(samples), TEMPERATURE)


def _standardized(x: Inputs) -> Tensor:
    return kd_loss(
        standardize_logits(x.student_logits), standardize_logits(x.teacher_logits), TEMPERATURE
    )


def _rkd(x: Inputs) -> Tensor:
    return 25 * rkd_distance_loss(x.student_rows, x.teacher_rows) + 50 * rkd_angle_loss(
        x.student_rows, x.teacher_rows
    )


OURS: dict[str, Callable[[Inputs], Tensor]] = {
    "kd": lambda x: kd_loss(x.student_logits, x.teacher_logits, TEMPERATURE),
    "logit_std": _standardized,
    "dist": lambda x: sum(dist_losses(x.student_logits, x.teacher_logits, TEMPERATURE)),
    "dkd": lambda x: sum(dkd_losses(x.student_logits, x.teacher_logits, x.labels, TEMPERATURE)),
    "ttm": lambda x: ttm_loss(x.student_logits, x.teacher_logits),
    "wttm": lambda x: ttm_loss(x.student_logits, x.teacher_logits, weighted=True),
    "at": lambda x: at_loss(x.student_maps, x.teacher_maps),
    "ab": lambda x: ab_loss(x.student_before, x.teacher_before),
    "fitnet": lambda x: hint_loss(x.student_maps, x.teacher_maps),
    "fsp": lambda x: fsp_loss(
        [x.student_maps, x.student_maps_2], [x.teacher_maps, x.teacher_maps_2]
    ),
    "ft": lambda x: ft_loss(x.student_maps, x.teacher_maps),
    "vid": lambda x: vid_loss(x.student_maps, x.teacher_maps, x.student_variance),
    "pkt": lambda x: pkt_loss(x.student_rows, x.teacher_rows),
    "rkd": _rkd,
    "cc gaussian": lambda x: cc_loss(x.student_rows, x.teacher_rows),
    "cc gaussian, rows as they are": lambda x: cc_loss(x.student_rows, x.teacher_rows),
    "cc bilinear": lambda x: cc_loss(x.student_rows, x.teacher_rows, "bilinear"),
    "cc mmd": lambda x: cc_loss(x.student_rows, x.teacher_rows, "mmd"),
    "sp": lambda x: sp_loss(x.student_maps, x.teacher_maps),
    "nst linear": lambda x: nst_loss(x.student_maps, x.teacher_maps, "linear"),
    "nst poly": lambda x: nst_loss(x.student_maps, x.teacher_maps, "poly"),
    "nst gaussian": lambda x: nst_loss(x.student_maps, x.teacher_maps, "gaussian"),
    "crd": _crd,
    "bss": _bss,
    "cskd": lambda x: cskd_loss(x.student_logits, TEMPERATURE),
    "dml": lambda x: mutual_loss(x.student_logits, x.teacher_logits[None]),
    "byot hint": lambda x: exit_hint_loss(x.student_rows, x.teacher_rows),
    "ddgsd divergence": lambda x: view_divergence(x.student_logits),
    "ddgsd discrepancy": lambda x: view_discrepancy(x.student_rows),
    "dafl information": lambda x: information_loss(x.student_logits),
    "cgan discriminator": lambda x: discriminator_loss(
        x.teacher_logits, x.student_logits, x.labels
    ),
}


class Peer:
    """The other process.

    Parameters
    ----------
    python : str
        Its interpreter.
    """

    def __init__(self, python: str) -> None:
        script = Path(__file__).with_name("loss_peers.py")
        self._process = subprocess.Popen(
            [python, str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.torch = self._answer()["torch"]

    def ask(self, **request: Any) -> dict[str, Any]:
        """Return the answer to a request."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise click.ClickException(
                f"The peer {self._process.args[0]!r} ended. Is torchdistill installed there? "
                "See the head of this file."
            )
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)


def compare(
    case: str, channels: int, peer: Peer, device: str, rounds: int, repeats: int
) -> dict[str, Any]:
    """Measure one case on both sides; slow ones less often."""
    inputs = make_inputs(N, channels, device)
    loss = OURS[case]

    def ours() -> Tensor:
        return loss(inputs)

    seconds(ours, inputs, 2)
    theirs = peer.ask(case=case, n=N, channels=channels, device=device)
    peak = peak_bytes(ours, inputs)
    slow = seconds(ours, inputs, 1) + peer.ask(repeats=1)["seconds"]
    rounds, repeats = max(3, min(rounds, int(20 / slow))), max(1, min(repeats, int(1 / slow)))
    pairs = []
    for _ in range(rounds):
        mine = seconds(ours, inputs, repeats)
        pairs.append((mine, peer.ask(repeats=repeats)["seconds"]))
    return {
        "case": case,
        "channels": channels,
        "peer": PEERS[case][0],
        "rounds": rounds,
        "repeats": repeats,
        "milliseconds": round(1e3 * statistics.median(pair[0] for pair in pairs), 4),
        "peer_milliseconds": round(1e3 * statistics.median(pair[1] for pair in pairs), 4),
        "time_ratio": round(statistics.median(mine / other for mine, other in pairs), 3),
        "peak_bytes": peak,
        "peer_peak_bytes": theirs["peak_bytes"],
        "memory_ratio": round(peak / theirs["peak_bytes"], 3),
        "value": ours().item(),
        "peer_value": theirs["value"],
    }


@click.command()
@click.option("--peer-python", default=sys.executable, help="Interpreter that has torchdistill.")
@click.option("--channels", multiple=True, type=int, default=(64, 128, 256), show_default=True)
@click.option("--case", "cases", multiple=True, type=click.Choice(list(OURS)))
@click.option("--rounds", default=15, show_default=True)
@click.option("--repeats", default=10, show_default=True, help="In a round.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=RESULTS)
def main(
    peer_python: str,
    channels: tuple[int, ...],
    cases: tuple[str, ...],
    rounds: int,
    repeats: int,
    device: str,
    out: Path,
) -> None:
    """Time every loss beside its peer."""
    torch.set_num_threads(1)
    found = shutil.which(peer_python)
    if found is None:
        raise click.UsageError(f"There is no interpreter {peer_python!r}.")
    peer = Peer(found)
    results = [
        compare(case, width, peer, device, rounds, repeats)
        for case in cases or OURS
        for width in channels
        if width <= MOST_CHANNELS.get(case, width)
    ]
    peer.close()
    table = Table("loss", "channels", "peer", "ms", "peer ms", "time", "MB", "peer MB", "memory")
    for row in results:
        table.add_row(
            row["case"],
            str(row["channels"]),
            row["peer"],
            f"{row['milliseconds']:.3f}",
            f"{row['peer_milliseconds']:.3f}",
            f"{row['time_ratio']:.2f}",
            f"{row['peak_bytes'] / 1e6:.2f}",
            f"{row['peer_peak_bytes'] / 1e6:.2f}",
            f"{row['memory_ratio']:.2f}",
        )
    Console(width=120).print(table)
    device_name = torch.cuda.get_device_name() if device == "cuda" else platform.machine()
    report = {
        "torch": torch.__version__,
        "peer_torch": peer.torch,
        "python": platform.python_version(),
        "device": device_name,
        "threads": 1,
        "rows": N,
        "results": results,
    }
    with atomic_write(out) as file:
        file.write((json.dumps(report, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
