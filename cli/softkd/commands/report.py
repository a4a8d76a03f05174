"""`softkd report`: a comparison as one HTML page."""

from __future__ import annotations

from pathlib import Path

import click

from softkd.options import output_options


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
    """Write the FOLDER of softkd compare as one HTML page.

    The page needs no network. It names the chosen student, the reasons, and its cost and quality
    against the teacher. It shows all models, the rows on which the chosen student and the teacher
    differ, and how everything was made. --json prints "out" and "bytes".
    """
    from soft_students.report import write_report
    from softkd.output import check_not_read, check_output, check_page, print_written

    check_page(out)
    check_not_read(out, [path for path in folder.iterdir() if path.suffix != ".html"])
    check_output(out, force, [])
    write_report(folder, out, overwrite=force)
    print_written(out, as_json)
