import errno
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import pytest
import ray
from hypothesis import given
from hypothesis import strategies as st
from ray.core.generated import common_pb2

import fmnist
from fmnist.adapters.ray.cluster import (
    DriverPaths,
    _remove,
    _signals_kept,
    _sigterm_kept,
    cpus_per_worker,
    join_cluster,
    scratch,
)
from fmnist.adapters.ray.compute import check_gpus
from fmnist.adapters.ray.settings import ClusterSettings
from fmnist.adapters.ray.storage import CheckpointStorage
from fmnist.apps.process import HungUp
from fmnist.domain.model.errors import InvalidSetting, StoreUnavailable
from fmnist.domain.model.training.recipe import Recipe
from fmnist.domain.model.training.run import TrainingSpec


@pytest.mark.parametrize(
    ("nodes", "workers", "expected"),
    [
        ([2], 1, 2),
        ([2], 2, 1),
        ([2], 3, 0.666),
        ([8], 3, 2),
        ([4, 4], 2, 4),
        ([4, 4], 3, 2),  # 8 // 3 is 2, too, but a worker must fit on one node
        ([1, 16], 2, 8),
        ([0, 4], 1, 4),  # a head node without CPUs for work
        ([0], 2, 1),  # the same, and no other node yet
    ],
)
def test_worker_gets_the_most_cpus_that_fit_on_one_node(nodes: list[float], workers: int, expected: float) -> None:
    assert cpus_per_worker(nodes, workers) == expected


def test_error_for_a_missing_cluster_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    with pytest.raises(StoreUnavailable, match=r"no Ray cluster at 127.0.0.1:1: .*check RAY_ADDRESS"):
        join_cluster(ClusterSettings(address="127.0.0.1:1"))


def test_directory_that_cannot_be_created_is_named_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        StoreUnavailable, match=r"checkpoints cannot be kept in .*/file/checkpoints: .*check FMNIST_HOME"
    ):
        CheckpointStorage(str(tmp_path / "file" / "checkpoints")).prepare()


@pytest.mark.parametrize(
    ("job", "sent"),
    [
        ("{}", {"py_modules": [str(Path(fmnist.__file__).parent)]}),
        ('{"runtime_env": {"py_modules": ["gcs://theirs.zip"]}}', {}),
    ],
)
def test_workers_of_another_cluster_get_the_code_that_runs_here_or_the_job_s_own(
    monkeypatch: pytest.MonkeyPatch, job: str, sent: dict[str, object]
) -> None:
    options: dict[str, object] = {}
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setattr("ray.init", lambda **given: options.update(given))
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", job)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        join_cluster(ClusterSettings(address=address))
    assert options["address"] == address
    assert options["runtime_env"] == sent


@pytest.mark.parametrize(
    ("address", "server"),
    [
        ("http://127.0.0.1:8265", "a job server, for `ray job submit`"),
        ("https://127.0.0.1:8265", "a job server, for `ray job submit`"),
        ("ray://127.0.0.1:10001", "a server for Ray Client, which cannot train"),
    ],
)
def test_address_of_another_server_is_refused(monkeypatch: pytest.MonkeyPatch, address: str, server: str) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    with pytest.raises(InvalidSetting, match=rf"{address} is {server};.*the head node's HOST:6379"):
        join_cluster(ClusterSettings(address=address))


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "check that /scratch has free space and is writable"),
        (
            OSError("validate_socket_filename failed: AF_UNIX path length cannot exceed 107 bytes: '/scratch/ray'"),
            "/scratch is too long for sockets: set RAY_TMPDIR to a path of at most 39 bytes",
        ),
        (PermissionError(errno.EACCES, "Permission denied"), "check that /scratch has free space and is writable"),
        (
            Exception("The current node timed out\nduring startup."),
            "timed out during startup.; check the free memory",
        ),
        (RuntimeError("Failed to start GCS"), "check the free memory, and the free space in /scratch"),
    ],
)
def test_error_for_ray_that_does_not_start_has_advice_for_the_cause(
    monkeypatch: pytest.MonkeyPatch, error: Exception, advice: str
) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setattr("ray.init", fail)
    monkeypatch.setenv("RAY_TMPDIR", "/scratch")
    with pytest.raises(StoreUnavailable, match=f"^Ray does not start on this machine: .*{advice}") as caught:
        join_cluster(ClusterSettings())
    assert "RAY_ADDRESS" not in str(caught.value)


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=80))
def test_socket_paths_are_short_enough_with_any_tmpdir(name: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_TMPDIR", raising=False)
        patch.setattr(tempfile, "tempdir", f"/home/{name}")
        place = scratch()
    assert place is not None
    assert len(os.fsencode(place)) + len("/session_2026-11-28_00-20-47_744460_4194304/sockets/plasma_store") <= 107
    if place != f"/home/{name}/ray":
        private = Path(place).parent
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
        assert private.stat().st_uid == os.getuid()
        shutil.rmtree(private)


def test_ray_tmpdir_of_the_user_is_not_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/a/long/name" * 20)
    assert scratch() is None


@pytest.mark.parametrize("entry", ["", ".", "the directory", "elsewhere"])
def test_workers_import_from_the_working_directory_only_if_the_driver_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, entry: str
) -> None:
    monkeypatch.chdir(tmp_path)
    others = [path for path in sys.path if path not in {"", "."}]
    monkeypatch.setattr(sys, "path", [{"the directory": str(tmp_path)}.get(entry, entry), *others])
    config = DriverPaths()
    config._py_driver_sys_path.extend([others[0], str(tmp_path)])
    sent = common_pb2.JobConfig()
    sent.ParseFromString(config._serialize())
    expected = [others[0]] if entry == "elsewhere" else [others[0], str(tmp_path)]
    assert list(sent.py_driver_sys_path) == expected


