"""The page of `make studio` after long use: no kernel of a closed page, no memory and no picture of a moved slider.

`make test` runs it short; `pytest -m slow` opens ten pages and moves the slider 200 times.
"""

import contextlib
import json
import time

import psutil
import pytest

from . import real_jupyter as jupyter
from .test_studio_page import AFTER, Page, kernels

COUNTED = """window.alive = 0;
    for (const [name, change] of [["createObjectURL", 1], ["revokeObjectURL", -1]]) {
        const real = URL[name].bind(URL);
        URL[name] = (what) => ((window.alive += change), real(what));
    }"""
MEGABYTES = 2**20


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Page(tmp_path_factory.mktemp("page"))
    yield server
    server.stop()


def opened(server, browser):
    """A page with its picture, in a browser of its own (cookies)."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(1000 * jupyter.PATIENCE)
    page = context.new_page()
    page.add_init_script(COUNTED)
    page.goto(server.address)
    page.wait_for_function(f"document.querySelector('{AFTER}')?.naturalWidth > 0")
    return page


def kernel_of(page):
    return json.loads(page.locator("#jupyter-config-data").text_content())["kernelId"]


def process_of(server, kernel):
    for process in kernels(server):
        with contextlib.suppress(psutil.Error):  # it ends just now
            if kernel in " ".join(process.cmdline()):
                return process
    return None


def wait_until_ended(server, ended):
    """The kernels of pages that were closed: neither their processes run, nor are their connection files there. (The
    server may have one kernel more: it starts the first page's before the page is opened.)"""
    end = time.monotonic() + jupyter.PATIENCE  # culling would take longer: this is what closing does
    while left := [kernel for kernel in ended if process_of(server, kernel)
                   or f"kernel-{kernel}.json" in [path.name for path in server.files()]]:
        assert time.monotonic() < end, f"kernels of closed pages run: {left}"
        time.sleep(0.1)


@pytest.mark.parametrize("number", [30, pytest.param(200, marks=pytest.mark.slow)])
def test_moving_a_slider_leaves_memory_as_it_was(server, browser, number):
    """Of the kernel, and of the browser: its heap, and the pictures that it holds as blobs."""
    page = opened(server, browser)
    kernel, devtools = kernel_of(page), page.context.new_cdp_session(page)
    page.locator(".widget-slider", has=page.get_by_text("Colour strength", exact=True)).get_by_role("slider").focus()
    process = process_of(server, kernel)

    def move(times):
        for k in range(times):
            before = page.locator(AFTER).first.get_attribute("src")
            page.keyboard.press(("ArrowRight", "ArrowLeft", "ArrowLeft", "ArrowRight")[k % 4])
            page.wait_for_function(f"old => document.querySelector('{AFTER}').src !== old", arg=before)

    def measured():
        devtools.send("HeapProfiler.collectGarbage")
        heap = devtools.send("Runtime.getHeapUsage")["usedSize"]
        return page.evaluate("window.alive"), heap / MEGABYTES, process.memory_info().rss / MEGABYTES

    move(10)  # what is cached once
    pictures, heap, memory = measured()
    move(number)
    after = measured()
    print(f"{number} moves: pictures {pictures} to {after[0]}, heap {heap:.1f} to {after[1]:.1f} MB, "
          f"kernel {memory:.0f} to {after[2]:.0f} MB")
    assert after[0] <= pictures + 2
    assert after[1] < heap + 5 + 0.02 * number
    assert after[2] < memory + 20 + 0.1 * number  # of 1.3 MB that a preview has
    page.close(run_before_unload=True)
    wait_until_ended(server, [kernel])


@pytest.mark.parametrize("number", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_closed_pages_leave_no_kernel(server, browser, number):
    ended = []
    for _ in range(number):
        page = opened(server, browser)
        ended.append(kernel_of(page))
        assert process_of(server, ended[-1])
        page.close(run_before_unload=True)  # its browser stays, to send what a closed page sends
    wait_until_ended(server, ended)
    assert len(set(ended)) == number and server.process.poll() is None
