"""Stability of GAN, WGAN with clipping and WGAN-GP on a ring of 8 Gaussians: learning rates, architectures, seeds.

    python -m colorlib.course.long.stability_05            about 20 minutes of one core; goes on where it stopped
    python -m colorlib.course.long.stability_05 --minutes 8

All learning rates and seeds of a method and an architecture train as one model. (The committed file was made when each
setting trained alone, by the same updates on other random numbers.) Every run gets the same seconds: the GAN 3000
generator updates, the others fewer by what one update of theirs cost then, 1 : 2.2 : 3.5. The same runs cut off after
equal generator updates give the other comparison.
"""

from __future__ import annotations

import time
from pathlib import Path
from statistics import mean

import torch

from colorlib.course import nb05
from colorlib.course.mixtures import ring
from colorlib.course.results import ResultFile, arguments
from colorlib.runtime import checkout

LEARNING_RATES = (3e-4, 1e-3, 1e-2, 3e-2)
SEEDS = tuple(range(5))
STEPS = {"GAN": 3000, "WGAN": 1364, "WGAN-GP": 857}
EQUAL_STEPS = min(STEPS.values())
CRITERION = ("over the last quarter of a run, diverged: not finite, or the mean distance above half that of one point "
             "in the centre; collapsed: otherwise, when on average more than one of the 8 modes is missing")
METHODS = {"GAN": "-log D, Adam (0.5, 0.999), 1 step of the discriminator",
           "WGAN": "weights clipped to 0.1, Adam (0, 0.99), 5 steps of the critic",
           "WGAN-GP": "lambda_gp 1, Adam (0, 0.9), 5 steps of the critic"}


def main() -> None:
    options = arguments(__doc__, photographs=False, minutes=(60.0, "stop after this time; call again to go on"),
                        out=((checkout() or Path.cwd()) / "data" / "results" / "stability_05.json", "the result file"))
    torch.set_num_threads(1)
    started, mixture = time.perf_counter(), ring()
    header = {"command": "python -m colorlib.course.long.stability_05",
              "data": "ring of 8 Gaussians, radius 2, std 0.05", "criterion": CRITERION, "seeds": list(SEEDS),
              "learning_rates": list(LEARNING_RATES), "architectures": list(nb05.ARCHITECTURES), "steps": STEPS,
              "equal_steps": EQUAL_STEPS, "methods": METHODS}
    results = ResultFile(options.out, header)
    for shape, architecture in nb05.ARCHITECTURES.items():
        for name, method in nb05.METHODS.items():
            def cell(rate: float, name: str = name, shape: str = shape) -> str:
                return f"{name} | {shape} | {rate:g}"

            if all(results.has(cell(rate), seed) for rate in LEARNING_RATES for seed in SEEDS):
                continue
            if time.perf_counter() - started > 60 * options.minutes:
                return print("not finished: call again")
            looks = {steps * part // 40 for steps in (STEPS[name], EQUAL_STEPS) for part in range(1, 41)}
            found = nb05.train_on(mixture, method, architecture, LEARNING_RATES, SEEDS, num_steps=STEPS[name],
                                  steps=looks)
            for rate, trained in zip(LEARNING_RATES, found):
                for seed, run in zip(SEEDS, trained.runs):
                    outcome = nb05.outcome_of(run, STEPS[name], mixture)
                    late = nb05.late_looks(run, STEPS[name]) or run[-1:]
                    results.add(cell(rate), seed, {
                        "failed": outcome != "fine", "diverged": outcome == "diverged",
                        "failed_at_equal_updates": nb05.outcome_of(run, EQUAL_STEPS, mixture) != "fine",
                        "distance": mean(seen.distance for seen in late), "modes": mean(seen.modes for seen in late)})
    print("finished")


if __name__ == "__main__":
    main()
