"""Shared by all command line processes: environment, log, signals, and errors as one line."""

import logging
import os
import signal
import sys
import threading
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

FAILED, BAD_INPUT = 1, 2
_AGAIN_SECONDS = 0.05


class Terminated(KeyboardInterrupt):
    """SIGTERM: like Ctrl-C, with another exit code."""


class HungUp(KeyboardInterrupt):
    """SIGHUP: the terminal was closed."""


_INTERRUPTS = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated, signal.SIGHUP: HungUp}
_ENDS = {KeyboardInterrupt: ("interrupted", 130), Terminated: ("terminated", 143), HungUp: ("hung up", 129)}


class ReportingGroup(TyperGroup):
    """A Typer application that turns the error of a command into its exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command, and report what it raises."""
        with _reported():
            return super().invoke(ctx)


def begin(ray_address: str | None = None) -> "Settings":
    """Read the environment, configure the log and handle signals: the first line of every command.

    `ray_address` comes from a flag, and overrides the variable.
    """
    from fmnist.apps.logs import configure_logging
    from fmnist.apps.settings import load_environment

    settings = load_environment(ray_address=ray_address)
    configure_logging(settings.log_level)
    take_signals()
    logger.debug("state directory %s", settings.fmnist_home)
    return settings


def take_signals() -> None:
    """Make SIGINT, SIGTERM and SIGHUP raise an interrupt in the main thread."""
    for number in _INTERRUPTS:
        # Under `nohup`, SIGHUP is ignored and must stay so.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _raise_again


def exit_of(interrupt: KeyboardInterrupt) -> tuple[str, int]:
    """Return the message and the exit code of an interrupt."""
    return _ENDS.get(type(interrupt), _ENDS[KeyboardInterrupt])


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Delay signals until the end of the block. Works in the main thread only."""
    arrived: list[int] = []
    handlers = {awaited: signal.signal(awaited, lambda number, _: arrived.append(number)) for awaited in _INTERRUPTS}
    try:
        yield
    finally:
        for awaited, handler in handlers.items():
            signal.signal(awaited, handler)
        for number in arrived[:1]:
            signal.raise_signal(number)


@contextmanager
def leaving_at_once() -> Iterator[None]:  # pragma: no cover - ends the process
    """End the process at an interrupt, without the end of the interpreter.

    A thread that was given up may be in native code, such as the load of a model. The interpreter would abort there.
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        message, code = exit_of(interrupt)
        sys.stderr.write(f"{message}\n")
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _interrupt(number: int, _: FrameType | None) -> NoReturn:
    # The first signal starts the clean-up. A second one must not interrupt it.
    for other in _INTERRUPTS:
        signal.signal(other, signal.SIG_IGN)
    raise _INTERRUPTS[signal.Signals(number)]


def _raise_again(dropped: "sys.UnraisableHookArgs") -> None:
    """Send a signal again whose interrupt Python dropped. It does so in callbacks, such as those of each import."""
    for number, interrupt in _INTERRUPTS.items():
        if type(dropped.exc_value) is interrupt:
            signal.signal(number, _interrupt)
            # Raised in this hook, it would be dropped too.
            threading.Timer(_AGAIN_SECONDS, os.kill, (os.getpid(), number)).start()
            return
    sys.__unraisablehook__(dropped)


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
        if hasattr(error, "show"):  # a usage error, which Typer reports
            raise
        _end(f"unexpected {type(error).__name__}: {error} (LOG_LEVEL=DEBUG shows the traceback)", FAILED)


def _end(message: str, code: int) -> NoReturn:
    logger.debug("traceback", exc_info=True)
    sys.stderr.write(one_line(without_credentials(message)) + "\n")
    raise typer.Exit(code)
