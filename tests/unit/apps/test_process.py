"""How a command ends: exit codes, an error of one line, and signals that wait for protected blocks."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
import typer
from typer.testing import CliRunner

from fmnist.apps.process import HungUp, ReportingGroup, Terminated, take_signals, uninterrupted
from fmnist.domain.model.errors import CorruptData, InvalidSetting, RunNotFound, StoreUnavailable

INTERRUPTS = [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated), (signal.SIGHUP, HungUp)]


@pytest.fixture(autouse=True)
def interrupts() -> Iterator[None]:
    """Signals raise, as after `begin`. The suite's own handlers are restored afterwards."""

    def interrupt(number: int, _: object) -> None:
        raise dict(INTERRUPTS)[signal.Signals(number)]

    handlers = {number: signal.signal(number, interrupt) for number, _ in INTERRUPTS}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InvalidSetting("lr must be above 0"), 2, "error: lr must be above 0"),
        (RunNotFound("no run 7"), 2, "error: no run 7"),
        (CorruptData("split 'train' is damaged"), 1, "error: split 'train' is damaged"),
        (StoreUnavailable("MLflow fails"), 1, "error: MLflow fails"),
        (RuntimeError("a bug"), 1, "unexpected RuntimeError: a bug (LOG_LEVEL=DEBUG shows the traceback)"),
        (
            RuntimeError("no http://me:hidden@host/x"),
            1,
            "unexpected RuntimeError: no http://host/x (LOG_LEVEL=DEBUG shows the traceback)",
        ),
        (InvalidSetting("no a\nb\x1b[31m\u202e"), 2, r"error: no a\nb\x1b[31m\u202e"),
        (ModuleNotFoundError("", name="ray"), 1, "error: this command needs ray: pip install 'fmnist[all]'"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (Terminated(), 143, "terminated"),
        (HungUp(), 129, "hung up"),
    ],
)
def test_each_kind_of_end_has_its_exit_code_and_one_line(error: BaseException, code: int, line: str) -> None:
    app = typer.Typer(cls=ReportingGroup)

    @app.command()
    def fail() -> None:
        raise error

    @app.command()
    def other() -> None:
        pass

    result = CliRunner().invoke(app, ["fail"])
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", f"{line}\n")


@pytest.mark.parametrize("name", [None, "fmnist.apps.absent"])
def test_a_missing_module_of_our_own_is_a_bug_and_not_advice_to_install_it(name: str | None) -> None:
    app = typer.Typer(cls=ReportingGroup)

    @app.callback(invoke_without_command=True)
    def fail() -> None:
        raise ModuleNotFoundError("a bug", name=name)

    result = CliRunner().invoke(app)
    assert (type(result.exception), result.stderr) == (ModuleNotFoundError, "")


@pytest.mark.parametrize(("number", "error"), INTERRUPTS)
def test_signal_waits_for_the_end_of_a_protected_block(number: signal.Signals, error: type[BaseException]) -> None:
    done = []

    def work() -> None:
        with uninterrupted():
            os.kill(os.getpid(), number)
            done.append("all of it")

    with pytest.raises(error):
        work()
    assert done == ["all of it"]
    with pytest.raises(error):
        os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "error"), INTERRUPTS)
def test_each_signal_interrupts_once_and_not_the_clean_up(number: signal.Signals, error: type[BaseException]) -> None:
    take_signals()
    with pytest.raises(error) as interrupt:
        os.kill(os.getpid(), number)
    assert type(interrupt.value) is error
    for each, _ in INTERRUPTS:
        os.kill(os.getpid(), each)


IN_A_CALLBACK = """
import signal, sys, time, weakref
from fmnist.apps.process import take_signals

class Lock: ...

take_signals()
lock = Lock()
callback = weakref.ref(lock, lambda _: signal.raise_signal(int(sys.argv[1])))
try:
    del lock  # Python drops what a callback raises
    time.sleep(60)
except KeyboardInterrupt as error:
    print(type(error).__name__)
"""


@pytest.mark.parametrize(("number", "error"), INTERRUPTS)
def test_signal_during_a_callback_is_not_lost(number: signal.Signals, error: type[BaseException]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IN_A_CALLBACK, str(int(number))], capture_output=True, text=True, timeout=50, check=False
    )
    assert (done.stdout, done.stderr) == (f"{error.__name__}\n", "")


def test_process_under_nohup_survives_its_terminal() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    take_signals()
    with uninterrupted():
        os.kill(os.getpid(), signal.SIGHUP)
    os.kill(os.getpid(), signal.SIGHUP)


def test_without_a_signal_nothing_is_raised_and_an_error_passes() -> None:
    with uninterrupted():
        pass
    with pytest.raises(InvalidSetting), uninterrupted():
        raise InvalidSetting("no")
