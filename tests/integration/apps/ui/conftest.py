"""A headless Chromium, and the page `/ui` of a service with a small model.

Only in CI is a machine without Chromium an error.
"""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.integration.apps.toy_service import service
from tests.integration.apps.ui.screen import Screen, screen
from tests.integration.apps.ui.toy_model import SETTINGS, ToyServing


# For one module, because Playwright keeps an event loop running, in which other tests could not start theirs.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        if "CI" in os.environ:
            pytest.fail("the page is not checked: install Chromium")
        pytest.skip("the page is NOT checked: install Chromium")
    with sync_playwright() as playwright:
        # Its sandbox does not work as root, as in a container. The tests open our own page only.
        launched = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[ToyServing, str]]:
    serving = ToyServing()
    with service(serving, SETTINGS) as url:
        yield serving, url


@pytest.fixture
def serving(shared: tuple[ToyServing, str]) -> ToyServing:
    """The service behind the page, reset for each test."""
    shared[0].restore()
    return shared[0]


@pytest.fixture
def url(shared: tuple[ToyServing, str]) -> str:
    return shared[1]


@pytest.fixture
def ui(browser: Browser, serving: ToyServing, url: str) -> Iterator[Screen]:
    """The page, open. At the end of the test, it must not have complained or asked another host."""
    with screen(browser, url) as opened:
        opened.open()
        yield opened
