"""Measurements of notebook 02: clouds over training, gradients at chosen moments, and the effect of each network's step
on the other's loss. As a script, section 9 at four times its length:

    python -m colorlib.course.nb02    about 3 minutes; interrupted, the same command goes on

writes pictures_02.json into COLORLIB_RESULTS (else build/results).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlib.course import scenes
from colorlib.course.mixtures import Mixture
from colorlib.course.results import ResultFile
from colorlib.course.seeds import Ensemble, seeded
from colorlib.course.toys import PictureDiscriminator, PictureGenerator, train_gan
from colorlib.losses import AdversarialLoss, Vanilla
from colorlib.metrics import sliced_wasserstein
from colorlib.training import frozen, update_discriminator, update_generator

LEAST = 0.1  # a mode is hit when it has a tenth of its fair share
BETAS = (0.5, 0.999)


def point_batches(data: Mixture, num_seeds: int, batch_size: int, seed: int) -> Iterator[tuple[None, Tensor]]:
    """(None, real points (S, B, 2)) without end: no labels, other points for every seed."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield None, data.sample(num_seeds * batch_size, generator).view(num_seeds, batch_size, 2)


def noise(generator: nn.Module, num_seeds: int, num: int, seed: int) -> Tensor:
    """z (S, num, z_channels) of an ensemble."""
    return torch.randn(num_seeds, num, generator.z_channels, generator=torch.Generator().manual_seed(seed))


@dataclass
class Diary:
    """Measures an ensemble of generators while it trains, with as many points as `real` has.

    For each measurement distance (sliced Wasserstein to `real`), modes (hit) and quality (share of points within 3
    standard deviations of a mode) hold one value per seed, clouds and discriminators the first seed's points (N, 2) and
    discriminator.
    """

    generator: Ensemble
    discriminator: nn.Module
    data: Mixture
    real: Tensor
    steps: list[int] = field(default_factory=list)
    distance: list[list[float]] = field(default_factory=list)
    modes: list[list[float]] = field(default_factory=list)
    quality: list[list[float]] = field(default_factory=list)
    clouds: list[Tensor] = field(default_factory=list)
    discriminators: list[nn.Module] = field(default_factory=list)

    @torch.no_grad()
    def look(self, step: int) -> None:
        clouds = self.generator(noise(self.generator, len(self.generator), len(self.real), seed=step + 1))
        least = int(LEAST * len(self.real) / len(self.data.means))
        self.steps.append(step)
        self.distance.append([sliced_wasserstein(cloud, self.real) for cloud in clouds])
        self.modes.append([self.data.modes_hit(cloud, least=least) for cloud in clouds])
        self.quality.append([self.data.quality(cloud) for cloud in clouds])
        self.clouds.append(clouds[0])
        if isinstance(self.discriminator, Ensemble):
            self.discriminators.append(self.discriminator.members()[0])


def adam(network: nn.Module, lr: float) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr, BETAS, fused=True)


def train_discriminator_alone(generator: Ensemble, discriminator: Ensemble, batches: Iterator[tuple[None, Tensor]], *,
                              num_steps: int, lr: float, seed: int, moments: Sequence[int] = (),
                              look: Callable[[int], None] | None = None) -> None:
    """The discriminator learns, the generator stays as it is; look(step) at the moments."""
    optimizer, draws = adam(discriminator, lr), torch.Generator().manual_seed(seed)
    for step in range(num_steps + 1):
        if look is not None and step in moments:
            look(step)
        label, real = next(batches)
        with torch.no_grad():
            fake = generator(torch.randn(*real.shape[:2], generator.z_channels, generator=draws))
        if step < num_steps:
            update_discriminator(discriminator, optimizer, Vanilla(), label, real, fake)


