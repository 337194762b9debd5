"""What the data registry's repository says of its versions."""

from fmnist.adapters.git.command import source_name
from fmnist.adapters.git.remote import references
from fmnist.domain.model.errors import StoreUnavailable

_TAGS = "refs/tags/"


def tagged_commits(repo: str) -> dict[str, str]:
    """Return every tag of a repository with the full sha of its commit, asking the repository once.

    Raises:
        StoreUnavailable: no repository there, or it does not answer.
    """
    try:
        tags = references(repo, f"{_TAGS}*")
    except StoreUnavailable as error:
        raise StoreUnavailable(
            f"the data registry {source_name(repo)} does not answer: {error}. "
            "Make one with `fmnist data build`, or correct DVC_REPO_URL"
        ) from error
    # An annotated tag comes first, then the commit that it stands for.
    return {name.removeprefix(_TAGS).removesuffix("^{}"): sha for name, sha in tags}
