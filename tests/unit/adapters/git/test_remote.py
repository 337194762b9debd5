"""Every Git command stops when a server accepts the connection and sends nothing."""

import socket
from pathlib import Path

import pytest

from fmnist.adapters.dvc.git import local_registry, tagged_commits
from fmnist.adapters.git.command import git, run
from fmnist.adapters.git.remote import push
from fmnist.domain.model.address import Address
from fmnist.domain.model.errors import StoreUnavailable


def test_server_that_accepts_a_connection_and_sends_nothing_times_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fmnist.adapters.git.remote._SILENT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"git://127.0.0.1:{silent.getsockname()[1]}/registry.git"
        with pytest.raises(StoreUnavailable, match=rf"{address} does not answer: .* no answer within 0\.5 s"):
            tagged_commits(Address(address))
        with (
            pytest.raises(StoreUnavailable, match=r"`git clone` got no answer within 0\.5 s"),
            local_registry(Address(address), "it"),
        ):
            pass
        run(["git", "init", "--quiet", str(tmp_path)])
        git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "x")
        with pytest.raises(StoreUnavailable, match=r"`git push` got no answer within 0\.5 s"):
            push(tmp_path, Address(address), "HEAD:main")
