"""`softkd methods`: how a neural student can learn."""

from __future__ import annotations

from typing import Any

import click

from softkd.completion import methods as known_methods
from softkd.completion import offer
from softkd.options import json_option


@click.command()
@click.argument("method", required=False, shell_complete=offer(known_methods))
@json_option
def methods(method: str | None, as_json: bool) -> None:
    """List the methods of neural students, or describe one.

    The description has formula, parameters and paper. A method is used as 'softkd distill --student
    neural --method KEY', several separated by commas; their parameters are set by '--set
    KEY.parameter=value'.
    """
    from soft_students.methods.catalog import entries, get_entry
    from softkd.output import print_json

    if method is None:
        if as_json:
            print_json({key: _described(entry) for key, entry in entries().items()})
        else:
            _print_list(entries())
        return
    try:
        entry = get_entry(method)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if as_json:
        print_json(_described(entry))
    else:
        _print_one(entry)


def _described(entry: Any) -> dict[str, Any]:
    return {
        "name": entry.title,
        "paper": str(entry.paper),
        "needs": sorted(entry.needs),
        "parameters": entry.defaults,
    }


def _print_list(entries: dict[str, Any]) -> None:
    from rich.table import Table

    from softkd.output import print_table

    table = Table("method", "name", "paper", "needs")
    for key, entry in entries.items():
        paper = f"{entry.paper.authors} {entry.paper.year}, {entry.paper.link}"
        table.add_row(key, entry.title, paper, ", ".join(sorted(entry.needs - {"data"})))
    print_table(table)


def _print_one(entry: Any) -> None:
    from softkd.plain_text import plain_text

    defaults = [f"{name}={value!r}" for name, value in entry.defaults.items()]
    click.echo(f"{entry.key}: {entry.title}")
    click.echo(f"{entry.paper}")
    click.echo(f"Needs: {', '.join(sorted(entry.needs)) or 'nothing'}")
    click.echo(f"Defaults: {', '.join(defaults) or 'no parameters'}")
    click.echo(f"\n{plain_text(entry.doc)}")
