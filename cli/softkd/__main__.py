"""The command `softkd`: this file only wires."""

from __future__ import annotations

import warnings
from typing import Any

import click

from softkd.commands.datasets import datasets
from softkd.commands.distill import distill
from softkd.commands.evaluate import evaluate
from softkd.commands.explain import explain
from softkd.commands.export import export
from softkd.commands.info import info
from softkd.commands.predict import predict
from softkd.commands.students import students
from softkd.commands.teach import teach


class Commands(click.Group):
    """A group whose failures are one line, and a traceback only with ``--debug``."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        warnings.showwarning = _show_warning
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            text = " ".join(str(error).split()) or type(error).__name__
            raise click.ClickException(text) from error


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"Warning: {' '.join(str(message).split())}", err=True)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@click.version_option(package_name="soft-students", prog_name="softkd")
def main(debug: bool) -> None:
    """Distil a neural network into a small, fast, readable student."""


for command in (teach, distill, evaluate, predict, explain, export, info, students, datasets):
    main.add_command(command)

if __name__ == "__main__":
    main()
