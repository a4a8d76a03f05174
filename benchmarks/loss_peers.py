"""Losses of distillation as they are straightforwardly written, measured by who can import them.

PyPI's ``torchdistill`` stands for most; what it lacks is restated here, in plain torch. The file
imports nothing of soft_students, so that an interpreter without it can run it: loss_speed.py starts

    PEER_PYTHON benchmarks/loss_peers.py

and asks on standard input for one measurement a line.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

TEMPERATURE = 4.0
CRD_ROWS, CRD_NEGATIVES, CRD_TEMPERATURE, CRD_SIZE = 10_000, 4096, 0.07, 128

Loss = Callable[[], Tensor]


@dataclass(frozen=True)
class Inputs:
    """What losses compare; names that begin with "student" are leaves with gradients."""

    student_maps: Tensor  # (n, c, 8, 8), after an activation
    student_maps_2: Tensor
    student_before: Tensor  # before the activation
    student_rows: Tensor  # (n, c)
    student_logits: Tensor  # (n, c)
    student_variance: Tensor  # (c,)
    student_vectors: Tensor  # (n, 128), of unit length
    teacher_maps: Tensor
    teacher_maps_2: Tensor
    teacher_before: Tensor
    teacher_rows: Tensor
    teacher_logits: Tensor
    teacher_vectors: Tensor
    labels: Tensor
    memories: Tensor  # (2, N, 128)
    positives: Tensor  # (n,)
    candidates: Tensor  # (n, 1 + k)
    teacher_weights: Tensor  # (64 c, 256), of a teacher of maps with one hidden layer
    teacher_head: Tensor  # (256, c)

    def teacher(self, maps: Tensor) -> Tensor:
        """Return a small teacher's logits for maps."""
        return (maps.flatten(1) @ self.teacher_weights).relu() @ self.teacher_head

    def leaves(self) -> list[Tensor]:
        """Return the student's tensors."""
        return [getattr(self, f.name) for f in fields(self) if f.name.startswith("student")]


def make_inputs(n: int, channels: int, device: str) -> Inputs:
    """Return the same numbers in every process."""
    generator = torch.Generator().manual_seed(channels)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    maps = [normal(n, channels, 8, 8) for _ in range(4)]
    rows = [normal(n, channels) for _ in range(4)]
    vectors = [F.normalize(normal(n, CRD_SIZE)) for _ in range(2)]
    positives = torch.randint(CRD_ROWS, (n,), generator=generator)
    drawn = torch.randint(CRD_ROWS, (n, CRD_NEGATIVES), generator=generator)
    made = {
        "student_maps": maps[0].relu(),
        "student_maps_2": maps[1].relu(),
        "student_before": maps[0],
        "student_rows": rows[0].relu(),
        "student_logits": 3 * rows[1],
        "student_variance": torch.rand(channels, generator=generator) + 0.5,
        "student_vectors": vectors[0],
        "teacher_maps": maps[2].relu(),
        "teacher_maps_2": maps[3].relu(),
        "teacher_before": maps[2],
        "teacher_rows": rows[2].relu(),
        "teacher_logits": 3 * rows[3],
        "teacher_vectors": vectors[1],
        # the discriminator of cgan has two columns more than there are classes
        "labels": torch.randint(channels - 2, (n,), generator=generator),
        "memories": F.normalize(normal(2, CRD_ROWS, CRD_SIZE), dim=2),
        "positives": positives,
        "candidates": torch.cat([positives[:, None], drawn], 1),
        "teacher_weights": normal(64 * channels, 256) / (64 * channels) ** 0.5,
        "teacher_head": normal(256, channels) / 16,
    }
    made = {name: tensor.to(device) for name, tensor in made.items()}
    for name in made:
        if name.startswith("student"):
            made[name] = made[name].clone().requires_grad_()
    return Inputs(**made)


def seconds(loss: Loss, inputs: Inputs, repeats: int) -> float:
    """Return the time of one forward and backward pass, gradients of the student made anew.

    On the CPU it is the processor time of the process, which is on one thread: what else the
    machine does counts less. (Not of this thread: the backward pass has one of its own.)
    """
    leaves = inputs.leaves()
    device = leaves[0].device
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    times = []
    for _ in range(repeats):
        for leaf in leaves:
            leaf.grad = None
        _wait(device)
        start = clock()
        loss().backward()
        _wait(device)
        times.append(clock() - start)
    return statistics.median(times)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_bytes(loss: Loss, inputs: Inputs) -> int:
    """Return the most that one forward and backward pass holds, gradients included.

    On the CPU from every allocation of torch's allocator that the profiler records.
    """
    for leaf in inputs.leaves():
        leaf.grad = None
    device = inputs.leaves()[0].device
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        loss().backward()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        loss().backward()
    events = [
        (event.start_ns(), event.nbytes())
        for event in recorded.profiler.kineto_results.events()
        if event.name() == "[memory]"
    ]
    held = peak = 0
    for _, change in sorted(events, key=lambda event: event[0]):
        held += change
        peak = max(peak, held)
    return peak


