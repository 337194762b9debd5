"""A registry appears completely or not at all, and never replaces one that another process created meanwhile."""

import subprocess
from pathlib import Path

import pytest

from fmnist.adapters.dvc.builder import RegistryBuilder, make_repository
from fmnist.adapters.dvc.settings import RegistrySettings
from fmnist.domain.model.address import Address
from fmnist.domain.model.errors import StoreUnavailable


def _git(*arguments: object, cwd: Path) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A checkout with one commit."""
    _git("init", "--quiet", "--initial-branch=main", "work", cwd=tmp_path)
    _git("commit", "--quiet", "--allow-empty", "--message", "Build", cwd=tmp_path / "work")
    return tmp_path / "work"


def test_a_registry_is_moved_into_its_place_when_it_is_filled(work: Path, tmp_path: Path) -> None:
    place = tmp_path / "home" / "registry.git"

    def fill(address: Address) -> None:
        assert not place.exists()
        _git("push", "--quiet", str(address), "main", cwd=work)

    assert make_repository(place, fill)
    assert _git("log", "--format=%s", "main", cwd=place) == "Build\n"
    assert list(place.parent.iterdir()) == [place]


def test_a_registry_that_cannot_be_filled_leaves_nothing(tmp_path: Path) -> None:
    def fill(address: Address) -> None:
        raise StoreUnavailable("did not take it")

    with pytest.raises(StoreUnavailable, match="did not take it"):
        make_repository(tmp_path / "registry.git", fill)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("theirs", ["repository", "file"])
def test_repository_that_another_process_created_meanwhile_is_not_changed(
    work: Path, tmp_path: Path, theirs: str
) -> None:
    place = tmp_path / "registry.git"

    def fill(address: Address) -> None:
        if theirs == "repository":
            _git("clone", "--quiet", "--bare", work, place, cwd=tmp_path)
        else:
            place.write_text("precious")

    assert not make_repository(place, fill)
    if theirs == "repository":
        assert _git("log", "--format=%s", "main", cwd=place) == "Build\n"
    else:
        assert place.read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["registry.git", "work"]


class _Work:
    """A built version, in a checkout. While it is published, another process creates the registry with that version."""

    def __init__(self, checkout: Path, place: Path) -> None:
        self._checkout, self._place = checkout, place
        self.published: list[Address] = []

    def publish(self, repo: Address, tag: str) -> None:
        self.published.append(repo)
        _git("tag", tag, cwd=self._checkout)
        _git("clone", "--quiet", "--bare", self._checkout, self._place, cwd=self._checkout)


def test_a_version_that_another_process_published_meanwhile_is_not_published_again(work: Path, tmp_path: Path) -> None:
    place = tmp_path / "registry.git"
    builder = RegistryBuilder(RegistrySettings(Address(str(place))), downloads=tmp_path)
    theirs = _Work(work, place)
    assert not builder._publish(theirs, "fashion-mnist-v1.0.0", first=True)
    assert len(theirs.published) == 1
    assert _git("tag", cwd=place) == "fashion-mnist-v1.0.0\n"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnavailable, match=r"file/registry\.git cannot be created"):
        make_repository(tmp_path / "file" / "registry.git", pytest.fail)
