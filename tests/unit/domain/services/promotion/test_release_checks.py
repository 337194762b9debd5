"""A test and an approval count only for the champion and the policy that they were made with."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmnist.domain.model.errors import FmnistError, NotReady, Remedy
from fmnist.domain.model.model import ModelVersion
from fmnist.domain.model.promotion.policy import Mode
from fmnist.domain.model.promotion.records import AcceptanceRecord, Approval, Basis, DecisionRecord
from fmnist.domain.model.promotion.stages import Stage
from fmnist.domain.services.promotion.promote import ModelPromotion
from tests.unit.domain.services.promotion_support import POLICY, PROD, SOURCE, House, as_before, challenger

OTHER_POLICY = replace(POLICY, max_latency_ms=400.0)


def ready(house: House) -> ModelVersion:
    """Stage a copy that is compared, tested and approved with the same champion."""
    staged = house.wave_through(challenger(house))
    house.promotion.approve(staged.uri, by="A. Person", reason="looked at it")
    return staged


def compare_anew(house: House, staged: ModelVersion, *, promoted: bool = True, **other: float) -> None:
    """Compare the staged version's source again. It is not staged again."""
    source = house.store.resolve(staged.tags["staged_from"])
    record, champion = DecisionRecord.of(source), house.state.champion
    assert record is not None
    rules = tuple(replace(rule, passed=promoted) for rule in record.rules)
    record = replace(
        record,
        at=house.now(),
        champion=champion.uri if champion else None,
        policy={**record.policy, **other},
        rules=rules,
    )
    house.store.label(source, tags=record.tag())


def test_test_and_approval_against_one_champion_do_not_count_for_another(promotions: House) -> None:
    house = promotions
    house.promotion.release(house.wave_through(challenger(house)).uri, by="x")
    staged = ready(house)
    house.promotion.release(house.wave_through(challenger(house)).uri, by="x")
    compare_anew(house, staged)
    with pytest.raises(NotReady) as refused:
        house.promotion.release(staged.uri, by="x", approval="manual")
    was = f"was against models:/{PROD}/1, but the champion is now models:/{PROD}/2"
    assert str(refused.value) == (
        f"{staged.uri} has no valid test: its test {was}; has no valid approval: its approval by A. Person {was}"
    )
    assert refused.value.remedies == (Remedy.TEST, Remedy.APPROVE)
    house.acceptance.run(uri=staged.uri)
    with pytest.raises(NotReady, match=r"^\S+ has no valid approval"):
        house.promotion.release(staged.uri, by="x", approval="manual")
    house.promotion.approve(staged.uri, by="B. Person", reason="looked at it again")
    assert house.promotion.release(staged.uri, by="x", approval="manual").version.aliases == ("champion",)


def test_test_and_approval_under_one_policy_do_not_count_for_another(promotions: House) -> None:
    staged = ready(promotions)
    compare_anew(promotions, staged, max_latency_ms=400.0)
    with pytest.raises(NotReady, match=r"its test was under another policy .*: max_latency_ms 500.0, not 400.0"):
        promotions.promotion.release(staged.uri, by="x")
    assert promotions.acceptance.run(uri=staged.uri).basis == Basis(None, OTHER_POLICY)
    released = promotions.promotion.release(staged.uri, by="x").version
    # The person's approval was under the other policy, so this release is not based on it.
    approval = Approval.read(released)
    assert approval is not None
    assert (approval.mode, approval.basis) == ("automatic", Basis(None, OTHER_POLICY))


def test_the_pipeline_waits_for_a_new_approval_if_the_champion_changed(promotions: House) -> None:
    def run(model: ModelVersion) -> str:
        return promotions.run.run(model, POLICY, Mode.EVALUATE, by="x", approval="manual").message

    promotions.promote(promotions.train(3))
    model = promotions.train(9)
    assert run(model).endswith("waits for approval")
    promotions.promotion.approve(None, by="A. Person", reason="better than 1")
    staged = promotions.state.candidate
    promotions.promote(promotions.train(6))
    assert run(model) == f"{staged and staged.uri} is staged and tested, and waits for approval"
    promotions.promotion.approve(staged and staged.uri, by="A. Person", reason="better than 2")
    assert run(model).startswith(f"models:/{PROD}/3 is @champion")


def recorded_before(house: House, staged: ModelVersion, **policy: float) -> None:
    """Rewrite the decision as earlier versions of fmnist recorded it, without `max_latency_ms`."""
    old = DecisionRecord.read(staged)
    assert old is not None
    fields = {name: value for name, value in old.policy.items() if name != "max_latency_ms"}
    tags = replace(old, policy=fields | policy).tag()
    for version in (house.store.resolve(old.version), staged):
        house.store.label(version, tags=tags)


@pytest.mark.parametrize(("recorded", "counts"), [(2.0, None), (100.0, 100.0)])
def test_the_default_latency_ratio_of_earlier_decisions_does_not_count(
    promotions: House, recorded: float, counts: float | None
) -> None:
    staged = ready(promotions)
    recorded_before(promotions, staged, max_latency_ratio=recorded)
    assert promotions.state.basis(staged).policy.max_latency_ratio == counts
    compare_anew(promotions, staged, max_latency_ratio=recorded, max_latency_ms=500.0)
    assert promotions.state.basis(staged).policy.max_latency_ratio == recorded


