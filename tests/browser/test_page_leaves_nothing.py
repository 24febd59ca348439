"""The page of `make studio` after long use: no kernel of a closed page, no memory and no picture of a moved slider.

`pytest -m slow` opens ten pages and moves the slider 200 times; `make test` does less of it, in test_studio_page.
"""

import pytest

from . import real_jupyter as jupyter
from .test_studio_page import AFTER, COUNTED, Page, kernel_of, moving_leaves_memory, process_of, wait_until_ended

pytestmark = pytest.mark.slow


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


def test_moving_a_slider_leaves_memory_as_it_was(server, browser):
    moving_leaves_memory(opened(server, browser), server, 200)


def test_closed_pages_leave_no_kernel(server, browser):
    ended = []
    for _ in range(10):
        page = opened(server, browser)
        ended.append(kernel_of(page))
        assert process_of(server, ended[-1])
        page.close(run_before_unload=True)  # its browser stays, to send what a closed page sends
    wait_until_ended(server, ended)
    assert len(set(ended)) == 10 and server.process.poll() is None
