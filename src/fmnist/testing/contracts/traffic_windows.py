"""The contract of every `TrafficWindows`, wherever it is stored."""

import time

import pytest

from fmnist.domain.model.traffic.sketch import Sketch, TrafficWindow
from fmnist.ports.traffic_windows import TrafficWindows
from fmnist.testing.data import toy_sketch

_URI = "models:/prod.contract/3"


class TrafficWindowsContract:
    """Subclass it as `Test...` and supply `windows`."""

    @pytest.fixture
    def windows(self) -> TrafficWindows:
        """The windows under test, of 60 minutes. They are empty."""
        raise NotImplementedError

    def test_window_without_images_is_empty(self, windows: TrafficWindows) -> None:
        assert windows.window(_URI) == TrafficWindow(Sketch.joined([]), None, None)

    def test_sketches_of_one_version_add_up(self, windows: TrafficWindows) -> None:
        now, pieces = this_minute(), [toy_sketch(10, seed) for seed in range(4)]
        for minute, piece in zip((now, now - 1, now, now - 58), pieces, strict=True):
            windows.add(_URI, minute, piece)
        assert windows.window(_URI) == TrafficWindow(Sketch.joined(pieces), now - 58, now)

    def test_versions_have_windows_of_their_own(self, windows: TrafficWindows) -> None:
        windows.add(_URI, this_minute(), toy_sketch(10))
        windows.add("models:/prod.contract/4", this_minute(), toy_sketch(20))
        assert windows.window(_URI).sketch == toy_sketch(10)

    def test_minutes_before_the_window_are_forgotten(self, windows: TrafficWindows) -> None:
        windows.add(_URI, this_minute() - 61, toy_sketch(10))
        assert windows.window(_URI).sketch.images == 0


def this_minute() -> int:
    """Return the current minute since 1970 (UTC)."""
    return int(time.time() // 60)
