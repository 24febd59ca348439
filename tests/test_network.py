"""No network: every module is imported and a photograph is coloured where no connection can be made."""

import subprocess
import sys

import pytest

CODE = """
import importlib, pkgutil, socket, sys

def closed(*args, **more):
    raise AssertionError(f"a connection was asked for: {args} {more}")

real = socket.socket
class Closed(real):
    connect = connect_ex = sendto = closed
socket.socket = Closed
socket.create_connection = socket.getaddrinfo = socket.gethostbyname = closed
"""
IMPORTS = CODE + """
import colorlib
names = [module.name for module in pkgutil.walk_packages(colorlib.__path__, "colorlib.")]
for name in names:
    importlib.import_module(name)
print(len(names))
"""
COLOURS = CODE + """
from colorlib.colorizer import Colorizer
from colorlib.photos import sample_photograph, source
before = sample_photograph("china").rgb
after = Colorizer.load(device="cpu").colorize(before)
assert after.shape == before.shape and not (after == before).all()
assert source("samples").train
print("coloured")
"""
TRIES = CODE + """
from colorlib.photos import source
source("imagenette")  # what does ask the network, when it is asked to: the trap works
"""


def run(code, tmp_path):
    """In an environment that has no cache to fall back on."""
    import os

    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False,
                          cwd=tmp_path, env={**os.environ, "HF_HOME": str(tmp_path), "TORCH_HOME": str(tmp_path),
                                             "XDG_CACHE_HOME": str(tmp_path), "COLORLIB_PHOTOS": ""})


def test_importing_every_module_asks_no_network(tmp_path):
    done = run(IMPORTS, tmp_path)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.splitlines()[-1]) > 50


def test_colouring_a_photograph_asks_no_network(tmp_path):
    done = run(COLOURS, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "coloured"


def test_the_trap_catches_what_does(tmp_path):
    from colorlib.runtime import checkout

    if (checkout() / "data" / "downloads" / "imagenette").is_dir():
        pytest.skip("this checkout has the data set already")
    done = run(TRIES, tmp_path)
    assert done.returncode == 1 and "a connection was asked for" in done.stderr