def train_generator_alone(generator: Ensemble, discriminator: nn.Module, batch_size: int, *, num_steps: int, lr: float,
                          seed: int) -> None:
    """The generator learns, the discriminator stays as it is."""
    optimizer, draws = adam(generator, lr), torch.Generator().manual_seed(seed)
    for _ in range(num_steps):
        z = torch.randn(len(generator), batch_size, generator.z_channels, generator=draws)
        update_generator(discriminator, optimizer, Vanilla(), None, None, generator(z), lambda_l1=0)


def gradient_norms(generator: Ensemble, discriminator: Ensemble, adversarial: AdversarialLoss,
                   num: int = 512) -> list[float]:
    """Norm of the gradient of the generator's loss with respect to all its weights, one per seed."""
    norms = []
    for one, other, z in zip(generator.members(), discriminator.members(), noise(generator, len(generator), num, 3)):
        loss = adversarial.generator(other(None, one(z)))
        gradients = torch.autograd.grad(loss, list(one.parameters()))
        norms.append(float(sum(gradient.square().sum() for gradient in gradients).sqrt()))
    return norms


@dataclass
class Opposition:
    """The effect of each step of one network on the loss of the other, on points that no step has seen.

    Attributes:
        steps: the measured ones.
        losses: name -> per measured step one value per seed, before the step.
        raised: whose step -> per measured step and seed the change of the *other* network's loss.
        own: whose step -> the change of its own loss.
        cosine: between the two objectives' gradients at the generated points.
    """

    steps: list[int] = field(default_factory=list)
    losses: dict[str, list[Tensor]] = field(default_factory=lambda: {"discriminator": [], "generator": []})
    raised: dict[str, list[Tensor]] = field(default_factory=lambda: {"discriminator": [], "generator": []})
    own: dict[str, list[Tensor]] = field(default_factory=lambda: {"discriminator": [], "generator": []})
    cosine: list[Tensor] = field(default_factory=list)

    def share(self, changes: dict[str, list[Tensor]], whose: str) -> list[float]:
        """Share of the measured steps after which the loss had risen, one per seed."""
        return (torch.stack(changes[whose]) > 0).float().mean(0).tolist()


def both_losses(generator: Ensemble, discriminator: Ensemble, adversarial: AdversarialLoss, real: Tensor,
                z: Tensor) -> tuple[Tensor, Tensor]:
    """The discriminator's loss and the generator's, each (S,)."""
    with torch.no_grad():
        on_real, on_fake = discriminator(None, real), discriminator(None, generator(z))
    return (torch.stack([adversarial.discriminator(*pair) for pair in zip(on_real, on_fake)]),
            torch.stack([adversarial.generator(logits) for logits in on_fake]))


def train_and_watch(generator: Ensemble, discriminator: Ensemble, batches: Iterator[tuple[None, Tensor]], *,
                    adversarial: AdversarialLoss, num_steps: int, lr: float, seed: int, every: int,
                    real: Tensor) -> Opposition:
    """The loop of `train_gan`, measuring both losses before and after the steps of one round in `every`.

    They are measured on real (S, N, 2) and on points generated from noise that training never draws.
    """
    watch, draws = Opposition(), torch.Generator().manual_seed(seed)
    optimizer_g, optimizer_d = adam(generator, lr), adam(discriminator, lr)
    z_test = noise(generator, len(generator), real.shape[1], seed=10_000 + seed)

    def now() -> tuple[Tensor, Tensor]:
        return both_losses(generator, discriminator, adversarial, real, z_test)

    for step in range(num_steps):
        label, batch = next(batches)
        z = torch.randn(2, *batch.shape[:2], generator.z_channels, generator=draws)
        look = step % every == 0
        if look:
            watch.steps.append(step)
            watch.cosine.append(objectives_cosine(generator, discriminator, adversarial, z_test))
            before = now()
        with torch.no_grad():
            fake = generator(z[0])
        update_discriminator(discriminator, optimizer_d, adversarial, label, batch, fake)
        if look:
            between = now()
        update_generator(discriminator, optimizer_g, adversarial, label, None, generator(z[1]), lambda_l1=0)
        if look:
            after = now()
            for name, value in zip(("discriminator", "generator"), before):
                watch.losses[name].append(value)
            watch.own["discriminator"].append(between[0] - before[0])
            watch.raised["discriminator"].append(between[1] - before[1])
            watch.raised["generator"].append(after[0] - between[0])
            watch.own["generator"].append(after[1] - between[1])
    return watch


