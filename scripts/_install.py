"""The work of setup_env.py, under the interpreter that .venv is made from. Standard library alone.

.venv/colorlib-setup.json is written last and says what the environment holds; where it is right, there is
nothing to do. .venv/colorlib-setup.part stands while an installer runs: found at the start, the last one was
interrupted, and the environment is made afresh (what had been downloaded comes from the cache).
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "colorlib-setup.json"
UNFINISHED = VENV / "colorlib-setup.part"
WHEELHOUSE = ROOT / "wheelhouse"
BASE_PYTHON = (
    getattr(sys, "_base_executable", None) or sys.executable
)  # not .venv's own, where that is activated
EXTRAS = ("notebooks", "studio", "tests", "bench", "heic")

# GB to download and on disk of what constraints.txt pins for notebooks and tests. "cuda" and downloads are
# measured (November 2026); the 1.8 is "cuda" less the CUDA packages, with an earlier CPU wheel of torch.
SIZES = {"cuda": (3.3, 6.3), "cpu": (0.4, 1.8)}
FREE_GB = {"cuda": 8.0, "cpu": 3.0}

NETWORK = re.compile(
    r"dns error|resolve host|name resolution|name or service not known|nodename nor servname|getaddrinfo|"
    r"NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|connection (refused|reset|aborted)|"
    r"error sending request|network is unreachable|timed out|Max retries|tunnel error|ProxyError",
    re.IGNORECASE,
)
DISK_FULL = re.compile(r"no space left|disk quota|errno 28|not enough space", re.IGNORECASE)


class SetupError(Exception):
    """One sentence for the reader; the set-up ends with it and exit code 1."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Make .venv, once, from pyproject.toml under constraints.txt."
    )
    parser.add_argument("--extras", default="notebooks", help=f"comma-separated, of {', '.join(EXTRAS)}")
    parser.add_argument(
        "--wheelhouse", action="store_true", help="download every wheel into wheelhouse/ instead"
    )
    options = parser.parse_args(arguments)
    try:
        extras = _checked_extras(options.extras)
        torch = _checked_torch(os.environ.get("TORCH", ""))
        if options.wheelhouse:
            fill_wheelhouse(extras, torch)
        else:
            set_up(extras, torch)
    except SetupError as error:
        sys.stdout.flush()
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; the next call goes on from here.", file=sys.stderr)
        return 130
    return 0


def _checked_extras(text: str) -> set[str]:
    extras = set(filter(None, text.split(",")))
    if not extras <= set(EXTRAS):
        raise SetupError(f"--extras {text}: choose from {', '.join(EXTRAS)}.")
    return extras


def _checked_torch(chosen: str) -> str:
    """ "cpu" or "cuda". Off Linux the package index serves the small build anyway."""
    if chosen not in ("", "cpu", "default"):
        raise SetupError(
            f"TORCH={chosen}: the choices are TORCH=cpu (the small build without CUDA) and no TORCH at all."
        )
    return "cpu" if chosen == "cpu" or sys.platform != "linux" else "cuda"


def set_up(extras: set[str], torch: str) -> None:
    """Make .venv hold colorlib with these extras, doing no more than is missing."""
    wanted = {"python": platform.python_version(), "root": str(ROOT), "requirements": _hash(), "torch": torch}
    have = _read_stamp()
    if _ready(have, wanted, extras):
        return
    _check_machine()
    problem = _why_afresh(have, wanted)
    with_uv = _uv()
    if problem:
        if torch == "cpu" and with_uv:
            _ask_for_cpu_build(with_uv)  # before anything that works is removed
        print(f"{problem}: making .venv afresh.", flush=True)
        _remove_venv()
    complete = have is not None and not problem
    if complete:
        extras = extras | set(have["extras"])
        wanted |= {"python": have["python"], "torch": have["torch"]}
    _check_disk(torch, with_uv, small_change=complete)
    _say_what(wanted, extras, with_uv, complete)

    started = time.time()
    VENV.mkdir(exist_ok=True)
    STAMP.unlink(missing_ok=True)
    UNFINISHED.touch()
    if not complete:
        _make_venv(with_pip=with_uv is None)
    _install(extras, wanted["torch"], with_uv)
    STAMP.write_text(json.dumps(wanted | {"extras": sorted(extras)}, indent=1) + "\n", encoding="utf-8")
    UNFINISHED.unlink()
    print(f"Set up in {time.time() - started:.0f} s: {PYTHON.relative_to(ROOT)}", flush=True)


