"""The command line of soft-students."""

import os

# A thread that waits for others spins for a moment and then sleeps. GNU OpenMP would spin on for a
# millisecond, which on a machine that has other work to do makes training up to ten times slower.
# It must be known before torch loads its OpenMP runtime.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
