"""scripts/setup_env.py on a small project of its own, without network, and the Python that the Makefile starts it with."""

import ast
import importlib.util
import inspect
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "scripts" / "setup_env.py"
NO_NETWORK = "The network is down or the package index"
BUILD_SYSTEM = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
posix = pytest.mark.skipif(os.name == "nt", reason="no signals, shell scripts and make on Windows")


def write_wheel(folder: str, name: str, requires: list[str]) -> str:
    """Write a wheel that holds no code, and return the name of its file."""
    file, info = f"{name}-1.0-py3-none-any.whl", f"{name}-1.0.dist-info"
    metadata = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0"]
    metadata += [f"Provides-Extra: {extra}" for extra in ("notebooks", "tests")]
    metadata += [f"Requires-Dist: {requirement}" for requirement in requires]
    with zipfile.ZipFile(Path(folder) / file, "w") as wheel:
        wheel.writestr(f"{info}/METADATA", "\n".join(metadata) + "\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return file


class Project:
    """A folder with a copy of the set-up and a package that builds itself, cut off from this machine's settings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "scripts").mkdir(parents=True)
        shutil.copy(SCRIPT, folder / "scripts")
        (folder / "pyproject.toml").write_text(BUILD_SYSTEM)
        (folder / "constraints.txt").write_text("")
        self.needs()
        kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(("PIP_", "UV_"))}
        for name in ("PYTHON", "TORCH", "VIRTUAL_ENV", "PYTHONPATH"):
            kept.pop(name, None)
        dead = "http://127.0.0.1:9"
        proxies = {name: dead for kind in ("http", "https", "all") for name in (f"{kind}_proxy", f"{kind}_proxy".upper())}
        own = {"PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "1", "UV_NO_CONFIG": "1", "UV_HTTP_RETRIES": "0"}
        self.environment = kept | proxies | own | {"NO_PROXY": "", "no_proxy": "", "UV_CACHE_DIR": str(folder / "cache")}

    def needs(self, *requires: str, seconds: float = 0) -> None:
        """Let the package require these, and its build take so long."""
        (self.folder / "backend.py").write_text(
            "import time, zipfile\nfrom pathlib import Path\n\n" + inspect.getsource(write_wheel)
            + "\ndef build_editable(folder, config_settings=None, metadata_directory=None):\n"
            + f"    Path('building').touch()\n    time.sleep({seconds})\n"
            + f"    return write_wheel(folder, 'colorlib', {list(requires)})\n"
        )  # fmt: skip

    def without_uv(self) -> None:
        """Hide uv, where this machine has it, as a command and as a module."""
        hidden = self.folder / "hidden"
        hidden.mkdir()
        (hidden / "uv.py").write_text("raise SystemExit(1)")
        self.environment |= {"PATH": "/usr/bin:/bin" if os.name == "posix" else "", "PYTHONPATH": str(hidden)}

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, str(self.folder / "scripts" / "setup_env.py"), *arguments]

    def call(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, env=self.environment | environment)

    def set_up(self, *arguments: str, **environment: str) -> str:
        """What a call that ends well prints."""
        answer = self.call(*arguments, **environment)
        assert answer.returncode == 0 and self.stamp.is_file(), answer
        return answer.stdout

    def sentence(self, *arguments: str, **environment: str) -> str:
        """The one line that a call that fails ends with."""
        answer = self.call(*arguments, **environment)
        assert answer.returncode == 1 and "Traceback" not in answer.stdout + answer.stderr, answer
        (line,) = answer.stderr.strip().splitlines()
        return line

    @property
    def stamp(self) -> Path:
        return self.folder / ".venv" / "colorlib-setup.json"

    def extras(self) -> list[str]:
        return json.loads(self.stamp.read_text())["extras"]

    def has(self, name: str) -> bool:
        """Whether .venv runs and has this distribution."""
        python = self.folder / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        code = f"from importlib.metadata import version; version('{name}')"
        return subprocess.run([str(python), "-c", code], capture_output=True, env=self.environment).returncode == 0


@pytest.fixture
def project(tmp_path):
    if shutil.disk_usage(tmp_path).free < 9e9:
        pytest.skip("this disk has less room than the set-up asks for")
    return Project(tmp_path / "a folder")


@pytest.mark.parametrize("uv", [True, False])
def test_no_network_is_said_in_one_sentence_and_a_second_call_has_nothing_to_do(project, uv):
    if not uv:
        project.without_uv()
    project.needs("numpy")
    assert NO_NETWORK in project.sentence()
    assert not project.stamp.exists()  # nothing looks ready
    project.needs()
    printed = project.set_up()
    assert "Setting up" in printed and "anew" not in printed and project.has("colorlib")  # nothing was half-written
    assert project.set_up() == ""
    assert_a_wheelhouse_serves(project)


def assert_a_wheelhouse_serves(project):
    """Without network, which is dead for all tests here."""
    (project.folder / "wheelhouse").mkdir()
    (project.folder / "constraints.txt").write_text("# another version\n")
    project.needs("tiny")
    assert "wheelhouse/ lacks something" in project.sentence()
    write_wheel(str(project.folder / "wheelhouse"), "tiny", [])
    project.set_up()
    assert project.has("tiny")


def test_an_extra_that_cannot_be_had_leaves_what_works(project):
    project.set_up()
    project.needs("numpy; extra == 'tests'")
    assert NO_NETWORK in project.sentence("--extras", "tests")
    assert project.set_up() == "" and project.extras() == ["notebooks"] and project.has("colorlib")


def test_a_change_of_the_constraints_or_a_new_extra_installs_again(project):
    project.set_up()
    kept = project.folder / ".venv" / "kept"
    kept.touch()
    assert project.set_up("--extras", "tests") and project.extras() == ["notebooks", "tests"]
    assert project.set_up() == project.set_up("--extras", "tests") == ""
    (project.folder / "constraints.txt").write_text("# changed\n")
    assert project.set_up() and project.extras() == ["notebooks", "tests"]
    (project.folder / "pyproject.toml").write_text(BUILD_SYSTEM + "\n[tool.other]\nx = 1\n")
    assert project.set_up() == "" and kept.exists()


@posix
def test_interrupted_in_the_middle_it_starts_anew(project):
    project.needs(seconds=60)
    process = subprocess.Popen(project.command(), env=project.environment, stdout=-1, stderr=-1, start_new_session=True)
    while not (project.folder / "building").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate()
    assert process.returncode and b"Traceback" not in output + errors and not project.stamp.exists()
    half = project.folder / ".venv" / "half"
    half.touch()
    project.needs()
    assert "anew" in project.set_up() and not half.exists() and project.has("colorlib")


@pytest.mark.parametrize(("file", "before", "after", "asked"), [
    ("pyvenv.cfg", r"= 3\.\d+", "= 3.9", {"PYTHON": sys.executable}),
    ("colorlib-setup.json", "default", "cpu", {"TORCH": "default"}),
])  # fmt: skip
def test_another_python_or_build_is_made_anew_where_it_is_asked_for(project, file, before, after, asked):
    if "TORCH" in asked and sys.platform != "linux":
        pytest.skip("one build of PyTorch on this system")
    project.set_up(**asked)
    assert project.set_up(**asked) == ""
    path = project.folder / ".venv" / file
    path.write_text(re.sub(before, after, path.read_text()))
    assert project.set_up() == ""  # what is there serves
    assert "anew" in project.set_up(**asked)


def test_a_folder_that_was_moved_is_set_up_again(project):
    project.set_up()
    moved = project.folder.with_name("moved")
    project.folder.rename(moved)
    project.folder = moved
    assert "anew" in project.set_up() and project.has("colorlib")


@posix
def test_a_link_to_another_environment_is_left_alone(project):
    other = project.folder / "other"
    other.mkdir()
    (other / "theirs").touch()
    (project.folder / ".venv").symlink_to(other)
    assert ".venv cannot be removed" in project.sentence()
    assert (other / "theirs").exists()


def test_a_wheelhouse_is_installed_from_without_network(project):
    assert_a_wheelhouse_serves(project)


def test_wrong_choices_are_said_in_one_sentence(project):
    assert "TORCH=rocm: the choices are" in project.sentence(TORCH="rocm")
    assert "--extras nothing: choose from" in project.sentence("--extras", "nothing")
    assert not (project.folder / ".venv").exists()


# without a project


@pytest.fixture
def setup():
    spec = importlib.util.spec_from_file_location("setup_env", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("version", [(2, 7), (3, 9), (3, 14)])
def test_a_python_that_does_not_fit_gets_the_sentence(setup, monkeypatch, version):
    monkeypatch.setattr(setup.sys, "version_info", version)
    with pytest.raises(SystemExit, match=rf"This is Python {version[0]}\.{version[1]}; colorlib needs 3\.10 to 3\.13"):
        setup.main()


def test_an_old_python_can_read_the_file():
    text = SCRIPT.read_text(encoding="ascii")
    ast.parse(text, feature_version=(3, 4))
    assert not any(isinstance(node, (ast.JoinedStr, ast.Starred, ast.Nonlocal)) for node in ast.walk(ast.parse(text)))


def test_a_full_disk_is_said_with_its_numbers(setup, monkeypatch, tmp_path):
    for name in ("PINS", "VENV", "PYTHON", "CONFIG", "STAMP", "PART", "ROOT"):
        monkeypatch.setattr(setup, name, str(tmp_path / name))
    (tmp_path / "ROOT").mkdir()
    (tmp_path / "PINS").touch()
    (tmp_path / "ROOT" / "pyproject.toml").touch()
    monkeypatch.setattr(setup.sys, "platform", "linux")
    monkeypatch.setattr(setup.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 2.5e9}))
    with pytest.raises(SystemExit, match=r"has 2\.5 GB free and the set-up needs 8: .*TORCH=cpu"):
        setup.set_up({"notebooks"}, "")
    with pytest.raises(SystemExit, match="needs 3"):
        setup.set_up({"notebooks"}, "cpu")
    assert not (tmp_path / "VENV").exists()


@pytest.mark.parametrize(("text", "sentence"), [
    ("error: dns error\n cause: failed to lookup address information: Name or service not known", "network is down"),
    ("NewConnectionError: Failed to establish\nERROR: No matching distribution found for torch", "network is down"),
    ("ERROR: ResolutionImpossible", "not a matter of the network"),
    ("error: No solution found when resolving dependencies", "not a matter of the network"),
    ("OSError: [Errno 28] No space left on device", "disk is full"),
])  # fmt: skip
def test_a_failure_is_known_by_its_cause(setup, capsys, text, sentence):
    with pytest.raises(SystemExit, match=sentence):
        setup.run([sys.executable, "-c", "import sys; sys.exit(sys.stdin.read() or sys.argv[1])", text])
    assert text.splitlines()[-1] in capsys.readouterr().out


@posix
def test_make_starts_with_the_first_python_that_fits(tmp_path):
    if not shutil.which("make"):
        pytest.skip("no make here")
    for name, code in (("python3", 1), ("python3.13", 127), ("python3.12", 0)):
        (tmp_path / name).write_text(f"#!/bin/sh\nexit {code}\n")
        (tmp_path / name).chmod(0o755)

    def plan(**chosen: str) -> str:
        environment = {name: value for name, value in os.environ.items() if name not in ("PYTHON", "MAKEFLAGS")}
        environment |= {"PATH": f"{tmp_path}:{os.environ['PATH']}", **chosen}
        return subprocess.run(["make", "-n", "lab"], cwd=ROOT, env=environment, capture_output=True, text=True).stdout

    assert '"python3.12" scripts/setup_env.py' in plan()
    assert '"my python" scripts/setup_env.py' in plan(PYTHON="my python")
