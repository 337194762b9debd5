"""One promotion at a time on a machine, whatever becomes of the process that has the lock."""

import logging
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fmnist.adapters.filelock.lock import PromotionLock
from fmnist.domain.model.errors import Conflict, StoreUnavailable

HOLD = """
import sys
from pathlib import Path
from fmnist.adapters.filelock.lock import PromotionLock
with PromotionLock("store", "model", 5, Path(sys.argv[1]))():
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


def test_a_second_promotion_says_that_it_waits_and_then_that_it_gave_up(
    tmp_path: Path, holder: "subprocess.Popen[str]", caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with (
        pytest.raises(Conflict, match="another promotion of model is under way"),
        PromotionLock("store", "model", 0.1, tmp_path)(),
    ):
        pass
    assert caplog.messages == ["another promotion of model is under way on this machine: waiting for up to 0.1 s"]
    with PromotionLock("another store", "model", 0.1, tmp_path)():
        pass


def test_a_process_that_is_killed_lets_go(tmp_path: Path, holder: "subprocess.Popen[str]") -> None:
    holder.send_signal(signal.SIGKILL)
    with PromotionLock("store", "model", 30, tmp_path)():
        pass


def test_steps_within_a_promotion_may_take_it_again(tmp_path: Path) -> None:
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


def test_the_lock_is_one_wherever_temporary_files_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = set()
    for name in ("a", "b"):
        monkeypatch.setenv("TMPDIR", str(tmp_path / name))
        monkeypatch.setattr(tempfile, "tempdir", None)
        paths.add(PromotionLock(f"a store at {tmp_path}", "model", 0.1).path)
    (path,) = paths
    with PromotionLock(f"a store at {tmp_path}", "model", 0.1)():
        assert path.parent.stat().st_mode & 0o777 == 0o700
    path.unlink()


def _link(place: Path) -> None:
    (place.parent / "elsewhere").mkdir(mode=0o700)
    place.symlink_to(place.parent / "elsewhere")


def _open_to_others(place: Path) -> None:
    place.mkdir()
    place.chmod(0o777)


@pytest.mark.parametrize("prepare", [_link, _open_to_others, Path.touch])
def test_a_place_that_others_could_have_prepared_is_refused(tmp_path: Path, prepare: Callable[[Path], None]) -> None:
    prepare(tmp_path / "place")
    with (
        pytest.raises(StoreUnavailable, match=r"place must be a folder of uid \d+ alone .*: move it away"),
        PromotionLock("store", "model", 0.1, tmp_path / "place")(),
    ):
        pass
    assert not list(tmp_path.rglob("*.lock"))
