"""The Git repository of the data registry: its versions, which are tags, and a local copy. Errors say what to do."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fmnist.adapters.git.advice import advice
from fmnist.adapters.git.command import is_local, source_name
from fmnist.adapters.git.remote import clone, references
from fmnist.domain.model.address import Address
from fmnist.domain.model.errors import StoreUnavailable

_TAGS = "refs/tags/"


def tagged_commits(repo: Address) -> dict[str, str]:
    """Return every tag of a repository with the full SHA of its commit, from one request.

    Raises:
        StoreUnavailable: there is no repository, or it does not answer.
    """
    try:
        tags = references(repo, f"{_TAGS}*")
    except StoreUnavailable as error:
        raise StoreUnavailable(
            f"the data registry {source_name(repo)} does not answer: {error}; {_way_out(error, repo)}"
        ) from error
    # Git lists an annotated tag first, then its commit, which overwrites it here.
    return {name.removeprefix(_TAGS).removesuffix("^{}"): sha for name, sha in tags}


@contextmanager
def local_registry(repo: Address, what: str) -> Iterator[str]:
    """Yield a local path of the repository: its own path, or that of a temporary bare clone. Errors call it `what`.

    DVC would clone it as well, but would wait for ever for a server that stops answering.

    Raises:
        StoreUnavailable: there is no repository, or it does not answer, or stops answering.
    """
    if is_local(repo):
        yield source_name(repo)
        return
    with tempfile.TemporaryDirectory(prefix="fmnist-registry-") as scratch:
        copy = Path(scratch, "registry.git")
        try:
            clone(repo, copy, "--bare")
        except StoreUnavailable as error:
            raise StoreUnavailable(f"{what} cannot be opened: {error}; {_way_out(error, repo)}") from error
        yield str(copy)


def _way_out(error: StoreUnavailable, repo: Address) -> str:
    correct = "correct DVC_REPO_URL"
    absent = f"make one with `fmnist data build`, or {correct}" if is_local(repo) else correct
    return advice(error, repo, "DVC_REPO_URL", absent) or correct
