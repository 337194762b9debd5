"""The service's repository is created once and then followed. Problems are reported before Ray starts."""

import socket
from pathlib import Path

import pytest

from fmnist.domain.model.address import Address
from fmnist.domain.model.errors import StoreUnavailable
from pipeline.service import LocalService
from stack.services import HOST, StackError
from tests.integration.pipeline.conftest import ROOT
from tests.integration.support import change_files, git

MANIFEST = "deploy/base/rayservice.yaml"


@pytest.fixture
def service(tmp_path: Path) -> LocalService:
    return LocalService(tmp_path / "pipeline", Address(str(tmp_path / "gitops.git")), "live", MANIFEST)


def test_new_repository_has_the_manifest_of_the_checkout(service: LocalService) -> None:
    service.begin(ROOT)
    assert git(Path(str(service.repository)), "show", f"live:{MANIFEST}") == (ROOT / MANIFEST).read_text()


def test_existing_repository_is_not_changed(service: LocalService, tmp_path: Path) -> None:
    service.begin(ROOT)
    change_files(str(service.repository), tmp_path / "work", {MANIFEST: "changed\n"}, branch="live")
    git(tmp_path / "work", "push", "--quiet")
    service.begin(ROOT)
    assert git(Path(str(service.repository)), "show", f"live:{MANIFEST}") == "changed\n"


@pytest.mark.parametrize("address", ["https://user:hunter2@127.0.0.1:9/gitops.git", "git@127.0.0.1:gitops.git"])
def test_repository_on_another_machine_is_not_created(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    LocalService(tmp_path, Address(address), "main", MANIFEST).begin(ROOT)
    assert list(tmp_path.iterdir()) == []


def test_repository_is_created_and_followed_at_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "person"))
    service = LocalService(tmp_path / "pipeline", Address("~/gitops.git"), "live", MANIFEST)
    service.begin(ROOT)
    assert git(tmp_path / "person/gitops.git", "show", f"live:{MANIFEST}") == (ROOT / MANIFEST).read_text()
    with pytest.raises(StackError, match=r"there is no other\.yaml on live"):
        LocalService(tmp_path / "pipeline", Address("~/gitops.git"), "live", "other.yaml").follow()


def test_repository_of_a_surrounding_git_hook_is_not_changed(
    service: LocalService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as hook:
        hook.setenv("GIT_DIR", str(tmp_path / "of-the-hook.git"))
        service.begin(ROOT)
    assert not (tmp_path / "of-the-hook.git").exists()
    assert git(Path(str(service.repository)), "show", f"live:{MANIFEST}") == (ROOT / MANIFEST).read_text()


def test_error_for_an_unusable_repository_shows_no_credentials(service: LocalService, tmp_path: Path) -> None:
    service.begin(ROOT)
    with pytest.raises(StackError, match=r"there is no other\.yaml on live of the GitOps repository"):
        LocalService(tmp_path, service.repository, "live", "other.yaml").follow()
    with pytest.raises(StoreUnavailable, match="Remote branch main not found"):
        LocalService(tmp_path, service.repository, "main", MANIFEST).follow()
    with pytest.raises(StoreUnavailable) as refused:
        LocalService(tmp_path, Address("http://user:hunter2@127.0.0.1:9/gitops.git"), "main", MANIFEST).follow()
    assert "hunter2" not in str(refused.value)


def test_port_in_use_is_named_before_a_cluster_starts(service: LocalService) -> None:
    service.begin(ROOT)
    port = int(service.url.rpartition(":")[2])
    with socket.create_server((HOST, port)), pytest.raises(StackError, match=f"something else listens at .*:{port}"):
        service.follow()
    assert not service.stop()


def test_another_port_is_chosen_if_the_default_is_in_use(tmp_path: Path) -> None:
    held = socket.socket()
    with held:
        try:
            held.bind((HOST, 8000))
        except OSError:  # in use by another process
            pass
        else:
            held.listen()
        url = LocalService(tmp_path, Address(""), "", "").url
    assert url.rpartition(":")[2] != "8000"
    assert LocalService(tmp_path, Address(""), "", "").url == url, "the chosen port stays"
