"""Trains the showcases of notebooks 02, 03, 04 and 06 (colorlib.course.showcase): on a GPU all at once, else in turn.

    python -m colorlib.course.long.showcases --out runs/showcases [--only 03_digits] [--seconds 180] [--seed 0]

Writes NAME.safetensors, NAME.json (steps, seconds, what was measured on held-out pictures) and NAME.png.
"""

from __future__ import annotations

import argparse
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

from colorlib.color import AB_SCALE, L_ab_to_rgb8
from colorlib.course import scenes
from colorlib.course.data import SCENE_SEEDS
from colorlib.course.showcase import NAMES, NoiseToPicture, one_hot
from colorlib.discriminators import PatchDiscriminator
from colorlib.files import write_json
from colorlib.generators import ResidualUNet, UNet
from colorlib.runtime import device, machine, seed_everything
from colorlib.training.weights import save_weights

TRANSLATIONS = {"04_edges": scenes.edges_to_scene, "04_labels": scenes.labels_to_scene, "04_night": scenes.day_to_night,
                "04_grey": scenes.grey_to_color, "06_scenes": scenes.grey_to_color}
SIZE = {name: 16 if "digits" in name else 96 if name in TRANSLATIONS else 64 for name in NAMES}
DIGIT_LABELS, SCENE_LABELS = (10,), (len(scenes.CLASSES), len(scenes.SEASONS), len(scenes.TIMES))


def digits(split: str) -> tuple[Tensor, Tensor]:
    """scikit-learn's digits, enlarged to 16 x 16: pictures (N, 1, 16, 16) in [-1, 1] and labels; every fifth is "test"."""
    from sklearn.datasets import load_digits

    found = load_digits()
    pictures = F.interpolate(torch.tensor(found.images)[:, None].float() / 8 - 1, (16, 16), mode="bicubic").clamp(-1, 1)
    chosen = (torch.arange(len(pictures)) % 5 == 0) == (split == "test")
    return pictures[chosen], torch.tensor(found.target)[chosen]


def data(name: str, num: int, split: str) -> tuple[Tensor | None, Tensor, Callable[[Tensor], tuple[Tensor, Tensor]]]:
    """(labels, pictures, batch) of a split: batch(indices) gives the condition, label or picture, and the target."""
    if name.endswith("digits"):
        pictures, label = (part.to(device()) for part in digits(split))
        return label, pictures, lambda i: (label[i], pictures[i])
    drawn = scenes.render(num, SIZE[name], seed=SCENE_SEEDS[split], device="cpu")
    for field in vars(drawn):
        setattr(drawn, field, getattr(drawn, field).to(device()))
    label = torch.stack([drawn.scene_class, drawn.season, drawn.time], 1)
    if name not in TRANSLATIONS:
        return label, drawn.rgb, lambda i: (label[i], drawn.rgb[i].float() / 127.5 - 1)
    return None, drawn.rgb, lambda i: TRANSLATIONS[name](scenes.Scenes(*(part[i] for part in vars(drawn).values())))


class PictureDiscriminator(nn.Module):
    """discriminator(label, picture) -> (B, 1): convolutions that halve the picture down to 4 x 4; the label's part is the
    product of its weights and the features (Miyato and Koyama 2018, cGANs with projection discriminator)."""

    def __init__(self, size: int, image_channels: int, width: int, num_labels: tuple[int, ...]) -> None:
        super().__init__()
        self.num_labels, self.shifts = num_labels, size == 16  # there are few digits: show them at several places
        self.gain = size**0.5 / 2  # a leaky ReLU loses some of the signal, and the norms of the layers are bounded
        layers: list[nn.Module] = [nn.Conv2d(image_channels, width, 3, padding=1), nn.LeakyReLU(0.2)]
        for _ in range(size.bit_length() - 3):
            layers += [nn.Conv2d(width, 2 * width, 4, 2, padding=1), nn.LeakyReLU(0.2),
                       nn.Conv2d(2 * width, 2 * width, 3, padding=1), nn.LeakyReLU(0.2)]
            width *= 2
        self.layers, self.last = nn.Sequential(*layers), nn.Conv2d(width + 1, width, 3, padding=1)
        self.value, self.of_label = nn.Linear(16 * width, 1), nn.Linear(sum(num_labels), 16 * width) if num_labels else None

    def forward(self, label: Tensor | None, x: Tensor) -> Tensor:
        if self.shifts:
            move = torch.eye(2, 3, device=x.device).repeat(len(x), 1, 1)
            move[:, :, 2] = torch.rand(len(x), 2, device=x.device) * 0.5 - 0.25
            x = F.grid_sample(x.float(), F.affine_grid(move, list(x.shape), align_corners=False), padding_mode="border",
                              align_corners=False)
        x = self.gain * self.layers(x)
        groups = x.float().unflatten(0, (-1, 8))  # a channel says how much the pictures of a group of eight differ
        spread = groups.std(1, correction=0).mean((1, 2, 3)).repeat_interleave(8)[:, None, None, None]
        x = F.leaky_relu(self.last(torch.cat([x, spread.expand(-1, 1, *x.shape[2:]).to(x)], 1)), 0.2).flatten(1)
        score = self.value(x)
        return score if self.of_label is None else score + (self.of_label(one_hot(label, self.num_labels)) * x).sum(1, True)


