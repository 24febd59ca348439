"""What notebook 02 records while it trains, and the pictures that it draws from a generator."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from colorlib.course.seeds import Ensemble


def noise(generator: nn.Module, num: int, seed: int) -> Tensor:
    """z (S, num, z_channels) for an ensemble of S generators, (num, z_channels) for one."""
    shape = (len(generator), num) if isinstance(generator, Ensemble) else (num,)
    return torch.randn(*shape, generator.z_channels, generator=torch.Generator().manual_seed(seed))


@dataclass
class Run:
    """Measures an ensemble of point generators at moments of its training: `look` is the callback of `train_gan`.
    measure(points (N, 2)) returns numbers by name; `values` holds for each name and moment one number per seed, clouds
    the first seed's points (num, 2), networks every seed's (generator, discriminator)."""

    generator: Ensemble
    discriminator: nn.Module
    measure: Callable[[Tensor], dict[str, float]]
    num: int
    steps: list[int] = field(default_factory=list)
    values: dict[str, list[list[float]]] = field(default_factory=dict)
    clouds: list[Tensor] = field(default_factory=list)
    networks: list[list[tuple[nn.Module, nn.Module]]] = field(default_factory=list)

    @torch.no_grad()
    def look(self, step: int) -> None:
        clouds = self.generator(noise(self.generator, self.num, seed=1))  # the same z at every moment
        numbers = [self.measure(cloud) for cloud in clouds]
        self.steps.append(step)
        for name in numbers[0]:
            self.values.setdefault(name, []).append([float(number[name]) for number in numbers])
        self.clouds.append(clouds[0])
        if isinstance(self.discriminator, Ensemble):
            self.networks.append(list(zip(self.generator.members(), self.discriminator.members())))

    def end(self, name: str) -> list[float]:
        """One value per seed, at the last moment."""
        return self.values[name][-1]


def picture_batches(pictures: Tensor, batch_size: int, seed: int) -> Iterator[tuple[None, Tensor]]:
    """(None, real pictures (B, C, S, S)) without end."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield None, pictures[torch.randint(len(pictures), (batch_size,), generator=generator)]


@torch.no_grad()
def draw_pictures(generator: nn.Module, num: int, seed: int = 0) -> Tensor:
    """Pictures (num, C, S, S) from a copy in evaluation mode: batch norm uses its running statistics."""
    return copy.deepcopy(generator).eval()(noise(generator, num, seed))