def _seen(tensor: Tensor) -> dict[str, dict[str, Tensor]]:
    """Return a tensor in the dictionaries that torchdistill reads."""
    return {"x": {"output": tensor, "input": tensor}}


_PATHS = ("x", "output", "x", "output")  # student's and teacher's
_PAIR = {name: {"io": "output", "path": "x"} for name in ("student", "teacher")}


def _torchdistill(
    name: str, what: str, *positional: Any, **parameters: Any
) -> Callable[[Inputs], Loss]:
    """Return what makes one of its losses of two tensors, the student's and the teacher's."""

    def make(inputs: Inputs) -> Loss:
        from torchdistill.losses import mid_level

        loss = getattr(mid_level, name)(*positional, **parameters)
        student = _seen(getattr(inputs, f"student_{what}"))
        teacher = _seen(getattr(inputs, f"teacher_{what}"))
        return lambda: loss(student, teacher)

    return make


def _fsp(inputs: Inputs) -> Loss:
    from torchdistill.losses.mid_level import FSPLoss

    places = {
        f"{who}_{which}": {"io": which, "path": "x"}
        for who in ("student", "teacher")
        for which in ("first", "second")
    }
    loss = FSPLoss({"pair": places})
    student = {"x": {"first": inputs.student_maps, "second": inputs.student_maps_2}}
    teacher = {"x": {"first": inputs.teacher_maps, "second": inputs.teacher_maps_2}}
    return lambda: loss(student, teacher)


def _vid(inputs: Inputs) -> Loss:
    from torchdistill.losses.mid_level import VIDLoss

    loss = VIDLoss({"pair": _PAIR})
    teacher = _seen(inputs.teacher_maps)

    def value() -> Tensor:
        variance = inputs.student_variance.view(1, -1, 1, 1)
        return loss({"x": {"output": (inputs.student_maps, variance)}}, teacher)

    return value


def _ft(inputs: Inputs) -> Loss:
    from torchdistill.losses.mid_level import FTLoss

    loss = FTLoss(paraphraser_path="x", translator_path="x")
    student, teacher = _seen(inputs.student_maps), _seen(inputs.teacher_maps)
    return lambda: loss(student, teacher)


def _crd(inputs: Inputs) -> Loss:
    from torchdistill.losses.mid_level import CRDLoss

    loss = CRDLoss(
        "x", "rows", "x", CRD_SIZE, CRD_ROWS, CRD_NEGATIVES, CRD_ROWS, CRD_TEMPERATURE
    ).to(inputs.memories.device)
    loss.memory_v1.copy_(inputs.memories[0])
    loss.memory_v2.copy_(inputs.memories[1])
    rows = {"pos_idx": inputs.positives, "contrast_idx": inputs.candidates}
    student = _seen(inputs.student_vectors) | {"rows": {"input": rows}}
    teacher = _seen(inputs.teacher_vectors)

    def value() -> Tensor:
        loss.memory_v1[inputs.positives] = inputs.memories[0][inputs.positives]
        loss.memory_v2[inputs.positives] = inputs.memories[1][inputs.positives]
        return loss(student, teacher).sum()

    return value


def _nst(kernel: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Inputs], Loss]:
    """All pairs of channels by broadcasting, as RepDistiller and KD-Zoo do."""

    def make(inputs: Inputs) -> Loss:
        def value() -> Tensor:
            s = F.normalize(inputs.student_maps.flatten(2), dim=2)
            t = F.normalize(inputs.teacher_maps.flatten(2), dim=2)
            constant = kernel(t, t).mean().detach()
            return constant + kernel(s, s).mean() - 2 * kernel(s, t).mean()

        return value

    return make


def _pairs_linear(a: Tensor, b: Tensor) -> Tensor:
    return (a[:, None] * b[:, :, None]).sum(-1)


def _pairs_poly(a: Tensor, b: Tensor) -> Tensor:
    return _pairs_linear(a, b).pow(2)


