"""What is checked: an instance, or a class with its test parameters."""

from __future__ import annotations

from typing import Any


def quick_instance(checked: Any) -> Any:
    """Return an instance of a class with its test parameters; an instance as it is.

    Parameters
    ----------
    checked : estimator, Method or type
        The test parameters of a class come from its class method ``_test_params``, if it has one.
    """
    if not isinstance(checked, type):
        return checked
    return checked(**getattr(checked, "_test_params", dict)())
