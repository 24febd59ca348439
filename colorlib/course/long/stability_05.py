"""Stability of GAN, WGAN with clipping and WGAN-GP over learning rates, architectures and seeds, on a ring of 8 Gaussians.

    python -m colorlib.course.long.stability_05            about 20 minutes of one core; goes on where it stopped
    python -m colorlib.course.long.stability_05 --minutes 10

Every cell of the grid gets the same seconds: the GAN 3000 generator updates, the others fewer by what one update of theirs
costs (`Method.seconds`, measured once at the balanced architecture on one quiet core: 4.3, 9.6 and 14.7 ms for five seeds
together, which is 1 : 2.2 : 3.5). Counted in passes of a batch through the discriminator, forward and backward, one update
is 3, 11 and 21. The same runs cut off after equal generator updates give the other comparison.
"""

from __future__ import annotations

import time
from pathlib import Path

import torch

from colorlib.course.mixtures import ring
from colorlib.course.nb05 import ARCHITECTURES, METHODS, late_looks, loss_follows_distance, mean, outcome_of, train
from colorlib.course.results import ResultFile, arguments
from colorlib.runtime import checkout

LEARNING_RATES = (3e-4, 1e-3, 1e-2, 3e-2)
SEEDS = (0, 1, 2, 3, 4)
GAN_STEPS = 3000
STEPS = {name: round(GAN_STEPS / method.seconds) for name, method in METHODS.items()}
EQUAL_STEPS = min(STEPS.values())
CRITERION = ("over the last quarter of a run, diverged: not finite, or the mean distance above half that of one point in the "
             "centre; collapsed: otherwise, when on average more than one of the 8 modes is missing")


def main() -> None:
    options = arguments(__doc__, photographs=False, minutes=(60.0, "stop after this time; call again to go on"),
                        out=((checkout() or Path.cwd()) / "data" / "results" / "stability_05.json", "the result file"))
    torch.set_num_threads(1)
    started, mixture = time.perf_counter(), ring()
    header = {"command": "python -m colorlib.course.long.stability_05",
              "data": "ring of 8 Gaussians, radius 2, std 0.05", "criterion": CRITERION, "seeds": list(SEEDS),
              "learning_rates": list(LEARNING_RATES), "architectures": list(ARCHITECTURES), "steps": STEPS,
              "equal_steps": EQUAL_STEPS, "methods": {name: repr(method) for name, method in METHODS.items()}}
    results = ResultFile(options.out, header)
    for lr in LEARNING_RATES:
        for shape, architecture in ARCHITECTURES.items():
            for name, method in METHODS.items():
                cell = f"{name} | {shape} | {lr:g}"
                if all(results.has(cell, seed) for seed in SEEDS):
                    continue
                if time.perf_counter() - started > 60 * options.minutes:
                    return print("not finished: call again")
                steps = STEPS[name]
                runs, _, seconds = train(method, architecture, lr, SEEDS, mixture, num_steps=steps,
                                         every=EQUAL_STEPS // 20)
                for seed, looks in zip(SEEDS, runs):
                    outcome = outcome_of(looks, steps, mixture)
                    late = late_looks(looks, steps) or looks[-1:]
                    results.add(cell, seed, {
                        "failed": outcome != "fine", "diverged": outcome == "diverged",
                        "failed_at_equal_updates": outcome_of(looks, EQUAL_STEPS, mixture) != "fine",
                        "distance": mean(seen.distance for seen in late), "modes": mean(seen.modes for seen in late),
                        "correlation": loss_follows_distance(looks), "milliseconds": 1e3 * seconds / steps,
                    })
    print("finished")


if __name__ == "__main__":
    main()
