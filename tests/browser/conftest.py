"""The fixtures of the browser tests: `lab` (a server) and `browser`."""

import contextlib
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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Of a test that fails, what its pages show: build/browser/NAME-0.png and so on, named at the end of its report."""
    report = yield
    browser = getattr(item, "funcargs", {}).get("browser")
    if report.failed and browser is not None:
        folder = jupyter.ROOT / "build" / "browser"
        folder.mkdir(parents=True, exist_ok=True)
        pages = [page for context in browser.contexts for page in context.pages]
        for number, page in enumerate(pages):
            file = folder / f"{item.name}-{number}.png"
            with contextlib.suppress(Exception):  # a page that does not answer
                page.screenshot(path=file, timeout=10_000)
                report.sections.append(("page", f"{page.url}: {file}"))
    return report


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
