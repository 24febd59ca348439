import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from colorlib import runtime


def test_pick_follows_the_preset(monkeypatch):
    for index, preset in enumerate(runtime.PRESETS):
        monkeypatch.setenv("COLORLIB_PRESET", preset)
        assert runtime.pick(smoke=0, laptop=1, gpu=2) == index
    monkeypatch.delenv("COLORLIB_PRESET")
    assert runtime.preset() == ("laptop" if runtime.device().type == "cpu" else "gpu")


def test_an_unknown_preset_is_refused(monkeypatch):
    monkeypatch.setenv("COLORLIB_PRESET", "huge")
    with pytest.raises(ValueError, match="'huge'"):
        runtime.preset()


def test_seeding_repeats():
    runtime.seed_everything(3)
    first = torch.rand(3)
    runtime.seed_everything(3)
    assert torch.equal(first, torch.rand(3))


def test_machine_is_one_line_without_a_host_name(monkeypatch):
    import platform

    line = runtime.machine()
    assert "\n" not in line and "torch" in line
    assert platform.node() == "" or platform.node() not in line


def test_results_go_where_they_are_sent(monkeypatch, tmp_path):
    monkeypatch.setenv("COLORLIB_RESULTS", str(tmp_path / "there"))
    assert runtime.results_dir() == tmp_path / "there" and runtime.results_dir().is_dir()


def test_what_ships_lies_in_data_of_a_checkout_and_in_the_package_of_a_wheel(monkeypatch):
    root = Path(__file__).resolve().parents[1]
    assert runtime.shipped_folder("weights") == root / "data" / "weights"
    monkeypatch.setattr(runtime, "checkout", lambda: None)
    found = [runtime.shipped_folder(name) for name in ("weights", "results")]
    assert found == [root / "colorlib" / "shipped", root / "colorlib" / "results"]  # as in pyproject.toml


STAGES = {  # what is done, one after the other in one process: what it must not have imported
    "import colorlib": {"torch", "matplotlib"},
    "import colorlib.color, colorlib.generators, colorlib.training, colorlib.photos, colorlib.colorizer, colorlib.cli":
        {"fastai", "torchmetrics", "ipywidgets", "accelerate", "sklearn", "kornia"},
    "colorlib.colorizer.Colorizer.load(device='cpu')": {"torch._inductor", "torch._dynamo"},
    "import torch; from colorlib.training.loop import run; run(lambda k: {'x': torch.zeros(())}, 2, progress=False)":
        {"accelerate"},
    "import colorlib.course.blocks; colorlib.course.blocks.DynamicUNet": {"fastai"},
}


def test_import_is_cheap():
    """What only some need is imported where it is used."""
    code = "import sys\n" + "\n".join(f"{do}\nprint(sorted({without} & set(sys.modules)))" for do, without in STAGES.items())
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert dict(zip(STAGES, done.stdout.splitlines())) == dict.fromkeys(STAGES, "[]"), done.stderr


@pytest.mark.parametrize(("variables", "rounds"), [
    ({}, "2000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "PASSIVE"}, "0"),
])  # fmt: skip
def test_waiting_threads_spin_a_moment_unless_the_user_says_how_they_wait(variables, rounds):
    kept = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    # GNU's OpenMP alone where torch brings it, which starts in a tenth of torch's time
    own, = [*Path(torch.__file__).parent.glob("lib/libgomp*")][:1] or [None]
    command = [sys.executable, "-c", f"import colorlib, ctypes; ctypes.CDLL({str(own)!r})" if own else "import colorlib, torch"]
    environment = kept | variables | {"OMP_DISPLAY_ENV": "verbose"}
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stderr
    if "GOMP_SPINCOUNT" not in shown:
        pytest.skip("this torch has another OpenMP than GNU's")
    assert f"GOMP_SPINCOUNT = '{rounds}'" in shown
