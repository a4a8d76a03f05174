"""`softkd students`: the catalogue."""

from __future__ import annotations

import click
from rich.table import Table

from soft_students.students import available
from softkd.options import json_option, print_json, print_table


@click.command()
@json_option
def students(as_json: bool) -> None:
    """List the students and what each is good for."""
    entries = available().values()
    if as_json:
        print_json(
            {
                entry.name: {
                    "classifier": entry.classifier.__name__,
                    "regressor": entry.regressor.__name__,
                    "summary": entry.summary,
                }
                for entry in entries
            }
        )
        return
    table = Table("student", "classes", "good for")
    for entry in entries:
        names = f"{entry.classifier.__name__}\n{entry.regressor.__name__}"
        table.add_row(entry.name, names, entry.summary)
    print_table(table)
