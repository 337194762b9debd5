import pytest

from fmnist.adapters.memory.desired_state import MemoryDesiredState
from fmnist.testing.contracts.desired_state import DesiredStateContract


class TestMemoryDesiredState(DesiredStateContract):
    @pytest.fixture
    def state(self) -> MemoryDesiredState:
        return MemoryDesiredState()


def test_image_stays_until_another_is_written() -> None:
    state = MemoryDesiredState()
    state.write("models:/prod.toy/1", "serving:v1", after="0", message="first")
    state.write("models:/prod.toy/2", None, after="1", message="second")
    assert state.written == [
        ("models:/prod.toy/1", "serving:v1", "first"),
        ("models:/prod.toy/2", "serving:v1", "second"),
    ]
