"""What the commands of `cli` do. They print results and raise on bad input; `cli` reports that."""

import math
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from glob import glob
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import torch
from tqdm import tqdm

from colorlib import metrics, processes
from colorlib.color import rgb_to_grey, rgb_to_lab
from colorlib.colorizer import Colorizer, ColorizerError, Settings
from colorlib.colorizer.folder import Batch, colorize_one, make_folder
from colorlib.discriminators import Critic, PatchDiscriminator
from colorlib.files import fingerprint
from colorlib.generators import ResidualUNet, UNet
from colorlib.losses import GradientPenalty, Wasserstein
from colorlib.photos import PhotoError, Source, crop_side, is_grey, read_photo, scan, scan_splits
from colorlib.runtime import device, is_out_of_memory, seed_everything
from colorlib.training import History, fit
from colorlib.training.loop import checkpoints, described
from colorlib.training.recipe import Recipe, imagenet_weights, train_colorizer

MEASURES = ("psnr", "ssim", "auc", "delta_e", "colourfulness")


def colorize_photos(batch: Batch, colorizer: Colorizer, settings: Settings) -> list[str]:
    """Colour every photograph that can be opened, and print where each result is; a message for each of the others."""
    errors = []
    make_folder(batch.folder)
    for path in _progress(batch.photos):
        outcome, notes = colorize_one(batch, colorizer, settings, path)
        if isinstance(outcome, str):
            errors.append(outcome)
        else:
            tqdm.write(f"{path} -> {outcome}" + f" ({'; '.join(notes)})" * bool(notes))
    return errors


def named(paths: Iterable[Path], output: Path) -> list[Path]:
    """The photographs that a command line names: patterns that the shell left (Windows), quotes that were pasted with a
    name, and folders, of which `output` is left out. What names nothing is kept, so that it is reported."""
    found: list[Path] = []
    for path in paths:
        matches = [path]
        with suppress(PhotoError):  # a folder without photographs
            if not os.path.lexists(path):
                bare = Path(str(path).strip("\"' ")).expanduser()
                matches = sorted(map(Path, glob(str(bare)))) if "*" in bare.name or "?" in bare.name else [bare]
            elif path.is_dir():
                results = Path(os.path.abspath(output))
                matches = [photo for photo in scan(path) if results not in Path(os.path.abspath(photo)).parents]
        found += matches or [path]
    return found


# the recipes for `fit`: pix2pix at a size for 96 x 96 crops; and one to see in a minute that everything works
RECIPES = {
    "default": {"loss": "pix2pix", "base_channels": 32, "levels": 5, "dropout": 0.5, "receptive_field": 34,
                "n_critic": 5, "lr": 2e-4, "batch_size": 16},
    "tiny": {"loss": "l1", "base_channels": 8, "levels": 4, "dropout": 0.0, "receptive_field": 16,
             "n_critic": 2, "lr": 1e-3, "batch_size": 8},
}


class Run(SimpleNamespace):
    """A training run: the options of `cli.train`, by name; None is the recipe's value. ValueError: they do not fit."""

    data: Source | None = None  # the photographs, once they are decoded

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        if self.resume and self.force:
            raise ValueError("--resume goes on with a run and --force replaces it: give one of them")
        if self.recipe == "colorizer" and (self.loss or self.generator):
            raise ValueError("--recipe colorizer has its own loss and network: leave --loss and --generator out")
        if self.lr is not None and not 0 < self.lr < 1:
            raise ValueError(f"--lr is {self.lr}; it must be above 0 and below 1")

    def describe(self, **numbers: object) -> dict[str, str]:
        """What goes into the weights file; a resumed run must have the same."""
        return {name: str(value) for name, value in {**numbers, "recipe": self.recipe, "seed": self.seed}.items()}


def train_on_photos(run: Run) -> History:
    """Train on the training split of a folder: by `fit`, or by `training.recipe` for the recipe "colorizer".

    ValueError: photographs or `out` that cannot be used, or a run that does not fit the one to resume.
    """
    if run.recipe == "colorizer" and run.encoder_weights == "imagenet":
        imagenet_weights()  # an error now, not after the photographs are decoded
    history = _within_memory(run)
    if history is not None:
        _name_left_out(run)
        return history
    advice = "take a smaller --batch-size or --size"
    if processes.share()[1] == 1:  # else the other processes would take no part in the measurement
        advice = _what_fits(run)
    raise ValueError(f"not enough memory on {device()} for a batch of {run.batch_size}: {advice}")


def _within_memory(run: Run) -> History | None:
    """Train; None where memory is too short. All tensors of the step are free then."""
    try:
        return (_train_colorizer if run.recipe == "colorizer" else _fit)(run)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    return None


