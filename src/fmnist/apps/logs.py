"""The process's log: to the standard error stream, short and coloured on a terminal, plain lines anywhere else."""

import logging
import sys


def configure_logging(level: str) -> None:
    """Send our log to stderr at `level`, and what vendors have to say about themselves only when it is DEBUG."""
    from fmnist.apps.terminal import stderr

    handler: logging.Handler
    if stderr().is_terminal:
        from rich.logging import RichHandler

        handler = RichHandler(console=stderr(), show_path=False, show_time=False)
        handler.setFormatter(logging.Formatter("%(message)s"))
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level="DEBUG" if level == "DEBUG" else "WARNING", handlers=[handler], force=True)
    logging.getLogger("fmnist").setLevel(level)
    # It tells of every try at a service that is away, and the error that comes of it tells of them once.
    logging.getLogger("urllib3").setLevel("DEBUG" if level == "DEBUG" else "ERROR")
