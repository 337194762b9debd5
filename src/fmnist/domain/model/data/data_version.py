"""Names and order of data versions: tags `fashion-mnist-vX.Y.Z` in semantic order (semver.org, item 11)."""

import re
from collections.abc import Iterable, Sequence

from fmnist.domain.model.errors import DataVersionNotFound, InvalidSetting, Remedy

TAG_PREFIX = "fashion-mnist-v"
_NEWEST = (None, "", "DEV", "latest")
_SEMANTIC = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?")


def full_tag(version: str) -> str:
    """Return the full tag of a version: `1.0.0` and `v1.0.0` become `fashion-mnist-v1.0.0`.

    Raises:
        InvalidSetting: the version is not a semantic version.
    """
    number = version.removeprefix(TAG_PREFIX).removeprefix("v")
    if not _SEMANTIC.fullmatch(number):
        raise InvalidSetting(f"data version {version!r}: expected three numbers such as 1.0.0, or {TAG_PREFIX}1.0.0")
    return TAG_PREFIX + number


def newest_first(tags: Iterable[str]) -> list[str]:
    """Return the tags that name a data version, newest first."""
    named = (tag for tag in tags if tag.startswith(TAG_PREFIX) and _SEMANTIC.fullmatch(tag.removeprefix(TAG_PREFIX)))
    return sorted(named, key=_precedence, reverse=True)


def choose(version: str | None, tags: Sequence[str]) -> str:
    """Return the tag of `version` among `tags` (newest first). None, `DEV` and `latest` mean the newest.

    Raises:
        DataVersionNotFound: the version does not exist, or there is no version at all.
    """
    if not tags:
        raise DataVersionNotFound("the data registry has no version yet", Remedy.BUILD_DATA)
    if version in _NEWEST:
        return tags[0]
    for tag in tags:
        if tag.removeprefix(TAG_PREFIX) == str(version).removeprefix(TAG_PREFIX).removeprefix("v"):
            return tag
    raise DataVersionNotFound(f"the data registry has no version {version!r}: it has {', '.join(tags)}")


def _precedence(tag: str) -> tuple[object, ...]:
    major, minor, patch, pre = _SEMANTIC.fullmatch(tag.removeprefix(TAG_PREFIX)).groups()  # type: ignore[union-attr]  # newest_first matched it
    # A release comes after its pre-releases. Among pre-releases, numbers come before words.
    words = [(0, int(word), "") if word.isdigit() else (1, 0, word) for word in pre.split(".")] if pre else []
    return int(major), int(minor), int(patch), pre is None, words
