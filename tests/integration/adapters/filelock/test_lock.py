"""One promotion at a time on a machine, and one process for each run, even if the owner of a lock is killed."""

import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fmnist.adapters.filelock.lock import PromotionLock, RunLock
from fmnist.domain.model.errors import Conflict, InvalidSetting, StoreUnavailable

HOLD = """
import sys
from pathlib import Path
from fmnist.adapters.filelock.lock import PromotionLock, RunLock
folder = Path(sys.argv[1])
with PromotionLock("store", "model", 5, folder)(), RunLock(folder)("run"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_promotion_logs_that_it_waits_and_then_fails(
    tmp_path: Path, holder: "subprocess.Popen[str]", caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with (
        pytest.raises(Conflict, match="another promotion of model is still running"),
        PromotionLock("store", "model", 0.1, tmp_path)(),
    ):
        pass
    assert caplog.messages == ["another promotion of model is running on this machine: waiting for up to 0.1 s"]
    with PromotionLock("another store", "model", 0.1, tmp_path)():
        pass


def test_a_killed_process_releases_its_lock(tmp_path: Path, holder: "subprocess.Popen[str]") -> None:
    holder.send_signal(signal.SIGKILL)
    with PromotionLock("store", "model", 30, tmp_path)():
        pass


def test_steps_inside_of_a_promotion_may_take_the_lock_again(tmp_path: Path) -> None:
    lock = PromotionLock("store", "model", 0.1, tmp_path)
    with lock():
        with lock():
            pass
        with pytest.raises(Conflict), PromotionLock("store", "model", 0.1, tmp_path)():
            pass
    with PromotionLock("store", "model", 0.1, tmp_path)():
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(StoreUnavailable, match="fmnist-promotion-"),
        PromotionLock("store", "model", 0.1, tmp_path / "file" / "folder")(),
    ):
        pass


def test_the_lock_does_not_depend_on_tmpdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = set()
    for name in ("a", "b"):
        monkeypatch.setenv("TMPDIR", str(tmp_path / name))
        monkeypatch.setattr(tempfile, "tempdir", None)
        paths.add(PromotionLock(f"a store at {tmp_path}", "model", 0.1).path)
    (path,) = paths
    with PromotionLock(f"a store at {tmp_path}", "model", 0.1)():
        assert path.parent.stat().st_mode & 0o777 == 0o700
    path.unlink()


def test_a_run_without_a_folder_is_locked_beside_the_promotions(tmp_path: Path) -> None:
    run = f"run at {tmp_path}"
    lock, folder = RunLock(), PromotionLock("store", "model", 0.1).path.parent
    before = set(folder.glob("fmnist-run-*.lock"))
    lock.prepare()
    with lock(run):
        (path,) = set(folder.glob("fmnist-run-*.lock")) - before
        assert folder.stat().st_mode & 0o777 == 0o700
        with pytest.raises(InvalidSetting, match=f"another process is at work on run {run}: .*{path}"), RunLock()(run):
            pass
    path.unlink()


def _link(place: Path) -> None:
    (place.parent / "elsewhere").mkdir(mode=0o700)
    place.symlink_to(place.parent / "elsewhere")


def _open_to_others(place: Path) -> None:
    place.mkdir()
    place.chmod(0o777)


@pytest.mark.parametrize(
    ("prepare", "advice"),
    [(_link, "move it away"), (_open_to_others, "chmod 700 .*place"), (Path.touch, "move it away")],
)
def test_a_folder_that_other_users_could_have_prepared_is_refused(
    tmp_path: Path, prepare: Callable[[Path], None], advice: str
) -> None:
    prepare(tmp_path / "place")
    with (
        pytest.raises(StoreUnavailable, match=rf"place must belong to uid \d+ with mode 700.*: {advice}$"),
        PromotionLock("store", "model", 0.1, tmp_path / "place")(),
    ):
        pass
    assert not list(tmp_path.rglob("*.lock"))


def test_error_for_a_folder_of_another_user_says_who_can_remove_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    with (
        pytest.raises(StoreUnavailable, match=rf"uid {owner}: ask its owner or an administrator to remove it"),
        PromotionLock("store", "model", 0.1, tmp_path)(),
    ):
        pass


def test_a_second_process_for_a_run_is_refused_until_the_first_one_ends(
    tmp_path: Path, holder: "subprocess.Popen[str]"
) -> None:
    lock = RunLock(tmp_path)
    with pytest.raises(InvalidSetting, match=f"another process is at work on run run: .*{tmp_path}"), lock("run"):
        pass
    assert (tmp_path / "fmnist-run-run.lock").exists()
    with lock("../another"):
        pass
    holder.kill()
    holder.wait()
    with lock("run"):
        pass


def test_a_lock_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match="fmnist-run-"), RunLock(tmp_path / "file")("run"):
        pass
    with pytest.raises(StoreUnavailable, match=f"the lock of a run cannot be written to {tmp_path}/file"):
        RunLock(tmp_path / "file").prepare()