def _what_fits(run: Run) -> str:
    """Which smaller batch fits, by a trial."""
    size = run.batch_size
    while (size := size // 2) >= 4:
        with TemporaryDirectory() as out, suppress(ValueError):  # it cannot be cut into the parts
            if _within_memory(Run(**{**vars(run), "batch_size": size, "steps": 10, "out": Path(out), "resume": False})):
                return f"--batch-size {size} fits, by 10 steps"
    return "no smaller one fits, take a smaller --size"


def _name_left_out(run: Run) -> None:
    """Write the files that no process could use while it streamed to left_out.txt, and say how many there are."""
    from accelerate.utils import gather_object  # imported already: it trained

    path = run.out / "left_out.txt"
    before = path.read_text(encoding="utf-8").splitlines() if run.resume and path.is_file() else []
    found = gather_object([" ".join(str(error).split()) for error in run.data.left_out()])
    if lines := sorted({*before, *found}):
        if processes.share()[0] == 0:
            path.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="backslashreplace")
        print(f"left out: {len(lines):,} files, named in {path}", file=sys.stderr)


def _fit(run: Run) -> History:
    numbers, size = RECIPES[run.recipe], run.size or 96
    loss, network = run.loss or numbers["loss"], run.generator or "unet"
    run.batch_size = run.batch_size or numbers["batch_size"]
    description = run.describe(loss=loss, generator=network, size=size, batch_size=run.batch_size)
    short_side = crop_side(size)  # what the crops are cut from, and so the scale that is learned
    part = _part(run, run.batch_size)
    batches = _photographs(run, short_side, description).batches("train", size, part, run.seed, device())
    if network == "unet":
        generator = UNet(base_channels=numbers["base_channels"], levels=numbers["levels"], dropout=numbers["dropout"])
    else:
        generator = ResidualUNet(base_channels=numbers["base_channels"])
    adversary = {}
    if loss == "pix2pix":
        adversary = {"discriminator": PatchDiscriminator(receptive_field=numbers["receptive_field"])}
    elif loss == "wgan-gp":
        adversary = {"discriminator": Critic(receptive_field=numbers["receptive_field"]), "adversarial": Wasserstein(),
                     "lipschitz": GradientPenalty(), "n_critic": numbers["n_critic"]}
    return fit(generator, batches, num_steps=run.steps, lr=run.lr or numbers["lr"], **adversary, out=run.out,
               resume=run.resume, checkpoint_every=run.every, precision=run.precision, accumulate=run.accumulate,
               compile=run.compile, tracker=run.track,
               metadata={**description, "render_size": str(short_side)}, progress=sys.stderr.isatty())


def _train_colorizer(run: Run) -> History:
    run.batch_size = run.batch_size or (384 if device().type == "cuda" else 16)
    recipe = Recipe.of_length(run.steps, size=run.size or 128, batch_size=run.batch_size,
                              imagenet=run.encoder_weights == "imagenet", seed=run.seed, scale=(run.lr or 3e-3) / 3e-3)
    # the lengths of the two phases depend on the number of steps, so a resumed run must have the same
    description = run.describe(steps=run.steps, size=recipe.sizes[0], batch_size=recipe.batch_size,
                               encoder_weights=run.encoder_weights)
    _part(run, recipe.batch_size), _part(run, recipe.adversarial_batch_size)
    data = _photographs(run, recipe.short_side, description)
    return train_colorizer(
        recipe, lambda number: data.batches("train", recipe.short_side, number, run.seed, device(), zoom=1.0), run.out,
        metadata=description, resume=run.resume, every=run.every, progress=sys.stderr.isatty(), precision=run.precision,
        accumulate=run.accumulate, compile=run.compile, tracker=run.track)


def _part(run: Run, batch_size: int) -> int:
    """How many pictures all processes compute at once: a batch, or one of its parts."""
    _, number = processes.share()
    each, rest = divmod(batch_size, number * run.accumulate)
    colorizer = run.recipe == "colorizer"
    if rest or colorizer and each < 4:
        third = ", of which two thirds are a multiple too, and at least 4 for each" * colorizer
        raise ValueError(f"a batch of {batch_size} cannot be shared by {number} processes in {run.accumulate} parts: "
                         f"take another --batch-size{third}")
    return batch_size // run.accumulate


