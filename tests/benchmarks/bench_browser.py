"""From a click in the browser until the other picture is painted, on an idle machine and on a busy one.

    python tests/benchmarks browser

The page of `make studio` in headless Chromium with the sample photograph of 640 x 427. Busy: on each core one Python
process that only loops. Limits of the issue on a busy machine of 2 cores: 300 ms in the median, 600 ms at most. Where the network
has to run, a draft is painted first, and the network's picture follows: its time is in the note.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bench_waiting import loops

from colorlib.photos import SAMPLES

ROOT = Path(__file__).resolve().parents[2]
REPEATS, FEW, WARM_UP = 12, 6, 2
SLOW = ("boldness", "another photograph")  # each needs work before it
AFTER, STAGE = ".colorlib-board img.after", ".colorlib-board .stage"
TILES = "document.querySelectorAll('.colorlib-board .tile img').length === 7"
RESTS = f"!document.querySelector('.working').textContent && !document.querySelector('{STAGE}').classList.contains('draft')"
# starts the clock at the next event that the page gets, stops it when the next picture is decoded and a frame is drawn, and
# again when the picture is no draft any more
WATCH = f"""() => {{ window.painted = new Promise((done) => {{
    const [img, stage] = [document.querySelector("{AFTER}"), document.querySelector("{STAGE}")];
    let from = 0;
    setTimeout(() => done(null), 30000);
    const start = () => (from ||= performance.now());
    const kinds = ["pointerup", "click", "keydown", "change"];
    for (const kind of kinds) document.addEventListener(kind, start, {{ capture: true, once: true }});
    const drawn = (then) => img.decode().catch(() => {{}}).then(() => requestAnimationFrame(() => setTimeout(() =>
        then(performance.now() - from))));
    const wait = (first, draft) => stage.classList.contains("draft") ? setTimeout(wait, 3, first, true)
        : draft ? drawn((last) => done([first, last])) : done([first, first]);
    new MutationObserver((_, watch) => img.getAttribute("src") && (watch.disconnect(), drawn(wait)))
        .observe(img, {{ attributeFilter: ["src"] }});
}}); }}"""


def rows() -> list[dict[str, object]]:
    """One row per control and state: group, name, value, unit, note; none without Chromium and playwright."""
    sys.path.insert(0, str(ROOT / "tests" / "browser"))
    import real_jupyter as jupyter

    if reason := jupyter.missing():
        print(f"left out: {reason}", flush=True)
        return []
    from playwright.sync_api import sync_playwright

    command = [sys.executable, str(ROOT / "scripts" / "studio.py"), "--no-browser"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    result = []
    try:
        address = server.stdout.readline().split()[-1]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=jupyter.browser_path(), args=jupyter.FLAGS)
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(address, timeout=1000 * jupyter.PATIENCE)
            page.wait_for_function(TILES, timeout=1000 * jupyter.PATIENCE)
            page.get_by_role("button", name="Fine control").click()
            for state, number in (("idle", 0), ("busy", os.cpu_count() or 1)):
                with loops(number):
                    for name, act in controls(page).items():
                        repeats = FEW if name in SLOW else REPEATS
                        times = [measured(page, act, k) for k in range(repeats + WARM_UP)][WARM_UP:]
                        if None in times:
                            raise RuntimeError(f"{name}: no other picture within 30 s")
                        first, last = zip(*times, strict=True)
                        later = f"; the network's {statistics.median(last):.0f} ms, longest {max(last):.0f}" if first != last else ""
                        result.append({"group": "studio in the browser", "name": f"{name}, {state}",
                                       "value": statistics.median(first), "unit": "ms",
                                       "note": f"median of {repeats}, longest {max(first):.0f} ms{later}"})
            browser.close()
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(60)
    return result


def measured(page, act: Callable[[int], None], k: int) -> list[float] | None:
    """Milliseconds until the first picture and the last one are painted; None where it stays as it was, as in the warm-up."""
    page.evaluate(WATCH)
    act(k)
    return page.evaluate("window.painted")


def controls(page) -> dict[str, Callable[[int], None]]:
    """What a user does, in this order; each action leads to another picture every time."""
    def click(k: int) -> None:
        """The second hint or the third: those of the turns before are deleted first."""
        markers = page.locator(".colorlib-board .hint")
        while (count := markers.count()) > 2:
            markers.last.focus()
            page.keyboard.press("Delete")
            page.wait_for_function("n => document.querySelectorAll('.colorlib-board .hint').length < n", arg=count)
        page.wait_for_timeout(300)
        page.evaluate(WATCH)
        box = page.locator(STAGE).bounding_box()
        page.mouse.click(box["x"] + box["width"] * (0.2 + 0.03 * k), box["y"] + box["height"] * (0.5 + 0.02 * k))

    def slider(name: str):
        return page.locator(".widget-slider", has=page.get_by_text(name, exact=True)).get_by_role("slider")

    def slide(name: str, key: str) -> Callable[[int], None]:
        def act(k: int) -> None:
            slider(name).focus()
            page.keyboard.press(key or ("ArrowLeft" if k % 2 else "ArrowRight"))
        return act

    def settle(act: Callable[[int], None]) -> None:
        """Do it and wait until the studio rests; then the clock is set anew."""
        act(0)
        page.wait_for_timeout(500)
        page.wait_for_function(RESTS)
        page.evaluate(WATCH)

    def size(k: int) -> None:
        """From the largest down."""
        if k == 0:
            settle(slide("Network's size", "End"))
        slide("Network's size", "ArrowLeft")(k)

    def boldness(k: int) -> None:
        """The first step, for which the other network has to run: each time at another size."""
        settle(slide("Boldness", "End"))
        settle(slide("Network's size", "ArrowLeft" if k else "End"))
        slide("Boldness", "ArrowLeft")(k)

    def map_of_uncertainty(k: int) -> None:
        page.get_by_role("button", name="Where is it unsure?").click()

    def colouring(k: int) -> None:
        """Those from 7 on, which are not shown small."""
        if k == 0:
            settle(lambda _: page.get_by_role("button", name="Back to the defaults").click())
            settle(slide("Colouring", "Home"))
            for _ in range(6):
                settle(slide("Colouring", "ArrowRight"))
        slide("Colouring", "ArrowRight")(k)

    def undo(k: int) -> None:
        page.get_by_role("button", name="Undo", exact=True).click()

    def tile(k: int) -> None:
        page.locator(".colorlib-board .tile").nth(1 + k % 6).click()

    def swatch(k: int) -> None:
        page.locator(".popover .swatch").nth(k % 5).click()

    def photograph(k: int) -> None:
        """The last of them is the one that the page opened with."""
        if k == 0:
            settle(lambda _: page.get_by_role("button", name="Back to the defaults").click())
        settle(lambda _: page.wait_for_function(TILES))
        at = list(SAMPLES).index("china") + k + 1 - FEW - WARM_UP
        page.get_by_label("Sample", exact=True).select_option(list(SAMPLES)[at % len(SAMPLES)])

    return {"a slider": slide("Colour strength", ""), "another colouring": tile, "a new hint": click,
            "a colour of the popover": swatch, "undo": undo, "sharpness of edges": slide("Sharp edges", ""),
            "the network's size": size, "boldness": boldness, "a colouring without a small picture": colouring,
            "the map of uncertainty": map_of_uncertainty, "another photograph": photograph}


if __name__ == "__main__":
    for line in rows():
        print(f"{line['name']:40}{line['value']:9.1f} {line['unit']:3} {line['note']}")
