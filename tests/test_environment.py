"""pyproject.toml, constraints.txt and environment.yml say the same; the set-up does what it promises."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}  # the others have the same name there
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
PLATFORMS = (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"), ("win32", "AMD64"))
# Colab's own versions of what colorlib asks for (Python 3.13, list of 2026-08-19)
COLAB = {
    "torch": "2.11.0",
    "torchvision": "0.26.0",
    "numpy": "2.1.3",
    "pillow": "11.3.0",
    "matplotlib": "3.10.0",
    "scikit-image": "0.25.2",
    "ipywidgets": "7.7.1",
    "ipykernel": "6.17.1",
    "nbclient": "0.10.4",
    "nbconvert": "7.17.1",
    "nbformat": "5.11.1",
    "fastai": "2.8.8",
}


def _load(path: Path, name: str):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


install = _load(ROOT / "scripts" / "_install.py", "colorlib_install")


def _project() -> dict:
    """The [project] table; Python 3.10 has no tomllib, and its lists of strings are read without."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    lists = re.findall(r"^([\w-]+) = \[\n(.*?)^\]", text, re.DOTALL | re.MULTILINE)
    found = {name: re.findall(r'^ +"([^"]+)"', body, re.MULTILINE) for name, body in lists}
    short = re.findall(r'^(studio|heic) = \["([^"]+)"\]', text, re.MULTILINE)
    python = re.search(r'^requires-python = "([^"]+)"', text, re.MULTILINE)
    return found | {name: [line] for name, line in short} | {"requires-python": python[1]}


PROJECT = _project()
NAMES = ("dependencies", "notebooks", "studio", "tests", "bench", "heic")
REQUIREMENTS = {name: [Requirement(line) for line in PROJECT[name]] for name in NAMES}
ALL = [requirement for name in NAMES for requirement in REQUIREMENTS[name]]
PINS = [
    Requirement(line)
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


def _marker_environment(python: str, platform: str, machine: str) -> dict[str, str]:
    return {
        "python_version": python,
        "python_full_version": python + ".9",
        "sys_platform": platform,
        "platform_machine": machine,
        "os_name": "nt" if platform == "win32" else "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "platform_system": {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}[platform],
        "extra": "",
    }


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib came with Python 3.11")
def test_pyproject_is_read_as_toml_reads_it():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["dependencies"] == PROJECT["dependencies"]
    assert project["optional-dependencies"] == {name: PROJECT[name] for name in NAMES[1:]}
    assert set(install.EXTRAS) == set(NAMES[1:])


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(("platform", "machine"), PLATFORMS)
def test_each_requirement_has_one_pin_within_its_bounds(python, platform, machine):
    environment = _marker_environment(python, platform, machine)
    pins = {}
    for pin in PINS:
        if pin.marker is None or pin.marker.evaluate(environment):
            assert canonicalize_name(pin.name) not in pins, (
                f"{pin.name} is pinned twice for Python {python}, {platform}"
            )
            (exact,) = pin.specifier
            assert exact.operator == "=="
            pins[canonicalize_name(pin.name)] = exact.version
    for requirement in ALL:
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), requirement
    assert Version(pins["torch"]) >= Version("2.6")


def test_what_is_installed_here_are_the_pins():
    """torch and torchvision above all; a local part such as +cpu is the build, not the version."""
    from importlib.metadata import version

    if not (Path(sys.prefix) / "colorlib-setup.json").is_file():
        pytest.skip("this environment was not made by scripts/setup_env.py")
    pins = [pin for pin in PINS if pin.marker is None or pin.marker.evaluate()]
    for name in ("torch", "torchvision", "numpy", "scikit-image", "ipywidgets"):
        (pin,) = [pin for pin in pins if pin.name == name]
        assert pin.specifier.contains(Version(version(name)).public), (pin, version(name))


@pytest.mark.parametrize("name", COLAB)
def test_bounds_admit_what_colab_has(name):
    (requirement,) = [requirement for requirement in ALL if requirement.name == name]
    assert requirement.specifier.contains(COLAB[name])


