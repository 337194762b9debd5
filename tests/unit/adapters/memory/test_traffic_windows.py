import pytest

from fmnist.adapters.memory.traffic_windows import MemoryTrafficWindows
from fmnist.testing.contracts.traffic_windows import TrafficWindowsContract
from fmnist.testing.data import toy_sketch


class TestMemoryTrafficWindows(TrafficWindowsContract):
    @pytest.fixture
    def windows(self) -> MemoryTrafficWindows:
        return MemoryTrafficWindows(60)


def test_window_moves_with_the_clock() -> None:
    now = 60_000.0
    windows = MemoryTrafficWindows(2, clock=lambda: now)
    windows.add("models:/m/1", 1000, toy_sketch(10))
    now += 60
    windows.add("models:/m/1", 1001, toy_sketch(20))
    assert windows.window("models:/m/1").sketch.images == 30
    now += 60
    assert windows.window("models:/m/1").sketch.images == 20
    now += 60
    assert windows.window("models:/m/1").since is None
