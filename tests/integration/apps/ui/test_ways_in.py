"""Each way to show the model something: a sample, drawing with mouse, finger and keys."""

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from tests.integration.apps.ui.screen import Screen, screen
from tests.integration.apps.ui.toy_model import GOLDEN, ToyServing


def test_sample_is_sent_as_it_is_and_explained(ui: Screen, serving: ToyServing) -> None:
    ui.one("Samples", "tab").click()
    ui.one("Sample 3").click()
    ui.wait_for_answer("Pullover")
    np.testing.assert_array_equal(serving.seen, GOLDEN[2:3])
    expect(ui.one("Sample 3")).to_have_attribute("aria-pressed", "true")
    ui.see("#clothing", "Looks like clothing")
    ui.see("#why-text", "Speaks for Pullover")
    ui.see("#bars .best", "Pullover")
    ui.see("#steps", "sent as it is")
    ui.see("#time", "ms in the service")
    expect(ui.page.locator("#bars li")).to_have_count(10)


def test_what_the_model_sees_is_drawn(ui: Screen) -> None:
    ui.one("Samples", "tab").click()
    ui.one("Sample 3").click()
    ui.wait_for_answer()
    np.testing.assert_array_equal(ui.colours("#seen")[:, :, 0], GOLDEN[2])
    red, _, blue, _ = np.moveaxis(ui.colours("#why").astype(int), 2, 0)
    assert ((red > 100) & (red > 2 * blue)).any()


def test_drawing_with_the_mouse_is_answered_at_the_end_of_each_stroke(ui: Screen, serving: ToyServing) -> None:
    box = ui.page.locator("#pad").bounding_box()
    assert box is not None
    mouse, pixel = ui.page.mouse, box["width"] / 28
    mouse.move(box["x"] + 4.5 * pixel, box["y"] + 14.5 * pixel)
    mouse.down()
    mouse.move(box["x"] + 23.5 * pixel, box["y"] + 14.5 * pixel)
    assert not serving.seen
    mouse.up()
    ui.wait_for_answer()
    [image] = serving.seen
    assert (image[14, 4:24] == 255).all()
    assert not image[:11].any()
    assert not image[18:].any()
    ui.see("#clothing", "Does not look like clothing")


def test_drawing_with_a_finger(browser: Browser, serving: ToyServing, url: str) -> None:
    with screen(browser, url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True) as ui:
        ui.open()
        ui.page.locator("#pad").tap()
        ui.wait_for_answer()
        assert serving.seen[0][13:15, 13:15].all()


def test_drawing_with_keys_alone(ui: Screen, serving: ToyServing) -> None:
    ui.page.locator("#pad").focus()
    ui.press("ArrowLeft", "ArrowUp", " ")
    ui.see("#cursor", "Column 14, row 14")
    ui.wait_for_answer()
    assert np.argwhere(serving.seen[0] == 255).mean(axis=0).tolist() == [13, 13]
    ui.press(*["Shift+ArrowRight"] * 5)
    ui.see("#cursor", "Column 19, row 14")
    expect(ui.page.locator("#result")).to_have_attribute("aria-busy", "false")
    assert (serving.seen[-1][13, 13:19] == 255).all()


def test_fill_eraser_and_clear(ui: Screen, serving: ToyServing) -> None:
    pad = ui.page.locator("#pad")
    pad.focus()
    ui.press(" ", *["Shift+ArrowRight"] * 8, *["Shift+ArrowDown"] * 8, *["Shift+ArrowLeft"] * 8, *["Shift+ArrowUp"] * 8)
    ui.page.get_by_text("Fill", exact=True).click()
    pad.focus()
    ui.press(*["ArrowRight", "ArrowDown"] * 4, " ")
    ui.wait_for_answer()
    assert (serving.seen[-1][14:23, 14:23] == 255).all()
    assert not serving.seen[-1][:11].any()
    ui.page.get_by_text("Eraser", exact=True).click()
    pad.focus()
    ui.press(" ")
    ui.wait_for_answer()
    assert serving.seen[-1][18, 18] == 0
    count = len(serving.seen)
    ui.one("Clear").click()
    pad.focus()
    ui.press(" ")  # with the eraser: nothing is drawn, so nothing is asked
    assert ui.colours("#pad")[5, 5, 0] == 0
    assert len(serving.seen) == count


@pytest.mark.parametrize("keys", [["ArrowRight", "ArrowRight"], ["End"], ["ArrowLeft"]])
def test_tabs_move_by_arrow_keys(ui: Screen, keys: list[str]) -> None:
    ui.one("Draw", "tab").focus()
    ui.press(*keys)
    expect(ui.one("Samples", "tab")).to_be_focused()
    expect(ui.page.locator("#sample-list")).to_be_visible()
    expect(ui.page.locator("#pad")).to_be_hidden()
