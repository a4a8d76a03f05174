"""One page of the command line: what each command says of itself."""

from __future__ import annotations

import click
from rst import code, heading

from softkd.shell import main


def command_page() -> str:
    """Return the page, in the order of ``softkd --help``."""
    context = click.Context(main, info_name="softkd", terminal_width=96, max_content_width=96)
    parts = [
        heading("Command line"),
        "The output of ``softkd COMMAND --help``. :doc:`/shell` has completion and exit codes.\n",
        code(main.get_help(context), "text"),
    ]
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        within = click.Context(command, context, name, terminal_width=96, max_content_width=96)
        parts += [heading(f"softkd {name}", "-"), code(command.get_help(within), "text")]
    return "\n".join(parts)
