"""Versions of Python and packages that results depend on."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = ("soft-students", "torch", "scikit-learn", "xgboost", "numpy")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the installed packages that affect results.

    Returns
    -------
    dict of str to str
        Version by the name of the distribution, or ``"python"``.
    """
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
