"""Feed a loader with many inputs, guided by coverage (atheris), in a process of its own.

    python -m tests.fuzz.run --loader bundle --runs 100000 --work fuzz-work

A crash, a hang of more than 5 s, memory beyond 1 GB, a run of code or an undocumented exception is
a finding: its input is kept in the work folder, and the run goes on in a new process. Started
again with the same work folder it goes on where it was. `--out` puts the figures of all loaders of
the work folder into one file.
"""

import argparse
import contextlib
import hashlib
import json
import mmap
import os
import resource
import signal
import struct
import sys
import time
import traceback
from pathlib import Path

from tests.fuzz.guard import CodeRun, Guard, cpu_seconds, resident_bytes

MAX_SECONDS = 5.0
MAX_BYTES = 2**30
_MAX_INPUT = 2**20
_RECYCLE = 900 * 2**20  # a process that has grown to this, input by input, is replaced
_ADDRESSES = 12 * 2**30  # beyond what a process has mapped once it is ready
_LINES = 2**16

# What parent and child share: executions, length of the input, whether in it, then the input, then
# lines that the child tells.
_HEAD = struct.Struct("<QQQQ")
_TOLD = _HEAD.size + _MAX_INPUT


class Shared:
    """Memory that outlives the child."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, _TOLD + _LINES)

    def begin(self, count: int, data: bytes) -> None:
        self.memory[_HEAD.size : _HEAD.size + len(data)] = data
        _HEAD.pack_into(self.memory, 0, count, len(data), 1, 0)

    def end(self, count: int) -> None:
        _HEAD.pack_into(self.memory, 0, count, 0, 0, 0)

    def state(self) -> tuple[int, int, bool]:
        count, length, inside, _ = _HEAD.unpack_from(self.memory, 0)
        return count, length, bool(inside)

    def input(self) -> bytes:
        return self.memory[_HEAD.size : _HEAD.size + self.state()[1]]

    def tell(self, value: object) -> None:
        text = json.dumps(value).encode()[: _LINES - 8]
        self.memory[_TOLD : _TOLD + 8 + len(text)] = struct.pack("<Q", len(text)) + text

    def told(self) -> dict:
        (length,) = struct.unpack_from("<Q", self.memory, _TOLD)
        return json.loads(self.memory[_TOLD + 8 : _TOLD + 8 + length] or b"{}")


def child(name: str, runs: int, seed: int, folder: Path, shared: Shared) -> None:
    """Run inputs until there were `runs`; never returns."""
    import atheris

    with atheris.instrument_imports(include=["soft_students", "softkd"]):
        import soft_students.datasets
        import soft_students.explain
        import soft_students.export
        import soft_students.labelled
        import soft_students.persistence
        import soft_students.students
        import soft_students.teachers  # noqa: F401
        import softkd.parameter_types  # noqa: F401
    from random import Random

    from tests.fuzz import loaders

    loader = loaders.LOADERS[name]
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    seeds = loader.seeds()
    received: dict[str, int] = {}
    for data in [*seeds, b"", b"\0"]:
        with contextlib.suppress(*loader.documented):
            loader.run(data)
        (corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    guard = Guard(str(loaders._folder()))
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + _ADDRESSES,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    count = shared.state()[0]
    peak = resident_bytes()
    random = Random(seed)

    def one(data: bytes) -> None:
        nonlocal count, peak
        data = data[:_MAX_INPUT]
        if resident_bytes() > _RECYCLE:
            shared.tell({"received": received, "peak": peak, "why": "recycle"})
            os._exit(0)
        shared.begin(count, data)
        guard.enter()
        found = None
        try:
            how = loader.run(data)
        except CodeRun:
            how = "code run"
        except BaseException as error:
            how = type(error).__name__
            at = traceback.extract_tb(error.__traceback__)[-1]
            inner = [
                f for f in traceback.extract_tb(error.__traceback__) if "soft_students" in f[0]
            ]
            where = inner[-1] if inner else at
            message = f"{where.name} in {Path(where.filename).name}: {error!s:.200}"
            found = {"kind": "undocumented exception", "what": how, "where": message}
        broken = guard.leave()
        if broken is not None:
            found = {"kind": "code run", "what": broken, "where": ""}
        count += 1
        received[how] = received.get(how, 0) + 1
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        peak = max(peak, after)
        if peak > MAX_BYTES:
            found = {"kind": "memory", "what": f"{peak} bytes", "where": ""}
        if found:
            keep(folder, found, data)
        shared.end(count)
        if count % 16 == 0 or count >= runs:
            shared.tell({"received": received, "peak": peak, "why": "done"})
        if count >= runs or peak > MAX_BYTES:
            shared.tell({"received": received, "peak": peak, "why": "done"})
            os._exit(0)

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        if not data or random.random() < 0.05:
            data = random.choice(seeds)
        if random.random() < 0.15:
            return atheris.Mutate(data, max_size)
        try:
            return loader.mutate(data, random)[:max_size]
        except Exception:
            traceback.print_exc()
            return atheris.Mutate(data, max_size)

    options = [
        *(f"-max_len={_MAX_INPUT}", f"-seed={seed}", "-rss_limit_mb=0", "-timeout=3600"),
        *("-detect_leaks=0", "-verbosity=0", "-print_final_stats=0", f"-artifact_prefix={folder}/"),
        *("-len_control=0", "-reload=0", "-use_value_profile=0"),
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], one, custom_mutator=mutate)
    atheris.Fuzz()
    os._exit(0)


def keep(folder: Path, found: dict, data: bytes) -> None:
    """Write a finding, one of each kind and place."""
    short = found["what"] if found["kind"] != "memory" else ""
    place = found["where"].partition(":")[0]
    name = hashlib.sha256(f"{found['kind']} {short:.40} {place}".encode()).hexdigest()[:12]
    findings = folder / "findings"
    findings.mkdir(parents=True, exist_ok=True)
    if not (findings / f"{name}.json").exists():
        (findings / f"{name}.bin").write_bytes(data)
        (findings / f"{name}.json").write_text(json.dumps(found))


def watch(pid: int, folder: Path, shared: Shared) -> None:
    """Wait for the child; end it where one input takes too long or too much."""
    last, since = -1, 0.0
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            break
        time.sleep(0.02)
        with contextlib.suppress(OSError, IndexError):
            count, _, inside = shared.state()
            used = cpu_seconds(pid)
            if not inside or count != last:
                last, since = count, used
                continue
            found = None
            if used - since > MAX_SECONDS:
                found = {"kind": "hang", "what": f"more than {MAX_SECONDS} s", "where": ""}
            if resident_bytes(pid) > MAX_BYTES:
                found = {"kind": "memory", "what": "ended while it grew", "where": ""}
            if found:
                keep(folder, found, shared.input())
                os.kill(pid, signal.SIGKILL)
                _, status = os.waitpid(pid, 0)
                _passed(shared)
                return
    if shared.state()[2]:
        how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit {status >> 8}"
        keep(folder, {"kind": "crash", "what": how, "where": ""}, shared.input())
        _passed(shared)


def _passed(shared: Shared) -> None:
    """Count the input that a child did not live through."""
    shared.end(shared.state()[0] + 1)


def run(name: str, runs: int, work: Path) -> dict:
    """Run one loader to so many inputs in all; return its figures."""
    folder = work / name
    folder.mkdir(parents=True, exist_ok=True)
    state_path = folder / "state.json"
    state = {"executions": 0, "seconds": 0.0, "peak_bytes": 0, "received": {}, "processes": 0}
    if state_path.exists():
        state = json.loads(state_path.read_text())
    while state["executions"] < runs:
        shared = Shared()
        shared.end(state["executions"])
        started = time.monotonic()
        pid = os.fork()
        if pid == 0:
            try:
                child(name, runs, 1 + state["processes"], folder, shared)
            except BaseException:
                traceback.print_exc()
            os._exit(70)
        watch(pid, folder, shared)
        count, told = shared.state()[0], shared.told()
        if count == state["executions"] and not told:
            raise SystemExit(f"{name}: the child ended before its first input")
        state["executions"] = count
        state["seconds"] += time.monotonic() - started
        state["peak_bytes"] = max(state["peak_bytes"], told.get("peak", 0))
        state["processes"] += 1
        for how, times in told.get("received", {}).items():
            state["received"][how] = state["received"].get(how, 0) + times
        state_path.write_text(json.dumps(state))
    return state


def summary(work: Path) -> dict:
    """Return the figures of every loader of a work folder."""
    figures = {}
    for path in sorted(work.glob("*/state.json")):
        state = json.loads(path.read_text())
        found = [json.loads(each.read_text()) for each in path.parent.glob("findings/*.json")]
        figures[path.parent.name] = {
            "executions": state["executions"],
            "seconds": round(state["seconds"], 1),
            "peak_mb": round(state["peak_bytes"] / 2**20),
            "processes": state["processes"],
            "received": dict(sorted(state["received"].items(), key=lambda item: -item[1])),
            "corpus_files": sum(1 for _ in path.parent.glob("corpus/*")),
            "corpus_bytes": sum(each.stat().st_size for each in path.parent.glob("corpus/*")),
            "findings": sorted(found, key=lambda each: each["kind"]),
        }
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--loader", action="append", default=[], help="may be repeated")
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--work", type=Path, required=True, help="corpus, findings, state")
    parser.add_argument("--out", type=Path, help="JSON file of all figures")
    options = parser.parse_args()
    for name in options.loader:
        state = run(name, options.runs, options.work)
        rate = state["executions"] / max(state["seconds"], 1e-9)
        print(
            f"{name}: {state['executions']} inputs, {rate:.0f}/s, {state['received']}", flush=True
        )
    if options.out:
        limits = {"seconds": MAX_SECONDS, "bytes": MAX_BYTES}
        content = {"limits": limits, "loaders": summary(options.work)}
        options.out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
