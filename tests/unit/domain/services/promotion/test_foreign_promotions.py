"""Changes that another tool makes in the registry, without our records, are shown as they are and block no command."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmnist.adapters.memory.model_store import MemoryModelStore
from fmnist.domain.model.errors import FmnistError, NotReady, Remedy
from fmnist.domain.model.model import ModelVersion
from fmnist.domain.model.promotion.policy import Mode
from fmnist.domain.model.promotion.stages import Alias
from tests.unit.domain.services.promotion_support import POLICY, PROD, SOURCE, STAGING, House, challenger

NO_RECORD = "fmnist has no record of that"


def foreign_copy(house: House, source: ModelVersion, name: str, *, tags: bool = False) -> ModelVersion:
    """Copy a version as another tool does: with its tags, or without any if it registers the model again."""
    copy = house.store.copy(source, name)
    if not tags:
        entry = house.store._models[name][copy.version - 1]
        house.store._models[name][copy.version - 1] = replace(entry, version=replace(entry.version, tags={}))
    return house.store.resolve(copy.uri)


def foreign_release(house: House, source: ModelVersion, *, tags: bool = False) -> ModelVersion:
    """Release like the platform's own script: a copy, and both aliases."""
    copy, champion = foreign_copy(house, source, PROD, tags=tags), house.state.champion
    if champion is not None:
        house.store.label(champion, alias=Alias.PREVIOUS)
    house.store.label(copy, alias=Alias.CHAMPION)
    return copy


def notes(house: House) -> dict[str, str]:
    return {each.role: each.note for each in house.overview.status()}


@pytest.mark.parametrize("tags", [False, True])
def test_a_foreign_champion_is_shown_as_foreign_and_our_steps_continue_from_it(promotions: House, tags: bool) -> None:
    house = promotions
    house.promote(house.train(3))
    staged = house.prepare(house.train(5))
    foreign = foreign_release(house, staged, tags=tags)
    assert NO_RECORD in notes(house)["champion"]
    assert "not finished" not in notes(house)["champion"]
    event = next(each for each in house.overview.history() if each.version == foreign.uri)
    assert event.what == "registered"
    assert event.detail.startswith("by another tool: its source and what it replaced are not recorded")
    ours = house.promote(house.train(9))
    assert house.aliases() == {"champion": ours.version, "previous": foreign.version}
    assert NO_RECORD in notes(house)["previous"]
    assert house.rollback.run(by="x", reason="bad").version.uri == foreign.uri
    assert NO_RECORD in notes(house)["champion"]
    assert notes(house)["previous"] == "rolled back by x: bad"


def test_a_foreign_champion_can_be_rolled_back(promotions: House) -> None:
    ours = promotions.promote(promotions.train(3))
    foreign = foreign_release(promotions, promotions.train(5))
    assert promotions.rollback.run(by="x", reason="bad").version.uri == ours.uri
    assert promotions.aliases() == {"champion": ours.version, "previous": foreign.version}
    assert notes(promotions)["champion"] == ""


@pytest.mark.parametrize("tags", [False, True])
def test_a_foreign_candidate_can_be_tested_and_approved_but_needs_a_decision_for_release(
    promotions: House, tags: bool
) -> None:
    house = promotions
    model = house.train(5)
    house.compare(model)
    candidate = foreign_copy(house, house.store.resolve(model.uri), STAGING, tags=tags)
    house.store.label(candidate, alias=Alias.CANDIDATE)
    assert NO_RECORD in notes(house)["candidate"]
    assert house.acceptance.run(replace(POLICY)).passed
    house.promotion.approve(None, by="A. Person", reason="fine")
    with pytest.raises(NotReady, match="has no decision that allows its release") as refused:
        house.promotion.release(None, by="x")
    assert refused.value.remedies == (Remedy.COMPARE_AND_STAGE,)
    ours = house.promotion.stage(model).version
    house.acceptance.run()
    assert house.promotion.release(None, by="x").version.tags["released_from"] == ours.uri


@pytest.mark.parametrize("tags", [False, True])
def test_a_champion_that_another_tool_copied_is_compared_like_any_other(promotions: House, tags: bool) -> None:
    model = promotions.train(5)
    staged = promotions.prepare(model)
    foreign_release(promotions, staged, tags=tags)
    result = promotions.run.run(model, POLICY, Mode.EVALUATE, by="x", approval="automatic")
    assert result.released is None
    assert result.message.startswith("refuse: McNemar: only the challenger is right on 0 images")


def test_a_copy_of_a_released_version_does_not_count_as_released(promotions: House) -> None:
    model = promotions.train(5)
    staged = promotions.prepare(model)
    ours = promotions.promotion.release(staged.uri, by="x").version
    foreign_release(promotions, ours, tags=True)
    assert NO_RECORD in notes(promotions)["champion"]
    told = {each.version: each.what for each in promotions.overview.history()}
    assert (told[ours.uri], told[f"models:/{PROD}/2"]) == ("released", "registered")
    with pytest.raises(NotReady, match=f"it was released as {ours.uri}, which is no longer champion"):
        promotions.promotion.release(staged.uri, by="x")


