"""`softkd datasets`: what can be named as --data."""

from __future__ import annotations

import click
from rich.table import Table

from soft_students.datasets import available_datasets
from softkd.options import json_option, print_json, print_table


@click.command()
@json_option
def datasets(as_json: bool) -> None:
    """List the data sets known by name; a path of a .csv, .parquet or .npz table works too."""
    known = available_datasets()
    if as_json:
        print_json(known)
        return
    table = Table("data", "what it is")
    for name, summary in known.items():
        table.add_row(name, summary)
    print_table(table)
