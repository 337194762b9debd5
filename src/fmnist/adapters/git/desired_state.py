"""`DesiredState` as a manifest in a Git repository that Argo CD or Flux follows. It keeps no checkout."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fmnist.adapters.git.advice import advice
from fmnist.adapters.git.command import git, source_name
from fmnist.adapters.git.remote import clone, push, references
from fmnist.adapters.yaml.manifest import ServingManifest
from fmnist.domain.model.address import Address
from fmnist.domain.model.errors import Conflict, InvalidSetting, StoreUnavailable
from fmnist.domain.model.promotion.canary import Canary
from fmnist.domain.model.text import words_of
from fmnist.ports.desired_state import Desired, DesiredState


@dataclass(frozen=True, slots=True)
class GitDesiredState(DesiredState):
    """A Serve config or RayService manifest on a branch of a repository.

    Args:
        repo: path or URL of the repository.
        branch: the branch that the cluster follows.
        manifest: path of the file in the repository.
    """

    repo: Address
    branch: str
    manifest: str

    def read(self) -> Desired:
        with self._checkout() as work:
            file = self._open(work)
            return Desired(model_uri=file.model_uri(), canary=file.canary(), revision=_head(work))

    def write(
        self, model_uri: str, image: str | None, *, canary: Canary | None = None, after: str, message: str
    ) -> Desired:
        with self._checkout() as work:
            found = _head(work)
            if found != after:
                raise self._overtaken(after, found)
            file = self._open(work)
            if file.point_at(model_uri, image, canary):
                git(work, "commit", "--quiet", "--all", "--message", message)
                self._push(work, after)
            return Desired(model_uri=model_uri, canary=canary, revision=_head(work))

    @contextmanager
    def _checkout(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="fmnist-gitops-") as scratch:
            work = Path(scratch, "gitops")
            try:
                clone(self.repo, work, "--depth=1", f"--branch={self.branch}", "--no-tags")
            except StoreUnavailable as error:
                correct = "correct GITOPS_REPO_URL and GITOPS_BRANCH"
                absent = f"{correct}; `make pipeline` creates a local repository"
                what_to_do = advice(error, self.repo, "GITOPS_REPO_URL", absent) or correct
                raise StoreUnavailable(
                    f"cannot clone branch {self.branch} of {source_name(self.repo)}: {error}; {what_to_do}"
                ) from error
            yield work

    def _open(self, work: Path) -> ServingManifest:
        path = work / self.manifest
        if not path.is_file():
            raise InvalidSetting(
                f"{source_name(self.repo)} has no file {self.manifest} on branch {self.branch}: set GITOPS_MANIFEST to "
                "the path of its RayService manifest"
            )
        return ServingManifest(path)

    def _push(self, work: Path, after: str) -> None:
        """Push the new commit. After an error, the commit that the branch is at tells what happened.

        Our commit: the push succeeded, and only the answer was lost. The old commit: the push was refused. Any other
        commit: somebody else pushed first.
        """
        reference = f"refs/heads/{self.branch}"
        try:
            push(work, self.repo, f"HEAD:{reference}")
        except StoreUnavailable as error:
            there = dict(references(self.repo, reference)).get(reference, "")
            if there == _head(work):
                return
            if there != after:
                raise self._overtaken(after, there) from error
            said, permit = words_of(error), f"allow the user who deploys to push to branch {self.branch}"
            what_to_do = advice(error, self.repo, "GITOPS_REPO_URL", "correct GITOPS_REPO_URL") or permit
            raise StoreUnavailable(
                f"{source_name(self.repo)} refused the push of the deployment: {said}; {what_to_do}"
            ) from error

    def _overtaken(self, after: str, found: str) -> Conflict:
        return Conflict(
            f"branch {self.branch} of {source_name(self.repo)} is at {found[:12]}, and no longer at {after[:12]}: "
            "somebody else has pushed"
        )


def _head(work: Path) -> str:
    return git(work, "rev-parse", "HEAD").strip()
