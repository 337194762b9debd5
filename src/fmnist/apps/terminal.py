"""The two consoles of a command: results go to stdout, so that they can be piped, and everything else to stderr."""

from functools import cache

from rich.console import Console


@cache
def stdout() -> Console:
    """The console for results."""
    return _console(stderr=False)


@cache
def stderr() -> Console:
    """The console for progress, log lines and hints."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    """Make a console that has colours where the library finds they are wanted, and a terminal's forms on one alone.

    FORCE_COLOR makes Rich take everything for a terminal: what a program reads would be tables and moves of the cursor.
    """
    found = Console(stderr=stderr)
    on_terminal = found.is_terminal and found.file.isatty()
    return Console(
        stderr=stderr,
        highlight=False,
        force_terminal=on_terminal,
        force_interactive=None if on_terminal else False,
        color_system=found.color_system,  # type: ignore[arg-type]
    )
