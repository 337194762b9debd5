"""The service's repository is made once and followed as it is; what stands in the way is told before Ray is started."""

import socket
from pathlib import Path

import pytest

from pipeline.expressions import PipelineError
from pipeline.service import LocalService
from stack.services import HOST
from tests.integration.pipeline.conftest import ROOT
from tests.integration.support import change_files, git

MANIFEST = "deploy/base/rayservice.yaml"


@pytest.fixture
def service(tmp_path: Path) -> LocalService:
    return LocalService(tmp_path / "pipeline", str(tmp_path / "gitops.git"), "live", MANIFEST)


def test_repository_begins_with_the_manifest_as_it_is_in_the_checkout(service: LocalService) -> None:
    service.begin(ROOT)
    assert git(Path(service.repository), "show", f"live:{MANIFEST}") == (ROOT / MANIFEST).read_text()


def test_repository_that_is_there_is_left_as_it_is(service: LocalService, tmp_path: Path) -> None:
    service.begin(ROOT)
    change_files(service.repository, tmp_path / "work", {MANIFEST: "changed\n"}, branch="live")
    git(tmp_path / "work", "push", "--quiet")
    service.begin(ROOT)
    assert git(Path(service.repository), "show", f"live:{MANIFEST}") == "changed\n"


def test_repository_of_another_machine_is_not_made(tmp_path: Path) -> None:
    LocalService(tmp_path, "https://user:hunter2@127.0.0.1:9/gitops.git", "main", MANIFEST).begin(ROOT)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_followed_is_told_without_credentials(service: LocalService, tmp_path: Path) -> None:
    service.begin(ROOT)
    with pytest.raises(PipelineError, match=r"there is no other\.yaml on live of the GitOps repository"):
        LocalService(tmp_path, service.repository, "live", "other.yaml").follow()
    with pytest.raises(PipelineError, match="Remote branch main not found"):
        LocalService(tmp_path, service.repository, "main", MANIFEST).follow()
    with pytest.raises(PipelineError, match="cannot be used") as refused:
        LocalService(tmp_path, "http://user:hunter2@127.0.0.1:9/gitops.git", "main", MANIFEST).follow()
    assert "hunter2" not in str(refused.value)


def test_port_that_was_taken_meanwhile_is_told_before_a_cluster_is_started(service: LocalService) -> None:
    service.begin(ROOT)
    port = int(service.url.rpartition(":")[2])
    with socket.create_server((HOST, port)), pytest.raises(PipelineError, match=f"something else listens at .*:{port}"):
        service.follow()
    assert not service.runs
    assert not service.stop()


def test_another_port_is_settled_where_the_usual_one_is_taken(tmp_path: Path) -> None:
    held = socket.socket()
    with held:
        try:
            held.bind((HOST, 8000))
        except OSError:  # somebody else's
            pass
        else:
            held.listen()
        url = LocalService(tmp_path, "", "", "").url
    assert url.rpartition(":")[2] != "8000"
    assert LocalService(tmp_path, "", "", "").url == url, "what was settled stays"
