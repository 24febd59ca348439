"""Trains the showcases (colorlib.course.showcase): on a GPU all at once, on a CPU one after the other.

    python -m colorlib.course.long.showcases --out runs/showcases [--only 03_digits] [--seconds 150] [--seed 0]

Writes NAME.safetensors and NAME.json (steps, seconds, what was measured on held-out pictures).
"""

import copy
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from colorlib.color import AB_SCALE
from colorlib.course import scenes
from colorlib.course.results import arguments
from colorlib.course.showcase import NAMES, NoiseToPicture, one_hot
from colorlib.discriminators import PatchDiscriminator
from colorlib.files import write_json
from colorlib.generators import ResidualUNet, UNet
from colorlib.runtime import device, machine, seed_everything
from colorlib.training.weights import save_weights

TRANSLATIONS = {"04_edges": scenes.edges_to_scene, "04_labels": scenes.labels_to_scene, "04_night": scenes.day_to_night,
                "04_grey": scenes.grey_to_color, "06_scenes": scenes.grey_to_color}
SIZE, SCENE_SEEDS = 96, {"train": 0, "test": 1 << 41}  # no scene is in both
Batch = Callable[[Tensor], tuple[Tensor, Tensor]]


def digits(split: str) -> tuple[Tensor, Tensor]:
    """scikit-learn's digits, enlarged: pictures (N, 1, 16, 16) in [-1, 1] and labels; every fifth is "test"."""
    from sklearn.datasets import load_digits

    found = load_digits()
    pictures = F.interpolate(torch.tensor(found.images)[:, None].float() / 8 - 1, (16, 16), mode="bicubic").clamp(-1, 1)
    chosen = (torch.arange(len(pictures)) % 5 == 0) == (split == "test")
    return pictures[chosen].to(device()), torch.tensor(found.target)[chosen].to(device())


def data(name: str, num: int, split: str) -> tuple[int, Batch]:
    """How many pictures a split has, and a function from their numbers to condition (label or picture) and target."""
    if name not in NAMES:
        raise ValueError(f"--only is {name!r}: choose one of {', '.join(NAMES)}")
    if name not in TRANSLATIONS:
        pictures, label = digits(split)
        return len(pictures), lambda i: (label[i], pictures[i])
    drawn = {key: part.to(device()) for key, part in vars(scenes.render(num, SIZE, seed=SCENE_SEEDS[split])).items()}
    return num, lambda i: TRANSLATIONS[name](scenes.Scenes(**{key: part[i] for key, part in drawn.items()}))


class DigitDiscriminator(nn.Module):
    """discriminator(label, picture) -> (B, 1), for 16 x 16; the label's part is the product of its weights and the
    features (Miyato and Koyama 2018, projection discriminator). Pictures are shifted at random, since there are few."""

    def __init__(self, num_labels: tuple[int, ...], width: int = 24) -> None:
        super().__init__()
        self.num_labels = num_labels
        widths = [(1, width, 3, 1), (width, 2 * width, 4, 2), (2 * width, 2 * width, 3, 1),
                  (2 * width, 4 * width, 4, 2), (4 * width, 4 * width, 3, 1)]
        self.layers = nn.Sequential(*(part for given, made, side, stride in widths for part in (
            nn.Conv2d(given, made, side, stride, padding=1), nn.LeakyReLU(0.2))))
        self.last = nn.Conv2d(4 * width + 1, 4 * width, 3, padding=1)
        self.value = nn.Linear(64 * width, 1)
        self.of_label = nn.Linear(sum(num_labels), 64 * width) if num_labels else None

    def forward(self, label: Tensor, x: Tensor) -> Tensor:
        move = torch.eye(2, 3, device=x.device).repeat(len(x), 1, 1)
        move[:, :, 2] = torch.rand(len(x), 2, device=x.device) * 0.5 - 0.25
        grid = F.affine_grid(move, list(x.shape), align_corners=False)
        x = F.grid_sample(x.float(), grid, padding_mode="border", align_corners=False)
        x = 2 * self.layers(x)  # a leaky ReLU loses some of the signal, and the norms of the layers are bounded
        spread = x.float().unflatten(0, (-1, 8)).std(1, correction=0)  # how much eight pictures differ, a channel more
        spread = spread.mean((1, 2, 3)).repeat_interleave(8)[:, None, None, None].expand(-1, 1, *x.shape[2:])
        x = F.leaky_relu(self.last(torch.cat([x, spread.to(x)], 1)), 0.2).flatten(1)
        if self.of_label is None:
            return self.value(x)
        return self.value(x) + (self.of_label(one_hot(label, self.num_labels)) * x).sum(1, True)


