"""What the data registry's repository says of its versions."""

from fmnist.adapters.git.command import git_address, run, source_name
from fmnist.domain.model.errors import StoreUnavailable


def tagged_commits(repo: str) -> dict[str, str]:
    """Return every tag of a repository with the full sha of its commit, asking the repository once.

    Raises:
        StoreUnavailable: no repository there, or it does not answer.
    """
    try:
        listing = run(["git", "ls-remote", "--quiet", "--tags", "--", git_address(repo)])
    except StoreUnavailable as error:
        raise StoreUnavailable(
            f"the data registry {source_name(repo)} does not answer: {error}. "
            "Make one with `fmnist data build`, or correct DVC_REPO_URL"
        ) from error
    commits = {}
    # Git lists an annotated tag first, then, marked ^{}, the commit that it stands for.
    for line in listing.splitlines():
        sha, ref = line.split("\t")
        commits[ref.removeprefix("refs/tags/").removesuffix("^{}")] = sha
    return commits
