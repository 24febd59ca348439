"""The fixtures of the browser tests: `lab` (a server) and `browser`."""

import os
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
