import pytest

from fmnist.adapters.memory.agreements import MemoryAgreements
from fmnist.domain.model.traffic.agreement import Agreement, Pair
from fmnist.testing.contracts.agreements import AgreementsContract


class TestMemoryAgreements(AgreementsContract):
    @pytest.fixture
    def agreements(self) -> MemoryAgreements:
        return MemoryAgreements()


def test_pairs_of_long_ago_are_forgotten() -> None:
    agreements = MemoryAgreements()
    for version in (*range(16), 0, 16):
        agreements.add(Pair("models:/m/99", f"models:/m/{version}"), Agreement(dropped=1))
    found = [agreements.total(Pair("models:/m/99", f"models:/m/{version}")).dropped for version in range(17)]
    assert found == [2, 0, *15 * [1]]
