"""The fixtures of the browser tests: `lab` (a server), `browser`, `notebook` (write cells, open them, run them all)."""

import os
from collections.abc import Callable
from pathlib import Path

import nbformat
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
def page(browser):
    """An empty page with a profile of its own; 20 seconds for whatever a test waits for."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, has_touch=True)
    context.set_default_timeout(20_000)
    yield context.new_page()
    context.close()


@pytest.fixture
def notebook(lab, page, request) -> Callable[..., jupyter.Notebook]:
    """notebook("code", "code", ..., width=1280): a notebook of these cells, opened and run, in a folder of its own.

    Any error of the kernel, of a callback or of the page that the test did not `problems.expect` fails it.
    """
    opened = jupyter.Notebook(page, jupyter.Problems())
    opened.problems.watch(page)

    def open_and_run(*cells: str, width: int = 1280) -> jupyter.Notebook:
        folder = lab.folder / "work" / request.node.name.replace("[", "-").rstrip("]")
        folder.mkdir()
        kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
        written = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(code) for code in cells], metadata={"kernelspec": kernel}
        )
        nbformat.write(written, folder / "test.ipynb")
        page.set_viewport_size({"width": width, "height": 900})
        opened.open(lab, f"{folder.name}/test.ipynb")
        opened.run_all()
        return opened

    yield open_and_run
    opened.close()
    if opened.problems:
        pytest.fail("unexpected in the browser:\n" + "\n".join(opened.problems))
