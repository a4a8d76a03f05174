"""The entry point of `softkd`: Ctrl-C is handled from here on, also while the rest is imported.

It imports nothing but modules that Python has loaded already.
"""

from __future__ import annotations

import _thread
import io
import sys
import time

from softkd import end_of_ctrl_c


def main() -> None:
    """Run `softkd` and exit."""
    try:
        sys.unraisablehook = _keep_ctrl_c
        if isinstance(sys.stdout, io.TextIOWrapper):  # print what the console's encoding has
            sys.stdout.reconfigure(errors="replace")
        from softkd.shell import main as shell

        shell(prog_name="softkd")
    except KeyboardInterrupt:
        sys.exit(end_of_ctrl_c())


def _keep_ctrl_c(ignored: sys.UnraisableHookArgs) -> None:
    """Send Ctrl-C again if it came within a callback, where Python prints and drops exceptions."""
    if issubclass(ignored.exc_type, KeyboardInterrupt):
        _thread.start_new_thread(_interrupt, ())
    else:
        sys.__unraisablehook__(ignored)


def _interrupt() -> None:
    time.sleep(0.01)  # until the callback is over
    _thread.interrupt_main()


if __name__ == "__main__":
    main()