def _hash() -> str:
    """Of what decides the packages: constraints.txt, and pyproject.toml up to the tables of single tools."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8").split("\n[tool.")[0]
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    return hashlib.sha256((project + constraints).encode()).hexdigest()


def _read_stamp() -> dict | None:
    try:
        have = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return have if {"python", "root", "requirements", "torch", "extras"} <= set(have) else None


def _ready(have: dict | None, wanted: dict, extras: set[str]) -> bool:
    return (
        have is not None
        and not UNFINISHED.exists()
        and PYTHON.exists()
        and have["requirements"] == wanted["requirements"]
        and extras <= set(have["extras"])
        and _why_afresh(have, wanted) is None
    )


def _why_afresh(have: dict | None, wanted: dict) -> str | None:
    """What is wrong with the .venv that is there, in words, or None where it can be kept or there is none."""
    if not os.path.lexists(VENV):
        return None
    if UNFINISHED.exists():
        return "The last set-up was interrupted"
    if have is None:
        return (
            None
            if _runs_python(wanted["python"])
            else "There is a .venv that does not run or has another Python"
        )
    if have["root"] != wanted["root"]:
        return "The project has moved"
    if not PYTHON.exists():
        return "The Python that .venv was made from is gone"
    if os.environ.get("PYTHON") and _minor(have["python"]) != _minor(wanted["python"]):
        return f".venv has Python {_minor(have['python'])} and PYTHON= asks for {_minor(wanted['python'])}"
    if os.environ.get("TORCH") and have["torch"] != wanted["torch"]:
        return f".venv has the {have['torch']} build of PyTorch and TORCH= asks for the {wanted['torch']} one"
    return None


def _runs_python(version: str) -> bool:
    """Whether .venv's interpreter runs and has this minor version."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        answer = subprocess.run([str(PYTHON), "-c", code], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and answer.stdout.strip() == _minor(version)


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _remove_venv() -> None:
    if VENV.is_symlink():
        raise SetupError(
            ".venv is a link to another folder, which is left alone: remove the link and call again."
        )
    try:
        shutil.rmtree(VENV)
    except OSError as error:
        raise SetupError(
            f".venv cannot be removed ({error}): close the programs that use it and call again."
        ) from None


def _check_machine() -> None:
    if sys.platform == "darwin" and platform.machine() == "x86_64":
        raise SetupError(
            "PyTorch has no build for Macs with an Intel processor any more: use the notebooks on Colab."
        )
    if sys.maxsize < 2**32:
        raise SetupError(
            "This Python is a 32-bit one, for which PyTorch has no build: install the 64-bit one."
        )


def _uv() -> list[str] | None:
    """The command that runs uv, on PATH or as a module of this interpreter; None where neither runs."""
    commands = [["uv"]] if shutil.which("uv") else []
    if importlib.util.find_spec("uv"):
        commands.append([sys.executable, "-m", "uv"])
    for command in commands:
        try:
            if subprocess.run([*command, "--version"], capture_output=True, timeout=60).returncode == 0:
                return command
        except (OSError, subprocess.TimeoutExpired):
            pass
    return None


def _check_disk(torch: str, with_uv: list[str] | None, small_change: bool) -> None:
    """Every disk that fills up: the project's, and the one that the installer unpacks on."""
    project = 1.0 if small_change else FREE_GB[torch]
    if with_uv:
        answer = subprocess.run([*with_uv, "cache", "dir"], capture_output=True, text=True)
        cache = _existing(Path(answer.stdout.strip() or tempfile.gettempdir()))
        # on one disk uv links what it has unpacked; on two it copies
        needs = [(ROOT, project), (cache, project if _device(cache) != _device(ROOT) else 0.0)]
    else:
        needs = [
            (ROOT, project),
            (Path(tempfile.gettempdir()), 0.5 if small_change else SIZES[torch][0] + 0.5),
        ]
    for folder, _ in needs:
        needed = sum(need for other, need in needs if _device(other) == _device(folder))
        free = shutil.disk_usage(folder).free / 1e9
        if free < needed:
            smaller = (
                ", or take the small build with TORCH=cpu" if torch == "cuda" and not small_change else ""
            )
            raise SetupError(
                f"The disk of {folder} has {free:.1f} GB free and the set-up needs {needed:.0f} GB: "
                f"make room{smaller}."
            )


