"""The claims of notebook 06 on real photographs: plain and residual stacks at 16 x 16, U-Nets at 32 x 32.

    python -m colorlib.course.long.photographs_06 --photos DIR

Photographs are split by their file names. Learning rates are chosen on the validation split, from the same three for
every network and on a seed of its own; the numbers are from the test split. Writes photographs_06.json (stacks) and
photographs_06_unets.json into COLORLIB_RESULTS (else build/results). Interrupted, the same command goes on.
"""

from collections.abc import Callable

from torch import nn

from colorlib import photos
from colorlib.color import AB_SCALE
from colorlib.course.data import taught
from colorlib.course.nb06 import SEARCHED, WITHOUT_NORM, pooled, search, unets, without_norm
from colorlib.course.results import ResultFile, arguments
from colorlib.course.seeds import seeded

SIZE, NUM_TRAIN, NUM_TEST = 32, 4096, 400
Make = Callable[[], nn.Module]


def main() -> None:
    options = arguments(__doc__, steps=(280, "updates per run"), seeds=(5, "runs per setting"))
    names, steps, seeds = taught("06_residual_unet"), options.steps, list(range(options.seeds))
    photographs = photos.source(options.photos, short_side=photos.crop_side(SIZE))
    split = {part: next(photographs.batches(part, SIZE, min(num, len(getattr(photographs, part))), seed=0))
             for part, num in (("train", NUM_TRAIN), ("validation", NUM_TEST), ("test", NUM_TEST))}
    small = {part: pooled(pairs) for part, pairs in split.items()}
    data = (f"{len(split['train'][0])} crops of {len(photographs.train)} photographs to train on, "
            f"{len(split['test'][0])} of the test split to measure on; grey ones left out")

    def header(what: str, size: int, batch_size: int) -> dict:
        return {"claim": what, "command": "python -m colorlib.course.long.photographs_06 --photos DIR",
                "data": f"{data}; {size} x {size}", "steps": steps, "batch_size": batch_size, "seeds": seeds}

    def chosen_lr(file: str, name: str, make: Make, parts: dict, *settings: object) -> float:
        """The best of three learning rates on the validation split."""
        searched = ResultFile(file, header("learning rates", len(parts["train"][0][0, 0]), settings[1]))
        return search(searched, names, name, make, parts["train"], parts["validation"], *settings)

    constant = small["train"][1].median(0).values
    print(f"best constant picture: {AB_SCALE * float((small['test'][1] - constant).abs().mean()):.3f}", flush=True)

    # stacks: C23 and C25
    results = ResultFile("photographs_06.json", header("C23, C25 on photographs", SIZE // 2, 16))
    makes: dict[str, Make] = {f"{kind} {depth}": lambda d=depth, r=residual: names["Stack"](d, r)
                              for depth in (8, 64) for kind, residual in (("plain", False), ("residual", True))}
    makes["plain 64, no norm"] = lambda: without_norm(names, 64)
    probe = (small["train"][0][:16], small["train"][1][:16])
    for seed, name in [(seed, name) for seed in seeds for name in makes if not results.has(name, seed)]:
        lrs = WITHOUT_NORM if "no norm" in name else SEARCHED
        lr = chosen_lr("photographs_06_lr.json", name, makes[name], small, steps, 16, lrs)
        run = names["train"](seeded(seed, makes[name]), small["train"], small["test"], seed, steps, lr, steps // 10,
                             extra=lambda network: names["gradient_by_block"](network, probe))
        orders = [abs(row[0] - row[-1]) for row in run.extra]
        results.add(name, seed, {"l1_equal_steps": names["at"](run, steps), "orders_at_start": orders[0],
                                 "orders_in_training": sum(orders[1:]) / len(orders[1:])})

    # U-Nets: C25b, and what the shortcuts give there
    results = ResultFile("photographs_06_unets.json", header("C25b on photographs", SIZE, 8))
    only_scenes = ("residual, strided", "residual, zero")
    variants = {name: made for name, made in unets(names).items() if name not in only_scenes}
    todo = [(seed, name) for seed in seeds for name in variants if not results.has(name, seed)]
    cost = names["seconds_per_step"]({name: make for name, (make, _) in variants.items()},
                                     split["train"][0][:8], split["train"][1][:8]) if todo else {}
    for seed, name in todo:
        make, factor = variants[name]
        lr = chosen_lr("photographs_06_unets_lr.json", name, make, split, factor * steps, 8)
        run = names["train"](seeded(seed, make), split["train"], split["test"], seed, factor * steps, lr,
                             steps // 10, 8)
        in_time = min(factor_ * steps * cost[other] for other, (_, factor_) in variants.items())
        results.add(name, seed,
                    {"l1_equal_steps": names["at"](run, steps), "l1_equal_time": names["at"](run, in_time / cost[name]),
                     "ms_per_step": 1000 * cost[name]})


if __name__ == "__main__":
    main()
