"""The contract of every `DesiredState`, wherever it is stored."""

from dataclasses import replace

import pytest

from fmnist.domain.model.errors import Conflict
from fmnist.domain.model.promotion.canary import Canary
from fmnist.ports.desired_state import DesiredState

_FIRST, _SECOND = "models:/prod.contract/1", "models:/prod.contract/2"
_CANARY = Canary("models:/staging.contract/7", 5)


class DesiredStateContract:
    """Subclass it as `Test...` and supply `state`."""

    @pytest.fixture
    def state(self) -> DesiredState:
        """The state of a service with any image, and with none of the contract's models."""
        raise NotImplementedError

    def test_what_was_written_is_what_is_there(self, state: DesiredState) -> None:
        before = state.read()
        after = state.write(_FIRST, None, after=before.revision, message="first")
        assert after == state.read()
        assert after.model_uri == _FIRST
        assert after.revision != before.revision

    def test_reading_changes_nothing(self, state: DesiredState) -> None:
        assert state.read() == state.read()

    def test_what_is_there_already_is_not_written_again(self, state: DesiredState) -> None:
        first = state.write(_FIRST, None, after=state.read().revision, message="first")
        assert state.write(_FIRST, None, after=first.revision, message="again") == first

    def test_writer_who_was_overtaken_is_told_and_writes_nothing(self, state: DesiredState) -> None:
        before = state.read()
        overtaking = state.write(_SECOND, None, after=before.revision, message="second")
        with pytest.raises(Conflict, match="no longer at"):
            state.write(_FIRST, None, after=before.revision, message="first")
        assert state.read() == overtaking

    def test_the_way_back_is_a_revision_of_its_own(self, state: DesiredState) -> None:
        first = state.write(_FIRST, None, after=state.read().revision, message="first")
        second = state.write(_SECOND, None, after=first.revision, message="second")
        back = state.write(_FIRST, None, after=second.revision, message="back")
        assert back.model_uri == _FIRST
        assert len({first.revision, second.revision, back.revision}) == 3

    def test_canary_comes_changes_its_share_and_goes(self, state: DesiredState) -> None:
        before = state.write(_FIRST, None, after=state.read().revision, message="first")
        assert before.canary is None
        for canary in (_CANARY, replace(_CANARY, percent=50), replace(_CANARY, percent=0), None):
            after = state.write(_FIRST, None, canary=canary, after=before.revision, message="a canary")
            assert after == state.read()
            assert (after.model_uri, after.canary) == (_FIRST, canary)
            assert after.revision != before.revision
            again = state.write(_FIRST, None, canary=canary, after=after.revision, message="again")
            assert again == after
            before = after