def networks(name: str) -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator; every layer of the discriminator has its largest singular value divided out."""
    if name in TRANSLATIONS:
        condition, target = (part.shape[1] for part in TRANSLATIONS[name](scenes.render(1, 32)))
        generator = (ResidualUNet(base_channels=24, levels=4) if name == "06_scenes" else
                     UNet(condition, target, base_channels=14, levels=5, dropout=0.0))
        discriminator = PatchDiscriminator(target, condition, 34, base_channels=32, norm=nn.Identity)
    else:
        labels = () if name.startswith("02") else DIGIT_LABELS if name == "03_digits" else SCENE_LABELS
        few = name.endswith("digits")
        generator = NoiseToPicture([48, 32, 24] if few else [128, 128, 96, 64, 32], 1 if few else 3, num_labels=labels)
        discriminator = PictureDiscriminator(SIZE[name], 1 if few else 3, 24 if few else 32, labels)
    for layer in list(discriminator.modules()):
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.orthogonal_(layer.weight)
            norm = spectral_norm(layer).parametrizations.weight[0]
            norm.forward = torch.autocast("cuda", enabled=False)(norm.forward)  # 16 bits would not do for it
    return generator.to(device(), memory_format=torch.channels_last), discriminator.to(device(), memory_format=torch.channels_last)


def generate(generator: nn.Module, condition: Tensor | None, num: int) -> Tensor:
    """Pictures from noise, or a translation of the condition."""
    if not isinstance(generator, NoiseToPicture):
        return generator(condition).ab
    z = torch.randn(num, generator.z_channels, device=next(generator.parameters()).device)
    return generator(z, condition if generator.num_labels else None)


def train(name: str, seconds: float, seed: int, num_pictures: int) -> tuple[nn.Module, dict[str, object]]:
    """Hinge loss, and 10 times L1 for a translation; the learning rates fall in the second half. Returns the running
    average of the generator's weights, and a record."""
    seed_everything(seed)
    _, pictures, batch = data(name, num_pictures, "train")
    generator, discriminator = networks(name)
    average, on_gpu = copy.deepcopy(generator).requires_grad_(False), device().type == "cuda"
    batch_size, (lr_g, lr_d) = (24, (4e-4, 4e-4)) if name in TRANSLATIONS else (64, (3e-4, 6e-4))
    optimizer_g, optimizer_d = (torch.optim.Adam(network.parameters(), lr, (0.0, 0.99), fused=True)
                                for network, lr in ((generator, lr_g), (discriminator, lr_d)))
    torch.backends.cudnn.benchmark = True
    start, steps, done = time.perf_counter(), 0, 0.0
    while done < 1:
        for optimizer, lr in ((optimizer_g, lr_g), (optimizer_d, lr_d)):
            optimizer.param_groups[0]["lr"] = lr * min(1.0, 2.02 - 2 * done)
        condition, real = batch(torch.randint(len(pictures), (batch_size,), device=device()))
        with torch.autocast("cuda", torch.bfloat16, enabled=on_gpu):
            fake = generate(generator, condition, batch_size)
            scores = discriminator(*(None if pair[0] is None else torch.cat(pair) for pair in (
                (condition, condition), (real, fake.detach())))).float()
        scores_real, scores_fake = scores.chunk(2)
        loss_d = F.relu(1 - scores_real).mean() + F.relu(1 + scores_fake).mean()
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
    return settled(average, batch, len(pictures)), {"steps": steps, "seconds": round(time.perf_counter() - start, 1)}


