"""Clones, lists and pushes to Git repositories. A command stops when the server sends nothing for a minute."""

from pathlib import Path

from fmnist.adapters.git.command import run, source_name
from fmnist.domain.model.address import Address

_SILENT_SECONDS = 60  # Git itself waits for ever for a server that accepts a connection and sends nothing


def clone(repo: Address, target: Path, *options: str) -> None:
    """Clone a repository into a directory that is empty or does not exist. `options` are those of `git clone`.

    Raises:
        StoreUnavailable: there is no repository, or it does not answer, or stops answering.
    """
    command = ["git", "clone", "--quiet", "--progress", *options, "--", source_name(repo), str(target)]
    run(command, silence=_SILENT_SECONDS, remote=repo)


def references(repo: Address, *patterns: str) -> list[tuple[str, str]]:
    """Return (name, SHA) of the references that match, in Git's order. Without a pattern, return all of them.

    An annotated tag is followed by an entry for its commit, whose name ends with `^{}`.

    Raises:
        StoreUnavailable: as `clone`.
    """
    command = ["git", "ls-remote", "--quiet", "--", source_name(repo), *patterns]
    listing = run(command, silence=_SILENT_SECONDS, remote=repo)
    lines = [line.split("\t") for line in listing.splitlines()]
    return [(name, sha) for sha, name in lines]


def push(checkout: Path, repo: Address, *refs: str) -> None:
    """Push refs from a checkout to a repository: all of them, or none.

    Raises:
        StoreUnavailable: the repository refuses them, does not answer, or stops answering.
    """
    command = ["git", "push", "--quiet", "--progress", "--atomic", source_name(repo), *refs]
    run(command, cwd=checkout, silence=_SILENT_SECONDS, remote=repo)
