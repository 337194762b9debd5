"""A check that fails is told and stops nothing, and a percentile is a time that was measured."""

import pytest

from fmnist.domain.model.errors import DataVersionNotFound, StoreUnavailable, UnexpectedReply
from fmnist.domain.model.smoke_report import Checks, Latency, SmokeReport


def fails(error: Exception) -> str:
    raise error


def test_failed_check_is_noted_and_the_next_one_runs() -> None:
    checks = Checks()
    assert checks.run("reply", lambda: fails(UnexpectedReply("404"))) is None
    assert checks.run("connection", lambda: fails(StoreUnavailable("refused"))) is None
    assert checks.run("models", lambda: ["a", "b"], lambda models: f"{len(models)} models") == ["a", "b"]
    told = [(rule.name, rule.passed, rule.reason) for rule in checks.rules]
    assert told == [("reply", False, "404"), ("connection", False, "refused"), ("models", True, "2 models")]
    assert not SmokeReport(checks=checks.rules).passed
    assert SmokeReport(checks=checks.rules[2:]).passed


def test_what_is_not_the_service_s_fault_is_no_failed_check() -> None:
    with pytest.raises(DataVersionNotFound):
        Checks().run("data", lambda: fails(DataVersionNotFound("v9")))


@pytest.mark.parametrize(
    ("count", "p50", "p99"), [(1, 1.0, 1.0), (2, 1.0, 2.0), (10, 5.0, 10.0), (100, 50.0, 99.0), (200, 100.0, 198.0)]
)
def test_percentiles_are_times_that_were_measured(count: int, p50: float, p99: float) -> None:
    latency = Latency.of(7, [float(value) for value in range(count, 0, -1)])
    assert latency == Latency(images=7, requests=count, p50=p50, p99=p99, longest=float(count))
