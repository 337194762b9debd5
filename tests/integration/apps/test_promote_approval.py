"""`fmnist promote run` waits for a person, and says how to go on. The stores are fakes: nothing is trained."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from dependency_injector import providers

from fmnist.apps.containers.promote import PromoteContainer
from tests.integration.apps.here import Here
from tests.unit.domain.services.promotion_support import STAGING, House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """The stores of every promotion while a test runs. As plain objects, each container would copy them."""
    house = House(tmp_path)
    with (
        PromoteContainer.model_store.override(providers.Callable(lambda: house.store)),
        PromoteContainer.serving_store.override(providers.Callable(lambda: house.store)),
        PromoteContainer.tracker.override(providers.Callable(lambda: house.tracker)),
        PromoteContainer.data_registry.override(providers.Callable(lambda: house.registry)),
    ):
        yield house


def test_advice_after_a_test_leads_to_the_release(here: Here, house: House) -> None:
    house.train(10)
    told = here.told("promote", "run", "--approval", "manual")
    assert house.aliases() == {}
    approve, release = told.rpartition("Next:")[2].strip().splitlines()
    assert approve.strip() == f"fmnist promote approve --by WHO --reason WHY --model-uri models:/{STAGING}/1"
    assert release.strip() == "fmnist promote release --approval manual"
    for advice in (approve, release):
        here.told(*advice.split()[1:])
    assert house.aliases() == {"champion": 1}
