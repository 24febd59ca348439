"""pyproject.toml, constraints.txt and environment.yml say the same; the benchmark driver does what it promises."""

import importlib.util
import re
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
    "scipy": "1.16.3",
    "ipywidgets": "7.7.1",
    "ipykernel": "6.17.1",
    "nbclient": "0.10.4",
    "nbformat": "5.11.1",
    "fastai": "2.8.8",
}


def _load(path: Path, name: str):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


setup = _load(ROOT / "scripts" / "setup_env.py", "colorlib_setup_env")


def _project() -> dict:
    """The [project] table; Python 3.10 has no tomllib, and its lists of strings are read without."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    lists = re.findall(r"^([\w-]+) = \[\n(.*?)^\]", text, re.DOTALL | re.MULTILINE)
    found = {name: re.findall(r'^ +"([^"]+)"', body, re.MULTILINE) for name, body in lists}
    short = re.findall(r'^(studio|heic|train) = \["([^"]+)"\]', text, re.MULTILINE)
    python = re.search(r'^requires-python = "([^"]+)"', text, re.MULTILINE)
    return found | {name: [line] for name, line in short} | {"requires-python": python[1]}


PROJECT = _project()
NAMES = ("dependencies", "notebooks", "site", "studio", "tests", "bench", "heic", "train")
REQUIREMENTS = {name: [Requirement(line) for line in PROJECT[name]] for name in NAMES}
ALL = [requirement for name in NAMES for requirement in REQUIREMENTS[name]]
PINS = [
    Requirement(line)
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


def test_the_hashes_are_those_of_the_pins():
    """One command makes the file, which its first lines name; no index is named, so that any mirror serves it."""
    text = (ROOT / "constraints.hashes.txt").read_text(encoding="utf-8")
    assert "-o constraints.hashes.txt" in text.splitlines()[1] and "://" not in text
    blocks = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    found = {block.split(" --hash=")[0].split("  ")[0].strip(): re.findall(r"--hash=sha256:([0-9a-f]{64})(?=\s|$)", block)
             for block in blocks}
    pins = [line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if line[0] != "#"]
    assert sorted(found) == sorted(pins), "run the command in the first lines of constraints.hashes.txt"
    assert all(found.values()) and text.count("--hash=") == sum(map(len, found.values()))


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
    assert set(setup.EXTRAS) == set(NAMES[1:])


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
    bounds = SpecifierSet(PROJECT["requires-python"])
    versions = {python: f"{python}.0" in bounds for python in ("3.9", *PYTHONS, "3.14")}
    assert versions == {"3.9": False, "3.10": True, "3.11": True, "3.12": True, "3.13": True, "3.14": False}
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
    wanted = [need for name in ("dependencies", "notebooks", "site", "studio", "tests") for need in REQUIREMENTS[name]]
    expected = {CONDA_NAMES.get(need.name, need.name): str(need.specifier) for need in wanted}
    assert {name: SpecifierSet(bound) for name, bound in found.items() if name not in ("pip", "python")} == {
        name: SpecifierSet(bound) for name, bound in expected.items()
    }


def test_environment_yml_names_no_channel_but_conda_forge():
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    assert _conda()[2] == ["conda-forge"]
    assert "::" not in text and "http" not in text


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
