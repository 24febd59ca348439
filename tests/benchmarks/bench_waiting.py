"""How long OpenMP's waiting threads spin: as torch comes, as colorlib sets it, and not at all (asleep at once).

    python tests/benchmarks waiting

A process for each, all alive at once, two threads each; they take turns, so that what else the machine does meets all
of them alike. A busy machine is one that runs one or two Python processes per core which only loop.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

CALLS = {"training step": 3, "photograph": 2}  # in one turn
LOOPS = {"idle": 0, "busy": 1, "crowded": 2}  # per core
ROUNDS = 7
VARIABLES = ("GOMP_SPINCOUNT", "KMP_BLOCKTIME", "OMP_WAIT_POLICY", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


class Worker:
    """A process whose threads wait in one way, and which works when it is called."""

    def __init__(self, variables: dict[str, str]) -> None:
        own = {name: value for name, value in os.environ.items() if name not in VARIABLES} | variables
        command = [sys.executable, __file__, "--child"]
        self.process = subprocess.Popen(command, env=own, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for work in CALLS:
            self.seconds(work)  # the first call of each is not counted

    def seconds(self, work: str) -> float:
        """Of one call, over a turn."""
        print(work, file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the measured process ended with {self.process.wait()}")
        return float(line)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def loops(number: int) -> Iterator[None]:
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def measure(ways: dict[str, dict[str, str]], rounds: int = ROUNDS) -> dict[tuple[str, str, str], float]:
    """Median seconds of a call by (work, machine, way)."""
    seconds, workers = defaultdict(list), {}
    try:
        for way, variables in ways.items():
            workers[way] = Worker(variables)
        for _ in range(rounds):
            for machine, per_core in LOOPS.items():
                with loops(per_core * (os.cpu_count() or 1)):
                    for work in CALLS:
                        for way, worker in workers.items():
                            seconds[work, machine, way].append(worker.seconds(work))
    finally:
        for worker in workers.values():
            worker.stop()
    return {key: statistics.median(values) for key, values in seconds.items()}


def rows() -> list[dict[str, object]]:
    """One row per number: group, name, value, unit, note."""
    import colorlib  # noqa: F401  (sets the variable)

    ours = {"GOMP_SPINCOUNT": os.environ["GOMP_SPINCOUNT"]}
    seconds = measure({"torch": {}, "ours": ours, "asleep": {"OMP_WAIT_POLICY": "PASSIVE"}})
    result = []
    for work, machine in dict.fromkeys(key[:2] for key in seconds):
        torch_own, own, asleep = (1000 * seconds[work, machine, way] for way in ("torch", "ours", "asleep"))
        note = f"median of {ROUNDS}: ours {own:.0f} ms, torch's own {torch_own:.0f}, asleep {asleep:.0f}"
        name = f"{work}, {machine}: times faster than"
        result.append({"group": "waiting threads", "name": f"{name} torch's own", "value": torch_own / own, "unit": "x", "note": note})
        result.append({"group": "waiting threads", "name": f"{name} asleep", "value": asleep / own, "unit": "x", "note": ""})
    return result


def child() -> None:
    import torch
    import torch.nn.functional as F

    from colorlib.colorizer import Colorizer
    from colorlib.generators import ResidualUNet
    from colorlib.photos import sample_photograph

    torch.set_num_threads(2)
    generator, colorizer, photo = ResidualUNet(), Colorizer.load(device="cpu"), sample_photograph("china")
    optimizer = torch.optim.AdamW(generator.parameters(), 1e-4, fused=True)
    L, ab_real = torch.rand(8, 1, 64, 64) * 2 - 1, torch.rand(8, 2, 64, 64) * 0.2

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        F.l1_loss(generator(L).ab, ab_real).backward()
        optimizer.step()

    calls = {"training step": step, "photograph": lambda: colorizer.colorize(photo)}
    for line in sys.stdin:
        work = line.strip()
        started = time.perf_counter()
        for _ in range(CALLS[work]):
            calls[work]()
        print((time.perf_counter() - started) / CALLS[work], flush=True)


if __name__ == "__main__":
    if "--child" in sys.argv:
        child()
    else:
        for line in rows():
            print(f"{line['name']:52}{line['value']:7.2f} {line['unit']:3} {line['note']}")
