"""Make data/figures/studio.png and studio_narrow.png: the studio as it is now, in Chromium, at two widths.

    .venv/bin/python scripts/screenshots.py            # half a minute; needs Chromium and `playwright`

The photograph that the studio opens with, two hints, and the divider, left of which is what was given.
"""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "browser"))

import real_jupyter as jupyter
from playwright.sync_api import Page, sync_playwright

PICTURES = {"studio.png": (1280, 890), "studio_narrow.png": (420, 1300)}
DIVIDER = 0.2
HINTS = {(0.37, 0.337): "#c0503c", (0.72, 0.62): "#a4c4d8"}  # a share of width and height: a colour
MOST_BYTES = 600_000
AFTER = ".colorlib-board img.after"


@contextmanager
def other_picture(page: Page) -> Iterator[None]:
    """Wait at the end until the picture has changed."""
    before = page.locator(AFTER).get_attribute("src")
    yield
    page.wait_for_function(f"old => document.querySelector('{AFTER}').src !== old", arg=before)


def work(page: Page) -> None:
    """Click, choose a colour, move the divider."""
    page.wait_for_function(f"document.querySelector('{AFTER}')?.naturalWidth > 0", timeout=1000 * jupyter.PATIENCE)
    stage = page.locator(".colorlib-board .stage")
    picker = page.locator(".widget-colorpicker input[type=text]")
    for (x, y), color in HINTS.items():
        stage.scroll_into_view_if_needed()
        box = stage.bounding_box()
        with other_picture(page):
            page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
        picker.fill(color)
        picker.dispatch_event("change")  # a browser sends it for typed text alone
        page.wait_for_timeout(1500)  # not until the picture changes: in the dark many colours become the same
    page.get_by_role("slider", name="Divider").focus()
    for _ in range(round(10 * DIVIDER)):
        page.keyboard.press("PageUp")
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    page.wait_for_timeout(1000)


def small(png: bytes) -> bytes:
    """The same in fewer bytes, with 256 colours if necessary."""
    for picture in (Image.open(io.BytesIO(png)).convert("RGB"), Image.open(io.BytesIO(png)).convert("RGB").quantize(256)):
        file = io.BytesIO()
        picture.save(file, "PNG", optimize=True)
        if file.tell() <= MOST_BYTES:
            break
    return file.getvalue()


def main() -> None:
    if reason := jupyter.missing():
        sys.exit(reason)
    command = [sys.executable, str(ROOT / "scripts" / "studio.py"), "--no-browser"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        address = server.stdout.readline().split()[-1]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=jupyter.browser_path(), args=jupyter.FLAGS)
            for name, (width, height) in PICTURES.items():
                page = browser.new_page(viewport={"width": width, "height": height})
                page.goto(address, timeout=1000 * jupyter.PATIENCE)
                work(page)
                path = ROOT / "data" / "figures" / name
                path.write_bytes(small(page.screenshot()))
                print(f"{path.relative_to(ROOT)}: {width} x {height}, {path.stat().st_size / 1000:.0f} kB")
                page.close()
            browser.close()
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)


if __name__ == "__main__":
    main()
