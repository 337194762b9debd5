"""The application with a model that serves. Making it takes longer than any test, so the tests share it."""

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
    """The fake behind the service, reset for each test."""
    shared_serving.restore(grey_model())
    return shared_serving
