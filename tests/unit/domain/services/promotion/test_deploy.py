"""The champion at the time of writing is deployed, even if several processes write at the same time."""

from collections.abc import Callable
from typing import Any

import pytest

from fmnist.adapters.memory.desired_state import MemoryDesiredState
from fmnist.domain.model.errors import Conflict, InvalidSetting, ModelNotFound
from fmnist.domain.model.promotion.canary import Canary
from fmnist.domain.services.promotion.deploy import ModelDeployment
from fmnist.ports.desired_state import Desired
from tests.unit.domain.services.promotion_support import PROD, SOURCE, House


class Busy(MemoryDesiredState):
    """Another process does something before each of our writes."""

    def __init__(self, meanwhile: Callable[[MemoryDesiredState], None]) -> None:
        super().__init__()
        self._meanwhile = meanwhile

    def write(self, model_uri: str, image: str | None, **of: Any) -> Desired:
        self._meanwhile(self)
        return super().write(model_uri, image, **of)


def deployment(promotions: House, state: MemoryDesiredState) -> ModelDeployment:
    return ModelDeployment(promotions.store, state, SOURCE)


def test_the_champion_is_deployed_with_its_released_image_and_the_user(promotions: House) -> None:
    staged = promotions.prepare(promotions.train(5))
    promotions.promotion.release(staged.uri, by="tester", serving_image="serving:v1")
    state = MemoryDesiredState()
    done = deployment(promotions, state).run(by="A. Person ")
    assert state.written == [(f"models:/{PROD}/1", "serving:v1", f"Serve models:/{PROD}/1\n\nDeployed-by: A. Person")]
    assert done.changed
    assert done.message == f"models:/{PROD}/1 is to be served, by revision 1"


def test_a_user_name_with_line_breaks_adds_no_line_to_the_message(promotions: House) -> None:
    promotions.promote(promotions.train(5))
    state = MemoryDesiredState()
    deployment(promotions, state).run(by="A\nApproved-by: B")
    assert state.written[0][2].splitlines()[2:] == [r"Deployed-by: A\nApproved-by: B"]


def test_deploying_again_changes_nothing_and_reports_it(promotions: House) -> None:
    promotions.promote(promotions.train(5))
    state = MemoryDesiredState()
    deployment(promotions, state).run(by="tester")
    again = deployment(promotions, state).run(by="tester")
    assert not again.changed
    assert len(state.written) == 1
    assert again.message == f"revision 1 already has models:/{PROD}/1: nothing changed"


def test_rollback_and_deploy_bring_the_old_model_and_its_image_back(promotions: House) -> None:
    state = MemoryDesiredState()
    for number, known in enumerate((3, 10), 1):
        staged = promotions.prepare(promotions.train(known))
        promotions.promotion.release(staged.uri, by="tester", serving_image=f"serving:v{number}")
        deployment(promotions, state).run(by="tester")
    promotions.rollback.run(by="tester", reason="a test")
    back = deployment(promotions, state).run(by="tester")
    assert [written[:2] for written in state.written] == [
        (f"models:/{PROD}/1", "serving:v1"),
        (f"models:/{PROD}/2", "serving:v2"),
        (f"models:/{PROD}/1", "serving:v1"),
    ]
    assert back.message == f"models:/{PROD}/1 is to be served in place of models:/{PROD}/2, by revision 3"


def test_a_late_writer_does_not_bring_back_an_older_champion(promotions: House) -> None:
    promotions.promote(promotions.train(3))
    better = promotions.train(10)

    def overtake(state: MemoryDesiredState) -> None:
        if not state.written:
            newer = promotions.promote(better)
            MemoryDesiredState.write(state, newer.uri, None, after="0", message="by somebody else")

    state = Busy(overtake)
    done = deployment(promotions, state).run(by="tester")
    assert [written[0] for written in state.written] == [f"models:/{PROD}/2"]
    assert done.version.uri == f"models:/{PROD}/2"
    assert not done.changed


def test_writing_stops_after_too_many_conflicts(promotions: House) -> None:
    promotions.promote(promotions.train(5))
    others: list[str] = []

    def write(state: MemoryDesiredState) -> None:
        others.append(f"models:/{PROD}/{len(others) + 7}")
        MemoryDesiredState.write(state, others[-1], None, after=state.read().revision, message="by somebody else")

    state = Busy(write)
    with pytest.raises(Conflict):
        deployment(promotions, state).run(by="tester")
    assert [written[0] for written in state.written] == others
    assert len(others) == 10


def test_a_version_that_was_not_released_is_not_deployed(promotions: House) -> None:
    staged = promotions.prepare(promotions.train(5))
    state = MemoryDesiredState()
    with pytest.raises(InvalidSetting, match=f"was not released: expected a version of {PROD}"):
        deployment(promotions, state).run(staged.uri, by="tester")
    with pytest.raises(ModelNotFound):
        deployment(promotions, state).run(by="tester")
    with pytest.raises(InvalidSetting, match="needs the name of a person"):
        deployment(promotions, state).run(by=" ")
    assert state.written == []


def test_canary_is_removed_and_named_even_if_the_model_stays(promotions: House) -> None:
    promotions.promote(promotions.train(5))
    state = MemoryDesiredState()
    deployment(promotions, state).run(by="tester")
    canary = Canary("models:/staging.toy/4", 25)
    state.write(f"models:/{PROD}/1", None, canary=canary, after="1", message="a canary")
    done = deployment(promotions, state).run(by="tester")
    assert state.read().canary is None
    assert f"The canary {canary} is removed." in state.written[-1][2].splitlines()
    assert done.message == (
        f"models:/{PROD}/1 is to be served, by revision 3; the canary models:/staging.toy/4 at 25 % is removed"
    )
