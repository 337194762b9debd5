"""Repositories on other machines: cloned, listed and pushed to, and given up when they fall silent."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fmnist.adapters.git.command import is_local, run, source_name
from fmnist.domain.model.address import Address

_SILENT_SECONDS = 60  # Git itself waits for ever for a server that takes its call and says nothing


def clone(repo: Address, target: Path, *options: str) -> None:
    """Clone a repository into a directory that is empty or not there yet; `options` are those of `git clone`.

    Raises:
        StoreUnavailable: no repository there, or it does not answer, or falls silent.
    """
    command = ["git", "clone", "--quiet", "--progress", *options, "--", source_name(repo), str(target)]
    run(command, silence=_SILENT_SECONDS, remote=repo)


@contextmanager
def local_copy(repo: Address) -> Iterator[str]:
    """Yield the path of a repository on this machine with the same commits: its own, or that of a clone for the time.

    DVC would clone it as well, but wait for ever for a server that falls silent.

    Raises:
        StoreUnavailable: as `clone`.
    """
    if is_local(repo):
        yield source_name(repo)
        return
    with tempfile.TemporaryDirectory(prefix="fmnist-registry-") as scratch:
        copy = Path(scratch, "registry.git")
        clone(repo, copy, "--bare")
        yield str(copy)


def references(repo: Address, *patterns: str) -> list[tuple[str, str]]:
    """Return (name, sha) of the repository's references that match, in Git's order; all of them without a pattern.

    After an annotated tag comes its name with `^{}`, for the commit that it stands for.

    Raises:
        StoreUnavailable: as `clone`.
    """
    command = ["git", "ls-remote", "--quiet", "--", source_name(repo), *patterns]
    listing = run(command, silence=_SILENT_SECONDS, remote=repo)
    lines = [line.split("\t") for line in listing.splitlines()]
    return [(name, sha) for sha, name in lines]


def push(checkout: Path, repo: Address, *refs: str) -> None:
    """Push all of the refs from a checkout to a repository, or none.

    Raises:
        StoreUnavailable: it does not take them, does not answer, or falls silent.
    """
    command = ["git", "push", "--quiet", "--progress", "--atomic", source_name(repo), *refs]
    run(command, cwd=checkout, silence=_SILENT_SECONDS, remote=repo)
