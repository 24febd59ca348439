"""Claims C26 a to d at a size where they can show: pix2pix's GAN or WGAN-GP, with a U-Net or a residual U-Net, and L1.

    python -m colorlib.course.long.flagship --photos DIR --minutes 5.2   # on a GPU; the committed run, on an H200
    python -m colorlib.course.long.flagship --photos DIR --updates 1000  # on one CPU core: a day

Colours of photographs of 64 x 64 pixels from their lightness. Six variants, each trained with every seed for the same
number of generator updates, on batches of the same size: L1 alone, pix2pix (GAN + 100 L1) and WGAN-GP + 100 L1, each
with both generators, which have equally many parameters (within 2 %) and the same noise z (8 numbers from N(0, 1)).
Then the four adversarial variants with 10 L1. A WGAN-GP critic makes 2 updates per update of the generator, after 100
alone, with Adam (0, 0.9); a GAN's discriminator makes one, with batch norm and Adam (0.5, 0.999), as in pix2pix. Both
have the same convolutions. Learning rates are constant for half of the run, then fall to 0.

Photographs are split by their file names; folders take turns; grey photographs are left out. The learning rates of each
variant are those with the least sum of error and distance of colours on the validation split, in shorter runs on a seed
of their own (100). All results are of the test split.

Thresholds, set before the run, of WGAN-GP with the residual U-Net against pix2pix with the U-Net:
C26   ab error, ratio < 0.95
C26b  steadier: deviation of the test error over seeds, ratio < 0.8 (by the jackknife of its logarithm), and jitter of
      the validation error in the second quarter of a run, ratio < 0.8; failed runs (error more than a quarter above
      grey's) are counted
C26c  finer detail: correlation of the fine structure of ab with the real one, ratio > 1.05
C26d  more realistic colours: sliced Wasserstein distance of all ab, ratio < 0.9

On a GPU all variants of four seeds train side by side as CUDA graphs, and --minutes sets how many updates they make. On
a CPU runs follow each other. Writes flagship.json, flagship_lr.json and the generators of seed 0 into COLORLIB_RESULTS
(else build/results), after every run on a CPU; the same command goes on from there. --pack FILE holds the pictures
instead of --photos, for a machine that has no photographs: --write-pack FILE makes it.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from colorlib.color import AB_SCALE
from colorlib.course.long.flagship_data import (SIZE, STORED, Data, colours, error_of, measures, read_pack, squares,
                                                 vividness, write_pack)
from colorlib.course.results import ResultFile, arguments
from colorlib.discriminators import Critic, PatchDiscriminator
from colorlib.files import write_json
from colorlib.generators import Generator, ResidualUNet, UNet, num_parameters
from colorlib.losses import GradientPenalty, Vanilla, Wasserstein
from colorlib.runtime import device, in_threads, results_dir, seeded
from colorlib.training import linear_decay, update_discriminator, update_generator
from colorlib.training.weights import save_weights

BATCH, Z = 32, 8
N_CRITIC, WARM_UP, CHECKS, CHECKED, PILOT_SEED, WAVE = 2, 100, 32, 250, 100, 4
LAMBDA_L1, LESS_L1 = 100.0, 10.0
GENERATORS = {"U-Net": lambda: UNet(base_channels=16, levels=6, dropout=0.0, z_channels=Z),
              "residual U-Net": lambda: ResidualUNet(base_channels=40, blocks=3, z_channels=Z)}
DISCRIMINATORS = {"pix2pix": lambda: PatchDiscriminator(receptive_field=34, base_channels=48),
                  "WGAN-GP": lambda: Critic(receptive_field=34, base_channels=48)}
SEARCHED = {"generator": (2e-4, 6e-4, 2e-3), "discriminator": (1e-4, 3e-4, 1e-3)}
COST = {"L1": 1.0, "pix2pix": 2.5, "WGAN-GP": 5.0}  # of an update, roughly: shares the time of --minutes out


class Variant(NamedTuple):
    loss: str
    generator: str
    lambda_l1: float = LAMBDA_L1

    def __str__(self) -> str:
        less = f", lambda {self.lambda_l1:g}" if self.lambda_l1 != LAMBDA_L1 else ""
        return f"{self.loss}, {self.generator}{less}"


VARIANTS = [Variant(loss, generator) for loss in ("L1", *DISCRIMINATORS) for generator in GENERATORS]
LESS = [Variant(loss, generator, LESS_L1) for loss in DISCRIMINATORS for generator in GENERATORS]


class Run:
    """One variant, one seed. An update takes no arguments and draws its own batch: a CUDA graph can repeat it."""

    def __init__(self, variant: Variant, seed: int, lr: tuple[float, float], data: Data) -> None:
        self.variant, self.seed, self.lr, self.train = variant, seed, lr, data.train
        self.where, self.curve = data.train.device, []
        self.random = torch.Generator(self.where).manual_seed(seed)
        self.generator: Generator = self._placed(GENERATORS[variant.generator])
        self.wasserstein, self.critic = variant.loss == "WGAN-GP", None
        self.optimizers = [self._adam(self.generator, lr[0], (0.5, 0.999))]
        if variant.loss in DISCRIMINATORS:
            self.critic = self._placed(DISCRIMINATORS[variant.loss])
            self.optimizers.append(self._adam(self.critic, lr[1], (0.0, 0.9) if self.wasserstein else (0.5, 0.999)))
        self.adversarial = Wasserstein() if self.wasserstein else Vanilla()
        self.lipschitz = GradientPenalty(generator=self.random) if self.wasserstein else None
        self.updates = [self.update_generator] + [self.update_critic] * (self.critic is not None)
        self.stream = None

    def _placed(self, make: Callable[[], nn.Module]) -> nn.Module:
        return seeded(self.seed, make).to(self.where, memory_format=torch.channels_last)

    def _adam(self, network: nn.Module, lr: float, betas: tuple[float, float]) -> torch.optim.Adam:
        rate = torch.tensor(lr, device=self.where)  # a tensor, so that a CUDA graph sees it fall
        return torch.optim.Adam(network.parameters(), rate, betas, fused=True, capturable=self.where.type == "cuda")

    def batch(self) -> tuple[Tensor, Tensor]:
        """Random windows of 64 x 64 pixels, half of them mirrored."""
        def draw(below: int) -> Tensor:
            return torch.randint(below, (BATCH, 1, 1), generator=self.random, device=self.where)

        place = torch.arange(SIZE, device=self.where)
        across = torch.where(draw(2) == 0, place, SIZE - 1 - place)
        margin = STORED - SIZE + 1
        picked = self.train[draw(len(self.train)), draw(margin) + place[:, None], draw(margin) + across]
        picked = picked.float().permute(0, 3, 1, 2)  # (B, 64, 64, 3) -> (B, 3, 64, 64)
        return picked[:, :1].contiguous(), picked[:, 1:].contiguous(memory_format=torch.channels_last)

    def noise(self, num: int) -> Tensor:
        return torch.randn(num, Z, generator=self.random, device=self.where)

    def update_critic(self) -> None:
        L, ab = self.batch()
        with torch.no_grad():
            fake = self.generator(L, z=self.noise(BATCH)).ab
        update_discriminator(self.critic, self.optimizers[1], self.adversarial, L, ab, fake, lipschitz=self.lipschitz)

    def update_generator(self) -> None:
        L, ab = self.batch()
        fake = self.generator(L, z=self.noise(BATCH)).ab
        update_generator(self.critic, self.optimizers[0], self.adversarial, L, ab, fake, self.variant.lambda_l1)

    def capture(self) -> None:
        """Record each update as a CUDA graph on a stream of its own; three updates before it set the memory up."""
        self.stream, graphs = torch.cuda.Stream(), []
        torch.cuda.synchronize()
        with torch.cuda.stream(self.stream):
            for update in self.updates * 3:
                update()
        torch.cuda.synchronize()
        for update in self.updates:
            graphs.append(torch.cuda.CUDAGraph())
            graphs[-1].register_generator_state(self.random)
            with torch.cuda.graph(graphs[-1], stream=self.stream):
                update()
        self.updates = [graph.replay for graph in graphs]

    def step(self, critic_only: bool = False) -> None:
        """One update of the generator after those of its critic."""
        with torch.cuda.stream(self.stream):  # does nothing without a stream
            if self.critic is not None:
                for _ in range(N_CRITIC if self.wasserstein and not critic_only else 1):
                    self.updates[1]()
            if not critic_only:
                self.updates[0]()

    def set_rates(self, factor: float) -> None:
        with torch.cuda.stream(self.stream):
            for optimizer, lr in zip(self.optimizers, self.lr):
                optimizer.param_groups[0]["lr"].fill_(lr * factor)

    def check(self, L: Tensor, ab: Tensor) -> None:
        """Note on held-out pictures: error; mean score of real minus generated pairs; distance of a picture to its
        truth, in the critic's units."""
        L, ab = L[:CHECKED], ab[:CHECKED]
        fake = colours(self.generator, L)
        with torch.no_grad():
            says = 0.0 if self.critic is None else (self.critic(L, ab).mean() - self.critic(L, fake).mean()).item()
        self.curve.append([error_of(fake, ab), says, (fake - ab).flatten(1).norm(dim=1).mean().item()])


