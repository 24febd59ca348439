"""What the commands of `cli` do. They print results and raise on bad input; `cli` reports that."""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import torch
from tqdm import tqdm

from colorlib import metrics
from colorlib.color import rgb_to_grey, rgb_to_lab
from colorlib.colorizer import Colorizer, ColorizerError, Settings
from colorlib.colorizer.folder import Batch, colorize_all, make_folder
from colorlib.discriminators import PatchDiscriminator
from colorlib.generators import Generator
from colorlib.losses import AdversarialLoss, LipschitzConstraint, Vanilla
from colorlib.photos import SPLITS, PhotoError, Source, is_grey, read_photo, scan, split_of
from colorlib.runtime import device, seed_everything
from colorlib.training import History, fit
from colorlib.training.weights import read_tensors

Item = TypeVar("Item")
MEASURES = ("psnr", "ssim", "auc", "delta_e", "colourfulness")
SMALLEST = 11  # pixels: the window of SSIM


# ---------------------------------------------------------------------------------------------- colorize


def colorize_photos(batch: Batch, colorizer: Colorizer, settings: Settings) -> list[str]:
    """Colour every photograph that can be opened, and say where each result is.

    Returns:
        One message for each photograph that was not coloured.
    """
    errors = []
    for path, outcome in _progress(colorize_all(batch, colorizer, settings), len(batch.photos)):
        if isinstance(outcome, str):
            errors.append(outcome)
        else:
            tqdm.write(f"{path} -> {outcome}")
    return errors


def read_settings(path: Path) -> Settings:
    """Settings from a JSON file.

    Raises:
        ValueError: see `Settings.from_json`; the message names the file.
    """
    try:
        return Settings.from_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


# ------------------------------------------------------------------------------------------------- train


@dataclass(frozen=True)
class Game:
    """What stands against the generator, as `fit` takes it; without a discriminator, L1 alone."""

    discriminator: PatchDiscriminator | None = None
    adversarial: AdversarialLoss = Vanilla()
    lipschitz: LipschitzConstraint | None = None
    n_critic: int = 1


@dataclass(frozen=True)
class Run:
    """A training run on a folder of photographs, whatever the recipe.

    `repeat` says how often the photographs of a folder below `photos` are shown.
    """

    photos: Path
    out: Path
    num_steps: int
    size: int
    seed: int
    repeat: dict[str, int] = field(default_factory=dict)
    resume: bool = False
    force: bool = False

    def description(self) -> dict[str, str]:
        """What goes into the weights file; a resumed run must have the same."""
        times = ", ".join(f"{folder}={times}" for folder, times in sorted(self.repeat.items()))
        return {"size": str(self.size), "seed": str(self.seed), "repeat": times or "none"}


@dataclass(frozen=True)
class Plan:
    """What `fit` trains in a run; `names` goes into the run's description."""

    names: dict[str, str]
    build: Callable[[], Generator]
    build_game: Callable[[], Game]
    batch_size: int
    lambda_l1: float
    lr: float


def train_on_photos(run: Run, plan: Plan) -> History:
    """Train on the training split of a folder.

    Raises:
        ValueError: photographs or `out` that cannot be used, or a run that does not fit the one to resume.
    """
    batches, metadata = _start(run, plan.batch_size, plan.names | run.description())
    with _memory_for(run.size):
        generator, game = plan.build(), plan.build_game()
        return fit(
            generator, batches, num_steps=run.num_steps, lr=plan.lr, lambda_l1=plan.lambda_l1,
            discriminator=game.discriminator, adversarial=game.adversarial, lipschitz=game.lipschitz,
            n_critic=game.n_critic, out=run.out, resume=run.resume, metadata=metadata, progress=sys.stderr.isatty(),
        )


def train_colorizer(run: Run) -> tuple[History, int]:
    """Train the colorizer that ships: see `training.recipe`.

    Returns:
        The History, and the step at which the run is.

    Raises:
        ValueError: as `train_on_photos`.
    """
    from colorlib.training.recipe import Recipe
    from colorlib.training.recipe_training import Training

    recipe = Recipe.of_length(run.num_steps, size=run.size, seed=run.seed)
    # the lengths of the two phases depend on the number of steps, so a resumed run must have the same
    description = {"recipe": "colorizer", "steps": str(run.num_steps)} | run.description()
    batches, metadata = _start(run, recipe.batch_size, description)
    with _memory_for(run.size):
        training = Training(recipe, batches, run.out, metadata, device())
        if run.resume:
            training.load()
        return training.run(progress=sys.stderr.isatty()), training.step


def _start(
    run: Run, batch_size: int, description: dict[str, str]
) -> tuple[Iterator[tuple[torch.Tensor, torch.Tensor]], dict[str, str]]:
    """Batches of the training split, and the metadata of the weights: the description and the render size."""
    _check_run(run, description)
    short_side = math.ceil(1.25 * run.size)  # what the crops are cut from, and so the scale that is learned
    files: dict[str, list[Path]] = {split: [] for split in SPLITS}
    for path in scan(run.photos):
        files[split_of(path)].append(path)
    for folder, times in run.repeat.items():
        again = [path for path in files["train"] if path.is_relative_to(run.photos / folder)]
        if not again:
            raise ValueError(f"--repeat {folder}={times}: {run.photos / folder} holds no photographs of the training split; "
                             f"name a folder below {run.photos}")
        files["train"] += again * (times - 1)
    data = Source(str(run.photos.resolve()), short_side, files)
    print(data.note)
    for error in data.errors:
        print(f"left out: {error}", file=sys.stderr)
    seed_everything(run.seed)
    batches = data.batches("train", run.size, batch_size, run.seed, device())
    make_folder(run.out)
    return batches, {**description, "render_size": str(short_side)}


