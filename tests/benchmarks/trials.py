"""Other ways to pretrain the colorizer that ships, at equal time: what else to teach the encoder, what to predict, which photographs.

    OMP_NUM_THREADS=1 python tests/benchmarks/trials.py --photos DIR [--seconds 240]

Each variant changes one thing of the pretraining of `training.recipe` (EfficientNet-Lite0 under a decoder, distance of ab and
0.05 times the cross-entropy of the bins, hints on half of the pictures):

    recipe, 1e-3     another learning rate than 3e-3, which was chosen for 384 pictures in a step, not for 16
    equal groups     every group of photographs equally often, instead of every photograph
    teacher          the encoder's last features of L are also drawn to those of a frozen copy, which is given the colours
    sources          the folder that the photograph comes from is a class, and a second task
    bins             the bins are the answer, rare colours count more, no distance of ab (Zhang et al. 2016, sections 2.2 and 2.3)

The clock is processor time of one thread in training steps and in making their batches. DIR is a folder or a list, as for
`colorlib train`; the groups are by name (GROUPS below). Every fourth training photograph is used. Measured on 120 validation photographs
of each group, squares of 64 pixels, with the moving average of the weights. Interrupted, the same command goes on with
the next variant. Writes colorizer_trials.json into COLORLIB_RESULTS (else build/results).
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlib import metrics
from colorlib.color import AB_SCALE, L_ab_to_rgb8, bins, rgb_to_L_ab
from colorlib.course.seeds import seeded
from colorlib.files import write_json
from colorlib.generators import predict
from colorlib.generators.pretrained_unet import SameConv
from colorlib.photos.batches import is_grey
from colorlib.photos.read import read_small
from colorlib.photos.sources import scan_splits
from colorlib.runtime import machine, results_dir
from colorlib.training.augment import aged, random_hints, windows
from colorlib.training.palette import palette_code, prior_loss, z_mean
from colorlib.training.recipe import Networks, Recipe, distance, imagenet_weights, one_cycle

GROUPS = {"faces": ("utkface", "lfw"), "people": ("lsp_sport_people", "fashion_ccp", "people_masks"),
          "rooms": ("places_people", "places_home_street"), "landscapes": ("landscapes",)}  # the rest are things
VARIANTS = ("recipe", "recipe, 1e-3", "equal groups", "teacher", "sources", "bins")
SIZE, BATCH_SIZE, EVERY, NUM_VALIDATION, TEMPERATURE = 64, 16, 4, 120, 0.38


def folders_of(path: object) -> tuple[str, ...]:
    return path.parts[:-1]


def group_of(path: object) -> str:
    return next((group for group, names in GROUPS.items() if set(names) & set(folders_of(path))), "things")


def rarity(batches: list[Tensor]) -> Tensor:
    """Weights of the bins, of mean 1 over the photographs' colours: 1 / (half their share + half of an equal share)."""
    share = torch.zeros(bins.num_bins())
    for ab in batches:
        found, weight = bins.encode(ab)
        share.index_add_(0, found.flatten(), weight.flatten())
    share /= share.sum()
    weights = 1 / (0.5 * share + 0.5 / len(share))
    return weights / (weights * share).sum()


def expected(logits: Tensor, size: int) -> Tensor:
    """The annealed mean of the bins (B, Q, h, w), enlarged: ab (B, 2, size, size), scaled."""
    ab = torch.einsum("bqhw,qc->bchw", (logits / TEMPERATURE).softmax(1), bins.centres().to(logits) / AB_SCALE)
    return F.interpolate(ab, size=(size, size), mode="bilinear")


def square(photo: Tensor, random: torch.Generator | None) -> Tensor:
    """A square of a photograph's whole short side, at a random place and half of them mirrored; without `random` the middle."""
    height, width = photo.shape[-2:]
    side = min(height, width)
    down, across, mirror = torch.rand(3, generator=random).tolist() if random is not None else (0.5, 0.5, 1.0)
    top, left = int(down * (height - side + 1)), int(across * (width - side + 1))
    cut = photo[:, top:top + side, left:left + side]
    return cut.flip(2) if mirror < 0.5 else cut


class Teacher(nn.Module):
    """The encoder with its ImageNet weights and three channels, frozen: (B, 3, S, S) in [-1, 1] -> its last features."""

    def __init__(self, recipe: Recipe, weights: dict[str, Tensor]) -> None:
        super().__init__()
        network = Networks(recipe, dict(weights)).generator
        network.stem[0] = SameConv(3, network.stem[0].out_channels, 3, 2)
        network.stem[0].weight.data.copy_(next(iter(weights.values())))
        self.layers = nn.Sequential(network.stem, *network.stages).eval().requires_grad_(False)

    def forward(self, rgb: Tensor) -> Tensor:
        return self.layers(rgb)