def train(runs: list[Run], num_updates: int, data: Data, seconds: float = 0.0, checks: int = CHECKS) -> int:
    """Train side by side and check now and then; with `seconds`, as many updates as fit. Returns their number."""
    began, checked = time.perf_counter(), 0
    for _ in range(WARM_UP):
        for run in runs:
            if run.wasserstein:
                run.step(critic_only=True)
    wait()
    seconds, first = seconds - (time.perf_counter() - began) if seconds else 0.0, time.perf_counter()
    k, measured = 0, 60
    while k < num_updates:
        if k % max(1, num_updates // 100) == 0:
            for run in runs:
                run.set_rates(linear_decay(k / num_updates))
        for run in runs:
            run.step()
        k += 1
        if seconds and k == measured:
            wait()
            each = (time.perf_counter() - first) / measured
            num_updates = max(2 * measured, int(0.9 * seconds / each))
            print(f"{len(runs)} runs: {1000 * each:.1f} ms for an update of all, so {num_updates} updates", flush=True)
        if k * checks >= (checked + 1) * num_updates and (not seconds or k >= measured):
            wait()
            checked += 1
            for run in runs:
                run.check(*data.validation)
            wait()
    return num_updates


def wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def milliseconds(run: Run) -> float:
    """Of one update of this run alone, with those of its critic."""
    began, num = time.perf_counter(), 100 if run.stream else 5
    for _ in range(num):
        run.step()
    wait()
    return 1000 * (time.perf_counter() - began) / num


def measured(run: Run, known: tuple[Tensor, Tensor, float, float]) -> dict[str, float]:
    """The numbers of a trained run on L and ab, whose vividness and error as grey pictures are known."""
    L, ab, vivid, grey = known
    first, second = colours(run.generator, L), colours(run.generator, L, seed=1)
    finite = bool(torch.isfinite(first).all())
    first, second = first.nan_to_num(0.0), second.nan_to_num(0.0)
    numbers = measures(L, first, ab, vivid)
    numbers |= {"failed": float(not finite or numbers["error"] > 1.25 * grey),
                "spread of samples": AB_SCALE * (first - second).norm(dim=1).mean().item(),
                "lr of the generator": run.lr[0], "lr of the discriminator": run.lr[1]}
    if run.curve:
        errors = [error for error, *_ in run.curve[CHECKS // 4 : CHECKS // 2 + 1]]
        numbers["jitter"] = float(np.std(np.diff(errors))) / 2**0.5
    return numbers


def pilots() -> list[tuple[Variant, tuple[float, float]]]:
    return [(variant, (lr, lr_d)) for variant in VARIANTS for lr in SEARCHED["generator"]
            for lr_d in (SEARCHED["discriminator"] if variant.loss in DISCRIMINATORS else (0.0,))]


def pilot_name(variant: Variant, lr: tuple[float, float]) -> str:
    return f"{variant}, lr {lr[0]:g} {lr[1]:g}"


def found(runs: list[dict]) -> dict[tuple[str, str], tuple[float, float]]:
    """Loss and generator -> the learning rates of the pilot runs with the least error + distance of colours."""
    best: dict[tuple[str, str], tuple[float, tuple[float, float]]] = {}
    for run in runs:
        loss, generator, _ = run["name"].split(", ", 2)
        score = run["error"] + run["distance of colours"]
        if not run["failed"] and score < best.get((loss, generator), (float("inf"),))[0]:
            best[loss, generator] = score, (run["lr of the generator"], run["lr of the discriminator"])
    return {key: lr for key, (_, lr) in best.items()}


def main() -> None:
    options = arguments(__doc__, photographs=False, photos=("", "a folder"), pack=("", "a file of photographs instead"),
                        write_pack=(None, "write the photographs of --photos there, and stop"),
                        updates=(3000, "of the generator, per run"), seeds=(8, "runs per variant"),
                        minutes=(0.0, "of a GPU: as many updates as fit"))
    start = time.perf_counter()
    if bool(options.photos) == bool(options.pack):
        raise SystemExit("give --photos DIR or --pack FILE, one of the two")
    pictures = read_pack(options.pack) if options.pack else squares(options.photos)
    if options.write_pack:
        return write_pack(options.write_pack, pictures)
    where = device()
    data, cuda = Data.of(pictures, where), where.type == "cuda"
    header = {
        "claim": "C26, C26b, C26c, C26d on photographs",
        "command": "python -m colorlib.course.long.flagship --photos DIR"
                   + (f" --minutes {options.minutes:g}" if options.minutes else f" --updates {options.updates}"),
        "data": f"{len(data.train)} photographs to train on, {len(data.validation[0])} to choose by, "
                f"{len(data.test[0])} of the test split to measure on; folders in turn, grey ones left out; "
                f"{SIZE} x {SIZE}",
        "batch_size": BATCH, "n_critic": N_CRITIC, "warm_up": WARM_UP, "z": Z,
        "parameters": {name: num_parameters(make()) for name, make in (GENERATORS | DISCRIMINATORS).items()},
    }
    results = ResultFile("flagship.json", header | {"seeds": list(range(options.seeds))})
    searched = ResultFile("flagship_lr.json", header | {"claim": "learning rates of flagship.json, validation split",
                                                        "seeds": [PILOT_SEED]})
    known = {}  # of a split: L, ab, and what `measured` needs to know of them
    for split in ("validation", "test"):
        L, ab = getattr(data, split)
        vivid = vividness(L, ab)
        results.record["grey"] = measures(L, torch.zeros_like(ab), ab, vivid)
        known[split] = L, ab, vivid, results.record["grey"]["error"]
    print(f"{time.perf_counter() - start:.0f} s: pictures ready, grey {results.record['grey']}", flush=True)

    def together(jobs: list[Run], updates: int, seconds: float, into: ResultFile, split: str) -> int:
        """On a GPU side by side, else in turn. Returns the number of updates."""
        final = into is results
        for runs in ([jobs] if cuda and jobs else [[job] for job in jobs]):
            for run in runs if cuda else []:
                run.capture()
            print(f"{time.perf_counter() - start:.0f} s: {len(runs)} runs ready", flush=True)
            updates = train(runs, updates, data, seconds, checks=CHECKS if final else 0)
            for run, numbers in zip(runs, in_threads(partial(measured, known=known[split]), runs)):
                name = str(run.variant) if final else pilot_name(run.variant, run.lr)
                if final:
                    into.record.setdefault("curves", {}).setdefault(name, {})[str(run.seed)] = [
                        [float(f"{number:.5g}") for number in each] for each in run.curve]
                into.add(name, run.seed, numbers | {"updates": updates})
                if final and run.seed == 0 and run.variant in VARIANTS:
                    file = name.replace(", ", "_").replace(" ", "-") + ".safetensors"
                    save_weights(results_dir() / file, run.generator, half=True)
            for run in (run for run in runs if final and run.seed == 0):  # last, because a run that is timed trains on
                into.record.setdefault("milliseconds", {})[str(run.variant)] = round(milliseconds(run), 2)
            write_json(into.path, into.record)
            print(f"{time.perf_counter() - start:.0f} s: measured", flush=True)
        return updates

    whole = 60 * options.minutes
    jobs = [Run(variant, PILOT_SEED, lr, data) for variant, lr in pilots()
            if not searched.has(pilot_name(variant, lr), PILOT_SEED)]
    together(jobs, options.updates // 4, 0.15 * whole, searched, "validation")
    rates, updates = found(searched.record["runs"]), options.updates
    waves = [[(variant, seed) for seed in range(first, min(first + WAVE, options.seeds)) for variant in VARIANTS]
             for first in range(0, options.seeds, WAVE)]
    waves.append([(variant, seed) for seed in range(min(WAVE, options.seeds)) for variant in LESS])
    cost = [sum(COST[variant.loss] for variant, _ in wave) for wave in waves]
    # with --minutes the first wave sets the number of updates; a quarter of the time is for all but training
    seconds = 0.75 * (whole - time.perf_counter() + start) * cost[0] / sum(cost) if whole else 0.0
    for number, wave in enumerate(waves):
        jobs = [Run(variant, seed, rates[variant.loss, variant.generator], data) for variant, seed in wave
                if not results.has(str(variant), seed)]
        updates = together(jobs, updates, 0.0 if number else seconds, results, "test")


if __name__ == "__main__":
    main()
