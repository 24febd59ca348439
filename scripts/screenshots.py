"""Make data/figures/studio.png, studio_narrow.png and studio.gif: the studio as it is now, in Chromium.

    .venv/bin/python scripts/screenshots.py            # a minute; needs Chromium and `playwright`

The photograph that the studio opens with, two hints, and the popover at the second one. The GIF shows how it comes about.
"""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "browser"))

import real_jupyter as jupyter  # noqa: E402 (found by the line above)
from playwright.sync_api import Page, sync_playwright  # noqa: E402

PICTURES = {"studio.png": (1280, 740), "studio_narrow.png": (420, 1300)}
SECONDS = {"grey": 1.2, "half": 0.5, "coloured": 1.6, "hint 1": 1.4, "chosen 1": 1.6, "hint 2": 1.0, "chosen 2": 1.8, "done": 2.4}
GIF_WIDTH, GIF_COLORS = 860, 96
HINTS = {(0.37, 0.337): "#c0503c", (0.72, 0.62): "#a4c4d8"}  # a share of width and height: a colour
MOST_BYTES = 600_000
AFTER = ".colorlib-board img.after"


@contextmanager
def other_picture(page: Page) -> Iterator[None]:
    """Wait at the end until the picture has changed, and is no draft."""
    before = page.locator(AFTER).get_attribute("src")
    yield
    page.wait_for_function(f"old => document.querySelector('{AFTER}').src !== old", arg=before)
    page.wait_for_function("!document.querySelector('.colorlib-board .stage').classList.contains('draft')")


def work(page: Page, frame: Callable[[str], None] = lambda name: None) -> None:
    """Grey to colour, two clicks with a colour chosen at each; the popover of the second stays open."""
    page.wait_for_function("document.querySelectorAll('.colorlib-board .tile img').length === 7",
                           timeout=1000 * jupyter.PATIENCE)
    stage, divider = page.locator(".colorlib-board .stage"), page.get_by_role("slider", name="Divider")
    divider.focus()
    for key, times, name in (("End", 1, "grey"), ("PageDown", 5, "half"), ("Home", 1, "coloured")):
        for _ in range(times):
            page.keyboard.press(key)
        page.wait_for_timeout(300)
        frame(name)
    for number, ((x, y), color) in enumerate(HINTS.items(), 1):
        stage.scroll_into_view_if_needed()
        box = stage.bounding_box()
        with other_picture(page):
            page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
        page.wait_for_timeout(500)
        frame(f"hint {number}")
        with other_picture(page):
            page.locator(".popover .own").fill(color)
            page.locator(".popover .own").dispatch_event("change")
        page.wait_for_timeout(500)
        frame(f"chosen {number}")
        if number < len(HINTS):
            page.keyboard.press("Escape")
    page.evaluate("window.scrollTo(0, 0)")
    page.wait_for_timeout(1000)


def film(page: Page, path: Path) -> None:
    """A GIF of `work`."""
    shots: dict[str, Image.Image] = {}

    def frame(name: str) -> None:
        picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        shots[name] = picture.resize((GIF_WIDTH, round(GIF_WIDTH * picture.height / picture.width)), Image.Resampling.LANCZOS)

    work(page, frame)
    page.keyboard.press("Escape")
    page.wait_for_timeout(500)
    frame("done")
    first, *others = [picture.quantize(GIF_COLORS, dither=Image.Dither.NONE) for picture in shots.values()]
    first.save(path, save_all=True, append_images=others, duration=[round(1000 * SECONDS[name]) for name in shots], loop=0)


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
            page = browser.new_page(viewport={"width": 1280, "height": 740})
            page.goto(address, timeout=1000 * jupyter.PATIENCE)
            path = ROOT / "data" / "figures" / "studio.gif"
            film(page, path)
            print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")
            browser.close()
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)


if __name__ == "__main__":
    main()
