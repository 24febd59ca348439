"""Make .venv, once: python scripts/setup_env.py [--extras notebooks,tests] [--wheelhouse], TORCH=cpu for small PyTorch.

uv installs where it is there or can be had, else pip. Python 2.7 can read this file too, to print its one sentence.
"""

from __future__ import print_function

import argparse
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys

EXTRAS = ("notebooks", "site", "studio", "tests", "bench", "heic", "train")
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV, WHEELS, PINS = (os.path.join(ROOT, name) for name in (".venv", "wheelhouse", "constraints.txt"))
BIN = "Scripts/python.exe" if os.name == "nt" else "bin/python"
PYTHON, CONFIG, STAMP = (os.path.join(VENV, name) for name in (BIN, "pyvenv.cfg", "colorlib-setup.json"))
PART = os.path.join(VENV, "colorlib-setup.part")  # stands there while an installer is at work
OFFLINE = ["--no-index", "-f", WHEELS] if os.path.isdir(WHEELS) else []
SHOWN = r"(Resolved|Prepared|Installed) \d|Downloading .*(\d{3}(\.\d+)? ?M|G)i?B|Installing collected"
WHY = (  # a pattern in the command and the text of an installer that failed, and the sentence for it
    (r"no space left|disk quota|errno 28|not enough space", "The disk is full: make room and call again."),
    (r"--no-index", "wheelhouse/ lacks something: make it anew on the same system and Python (make wheelhouse)."),
    (r"-m (ensurepip|venv)", "This Python cannot make environments: on Debian and Ubuntu, apt install python3-venv."),
    (r"dns error|resolve host|name resolution|name or service|nodename nor|getaddrinfo|timed? ?out|NewConnection|"
     r"connection (refused|reset|aborted)|error sending request|unreachable|max retries|tunnel error|ProxyError",
     "The network is down or the package index cannot be reached (TORCH=cpu asks PyTorch's own): call again later."),
    ("", "The packages could not be installed (not a matter of the network): the lines above say why."),
)  # fmt: skip


def run(command):
    """Run an installer and show what is worth reading; where it fails, end with the sentence that says why."""
    process, lines = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT), []
    for line in iter(process.stdout.readline, b""):
        lines.append(line.decode("utf-8", "replace").rstrip())
        if re.search(SHOWN, lines[-1]):
            print("  " + lines[-1].strip()[:100], flush=True)
    if process.wait():
        print("\n  | ".join(["The last lines of the installer:"] + lines[-8:]), flush=True)
        kind, why = next(pair for pair in WHY if re.search(pair[0], " ".join(command + lines), re.I))
        if process.returncode > 0 and "disk" not in kind and os.path.exists(PART):
            os.remove(PART)  # it ended by itself and left nothing half-written
        sys.exit(why)