def _nst_gaussian(inputs: Inputs) -> Loss:
    def distances(a: Tensor, b: Tensor) -> Tensor:
        return (a[:, None] - b[:, :, None]).pow(2).sum(-1)

    def value() -> Tensor:
        s = F.normalize(inputs.student_maps.flatten(2), dim=2)
        t = F.normalize(inputs.teacher_maps.flatten(2), dim=2)
        between = distances(s, t)
        width = 2 * between.detach().mean((1, 2), keepdim=True)
        own = torch.exp(-distances(s, s) / width).mean()
        constant = torch.exp(-distances(t, t) / width).mean().detach()
        return constant + own - 2 * torch.exp(-between / width).mean()

    return value


def _divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    log_s = F.log_softmax(student / temperature, dim=1)
    p_t = F.softmax(teacher / temperature, dim=1)
    return temperature**2 * F.kl_div(log_s, p_t, reduction="batchmean")


def _cc_gaussian(inputs: Inputs) -> Loss:
    def correlations(rows: Tensor) -> Tensor:
        rows = F.normalize(rows)
        products = rows @ rows.t()
        total = torch.zeros_like(products)
        for p in range(3):
            total = total + math.exp(-0.8) * 0.8**p / math.factorial(p) * products.pow(p)
        return total

    return lambda: F.mse_loss(correlations(inputs.student_rows), correlations(inputs.teacher_rows))


def _cc_mmd(inputs: Inputs) -> Loss:
    def correlations(rows: Tensor) -> Tensor:
        means = rows.mean(1)
        return (means.unsqueeze(0) - means.unsqueeze(1)).abs()

    return lambda: F.mse_loss(correlations(inputs.student_rows), correlations(inputs.teacher_rows))


def _dkd(inputs: Inputs) -> Loss:
    own = F.one_hot(inputs.labels, inputs.student_logits.shape[1]).bool()

    def two(logits: Tensor) -> Tensor:
        p = F.softmax(logits / TEMPERATURE, dim=1)
        return torch.stack([(p * own).sum(1), (p * ~own).sum(1)], dim=1)

    def value() -> Tensor:
        student, teacher = inputs.student_logits, inputs.teacher_logits
        target = F.kl_div(two(student).log(), two(teacher), reduction="batchmean")
        others = _divergence(
            student - 1000 * TEMPERATURE * own, teacher - 1000 * TEMPERATURE * own, TEMPERATURE
        )
        return TEMPERATURE**2 * target + others

    return value


def _ttm(weighted: bool) -> Callable[[Inputs], Loss]:
    def make(inputs: Inputs) -> Loss:
        def value() -> Tensor:
            powers = F.softmax(inputs.teacher_logits, dim=1).pow(0.1)
            mass = powers.sum(1)
            p_t = powers / mass[:, None]
            log_s = F.log_softmax(inputs.student_logits, dim=1)
            divergence = F.kl_div(log_s, p_t, reduction="none").sum(1)
            return (mass * divergence).mean() if weighted else divergence.mean()

        return value

    return make


def _bss(inputs: Inputs) -> Loss:
    """Take all rows through every step, as the authors' code does."""

    def value() -> Tensor:
        x = inputs.teacher_maps
        bases, targets = inputs.teacher(x).topk(2).indices.split(1, dim=1)
        for _ in range(10):
            x = x.detach().requires_grad_()
            logits = inputs.teacher(x)
            still = logits.argmax(1, keepdim=True) == bases
            if not still.any():
                break
            ahead = logits.gather(1, targets) - logits.gather(1, bases)
            (gradient,) = torch.autograd.grad(ahead.sum(), x)
            length = gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
            step = 0.3 * ((1e-4 - ahead) * still).view(-1, 1, 1, 1) * gradient / length
            x = (x + step).clamp(-2.5, 2.5)
        said = inputs.teacher(x).detach()
        return _divergence(inputs.student_logits, said, TEMPERATURE)

    return value


def _cskd(inputs: Inputs) -> Loss:
    def value() -> Tensor:
        first, second = inputs.student_logits.chunk(2)
        loss = _divergence(first, second.detach(), TEMPERATURE)
        return (loss + _divergence(second, first.detach(), TEMPERATURE)) / 2

    return value


def _view_divergence(inputs: Inputs) -> Loss:
    def value() -> Tensor:
        a, b = inputs.student_logits.chunk(2)
        log_a, log_b = F.log_softmax(a, dim=1), F.log_softmax(b, dim=1)
        p_a, p_b = F.softmax(a, dim=1), F.softmax(b, dim=1)
        return F.kl_div(log_a, p_b, reduction="batchmean") + F.kl_div(
            log_b, p_a, reduction="batchmean"
        )

    return value


def _view_discrepancy(inputs: Inputs) -> Loss:
    def value() -> Tensor:
        a, b = inputs.student_rows.chunk(2)
        return (a.mean(0) - b.mean(0)).pow(2).sum()

    return value


