"""The studio as a page, for people who do not want to see code: `make studio`.

    .venv/bin/python scripts/studio.py [--port 8866] [--no-browser]

Voila shows one cell, `Studio()`. The server listens to this machine alone and asks for the token that is in the address;
the page loads nothing from elsewhere. An upload goes through memory into the kernel of its page, which ends when the
page is closed; nothing of it is written to the disk. Ctrl-C ends the server.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
import webbrowser
from pathlib import Path

import nbformat

HERE = "127.0.0.1"
UPLOAD_BYTES = 50_000_000
# Paths start at the home folder: the folder of the page is deleted with the page.
CELL = f"""import os
from colorlib.studio import Studio

os.chdir(os.path.expanduser("~"))
Studio(max_bytes={UPLOAD_BYTES})"""
EXTENSIONS = ["@jupyter-widgets/jupyterlab-manager", "anywidget"]  # the others that are installed stay out
EXTENSIONS += ["@voila-dashboards/widgets-manager7", "@voila-dashboards/widgets-manager8"]
# The browser itself keeps the page from talking to any other machine; widgets make pictures and modules out of blobs.
POLICY = (
    "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; "
    "connect-src 'self' data: blob:; form-action 'self'; frame-ancestors 'none'"
)


def stop(sentence: str) -> None:
    print(sentence, file=sys.stderr)
    sys.exit(1)


def free_port(wanted: int | None) -> int:
    """The wanted port, or a free one: below those that systems give to programs, so that it stays free until used."""
    for port in [wanted] if wanted else random.sample(range(20_000, 32_000), 100):
        with socket.socket() as listener:
            if os.name == "posix":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server will
            try:
                listener.bind((HERE, port))
                return port
            except (OSError, OverflowError) as error:
                problem = error
    stop(f"Port {port} cannot be used ({problem}): leave --port out to take a free one.")


def write_page(folder: Path) -> Path:
    """The notebook, in a folder that holds nothing else (Voila serves files from there), its kernel and its template."""
    kernel = {"display_name": "colorlib", "language": "python"}
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(CELL)],
        metadata={"kernelspec": {"name": "studio", **kernel}, "title": "colorlib studio"},
    )
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=40"]
    kernels = folder / "jupyter" / "kernels" / "studio"
    kernels.mkdir(parents=True)
    (kernels / "kernel.json").write_text(json.dumps({"argv": [*command, "--HistoryManager.enabled=False"], **kernel}))
    template = folder / "jupyter" / "voila" / "templates" / "studio"
    template.mkdir(parents=True)
    (template / "conf.json").write_text('{"base_template": "lab"}')
    shutil.copy(Path(__file__).with_name("studio.html.j2"), template / "index.html.j2")
    page = folder / "page" / "studio.ipynb"
    page.parent.mkdir()
    nbformat.write(notebook, page)
    return page


def only_this(folder: Path) -> None:
    """Jupyter and IPython on folders of their own: no kernel, setting or start-up file of the user, no history."""
    for name in ("CONFIG", "DATA", "RUNTIME"):
        os.environ[f"JUPYTER_{name}_DIR"] = str(folder / name.lower())
    os.environ["JUPYTER_PATH"] = str(folder / "jupyter")
    os.environ["IPYTHONDIR"] = str(folder / "ipython")


def settings(sockets: str, port: int, token: str):
    from traitlets.config import Config

    config = Config()
    config.Voila.update(
        ip=HERE, port=port, port_retries=0, token=token, open_browser=False, config_file_paths=[], log_level="ERROR",
        connection_dir_root=sockets,
        tornado_settings={
            "allow_remote_access": False,  # a name of another machine that leads here (DNS rebinding) is refused
            "ws_ping_interval": 0,  # a crowded machine may be silent for longer than a ping waits, and the page be lost
            "disable_check_xsrf": True,  # otherwise Voila's page cannot end its kernel; the cookie below protects instead
            "headers": {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"},
        },
    )  # fmt: skip
    config.VoilaConfiguration.update(
        template="studio", strip_sources=True, allow_template_override="NO", allow_theme_override="NO",
        file_allowlist=[], preheat_kernel=True,
        extension_allowlist=EXTENSIONS,
    )  # fmt: skip
    # A kernel's ports are chosen before it takes them: if another program takes one in between, the kernel ends and its
    # page never loads. Nobody else takes a socket in a folder that only this user may open.
    config.KernelManager.transport = "ipc" if os.name == "posix" else "tcp"
    config.IdentityProvider.cookie_options = {"SameSite": "Strict"}
    # a closed page ends its kernel; this ends that of a browser that was killed
    config.MappingKernelManager.update(cull_idle_timeout=120, cull_interval=30, cull_connected=False)
    return config


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, help="default: any that is free")
    parser.add_argument("--no-browser", action="store_true", help="print the address and open nothing")
    arguments = parser.parse_args()
    port, token = free_port(arguments.port), secrets.token_urlsafe(24)
    address = f"http://{HERE}:{port}/?token={token}"
    try:
        from tornado.ioloop import IOLoop
        from voila.app import Voila
    except ImportError:
        stop("The page needs Voila, which is not installed here: make studio installs it, or pip install voila.")

    def listening() -> None:
        # the first page's kernel is starting already; none is kept in memory for a reload
        server.kernel_manager.kernel_pools_config = {"default": {"pool_size": 0}}
        print(f"The studio: {address}\nCtrl-C ends it.", flush=True)
        if not arguments.no_browser:
            threading.Thread(target=webbrowser.open, args=[address], daemon=True).start()

    short = "/tmp" if os.name == "posix" else None  # a socket's path may have 103 characters: TMPDIR can be too long
    with (
        tempfile.TemporaryDirectory(prefix="colorlib-studio-", ignore_cleanup_errors=True) as name,
        tempfile.TemporaryDirectory(prefix="colorlib-", dir=short, ignore_cleanup_errors=True) as sockets,
    ):
        folder = Path(name)
        only_this(folder)
        page = write_page(folder)
        server = Voila(config=settings(sockets, port, token))
        server.initialize([str(page)])
        loop = IOLoop.current()
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # Ctrl-C, kill, the terminal was closed
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), lambda *_: loop.add_callback(loop.stop))
        loop.add_callback(listening)
        server.start()


if __name__ == "__main__":
    main()