def runs(command):
    """Whether a command is there and ends well: pyenv has shims that only complain."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return bool(shutil.which(command[0])) and subprocess.call(command, **quiet) == 0


def set_up(extras, torch):
    """Make .venv hold colorlib with these extras, doing no more than is missing."""
    have, kept = {}, os.path.exists(PYTHON) and os.path.exists(CONFIG) and not os.path.exists(PART)
    if kept and os.path.exists(STAMP):
        with open(STAMP) as file:
            have = json.load(file)
    if kept and os.environ.get("PYTHON"):
        with open(CONFIG) as file:
            kept = re.search(r"version\w* *= *(\d+\.\d+)", file.read()).group(1) == "%d.%d" % sys.version_info[:2]
    kept = kept and have.get("root", ROOT) == ROOT and torch in ("", have.get("torch", torch))
    if os.path.lexists(VENV) and not kept:
        print("Making .venv anew: it is unfinished or was moved, or has another Python or PyTorch.", flush=True)
        try:
            shutil.rmtree(VENV)
        except OSError as error:  # also where it is a link to another folder
            sys.exit(".venv cannot be removed (%s): close what uses it, or remove it yourself, and call again." % error)
        have = {}
    with open(PINS, "rb") as pins, open(os.path.join(ROOT, "pyproject.toml"), "rb") as project:
        digest = hashlib.sha256(project.read().split(b"\n[tool.")[0] + pins.read()).hexdigest()
    wanted = {"root": ROOT, "requirements": digest, "torch": torch or have.get("torch", "default")}
    wanted["extras"] = sorted(extras.union(have.get("extras", [])))
    if have == wanted:
        return
    small = wanted["torch"] == "cpu" or sys.platform != "linux"  # elsewhere the index serves the small build anyway
    needed = 1 if kept else 3 if small else 8  # 6.3 are used in the end (measured), 1.8 without CUDA (an estimate)
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < needed:
        sys.exit("The disk has %.1f GB free and the set-up needs %d: make room, or try TORCH=cpu." % (free, needed))
    print("Setting up .venv (3.3 GB to download, 0.4 with TORCH=cpu, less what is cached) ...", flush=True)
    os.makedirs(VENV, exist_ok=True)
    open(PART, "w").close()
    if not kept:
        run([getattr(sys, "_base_executable", "") or sys.executable, "-m", "venv", "--without-pip", VENV])
    install(",".join(wanted["extras"]), ["--torch-backend", "cpu"] if wanted["torch"] == "cpu" and not OFFLINE else [])
    with open(STAMP, "w") as file:
        json.dump(wanted, file)
    os.remove(PART)


def install(extras, backend):
    """Put colorlib, editable, and what it needs into .venv, by uv where that runs or can be had, else by pip."""
    uvs, pip = [["uv"], [sys.executable, "-m", "uv"], [PYTHON, "-m", "uv"]], [PYTHON, "-m", "pip", "install"]
    if not any(runs(uv + ["--version"]) for uv in uvs):
        run([PYTHON, "-m", "ensurepip"])
        (run if backend else runs)(pip + OFFLINE + ["uv"])  # only uv knows the backend
    uv = next((uv for uv in uvs if runs(uv + ["--version"])), None)
    command = uv + ["pip", "install", "--python", PYTHON] if uv else pip + ["--progress-bar", "off"]
    run(command + backend + OFFLINE + ["-c", PINS, "-e", "%s[%s]" % (ROOT, extras) if extras else ROOT])


def fill_wheelhouse(extras):
    """Download every wheel for this system and Python, for machines without network."""
    full, env = os.path.join(ROOT, "build", "wheelhouse"), os.path.join(ROOT, "build", "pip")
    run([sys.executable, "-m", "venv", env])
    pip = [os.path.join(env, BIN), "-m", "pip", "download", "--progress-bar", "off", "--only-binary", ":all:"]
    run(pip + ["-d", full, "-c", PINS, "hatchling", "editables", "uv", "%s[%s]" % (ROOT, ",".join(extras))])
    shutil.rmtree(WHEELS, ignore_errors=True)
    os.rename(full, WHEELS)  # half of a wheelhouse is never taken for one
    print("wheelhouse/ is full: copy the project with it, and set-up asks no network.")


def main():
    if not (3, 10) <= sys.version_info[:2] <= (3, 13):
        sys.exit("This is Python %d.%d; colorlib needs 3.10 to 3.13: install one, or start with one that is there "
                 "(make PYTHON=python3.12, or py -3.12 scripts/setup_env.py)." % sys.version_info[:2])  # fmt: skip
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C prints no traceback
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--extras", default="notebooks", help="with commas, of " + ", ".join(EXTRAS))
    parser.add_argument("--wheelhouse", action="store_true", help="fill wheelhouse/ instead, to install without network")
    options = parser.parse_args()
    extras, torch = set(filter(None, options.extras.split(","))), os.environ.get("TORCH", "")
    if not extras <= set(EXTRAS):
        sys.exit("--extras %s: choose from %s." % (options.extras, ", ".join(EXTRAS)))
    if torch not in ("", "cpu", "default") or (options.wheelhouse and torch == "cpu"):
        sys.exit("TORCH=%s: the choices are TORCH=cpu (the small build, not for a wheelhouse) and no TORCH." % torch)
    if options.wheelhouse:
        fill_wheelhouse(sorted(extras))
    else:
        set_up(extras, torch if sys.platform == "linux" else "")


if __name__ == "__main__":
    main()