def _information(inputs: Inputs) -> Loss:
    def value() -> Tensor:
        mean = F.softmax(inputs.student_logits, dim=1).mean(0)
        return (mean * mean.log()).sum()

    return value


def _discriminator(inputs: Inputs) -> Loss:
    ours = torch.zeros(len(inputs.labels), dtype=torch.int64, device=inputs.labels.device)
    labels = inputs.labels

    def value() -> Tensor:
        student, teacher = inputs.student_logits, inputs.teacher_logits
        source = F.cross_entropy(teacher[:, :2], ours) + F.cross_entropy(student[:, :2], ours + 1)
        known = F.cross_entropy(teacher[:, 2:], labels) + F.cross_entropy(student[:, 2:], labels)
        return (source + known) / 2

    return value


#: By case of loss_speed.py: who wrote it, and what makes the loss. RESTATED is plain torch.
RESTATED = "restated"
PEERS: dict[str, tuple[str, Callable[[Inputs], Loss]]] = {
    "kd": ("torchdistill", _torchdistill("KDLoss", "logits", *_PATHS, TEMPERATURE, beta=1.0)),
    "logit_std": (
        "torchdistill",
        _torchdistill("LogitStdKDLoss", "logits", *_PATHS, TEMPERATURE, beta=1.0),
    ),
    "dist": ("torchdistill", _torchdistill("DISTLoss", "logits", *_PATHS, tau=TEMPERATURE)),
    "dkd": (RESTATED, _dkd),
    "ttm": (RESTATED, _ttm(weighted=False)),
    "wttm": (RESTATED, _ttm(weighted=True)),
    "at": ("torchdistill", _torchdistill("ATLoss", "maps", {"pair": _PAIR})),
    "ab": (
        "torchdistill",
        _torchdistill("AltActTransferLoss", "before", {"pair": _PAIR}, 1.0, "mean"),
    ),
    "fitnet": (RESTATED, lambda x: lambda: F.mse_loss(x.student_maps, x.teacher_maps) / 2),
    "fsp": ("torchdistill", _fsp),
    "ft": ("torchdistill", _ft),
    "vid": ("torchdistill", _vid),
    "pkt": ("torchdistill", _torchdistill("PKTLoss", "rows", *_PATHS)),
    "rkd": ("torchdistill", _torchdistill("RKDLoss", "rows", "x", "x", 25.0, 50.0, "mean")),
    "cc gaussian": (RESTATED, _cc_gaussian),
    "cc gaussian, rows as they are": (
        "torchdistill",
        _torchdistill(
            "CCKDLoss",
            "rows",
            "x",
            "x",
            {"type": "gaussian", "gamma": 0.4, "max_p": 2},
            "batchmean",
        ),
    ),
    "cc bilinear": (
        "torchdistill",
        _torchdistill("CCKDLoss", "rows", "x", "x", {"type": "bilinear"}, "batchmean"),
    ),
    "cc mmd": (RESTATED, _cc_mmd),
    "sp": ("torchdistill", _torchdistill("SPKDLoss", "maps", "x", "x", "batchmean")),
    "nst linear": (RESTATED, _nst(_pairs_linear)),
    "nst poly": (RESTATED, _nst(_pairs_poly)),
    "nst gaussian": (RESTATED, _nst_gaussian),
    "crd": ("torchdistill", _crd),
    "bss": (RESTATED, _bss),
    "cskd": (RESTATED, _cskd),
    "dml": (RESTATED, lambda x: lambda: _divergence(x.student_logits, x.teacher_logits, 1.0)),
    "byot hint": (
        RESTATED,
        lambda x: lambda: (x.student_rows - x.teacher_rows).pow(2).sum(1).mean(),
    ),
    "ddgsd divergence": (RESTATED, _view_divergence),
    "ddgsd discrepancy": (RESTATED, _view_discrepancy),
    "dafl information": (RESTATED, _information),
    "cgan discriminator": (RESTATED, _discriminator),
}


def serve() -> None:
    """Answer requests, one JSON object a line: what to measure, or how to set up the next."""
    torch.set_num_threads(1)
    inputs, loss = None, None
    print(json.dumps({"torch": torch.__version__}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        answer: dict[str, Any] = {}
        if "case" in request:
            inputs, loss = None, None  # the last one goes first
            inputs = make_inputs(request["n"], request["channels"], request["device"])
            loss = PEERS[request["case"]][1](inputs)
            seconds(loss, inputs, 2)
            answer = {"value": loss().item(), "peak_bytes": peak_bytes(loss, inputs)}
        else:
            assert inputs is not None
            assert loss is not None
            answer = {"seconds": seconds(loss, inputs, request["repeats"])}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve()
