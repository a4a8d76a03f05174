"""`softkd students`: the catalogue of students."""

from __future__ import annotations

import click

from softkd.options import json_option


@click.command()
@json_option
def students(as_json: bool) -> None:
    """List the students and what each is good for.

    Students of other installed packages are included.
    """
    from rich.table import Table

    from soft_students.students.registry import available
    from softkd.output import print_json, print_table

    entries = available().values()
    if as_json:
        print_json(
            {
                entry.name: {
                    **{kind: found and found[1] for kind, found in entry.addresses.items()},
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
        lines = [entry.summary]
        if not entry.is_installed:
            lines.append(f"Not installed: pip install 'soft-students[{entry.extra}]'")
        table.add_row(entry.name, "\n".join(entry.class_names), "\n".join(lines))
    print_table(table)