def _photographs(run: Run, short_side: int, description: dict[str, str]) -> Source:
    """The photographs to train on, once it is known that the run can be kept in its folder; adds their fingerprint to
    the description."""
    if run.data is not None:
        return run.data
    there = bool(checkpoints(run.out))
    if there and not (run.resume or run.force):
        raise ValueError(f"{run.out} holds a run already: go on by --resume, or replace it by --force")
    if run.resume and not there:
        raise ValueError(f"{run.out} holds no checkpoint to resume: leave --resume out to start a run")
    before = described(run.out) if run.resume else description
    for name, value in description.items():
        if before.get(name) != value:
            raise ValueError(f"{run.out} was trained with --{name.replace('_', '-')} {before.get(name)}, this command "
                             f"has {value}: give the same, or another --out")
    files = scan_splits(run.photos)
    description["photographs"] = f"{fingerprint(files['train'], files['train'].root)} of {len(files['train']):,}"
    if run.resume and before.get("photographs") != description["photographs"]:
        raise ValueError(f"{run.photos} holds other photographs than {run.out} was trained on: by names and sizes "
                         f"{description['photographs']}, before {before.get('photographs')}; give those, or another --out")
    data = Source(str(run.photos.resolve()), short_side, files, run.workers)
    processes.join()
    data.streamed = processes.any_of(data.streamed)  # by their free memory, which changes, they could differ
    if not data.streamed:
        data.train  # noqa: B018 (decoded now, so that bad files are reported before the first step)
    number = processes.share()[1]
    if number > 1:
        print(f"training in {number} processes, which share every batch")
    print(data.note)
    for error in data.errors:
        print(f"left out: {error}", file=sys.stderr)
    seed_everything(run.seed)
    make_folder(run.out)
    run.data = data
    return data


def evaluate_photos(photos: Path, split: str, colorizer: Colorizer, decode: str) -> tuple[dict, list[str]]:
    """Colour the photographs of a split ("all" or "test") from their L, at full size; compare with the real colours.

    Returns what goes into the JSON file: means over photographs, an infinite PSNR (equal photographs) as None; those of
    the grey photographs as "zero_line". And one message for each photograph that cannot be used. ValueError: the folder
    holds no colour photograph of that split, or the colorizer cannot colour one.
    """
    paths = scan(photos) if split == "all" else scan_splits(photos)[split]
    colored_rows, grey_rows, bad, num_grey = [], [], {}, 0
    for path in _progress(paths):
        try:
            real = read_photo(path).rgb
            if is_grey(real):
                num_grey += 1
                continue
            colored = _measure(colorizer.colorize(real, decode=decode), real)
            grey_rows.append(_measure(rgb_to_grey(real), real))
            colored_rows.append({**colored, "colourfulness_real": metrics.colourfulness(real)})
        except ValueError as error:  # a PhotoError, or it is smaller than SSIM's window
            message = str(error) if isinstance(error, PhotoError) else f"{path}: {error}"
            bad[str(path).removeprefix(str(photos)).lstrip("/\\")] = message
        except ColorizerError as error:
            raise ValueError(f"{path}: {error}") from error
    if not colored_rows:
        raise ValueError(f"{photos}: no colour photograph to measure in split {split} "
                         f"({len(paths)} files, {num_grey} grey, {len(bad)} that cannot be used)")
    return {**_means(colored_rows), "photos": len(colored_rows), "left_out": {"grey": num_grey, "bad": sorted(bad)},
            "zero_line": _means(grey_rows)}, list(bad.values())


def table(result: dict) -> str:
    """What `evaluate_photos` found, for reading."""
    rows = [f"{'':10}" + "".join(f"{name:>14}" for name in MEASURES)]
    for label, row in (("grey", result["zero_line"]), ("colorized", result)):
        values = (math.inf if row[name] is None else row[name] for name in MEASURES)
        rows.append(f"{label:10}" + "".join(f"{value:14.3f}" for value in values))
    left_out = f"{result['left_out']['grey']} grey, {len(result['left_out']['bad'])} that cannot be used"
    return "\n".join([*rows, f"{'real':10}{result['colourfulness_real']:{14 * len(MEASURES)}.3f}",
                      f"{result['photos']} photographs; left out: {left_out}"])


def _measure(rgb: torch.Tensor, real: torch.Tensor) -> dict[str, float]:
    return {"psnr": metrics.psnr(rgb, real), "ssim": metrics.ssim(rgb, real),
            "auc": metrics.auc(rgb_to_lab(rgb)[1:], rgb_to_lab(real)[1:]), "delta_e": metrics.delta_e(real, rgb),
            "colourfulness": metrics.colourfulness(rgb)}


def _means(rows: list[dict[str, float]]) -> dict[str, float | None]:
    means = {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}
    return {name: None if mean == math.inf else mean for name, mean in means.items()}


def _progress(paths: Sequence[Path]) -> Iterable[Path]:
    return tqdm(paths, desc="photographs", unit="", disable=len(paths) < 2 or not sys.stderr.isatty())
