"""Which machine this is, how big a run it gets, and where results go.

One environment variable each: `COLORLIB_PRESET` (smoke, laptop or gpu) and `COLORLIB_RESULTS` (a folder).
"""

from __future__ import annotations

import os
import platform
import random
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

PRESETS = ("smoke", "laptop", "gpu")
T = TypeVar("T")


def device() -> torch.device:
    """The best device here: CUDA, then Apple's MPS, then the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def preset() -> str:
    """The size of the runs: `COLORLIB_PRESET` if it is set, else "gpu" where there is a GPU, else "laptop".

    Raises:
        ValueError: `COLORLIB_PRESET` is set to something else than smoke, laptop or gpu.
    """
    chosen = os.environ.get("COLORLIB_PRESET") or ("laptop" if device().type == "cpu" else "gpu")
    if chosen not in PRESETS:
        raise ValueError(f"COLORLIB_PRESET is {chosen!r}; set it to one of {', '.join(PRESETS)}, or unset it")
    return chosen


def pick(*, smoke: T, laptop: T, gpu: T) -> T:
    """The value for the preset in force, with all three in sight of the reader.

    Example:
        >>> num_steps = pick(smoke=5, laptop=600, gpu=6000)
    """
    return {"smoke": smoke, "laptop": laptop, "gpu": gpu}[preset()]


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and torch's generators (all devices)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def machine() -> str:
    """One line: device, cores, memory where it can be read, Python and torch versions, preset."""
    chosen = device()
    if chosen.type == "cuda":
        name = torch.cuda.get_device_name()
    else:
        name = f"{chosen.type} ({platform.machine()}, {torch.get_num_threads()} threads)"
    memory = ""
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = f", {os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB memory"
    return (
        f"{name}{memory}, {platform.system()}, Python {platform.python_version()}, "
        f"torch {torch.__version__.split('+')[0]}, preset {preset()}"
    )


def checkout() -> Path | None:
    """The root of the checkout that this package runs from, or None when colorlib was installed from a wheel."""
    root = Path(__file__).resolve().parent.parent
    return root if (root / "notebooks").is_dir() and (root / "pyproject.toml").is_file() else None


def results_dir() -> Path:
    """Where runs write their results: `COLORLIB_RESULTS`, else build/results of the checkout, else ./build/results.

    `make notebooks` points it at data/results, so that only that command changes the committed files.
    """
    chosen = os.environ.get("COLORLIB_RESULTS")
    path = Path(chosen) if chosen else (checkout() or Path.cwd()) / "build" / "results"
    path.mkdir(parents=True, exist_ok=True)
    return path
