"""Each way in for a picture: a file, a photo, a drop and the clipboard; and pictures that the service refuses."""

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, FilePayload, expect

from fmnist.adapters.fastapi.pages import files
from fmnist.domain.model.data.photograph import OPTIONAL, Step
from tests.integration.apps.ui.screen import Screen, screen
from tests.integration.apps.ui.toy_model import ToyServing

# What a person drops or pastes, as the browser hands it to the page.
TRANSFER = """([bytes, type]) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([new Uint8Array(bytes)], "shirt", { type }));
  return transfer;
}"""


def shirt(kind: str = "PNG") -> bytes:
    """A dark shirt on white, as in a shop."""
    picture = Image.new("RGB", (300, 400), "white")
    ImageDraw.Draw(picture).polygon(
        [(60, 60), (240, 60), (280, 160), (220, 160), (220, 340), (80, 340), (80, 160)], "navy"
    )
    return encoded(picture, kind)


def encoded(picture: Image.Image, kind: str) -> bytes:
    content = io.BytesIO()
    picture.save(content, kind)
    return content.getvalue()


def payload(content: bytes, kind: str = "image/png") -> FilePayload:
    return {"name": "shirt", "mimeType": kind, "buffer": content}


def transfer(ui: Screen, content: bytes, kind: str = "image/png") -> Any:
    return ui.page.evaluate_handle(TRANSFER, [list(content), kind])


def check_answer(ui: Screen, serving: ToyServing) -> None:
    """The page shows the picture, each step, and the very image that the model got."""
    ui.wait_for_answer()
    [image] = serving.seen
    assert image.any()
    np.testing.assert_array_equal(ui.colours("#seen")[:, :, 0], image)
    expect(ui.page.locator("#original")).to_be_visible()
    assert ui.page.locator("#steps li").count() > 1
    ui.see("#clothing", "clothing")


@pytest.mark.parametrize("field", ["#file", "#photo"])
def test_file_and_photo_are_prepared_and_answered(ui: Screen, serving: ToyServing, field: str) -> None:
    ui.page.locator(field).set_input_files(payload(shirt("JPEG"), "image/jpeg"))
    check_answer(ui, serving)
    expect(ui.page.locator("#picture")).to_be_visible()


def test_phone_offers_its_camera_and_a_desktop_does_not(browser: Browser, ui: Screen, url: str) -> None:
    with screen(browser, url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True) as phone:
        for each in (phone, ui):
            each.open()
            each.one("Picture", "tab").click()
        expect(phone.page.get_by_text("Take a photo")).to_be_visible()
        expect(phone.page.locator("#photo")).to_have_attribute("capture", "environment")
    expect(ui.page.get_by_text("Take a photo")).to_be_hidden()


def test_drop_anywhere_on_the_page(ui: Screen, serving: ToyServing) -> None:
    ui.page.dispatch_event("h1", "drop", {"dataTransfer": transfer(ui, shirt())})
    check_answer(ui, serving)


def test_paste(ui: Screen, serving: ToyServing) -> None:
    ui.page.evaluate(
        "data => document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true }))",
        transfer(ui, shirt()),
    )
    check_answer(ui, serving)


def test_button_pastes_what_the_clipboard_has(ui: Screen, serving: ToyServing) -> None:
    ui.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    ui.page.evaluate(
        "bytes => navigator.clipboard.write([new ClipboardItem({ 'image/png': new Blob([new Uint8Array(bytes)], "
        "{ type: 'image/png' }) })])",
        list(shirt()),
    )
    ui.one("Picture", "tab").click()
    ui.one("Paste").click()
    check_answer(ui, serving)


def test_webp_is_sent_as_png(ui: Screen, serving: ToyServing) -> None:
    ui.page.locator("#file").set_input_files(payload(shirt("WEBP"), "image/webp"))
    check_answer(ui, serving)


def test_picture_that_is_too_large_is_refused_in_words(ui: Screen, serving: ToyServing) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    ui.page.locator("#file").set_input_files(payload(encoded(Image.fromarray(noise), "PNG")))
    ui.see("#notice", "too large for the service")
    assert serving.seen == []


@pytest.mark.parametrize("kind", ["image/png", "image/webp"])
def test_file_that_is_no_picture_is_refused_in_words(ui: Screen, kind: str) -> None:
    ui.page.locator("#file").set_input_files(payload(b"not a picture", kind))
    ui.see("#notice", "cannot read this picture")


def test_drop_of_something_else_is_refused_in_words(ui: Screen, serving: ToyServing) -> None:
    ui.page.dispatch_event("#drop", "drop", {"dataTransfer": transfer(ui, b"text", "text/plain")})
    ui.see("#notice", "That was no picture")
    assert serving.seen == []


def test_step_of_the_preparation_can_be_left_out_and_done_again_by_keys(ui: Screen, serving: ToyServing) -> None:
    ui.page.locator("#file").set_input_files(payload(shirt()))
    check_answer(ui, serving)
    crop = ui.page.get_by_role("checkbox", name=re.compile("Crop: cut to rows"))
    crop.focus()
    ui.press(" ")
    left_out = ui.page.get_by_role("checkbox", name="Crop: left out")
    expect(left_out).not_to_be_checked()
    expect(left_out).to_be_focused()
    first, second = serving.seen
    assert np.flatnonzero(second.any(axis=1))[0] > np.flatnonzero(first.any(axis=1))[0]  # smaller in the frame
    ui.press(" ")
    expect(crop).to_be_checked()
    np.testing.assert_array_equal(serving.seen[2], first)
    assert ui.violations() == []


def test_steps_that_can_be_left_out_are_those_of_the_service() -> None:
    script = (Path(files.__file__).parent / "assets/ui/steps.js").read_text(encoding="utf-8")
    assert f"ORDER = {json.dumps(list(Step))};" in script
    assert f"OPTIONAL = {json.dumps(OPTIONAL)};" in script


LARGE = """async () => {
  const { readable } = await import(new URL("ui/pictures.js", document.baseURI));
  const canvas = new OffscreenCanvas(2400, 1200);
  const pixels = new ImageData(2400, 1200);
  for (let start = 0; start < pixels.data.length; start += 65536) {
    crypto.getRandomValues(pixels.data.subarray(start, Math.min(start + 65536, pixels.data.length)));
  }
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  const blob = await canvas.convertToBlob({ type: "image/png" });
  const made = await createImageBitmap(await readable(blob));
  return [blob.size, made.width, made.height];
}"""


def test_large_picture_is_made_smaller_by_the_browser(ui: Screen) -> None:
    size, width, height = ui.page.evaluate(LARGE)
    assert size > 4_000_000
    assert (width, height) == (1600, 800)
