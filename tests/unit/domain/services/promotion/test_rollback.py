"""A rollback reports what it did, and goes back once, after any interruption before it."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmnist.adapters.memory.model_store import MemoryModelStore
from fmnist.domain.model.errors import Conflict, FmnistError, ModelNotFound, NotReady, StoreUnavailable
from fmnist.domain.model.model import ModelVersion
from fmnist.domain.model.promotion.records import Rollback
from fmnist.domain.model.promotion.stages import Alias
from tests.unit.domain.services.promotion_support import PROD, House, as_before, challenger, promoted

AGAIN = "is @champion again"


def watch_champion(house: House) -> None:
    """Check after each write that an existing champion still exists."""
    for name in ("copy", "label"):
        write = getattr(house.store, name)

        def watched(*given: object, _write: Callable[..., object] = write, **named: object) -> object:
            had = Alias.CHAMPION in house.aliases_now()
            try:
                return _write(*given, **named)
            finally:
                assert Alias.CHAMPION in house.aliases_now() or not had, "there was no champion for an instant"

        setattr(house.store, name, watched)


class Witness:
    """Releases and rolls back, compares the messages with the state, and tracks what was interrupted."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.goes_to: int | None = None  # the target of an interrupted rollback

    def roll_back(self) -> None:
        before = self.house.aliases_now()
        try:
            message = self.house.rollback.run(by="x", reason="bad").message
        except StoreUnavailable:
            record = Rollback.of(MemoryModelStore.resolve(self.house.store, f"models:/{PROD}/{before['champion']}"))
            if self.goes_to is None and record is not None:
                self.goes_to = record.to
            after = self.house.aliases_now()
            if after["champion"] == self.goes_to != after["previous"]:
                self.goes_to = None  # only the end of its record is missing
            raise
        except (ModelNotFound, Conflict):
            message = "refused: nothing changed"
        after = self.house.aliases_now()
        if "nothing changed" in message:
            assert after == before
            return
        assert after["previous"] != after["champion"]
        if AGAIN in message:
            assert after["champion"] != before["champion"], f"said {message!r}, and changed nothing"
        else:
            assert self.goes_to is not None, f"said {message!r}, and nothing was interrupted"
        assert self.goes_to in {None, after["champion"]}, "another rollback than the interrupted one was finished"
        self.goes_to = None

    def release(self, staged: ModelVersion) -> None:
        before = self.house.aliases_now()
        try:
            message = self.house.promotion.release(staged.uri, by="x").message
        except (Conflict, NotReady):
            return
        after = self.house.aliases_now()
        if "nothing changed" in message:
            assert after == before
            return
        assert after.get("previous") != after["champion"]
        assert self.goes_to in {None, after.get("previous")}, "a release ignored an unfinished rollback"
        self.goes_to = None


def ended_long_ago(house: House) -> None:
    """Make 2 the champion, after an old release was rolled back to it."""
    promoted(house, 3)
    house.rollback.run(by="x", reason="long ago")


def ended_and_released_since(house: House) -> None:
    ended_long_ago(house)
    promoted(house, 1)
    house.rollback.run(by="x", reason="lately")


def ended_as_earlier_versions_recorded_it(house: House) -> None:
    """The same, by a version of fmnist that recorded no end."""
    ended_and_released_since(house)
    for version in house.state.prod:
        if record := Rollback.of(version):
            house.store.label(version, tags=as_before(record.tag()))


def nothing_before(house: House) -> None:
    promoted(house, 2)


def another_tool_moved_the_champion_alone(house: House) -> None:
    ended_and_released_since(house)
    copy = house.store.copy(house.state.source[0], PROD)
    house.store.label(copy, alias=Alias.CHAMPION)


def a_person_withdrew_the_newest(house: House) -> None:
    promoted(house, 2)
    house.store.label(house.state.prod[1], alias=Alias.CHAMPION)


HISTORIES = [
    nothing_before,
    ended_long_ago,
    ended_and_released_since,
    ended_as_earlier_versions_recorded_it,
    another_tool_moved_the_champion_alone,
    a_person_withdrew_the_newest,
]


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("afterwards", [False, True])
@pytest.mark.parametrize("broken", ["release", "rollback"])
def test_a_rollback_after_any_interruption_reports_what_it_did(
    tmp_path: Path, broken: str, afterwards: bool, history: Callable[[House], None]
) -> None:
    for call in count(1):
        house = House(tmp_path)
        history(house)
        staged = house.wave_through(challenger(house))
        watch_champion(house)
        house.store.calls, house.store.fail_at, house.store.afterwards = 0, call, afterwards
        witness, served = Witness(house), house.aliases_now()["champion"]
        try:
            witness.release(staged) if broken == "release" else witness.roll_back()
        except StoreUnavailable:
            house.store.fail_at = None
        else:
            break
        released = broken == "release" and house.aliases_now()["champion"] != served
        witness.roll_back()
        assert not released or house.aliases_now()["champion"] == served
        witness.release(staged)
        witness.roll_back()
    assert call > 4


def test_a_rollback_after_an_interrupted_release_does_not_continue_an_old_rollback(promotions: House) -> None:
    ended_long_ago(promotions)
    staged = promotions.wave_through(challenger(promotions))
    move = promotions.store.label

    def die_before_champion(version: ModelVersion, **what: object) -> None:
        if what.get("alias") == Alias.CHAMPION:
            raise StoreUnavailable("the store fails")
        move(version, **what)  # type: ignore[arg-type]

    promotions.store.label = die_before_champion  # type: ignore[method-assign, assignment]
    with pytest.raises(StoreUnavailable):
        promotions.promotion.release(staged.uri, by="x")
    promotions.store.label = move  # type: ignore[method-assign]
    assert promotions.aliases() == {"champion": 2, "previous": 2}
    assert promotions.rollback.run(by="x", reason="bad").message == (
        f"models:/{PROD}/1 {AGAIN}, models:/{PROD}/2 was rolled back"
    )
    assert promotions.aliases() == {"champion": 1, "previous": 2}


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["release", "again", "rollback", "rollback"]),
            st.integers(1, 20),
            st.booleans(),
        ),
        max_size=7,
    )
)
def test_a_rollback_after_many_interruptions_reports_what_it_did(steps: list[tuple[str, int, bool]]) -> None:
    with TemporaryDirectory() as directory:
        house = House(Path(directory))
        promoted(house, 2)
        watch_champion(house)
        witness = Witness(house)
        waiting: list[ModelVersion] = []
        for what, call, afterwards in steps:
            if what == "release":
                try:
                    waiting.append(house.wave_through(challenger(house)))
                except FmnistError:
                    continue
            act = {
                "release": lambda: witness.release(waiting[-1]),
                "again": lambda: witness.release(waiting[0]) if waiting else None,
                "rollback": witness.roll_back,
            }[what]
            house.store.calls, house.store.fail_at, house.store.afterwards = 0, call, afterwards
            try:
                act()
            except StoreUnavailable:
                house.store.fail_at = None
            house.store.fail_at = None
        witness.roll_back()
