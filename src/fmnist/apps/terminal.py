"""The two consoles of a command: results go to stdout, so that they can be piped, and everything else to stderr.

They print text as it is: Rich's markup and emoji names have no effect, and control characters are escaped. Use `Text`
or `style=` for styles. In `status`, text from outside must be a `Text`, because Rich reads a string there as markup.
"""

from collections.abc import Iterable, Sequence
from functools import cache

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from fmnist.domain.model.text import printable


class _DataConsole(Console):
    """A console that escapes control characters in every text."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as Rich does. Rich's own control sequences stay: they are separate segments."""
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


def print_pairs(rows: Sequence[tuple[str, str]]) -> None:
    """Print names and values on stdout in two columns."""
    if rows:
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        for name, value in rows:
            table.add_row(name, Text(value, overflow="fold"))
        stdout().print(table)


def _console(*, stderr: bool) -> Console:
    """Make a console with colours where Rich would use them, and with tables and live output on a terminal only.

    FORCE_COLOR makes Rich treat any file as a terminal. Programs would then read tables and cursor movements.
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
