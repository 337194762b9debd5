"""How often a canary aborts a good challenger, and how soon a bad one: simulated, with the rules of `canary step`.

Calls of champion and challenger are drawn at random. A look follows each 50 calls of the challenger, up to 2,000.

    python benchmarks/canary.py
"""

import argparse
import sys
from collections.abc import Mapping
from statistics import median

import numpy as np

from fmnist.domain.model.promotion.canary_policy import CanaryPolicy, Finding
from fmnist.domain.model.traffic.canary_report import ArmReport
from fmnist.domain.model.traffic.trial import TIME_BINS

_POLICY = CanaryPolicy()
_LOOKS, _EACH, _TIMES_MORE = 40, 50, 19  # of 5 %
_CLASSES = np.full(10, 0.1)
_SHIFTED = np.array([0.2, *9 * [0.8 / 9]])

# The share of failures, the shares of the classes, and the accuracy of the challenger. All images are labelled.
_CASES: Mapping[str, tuple[float, np.ndarray, float]] = {
    "like the champion": (0.001, _CLASSES, 0.92),
    "5 % of the calls fail": (0.05, _CLASSES, 0.92),
    "10 % of the calls fail": (0.10, _CLASSES, 0.92),
    "one class has 20 instead of 10 %": (0.001, _SHIFTED, 0.92),
    "accuracy 87 instead of 92 %": (0.001, _CLASSES, 0.87),
    "accuracy 82 instead of 92 %": (0.001, _CLASSES, 0.82),
}


def main() -> None:
    """Simulate every case, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--canaries", type=int, default=100)
    canaries = parser.parse_args().canaries
    print(f"{'challenger':<36}{'aborted':>9}  {'calls until then (median)':>26}  {'step ended after (median)':>26}")
    for name, case in _CASES.items():
        random = np.random.default_rng(20)
        ends = [_simulate(random, *case) for _ in range(canaries)]
        aborted = [calls for calls, is_abort in ends if is_abort]
        passed = [calls for calls, is_abort in ends if not is_abort and calls]
        calls, step = (f"{median(each):,.0f}" if each else "-" for each in (aborted, passed))
        print(f"{name:<36}{len(aborted) / canaries:>9.0%}  {calls:>26}  {step:>26}")
        sys.stdout.flush()


def _simulate(random: np.random.Generator, failing: float, classes: np.ndarray, accuracy: float) -> tuple[int, bool]:
    """Return the challenger's calls until the first step ends, and whether by an abort; (0, False) if it stays open."""
    arms = [_Arm(random, 0.001, _CLASSES, 0.92), _Arm(random, failing, classes, accuracy)]
    for look in range(1, _LOOKS + 1):
        arms[0].call(_EACH * _TIMES_MORE)
        arms[1].call(_EACH)
        guards = _POLICY.judge(arms[0].report("champion"), arms[1].report("challenger"))
        found = {guard.finding for guard in guards}
        if Finding.TRIPPED in found or Finding.OPEN not in found:
            return look * _EACH, Finding.TRIPPED in found
    return 0, False


class _Arm:
    def __init__(self, random: np.random.Generator, failing: float, classes: np.ndarray, accuracy: float) -> None:
        self._random, self._failing, self._classes, self._accuracy = random, failing, classes, accuracy
        self._calls = self._failed = self._right = 0
        self._counts = np.zeros(10, np.int64)

    def call(self, calls: int) -> None:
        self._calls += calls
        self._failed += int(self._random.binomial(calls, self._failing))
        self._right += int(self._random.binomial(calls, self._accuracy))
        self._counts += self._random.multinomial(calls, self._classes)

    def report(self, uri: str) -> ArmReport:
        return ArmReport(
            model_uri=uri,
            times=tuple(self._calls - self._failed if place == 9 else 0 for place in range(TIME_BINS)),
            failed=self._failed,
            classes=tuple(self._counts.tolist()),
            drift=None,
            expected_accuracy=None,
            labelled=self._calls,
            right=self._right,
        )


if __name__ == "__main__":
    main()