def test_python_bounds_are_the_same_everywhere():
    front = _load(ROOT / "scripts" / "setup_env.py", "colorlib_setup_env")
    bounds = SpecifierSet(PROJECT["requires-python"])
    versions = {python: f"{python}.0" in bounds for python in ("3.9", *PYTHONS, "3.14")}
    assert versions == {"3.9": False, "3.10": True, "3.11": True, "3.12": True, "3.13": True, "3.14": False}
    assert (front.spelled(front.OLDEST), front.spelled(front.NEWEST)) == (PYTHONS[0], PYTHONS[-1])
    assert f"python {PROJECT['requires-python']}" in _conda()[0]


def _conda() -> tuple[list[str], list[str], list[str]]:
    """The conda specs, the pip lines and the channels of environment.yml."""
    content = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    specs = [line for line in content["dependencies"] if isinstance(line, str)]
    (pip,) = [line["pip"] for line in content["dependencies"] if isinstance(line, dict)]
    return specs, pip, content["channels"]


def test_environment_yml_names_the_same_packages_and_bounds():
    from rattler import MatchSpec

    specs, pip, _ = _conda()
    found = {}
    for line in specs:
        spec = MatchSpec(line, strict=True)
        name = re.match(r"[\w.-]+", line)[0]
        assert f'"{name}"' in repr(spec.name)
        assert spec.channel is None and spec.build is None, line
        found[name] = str(spec.version) if spec.version else ""
    assert "pip" in found and len(found) == len(specs)
    assert pip.pop() == "-e ."
    for requirement in map(Requirement, pip):
        assert requirement.url is None and requirement.marker is None
        found[requirement.name] = str(requirement.specifier)
    wanted = [need for name in ("dependencies", "notebooks", "studio", "tests") for need in REQUIREMENTS[name]]
    expected = {CONDA_NAMES.get(need.name, need.name): str(need.specifier) for need in wanted}
    assert {name: SpecifierSet(bound) for name, bound in found.items() if name not in ("pip", "python")} == {
        name: SpecifierSet(bound) for name, bound in expected.items()
    }


def test_environment_yml_names_no_channel_but_conda_forge():
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    assert _conda()[2] == ["conda-forge"]
    assert "::" not in text and "http" not in text


# the set-up, as far as it goes without a download


