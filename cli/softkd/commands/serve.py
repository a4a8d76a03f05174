"""`softkd serve`: a student behind HTTP."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

_VARIABLE = "SOFTKD_TOKEN"


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; one that other machines can reach needs a token.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8000,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help=f"File with the token that clients must send [default: ${_VARIABLE}, else none].",
)
@click.option(
    "--max-body-bytes",
    type=click.IntRange(min=1),
    default=1_048_576,
    show_default=True,
    help="Largest body of a request.",
)
@click.option(
    "--max-rows",
    type=click.IntRange(min=1),
    default=1_000,
    show_default=True,
    help="Most rows of a request.",
)
@click.option(
    "--max-queued-rows",
    type=click.IntRange(min=1),
    default=2_000,
    show_default=True,
    help="Rows that may wait; beyond that, requests get 503.",
)
@click.option(
    "--max-connections",
    type=click.IntRange(min=1),
    default=256,
    show_default=True,
    help="Connections open at the same time; beyond that, requests get 503.",
)
@click.option(
    "--read-timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    help="Seconds within which a client must send its request.",
)
@click.option(
    "--answer-timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=5.0,
    show_default=True,
    help="Seconds that a request may wait for its answer.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Threads per prediction.",
)
@click.option("--trust", is_flag=True, help="Allow a pickled student, which can run code.")
def serve(
    file: str,
    host: str,
    port: int,
    token_file: Path | None,
    threads: int,
    trust: bool,
    **limits: Any,
) -> None:
    """Serve the predictions of a student FILE over HTTP.

    SIGTERM or Ctrl-C end it.

    POST /predict takes {"rows": [[...], ...]}; POST /explain takes one row, if the student explains
    its predictions; GET reads /health, /metrics (Prometheus) and /openapi.json. docs/serve.md has
    examples.
    """
    from soft_students.serving import LOOPBACK_HOSTS, Limits, create_app, listen, run
    from soft_students.students.files import load

    token = _read_token(token_file)
    try:
        checked = Limits(**limits)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    student = load(file, trust=trust)
    shown = f"[{host}]" if ":" in host else host
    app = create_app(
        student,
        limits=checked,
        token=token,
        hosts=(*LOOPBACK_HOSTS, shown) if token is None else None,
        threads=threads,
    )
    listener = listen(host, port, guarded=token is not None)
    click.echo(
        f"Serving {type(student).__name__} on http://{shown}:{listener.getsockname()[1]}", err=True
    )
    run(app, listener)


def _read_token(path: Path | None) -> str | None:
    from soft_students.serving.guard import check_token

    if path is None:
        token, source = os.environ.get(_VARIABLE), f"${_VARIABLE}"
        if token is None:
            return None
    else:
        token, source = path.read_text(encoding="utf-8", errors="replace").strip(), f"'{path}'"
    try:
        return check_token(token)
    except ValueError as error:
        raise click.UsageError(f"{source}: {error}") from error
