"""A canary from its start to its end: each command is one decision, and a commit."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from fmnist.adapters.memory.desired_state import MemoryDesiredState
from fmnist.domain.model.errors import InvalidSetting, NotReady
from fmnist.domain.model.promotion.canary import Canary
from fmnist.domain.model.promotion.canary_policy import CanaryPolicy
from fmnist.domain.model.traffic.canary_report import ArmReport, CanaryReport
from fmnist.domain.model.traffic.trial import TIME_BINS
from fmnist.domain.services.promotion.canary import CanaryRelease
from fmnist.domain.services.promotion.deploy import ModelDeployment
from fmnist.ports.desired_state import Desired
from tests.unit.domain.services.promotion_support import PROD, SOURCE, STAGING, House

CHAMPION, STAGED = f"models:/{PROD}/1", f"models:/{STAGING}/2"
NOW = 1_800_000_000


class Overtaken(MemoryDesiredState):
    """Another process does something before our next write."""

    meanwhile: Callable[[], object] | None = None

    def write(self, model_uri: str, image: str | None, **of: Any) -> Desired:
        if self.meanwhile is not None:
            act, self.meanwhile = self.meanwhile, None
            act()
        return super().write(model_uri, image, **of)


@pytest.fixture
def state() -> Overtaken:
    return Overtaken()


@pytest.fixture
def staged(promotions: House, state: Overtaken) -> str:
    """A champion that is deployed, and a staged version that passed its test."""
    promotions.promote(promotions.train(5))
    ModelDeployment(promotions.store, state, SOURCE).run(by="tester")
    return promotions.prepare(promotions.train(10)).uri


@pytest.fixture
def release(promotions: House, state: Overtaken) -> CanaryRelease:
    return CanaryRelease(promotions.store, state, SOURCE)


def report(percent: int, calls: int = 1000, failed: int = 0, **changes: Any) -> CanaryReport:
    """Return what a service says: so many calls of each model, and failures of the challenger."""

    def arm(uri: str, failed: int) -> ArmReport:
        times = tuple(calls if place == 9 else 0 for place in range(TIME_BINS))
        return ArmReport(
            model_uri=uri,
            times=times,
            failed=failed,
            classes=(calls, *9 * [0]),
            drift=None,
            expected_accuracy=None,
            labelled=0,
            right=0,
        )

    found = CanaryReport(
        state="running",
        model_uri=CHAMPION,
        challenger_uri=STAGED,
        percent=percent,
        began=NOW - 60,
        champion=arm(CHAMPION, 0),
        challenger=arm(STAGED, failed),
    )
    return replace(found, **changes)


def test_walk_from_start_to_the_release(
    promotions: House, state: Overtaken, release: CanaryRelease, staged: str
) -> None:
    assert staged == STAGED
    started = release.start(by="A. Person ")
    assert (started.action, started.changed, started.is_final) == ("start", True, False)
    assert started.message == f"start: {STAGED} gets 5 %: it is compared with {CHAMPION}"
    assert state.written[-1][2].splitlines() == [
        f"Canary {STAGED} at 5 %",
        "",
        f"it is compared with {CHAMPION}",
        "",
        "Deployed-by: A. Person",
    ]
    for percent, share, action in ((5, 25, "advance"), (25, 50, "advance"), (50, 100, "finish")):
        decision = release.step(report(percent), by="tester")
        assert (decision.action, decision.changed) == (action, True)
        assert state.read().canary == Canary(STAGED, share)
        assert decision.message == f"{action}: {STAGED} gets {share} %: no guard has tripped at {percent} %"
        assert "errors: fine: 0 of 1,000 calls failed" in state.written[-1][2]
    again = release.step(report(100), by="tester")
    assert (again.action, again.changed, again.is_final) == ("finish", False, True)
    assert state.read().model_uri == CHAMPION

    promotions.promotion.release(staged, by="tester")
    done = ModelDeployment(promotions.store, state, SOURCE).run(by="tester")
    assert state.read() == Desired(model_uri=f"models:/{PROD}/2", revision=done.after.revision)
    assert done.message.endswith(f"in place of {CHAMPION}, by revision 6; the canary {STAGED} at 100 % is removed")


def test_guard_that_trips_aborts(state: Overtaken, release: CanaryRelease, staged: str) -> None:
    release.start(staged, by="tester")
    decision = release.step(report(5, failed=200), by="tester")
    assert (decision.action, decision.is_final, state.read().canary) == ("abort", True, None)
    assert decision.message.startswith(f"abort: {STAGED} gets no requests: errors: 200 of 1,200 calls failed")
    title, *_, signed = state.written[-1][2].splitlines()
    assert (title, signed) == (f"No canary of {STAGED}", "Deployed-by: tester")
    assert state.read().model_uri == CHAMPION


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (report(5, calls=100), "errors: 0 of 100 calls failed"),
        (report(25), f"the service does not follow revision 2 yet: it has {STAGED} at 25 %"),
        (CanaryReport(), "the service does not follow revision 2 yet: it has no challenger at 0 %"),
        (report(5, model_uri="models:/other/1"), "beside models:/other/1"),
        (report(5, challenger_uri="models:/other/1"), "it has models:/other/1 at 5 %"),
        (report(5, state="loading", reason="the store is away", challenger=None), "is loading: the store is away"),
    ],
)
def test_step_waits_for_what_is_missing(
    state: Overtaken, release: CanaryRelease, staged: str, found: CanaryReport, reason: str
) -> None:
    release.start(staged, by="tester")
    decision = release.step(found, by="tester")
    assert (decision.action, decision.changed, decision.is_final) == ("wait", False, False)
    assert reason in decision.message
    assert len(state.written) == 2


def test_challenger_that_does_not_load_is_aborted(state: Overtaken, release: CanaryRelease, staged: str) -> None:
    release.start(staged, by="tester")
    decision = release.step(report(5, state="failed", reason="its bytes are wrong", challenger=None), by="tester")
    assert decision.message == f"abort: {STAGED} gets no requests: it does not load: its bytes are wrong"
    assert state.read().canary is None


def test_deployed_alias_is_looked_up(promotions: House, state: Overtaken, release: CanaryRelease, staged: str) -> None:
    state.write(f"models:/{PROD}@champion", None, after=state.read().revision, message="by hand")
    release.start(staged, by="tester")
    assert release.step(report(5), by="tester").action == "advance"
    assert state.read() == Desired(
        model_uri=f"models:/{PROD}@champion", canary=Canary(STAGED, 25), revision=state.read().revision
    )


def test_canary_that_is_paused_by_hand_goes_on_with_the_first_step(
    state: Overtaken, release: CanaryRelease, staged: str
) -> None:
    state.write(CHAMPION, None, canary=Canary(staged, 0), after=state.read().revision, message="by hand")
    assert release.step(CanaryReport(), by="tester").after.canary == Canary(STAGED, 5)


def test_a_person_ends_a_canary_with_a_reason(state: Overtaken, release: CanaryRelease, staged: str) -> None:
    release.start(staged, by="tester")
    done = release.finish(by="tester", reason="long\nenough ")
    assert (done.action, state.read().canary) == ("finish", Canary(STAGED, 100))
    assert state.written[-1][2].splitlines()[2] == r"long\nenough"
    assert release.finish(by="tester", reason="again").changed is False
    gone = release.abort(by="tester", reason="no")
    assert (gone.message, state.read().canary) == (f"abort: {STAGED} gets no requests: no", None)
    for command in (release.abort, release.finish):
        with pytest.raises(NotReady, match="there is no canary in revision 4"):
            command(by="tester", reason="no")
        with pytest.raises(InvalidSetting, match="reason"):
            command(by="tester", reason=" ")
    with pytest.raises(NotReady, match="there is no canary"):
        release.step(report(5), by="tester")


def test_version_without_a_valid_test_is_refused(promotions: House, state: Overtaken, release: CanaryRelease) -> None:
    promotions.promote(promotions.train(5))
    ModelDeployment(promotions.store, state, SOURCE).run(by="tester")
    challenger = promotions.train(8)
    promotions.compare(challenger)
    untested = promotions.promotion.stage(challenger).version
    with pytest.raises(NotReady, match="is not tested"):
        release.start(untested.uri, by="tester")
    promotions.acceptance.run(None, untested.uri)
    release.start(untested.uri, by="tester")
    release.abort(by="tester", reason="another champion comes")
    promotions.promote(promotions.train(10))
    with pytest.raises(NotReady, match="has no valid test"):
        release.start(untested.uri, by="tester")


def test_failed_test_is_refused(promotions: House, release: CanaryRelease, staged: str) -> None:
    version = promotions.store.resolve(staged)
    failed = version.tags["acceptance"].replace('"passed": true', '"passed": false')
    promotions.store.label(version, tags={"acceptance": failed})
    with pytest.raises(NotReady, match="may have no requests: its test failed"):
        release.start(staged, by="tester")


def test_nothing_starts_without_a_deployed_model(promotions: House) -> None:
    promotions.promote(promotions.train(5))
    staged = promotions.prepare(promotions.train(10))
    release = CanaryRelease(promotions.store, MemoryDesiredState(), SOURCE)
    with pytest.raises(NotReady, match="no model is deployed"):
        release.start(staged.uri, by="tester")
    with pytest.raises(InvalidSetting, match="needs the name of a person"):
        release.start(staged.uri, by=" ")


def test_second_canary_waits_for_the_end_of_the_first(
    promotions: House, state: Overtaken, release: CanaryRelease, staged: str
) -> None:
    release.start(staged, by="tester")
    again = release.start(staged, by="tester")
    assert (again.action, again.changed) == ("wait", False)
    other = promotions.wave_through(promotions.train(9))
    with pytest.raises(InvalidSetting, match=f"the canary {STAGED} at 5 % is not over: finish or abort"):
        release.start(other.uri, by="tester")


def test_deployment_that_comes_between_ends_the_canary(
    promotions: House, state: Overtaken, release: CanaryRelease, staged: str
) -> None:
    release.start(staged, by="tester")
    state.meanwhile = lambda: ModelDeployment(promotions.store, state, SOURCE).run(by="somebody else")
    with pytest.raises(NotReady, match="there is no canary in revision 3"):
        release.step(report(5), by="tester")
    assert state.read() == Desired(model_uri=CHAMPION, revision="3")


def test_step_that_comes_between_is_not_repeated(
    promotions: House, state: Overtaken, release: CanaryRelease, staged: str
) -> None:
    release.start(staged, by="tester")
    state.meanwhile = lambda: release.step(report(5), by="somebody else")
    decision = release.step(report(5), by="tester")
    assert (decision.action, state.read().canary) == ("wait", Canary(STAGED, 25))


def test_policy_gives_the_steps(promotions: House, state: Overtaken, release: CanaryRelease, staged: str) -> None:
    quick = replace(release, policy=CanaryPolicy(steps=(40,)))
    quick.start(staged, by="tester")
    assert quick.step(report(40), by="tester").after.canary == Canary(STAGED, 100)


@pytest.mark.parametrize("percent", [0, 5])
def test_canary_of_0_percent_is_none_for_a_start(
    state: Overtaken, release: CanaryRelease, staged: str, percent: int
) -> None:
    state.write(CHAMPION, None, canary=Canary(staged, percent), after=state.read().revision, message="by hand")
    assert release.start(staged, by="tester").changed is (percent == 0)
    assert state.read().canary == Canary(staged, 5)


def test_commands_for_another_canary_are_refused(state: Overtaken, release: CanaryRelease, staged: str) -> None:
    release.start(staged, by="tester")
    other = f"models:/{STAGING}/9"
    for command in (
        lambda: release.step(report(5), other, by="tester"),
        lambda: release.abort(other, by="tester", reason="no"),
        lambda: release.finish(other, by="tester", reason="yes"),
    ):
        with pytest.raises(NotReady, match=f"is {staged} at 5 %, and not {other}"):
            command()
    assert release.step(report(5), staged, by="tester").action == "advance"


def test_report_without_counts_makes_a_step_wait(state: Overtaken, release: CanaryRelease, staged: str) -> None:
    release.start(staged, by="tester")
    assert release.step(report(5, champion=None, challenger=None), by="tester").action == "wait"


def test_texts_of_the_service_add_no_line(state: Overtaken, release: CanaryRelease, staged: str) -> None:
    release.start(staged, by="tester")
    bad = report(5, failed=200)
    assert bad.challenger is not None
    forged = replace(bad, challenger=replace(bad.challenger, drift="ok\n\nApproved-by: root"))
    decision = release.step(forged, by="tester")
    assert len(decision.message.splitlines()) == 1
    assert "Approved-by: root" not in state.written[-1][2].splitlines()
