"""`softkd methods`: how a neural student can learn."""

from __future__ import annotations

import inspect
from typing import Any

import click
from rich.table import Table

from softkd.options import json_option, print_json, print_table


@click.command()
@click.argument("method", required=False)
@json_option
def methods(method: str | None, as_json: bool) -> None:
    """List the methods of neural students, or describe one: formula, parameters, pitfalls.

    Methods are used as 'softkd distill --student neural --method KEY', several with commas between
    them; their parameters as '--set KEY.parameter=value'.
    """
    from soft_students.methods import available, get_method

    if method is not None:
        try:
            chosen = get_method(method)
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        if as_json:
            print_json(_described(chosen))
            return
        click.echo(f"{chosen.key}: {chosen.title}")
        click.echo(f"{chosen.paper}")
        click.echo(f"Needs: {', '.join(sorted(chosen.needs)) or 'nothing'}")
        click.echo("Defaults: " + (", ".join(_defaults(chosen)) or "no parameters"))
        click.echo(f"\n{inspect.cleandoc(chosen.__doc__ or '')}")
        return
    if as_json:
        print_json({key: _described(each) for key, each in available().items()})
        return
    table = Table("method", "name", "paper", "needs")
    for key, each in available().items():
        paper = f"{each.paper.authors} {each.paper.year}, {each.paper.link}"
        table.add_row(key, each.title, paper, ", ".join(sorted(each.needs - {"data"})))
    print_table(table)


def _defaults(method: Any) -> list[str]:
    return [f"{name}={value!r}" for name, value in method().get_params(deep=False).items()]


def _described(method: Any) -> dict[str, Any]:
    return {
        "name": method.title,
        "paper": str(method.paper),
        "needs": sorted(method.needs),
        "parameters": method().get_params(deep=False),
    }