def _existing(folder: Path) -> Path:
    return next(path for path in [folder, *folder.parents] if path.exists())


def _device(folder: Path) -> int:
    return folder.stat().st_dev


def _say_what(wanted: dict, extras: set[str], with_uv: list[str] | None, complete: bool) -> None:
    download, disk = SIZES[wanted["torch"]]
    print(
        f"Setting up .venv: Python {wanted['python']}, "
        f"colorlib with {', '.join(sorted(extras)) or 'no extras'}, "
        f"by {'uv' if with_uv else 'pip'}.",
        flush=True,
    )
    if complete:
        print("Only what is missing or changed is installed.", flush=True)
    elif WHEELHOUSE.is_dir():
        print(f"From {WHEELHOUSE.name}/, without network; {disk} GB on disk.", flush=True)
    else:
        print(f"Download: about {download} GB, less what the cache has; {disk} GB on disk.", flush=True)
        if wanted["torch"] == "cuda":
            print(
                "No NVIDIA GPU? TORCH=cpu takes 0.4 GB instead (if PyTorch's own index can be reached).",
                flush=True,
            )


def _make_venv(with_pip: bool) -> None:
    if PYTHON.exists() and _runs_python(platform.python_version()):
        if not with_pip or (
            subprocess.run([str(PYTHON), "-m", "pip", "--version"], capture_output=True).returncode == 0
        ):
            return
    command = [BASE_PYTHON, "-m", "venv", str(VENV)] + ([] if with_pip else ["--without-pip"])
    answer = subprocess.run(command, capture_output=True, text=True)
    if answer.returncode:
        _show((answer.stdout + answer.stderr).splitlines())
        shutil.rmtree(VENV, ignore_errors=True)
        raise SetupError(
            f"{BASE_PYTHON} could not make a virtual environment. On Debian and Ubuntu: "
            f"apt install python{_minor(platform.python_version())}-venv."
        )


def _ask_for_cpu_build(uv: list[str]) -> None:
    if sys.platform == "linux" and not WHEELHOUSE.is_dir():
        with tempfile.TemporaryDirectory() as scratch:
            wish = Path(scratch) / "wish.txt"
            wish.write_text("torch\n")
            _run([*uv, "pip", "compile", "--torch-backend", "cpu", str(wish)], small=True)


def _install(extras: set[str], torch: str, with_uv: list[str] | None) -> None:
    """colorlib, editable, with torch and torchvision in the same step, so that they come as a pair."""
    small = torch == "cpu" and sys.platform == "linux"
    if small and with_uv is None and not WHEELHOUSE.is_dir():
        print("TORCH=cpu is uv's work: installing uv into .venv.", flush=True)
        _run([str(PYTHON), "-m", "pip", "install", "uv"])
        with_uv = [str(PYTHON), "-m", "uv"]
    if with_uv:
        command = [*with_uv, "pip", "install", "--python", str(PYTHON)]
        command += ["--torch-backend", "cpu"] if small and not WHEELHOUSE.is_dir() else []
    else:
        command = [
            str(PYTHON),
            "-m",
            "pip",
            "install",
            "--progress-bar",
            "off",
            "--disable-pip-version-check",
        ]
    command += ["-c", str(ROOT / "constraints.txt"), "torch", "torchvision"]
    command += ["-e", str(ROOT) + (f"[{','.join(sorted(extras))}]" if extras else "")]
    _run(command, offline=WHEELHOUSE.is_dir(), small=small)


