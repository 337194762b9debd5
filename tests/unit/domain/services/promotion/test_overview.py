"""The overview for a person: pipeline results, status, history and lineage."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest

from fmnist.domain.model.errors import CorruptModel, InvalidSetting, ModelNotFound, StoreUnavailable
from fmnist.domain.model.promotion.policy import Mode
from fmnist.domain.model.promotion.records import DecisionRecord
from tests.unit.domain.services.promotion_support import POLICY, PROD, SOURCE, STAGING, House, challenger, promoted


def test_history_shows_all_events_in_order(promotions: House) -> None:
    for quality in (5, 3, 9):
        promotions.run.run(promotions.train(quality), POLICY, Mode.EVALUATE, by="pipeline", approval="automatic")
    promotions.rollback.run(by="A. Person", reason="shirts")
    events = [
        (event.what, event.version.removeprefix("models:/").partition(".")[0] + event.version[-2:], event.by)
        for event in promotions.overview.history()
        if event.what != "registered"
    ]
    assert events == [
        ("accepted", "dev/1", ""),
        ("staged", "staging/1", ""),
        ("tested", "staging/1", ""),
        ("released", "prod/1", "pipeline"),
        ("refused", "dev/2", ""),
        ("accepted", "dev/3", ""),
        ("staged", "staging/2", ""),
        ("tested", "staging/2", ""),
        ("released", "prod/2", "pipeline"),
        ("rolled back", "prod/2", "A. Person"),
    ]
    details = {event.what: event.detail for event in promotions.overview.history()}
    assert details["rolled back"] == "to version 1: shirts"
    assert "in place of version 1" in details["released"]
    assert f"against models:/{PROD}/1: accuracy: 50.00% -> 30.00%" in details["refused"]


def test_history_keeps_the_order_of_events_of_one_second(promotions: House) -> None:
    promotions.seconds_between = 0.001
    for quality in (5, 3, 9):
        promotions.run.run(promotions.train(quality), POLICY, Mode.EVALUATE, by="pipeline", approval="automatic")
    events = [event.what for event in promotions.overview.history() if event.what != "registered"]
    steps = ["accepted", "staged", "tested", "released"]
    assert events == [*steps, "refused", *steps]


def test_history_of_one_second_without_milliseconds_begins_with_the_oldest_version(promotions: House) -> None:
    """Earlier versions of fmnist wrote no milliseconds."""
    for quality in (5, 3, 3):
        version = promotions.train(quality)
        promotions.comparison.compare(version, POLICY, Mode.EVALUATE)
        tags = promotions.store.resolve(version.uri).tags
        second = {name: re.sub(r"T[0-9:.]+Z", "T00:00:00Z", text) for name, text in tags.items()}
        promotions.store.label(version, tags=second)
    events = [event.version[-1] for event in promotions.overview.history() if event.what in ("accepted", "refused")]
    assert events == ["1", "2", "3"]


def test_history_keeps_every_test_and_approval(promotions: House) -> None:
    staged = promotions.prepare(promotions.train(5))
    promotions.promotion.approve(None, by="A. Person", reason="looked at it")
    promotions.promotion.release(staged.uri, by="pipeline")
    promotions.acceptance.run(POLICY)
    promotions.promotion.approve(None, by="B. Person", reason="looked too late")
    events = [(event.what, event.by) for event in promotions.overview.history()]
    assert events == [
        ("registered", ""),
        ("accepted", ""),
        ("staged", ""),
        ("tested", ""),
        ("approved", "A. Person"),
        ("released", "pipeline"),
        ("tested", ""),
        ("approved", "B. Person"),
    ]


def test_status_shows_the_version_and_time_of_each_role(promotions: House) -> None:
    assert [(each.role, each.version) for each in promotions.overview.status()] == [
        (role, None) for role in ("dev", "candidate", "champion", "previous")
    ]
    promotions.promote(promotions.train(5))
    promotions.promote(promotions.train(9))
    undone = promotions.rollback.run(by="A. Person", reason="shirts").version
    newest, candidate, champion, previous = promotions.overview.status()
    assert (newest.version.uri if newest.version else None) == f"models:/{SOURCE}/2"
    assert candidate.note == "released as version 2"
    assert champion.version == undone
    assert champion.since == max(event.at for event in promotions.overview.history() if event.what == "rolled back")
    assert previous.note == "rolled back by A. Person: shirts"


def test_status_shows_the_state_of_a_candidate(promotions: House) -> None:
    model = promotions.train(5)
    promotions.compare(model)
    promotions.promotion.stage(model)
    notes = [promotions.overview.status()[1].note]
    promotions.acceptance.run(POLICY)
    notes.append(promotions.overview.status()[1].note)
    promotions.promotion.approve(None, by="A. Person", reason="fine")
    notes.append(promotions.overview.status()[1].note)
    assert notes == ["not tested yet", "tested, not approved yet", "tested, approved by A. Person"]


def test_status_shows_why_a_candidate_failed_its_test(promotions: House) -> None:
    model, strict = promotions.train(5), replace(POLICY, max_latency_ms=1e-9)
    promotions.comparison.compare(model, strict, Mode.EVALUATE)
    promotions.promotion.stage(model)
    failed = promotions.acceptance.run(strict)
    assert not failed.passed
    assert promotions.overview.status()[1].note == f"its test {failed.message}"


def _interrupted_notes(house: House, act: Callable[[], object]) -> set[str]:
    """Let the store fail at one call of `act` after the other. Return the champion's notes after the failures."""
    notes = set()
    for call in count(1):
        house.store.calls, house.store.fail_at = 0, call
        try:
            act()
        except StoreUnavailable:
            house.store.fail_at = None
            notes.add(house.overview.status()[2].note)
        else:
            house.store.fail_at = None
            break
    return notes


