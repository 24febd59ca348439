"""A real JupyterLab and a real browser for the tests of this folder: server, notebooks, problems."""

from __future__ import annotations

import ast
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
PATIENCE = 300.0  # seconds for a server or a kernel to start on crowded cores; a test that passes never waits so long
SOON = 60.0  # seconds for an answer of one that runs
LOCAL = ["--ip=127.0.0.1", *(["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else [])]
ERROR = re.compile(rb'"msg_type": ?"error"')

# Console messages of JupyterLab's own page at any start.
NOISE = re.compile("favicon")

OPEN = """async (path) => {
    const app = window.jupyterapp;
    const panel = await app.commands.execute("docmanager:open", { path, factory: "Notebook" });
    await panel.context.ready;
    await panel.sessionContext.ready;
    window.panel = panel;
}"""

RUN = """async (code) => {
    const kernel = window.panel.sessionContext.session.kernel;
    const reply = await kernel.requestExecute({ code, store_history: false }).done;
    return reply.content.status === "ok" ? "" : `${reply.content.ename}: ${reply.content.evalue}`;
}"""

ASK = """async (code) => {
    const kernel = window.panel.sessionContext.session.kernel;
    const content = { code: "", silent: true, store_history: false, user_expressions: { answer: code } };
    return (await kernel.requestExecute(content).done).content.user_expressions.answer;
}"""


def missing() -> str:
    """One sentence on what to install, or "" where the tests can run."""
    try:
        import playwright  # noqa: F401
    except ImportError:
        return "the browser tests need Python's playwright: pip install playwright"
    if browser_path() is None:
        return (
            "the browser tests need Chromium or Chrome on the PATH: apt-get install chromium, or your system's own way"
        )
    return ""


def browser_path() -> str | None:
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def free_port() -> int:
    """One that no other program is given by chance before the server takes it: systems give those above 32,000."""
    while True:
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", random.randrange(20_000, 32_000)))
            return listener.getsockname()[1]


class Server:
    """A server process (JupyterLab, the classic notebook) on this machine, with its own folders; its log is in
    `folder`/server.log. `python` runs it; `variables` are of its environment."""

    def __init__(self, command: list[str], folder: Path, *, alive: str, python: str | Path = sys.executable,
                 **variables: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "server.log"
        # Kernels are reached by sockets, not by ports, which others may take before the kernel does. The path of a
        # socket may have 107 characters.
        self.sockets = tempfile.mkdtemp(prefix="lab-", dir="/tmp")
        own = {f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in ("CONFIG", "DATA")}
        own["JUPYTER_RUNTIME_DIR"] = self.sockets
        environment = os.environ | own | {
            "JUPYTER_PREFER_ENV_PATH": "1",
            "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
            "IPYTHONDIR": str(folder / "ipython"),
            "PYTHONPATH": str(ROOT),  # kernels import the tree that is tested
        } | variables
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [python, "-m", *command, "--no-browser", f"--port={self.port}", "--KernelManager.transport=ipc"],
                cwd=folder, env=environment, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            self._wait(self.url + alive)
        except BaseException:
            self.stop()
            raise

    def _wait(self, url: str) -> None:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                urllib.request.urlopen(url, timeout=5).close()
                return
            except (urllib.error.URLError, OSError) as error:
                if self.process.poll() is None and time.monotonic() < end:
                    time.sleep(0.1)
                    continue
                tail = self.log.read_text(errors="replace")[-3000:]
                raise RuntimeError(f"{url} does not answer ({error}); the end of the server's log:\n{tail}") from error

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.sockets, ignore_errors=True)


def lab_server(folder: Path) -> Server:
    """JupyterLab on `folder`/work, open to this machine alone, without a token; without news and updates."""
    (folder / "work").mkdir()
    quiet = folder / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    quiet.parent.mkdir(parents=True)
    quiet.write_text(json.dumps({"fetchNews": "false", "checkForUpdates": False}))
    command = ["jupyterlab", *LOCAL, "--ServerApp.port_retries=0", "--IdentityProvider.token="]
    command += ["--LabApp.expose_app_in_browser=True"]
    command += [f"--ServerApp.root_dir={folder / 'work'}"]
    command += ["--ServerApp.tornado_settings={'ws_ping_interval': 0}"]  # crowded cores may be silent for longer
    return Server(command, folder, alive="/api/status")


class Problems(list):
    """What went wrong in a page: errors of the kernel (callbacks too), uncaught ones of scripts, the console's."""

    def watch(self, page) -> None:
        self.page = page
        page.on("websocket", lambda socket: socket.on("framereceived", self._frame))
        page.on("pageerror", lambda error: self.append(f"page error: {error}"))
        page.on("console", self._console)

    def _frame(self, frame: str | bytes) -> None:
        data = frame.encode() if isinstance(frame, str) else frame
        if ERROR.search(data):
            text = data.decode(errors="replace")
            found = re.search(r'"ename": ?"([^"]*)", ?"evalue": ?"((?:[^"\\]|\\.)*)"', text)
            self.append(f"kernel error: {found[1]}: {found[2]}" if found else f"kernel error: {text[:2000]}")

    def _console(self, message) -> None:
        if message.type == "error" and not NOISE.search(message.text + message.location.get("url", "")):
            self.append(f"console error: {message.text} ({message.location.get('url', '')})")

    def check(self) -> None:
        """Fail where something is left, and forget it."""
        found = "\n".join(self)
        self.clear()
        assert not found, f"unexpected in the browser:\n{found}"

    def expect(self, part: str, timeout: float = SOON) -> str:
        """Wait for a problem that contains `part`, and take it out of the list."""

        def found() -> str | None:
            return next((self.pop(i) for i, text in enumerate(self) if part in text), None)

        return wait_for(self.page, found, timeout)


def wait_for(page, found: Callable[[], object], timeout: float = SOON):
    """Call `found` until what it returns is true, and return that."""
    end = time.monotonic() + timeout
    while not (value := found()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout:g} seconds; the last value was {value!r}")
        page.wait_for_timeout(30)  # not time.sleep: the page's messages arrive meanwhile
    return value


class Notebook:
    """A notebook that is open in JupyterLab and has run.

    Attributes:
        page: the browser's page (playwright); `page.locator(...)` finds what the cells show.
        problems: what went wrong until now; the fixture fails the test if one is left at its end.
    """

    def __init__(self, page, problems: Problems):
        self.page, self.problems = page, problems

    def open(self, server: Server, path: str) -> None:
        """Open the notebook at this path below the server's folder."""
        self.page.goto(f"{server.url}/doc?reset")
        self.page.wait_for_function("window.jupyterapp?.commands.hasCommand('notebook:run-all-cells')")
        self.page.evaluate("window.jupyterapp.started")
        self.page.evaluate(OPEN, path)

    def run_all(self) -> None:
        self.page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
        self.wait_until_idle()

    def close(self) -> None:
        """Stop its kernel, so that it does not stay in memory."""
        self.page.evaluate("window.panel?.sessionContext.shutdown()")

    def wait_until_idle(self, timeout: float = PATIENCE) -> None:
        bar = "document.querySelector('#jp-main-statusbar')?.textContent.includes('| Idle')"
        self.page.wait_for_function(bar, timeout=1000 * timeout, polling=100)  # not at every frame: it takes long

    def ask(self, expression: str):
        """The value of a Python expression in the kernel, by way of JSON."""
        answer = self.page.evaluate(ASK, f"__import__('json').dumps({expression})")
        if answer["status"] != "ok":
            raise AssertionError(f"{expression}: {answer['ename']}: {answer['evalue']}")
        return json.loads(ast.literal_eval(answer["data"]["text/plain"]))

    def run(self, code: str) -> None:
        """Run Python in the kernel, outside of the cells."""
        if error := self.page.evaluate(RUN, code):
            raise AssertionError(f"{code}: {error}")

    def wait_for(self, expression: str, timeout: float = SOON):
        """The same, as soon as it is true: callbacks run after the cells, and what it speaks of may not be there yet."""
        def found():
            try:
                return self.ask(expression)
            except AssertionError:
                return None

        return wait_for(self.page, found, timeout)


@contextmanager
def new_notebook(server: Server, browser, name: str) -> Iterator[Callable[..., Notebook]]:
    """Gives open_and_run(*cells, width=1280): writes a notebook into a fresh folder, opens it in a fresh page, runs all."""
    context = browser.new_context(has_touch=True)
    context.set_default_timeout(1000 * SOON)
    notebook = Notebook(context.new_page(), Problems())
    notebook.problems.watch(notebook.page)

    def open_and_run(*cells: str, width: int = 1280) -> Notebook:
        folder = server.folder / "work" / re.sub(r"\W+", "-", name)
        folder.mkdir()
        written = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in cells])
        written.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
        nbformat.write(written, folder / "test.ipynb")
        notebook.page.set_viewport_size({"width": width, "height": 900})
        notebook.open(server, f"{folder.name}/test.ipynb")
        notebook.run_all()
        return notebook

    try:
        yield open_and_run
    finally:
        notebook.close()
        context.close()
