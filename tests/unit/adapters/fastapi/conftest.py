"""The application over a model that serves. Making one takes longer than any test, so that they share theirs."""

import pytest

from tests.unit.adapters.fastapi.support import GreyServing, Service, grey_model


@pytest.fixture(scope="session")
def shared_serving() -> GreyServing:
    return GreyServing()


@pytest.fixture(scope="session")
def service(shared_serving: GreyServing) -> Service:
    return Service(shared_serving)


@pytest.fixture(autouse=True)
def serving(shared_serving: GreyServing) -> GreyServing:
    """What stands behind the service, as good as new in each test."""
    shared_serving.restore(grey_model())
    return shared_serving
