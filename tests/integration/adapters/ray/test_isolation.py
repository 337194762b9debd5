"""A compute in a child process: how its death, an interrupt and an error appear in the parent."""

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from fmnist.adapters.memory.compute import MemoryCompute
from fmnist.adapters.memory.registry import MemoryDataRegistry
from fmnist.adapters.parquet.files import SplitReader
from fmnist.adapters.ray.compute import RayCompute
from fmnist.adapters.ray.isolation import IsolatedCompute, RayComputeFactory
from fmnist.adapters.ray.settings import ClusterSettings
from fmnist.adapters.ray.storage import CheckpointStorage
from fmnist.domain.model.data.dataset import DatasetVersion
from fmnist.domain.model.data.metadata import split_sizes
from fmnist.domain.model.errors import InvalidSetting, StoreUnavailable
from fmnist.domain.model.training.run import Progress, TrainingSpec
from fmnist.ports.compute import Compute, FitResult, OnProgress
from fmnist.testing.contracts.compute import SPEC, ComputeContract
from fmnist.testing.data import toy_splits

logger = logging.getLogger("fmnist.of.the.child")


@pytest.mark.soak
class TestIsolatedRay(ComputeContract):
    """`dataset` and `registry` are those of the folder's conftest."""

    dataset = registry = None

    @pytest.fixture(scope="class")
    @classmethod
    def compute(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[IsolatedCompute]:
        storage = CheckpointStorage(str(tmp_path_factory.mktemp("checkpoints")))
        make = RayComputeFactory(ClusterSettings(), SplitReader(), storage)
        isolated = IsolatedCompute(make)
        yield isolated
        isolated.close()


@dataclass(frozen=True)
class Toy:
    """Makes a compute without Ray."""

    directory: Path

    def __call__(self) -> Compute:
        registry = MemoryDataRegistry()
        registry.add("1.0.0", toy_splits())
        return ToyCompute(registry, self.directory)

    def __str__(self) -> str:
        return "the toy"


class ToyCompute(MemoryCompute):
    """Returns where it runs. By the seed, it waits for ever, or its vendor ends the process."""

    def prepare(self, spec: TrainingSpec, dataset: DatasetVersion) -> None:
        sys.stdout.write("a vendor's chatter\n")
        logger.warning("in process %d, imported from %s", os.getpid(), sys.path)
        if spec.seed == 1:
            raise ZeroDivisionError("of the vendor")
        super().prepare(spec, dataset)

    def fit(self, spec: TrainingSpec, dataset: DatasetVersion, run_id: str, on_progress: OnProgress) -> FitResult:
        on_progress(Progress(0, 1, 0, 1))
        if spec.seed == 2:
            os._exit(1)
        if spec.seed == 4:
            signal.pause()
        return super().fit(spec, dataset, run_id, on_progress)


def test_factory_makes_the_compute_of_its_settings_and_names_its_cluster(tmp_path: Path) -> None:
    storage, reader = CheckpointStorage(str(tmp_path)), SplitReader()
    for address, name in ((None, "this machine"), ("10.0.0.1:6379", "10.0.0.1:6379")):
        make = RayComputeFactory(ClusterSettings(address), reader, storage)
        assert make() == RayCompute(ClusterSettings(address), reader, storage)
        assert str(make) == f"the Ray cluster at {name}"


@pytest.fixture
def compute(tmp_path: Path) -> Iterator[IsolatedCompute]:
    isolated = IsolatedCompute(Toy(tmp_path))
    yield isolated
    isolated.close()


@pytest.fixture
def toys() -> DatasetVersion:
    return MemoryDataRegistry().add("1.0.0", toy_splits())


def seeded(seed: int) -> TrainingSpec:
    return TrainingSpec(recipe=SPEC.recipe, seed=seed)


def children() -> set[int]:
    return {process.pid for process in psutil.Process().children() if "spawn_main" in " ".join(process.cmdline())}


def test_start_begins_the_child_that_later_calls_use_and_an_early_interrupt_of_the_terminal_spares_it(
    compute: IsolatedCompute, toys: DatasetVersion, caplog: pytest.LogCaptureFixture
) -> None:
    before = children()
    compute.start()
    (child,) = children() - before
    for number in (signal.SIGINT, signal.SIGHUP):
        os.kill(child, number)
    with caplog.at_level(logging.WARNING, logger.name):
        compute.prepare(seeded(0), toys)
    assert f"in process {child}, " in caplog.text


def test_fit_in_the_child_reports_and_returns_as_in_this_process(
    compute: IsolatedCompute, toys: DatasetVersion
) -> None:
    reports: list[Progress] = []
    result = compute.fit(SPEC, toys, "run", reports.append)
    assert len(result.history) == SPEC.recipe.max_epochs
    assert [report.epoch for report in reports if report.metrics] == [0, 1, 2]
    assert len(compute.predict(result.weights, toys, "test").labels) == split_sizes(toys.metadata)["test"]


def test_vendor_that_ends_its_process_is_named_and_the_next_call_starts_another(
    compute: IsolatedCompute, toys: DatasetVersion
) -> None:
    with pytest.raises(StoreUnavailable, match=r"the toy was lost: .*\(exit code 1\); check that it runs"):
        compute.fit(seeded(2), toys, "run", lambda _: None)
    assert children() == set()
    compute.prepare(SPEC, toys)
    (child,) = children()
    os.kill(child, signal.SIGKILL)
    with pytest.raises(StoreUnavailable, match=r"was lost: .*\(exit code -9\)"):
        compute.prepare(SPEC, toys)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), BrokenPipeError("nobody reads the progress")])