def train(variant: str, seconds: float, photos: list[Tensor], groups: list[str], sources: list[str],
          rare: Tensor) -> tuple[nn.Module, int]:
    """The average after so many seconds of the processor, and the number of steps."""
    recipe = Recipe.of_length(10, size=SIZE, batch_size=BATCH_SIZE)
    lr = 1e-3 if variant == "recipe, 1e-3" else recipe.lr
    networks = seeded(0, lambda: Networks(recipe, imagenet_weights()))
    generator, random = networks.generator.train(), torch.Generator().manual_seed(0)
    seen: list[Tensor] = []
    generator.stages[-1].register_forward_hook(lambda layer, given, features: seen.append(features))
    teacher = Teacher(recipe, imagenet_weights()) if variant == "teacher" else None
    names = sorted(set(sources))
    classify = nn.Linear(320, len(names)) if variant == "sources" else None
    encoder = generator.encoder_parameters()
    others = [weight for weight in generator.parameters() if all(weight is not other for other in encoder)]
    others += list(classify.parameters()) if classify else []
    optimizer = torch.optim.AdamW([{"params": others, "rate": 1.0}, {"params": encoder, "rate": recipe.encoder_rate}],
                                  lr, (0.9, 0.99), weight_decay=recipe.weight_decay, fused=True)
    numbers = np.arange(len(photos))
    if variant == "equal groups":
        of_group = [numbers[np.array(groups) == group] for group in sorted(set(groups))]
        most = max(map(len, of_group))
        numbers = np.concatenate([np.resize(some, most) for some in of_group])
    steps, started = 0, time.process_time()
    while (used := time.process_time() - started) < seconds:
        for group in optimizer.param_groups:
            group["lr"] = lr * group["rate"] * one_cycle(used / seconds)
        picked = torch.from_numpy(numbers)[torch.randint(len(numbers), (BATCH_SIZE,), generator=random)].tolist()
        L, ab = rgb_to_L_ab(torch.stack([square(photos[k], random) for k in picked]))
        L, ab = windows(L, ab, recipe.sizes[steps % len(recipe.sizes)], recipe.window, recipe.warped, random)
        hints = random_hints(ab, recipe.hinted, random)
        seen.clear()
        prediction = generator(aged(L, recipe.aged, random), hints=hints, z=z_mean(len(L)))
        loss = recipe.lambda_prior * prior_loss(prediction.code, palette_code(L, ab, prediction.ab.detach()))
        if variant == "bins":
            found, weight = bins.encode(F.interpolate(ab, prediction.bins.shape[-2:], mode="area"))
            likely = prediction.bins.log_softmax(1).gather(1, found)
            loss = loss - (likely * weight * rare[found]).sum(1).mean()
        else:
            loss = loss + distance(prediction.ab, ab) + recipe.lambda_bins * bins.cross_entropy(prediction.bins, ab)
        if teacher is not None:
            wanted = teacher(L_ab_to_rgb8(L, ab).float() / 127.5 - 1)
            loss = loss + 0.1 * (1 - F.cosine_similarity(seen[0], wanted, dim=1).mean())
        if classify is not None:
            loss = loss + 0.02 * F.cross_entropy(classify(seen[0].mean((2, 3))), torch.tensor([names.index(sources[k]) for k in picked]))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(generator.parameters(), recipe.clip)
        optimizer.step()
        networks.average.update_parameters(generator)
        steps += 1
    return networks.average.module, steps


@torch.no_grad()
def measure(network: nn.Module, pictures: dict[str, tuple[Tensor, Tensor]], by_bins: bool) -> dict:
    """AuC and colourfulness, in per cent of the real, of each group."""
    found = {}
    for group, (L, ab) in pictures.items():
        prediction = predict(network, L, z=z_mean(len(L)))
        fake = expected(prediction.bins, L.shape[-1]) if by_bins else prediction.ab
        given, real = (list(map(metrics.colourfulness, L_ab_to_rgb8(L, colors))) for colors in (fake, ab))
        found[group] = {"auc": round(metrics.auc(fake * AB_SCALE, ab * AB_SCALE), 3),
                        "colourfulness": round(100 * sum(given) / sum(real), 1)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", required=True, help="a folder, or a list of files")
    parser.add_argument("--seconds", type=float, default=240.0, help="of the processor, for each variant")
    options = parser.parse_args()
    torch.set_num_threads(1)
    path = results_dir() / "colorizer_trials.json"
    result = json.loads(path.read_text()) if path.is_file() else {}
    result |= {"command": "OMP_NUM_THREADS=1 python tests/benchmarks/trials.py --photos DIR", "seconds": options.seconds,
               "machine": machine(), "clock": "processor seconds of one thread", "size": SIZE, "batch_size": BATCH_SIZE,
               "measured": f"mean decoding, {NUM_VALIDATION} validation photographs of each group, {SIZE} x {SIZE}"}
    files = scan_splits(options.photos)
    short_side = Recipe.of_length(10, size=SIZE).short_side
    photos, groups, sources = [], [], []
    for number in range(0, len(files["train"]), EVERY):
        one = files["train"][number]
        photo = read_small(one, short_side)
        if not is_grey(photo):
            photos.append(photo), groups.append(group_of(one)), sources.append(folders_of(one)[-1])
    pictures = {}
    held_out = [files["validation"][k] for k in np.random.default_rng(0).permutation(len(files["validation"]))]
    for group in (*GROUPS, "things"):
        found = (read_small(one, SIZE) for one in held_out if group_of(one) == group)
        some = [square(photo, None) for _, photo in zip(range(NUM_VALIDATION), (p for p in found if not is_grey(p)))]
        pictures[group] = rgb_to_L_ab(torch.stack(some))
    result |= {"photographs": len(photos), "grey": {group: {"auc": round(metrics.auc(0 * ab, ab * AB_SCALE), 3)}
                                                    for group, (_, ab) in pictures.items()}}
    rare = rarity([rgb_to_L_ab(F.interpolate(square(photo, None)[None].float(), size=16, mode="area").byte())[1] for photo in photos[::8]])
    for variant in VARIANTS:
        if variant not in result.setdefault("variants", {}):
            network, steps = train(variant, options.seconds, photos, groups, sources, rare)
            result["variants"][variant] = {"steps": steps, "groups": measure(network, pictures, variant == "bins")}
            write_json(path, result)
            print(variant, json.dumps(result["variants"][variant]), flush=True)


if __name__ == "__main__":
    main()
