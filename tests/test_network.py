"""No network: every module is imported and a photograph is coloured where no connection can be made."""

import os
import re
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
CODE += """
import colorlib
names = [module.name for module in pkgutil.walk_packages(colorlib.__path__, "colorlib.")]
for name in names:
    importlib.import_module(name)
print(len(names), "modules", flush=True)
from colorlib.colorizer import Colorizer
from colorlib.photos import sample_photograph, source
before = sample_photograph("china").rgb
after = Colorizer.load(device="cpu").colorize(before)
assert after.shape == before.shape and not (after == before).all()
assert source("samples").train
print("coloured", flush=True)
source("imagenette")  # what does ask the network, when it is asked to: the trap works
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The code in an environment that has no cache to fall back on."""
    folder = str(tmp_path_factory.mktemp("empty"))
    return subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=300, check=False, cwd=folder,
                          env={**os.environ, "HF_HOME": folder, "TORCH_HOME": folder, "XDG_CACHE_HOME": folder,
                               "COLORLIB_PHOTOS": ""})


def test_importing_every_module_asks_no_network(done):
    number, = re.findall(r"^(\d+) modules$", done.stdout, re.MULTILINE) or [done.stderr]
    assert int(number) > 50


def test_colouring_a_photograph_asks_no_network(done):
    assert done.stdout.splitlines()[-1] == "coloured", done.stderr


def test_the_trap_catches_what_does(done):
    from colorlib.runtime import checkout

    if (checkout() / "data" / "downloads" / "imagenette").is_dir():
        pytest.skip("this checkout has the data set already")
    assert done.returncode == 1 and "a connection was asked for" in done.stderr