@pytest.mark.parametrize(
    ("workers", "each", "there", "fits"),
    [(1, 0, 0, True), (1, 1, 0, False), (2, 0.5, 1, True), (10, 0.1, 1, True), (2, 0.6, 2, True), (3, 0.6, 2, False)],
)
def test_fraction_of_a_gpu_must_lie_on_one_gpu(workers: int, each: float, there: float, *, fits: bool) -> None:
    spec = TrainingSpec(recipe=Recipe(), num_workers=workers, gpu_per_worker=each)
    if fits:
        check_gpus(spec, there)
    else:
        with pytest.raises(InvalidSetting, match=f"the {there} GPUs of this machine: lower --gpu-per-worker"):
            check_gpus(spec, there)


# Each exporter tries every second, and logs that nothing listens.
TWO_CLUSTERS = """
import time
from pathlib import Path
import ray
from fmnist.adapters.ray.cluster import ClusterSettings, join_cluster
for _ in range(2):
    join_cluster(ClusterSettings())
    logs = Path(ray._private.worker._global_node.get_logs_dir_path())
    ray.get(ray.remote(lambda: None).remote())
    ray.shutdown()
time.sleep(5)
print([line for log in logs.glob("python-core-driver-*") for line in log.read_text().splitlines() if "export" in line])
"""


@pytest.mark.soak
def test_no_metrics_exporter_outlives_its_cluster() -> None:
    environment = {**os.environ, "RAY_metrics_report_interval_ms": "1000"}
    done = subprocess.run(
        [sys.executable, "-c", TWO_CLUSTERS], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_processes_of_ray_survive_a_closed_terminal_and_only_this_process_gets_the_signal() -> None:
    def hung_up(*_: object) -> NoReturn:
        raise HungUp

    before = signal.signal(signal.SIGHUP, hung_up)
    begun: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        with _signals_kept():
            begun.append(ray._private.services.ConsolePopen(["sleep", "60"]))
            begun[0].send_signal(signal.SIGHUP)
            # To this thread, which holds it back. Another thread would take it at an unknown time.
            signal.pthread_kill(threading.get_ident(), signal.SIGHUP)

    try:
        with pytest.raises(HungUp):
            start()
        assert os.getpgid(begun[0].pid) == begun[0].pid, "a signal to this process's group does not reach it"
        with pytest.raises(subprocess.TimeoutExpired):
            begun[0].wait(timeout=0.2)
    finally:
        signal.signal(signal.SIGHUP, before)
        for child in begun:
            child.kill()
            child.wait()


def test_only_the_process_s_own_handler_of_sigterm_runs_when_ray_exits() -> None:
    def handler(*_: object) -> None:
        handled.append("ours")

    def exit_as_ray_does(code: int) -> None:
        with _sigterm_kept():
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            sys.exit(code)

    handled: list[str] = []
    before = signal.signal(signal.SIGTERM, handler)
    try:
        for code, expected in ((3, []), (signal.SIGTERM, ["ours"])):
            with pytest.raises(SystemExit) as caught:
                exit_as_ray_does(code)
            assert caught.value.code == code
            assert handled == expected
            assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_cluster_can_be_joined_from_any_thread() -> None:
    def join() -> str:
        with _signals_kept():
            return threading.current_thread().name

    with ThreadPoolExecutor(1, "elsewhere") as pool:
        assert pool.submit(join).result().startswith("elsewhere")


def test_own_scratch_folder_is_removed_after_ray_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ray-x" / "ray").mkdir(parents=True)
    there: list[bool] = []
    monkeypatch.setattr("ray.shutdown", lambda: there.append((tmp_path / "ray-x").exists()))
    _remove(str(tmp_path / "ray-x"))
    assert there == [True]
    assert not (tmp_path / "ray-x").exists()