def _run(command: list[str], offline: bool = False, small: bool = False) -> None:
    """Run an installer; pass on what is worth reading; say in one sentence why it failed, where it did."""
    environment = dict(os.environ)
    environment.pop("VIRTUAL_ENV", None)
    if offline:
        folder = WHEELHOUSE.as_uri()  # as an address: the installers split at the spaces of a plain path
        environment |= {"PIP_FIND_LINKS": folder, "UV_FIND_LINKS": folder}
        command = [*command, "--no-index"]
    last: collections.deque[str] = collections.deque(maxlen=400)
    worth_reading = re.compile(
        r"(Resolved|Prepared|Installed) \d|Downloading .*(\d{3}(\.\d+)? ?M|G)i?B|Installing collected"
    )
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        text=True,
        encoding="utf-8",
        errors="replace",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        for line in process.stdout:
            last.append(line.rstrip())
            if worth_reading.search(line):
                print("  " + line.strip()[:100], flush=True)
    if process.returncode == 0:
        return
    _show(list(last))
    if process.returncode > 0:
        UNFINISHED.unlink(missing_ok=True)  # it stopped by itself and left nothing half-written
    raise SetupError(_why(" ".join(last), offline, small))


def _show(lines: list[str]) -> None:
    print("The last lines of the installer:", flush=True)
    for line in lines[-8:]:
        print("  | " + line[:200], flush=True)


def _why(text: str, offline: bool, small: bool) -> str:
    again = "call this again: it goes on where it stopped"
    if DISK_FULL.search(text):
        return f"The disk is full: make room, then {again}."
    if offline:
        return "wheelhouse/ lacks something: make it anew on the same system and Python (make wheelhouse)."
    if NETWORK.search(text):
        if small and "pytorch.org" in text:
            return (
                "PyTorch's index for the small CPU build (TORCH=cpu) cannot be reached: check the network, "
                f"or leave TORCH=cpu out; the ordinary build needs no GPU either ({SIZES['cuda'][0]} GB)."
            )
        return (
            f"The network is down or the package index cannot be reached: check the connection, then {again}."
        )
    return "The packages could not be installed (not a matter of the network): the lines above say why."


def fill_wheelhouse(extras: set[str], torch: str) -> None:
    """Download every wheel for this system and Python, for machines without network."""
    if torch == "cpu" and sys.platform == "linux":
        raise SetupError("make wheelhouse takes the ordinary build of PyTorch: leave TORCH=cpu out.")
    _check_machine()
    _check_disk(torch, None, small_change=False)
    print(
        f"Downloading about {SIZES[torch][0]} GB into wheelhouse/: "
        f"for {platform.system()} {platform.machine()} "
        f"and Python {_minor(platform.python_version())} only.",
        flush=True,
    )
    filling = (
        ROOT / "build" / "wheelhouse"
    )  # moved when it is full, so that half of one is never taken for one
    filling.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([BASE_PYTHON, "-m", "venv", scratch], check=True)
        pip = [str(Path(scratch) / PYTHON.relative_to(VENV)), "-m", "pip"]
        _run(
            [
                *pip,
                "download",
                "--progress-bar",
                "off",
                "--only-binary",
                ":all:",
                "--dest",
                str(filling),
                "-c",
                str(ROOT / "constraints.txt"),
                "torch",
                "torchvision",
                "hatchling",
                "editables",
                f"{ROOT}[{','.join(sorted(extras))}]",
            ]
        )
    if WHEELHOUSE.exists():
        shutil.rmtree(WHEELHOUSE)
    shutil.move(str(filling), str(WHEELHOUSE))
    wheels = list(WHEELHOUSE.glob("*.whl"))
    size = sum(wheel.stat().st_size for wheel in wheels) / 1e9
    print(f"wheelhouse/: {len(wheels)} wheels, {size:.1f} GB.")
    print(
        "In class: copy the project with this folder; `make lab` or `python scripts/setup_env.py`, as always."
    )
    print(
        f"Where wheelhouse/ is there, the network is not asked. "
        f"It serves Python {_minor(platform.python_version())} alone."
    )


if __name__ == "__main__":
    sys.exit(main())
