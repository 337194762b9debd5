"""A `Compute` in a process of its own, for Ray.

Ray ends the process that drives it, without an exception and at once, when the node that it is connected to is lost.
A child process dies of it here. Its parent does not even import Ray, and reports what has become of the training.
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
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import Any, NoReturn

from fmnist.adapters.environment import exported
from fmnist.adapters.parquet.reader import SplitReader
from fmnist.adapters.ray.settings import ClusterSettings
from fmnist.adapters.ray.storage import CheckpointStorage
from fmnist.domain.model.data.dataset import DatasetVersion
from fmnist.domain.model.errors import FmnistError, StoreUnavailable
from fmnist.domain.model.training.run import TrainingSpec
from fmnist.ports.compute import Compute, FitResult, OnProgress, SplitPredictions
from fmnist.ports.model_store import TrainedWeights

logger = logging.getLogger(__name__)

_END_SECONDS = 15  # for a driver that is told to end, to take its cluster down


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a call has come to: a value, or the error that it raised."""

    value: Any = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class RayComputeFactory:
    """Makes a `RayCompute` of these parts where it is called, and imports Ray there."""

    cluster: ClusterSettings
    reader: SplitReader
    storage: CheckpointStorage

    def __call__(self) -> Compute:
        from fmnist.adapters.ray.compute import RayCompute

        return RayCompute(self.cluster, self.reader, self.storage)

    def __str__(self) -> str:
        return f"the Ray cluster at {self.cluster.address or 'this machine'}"


class IsolatedCompute(Compute):
    """A compute in a child process, which is started with the first call and ends with this process.

    Args:
        make: makes the compute, in the child. As a string it says what is lost when the child is.
    """

    def __init__(self, make: Callable[[], Compute]) -> None:
        self._make = make
        self._driver: tuple[SpawnProcess, Connection] | None = None
        self._dismissed: SpawnProcess | None = None

    def prepare(self, spec: TrainingSpec, dataset: DatasetVersion) -> None:
        self._call("prepare", spec, dataset)

    def fit(self, spec: TrainingSpec, dataset: DatasetVersion, run_id: str, on_progress: OnProgress) -> FitResult:
        result: FitResult = self._call("fit", spec, dataset, run_id, on_progress=on_progress)
        return result

    def predict(self, weights: TrainedWeights, dataset: DatasetVersion, split: str) -> SplitPredictions:
        predictions: SplitPredictions = self._call("predict", weights, dataset, split)
        return predictions

    def close(self) -> None:
        self._dismiss()
        if self._dismissed is not None:
            self._dismissed.join(_END_SECONDS)
            self._dismissed.kill()
            self._dismissed = None

    def _call(self, method: str, *arguments: object, on_progress: OnProgress | None = None) -> Any:
        if self._driver is None:
            self.close()  # of one that is about to end; two would share a machine
            self._driver = _start(self._make)
            atexit.register(self.close)
        process, pipe = self._driver
        try:
            with self._lost_with(process):
                pipe.send((method, arguments))
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
            # Not waited for here: the run is to be marked first, for which a process that must end has seconds.
            self._dismiss()
            raise
        if heard.error is not None:
            raise heard.error
        return heard.value

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
                f"{self._make} was lost: the process that drives it has ended (exit code {process.exitcode}); see that "
                "it runs, and that its nodes have the memory that is needed"
            ) from error


def _start(make: Callable[[], Compute]) -> tuple[SpawnProcess, Connection]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    levels = {name: logging.getLogger(name).level for name in ("", "fmnist")}
    process = context.Process(target=_drive, args=(make, theirs, levels), name="compute-driver", daemon=True)
    # The working directory is kept from its path; it takes that of this process right after.
    with exported({"PYTHONSAFEPATH": "1"}):
        process.start()
    theirs.close()  # its end here would keep the pipe open when the driver has died
    return process, ours


class _ToParent(QueueHandler):
    """Has the parent log what is logged here; and other threads' words do not cut into an answer."""

    def enqueue(self, record: logging.LogRecord) -> None:
        self.send(record)

    def send(self, thing: object) -> None:
        self.acquire()
        try:
            self.queue.send(thing)  # type: ignore[attr-defined]  # it is a pipe's end
        finally:
            self.release()


def _drive(make: Callable[[], Compute], pipe: Connection, levels: dict[str, int]) -> None:
    """Answer the parent's calls, in the driver's process, until the parent ends or says so."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _pass_over)  # a terminal sends them to both processes, and the parent decides
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
            further = (parent.send,) if method == "fit" else ()
            try:
                answer = _Answer(getattr(compute, method)(*arguments, *further))
            except FmnistError as error:
                answer = _Answer(error=error)
            except Exception as error:
                logger.debug("what the driver met", exc_info=True)
                answer = _Answer(error=RuntimeError(f"{type(error).__name__}: {error}"))  # others may not pickle
            parent.send(answer)
    # Ray is shut down at exit, which the parent's signal must not cut off.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _pass_over(*_: int | FrameType | None) -> None:
    """Take a signal and do nothing. One that is ignored would be so in every process that Ray starts, too."""


def _interrupt(*_: int | FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