def networks(name: str) -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator; every layer of the discriminator has its largest singular value divided out."""
    if name in TRANSLATIONS:
        condition, target = (part.shape[1] for part in TRANSLATIONS[name](scenes.render(1, 32)))
        generator = (ResidualUNet(base_channels=24, levels=4) if name == "06_scenes" else
                     UNet(condition, target, base_channels=14, levels=5, dropout=0.0))
        discriminator = PatchDiscriminator(target, condition, 34, base_channels=32, norm=nn.Identity)
    else:
        labels = (10,) if name == "03_digits" else ()
        generator, discriminator = NoiseToPicture([48, 32, 24], 1, num_labels=labels), DigitDiscriminator(labels)
    for layer in list(discriminator.modules()):
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.orthogonal_(layer.weight)
            norm = spectral_norm(layer).parametrizations.weight[0]
            norm.forward = torch.autocast("cuda", enabled=False)(norm.forward)  # 16 bits would not do for it
    return tuple(network.to(device(), memory_format=torch.channels_last) for network in (generator, discriminator))


def generate(generator: nn.Module, condition: Tensor) -> Tensor:
    """Pictures from noise and label, or a translation of the condition."""
    if not isinstance(generator, NoiseToPicture):
        return generator(condition).ab
    return generator(torch.randn(len(condition), generator.z_channels, device=condition.device), condition)


def train(name: str, seconds: float, seed: int, num: int) -> tuple[nn.Module, dict[str, object]]:
    """Hinge loss, and 10 times L1 for a translation; the learning rates fall in the second half. Returns the running
    average of the generator's weights, and a record."""
    seed_everything(seed)
    num, batch = data(name, num, "train")
    generator, discriminator = networks(name)
    average, on_gpu = copy.deepcopy(generator).requires_grad_(False), device().type == "cuda"
    batch_size, rates = (24 if on_gpu else 8, (4e-4, 4e-4)) if name in TRANSLATIONS else (64, (3e-4, 6e-4))
    optimizer_g, optimizer_d = (torch.optim.Adam(network.parameters(), lr, (0.0, 0.99), fused=True)
                                for network, lr in zip((generator, discriminator), rates))
    start, steps, done = time.perf_counter(), 0, 0.0
    while done < 1:
        for optimizer, lr in zip((optimizer_g, optimizer_d), rates):
            optimizer.param_groups[0]["lr"] = lr * min(1.0, 2.02 - 2 * done)
        condition, real = batch(torch.randint(num, (batch_size,), device=device()))
        with torch.autocast("cuda", torch.bfloat16, enabled=on_gpu):
            fake = generate(generator, condition)
            scores = discriminator(torch.cat([condition, condition]), torch.cat([real, fake.detach()])).float()
        of_real, of_fake = scores.chunk(2)
        loss_d = F.relu(1 - of_real).mean() + F.relu(1 + of_fake).mean()
        optimizer_d.zero_grad()
        loss_d.backward()
        optimizer_d.step()
        discriminator.requires_grad_(False)
        with torch.autocast("cuda", torch.bfloat16, enabled=on_gpu):
            loss_g = -discriminator(condition, fake).float().mean()
        loss_g = loss_g + 10 * (fake.float() - real).abs().mean() if name in TRANSLATIONS else loss_g
        optimizer_g.zero_grad()
        loss_g.backward()
        optimizer_g.step()
        discriminator.requires_grad_(True)
        torch._foreach_lerp_(list(average.parameters()), list(generator.parameters()), max(0.001, 10 / (steps + 10)))
        steps += 1
        if steps % 20 == 0:
            if not torch.isfinite(loss_d + loss_g):  # waits for the device, so that the time is right
                raise FloatingPointError(f"{name}: a loss is not finite at step {steps}")
            done = (time.perf_counter() - start) / seconds
    return settled(average, batch, num), {"steps": steps, "seconds": round(time.perf_counter() - start, 1)}


