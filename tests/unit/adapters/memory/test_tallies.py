import pytest

from fmnist.adapters.memory.tallies import MemoryTallies
from fmnist.domain.model.traffic.agreement import Agreement, Pair
from fmnist.testing.contracts.tallies import TalliesContract


class TestMemoryTallies(TalliesContract):
    @pytest.fixture
    def tallies(self) -> MemoryTallies[Agreement]:
        return MemoryTallies(Agreement)


def test_keys_of_long_ago_are_forgotten() -> None:
    tallies = MemoryTallies(Agreement)
    for version in (*range(16), 0, 16):
        tallies.add(Pair("models:/m/99", f"models:/m/{version}"), Agreement(dropped=1))
    found = [tallies.total(Pair("models:/m/99", f"models:/m/{version}")).dropped for version in range(17)]
    assert found == [2, 0, *15 * [1]]
