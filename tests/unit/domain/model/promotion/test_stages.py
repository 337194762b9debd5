"""Registered names of the platform are parsed and built without loss."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist.domain.model.errors import InvalidSetting
from fmnist.domain.model.promotion.stages import Alias, Stage, StagedName


@given(st.sampled_from(Stage), st.text(min_size=1) | st.just("team.model"))
def test_a_staged_name_reads_back_as_it_was_written(stage: Stage, name: str) -> None:
    assert StagedName.parse(str(StagedName(stage, name))) == StagedName(stage, name)


def test_the_stages_of_one_model_differ_only_in_their_prefix() -> None:
    name = StagedName.parse("ci.fashion-mnist-classifier")
    assert [str(name.at(stage)) for stage in Stage] == [
        "dev.fashion-mnist-classifier",
        "ci.fashion-mnist-classifier",
        "staging.fashion-mnist-classifier",
        "prod.fashion-mnist-classifier",
    ]


@pytest.mark.parametrize("registered", ["", "ci", "ci.", ".name", "qa.name", "CI.name", "fashion-mnist-classifier"])
def test_a_name_without_a_known_stage_is_refused(registered: str) -> None:
    with pytest.raises(InvalidSetting, match=r"must be STAGE\.NAME, and STAGE one of dev, ci, staging, prod"):
        StagedName.parse(registered)


def test_the_aliases_are_the_platform_s() -> None:
    assert {alias.value for alias in Alias} == {"candidate", "champion", "previous"}
