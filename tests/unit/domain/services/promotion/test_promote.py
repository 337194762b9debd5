"""Stage, approve, release and roll back, on fakes: preconditions, results, and what changes nothing."""

from contextlib import contextmanager
from dataclasses import replace

import pytest

from fmnist.domain.model.errors import Conflict, InvalidSetting, ModelNotFound, NotReady
from fmnist.domain.model.model import ModelVersion
from fmnist.domain.model.promotion.policy import Mode
from fmnist.domain.model.promotion.records import Approval, DecisionRecord, Rollback
from fmnist.domain.model.promotion.stages import Alias
from fmnist.domain.services.promotion.promote import ModelPromotion
from tests.unit.domain.services.promotion_support import POLICY, PROD, SOURCE, STAGING, House


def test_a_released_model_has_all_of_its_records(promotions: House) -> None:
    first, second = promotions.train(5), promotions.train(9)
    promotions.promote(first)
    staged = promotions.prepare(second)
    released = promotions.promotion.release(staged.uri, by="tester", serving_image="serving:v2").version
    assert (released.uri, released.aliases, released.run_id) == (f"models:/{PROD}/2", ("champion",), second.run_id)
    assert promotions.aliases() == {"champion": 2, "previous": 1}
    tags = released.tags
    assert (tags["released_from"], tags["staged_from"], tags["replaces"]) == (staged.uri, second.uri, "1")
    assert (tags["promoted_by"], tags["serving_image"]) == ("tester", "serving:v2")
    assert tags["promoted_at"] > "2026"
    assert tags["dvc_data_version"] == "fashion-mnist-v1.0.0"
    record = DecisionRecord.read(released)
    assert record is not None
    assert (record.version, record.champion, record.decision.promoted) == (second.uri, f"models:/{PROD}/1", True)
    approval = Approval.read(released)
    assert approval is not None
    assert (approval.mode, approval.version) == ("automatic", staged.uri)


def test_champion_follows_releases_and_rollbacks(promotions: House) -> None:
    promotions.promote(promotions.train(5))
    assert promotions.accuracy(f"models:/{PROD}@champion") == 0.5
    promotions.promote(promotions.train(9))
    assert promotions.accuracy(f"models:/{PROD}@champion") == 0.9
    promotions.rollback.run(by="tester", reason="for a test")
    assert promotions.accuracy(f"models:/{PROD}@champion") == 0.5


def test_staging_needs_a_positive_decision(promotions: House) -> None:
    promotions.promote(promotions.train(9))
    worse = promotions.train(5)
    with pytest.raises(NotReady, match=r"there is no decision about .*/2"):
        promotions.promotion.stage(worse)
    promotions.compare(worse)
    with pytest.raises(NotReady, match=r"may not be staged: the decision is refuse: accuracy: .* a change of -40"):
        promotions.promotion.stage(worse)
    assert [each.version for each in promotions.state.staging] == [1]


def test_staging_again_uses_the_staged_copy(promotions: House) -> None:
    model = promotions.train(5)
    promotions.compare(model)
    first = promotions.promotion.stage(model).version
    assert promotions.promotion.stage(model).version.uri == first.uri
    assert first.aliases == ("candidate",)
    assert len(promotions.state.staging) == 1


def test_a_release_needs_a_passed_test(promotions: House) -> None:
    model = promotions.train(5)
    promotions.compare(model)
    staged = promotions.promotion.stage(model).version
    with pytest.raises(NotReady, match="is not tested"):
        promotions.promotion.release(None, by="tester")
    promotions.acceptance.run(POLICY)
    promotions.promotion.release(None, by="tester")
    better = promotions.train(9)
    promotions.comparison.compare(better, replace(POLICY, max_latency_ratio=1e-9), Mode.EVALUATE)
    slow = promotions.promotion.stage(better).version
    assert not promotions.acceptance.run().passed
    with pytest.raises(NotReady, match=f"{slow.uri} may not be released: its test failed: .* times the champion's"):
        promotions.promotion.release(None, by="tester")
    assert promotions.aliases() == {"champion": 1}
    assert promotions.store.resolve(staged.uri).aliases == ()


def test_manual_approval_names_the_exact_version(promotions: House) -> None:
    first = promotions.prepare(promotions.train(5))
    promotions.promotion.approve(first.uri, by="A. Person", reason="looked at it")
    second = promotions.prepare(promotions.train(9))
    with pytest.raises(NotReady, match=rf"{second.uri} is not approved"):
        promotions.promotion.release(None, by="tester", approval="manual")
    # The tag alone, copied by another tool, does not approve the version.
    promotions.store.label(second, tags={"approval": promotions.store.resolve(first.uri).tags["approval"]})
    with pytest.raises(NotReady, match="is not approved"):
        promotions.promotion.release(second.uri, by="tester", approval="manual")
    assert promotions.state.prod == ()
    promotions.promotion.approve(second.uri, by="A. Person", reason="looked at it too")
    released = promotions.promotion.release(second.uri, by="tester", approval="manual").version
    approval = Approval.read(released)
    assert approval is not None
    assert (approval.by, approval.mode, approval.reason) == ("A. Person", "manual", "looked at it too")


def test_a_person_s_approval_is_kept_even_if_none_is_needed(promotions: House) -> None:
    staged = promotions.prepare(promotions.train(5))
    promotions.promotion.approve(staged.uri, by="A. Person", reason="looked at it")
    approval = Approval.read(promotions.promotion.release(staged.uri, by="tester").version)
    assert approval is not None
    assert (approval.mode, approval.by, approval.reason) == ("manual", "A. Person", "looked at it")


