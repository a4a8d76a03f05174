"""`softkd report`: a comparison as one HTML page."""

from __future__ import annotations

from pathlib import Path

import click

from soft_students.report import write_report
from softkd.options import check_output, output_options, print_json


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("report.html"),
    show_default=True,
    help="The page: .html.",
)
@output_options
def report(folder: Path, out: Path, force: bool, as_json: bool) -> None:
    """Write the FOLDER of softkd compare as one HTML page that needs no network.

    The page says which student was chosen, why, and what it costs against the teacher. It shows all
    models, where the chosen student and the teacher differ, and how all was made. --json prints
    "out" and "bytes".
    """
    if out.suffix.lower() not in (".html", ".htm"):
        raise click.BadParameter(f"A page ends in .html. Got '{out}'.", param_hint="--out")
    check_output(out, force)
    write_report(folder, out, overwrite=force)
    size = out.stat().st_size
    if as_json:
        print_json({"out": str(out), "bytes": size})
    else:
        click.echo(f"Written: {out} ({size:,} bytes)")
