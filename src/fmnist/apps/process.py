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

from fmnist.apps.remedies import with_remedies
from fmnist.domain.model.address import without_credentials
from fmnist.domain.model.errors import BadInput, FmnistError
from fmnist.domain.model.text import one_line

if TYPE_CHECKING:
    from fmnist.apps.settings import Settings

logger = logging.getLogger(__name__)

FAILED, BAD_INPUT, HUNG_UP, INTERRUPTED, TERMINATED = 1, 2, 129, 130, 143


class Terminated(KeyboardInterrupt):
    """SIGTERM: an interrupt like Ctrl-C's, but for the exit code."""


class HungUp(KeyboardInterrupt):
    """SIGHUP: the terminal was closed."""


_INTERRUPTS = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated, signal.SIGHUP: HungUp}


class ReportingGroup(TyperGroup):
    """A Typer application whose commands end with the exit code that their error stands for."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command, and report what it raises."""
        with _reported():
            return super().invoke(ctx)


def begin(ray_address: str | None = None) -> "Settings":
    """Read the environment, set up the log and take signals; a command's first line.

    `ray_address` is a flag's, which wins over the variable.
    """
    from fmnist.apps.logs import configure_logging
    from fmnist.apps.settings import load_environment

    settings = load_environment(ray_address=ray_address)
    configure_logging(settings.log_level)
    take_signals()
    logger.debug("state directory %s", settings.fmnist_home)
    return settings


def take_signals() -> None:
    """Have each signal that asks this process to end raise an interrupt in the main thread."""
    for number in _INTERRUPTS:
        # An ignored SIGHUP is the sign of `nohup`.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)


def exit_of(interrupt: KeyboardInterrupt) -> tuple[str, int]:
    """Return what is said of an interrupt, and its exit code."""
    if isinstance(interrupt, HungUp):
        return "hung up", HUNG_UP
    return ("terminated", TERMINATED) if isinstance(interrupt, Terminated) else ("interrupted", INTERRUPTED)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let signals that arrive inside of the block wait until its end. For the main thread alone."""
    arrived: list[int] = []
    handlers = {awaited: signal.signal(awaited, lambda number, _: arrived.append(number)) for awaited in _INTERRUPTS}
    try:
        yield
    finally:
        for awaited, handler in handlers.items():
            signal.signal(awaited, handler)
        for number in arrived[:1]:
            signal.raise_signal(number)


def _interrupt(number: int, _: FrameType | None) -> NoReturn:
    # The first signal ends the work in order; what follows must not be cut off by a second.
    for other in _INTERRUPTS:
        signal.signal(other, signal.SIG_IGN)
    raise _INTERRUPTS[signal.Signals(number)]


@contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as interrupt:
        _end(*exit_of(interrupt))
    except FmnistError as error:
        _end(f"error: {with_remedies(error)}", BAD_INPUT if isinstance(error, BadInput) else FAILED)
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
