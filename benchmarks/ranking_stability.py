"""Which normalization keeps the winner when a student leaves, joins, or is measured again.

Random comparisons of three to eight students by accuracy, latency and bytes, with random weights:
accuracies spread by up to a tenth, costs over one to three powers of ten, the more accurate
students being the more expensive ones as a rule. Each is ranked by each method and normalization,
and ranked again

- without one student that did not win, each in turn (`leaves`: any of them changes the winner),
- with a further one that is worse than all in each criterion (`hopeless`),
- with accuracies drawn again for 500 rows, and latencies that vary by a tenth (`again`).

The figures are shares of comparisons whose winner changes: less is more stable. Run, on one thread:

    OMP_NUM_THREADS=1 python benchmarks/ranking_stability.py

``--table`` then puts the table into docs/compare.md.
"""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from pathlib import Path

import click
import numpy as np
from markdown import put_into, table

from soft_students.ranking import METHODS
from soft_students.ranking.scores import NORMALIZATIONS, normalized
from soft_students.studies.parts import write_json

RESULTS = Path(__file__).parent / "results" / "ranking_stability.json"
PAGE = Path(__file__).parents[1] / "docs" / "compare.md"
CRITERIA = ["accuracy", "latency_us", "bytes"]
HIGHER = np.array([True, False, False])
CHANGES = ("leaves", "hopeless", "again")
ROWS = 500


def comparison(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of some students, and weights."""
    n = int(rng.integers(3, 9))
    skill = rng.random(n)
    accuracy = rng.uniform(0.6, 0.97) - rng.uniform(0.005, 0.1) * (1 - skill)
    costs = []
    for _ in range(2):
        exponent = 0.5 * skill + 0.5 * rng.random(n)
        costs.append(rng.uniform(20, 1000) * 10 ** (rng.uniform(1, 3) * exponent))
    return np.stack([accuracy, *costs], axis=1), rng.dirichlet(np.ones(3))


def winner(values: np.ndarray, weights: np.ndarray, method: str, normalization: str) -> int:
    scores = METHODS[method][0](normalized(values, HIGHER, normalization, CRITERIA), weights)
    return int(np.argmax(scores))


def changes(
    values: np.ndarray, weights: np.ndarray, method: str, normalization: str, seed: int
) -> list[bool]:
    """Return whether the winner changes, by each of `CHANGES`."""
    first = winner(values, weights, method, normalization)

    def left(gone: int) -> bool:
        rest = np.delete(np.arange(len(values)), gone)
        return rest[winner(values[rest], weights, method, normalization)] != first

    leaves = any(left(gone) for gone in range(len(values)) if gone != first)
    worst = [values[:, 0].min() - 0.2, *(5 * values[:, 1:].max(axis=0))]
    hopeless = winner(np.vstack([values, worst]), weights, method, normalization) != first
    rng = np.random.default_rng(seed)
    again = values.copy()
    again[:, 0] = rng.binomial(ROWS, values[:, 0].clip(0, 1)) / ROWS
    again[:, 1] *= np.exp(0.1 * rng.normal(size=len(values)))
    return [leaves, hopeless, winner(again, weights, method, normalization) != first]


@click.command()
@click.option("--comparisons", default=300, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=RESULTS)
@click.option("--table", "only_table", is_flag=True, help="Run nothing; put the table into docs.")
def main(comparisons: int, out: Path, only_table: bool) -> None:
    """Run all, and write the shares."""
    if only_table:
        shares = json.loads(out.read_text())["shares"]
        lines = [
            [f"`{row['method']}`", f"`{row['normalization']}`", *(f"{row[c]:.1%}" for c in CHANGES)]
            for row in shares
        ]
        headings = ["method", "normalization", "a student leaves", "a hopeless one joins", "again"]
        put_into(PAGE, "ranking stability", table(headings, lines))
        return
    rng = np.random.default_rng(0)
    cases = [comparison(rng) for _ in range(comparisons)]
    shares = []
    for method in ("topsis", "index"):
        for normalization in NORMALIZATIONS:
            found = [changes(*case, method, normalization, seed) for seed, case in enumerate(cases)]
            mean = np.mean(found, axis=0).round(4).tolist()
            shares.append(
                {"method": method, "normalization": normalization}
                | dict(zip(CHANGES, mean, strict=True))
            )
            click.echo(shares[-1], err=True)
    environment = {"python": platform.python_version(), "pymcdm": version("pymcdm")}
    write_json(out, {"comparisons": comparisons, "environment": environment, "shares": shares})


if __name__ == "__main__":
    main()
