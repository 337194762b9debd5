"""Promotions that end at any call of the store: a second attempt gives the same result."""

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from fmnist.domain.model.errors import Conflict, StoreUnavailable
from fmnist.domain.model.promotion.policy import Mode
from tests.unit.domain.services.promotion_support import POLICY, House, challenger, promoted


def _prepare_release(house: House) -> Callable[[], object]:
    promoted(house, 2)
    staged = house.wave_through(challenger(house))
    return lambda: house.promotion.release(staged.uri, by="x", serving_image="image")


def _prepare_first_release(house: House) -> Callable[[], object]:
    staged = house.wave_through(challenger(house))
    return lambda: house.promotion.release(staged.uri, by="x")


def _prepare_rollback(house: House) -> Callable[[], object]:
    promoted(house, 3)
    return lambda: house.rollback.run(by="x", reason="bad")


def _prepare_stage(house: House) -> Callable[[], object]:
    promoted(house, 1)
    better = house.train(9)
    house.compare(better)
    return lambda: house.promotion.stage(better)


def _prepare_pipeline(house: House) -> Callable[[], object]:
    promoted(house, 1)
    better = house.train(9)
    return lambda: house.run.run(better, POLICY, Mode.EVALUATE, by="x", approval="automatic")


def _fails(house: House, act: Callable[[], object], call: int, *, afterwards: bool) -> bool:
    """Return whether `act` fails with the store's call of that number. The store works again after it."""
    house.store.calls, house.store.fail_at, house.store.afterwards = 0, call, afterwards
    try:
        act()
    except StoreUnavailable:
        house.store.fail_at = None
        return True
    return False


def _told(house: House) -> object:
    """The end state without its times."""
    state = house.state
    return [
        (
            each.uri,
            each.aliases,
            sorted(name for name in each.tags if "_at_" not in name),
            {name: each.tags.get(name) for name in ("released_from", "staged_from", "replaces", "promoted_by")},
        )
        for each in (*state.staging, *state.prod)
    ]


@pytest.mark.parametrize("afterwards", [False, True])
@pytest.mark.parametrize(
    "prepare", [_prepare_first_release, _prepare_release, _prepare_rollback, _prepare_stage, _prepare_pipeline]
)
def test_after_a_fault_at_any_store_call_a_second_attempt_gives_the_same_result(
    tmp_path: Path, prepare: Callable[[House], Callable[[], object]], afterwards: bool
) -> None:
    undisturbed = House(tmp_path)
    act = prepare(undisturbed)
    started_with = undisturbed.state.champion
    act()
    expected = _told(undisturbed)
    for call in count(1):
        house = House(tmp_path)
        act = prepare(house)
        if not _fails(house, act, call, afterwards=afterwards):
            break
        champion = house.state.champion
        assert (champion is not None) or started_with is None, f"no champion after a fault at call {call}"
        act()
        assert _told(house) == expected, f"another end after a fault at call {call}"
    assert call > 4


@pytest.mark.parametrize("afterwards", [False, True])
def test_a_release_that_was_interrupted_anywhere_can_be_rolled_back(tmp_path: Path, afterwards: bool) -> None:
    for call in count(1):
        house = House(tmp_path)
        release = _prepare_release(house)
        if not _fails(house, release, call, afterwards=afterwards):
            break
        champion = house.state.champion
        assert champion is not None
        outcome = house.rollback.run(by="x", reason="never mind")
        # It goes back to the version that the champion at that time had replaced.
        assert outcome.version.version == champion.version - 1
        assert house.aliases() == {"champion": champion.version - 1, "previous": champion.version}
        assert house.rollback.run(by="x", reason="again").version.version == champion.version - 1
    assert call > 4


def test_a_release_is_refused_until_an_unfinished_rollback_is_finished(promotions: House) -> None:
    for quality in (3, 5):
        promotions.promote(promotions.train(quality))
    staged = promotions.prepare(promotions.train(9))
    calls = promotions.store.calls
    promotions.store.fail_at = calls + 6  # four listings, the record, and then @champion
    with pytest.raises(StoreUnavailable):
        promotions.rollback.run(by="x", reason="bad")
    promotions.store.fail_at = None
    assert promotions.aliases() == {"champion": 2, "previous": 1}
    with pytest.raises(Conflict, match="was started but not finished"):
        promotions.promotion.release(staged.uri, by="x")
    promotions.rollback.run(by="x", reason="bad")
    assert promotions.aliases() == {"champion": 1, "previous": 2}
