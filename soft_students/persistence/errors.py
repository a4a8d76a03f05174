"""What a reader of files says when it cannot go on."""

from __future__ import annotations


class BundleError(ValueError):
    """A model file that cannot be used; the text says which, why, and what to do."""


def reason(error: OSError) -> str:
    """Return what the operating system said, as part of a sentence."""
    return (error.strerror or str(error)).lower()


def with_sentence(error: OSError, message: str) -> OSError:
    """Return an error of the same kind and number whose text is one sentence for the user."""
    clear = type(error)(message)
    clear.errno = error.errno
    return clear