def _set_up(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """Call a copy of the set-up; without network and without a chance to install, whatever happens."""
    (folder / "scripts").mkdir(parents=True, exist_ok=True)
    for name in ("scripts/setup_env.py", "scripts/_install.py", "pyproject.toml", "constraints.txt"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    nowhere = {
        "HTTP_PROXY": "http://127.0.0.1:9",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "ALL_PROXY": "http://127.0.0.1:9",
    }
    fast = {
        "UV_HTTP_TIMEOUT": "2",
        "UV_HTTP_RETRIES": "0",
        "PIP_RETRIES": "0",
        "UV_CACHE_DIR": str(folder / "cache"),
    }
    quiet = {key: value for key, value in os.environ.items() if key not in ("PYTHON", "TORCH", "VIRTUAL_ENV")}
    command = [sys.executable, str(folder / "scripts" / "setup_env.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=quiet | nowhere | fast | environment)


def _one_sentence(answer: subprocess.CompletedProcess) -> str:
    assert answer.returncode == 1 and "Traceback" not in answer.stdout + answer.stderr, answer
    assert len(answer.stderr.strip().splitlines()) == 1, answer.stderr
    return answer.stderr.strip()


def test_no_network_is_said_in_one_sentence_and_leaves_nothing_that_looks_ready(tmp_path):
    answer = _set_up(tmp_path)
    if "GB free" in answer.stderr:
        pytest.skip("this disk has less room than the set-up asks for")
    assert "The network is down or the package index cannot be reached" in _one_sentence(answer)
    assert "Download: about" in answer.stdout and "The last lines of the installer:" in answer.stdout
    assert not (tmp_path / ".venv" / "colorlib-setup.json").exists()
    assert not (tmp_path / ".venv" / "colorlib-setup.part").exists()


def test_wrong_choices_are_said_in_one_sentence(tmp_path):
    assert "PYTHON=nosuchpython does not run" in _one_sentence(_set_up(tmp_path, PYTHON="nosuchpython"))
    assert "TORCH=rocm: the choices are" in _one_sentence(_set_up(tmp_path, TORCH="rocm"))
    assert "--extras nothing: choose from" in _one_sentence(_set_up(tmp_path, "--extras", "nothing"))
    assert not (tmp_path / ".venv").exists()


def test_too_old_a_python_gets_the_sentence(tmp_path):
    if os.name == "nt":
        pytest.skip("no shell scripts on Windows")
    (tmp_path / "old").write_text("#!/bin/sh\necho 3.9\n")
    (tmp_path / "old").chmod(0o755)
    sentence = _one_sentence(_set_up(tmp_path, PYTHON=str(tmp_path / "old")))
    assert "is Python 3.9; colorlib needs Python 3.10 to 3.13" in sentence


def test_front_keeps_to_syntax_of_old_pythons():
    import ast

    text = (ROOT / "scripts" / "setup_env.py").read_text(encoding="ascii")
    ast.parse(text, feature_version=(3, 4))
    assert not re.search(r"\bf\"|\bf'|\bnonlocal\b|:=|->", text)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The set-up's module on a folder of its own, with an installer that only notes that it was called."""
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    module = _load(ROOT / "scripts" / "_install.py", "colorlib_install_here")
    venv = tmp_path / ".venv"
    values = {
        "ROOT": tmp_path,
        "VENV": venv,
        "STAMP": venv / "colorlib-setup.json",
        "UNFINISHED": venv / "colorlib-setup.part",
        "PYTHON": venv / module.PYTHON.relative_to(module.VENV),
        "WHEELHOUSE": tmp_path / "wheelhouse",
    }
    for name, value in values.items():
        monkeypatch.setattr(module, name, value)
    for name in ("PYTHON", "TORCH"):
        monkeypatch.delenv(name, raising=False)
    module.calls = []
    monkeypatch.setattr(module, "_check_disk", lambda *a, **k: None)
    monkeypatch.setattr(module, "_uv", lambda: ["uv"])
    monkeypatch.setattr(module, "_run", lambda command, **k: module.calls.append(command))
    return module


def test_second_call_has_nothing_to_do(place):
    place.set_up({"notebooks"}, "cuda")
    place.set_up({"notebooks"}, "cuda")
    assert len(place.calls) == 1
    assert {"torch", "torchvision", "-c"} <= set(place.calls[0])


def test_a_change_of_the_constraints_or_a_new_extra_installs_again(place):
    place.set_up({"notebooks"}, "cuda")
    (place.VENV / "kept").touch()
    place.set_up({"tests"}, "cuda")
    assert place.calls[-1][-1].endswith("[notebooks,tests]")
    with open(place.ROOT / "constraints.txt", "a", encoding="utf-8") as file:
        file.write("# changed\n")
    place.set_up({"notebooks"}, "cuda")
    assert len(place.calls) == 3 and place.calls[-1][-1].endswith("[notebooks,tests]")
    assert (place.VENV / "kept").exists()
    (place.ROOT / "pyproject.toml").write_text(
        (place.ROOT / "pyproject.toml").read_text() + "\n[tool.other]\nx = 1\n"
    )
    place.set_up({"notebooks"}, "cuda")
    assert len(place.calls) == 3


def test_killed_in_the_middle_it_starts_afresh(place, monkeypatch, capsys):
    def killed(command, **k):
        (place.VENV / "half").touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(place, "_run", killed)
        with pytest.raises(KeyboardInterrupt):
            place.set_up({"notebooks"}, "cuda")
    assert not place.STAMP.exists()
    place.set_up({"notebooks"}, "cuda")
    assert "interrupted" in capsys.readouterr().out
    assert not (place.VENV / "half").exists() and place.STAMP.exists() and not place.UNFINISHED.exists()


@pytest.mark.parametrize(
    ("key", "value", "variable", "said"),
    [
        ("python", "3.9.1", "PYTHON", "has Python 3.9"),
        ("torch", "cpu", "TORCH", "has the cpu build"),
        ("root", "/elsewhere", None, "has moved"),
    ],
)
def test_another_python_build_or_place_is_made_afresh(place, monkeypatch, capsys, key, value, variable, said):
    place.set_up({"notebooks"}, "cuda")
    stamp = json.loads(place.STAMP.read_text())
    place.STAMP.write_text(json.dumps(stamp | {key: value}))
    (place.VENV / "old").touch()
    if variable:
        place.set_up({"notebooks"}, "cuda")
        assert (place.VENV / "old").exists()  # not asked for: what is there serves
        monkeypatch.setenv(variable, "default" if variable == "TORCH" else sys.executable)
    place.set_up({"notebooks"}, "cuda")
    assert said in capsys.readouterr().out and not (place.VENV / "old").exists()


def test_a_wheelhouse_is_installed_from_without_network(place, monkeypatch):
    asked = {}

    def record(command, *, offline=False, small=False):
        asked.update(offline=offline, command=command)

    monkeypatch.setattr(place, "_run", record)
    place.WHEELHOUSE.mkdir()
    place.set_up({"notebooks"}, "cuda")
    assert asked["offline"]


def test_a_full_disk_is_said_with_its_numbers(monkeypatch, tmp_path):
    monkeypatch.setattr(install.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 2.5e9}))
    with pytest.raises(
        install.SetupError, match=r"has 2\.5 GB free and the set-up needs (8|12) GB.*TORCH=cpu"
    ):
        install._check_disk("cuda", None, small_change=False)
    install._check_disk("cuda", None, small_change=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "error: dns error\n cause: failed to lookup address information: Name or service not known",
            "network is down",
        ),
        (
            "NewConnectionError: Failed to establish\nERROR: No matching distribution found for torch",
            "network is down",
        ),
        ("ERROR: ResolutionImpossible", "not a matter of the network"),
        ("error: No solution found when resolving dependencies", "not a matter of the network"),
        ("OSError: [Errno 28] No space left on device", "disk is full"),
    ],
)
def test_a_failure_is_told_by_its_cause(text, said):
    assert said in install._why(text, offline=False, small=False)
    small = install._why(
        "error sending request for url (https://download.pytorch.org/whl/cpu/torch/)", False, True
    )
    assert "leave TORCH=cpu out" in small


