"""The machine, the size of the runs (COLORLIB_PRESET), the folders (COLORLIB_RESULTS), seeds, and Python threads."""

import os
import platform
import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import psutil
import torch

PRESETS = ("smoke", "laptop", "gpu")
T = TypeVar("T")
Part = TypeVar("Part")
Result = TypeVar("Result")
_pools: dict[int, ThreadPoolExecutor] = {}
_GLOBAL_GENERATOR = threading.RLock()


def device() -> torch.device:
    """The best device here: CUDA, then Apple's MPS, then the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error is that of an allocator: Python's, CUDA's and MPS's, the CPU's on Linux and macOS, on Windows."""
    words = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, MemoryError) or any(each in str(error) for each in words)


def preset() -> str:
    """The size of the runs: COLORLIB_PRESET (ValueError if unknown), else "gpu" where there is a GPU, else "laptop"."""
    chosen = os.environ.get("COLORLIB_PRESET") or ("laptop" if device().type == "cpu" else "gpu")
    if chosen not in PRESETS:
        raise ValueError(f"COLORLIB_PRESET is {chosen!r}; set it to one of {', '.join(PRESETS)}, or unset it")
    return chosen


def pick(*, smoke: T, laptop: T, gpu: T) -> T:
    """The value for the preset in force, as in `num_steps = pick(smoke=5, laptop=600, gpu=6000)`."""
    return {"smoke": smoke, "laptop": laptop, "gpu": gpu}[preset()]


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and torch's generators (all devices)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def seeded(seed: int, make: Callable[[], Result]) -> Result:
    """`make()` with torch's global generator set to `seed`, and put back after; safe in threads."""
    with _GLOBAL_GENERATOR, torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        return make()


def machine() -> str:
    """One line: device, threads, memory, system, Python and torch versions, preset."""
    name = f"{device().type} ({platform.machine()}, {torch.get_num_threads()} threads)"
    if device().type == "cuda":
        name = torch.cuda.get_device_name()
    return (f"{name}, {psutil.virtual_memory().total / 2**30:.0f} GiB memory, {platform.system()}, "
            f"Python {platform.python_version()}, torch {torch.__version__.split('+')[0]}, preset {preset()}")


def checkout() -> Path | None:
    """The root of the checkout that this package runs from; None when colorlib was installed from a wheel."""
    root = Path(__file__).resolve().parent.parent
    return root if (root / "notebooks").is_dir() and (root / "pyproject.toml").is_file() else None


def shipped_folder(name: str) -> Path:
    """What came with colorlib, "weights" or "results": data/ of a checkout, a folder of the package in a wheel."""
    root = checkout()
    return root / "data" / name if root else Path(__file__).resolve().parent / {"weights": "shipped"}.get(name, name)


def results_dir() -> Path:
    """Where runs write their results: `COLORLIB_RESULTS`, else build/results of the checkout, else ./build/results."""
    path = Path(os.environ.get("COLORLIB_RESULTS") or (checkout() or Path.cwd()) / "build" / "results")
    path.mkdir(parents=True, exist_ok=True)
    return path


# Python threads, for work of many small torch calls. Torch would split each call over its threads and wait for the
# slowest: on a busy machine that stalls, on a quiet one the waiting costs as much as the second core brings.


def num_shares(num_parts: int) -> int:
    """Into how many shares `num_parts` parts are best cut: one for each thread that torch may use."""
    return max(1, min(torch.get_num_threads(), num_parts))


def in_threads(work: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
    """`[work(part) for part in parts]`, in as many Python threads as torch may use, each with one torch thread and the
    caller's grad and inference mode. `parts` are best few and large, see `num_shares`."""
    if num_shares(len(parts)) < 2:  # also inside such a thread, so that a part may come here again
        return [work(part) for part in parts]
    grad, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    def alone(part: Part) -> Result:
        with torch.inference_mode(inference), torch.set_grad_enabled(grad and not inference):
            return work(part)

    return list(_pool(num_shares(len(parts))).map(alone, parts))


def _pool(size: int) -> ThreadPoolExecutor:
    if size not in _pools:
        threads, all_here = torch.get_num_threads(), threading.Barrier(size + 1)
        _pools[size] = ThreadPoolExecutor(size, "colorlib", initializer=_start, initargs=(all_here,))
        for _ in range(size):
            _pools[size].submit(int)  # each finds the others waiting at the barrier, so that every thread is started
        all_here.wait()
        torch.set_num_threads(threads)  # torch keeps the number for threads to come as well: take that back
    return _pools[size]


def _start(all_here: threading.Barrier) -> None:
    torch.set_num_threads(1)
    torch.get_num_threads()  # makes torch's setting for this thread final, before the caller takes its own back
    all_here.wait()


def _forked() -> None:
    """A forked process has the pools, ours and OpenMP's, but none of their threads, for which it would wait for ever."""
    _pools.clear()
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