@contextmanager
def _memory_for(size: int) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ValueError(f"not enough memory on {device()} for crops of {size} pixels: "
                         "take a smaller --size") from error


def _check_run(run: Run, description: dict[str, str]) -> None:
    out, there = run.out, (run.out / "checkpoint.safetensors").is_file()
    if not run.resume:
        if there and not run.force:
            raise ValueError(f"{out} holds a run already: go on by --resume, or replace it by --force")
        return
    if not there:
        raise ValueError(f"{out} holds no checkpoint to resume: leave --resume out to start a run")
    _, before = read_tensors(out / "weights.safetensors")
    for name, value in description.items():
        if before.get(name) != value:
            raise ValueError(f"{out} was trained with --{name} {before.get(name)}, this command says "
                             f"{value}: give the same, or another --out")


# ---------------------------------------------------------------------------------------------- evaluate


@dataclass
class Evaluation:
    """Means over photographs. `zero_line` is the grey photograph's; `bad` and `num_grey` were left out."""

    means: dict[str, float]
    zero_line: dict[str, float]
    num_photos: int
    num_grey: int
    bad: dict[str, str]  # name in the folder -> what is wrong

    def write(self, path: Path) -> None:
        """Write the numbers as JSON, whole or not at all; an infinite PSNR (equal photographs) as null."""
        left_out = {"grey": self.num_grey, "bad": sorted(self.bad)}
        result = {**self.means, "photos": self.num_photos, "left_out": left_out, "zero_line": self.zero_line}
        finite = {name: None if value == math.inf else value for name, value in result.items()}
        handle, part = tempfile.mkstemp(prefix=".colorlib-", suffix=".part", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(json.dumps(finite, indent=2, allow_nan=False) + "\n")
            os.chmod(part, 0o644)  # mkstemp makes files that only their owner reads
            os.replace(part, path)
        except BaseException:
            os.unlink(part)
            raise

    def table(self) -> str:
        rows = [f"{'':10}" + "".join(f"{name:>14}" for name in MEASURES)]
        for label, row in (("grey", self.zero_line), ("colorized", self.means)):
            rows.append(f"{label:10}" + "".join(f"{row[name]:14.3f}" for name in MEASURES))
        rows.append(f"{'real':10}{self.means['colourfulness_real']:{14 * len(MEASURES)}.3f}")
        left_out = f"{self.num_grey} grey, {len(self.bad)} that cannot be used"
        return "\n".join([*rows, f"{self.num_photos} photographs; left out: {left_out}"])


def evaluate_photos(photos: Path, split: str, colorizer: Colorizer, decode: str) -> Evaluation:
    """Colour the photographs of a folder from their L and compare with their own colours, at full size.

    Args:
        split: "all" or "test".

    Raises:
        ValueError: the folder holds no colour photograph of that split, or the colorizer cannot colour one.
    """
    paths = [path for path in scan(photos) if split == "all" or split_of(path) == split]
    colored_rows, grey_rows, bad, num_grey = [], [], {}, 0
    for path in _progress(paths, len(paths)):
        try:
            real = read_photo(path).rgb
            if min(real.shape[-2:]) < SMALLEST:
                raise PhotoError(path, f"has {real.shape[2]} x {real.shape[1]} pixels",
                                 f"SSIM needs {SMALLEST} x {SMALLEST}")
            if is_grey(real):
                num_grey += 1
                continue
            colored = colorizer.colorize(real, decode=decode)
        except PhotoError as error:
            bad[path.relative_to(photos).as_posix()] = str(error)
            continue
        except ColorizerError as error:
            raise ValueError(f"{path}: {error}") from error
        colored_rows.append({**_measure(colored, real), "colourfulness_real": metrics.colourfulness(real)})
        grey_rows.append(_measure(rgb_to_grey(real), real))
    if not colored_rows:
        raise ValueError(f"{photos}: no colour photograph to measure in split {split} "
                         f"({len(paths)} files, {num_grey} grey, {len(bad)} that cannot be used)")
    return Evaluation(_means(colored_rows), _means(grey_rows), len(colored_rows), num_grey, bad)


def _measure(rgb: torch.Tensor, real: torch.Tensor) -> dict[str, float]:
    return {
        "psnr": metrics.psnr(rgb, real),
        "ssim": metrics.ssim(rgb, real),
        "auc": metrics.auc(rgb_to_lab(rgb)[1:], rgb_to_lab(real)[1:]),
        "delta_e": metrics.delta_e(real, rgb),
        "colourfulness": metrics.colourfulness(rgb),
    }


def _means(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}


def _progress(items: Iterable[Item], total: int) -> Iterable[Item]:
    return tqdm(items, total=total, desc="photographs", unit="", disable=total < 2 or not sys.stderr.isatty())
