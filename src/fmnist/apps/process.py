"""What every command line process does alike: environment, log, signals, and one clear line when something is wrong."""

import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from typer.core import TyperGroup

from fmnist.domain.model.addresses import without_credentials
from fmnist.domain.model.errors import BadInput, FmnistError
from fmnist.domain.model.text import one_line

if TYPE_CHECKING:
    from fmnist.apps.settings import Settings

logger = logging.getLogger(__name__)

FAILED, BAD_INPUT, INTERRUPTED, TERMINATED = 1, 2, 130, 143


class Terminated(KeyboardInterrupt):
    """SIGTERM: an interrupt like Ctrl-C's, but for the exit code."""


class ReportingGroup(TyperGroup):
    """A Typer application whose commands end with the exit code that their error stands for."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command, and report what it raises."""
        with _reported():
            return super().invoke(ctx)


def begin() -> "Settings":
    """Read the environment, set up the log and take signals; a command's first line."""
    from fmnist.apps.logs import configure_logging
    from fmnist.apps.settings import load_environment

    settings = load_environment()
    configure_logging(settings.log_level)
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    logger.debug("state directory %s", settings.fmnist_home)
    return settings


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let signals that arrive inside of the block wait until its end. For the main thread alone."""
    arrived: list[int] = []
    handlers = {
        awaited: signal.signal(awaited, lambda number, _: arrived.append(number))
        for awaited in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for awaited, handler in handlers.items():
            signal.signal(awaited, handler)
        for number in arrived[:1]:
            signal.raise_signal(number)


def _interrupt(number: int, _: FrameType | None) -> NoReturn:
    # The first signal ends the work in order; what follows must not be cut off by a second.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


@contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except Terminated:
        _end("terminated", TERMINATED)
    except KeyboardInterrupt:
        _end("interrupted", INTERRUPTED)
    except FmnistError as error:
        _end(f"error: {error}", BAD_INPUT if isinstance(error, BadInput) else FAILED)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("fmnist"):
            raise
        _end(f"error: this command needs {error.name}: pip install 'fmnist[all]'", FAILED)
    except (typer.Exit, typer.Abort, SystemExit):
        raise
    except Exception as error:
        if hasattr(error, "show"):  # a usage error, which Typer reports by itself
            raise
        _end(f"unexpected {type(error).__name__}: {error} (LOG_LEVEL=DEBUG shows where)", FAILED)


def _end(message: str, code: int) -> NoReturn:
    logger.debug("traceback", exc_info=True)
    sys.stderr.write(one_line(without_credentials(message)) + "\n")
    raise typer.Exit(code)
