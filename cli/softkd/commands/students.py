"""`softkd students`: the catalogue."""

from __future__ import annotations

import click
from rich.console import Console
from rich.table import Table

from soft_students.students import available
from softkd.options import print_json


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
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
    Console().print(table)
