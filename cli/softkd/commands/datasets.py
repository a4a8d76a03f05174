"""`softkd datasets`: the names that --data takes."""

from __future__ import annotations

import click

from softkd.options import json_option


@click.command()
@json_option
def datasets(as_json: bool) -> None:
    """List the data sets that --data knows by name.

    --data also takes a .csv, .parquet or .npz table.
    """
    from rich.table import Table

    from soft_students.datasets import available_datasets
    from softkd.output import print_json, print_table

    known = available_datasets()
    if as_json:
        print_json(known)
        return
    table = Table("data", "what it is")
    for name, summary in known.items():
        table.add_row(name, summary)
    print_table(table)
