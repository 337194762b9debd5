"""Log output on stderr: short and coloured on a terminal, plain lines anywhere else."""

import logging
import sys

from fmnist.apps.terminal import stderr
from fmnist.domain.model.address import without_credentials
from fmnist.domain.model.text import one_line, printable


def configure_logging(level: str) -> None:
    """Log to stderr at `level`. Messages of vendors below WARNING appear only at DEBUG.

    Every message loses credentials in URLs, and its control characters are escaped.
    """
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
    # It warns about every retry. The final error reports the failure once.
    logging.getLogger("urllib3").setLevel("DEBUG" if level == "DEBUG" else "ERROR")


class _WithoutCredentials(logging.Formatter):
    """Removes credentials from URLs: vendors repeat URLs in errors, and a traceback shows the whole chain.

    A message becomes one line, so that a name given by a user cannot forge a log line.
    """

    def format(self, record: logging.LogRecord) -> str:
        return printable(without_credentials(super().format(record)))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is logging's
        return one_line(super().formatMessage(record))