@torch.no_grad()
def settled(average: nn.Module, batch: Batch, num: int) -> nn.Module:
    """The averaged weights get the statistics of their own batch norms, then evaluation mode."""
    for norm in (layer for layer in average.modules() if isinstance(layer, nn.BatchNorm2d)):
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over the batches
    for _ in range(40):
        generate(average.train(), batch(torch.randint(num, (64,), device=device()))[0])
    return average.eval()


@torch.no_grad()
def measure(name: str, generator: nn.Module, num: int = 256) -> dict[str, float]:
    """On held-out pictures, with a baseline. A translation: its error and that of the mean training picture (distance
    of ab in CIE units, or mean difference of RGB in 8-bit steps). 03_digits: the share that a classifier trained on
    real digits gives the wanted label. 02_digits: mean distance of a held-out digit to the nearest of 1,437 drawn ones;
    the baseline is a normal distribution with the training digits' mean and covariance, "real" these digits."""
    torch.manual_seed(0)
    (known, batch), (held, batch_test) = data(name, 2 * num, "train"), data(name, num, "test")
    label, train_pictures = batch(torch.arange(known, device=device()))
    condition, target = batch_test(torch.arange(held, device=device()))
    if name in TRANSLATIONS:
        size = (lambda x: AB_SCALE * x.norm(dim=1).mean().item()) if target.shape[1] == 2 else (
            lambda x: 127.5 * x.abs().mean().item())
        mean = train_pictures.mean(0, keepdim=True)
        return {"error": size(generate(generator, condition) - target), "baseline": size(mean - target)}
    small, test = (F.avg_pool2d(x, 2).flatten(1).cpu() for x in (train_pictures, target))
    if name == "03_digits":
        from sklearn.svm import SVC

        classifier = SVC(C=10).fit(small, label.cpu())
        drawn = F.avg_pool2d(generate(generator, condition), 2).flatten(1).cpu()
        wanted = condition.cpu()
        return {"control": classifier.score(drawn, wanted), "baseline": 0.1, "real": classifier.score(test, wanted)}
    normal = torch.distributions.MultivariateNormal(small.mean(0), small.T.cov() + 1e-4 * torch.eye(64))
    baseline = normal.sample((known,)).clamp(-1, 1)
    drawn = F.avg_pool2d(generate(generator, label), 2).flatten(1).cpu()
    return {name: torch.cdist(test, x).min(1).values.mean().item()
            for name, x in (("distance", drawn), ("baseline", baseline), ("real", small))}


def main() -> None:
    given = arguments(__doc__, photographs=False, out=(Path("runs/showcases"), "folder"), only=("", "a single one"),
                      seconds=(150.0, "of training"), seed=(0, "of a run"), pictures=(8192, "scenes to train on"))
    given.out.mkdir(parents=True, exist_ok=True)
    if not given.only:
        command, started = [sys.executable, "-m", "colorlib.course.long.showcases", *sys.argv[1:]], []
        for name in NAMES:
            started.append(subprocess.Popen([*command, "--only", name]))
            if device().type != "cuda":
                started[-1].wait()
        sys.exit(max(process.wait() != 0 for process in started))
    generator, record = train(given.only, given.seconds, given.seed, given.pictures)
    save_weights(given.out / f"{given.only}.safetensors", generator, half=True, metadata={"recipe": "showcase"})
    record |= {"name": given.only, "seed": given.seed, "machine": machine(), "measured": measure(given.only, generator)}
    write_json(given.out / f"{given.only}.json", record)
    print(record, flush=True)


if __name__ == "__main__":
    main()
