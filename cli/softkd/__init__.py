"""The command line of soft-students."""

import os
import sys

# A thread that waits for others spins for a moment and then sleeps. GNU OpenMP would spin on for a
# millisecond, which on a machine that has other work to do makes training up to ten times slower.
# It must be known before torch loads its OpenMP runtime.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def is_first_of_host() -> bool:
    """Return whether this process prints, if ``torchrun`` has started several on this host."""
    return "TORCHELASTIC_RUN_ID" not in os.environ or os.environ["LOCAL_RANK"] == "0"


def end_of_ctrl_c() -> int:
    """Print the one line that follows Ctrl-C, and return the exit code."""
    if is_first_of_host():
        print("Interrupted. Files are written whole or not at all.", file=sys.stderr)
    return 130  # the code that a shell reports for a process ended by SIGINT
