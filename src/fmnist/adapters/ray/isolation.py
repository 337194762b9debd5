"""Runs a `Compute` in a child process, for Ray.

When a Ray driver loses its node, Ray ends the driver's process at once, without an exception. Here, only the child
process ends. Its parent does not import Ray, and reports what happened to the training.
"""

import atexit
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from logging.handlers import QueueHandler
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import Any, NoReturn, TypeVar

from fmnist.adapters.environment import exported
from fmnist.adapters.parquet.files import SplitReader
from fmnist.adapters.ray.settings import ClusterSettings
from fmnist.adapters.ray.storage import CheckpointStorage
from fmnist.domain.model.data.dataset import DatasetVersion
from fmnist.domain.model.errors import FmnistError, StoreUnavailable
from fmnist.domain.model.evaluation.report import SplitPredictions
from fmnist.domain.model.training.run import TrainingSpec
from fmnist.ports.compute import Compute, FitResult, OnProgress
from fmnist.ports.model_store import TrainedWeights

_T = TypeVar("_T")
logger = logging.getLogger(__name__)

_OF_THE_TERMINAL = (signal.SIGINT, signal.SIGHUP)  # a terminal sends them to both processes
_END_SECONDS = 15  # for a driver to stop its cluster after SIGTERM


@dataclass(frozen=True, slots=True)
class _Answer:
    """The result of a call: its value, or the error that it raised."""

    value: Any = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class RayComputeFactory:
    """A picklable factory of `RayCompute`. Only its call imports Ray."""

    cluster: ClusterSettings
    reader: SplitReader
    storage: CheckpointStorage

    def __call__(self) -> Compute:
        from fmnist.adapters.ray.compute import RayCompute

        return RayCompute(self.cluster, self.reader, self.storage)

    def __str__(self) -> str:
        return f"the Ray cluster at {self.cluster.address or 'this machine'}"


class IsolatedCompute(Compute):
    """A compute in a child process, which starts with `start` or the first call, and ends with this process.

    Args:
        make: makes the compute, in the child. Its `str()` names the compute in the message about a lost child.
    """

    def __init__(self, make: Callable[[], Compute]) -> None:
        self._make = make
        self._driver: tuple[SpawnProcess, Connection] | None = None
        self._dismissed: SpawnProcess | None = None

    def start(self) -> None:
        """Start the child process, which makes the compute beside the caller's other work."""
        self._running()

    def prepare(self, spec: TrainingSpec, dataset: DatasetVersion) -> None:
        self._call(Compute.prepare, spec, dataset)

    def fit(self, spec: TrainingSpec, dataset: DatasetVersion, run_id: str, on_progress: OnProgress) -> FitResult:
        return self._call(Compute.fit, spec, dataset, run_id, on_progress=on_progress)

    def predict(self, weights: TrainedWeights, dataset: DatasetVersion, split: str) -> SplitPredictions:
        return self._call(Compute.predict, weights, dataset, split)

    def close(self) -> None:
        self._dismiss()
        if self._dismissed is not None:
            self._dismissed.join(_END_SECONDS)
            self._dismissed.kill()
            self._dismissed = None

    def _call(self, method: Callable[..., _T], *arguments: object, on_progress: OnProgress | None = None) -> _T:
        process, pipe = self._running()
        try:
            with self._lost_with(process):
                pipe.send((method.__name__, arguments))
            while True:
                with self._lost_with(process):
                    heard = pipe.recv()
                if isinstance(heard, _Answer):
                    break
                if isinstance(heard, logging.LogRecord):
                    logging.getLogger(heard.name).handle(heard)
                elif on_progress is not None:
                    on_progress(heard)
        except BaseException:
            # Do not wait here for the child to end: the caller marks the run first, and may have only seconds.
            self._dismiss()
            raise
        if heard.error is not None:
            raise heard.error
        result: _T = heard.value
        return result

    def _running(self) -> tuple[SpawnProcess, Connection]:
        if self._driver is None:
            self.close()  # wait for an earlier child to end, because two would share a machine
            self._driver = _start(self._make)
            atexit.register(self.close)
        return self._driver

    def _dismiss(self) -> None:
        if self._driver is not None:
            (self._dismissed, pipe), self._driver = self._driver, None
            self._dismissed.terminate()
            pipe.close()

    @contextmanager
    def _lost_with(self, process: SpawnProcess) -> Iterator[None]:
        try:
            yield
        except (EOFError, OSError) as error:
            process.join(_END_SECONDS)
            raise StoreUnavailable(
                f"{self._make} was lost: the process that drives it has ended (exit code {process.exitcode}); check "
                "that it runs, and that its nodes have enough memory"
            ) from error


def _start(make: Callable[[], Compute]) -> tuple[SpawnProcess, Connection]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    levels = {name: logging.getLogger(name).level for name in ("", "fmnist")}
    process = context.Process(target=_drive, args=(make, theirs, levels), name="compute-driver", daemon=True)
    # PYTHONSAFEPATH keeps the working directory out of the child's path; spawn then copies our sys.path.
    with exported({"PYTHONSAFEPATH": "1"}), _interrupts_held():
        process.start()
    theirs.close()  # an open copy here would hide the end of the child
    return process, ours


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Let the terminal's signals wait, here and in a child that starts meanwhile: it has no handlers yet."""
    resource_tracker.ensure_running()  # its start would end the wait
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _OF_THE_TERMINAL)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _ToParent(QueueHandler):  # pragma: no cover - runs in a child process
    """Sends log records to the parent. A lock keeps threads from mixing records into an answer."""

    def enqueue(self, record: logging.LogRecord) -> None:
        self.send(record)

    def send(self, thing: object) -> None:
        self.acquire()
        try:
            self.queue.send(thing)  # type: ignore[attr-defined]  # the queue is one end of a pipe
        finally:
            self.release()


def _drive(  # pragma: no cover - runs in a child process
    make: Callable[[], Compute], pipe: Connection, levels: dict[str, int]
) -> None:
    """Answer the parent's calls in the child process, until the parent ends or sends SIGTERM."""
    for number in _OF_THE_TERMINAL:
        signal.signal(number, _pass_over)  # the parent decides what to do
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _OF_THE_TERMINAL)
    signal.signal(signal.SIGTERM, _interrupt)
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
    sys.stdout = sys.stderr  # the parent's standard output is for its result
    parent = _ToParent(pipe)  # type: ignore[arg-type]
    logging.getLogger().addHandler(parent)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    with suppress(KeyboardInterrupt, EOFError, BrokenPipeError):
        compute = make()
        while True:
            method, arguments = pipe.recv()
            further = (parent.send,) if method == Compute.fit.__name__ else ()
            try:
                answer = _Answer(getattr(compute, method)(*arguments, *further))
            except FmnistError as error:
                answer = _Answer(error=error)
            except Exception as error:
                logger.debug("unexpected error in the driver", exc_info=True)
                answer = _Answer(error=RuntimeError(f"{type(error).__name__}: {error}"))  # it may not be picklable
            parent.send(answer)
    # Ray shuts down at exit, and another SIGTERM of the parent must not interrupt that.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _pass_over(*_: int | FrameType | None) -> None:
    """Do nothing. With SIG_IGN instead, every process that Ray starts would ignore the signal, too."""


def _interrupt(*_: int | FrameType | None) -> NoReturn:  # pragma: no cover - runs in a child process
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _end_with_parent() -> None:  # pragma: no cover - runs in a child process
    if parent := multiprocessing.parent_process():
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