def objectives_cosine(generator: Ensemble, discriminator: Ensemble, adversarial: AdversarialLoss, z: Tensor) -> Tensor:
    """Cosine of the two losses' gradients with respect to the generated points, (S,)."""
    fake = generator(z).detach().requires_grad_()
    with frozen(discriminator):
        logits = discriminator(None, fake)
        losses = adversarial.generator(logits), adversarial.discriminator(logits.detach(), logits)
        ours, theirs = (torch.autograd.grad(loss, fake, retain_graph=True)[0].flatten(1) for loss in losses)
    return F.cosine_similarity(ours, theirs, dim=1)


# pictures


def picture_batches(pictures: Tensor, batch_size: int, seed: int) -> Iterator[tuple[None, Tensor]]:
    """(None, real pictures (B, C, S, S)) without end."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield None, pictures[torch.randint(len(pictures), (batch_size,), generator=generator)]


@torch.no_grad()
def draw_pictures(generator: nn.Module, num: int, seed: int = 0) -> Tensor:
    """Pictures (num, C, S, S) from a copy in evaluation mode: batch norm uses its running statistics."""
    copied = copy.deepcopy(generator).eval()
    return copied(torch.randn(num, generator.z_channels, generator=torch.Generator().manual_seed(seed)))


def scene_pictures(num: int, seed: int) -> Tensor:
    """RGB scenes (num, 3, 32, 32) in [-1, 1]."""
    return scenes.render(num, size=32, seed=seed).rgb / 127.5 - 1


def picture_distance(generator: nn.Module, test: Tensor) -> float:
    """Sliced Wasserstein distance between as many generated as real pictures, all pixels and channels."""
    return sliced_wasserstein(draw_pictures(generator, len(test)).flatten(1), test.flatten(1), num_projections=256)


def train_and_measure(pictures: Tensor, test: Tensor, *, seed: int, num_steps: int, every: int) -> list[float]:
    """One picture GAN as in section 9; its distance to `test` before training and every `every` updates."""
    generator, discriminator = seeded(seed, lambda: (PictureGenerator(), PictureDiscriminator(norm=nn.BatchNorm2d)))
    distances: list[float] = []
    train_gan(generator, discriminator, picture_batches(pictures, 16, seed), num_steps=num_steps, lr=1e-3, seed=seed,
              every=every, look=lambda step: distances.append(picture_distance(generator, test)))
    return distances


def long_run(seeds: Sequence[int] = (0, 1, 2, 3, 4), num_steps: int = 2000, every: int = 500) -> None:
    """Section 9 of the notebook, longer."""
    header = {"command": "python -m colorlib.course.nb02", "num_steps": num_steps, "batch_size": 16, "lr": 1e-3,
              "num_pictures": 4096, "size": 32}
    file = ResultFile("pictures_02.json", header)
    pictures, test, test_too = (scene_pictures(num, seed) for num, seed in ((4096, 20), (1000, 21), (1000, 22)))
    floor = sliced_wasserstein(test_too.flatten(1), test.flatten(1), num_projections=256)
    for seed in seeds:
        if file.has(f"{num_steps} updates", seed):
            continue
        distances = train_and_measure(pictures, test, seed=seed, num_steps=num_steps, every=every)
        for index, distance in enumerate(distances):
            left = (distance - floor) / (distances[0] - floor)
            file.add(f"{index * every} updates", seed, {"distance": distance, "left": left, "floor": floor})


if __name__ == "__main__":
    torch.set_num_threads(1)
    long_run()
