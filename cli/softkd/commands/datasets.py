"""`softkd datasets`: what can be named as --data."""

from __future__ import annotations

import click
from rich.console import Console
from rich.table import Table

from soft_students.datasets import available_datasets
from softkd.options import print_json


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def datasets(as_json: bool) -> None:
    """List the data sets known by name; a path of a .csv, .parquet or .npz table works too."""
    known = available_datasets()
    if as_json:
        print_json(known)
        return
    table = Table("data", "what it is")
    for name, summary in known.items():
        table.add_row(name, summary)
    Console().print(table)
