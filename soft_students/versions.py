"""The versions that a result depends on."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = ("soft-students", "torch", "scikit-learn", "xgboost", "numpy")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that compute, if they are installed.

    Returns
    -------
    dict of str to str
        By the name of the distribution, and ``"python"``.
    """
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
