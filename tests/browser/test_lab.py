"""What `make lab` opens: notebook 00, and nothing over it."""

import re
import shutil
import subprocess

import pytest

from . import real_jupyter as jupyter


@pytest.fixture
def lab_of_make(tmp_path, monkeypatch):
    """JupyterLab as the Makefile calls it, on a copy of the notebooks."""
    if not shutil.which("make"):
        pytest.skip("no make here")
    plan = subprocess.run(["make", "-n", "lab"], cwd=jupyter.ROOT, capture_output=True, text=True, check=True).stdout
    config, options = re.search(r"^JUPYTER_CONFIG_PATH=(\S+) .*/jupyter lab notebooks(.*)$", plan, re.MULTILINE).groups()
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(jupyter.ROOT / config))
    shutil.copytree(jupyter.ROOT / "notebooks", tmp_path / "notebooks")
    command = ["jupyterlab", "notebooks", *options.split(), "--IdentityProvider.token="]
    server = jupyter.Server(command, tmp_path, alive="/api/status")
    yield server
    server.stop()


def test_notebook_00_is_open_and_nothing_pops_up(lab_of_make, browser):
    page = browser.new_page()
    page.goto(lab_of_make.url)
    page.wait_for_url(re.compile("/lab/tree/00_start_here.ipynb"), timeout=1000 * jupyter.PATIENCE)
    # JupyterLab asks its question before the kernel is ready
    page.locator("#jp-main-statusbar").get_by_text("Idle").wait_for(timeout=1000 * jupyter.PATIENCE)
    assert page.locator(".Toastify__toast, .jp-Dialog").all_inner_texts() == []
    page.close()