@pytest.mark.parametrize(
    ("by", "reason", "missing"),
    [("", "why", "the name of a person"), ("who", " ", "a reason"), ("", "", "the name of a person and a reason")],
)
def test_empty_approvals_and_rollbacks_change_nothing(promotions: House, by: str, reason: str, missing: str) -> None:
    promotions.promote(promotions.train(5))
    before = promotions.state
    with pytest.raises(InvalidSetting, match=f"needs {missing}"):
        promotions.promotion.approve(None, by=by, reason=reason)
    with pytest.raises(InvalidSetting, match=f"needs {missing}"):
        promotions.rollback.run(by=by, reason=reason)
    assert promotions.state == before


def test_errors_name_missing_versions_and_aliases(promotions: House) -> None:
    for step in (
        lambda uri: promotions.promotion.approve(uri, by="who", reason="why"),
        lambda uri: promotions.promotion.release(uri, by="who"),
        lambda uri: promotions.acceptance.run(POLICY, uri),
    ):
        with pytest.raises(ModelNotFound, match="has no alias 'candidate'"):
            step(None)
        with pytest.raises(ModelNotFound, match=f"{STAGING} has the versions none"):
            step(f"models:/{STAGING}/7")
        with pytest.raises(InvalidSetting, match=f"is not a version of {STAGING}"):
            step(f"models:/{PROD}/1")
    with pytest.raises(ModelNotFound, match="has no champion"):
        promotions.rollback.run(by="who", reason="why")
    promotions.promote(promotions.train(5))
    with pytest.raises(ModelNotFound, match="no earlier champion"):
        promotions.rollback.run(by="who", reason="why")


def test_a_champion_that_changed_since_the_decision_stops_the_promotion(promotions: House) -> None:
    promotions.promote(promotions.train(3))
    slow = promotions.train(6)
    staged = promotions.prepare(slow)
    promotions.promote(promotions.train(5))
    before = promotions.aliases()
    for step in (lambda: promotions.promotion.release(staged.uri, by="x"), lambda: promotions.promotion.stage(slow)):
        with pytest.raises(
            Conflict, match=rf"compared with models:/{PROD}/1, but the champion is now models:/{PROD}/2"
        ):
            step()
    assert promotions.aliases() == before
    promotions.compare(slow)
    assert promotions.promotion.stage(slow).version.uri == staged.uri
    promotions.acceptance.run(uri=staged.uri)
    assert promotions.promotion.release(staged.uri, by="x").version.aliases == ("champion",)


def test_a_champion_that_changes_during_the_release_is_a_conflict(promotions: House) -> None:
    old = promotions.promote(promotions.train(3))
    staged = promotions.prepare(promotions.train(6))
    label = promotions.store.label

    def label_and_be_overtaken(version: ModelVersion, **what: object) -> None:
        label(version, **what)  # type: ignore[arg-type]
        if what.get("alias") == Alias.CHAMPION:
            label(old, alias=Alias.CHAMPION)

    promotions.store.label = label_and_be_overtaken  # type: ignore[method-assign, assignment]
    with pytest.raises(Conflict, match=f"{PROD}@champion was set to version 2 and reads back as 1"):
        promotions.promotion.release(staged.uri, by="x")


def test_releasing_again_changes_nothing(promotions: House) -> None:
    staged = promotions.prepare(promotions.train(5))
    promotions.promotion.release(staged.uri, by="x")
    before = promotions.state
    assert "already: nothing changed" in promotions.promotion.release(staged.uri, by="y").message
    assert promotions.state == before


def test_a_version_that_was_rolled_back_is_not_released_again(promotions: House) -> None:
    promotions.promote(promotions.train(5))
    bad = promotions.train(9)
    staged = promotions.prepare(bad)
    promotions.promotion.release(staged.uri, by="x")
    promotions.rollback.run(by="A. Person", reason="shirts")
    with pytest.raises(NotReady, match=r"rolled back by A\. Person: shirts; to release it again, compare and stage"):
        promotions.promotion.release(staged.uri, by="x")
    # Registered again, it is a new version.
    again = promotions.promote(bad)
    assert again.version == 3
    assert promotions.aliases() == {"champion": 3, "previous": 1}


def test_a_second_rollback_changes_nothing(promotions: House) -> None:
    for quality in (3, 5, 9):
        promotions.promote(promotions.train(quality))
    assert promotions.rollback.run(by="x", reason="bad").version.version == 2
    assert promotions.aliases() == {"champion": 2, "previous": 3}
    before = promotions.state
    assert "already rolled back" in promotions.rollback.run(by="x", reason="bad").message
    assert promotions.state == before
    taken_back = Rollback.of(promotions.store.resolve(f"models:/{PROD}/3"))
    assert taken_back is not None
    assert (taken_back.to, taken_back.by, taken_back.reason) == (2, "x", "bad")


def test_the_lock_is_held_while_aliases_move(promotions: House) -> None:
    held: list[bool] = []

    @contextmanager
    def lock():  # type: ignore[no-untyped-def]
        held.append(True)
        yield
        held.pop()

    staged = promotions.prepare(promotions.train(5))
    label = promotions.store.label

    def watched(version: ModelVersion, **what: object) -> None:
        assert held
        label(version, **what)  # type: ignore[arg-type]

    promotions.store.label = watched  # type: ignore[method-assign, assignment]
    ModelPromotion(promotions.store, SOURCE, lock).release(staged.uri, by="x")
    assert not held
