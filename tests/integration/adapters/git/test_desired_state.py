"""The desired state in a real Git repository: pushes of others in between, and refused pushes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fmnist.adapters.git.desired_state import GitDesiredState
from fmnist.domain.model.address import Address
from fmnist.domain.model.errors import Conflict, InvalidSetting, StoreUnavailable
from fmnist.testing.contracts.desired_state import DesiredStateContract
from tests.integration.support import change_files, git

MODEL = "models:/prod.contract/{}"
SERVE = """\
applications:
  - name: fmnist  # the only one
    deployments: [{name: FashionMNISTClassifier, user_config: {model_uri: "models:/prod.contract@champion"}}]
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A bare repository with a Serve config on the branch `live`."""
    bare, work = tmp_path / "gitops.git", tmp_path / "made"
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=live", str(bare))
    git(tmp_path, "init", "--quiet", "--initial-branch=live", str(work))
    (work / "serve.yaml").write_text(SERVE)
    git(work, "add", "--all")
    git(work, "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "--quiet", "--message", "Begin")
    git(work, "push", "--quiet", str(bare), "live")
    return bare


@pytest.fixture
def state(repository: Path) -> GitDesiredState:
    return GitDesiredState(Address(str(repository)), "live", "serve.yaml")


class TestGitDesiredState(DesiredStateContract):
    @pytest.fixture
    def state(self, repository: Path) -> GitDesiredState:
        return GitDesiredState(Address(str(repository)), "live", "serve.yaml")


def test_a_deployment_is_one_commit_that_changes_one_value(state: GitDesiredState, repository: Path) -> None:
    before = state.read()
    assert before.model_uri == "models:/prod.contract@champion"
    after = state.write(MODEL.format(1), None, after=before.revision, message="Serve it\n\nDeployed-by: A. Person")
    assert git(repository, "show", "live:serve.yaml") == SERVE.replace(
        "models:/prod.contract@champion", MODEL.format(1)
    )
    assert git(repository, "log", "-1", "--format=%H %P %B", "live").split("\n")[:3] == [
        f"{after.revision} {before.revision} Serve it",
        "",
        "Deployed-by: A. Person",
    ]


def test_other_files_and_commits_are_kept(state: GitDesiredState, repository: Path, tmp_path: Path) -> None:
    change_files(str(repository), tmp_path / "colleague", {"README.md": "Another file.\n"}, branch="live")
    git(tmp_path / "colleague", "push", "--quiet")
    state.write(MODEL.format(1), None, after=state.read().revision, message="Serve it")
    assert git(repository, "show", "live:README.md") == "Another file.\n"


@pytest.fixture
def overtaken(repository: Path, tmp_path: Path) -> Callable[[], str]:
    """Push another commit between our read of the branch and our push, and return that commit."""
    change_files(str(repository), tmp_path / "colleague", {"README.md": "First.\n"}, branch="live")
    theirs = git(tmp_path / "colleague", "rev-parse", "HEAD").strip()

    def arrange() -> str:
        git(tmp_path / "colleague", "push", "--quiet", str(repository), f"{theirs}:refs/heads/theirs")
        hook = repository / "hooks/pre-receive"
        # Git quarantines the objects of a push until it is accepted. This hook must not use our push's quarantine.
        hook.write_text(f"#!/bin/sh\nunset GIT_QUARANTINE_PATH\ngit update-ref refs/heads/live {theirs}\n")
        hook.chmod(0o755)
        return theirs

    return arrange


def test_late_push_is_a_conflict_and_keeps_the_first_one(state: GitDesiredState, overtaken: Callable[[], str]) -> None:
    before, theirs = state.read(), overtaken()
    with pytest.raises(Conflict, match=f"is at {theirs[:12]}, and no longer at {before.revision[:12]}"):
        state.write(MODEL.format(1), None, after=before.revision, message="Serve it")
    assert state.read().revision == theirs


def test_forbidden_push_is_not_a_conflict(state: GitDesiredState, repository: Path) -> None:
    before = state.read()
    hook = repository / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(StoreUnavailable, match=r"refused the push of the deployment: .*to push to branch live"):
        state.write(MODEL.format(1), None, after=before.revision, message="Serve it")
    assert state.read() == before


def test_push_with_a_lost_answer_counts_as_done(state: GitDesiredState, repository: Path) -> None:
    hook = repository / "hooks/post-receive"
    # The branch has moved, but the client gets no answer.
    hook.write_text("#!/bin/sh\nkill -9 $PPID\n")
    hook.chmod(0o755)
    after = state.write(MODEL.format(1), None, after=state.read().revision, message="Serve it")
    hook.unlink()
    assert state.read() == after


def test_missing_repository_branch_or_manifest_is_named(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"cannot clone branch live of .*absent\.git: .*GITOPS_REPO_URL"):
        GitDesiredState(Address(str(tmp_path / "absent.git")), "live", "serve.yaml").read()
    with pytest.raises(StoreUnavailable, match="cannot clone branch main"):
        GitDesiredState(Address(str(repository)), "main", "serve.yaml").read()
    with pytest.raises(InvalidSetting, match=r"has no file other\.yaml on branch live: set GITOPS_MANIFEST"):
        GitDesiredState(Address(str(repository)), "live", "other.yaml").read()


def test_credentials_of_the_address_are_not_shown() -> None:
    with pytest.raises(StoreUnavailable) as refused:
        GitDesiredState(Address("http://user:hunter2@127.0.0.1:9/gitops.git"), "live", "serve.yaml").read()
    assert "hunter2" not in str(refused.value)
    assert "127.0.0.1:9" in str(refused.value)
