"""The fixtures of the browser tests: `lab` (a server), `browser`, `notebook` (write cells, open them, run them all)."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from . import real_jupyter as jupyter

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    """Without a browser: skip; fail where COLORLIB_BROWSER_TESTS=required says that there is to be one."""
    reason = jupyter.missing()
    if reason and os.environ.get("COLORLIB_BROWSER_TESTS") != "required":
        for item in items:
            if HERE in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """A JupyterLab server; notebooks lie in `lab.folder / "work"`."""
    server = jupyter.lab_server(tmp_path_factory.mktemp("lab"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def browser():
    if reason := jupyter.missing():
        pytest.fail(reason, pytrace=False)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=jupyter.browser_path(), args=jupyter.FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def notebook(lab, browser, request) -> Iterator[Callable[..., jupyter.Notebook]]:
    """notebook("code", "code", ..., width=1280): a notebook of these cells, opened and run, in a page of its own.

    Any error of the kernel, of a callback or of the page that the test did not `problems.expect` fails it.
    """
    opened = []

    def open_and_run(*cells: str, width: int = 1280) -> jupyter.Notebook:
        opened.append(new(*cells, width=width))
        return opened[0]

    with jupyter.new_notebook(lab, browser, request.node.nodeid) as new:
        yield open_and_run
    if opened:
        opened[0].problems.check()
