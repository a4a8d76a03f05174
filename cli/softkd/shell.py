"""The group `softkd`: finds commands, and turns failures into one line and an exit code."""

from __future__ import annotations

import errno
import sys
import time
import warnings
from importlib import import_module
from typing import Any

import click

from soft_students.choices import did_you_mean
from softkd import end_of_ctrl_c, is_first_of_host
from softkd.console import any_text

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

#: Errors of the library whose text tells the user what to do.
_USER_ERRORS = (ValueError, TypeError, OSError, ImportError, ArithmeticError)

#: Seconds after which torchrun has ended all processes of a host if one of them fails.
_TORCHRUN_PATIENCE = 5


class Commands(click.Group):
    """A group whose failures are one line, and a traceback only with ``--debug``.

    The module of a command has its options and help. It is imported for ``--help`` and completion,
    too, and so imports numpy, torch and most of the library only when the command runs.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of a first use."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command: the function ``name`` of the module ``softkd.commands.name``."""
        if cmd_name not in _COMMANDS:
            return None
        return getattr(import_module(f"softkd.commands.{cmd_name}"), cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or suggest the one of the nearest name."""
        hint = did_you_mean(_COMMANDS, args[0])
        if hint and args[0] not in _COMMANDS and not ctx.resilient_parsing:  # not in completion
            ctx.fail(f"No such command '{args[0]}'.{hint}")
        return super().resolve_command(ctx, args)

    def main(self, *args: Any, **more: Any) -> Any:
        """Run the group as a command; whatever is printed, the console takes it."""
        with any_text():
            return super().main(*args, **more)

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        """Read the options before the command; Ctrl-C exits as it does later."""
        try:
            return super().make_context(*args, **more)
        except KeyboardInterrupt:  # click would print "Aborted!" and exit with 1
            sys.exit(end_of_ctrl_c())

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            try:
                return super().invoke(ctx)
            except KeyboardInterrupt:
                ctx.exit(end_of_ctrl_c())
            except click.ClickException:
                _leave_it_to_the_first()
                raise
            except (click.exceptions.Exit, click.Abort):
                raise
            except Exception as error:
                if _is_interrupted(error):
                    ctx.exit(end_of_ctrl_c())
                # click exits quietly when the reader of a pipe has closed it
                if ctx.params["debug"] or getattr(error, "errno", None) == errno.EPIPE:
                    raise
                _leave_it_to_the_first()
                raise click.ClickException(_one_line(error)) from error


def _leave_it_to_the_first() -> None:
    """Wait to be ended by ``torchrun`` if all its processes fail in the same way: one prints it."""
    if not is_first_of_host():
        time.sleep(_TORCHRUN_PATIENCE)


def _is_interrupted(error: BaseException | None) -> bool:
    """Return whether Ctrl-C caused an error: extension modules turn it into an ImportError."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


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
