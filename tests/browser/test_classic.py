"""The studio in the classic notebook (6.5.7 with ipywidgets 7.7.1): the front end of that version, in a browser."""

import json
import re
import sys

import nbformat
import numpy as np
import pytest
import widgets7

from . import real_jupyter as jupyter

CELL = 'import ipywidgets\nfrom colorlib.studio import Studio\nstudio = Studio("coffee")\nstudio'
AFTER, STAGE = ".colorlib-board img.after", ".colorlib-board .stage"
ASK = """code => new Promise((resolve, reject) => Jupyter.notebook.kernel.execute("", {
    shell: { reply: message => resolve(message.content.user_expressions.answer) },
}, { user_expressions: { answer: code }, silent: true }))"""


@pytest.fixture
def address(tmp_path):
    """A server of its own, whose kernels are those of this environment, with ipywidgets 7.7.1 in front."""
    python = widgets7.available(widgets7.classic_python)
    environment = widgets7.environment(widgets7.available(widgets7.kernel_folder))
    kernel = {"display_name": "seven", "language": "python",
              "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
              "env": {"PYTHONPATH": environment["PYTHONPATH"]}}  # fmt: skip
    (tmp_path / "jupyter" / "kernels" / "seven").mkdir(parents=True)
    (tmp_path / "jupyter" / "kernels" / "seven" / "kernel.json").write_text(json.dumps(kernel))
    (tmp_path / "work").mkdir()
    written = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)],
                                       metadata={"kernelspec": {"name": "seven", "display_name": "seven"}})  # fmt: skip
    nbformat.write(written, tmp_path / "work" / "test.ipynb")
    command = ["notebook", *jupyter.LOCAL, "--port-retries=0", "--NotebookApp.token="]
    command += [f"--notebook-dir={tmp_path / 'work'}"]
    server = jupyter.Server(command, tmp_path, alive="/api", python=python, PYTHONPATH="",
                            JUPYTER_PATH=str(tmp_path / "jupyter"))
    yield f"{server.url}/notebooks/test.ipynb"
    server.stop()


def test_a_slider_and_a_click_on_the_board(address, browser):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(1000 * jupyter.SOON)
    problems = jupyter.Problems()
    problems.watch(page)
    patience = 1000 * jupyter.PATIENCE
    # a fresh kernel has no widgets to take over; the front end logs it, and what runs before that may be lost
    with page.expect_console_message(lambda message: "jupyter.widget.control" in message.text, timeout=patience):
        page.goto(address)
    page.evaluate("Jupyter.notebook.execute_all_cells()")
    page.wait_for_function(f"document.querySelector('{AFTER}')?.naturalWidth > 0", timeout=patience, polling=100)

    def ask(expression: str):
        answer = page.evaluate(ASK, expression)
        assert answer["status"] == "ok", answer
        return eval(answer["data"]["text/plain"])

    def other(act):
        before = page.locator(AFTER).get_attribute("src")
        act()
        page.wait_for_function(f"old => document.querySelector('{AFTER}').src !== old", arg=before)

    assert ask("ipywidgets.__version__") == widgets7.VERSION
    assert page.evaluate("Jupyter.notebook.kernel_selector?.current_selection") == "seven"

    saturation = page.locator(".widget-slider", has=page.get_by_text("Colour strength", exact=True))
    saturation.locator(".ui-slider-handle").focus()
    other(lambda: page.keyboard.press("ArrowRight"))
    assert ask("studio.settings.saturation") == pytest.approx(1.05)

    stage = page.locator(STAGE)
    stage.scroll_into_view_if_needed()
    box, shape = stage.bounding_box(), ask("(studio.parts.board.width, studio.parts.board.height)")
    other(lambda: page.mouse.click(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2))
    (hint,) = ask("[list(hint) for hint in studio.settings.hints]")
    assert np.allclose(hint[:2], (shape[0] / 4, shape[1] / 2), atol=3)
    page.locator(".colorlib-board .hint").wait_for()
    unexpected = [problem for problem in problems if not re.search("favicon|mathjax|MathJax", problem)]
    assert unexpected == []
