"""The two consoles of a command: results go to stdout, so that they can be piped, and everything else to stderr."""

from functools import cache

from rich.console import Console


@cache
def stdout() -> Console:
    """The console for results."""
    return Console(highlight=False)


@cache
def stderr() -> Console:
    """The console for progress, log lines and hints."""
    return Console(stderr=True, highlight=False)