# the benchmark driver


def test_benchmarks_report_a_failing_module_and_run_the_others(tmp_path, monkeypatch, capsys):
    driver = _load(ROOT / "tests" / "benchmarks" / "__main__.py", "colorlib_benchmarks")
    monkeypatch.setattr(sys, "path", sys.path[:])
    (tmp_path / "bench_aa_broken.py").write_text("def rows():\n    raise RuntimeError('no such thing')\n")
    row = "dict(group='g', name='n', value=1234567.0, unit='px/s', note='ours')"
    (tmp_path / "bench_bb_fine.py").write_text(f"def rows():\n    return [{row}]\n")
    rows, failed = driver.run(["aa_broken", "bb_fine"], tmp_path)
    assert failed == ["bench_aa_broken: RuntimeError: no such thing"]
    assert driver.table(rows).split("\n")[1:] == ["g", "  n  1,230,000 px/s  ours"]


@pytest.mark.parametrize(
    ("value", "text"), [(0.01234, "0.0123"), (1.0, "1"), (99.94, "99.9"), (12345, "12,300")]
)
def test_numbers_are_spelled_with_three_digits(value, text):
    driver = _load(ROOT / "tests" / "benchmarks" / "__main__.py", "colorlib_benchmarks")
    assert driver.spelled(value) == text
