"""The challenger of a replica: whom it answers, what is counted, and what becomes of it after other commands."""

import threading
from pathlib import Path

import numpy as np
import pytest

from fmnist.adapters.memory.tallies import MemoryTallies
from fmnist.domain.model.errors import CorruptModel, StoreUnavailable
from fmnist.domain.model.promotion.canary import Canary
from fmnist.domain.model.traffic.canary_report import CanaryState
from fmnist.domain.model.traffic.trial import Trial, TrialCounts
from fmnist.domain.services.serving.challenger import Challenger, Standing
from tests.unit.domain.services.serving_support import NAME, Deployment

CHAMPION = f"models:/{NAME}/1"
SECOND, THIRD = f"models:/{NAME}/2", f"models:/{NAME}/3"
LABELS = np.array([3, 3, 4])


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    found = Deployment(tmp_path)
    for _ in range(3):
        found.add()
    return found


@pytest.fixture
def tallies() -> MemoryTallies[TrialCounts]:
    return MemoryTallies(TrialCounts)


@pytest.fixture
def challenger(deployment: Deployment, tallies: MemoryTallies[TrialCounts]) -> Challenger:
    return Challenger(deployment.replica, tallies, clock=lambda: 7.5)


def chosen(challenger: Challenger) -> set[str | None]:
    models = [challenger.choose(f"id {number}") for number in range(200)]
    return {None if model is None else model.version.uri for model in models}


def test_challenger_answers_its_share_once_it_is_loaded(challenger: Challenger) -> None:
    load = challenger.expect(Canary(SECOND, 50))
    assert chosen(challenger) == {None}
    assert challenger.standing().state is CanaryState.LOADING
    load()
    assert chosen(challenger) == {None, SECOND}
    found = challenger.standing()
    assert (found.canary, found.state, found.reason) == (Canary(SECOND, 50), CanaryState.RUNNING, None)
    assert found.model is not None
    assert found.model.version.uri == SECOND
    challenger.expect(Canary(SECOND, 100))()
    assert chosen(challenger) == {SECOND}


@pytest.mark.parametrize("canary", [None, Canary(THIRD, 0)])
def test_canary_of_no_requests_equals_none(challenger: Challenger, deployment: Deployment, canary: Canary) -> None:
    challenger.expect(Canary(SECOND, 100))()
    downloads = len(deployment.store.downloads.calls)
    challenger.expect(canary)()
    assert (chosen(challenger), challenger.canary) == ({None}, None)
    assert challenger.standing() == Standing(None, CanaryState.NONE)
    assert len(deployment.store.downloads.calls) == downloads


def test_new_share_loads_nothing(challenger: Challenger, deployment: Deployment) -> None:
    challenger.expect(Canary(SECOND, 5))()
    downloads = len(deployment.store.downloads.calls)
    challenger.expect(Canary(SECOND, 25))()
    assert challenger.canary == Canary(SECOND, 25)
    assert len(deployment.store.downloads.calls) == downloads


def test_load_that_ends_late_brings_no_earlier_challenger_back(challenger: Challenger, deployment: Deployment) -> None:
    deployment.store.downloads.close()
    late = threading.Thread(target=challenger.expect(Canary(SECOND, 100)))
    late.start()
    assert deployment.store.downloads.entered.wait(30)
    challenger.expect(None)()
    deployment.store.downloads.open()
    late.join(30)
    assert chosen(challenger) == {None}
    challenger.expect(Canary(THIRD, 100))()
    assert chosen(challenger) == {THIRD}


def test_store_that_is_down_is_asked_again(challenger: Challenger, deployment: Deployment) -> None:
    deployment.store.downloads.error = StoreUnavailable("the store is away")
    challenger.expect(Canary(SECOND, 100))()
    assert challenger.standing() == Standing(Canary(SECOND, 100), CanaryState.LOADING, "the store is away")
    deployment.store.downloads.error = None
    challenger.poll()
    assert chosen(challenger) == {SECOND}


def test_corrupt_challenger_answers_nothing_and_says_why(challenger: Challenger, deployment: Deployment) -> None:
    deployment.store.downloads.error = CorruptModel("its bytes are wrong")
    challenger.expect(Canary(SECOND, 100))()
    assert challenger.standing() == Standing(Canary(SECOND, 100), CanaryState.FAILED, "its bytes are wrong")
    assert chosen(challenger) == {None}


def test_calls_of_both_are_counted_for_the_share_of_the_time(
    challenger: Challenger, tallies: MemoryTallies[TrialCounts], deployment: Deployment
) -> None:
    champion = deployment.replica()
    champion.deploy(CHAMPION)
    load = challenger.expect(Canary(SECOND, 100))
    challenger.note(CHAMPION, champion.current, LABELS, 1.0)  # type: ignore[arg-type] # not loaded: not compared
    load()
    model = challenger.choose("any")
    assert model is not None
    challenger.note(CHAMPION, model, LABELS, 0.003)
    challenger.note(CHAMPION, model, None)
    challenger.note(CHAMPION, champion.current, LABELS[:1], 0.001)  # type: ignore[arg-type]
    challenger.expect(Canary(SECOND, 50))()
    challenger.note(CHAMPION, model, LABELS[:1], 0.003)
    challenger.publish()
    found = tallies.total(Trial(CHAMPION, SECOND, 100))
    assert (sum(found.champion.times), found.champion.failed, found.champion.classes[3]) == (1, 0, 1)
    assert (found.challenger.times[9], found.challenger.failed, found.challenger.classes[3:5]) == (1, 1, (1, 0))
    assert found.began == 7
    half = Trial(CHAMPION, SECOND, 50)
    assert sum(challenger.total(half).challenger.times) == 1
    challenger.expect(None)()
    challenger.note(CHAMPION, model, LABELS)
    assert sum(challenger.total(half).challenger.times) == 1


def test_counts_are_kept_while_the_tallies_are_away(
    challenger: Challenger, tallies: MemoryTallies[TrialCounts], monkeypatch: pytest.MonkeyPatch
) -> None:
    challenger.expect(Canary(SECOND, 100))()
    model = challenger.choose("any")
    assert model is not None
    challenger.note(CHAMPION, model, LABELS)

    def fail(*_: object) -> None:
        raise StoreUnavailable("the head node is away")

    with monkeypatch.context() as away:
        away.setattr(tallies, "add", fail)
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                challenger.publish()
    challenger.note(CHAMPION, model, LABELS)
    assert sum(challenger.total(Trial(CHAMPION, SECOND, 100)).challenger.times) == 2
