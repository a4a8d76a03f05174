"""Errors of reading and writing files."""

from __future__ import annotations


class BundleError(ValueError):
    """A model file cannot be used; the message names the file, the reason and the remedy."""


def reason(error: OSError) -> str:
    """Return the operating system's message in lower case, as part of a sentence."""
    return (error.strerror or str(error)).lower()


def with_sentence(error: OSError, message: str) -> OSError:
    """Return an error of the same class and errno, with a message for the user."""
    clear = type(error)(message)
    clear.errno = error.errno
    return clear