def test_an_alias_that_another_tool_moved_back_is_shown(promotions: House) -> None:
    first = promotions.promote(promotions.train(3))
    promotions.promote(promotions.train(5))
    assert notes(promotions)["champion"] == ""
    promotions.store.label(first, alias=Alias.CHAMPION)
    assert notes(promotions)["champion"] == "another tool made it champion: the recorded champion is version 2"
    assert promotions.overview.status()[2].since == ""


def other_tool_moves_champion_alone(house: House, where: str) -> ModelVersion:
    """Point `@champion` to a new copy, or back to an earlier champion, and do not change `@previous`."""
    moved = foreign_copy(house, house.state.source[0], PROD) if where == "new" else house.store.resolve(where)
    house.store.label(moved, alias=Alias.CHAMPION)
    return moved


@pytest.mark.parametrize("moves", [["new"], ["new", "new"], [f"models:/{PROD}/1"], [f"models:/{PROD}/2"]])
@pytest.mark.parametrize("rolled_back", [False, True])
def test_a_rollback_skips_no_version_if_another_tool_moved_only_the_champion(
    promotions: House, moves: list[str], rolled_back: bool
) -> None:
    for _ in range(3 + rolled_back):
        promotions.promotion.release(promotions.wave_through(challenger(promotions)).uri, by="x")
    if rolled_back:
        promotions.rollback.run(by="x", reason="4 is bad")
    for where in moves:
        moved = other_tool_moves_champion_alone(promotions, where)
    assert promotions.rollback.run(by="x", reason="bad").message == (
        f"models:/{PROD}/3 is @champion again, {moved.uri} was rolled back: another tool had made it champion, "
        f"version 3 was champion before version {moved.version}"
    )
    assert promotions.aliases() == {"champion": 3, "previous": moved.version}
    assert promotions.rollback.run(by="x", reason="bad").message.endswith("nothing changed")


def test_the_first_champion_comes_back_if_another_tool_moved_the_alias(promotions: House) -> None:
    promotions.promote(promotions.train(3))
    moved = other_tool_moves_champion_alone(promotions, "new")
    promotions.rollback.run(by="x", reason="bad")
    assert promotions.aliases() == {"champion": 1, "previous": moved.version}


def test_a_champion_that_a_rollback_replaced_is_recorded(promotions: House) -> None:
    promotions.promote(promotions.train(3))
    foreign_release(promotions, promotions.train(5))
    left = foreign_release(promotions, promotions.train(5))
    taken_back = foreign_release(promotions, promotions.train(5))
    promotions.rollback.run(by="x", reason="bad")
    assert promotions.aliases() == {"champion": left.version, "previous": taken_back.version}
    promotions.store.label(promotions.state.prod[-1], alias=Alias.CHAMPION)
    assert (
        notes(promotions)["champion"]
        == f"another tool made it champion: the recorded champion is version {left.version}"
    )


@settings(max_examples=120, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["stage", "test", "approve", "release", "rollback", "copy", "copy", "champion", "previous", "candidate"]
            ),
            st.integers(0, 5),
            st.booleans(),
        ),
        max_size=12,
    )
)
def test_after_any_foreign_change_every_command_reports_the_state_or_an_error(
    steps: list[tuple[str, int, bool]],
) -> None:
    with TemporaryDirectory() as directory:
        house = House(Path(directory))
        challenger(house)
        for what, which, flag in steps:
            _act(house, what, which, flag)
            aliases = house.aliases_now()
            standings = {each.role: each for each in house.overview.status()}
            champion = standings["champion"].version
            assert (champion.version if champion else None) == aliases.get("champion")
            if champion is not None and not house.state.is_ours(champion) and house.state.open_rollback is None:
                assert NO_RECORD in standings["champion"].note
            house.overview.history()
            if champion is not None:
                house.trace.of(champion.uri)


def _act(house: House, what: str, which: int, flag: bool) -> None:
    """Run one of our steps, or one of another tool, on an existing version."""
    before = house.aliases_now()
    staging, prod = (MemoryModelStore.versions(house.store, name) for name in (STAGING, PROD))
    try:
        match what:
            case "stage":
                house.wave_through(challenger(house))
            case "test":
                house.acceptance.run(POLICY)
            case "approve":
                house.promotion.approve(None, by="A. Person", reason="fine")
            case "release":
                house.promotion.release(None, by="x", approval="manual" if flag else "automatic")
            case "rollback":
                message = house.rollback.run(by="x", reason="bad").message
                if "is @champion again" in message:
                    assert house.aliases_now()["champion"] != before["champion"]
            case "copy":
                every = [*MemoryModelStore.versions(house.store, str(SOURCE)), *staging, *prod]
                foreign_copy(house, every[which % len(every)], PROD if which % 2 else STAGING, tags=flag)
            case alias:
                among = staging if alias == Alias.CANDIDATE else prod
                if among:
                    house.store.label(among[which % len(among)], alias=alias)
    except FmnistError:
        assert house.aliases_now() == before
