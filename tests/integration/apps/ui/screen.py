"""The page in the browser: what a person does there, and what the browser complained about."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect

# Chromium itself writes this line for each answer with an error status.
_STATUS = re.compile(r"Failed to load resource: the server responded with a status of \d+")


class Screen:
    """One page of one visitor."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self._url = url
        self.complaints: list[str] = []
        self.statuses: list[str] = []
        self.hosts: set[str] = set()
        page.on("console", lambda line: self._note(line.type, line.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            (self.statuses if _STATUS.match(text) else self.complaints).append(text)

    def open(self, path: str = "/ui") -> None:
        self.page.goto(self._url + path)

    def see(self, selector: str, text: str | re.Pattern[str]) -> None:
        expect(self.page.locator(selector)).to_contain_text(text)

    def one(self, name: str, role: Any = "button") -> Locator:
        return self.page.get_by_role(role, name=name, exact=True)

    def wait_for_answer(self, text: str | re.Pattern[str] = re.compile(r"\d%")) -> None:
        """Wait until the result and the map are there, and the result has the text."""
        self.see("#verdict", text)
        expect(self.page.locator("#result")).to_have_attribute("aria-busy", "false")

    def colours(self, canvas: str) -> npt.NDArray[np.uint8]:
        """Return the pixels of a canvas, uint8 (height, width, 4)."""
        width, height, values = self.page.evaluate(
            """selector => {
              const { width, height } = document.querySelector(selector);
              const context = document.querySelector(selector).getContext("2d");
              return [width, height, [...context.getImageData(0, 0, width, height).data]];
            }""",
            canvas,
        )
        return np.array(values, np.uint8).reshape(height, width, 4)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def violations(self) -> list[str]:
        """Return what axe finds wrong."""
        found = Axe().run(self.page).response["violations"]
        return [f"{each['id']}: {[node['target'] for node in each['nodes']]}" for each in found]

    def is_wider_than_the_window(self) -> bool:
        return bool(self.page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))


@contextmanager
def screen(browser: Browser, url: str, **options: Any) -> Iterator[Screen]:
    """Open a window. At its end, check that it had no complaint, and asked no other host."""
    context = browser.new_context(**options)
    context.set_default_timeout(15_000)
    opened = Screen(context.new_page(), url)
    yield opened
    context.close()
    assert opened.complaints == []
    assert opened.hosts - {""} == {urlsplit(url).netloc}
