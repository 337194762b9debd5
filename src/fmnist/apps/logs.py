"""The process's log: to the standard error stream, short and coloured on a terminal, plain lines anywhere else."""

import logging
import sys

from fmnist.domain.model.address import without_credentials
from fmnist.domain.model.text import one_line, printable


def configure_logging(level: str) -> None:
    """Send our log to stderr at `level`, and what vendors have to say about themselves only when it is DEBUG.

    Whoever says it, an address loses its user and password on the way, and a terminal has nothing to obey.
    """
    from fmnist.apps.terminal import stderr

    handler: logging.Handler
    if stderr().is_terminal:
        from rich.logging import RichHandler

        handler = RichHandler(console=stderr(), show_path=False, show_time=False)
        handler.setFormatter(_WithoutCredentials("%(message)s"))
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_WithoutCredentials("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level="DEBUG" if level == "DEBUG" else "WARNING", handlers=[handler], force=True)
    logging.getLogger("fmnist").setLevel(level)
    # It tells of every try at a service that is away, and the error that comes of it tells of them once.
    logging.getLogger("urllib3").setLevel("DEBUG" if level == "DEBUG" else "ERROR")


class _WithoutCredentials(logging.Formatter):
    """Vendors put addresses into their errors as they got them, and a traceback shows each of a chain of errors.

    A name that somebody gave makes no line of the log.
    """

    def format(self, record: logging.LogRecord) -> str:
        return printable(without_credentials(super().format(record)))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is logging's
        return one_line(super().formatMessage(record))