def test_the_newest_comparison_counts_for_a_staged_version(promotions: House) -> None:
    staged = ready(promotions)
    compare_anew(promotions, staged, promoted=False)
    assert promotions.overview.status()[1].note.startswith("its newest comparison says refuse: a rule")
    with pytest.raises(
        NotReady, match=rf"{staged.uri} may not be released: the decision is refuse: a rule: for a test"
    ):
        promotions.promotion.release(staged.uri, by="x")
    compare_anew(promotions, staged)
    released = promotions.promotion.release(staged.uri, by="x").version
    assert DecisionRecord.read(released) == DecisionRecord.of(promotions.state.source[0])


def test_a_comparison_from_another_stage_counts_too(promotions: House) -> None:
    staged = ready(promotions)
    compare_anew(promotions, staged, promoted=False)
    on_platform = ModelPromotion(promotions.store, SOURCE.at(Stage.CI))
    with pytest.raises(NotReady, match="may not be released: the decision is refuse"):
        on_platform.release(staged.uri, by="x")


def test_records_of_earlier_versions_are_read_but_must_be_renewed(promotions: House) -> None:
    house = promotions
    staged = ready(house)
    acceptance, approval = (kind.of(house.store.resolve(staged.uri)) for kind in (AcceptanceRecord, Approval))
    assert acceptance is not None
    assert approval is not None
    house.store.label(staged, tags=as_before(acceptance.tag()) | as_before(approval.tag()))
    recorded_before(house, staged, max_latency_ratio=2.0)
    assert AcceptanceRecord.of(house.store.resolve(staged.uri)) == replace(acceptance, basis=None)
    assert "names no champion, because an earlier version of fmnist recorded it" in house.overview.status()[1].note
    assert [event.what for event in house.overview.history()][-2:] == ["tested", "approved"]
    with pytest.raises(NotReady, match=r"its test names no champion, .* A\. P"):
        house.promotion.release(staged.uri, by="x", approval="manual")
    assert house.acceptance.run(uri=staged.uri).passed
    house.promotion.approve(staged.uri, by="B. Person", reason="as before")
    house.promotion.release(staged.uri, by="x", approval="manual")


def test_a_release_by_an_earlier_version_that_lacks_only_its_time_is_finished(promotions: House) -> None:
    staged = ready(promotions)
    released = promotions.promotion.release(staged.uri, by="x").version
    entry = promotions.store._models[PROD][0]
    tags = {name: value for name, value in released.tags.items() if name not in {"promoted_at"}}
    tags |= {name: next(iter(as_before({name: tags[name]}).values())) for name in ("acceptance", "approval")}
    promotions.store._models[PROD][0] = replace(entry, version=replace(entry.version, tags=tags))
    assert promotions.promotion.release(staged.uri, by="x").version.tags["promoted_at"]


STEPS: dict[str, Callable[[House, ModelVersion], object]] = {
    "compare": compare_anew,
    "compare and refuse": lambda house, staged: compare_anew(house, staged, promoted=False),
    "compare otherwise": lambda house, staged: compare_anew(house, staged, max_latency_ms=400.0),
    "compare as ever": lambda house, staged: compare_anew(house, staged, max_latency_ms=500.0),
    "test": lambda house, staged: house.acceptance.run(uri=staged.uri),
    "test otherwise": lambda house, staged: house.acceptance.run(OTHER_POLICY, staged.uri),
    "approve": lambda house, staged: house.promotion.approve(staged.uri, by="A. Person", reason="fine"),
    "another champion": lambda house, _: house.promotion.release(house.wave_through(challenger(house)).uri, by="x"),
    "roll back": lambda house, _: house.rollback.run(by="x", reason="bad"),
}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(sorted(STEPS)), max_size=8))
def test_no_release_is_based_on_records_of_another_champion_or_policy(steps: list[str]) -> None:
    with TemporaryDirectory() as directory:
        house = House(Path(directory))
        STEPS["another champion"](house, None)  # type: ignore[arg-type]
        staged = ready(house)
        said = dict.fromkeys(("compare", "test", "approve"), (house.aliases_now()["champion"], 500.0))
        policy, refused = 500.0, False
        for step in steps:
            try:
                STEPS[step](house, staged)
            except FmnistError:
                continue
            champion = house.aliases_now()["champion"]
            kind = step.split()[0]
            if kind == "compare":
                policy = {"compare otherwise": 400.0, "compare as ever": 500.0}.get(step, policy)
                refused = step == "compare and refuse"
            if kind in said:
                said[kind] = (champion, policy)
        now = (house.aliases_now()["champion"], policy)
        try:
            house.promotion.release(staged.uri, by="x", approval="manual")
        except FmnistError:
            assert refused or set(said.values()) != {now}, "all records are of this champion and policy"
        else:
            assert not refused, "the newest comparison refuses"
            assert set(said.values()) == {now}, f"released with records of {said}, but now it is {now}"
