"""`softkd students`: the catalogue."""

from __future__ import annotations

import click
from rich.markup import escape
from rich.table import Table

from soft_students.students import available
from softkd.options import json_option, print_json, print_table


@click.command()
@json_option
def students(as_json: bool) -> None:
    """List the students and what each is good for, those of other packages included."""
    entries = available().values()
    if as_json:
        print_json(
            {
                entry.name: {
                    "classifier": entry.classifier and entry.classifier.__name__,
                    "regressor": entry.regressor and entry.regressor.__name__,
                    "summary": entry.summary,
                    "extra": entry.extra,
                    "installed": entry.is_installed,
                }
                for entry in entries
            }
        )
        return
    table = Table("student", "classes", "good for")
    for entry in entries:
        classes = [cls.__name__ for cls in (entry.classifier, entry.regressor) if cls is not None]
        lines = [entry.summary]
        if not entry.is_installed:
            lines.append(f"Not installed: pip install 'soft-students[{entry.extra}]'")
        table.add_row(entry.name, "\n".join(classes), escape("\n".join(lines)))
    print_table(table)
