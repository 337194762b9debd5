"""Tags of the data registry's repository are resolved to commits as Git resolves them."""

import os
from pathlib import Path

import pytest

from fmnist.adapters.dvc.git import tagged_commits
from fmnist.adapters.git.command import run
from fmnist.domain.model.address import Address
from fmnist.domain.model.errors import StoreUnavailable


def test_annotated_and_plain_tags_resolve_to_commits(tmp_path: Path) -> None:
    author = ("-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgSign=false")
    run(["git", "init", "--quiet", str(tmp_path)])
    run(["git", *author, "commit", "--quiet", "--allow-empty", "--message", "x"], cwd=tmp_path)
    run(["git", "tag", "light"], cwd=tmp_path)
    run(["git", *author, "tag", "--annotate", "--message", "x", "heavy"], cwd=tmp_path)
    commit = run(["git", "rev-parse", "HEAD"], cwd=tmp_path).strip()
    assert tagged_commits(Address(str(tmp_path))) == {"light": commit, "heavy": commit}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_error_for_a_registry_of_another_user_does_not_advise_to_build_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    bare = tmp_path / "registry.git"
    run(["git", "init", "--quiet", "--bare", str(bare)])
    os.chown(bare, 12345, 12345)
    with pytest.raises(StoreUnavailable) as refused:
        tagged_commits(Address(str(bare)))
    assert f"git config --global --add safe.directory {bare}`" in str(refused.value)
    assert "fmnist data build" not in str(refused.value)
