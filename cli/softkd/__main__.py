"""The command `softkd`: this file only wires."""

from __future__ import annotations

import difflib
import errno
import os
import time
import warnings
from importlib import import_module
from typing import Any

import click

_COMMANDS = (
    "teach",
    "label",
    "distill",
    "evaluate",
    "compare",
    "report",
    "predict",
    "explain",
    "explore",
    "quantify",
    "export",
    "serve",
    "reproduce",
    "info",
    "students",
    "methods",
    "datasets",
)

#: What the library raises when the user can put it right; the text says how.
_USER_ERRORS = (ValueError, TypeError, OSError, ImportError, ArithmeticError)

#: Seconds within which torchrun ends the processes of a host of which one has failed.
_TORCHRUN_PATIENCE = 5


class Commands(click.Group):
    """A group whose failures are one line, and a traceback only with ``--debug``.

    A command is imported when it is called for, since torch takes seconds to import.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which one needs them."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command: the function ``name`` of the module ``softkd.commands.name``."""
        if cmd_name not in _COMMANDS:
            return None
        return getattr(import_module(f"softkd.commands.{cmd_name}"), cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or the one that was meant."""
        near = difflib.get_close_matches(args[0], _COMMANDS, n=1)
        if near and args[0] not in _COMMANDS:
            ctx.fail(f"No such command '{args[0]}'. Did you mean '{near[0]}'?")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            try:
                return super().invoke(ctx)
            except KeyboardInterrupt:
                if _is_first_of_host():
                    click.echo("Interrupted. Files are written whole or not at all.", err=True)
                ctx.exit(130)  # what a shell reports of a process that SIGINT ended
            except click.ClickException:
                _leave_it_to_the_first()
                raise
            except (click.exceptions.Exit, click.Abort):
                raise
            except Exception as error:
                # click ends quietly where the reader of a pipe has gone
                if ctx.params["debug"] or getattr(error, "errno", None) == errno.EPIPE:
                    raise
                _leave_it_to_the_first()
                raise click.ClickException(_one_line(error)) from error


def _is_first_of_host() -> bool:
    """Tell whether this process speaks, if ``torchrun`` has started several on this host."""
    return "TORCHELASTIC_RUN_ID" not in os.environ or os.environ["LOCAL_RANK"] == "0"


def _leave_it_to_the_first() -> None:
    """Wait to be ended by ``torchrun`` if all its processes fail in the same way: one tells it."""
    if not _is_first_of_host():
        time.sleep(_TORCHRUN_PATIENCE)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    if text and isinstance(error, _USER_ERRORS):
        return text
    return f"Unexpected {type(error).__name__}: {text} ('softkd --debug ...' shows where.)"


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"Warning: {' '.join(str(message).split())}", err=True)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@click.version_option(package_name="soft-students", prog_name="softkd")
def main(debug: bool) -> None:
    """Distil a neural network into a small, fast, readable student."""


if __name__ == "__main__":
    main()
