"""Stability of GAN, WGAN with clipping and WGAN-GP on a ring of 8 Gaussians: learning rates, architectures, seeds.

    python -m colorlib.course.long.stability_05            about half an hour of one core; goes on where it stopped

All learning rates and seeds of a method and an architecture train as one model. Every run gets the same seconds: the GAN
3000 generator updates, the others fewer by what one update of theirs costs alone, 1 : 2.2 : 3.5. The same runs cut off
after equal generator updates give the other comparison. Writes stability_05.json into COLORLIB_RESULTS (else build/results).
"""

from statistics import mean

import torch

from colorlib.course import nb05
from colorlib.course.mixtures import ring
from colorlib.course.results import ResultFile, arguments

LEARNING_RATES = (3e-4, 1e-3, 1e-2, 3e-2)
SEEDS = tuple(range(12))
STEPS = {"GAN": 3000, "WGAN": 1364, "WGAN-GP": 857}
EQUAL_STEPS = min(STEPS.values())
CRITERION = ("over the last quarter of a run, diverged: not finite, or the mean distance above half that of one point "
             "in the centre; collapsed: otherwise, when on average more than one of the 8 modes is missing")
METHODS = {"GAN": "-log D, Adam (0.5, 0.999), 1 step of the discriminator",
           "WGAN": "weights clipped to 0.1, Adam (0, 0.99), 5 steps of the critic",
           "WGAN-GP": "lambda_gp 1, Adam (0, 0.9), 5 steps of the critic"}


def main() -> None:
    arguments(__doc__, photographs=False)
    torch.set_num_threads(1)
    mixture = ring()
    results = ResultFile("stability_05.json", {
        "command": "python -m colorlib.course.long.stability_05",
        "data": "ring of 8 Gaussians, radius 2, std 0.05", "criterion": CRITERION, "seeds": list(SEEDS),
        "learning_rates": list(LEARNING_RATES), "architectures": list(nb05.ARCHITECTURES), "steps": STEPS,
        "equal_steps": EQUAL_STEPS, "methods": METHODS})
    for shape, architecture in nb05.ARCHITECTURES.items():
        for name, method in nb05.METHODS.items():
            cells = {f"{name} | {shape} | {rate:g}": rate for rate in LEARNING_RATES}
            if all(results.has(cell, seed) for cell in cells for seed in SEEDS):
                continue
            looks = {steps * part // 40 for steps in (STEPS[name], EQUAL_STEPS) for part in range(1, 41)}
            found = nb05.train_on(mixture, method, architecture, LEARNING_RATES, SEEDS, num_steps=STEPS[name],
                                  steps=looks)
            for cell, trained in zip(cells, found):
                for seed, run in zip(SEEDS, trained.runs):
                    outcome = nb05.outcome_of(run, STEPS[name], mixture)
                    late = nb05.late_looks(run, STEPS[name]) or run[-1:]
                    results.add(cell, seed, {
                        "failed": outcome != "fine", "diverged": outcome == "diverged",
                        "failed_at_equal_updates": nb05.outcome_of(run, EQUAL_STEPS, mixture) != "fine",
                        "distance": mean(seen.distance for seen in late), "modes": mean(seen.modes for seen in late)})


if __name__ == "__main__":
    main()