@torch.no_grad()
def settled(average: nn.Module, batch: Callable, num: int) -> nn.Module:
    """The averaged weights get the statistics of their own batch norms, then evaluation mode."""
    norms = [layer for layer in average.modules() if isinstance(layer, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over the batches
    for _ in range(40):
        generate(average.train(), batch(torch.randint(num, (64,), device=device()))[0], 64)
    return average.eval()


@torch.no_grad()
def measure(name: str, generator: nn.Module, num: int = 256) -> dict[str, float]:
    """On held-out pictures. A translation: its error, and that of the mean training picture (ab distance in CIE units, or
    mean difference of RGB in 8-bit steps). From noise: the share of pictures that a classifier trained on real ones
    gives the wanted label ("control"), and of real ones; without labels the distance of distributions."""
    from sklearn.svm import SVC

    torch.manual_seed(0)
    (label, known, batch), (label_test, test, batch_test) = data(name, 8 * num, "train"), data(name, num, "test")
    if name in TRANSLATIONS:
        condition, target = batch_test(torch.arange(num, device=device()))
        mean = batch(torch.arange(2 * num, device=device()))[1].mean(0, keepdim=True)
        size = (lambda x: AB_SCALE * x.norm(dim=1).mean().item()) if target.shape[1] == 2 else (
            lambda x: 127.5 * x.abs().mean().item())
        return {"error": size(generate(generator, condition, num) - target), "mean picture": size(mean - target)}
    small = lambda x: F.adaptive_avg_pool2d(x, 8).flatten(1).cpu()  # noqa: E731
    known, test = (small(b(torch.arange(len(x), device=x.device))[1]) for b, x in ((batch, known), (batch_test, test)))
    label, label_test = label.reshape(len(label), -1), label_test.reshape(len(label_test), -1)
    drawn = small(generate(generator, label_test.to(device()), len(test)))
    if not name.startswith("02"):
        judges = [SVC(C=10).fit(known, column.cpu()) for column in label.unbind(1)]
        return {key: sum(float(j.score(x, c.cpu())) for j, c in zip(judges, label_test.unbind(1))) / len(judges)
                for key, x in (("control", drawn), ("real", test))}
    normal = torch.distributions.MultivariateNormal(known.mean(0), known.T.cov() + 1e-4 * torch.eye(known.shape[1]))
    lines = F.normalize(torch.randn(known.shape[1], 256), dim=0)
    distance = lambda x: ((x @ lines).sort(0)[0] - (test @ lines).sort(0)[0]).abs().mean().item()  # noqa: E731
    return {"distance": distance(drawn), "real": distance(known[: len(test)]), "normal": distance(normal.sample((len(test),)))}


@torch.no_grad()
def sheet(name: str, generator: nn.Module, path: Path) -> None:
    """Eight by five pictures; a translation as rows of condition, output, target."""
    from torchvision.utils import save_image

    torch.manual_seed(1)
    label, pictures, batch = data(name, 64, "test")
    condition, target = batch(torch.arange(40, device=pictures.device))
    if name == "03_digits":
        condition = torch.arange(40) % 10
    rgb = [generate(generator, None if condition is None else condition.to(device()), 40), target]
    if name in TRANSLATIONS:
        rgb = [x[:24] for x in rgb]
        rgb = [L_ab_to_rgb8(condition[:24], x).float() / 127.5 - 1 for x in rgb] if target.shape[1] == 2 else rgb
        shown = condition[:24].float().argmax(1, True) / 8 - 1 if condition.shape[1] > 3 else condition[:24]
        rgb = [part[8 * row : 8 * row + 8].expand(-1, 3, -1, -1) for row in range(3) for part in (shown, *rgb)]
    save_image(F.interpolate(torch.cat(rgb[:1] if name not in TRANSLATIONS else rgb).float().cpu(), scale_factor=2.0,
                             mode="bicubic").clamp(-1, 1) / 2 + 0.5, path, nrow=8 if name in TRANSLATIONS else 10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/showcases"))
    parser.add_argument("--only", choices=NAMES)
    parser.add_argument("--seconds", type=float, default=180.0, help="for the scenes from noise; the others take six tenths")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pictures", type=int, default=8192)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.only is None:
        command = [sys.executable, "-m", "colorlib.course.long.showcases", *sys.argv[1:]]
        started = []
        for name in NAMES:
            started.append(subprocess.Popen([*command, "--only", name]))
            if device().type != "cuda":
                started[-1].wait()
        return sys.exit(max(abs(process.wait()) for process in started))
    name, torch_threads = given.only, torch.get_num_threads()
    seconds = given.seconds * (1.0 if name in ("02_scenes", "03_scenes") else 0.6)
    generator, record = train(name, seconds, given.seed, given.pictures)
    save_weights(given.out / f"{name}.safetensors", generator, half=True, metadata={"recipe": f"showcase {name}"})
    record |= {"name": name, "seed": given.seed, "machine": machine(), "threads": torch_threads,
               "command": " ".join(["python -m colorlib.course.long.showcases", *sys.argv[1:]]),
               "measured": measure(name, generator)}
    write_json(given.out / f"{name}.json", record)
    sheet(name, generator, given.out / f"{name}.png")
    print(record, flush=True)


if __name__ == "__main__":
    main()