def test_status_shows_that_a_release_was_not_finished(promotions: House) -> None:
    staged = promotions.wave_through(challenger(promotions))
    notes = _interrupted_notes(promotions, lambda: promotions.promotion.release(staged.uri, by="x"))
    assert notes == {"", "its release was started but not finished"}
    assert promotions.overview.status()[2].note == ""


def test_status_shows_that_a_rollback_was_not_finished(promotions: House) -> None:
    promoted(promotions, 2)
    notes = _interrupted_notes(promotions, lambda: promotions.rollback.run(by="x", reason="bad"))
    assert notes == {"", f"the rollback of models:/{PROD}/2 was started but not finished"}
    assert promotions.overview.status()[2].note == ""


def test_a_refused_challenger_goes_no_further(promotions: House) -> None:
    promotions.promote(promotions.train(9))
    result = promotions.run.run(promotions.train(5), POLICY, Mode.EVALUATE, by="x", approval="automatic")
    assert (result.staged, result.released) == (None, None)
    assert result.message.startswith("refuse: accuracy")
    assert promotions.aliases() == {"champion": 1}


def test_manual_approval_makes_the_pipeline_wait_and_go_on(promotions: House) -> None:
    model = promotions.train(5)
    waiting = promotions.run.run(model, POLICY, Mode.EVALUATE, by="x", approval="manual")
    assert (waiting.released, waiting.message) == (
        None,
        f"models:/{STAGING}/1 is staged and tested, and waits for approval",
    )
    promotions.promotion.approve(None, by="A. Person", reason="fine")
    done = promotions.run.run(model, POLICY, Mode.EVALUATE, by="x", approval="manual")
    assert done.released is not None
    assert len(promotions.state.staging) == 1


@pytest.mark.parametrize(
    ("by", "approval", "complaint"), [(" ", "automatic", "needs the name of a person"), ("x", "magic", "found 'magic'")]
)
def test_a_pipeline_that_could_not_finish_is_not_started(
    promotions: House, by: str, approval: str, complaint: str
) -> None:
    model = promotions.train(5)
    before = promotions.state
    with pytest.raises(InvalidSetting, match=complaint):
        promotions.run.run(model, POLICY, Mode.EVALUATE, by=by, approval=approval)
    assert promotions.state == before


def test_promoting_the_champion_again_changes_nothing(promotions: House) -> None:
    model = promotions.train(5)
    promotions.run.run(model, POLICY, Mode.EVALUATE, by="x", approval="automatic")
    before = promotions.state
    again = promotions.run.run(model, POLICY, Mode.EVALUATE, by="x", approval="automatic")
    assert again.message == f"models:/{PROD}/1 is @champion already: nothing changed"
    assert promotions.state == before


def test_trace_shows_data_and_code_of_the_production_model(promotions: House) -> None:
    model = promotions.train(5)
    promotions.promote(model)
    links = promotions.trace.of(f"models:/{PROD}@champion")
    assert [(link.what, link.name) for link in links] == [
        ("model", f"models:/{PROD}/1"),
        ("model", f"models:/{STAGING}/1"),
        ("model", f"models:/{SOURCE}/1"),
        ("run", model.run_id),
        ("data version", "fashion-mnist-v1.0.0"),
        ("git commit", "c0ffee"),
        ("image", "image-1"),
        ("workflow", "uid"),
    ]
    assert dict(links[4].details)["digest"] == promotions.registry.resolve("1.0.0").digest
    # Each version shows its own events, not those that its tags inherited from its source.
    assert [{name for name, _ in link.details} & {"decision", "tested", "approved"} for link in links[:3]] == [
        {"approved"},
        {"tested"},
        {"decision"},
    ]


def test_trace_without_the_run_still_shows_what_the_model_records(promotions: House) -> None:
    model = promotions.train(5)
    promotions.tracker._runs.clear()
    links = promotions.trace.of(model.uri)
    assert links[1].details == (("state", "no longer in the tracker"),)
    assert links[2].name == "fashion-mnist-v1.0.0"


def test_trace_of_copies_in_a_circle_ends(promotions: House) -> None:
    one, other = promotions.train(5), promotions.train(6)
    promotions.store.label(one, tags={"staged_from": other.uri})
    promotions.store.label(other, tags={"staged_from": one.uri})
    with pytest.raises(InvalidSetting, match="a copy of itself"):
        promotions.trace.of(one.uri)
    with pytest.raises(ModelNotFound):
        promotions.trace.of(f"models:/{PROD}@champion")


@pytest.mark.parametrize("text", ["no json", "[]", "{}", json.dumps({"rules": 1})])
def test_error_for_a_foreign_record_names_it(promotions: House, text: str) -> None:
    model = promotions.train(5)
    promotions.store.label(model, tags={"decision": text})
    with pytest.raises(CorruptModel, match=f"tag decision of {model.uri} is not a valid record"):
        DecisionRecord.of(promotions.store.resolve(model.uri))
