"""The two consoles of a command: results go to stdout, so that they can be piped, and everything else to stderr.

What they print is data: no text is read as markup or as the name of an emoji, and no control character gets through.
Styles are given beside the text, by `Text` or `style=`. What `status` shows of others has to be a `Text`: Rich reads a
string as markup there.
"""

from collections.abc import Iterable
from functools import cache

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from fmnist.domain.model.text import printable


class _DataConsole(Console):
    """A console on which every text is data."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as Rich does; control sequences of Rich itself are segments of their own kind, and stay."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))


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
    return _DataConsole(
        stderr=stderr,
        highlight=False,
        markup=False,
        emoji=False,
        force_terminal=on_terminal,
        force_interactive=None if on_terminal else False,
        color_system=found.color_system,  # type: ignore[arg-type]
    )
