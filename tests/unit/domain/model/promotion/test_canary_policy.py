"""What a canary's rules say of figures, and how often they abort a good challenger by chance."""

from typing import Any

import numpy as np
import pytest

from fmnist.domain.model.errors import InvalidSetting
from fmnist.domain.model.evaluation.metrics import wilson_interval
from fmnist.domain.model.promotion import canary_policy as module
from fmnist.domain.model.promotion.canary_policy import CanaryPolicy, Finding, Guard
from fmnist.domain.model.traffic.canary_report import ArmReport
from fmnist.domain.model.traffic.trial import TIME_BINS

POLICY = CanaryPolicy()
EVEN = tuple(10 * [100])


def at(*bins: int, calls: int = 1000) -> tuple[int, ...]:
    """Return times of so many calls, spread over these bins."""
    return tuple(calls // len(bins) if place in bins else 0 for place in range(TIME_BINS))


def arm(uri: str, **changes: Any) -> ArmReport:
    values: dict[str, Any] = {
        "times": at(9),
        "failed": 0,
        "classes": EVEN,
        "drift": "ok",
        "expected_accuracy": 0.9,
        "labelled": 0,
        "right": 0,
    }
    return ArmReport(model_uri=uri, **{**values, **changes})


def findings(
    champion: dict[str, Any] | None = None, challenger: dict[str, Any] | None = None, **of: int
) -> dict[str, str]:
    return {guard.name: str(guard.finding) for guard in judged(champion, challenger, **of)}


def judged(
    champion: dict[str, Any] | None = None, challenger: dict[str, Any] | None = None, **of: int
) -> tuple[Guard, ...]:
    return POLICY.judge(
        arm("models:/prod.toy/1", **(champion or {})), arm("models:/staging.toy/2", **(challenger or {})), **of
    )


FINE = dict.fromkeys(("errors", "time", "classes", "accuracy", "agreement", "drift"), "fine")


def test_challenger_like_the_champion_is_fine() -> None:
    assert findings() == FINE


@pytest.mark.parametrize(
    ("guard", "champion", "challenger", "of"),
    [
        ("errors", {}, {"failed": 120}, {}),
        ("time", {}, {"times": at(12)}, {}),
        ("classes", {}, {"classes": (400, *9 * [66])}, {}),
        ("classes", {"classes": (400, *9 * [66])}, {}, {}),
        ("accuracy", {"labelled": 1000, "right": 950}, {"labelled": 1000, "right": 800}, {}),
        ("agreement", {}, {}, {"compared": 1000, "agreed": 700}),
    ],
)
def test_guard_trips_for_harm_that_is_shown(
    guard: str, champion: dict[str, Any], challenger: dict[str, Any], of: dict[str, Any]
) -> None:
    assert findings(champion, challenger, **of) == {**FINE, guard: "tripped"}


@pytest.mark.parametrize(
    ("champion", "challenger", "of"),
    [
        ({}, {"times": at(11)}, {}),  # less than four times
        ({"times": at(9, 12)}, {"times": at(10, 13)}, {}),
        ({"labelled": 20, "right": 19}, {"labelled": 20, "right": 15}, {}),
        ({"labelled": 0}, {"labelled": 100, "right": 10}, {}),
        ({}, {}, {"compared": 20, "agreed": 14}),
        ({"drift": "drifted"}, {"drift": "drifted"}, {}),
        ({"drift": None}, {"drift": "unknown"}, {}),
    ],
)
def test_guard_does_not_trip_for_what_may_be_chance(
    champion: dict[str, Any], challenger: dict[str, Any], of: dict[str, Any]
) -> None:
    assert findings(champion, challenger, **of) == FINE


def test_step_stays_open_until_the_errors_are_shown_to_be_few() -> None:
    assert findings({}, {"times": at(9, calls=400)})["errors"] == "open"
    assert findings({}, {"times": at(9, calls=700)})["errors"] == "fine"
    assert findings({"times": at()}, {"times": at()})["errors"] == "open"


def test_challenger_whose_own_traffic_drifted_is_held() -> None:
    assert findings({}, {"drift": "drifted"}) == {**FINE, "drift": "open"}


def test_reasons_name_the_figures() -> None:
    guards = judged(
        {"failed": 1, "labelled": 10, "right": 9}, {"failed": 2, "labelled": 20, "right": 17}, compared=50, agreed=49
    )
    reasons = {guard.name: guard.reason for guard in guards}
    assert reasons["errors"].startswith("2 of 1,002 calls failed, of the champion's 1 of 1,001; the rise is between ")
    assert (
        reasons["time"]
        == "median 0.512-1.024 ms for one image, champion 0.512-1.024 ms; not shown to be 4 times slower"
    )
    assert "10.0% of its calls begin with Trouser" in reasons["classes"]
    assert reasons["accuracy"].startswith("17 of 20 labelled images are right, of the champion's 9 of 10; the fall is")
    assert reasons["agreement"] == "the same class for 49 of 50 images, 80% required"


@pytest.mark.parametrize("failing", [0.0, 0.03])
def test_good_challenger_is_not_aborted_by_looking_often(failing: float) -> None:
    """Two models with the same failures, times, classes and accuracy: 10 looks in each of 40 canaries."""
    random = np.random.default_rng(3)
    aborted = 0
    for _ in range(40):
        sizes = np.array([[1600, 160]] * 10).cumsum(axis=0)
        totals = np.zeros((2, 4), int)
        for look in range(len(sizes)):
            new = sizes[look] - (sizes[look - 1] if look else 0)
            for place, count in enumerate(new):
                failed, late, right = (random.binomial(count, share) for share in (failing, 0.2, 0.92))
                totals[place] += (count, failed, late, right)
            arms = [
                {
                    "times": tuple(
                        {9: int(calls - failed - late), 11: int(late)}.get(place, 0) for place in range(TIME_BINS)
                    ),
                    "failed": int(failed),
                    "classes": tuple(random.multinomial(calls, 10 * [0.1]).tolist()),
                    "labelled": int(calls),
                    "right": int(right),
                }
                for calls, failed, late, right in totals
            ]
            if any(guard.finding is Finding.TRIPPED for guard in judged(*arms)):
                aborted += 1
                break
    assert aborted / 40 <= 1 - POLICY.confidence


def aborted_at_the_limit(canaries: int) -> float:
    """Return how many challengers are aborted that fail exactly as much more often as is allowed."""
    random = np.random.default_rng(11)
    looks = np.unique(np.geomspace(20, 4000, 50).astype(int))
    count = 0
    for _ in range(canaries):
        failed = [
            (random.random(looks[-1]) < share).cumsum()[looks - 1] for share in (0.1, 0.1 + POLICY.max_error_rise)
        ]
        for calls, before, after in zip(looks.tolist(), *failed, strict=True):
            arms = [
                arm("models:/toy/1", times=at(9, calls=calls - found), failed=found)
                for found in map(int, (before, after))
            ]
            if POLICY._errors(*arms).finding is Finding.TRIPPED:
                count += 1
                break
    return count / canaries


def test_challenger_at_the_limit_is_aborted_no_more_often_than_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    assert aborted_at_the_limit(60) <= 1 - POLICY.confidence
    # Intervals for a single look, at the level of the policy, are no substitute.
    monkeypatch.setattr(module, "share_interval", lambda hits, trials, _: wilson_interval(hits, trials, 0.68))
    assert aborted_at_the_limit(20) > 1 - POLICY.confidence


def test_steps_follow_each_other() -> None:
    assert [POLICY.after(percent) for percent in (0, 5, 7, 25, 50, 99)] == [5, 25, 25, 50, 100, 100]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"step": [5]}, "has no field step"),
        ({"steps": 5}, "a list"),
        ({"steps": []}, "rising"),
        ({"steps": [25, 5]}, "rising"),
        ({"steps": [5, 5]}, "rising"),
        ({"steps": [0, 5]}, "rising"),
        ({"steps": [5, 100]}, "rising"),
        ({"steps": [5.5]}, "rising"),
        ({"confidence": 1.0}, "confidence"),
        ({"max_error_rise": 0.0}, "above 0"),
        ({"max_error_rise": "much"}, "of type float"),
        ({"min_agreement": 1.5}, "min_agreement"),
        ({"max_hours": 0}, "above 0"),
    ],
)
def test_policy_that_is_not_allowed_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSetting, match=message):
        CanaryPolicy.from_mapping(values)


def test_policy_is_read() -> None:
    assert CanaryPolicy.from_mapping({"steps": [10, 90], "max_hours": 2}) == CanaryPolicy(steps=(10, 90), max_hours=2)