def test_interrupt_ends_the_child_and_is_raised_unchanged(
    compute: IsolatedCompute, toys: DatasetVersion, error: BaseException
) -> None:
    def strike(_: Progress) -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        compute.fit(seeded(4), toys, "run", strike)
    assert caught.value is error
    # After the run was marked, the next call or the end of this process waits for the child.
    (dismissed,) = children()
    compute.prepare(SPEC, toys)
    assert dismissed not in children()
    compute.close()
    assert children() == set()


def test_only_the_parent_handles_signals_of_the_terminal(compute: IsolatedCompute, toys: DatasetVersion) -> None:
    compute.prepare(SPEC, toys)
    (child,) = children()
    for number in (signal.SIGINT, signal.SIGHUP):
        os.kill(child, number)
    compute.prepare(SPEC, toys)
    assert children() == {child}


def test_errors_and_logs_of_the_child_reach_the_parent_and_nothing_reaches_stdout(
    compute: IsolatedCompute,
    toys: DatasetVersion,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(InvalidSetting, match="are too few for 99 workers"):
        compute.prepare(TrainingSpec(recipe=SPEC.recipe, num_workers=99), toys)
    with pytest.raises(RuntimeError, match="ZeroDivisionError: of the vendor"):
        compute.prepare(seeded(1), toys)
    assert [record.name for record in caplog.records] == [logger.name] * 2
    (child,) = children()
    assert f"in process {child}, " in caplog.text
    assert capfd.readouterr().out == ""


def test_child_does_not_import_from_the_working_directory(
    compute: IsolatedCompute, toys: DatasetVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("socket", "pickle", "random", "fmnist", "numpy"):
        (tmp_path / f"{name}.py").write_text("raise AssertionError('a file of the working directory')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in {"", "."}])
    compute.prepare(SPEC, toys)
    assert "PYTHONSAFEPATH" not in os.environ


def test_child_ends_when_its_parent_is_killed(tmp_path: Path, spawn: Callable[[Path], psutil.Process]) -> None:
    parent = spawn(tmp_path)
    family = parent.children(recursive=True)
    assert family
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(family, timeout=30)
    assert alive == []


@pytest.fixture
def spawn() -> Iterator[Callable[[Path], psutil.Process]]:
    """Start a process whose compute is in the middle of `fit`."""
    started: list[psutil.Popen] = []
    program = (
        "import sys; from pathlib import Path; sys.path.insert(0, {root!r})\n"
        "from tests.integration.adapters.ray.test_isolation import *\n"
        "if __name__ == '__main__':\n"
        "    toys = MemoryDataRegistry().add('1.0.0', toy_splits())\n"
        "    compute = IsolatedCompute(Toy(Path(sys.argv[1])))\n"
        "    compute.fit(seeded(4), toys, 'run', lambda _: print('begun', flush=True))\n"
    )

    def start(directory: Path) -> psutil.Process:
        script = directory / "parent.py"
        script.write_text(program.format(root=str(Path(__file__).parents[4])))
        process = psutil.Popen([sys.executable, str(script), str(directory)], stdout=-1)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        return process

    yield start
    for process in started:
        process.stdout.close()
        if process.is_running():
            process.kill()
        process.wait()
