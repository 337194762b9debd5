"""The page as a whole: the model it shows, errors in words, a reload, keys, phones, schemes and accessibility."""

import re
from dataclasses import replace

import pytest
from playwright.sync_api import Browser, Route, expect

from fmnist.adapters.fastapi.problems import Problem
from tests.integration.apps.toy_service import service
from tests.integration.apps.ui.screen import Screen, screen
from tests.integration.apps.ui.toy_model import SETTINGS, ToyServing, toy_model

KEY = "a-key-of-this-test"


def pick(ui: Screen, sample: int = 3) -> None:
    ui.one("Samples", "tab").click()
    ui.one(f"Sample {sample}").click()


def test_model_is_shown_with_its_accuracy_card_and_report(ui: Screen) -> None:
    ui.see("#serving", "Version 1 answers")
    for text in ("prod.clothes, version 1", "fashion-mnist-v1.0.0", "Answers since", "95 % interval", "Nov 14, 2023"):
        ui.see("#facts", text)
    run = ui.one("Training run and report in the tracker", "link")
    expect(run).to_have_attribute("href", "https://tracker.example/#/runs/0123abcd")
    ui.page.locator("summary").click()
    expect(ui.page.get_by_role("rowheader", name="accuracy", exact=True)).to_be_visible()
    ui.see("#card-text", "Intended use")


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (Problem(429, "too_many_requests", "many", {"retry-after": "1"}), "busy: too many images wait.*in a second"),
        (Problem(503, "not_ready", "no model"), "No model serves yet"),
        (Problem(503, "timeout", "no answer within 30 s"), "cannot answer now.*no answer within 30 s"),
        (Problem(500, "internal_error", "the service failed"), r"failed \(500\)"),
    ],
)
def test_error_is_said_in_words_and_passes(ui: Screen, serving: ToyServing, problem: Problem, words: str) -> None:
    pick(ui, 2)
    ui.wait_for_answer("Trouser")
    serving.problem = problem
    pick(ui)
    ui.see("#notice", re.compile(words))
    expect(ui.page.locator("#answer")).to_be_hidden()
    serving.problem = None
    pick(ui)
    ui.wait_for_answer("Pullover")
    expect(ui.page.locator("#notice")).to_be_hidden()


def test_answer_stays_if_its_explanation_fails(ui: Screen) -> None:
    ui.page.route("**/explain", lambda route: route.fulfill(status=429, json={}, headers={"retry-after": "5"}))
    pick(ui)
    ui.see("#notice", "Try again in 5 seconds")
    ui.see("#verdict", "Pullover")
    expect(ui.page.locator("#answer")).to_be_visible()
    expect(ui.page.locator("#why-view")).to_be_hidden()
    ui.see("#clothing", "Looks like clothing")  # the energy is known all the same
    ui.see("#energy", "of the validation images are not more usual")


def test_answer_of_another_version_is_not_explained_and_the_page_says_so(ui: Screen) -> None:
    other = {"model_uri": "models:/prod.clothes/9", "energy": 9.0, "share": 0.5}
    ui.page.route("**/ui/energy", lambda route: route.fulfill(json=other))
    pick(ui)
    ui.see("#notice", "Another version than the one that answered serves now")
    expect(ui.page.locator("#clothing")).to_be_hidden()
    expect(ui.page.locator("#why-view")).to_be_visible()


def test_clearing_the_pad_takes_the_answer_away(ui: Screen) -> None:
    pick(ui)
    ui.wait_for_answer("Pullover")
    ui.one("Draw", "tab").click()
    ui.one("Clear").click()
    expect(ui.page.locator("#answer")).to_be_hidden()


def test_service_that_is_gone_is_said_in_words(ui: Screen) -> None:
    ui.page.route("**/predict**", lambda route: route.abort("connectionrefused"))
    pick(ui)
    ui.see("#notice", "does not answer")
    ui.complaints = [line for line in ui.complaints if "ERR_CONNECTION_REFUSED" not in line]


def test_reload_of_the_model_is_shown_with_the_next_answer(ui: Screen, serving: ToyServing) -> None:
    pick(ui)
    ui.wait_for_answer("Pullover")
    serving.model = toy_model(version=2)
    pick(ui, 2)
    ui.wait_for_answer("Trouser")
    ui.see("#serving", "Version 2 answers")
    ui.see("#facts", "prod.clothes, version 2")


def test_last_input_wins(ui: Screen) -> None:
    held: list[Route] = []
    ui.page.route("**/predict**", lambda route: route.continue_() if held else held.append(route))
    pick(ui)
    pick(ui, 2)
    ui.wait_for_answer("Trouser")
    held[0].continue_()
    # A request later than the held one, which would be answered by now.
    ui.page.evaluate("fetch('health').then((reply) => reply.text())")
    ui.see("#verdict", "Trouser")


def test_key_is_asked_once_and_forgotten_with_the_page(browser: Browser) -> None:
    guarded = ToyServing()
    with service(guarded, replace(SETTINGS, api_keys=(KEY,))) as url, screen(browser, url) as ui:
        ui.open()
        ui.see("#serving", "Type an API key")
        key = ui.page.get_by_label("API key")
        key.fill("wrong")
        key.press("Enter")
        ui.see("#notice", "needs an API key")
        key.fill(KEY)
        key.press("Enter")
        ui.see("#serving", "Version 1 answers")
        expect(key).to_be_hidden()
        pick(ui)
        ui.wait_for_answer("Pullover")
        assert ui.page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
        ui.page.reload()
        expect(key).to_be_visible()


def test_whole_page_by_keyboard(ui: Screen) -> None:
    expect(ui.page.locator("#serving strong")).to_be_visible()
    ui.press("Tab")
    expect(ui.one("Skip to the result", "link")).to_be_focused()
    ui.press("Tab")
    expect(ui.one("Draw", "tab")).to_be_focused()
    ui.press("ArrowRight", "Tab")
    expect(ui.page.locator("#file")).to_be_focused()
    ui.press("Shift+Tab", "ArrowRight", "Tab", "Tab", "Enter")
    ui.wait_for_answer("Trouser")
    focused = set[str]()
    for _ in range(30):
        ui.press("Tab")
        focused.add(ui.page.evaluate("document.activeElement.textContent.trim()"))
    assert {"Training run and report in the tracker", "Model card", "API documentation", "Health"} <= focused


SIZES = {"phone": {"width": 360, "height": 740}, "window": {"width": 1200, "height": 900}}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_every_state_is_accessible_and_fits(
    browser: Browser, serving: ToyServing, url: str, scheme: str, size: str
) -> None:
    # Without motion, because axe would measure colours in the middle of a transition.
    options = {"color_scheme": scheme, "viewport": SIZES[size], "reduced_motion": "reduce"}
    with screen(browser, url, **options) as ui:
        ui.open()
        expect(ui.page.locator("#serving strong")).to_be_visible()
        assert ui.violations() == []
        ui.one("Picture", "tab").click()
        assert ui.violations() == []
        pick(ui)
        ui.wait_for_answer()
        ui.page.locator("summary").click()
        assert ui.violations() == []
        assert not ui.is_wider_than_the_window()
        ground = ui.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", ground))) < 200) == (scheme == "dark")


def test_swagger_ui_comes_from_the_service_and_sends_the_example(ui: Screen, serving: ToyServing) -> None:
    ui.open("/docs")
    ui.page.get_by_text("Classify images", exact=True).click()
    ui.one("Try it out").click()
    ui.one("Execute").click()
    ui.see(".live-responses-table", "class_name")
    assert len(serving.seen) == 1
