"""Data versions are named and ordered as semver.org says."""

import pytest

from fmnist.domain.model.data.data_version import choose, full_tag, newest_first
from fmnist.domain.model.errors import DataVersionNotFound, InvalidSetting, Remedy


def test_order_is_by_number_and_not_by_letter() -> None:
    numbers = [
        "0.9.9",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
    ]
    oldest_first = [f"fashion-mnist-v{number}" for number in [*numbers, "1.0.0", "1.2.0", "1.10.0", "10.0.0"]]
    assert newest_first(sorted(oldest_first)) == oldest_first[::-1]


def test_other_tags_of_the_repository_are_not_versions() -> None:
    others = [
        "v1.0.0",
        "mnist-v1.0.0",
        "fashion-mnist-v1",
        "fashion-mnist-v1.0.0.0",
        "fashion-mnist-vx",
        "fashion-mnist-",
    ]
    assert newest_first(["fashion-mnist-v1.0.0", *others]) == ["fashion-mnist-v1.0.0"]


@pytest.mark.parametrize("version", ["1.2.3", "v1.2.3", "fashion-mnist-v1.2.3"])
def test_full_tag_of_every_short_form(version: str) -> None:
    assert full_tag(version) == "fashion-mnist-v1.2.3"


@pytest.mark.parametrize("version", ["", "1", "1.2", "latest", "vv1.2.3", "1.2.3 ", "1.2.3;rm", "--help"])
def test_an_invalid_version_never_becomes_a_tag(version: str) -> None:
    with pytest.raises(InvalidSetting, match="expected three numbers"):
        full_tag(version)


@pytest.mark.parametrize("version", [None, "", "DEV", "latest"])
def test_unset_dev_and_latest_choose_the_newest(version: str | None) -> None:
    assert choose(version, ["fashion-mnist-v2.0.0", "fashion-mnist-v1.0.0"]) == "fashion-mnist-v2.0.0"


def test_error_for_an_unknown_version_lists_the_existing_ones() -> None:
    with pytest.raises(DataVersionNotFound, match=r"no version '3.0.0': it has fashion-mnist-v2.0.0"):
        choose("3.0.0", ["fashion-mnist-v2.0.0"])


def test_no_version_at_all_says_how_to_make_one() -> None:
    with pytest.raises(DataVersionNotFound) as refused:
        choose(None, [])
    assert refused.value.remedies == (Remedy.BUILD_DATA,)
