"""What it brings to train several seeds together: one after the other, in threads (`in_parallel`), as one (`Ensemble`)."""

import time
from collections.abc import Callable

import torch
from torch import nn

from colorlib.course.seeds import Ensemble, in_parallel
from colorlib.course.toys import PictureDiscriminator, PictureGenerator, PointDiscriminator, PointGenerator, train_gan

SEEDS = 8


def _batches(*shape: int):
    real = torch.randn(shape)
    while True:
        yield None, real


def _train(generator: nn.Module, discriminator: nn.Module, num_steps: int, *shape: int) -> None:
    train_gan(generator, discriminator, _batches(*shape), num_steps=num_steps)


def _ms_per_step(run: Callable[[], None], num_steps: int) -> float:
    """Milliseconds for one step of one seed, the best of three runs of all seeds."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times) / num_steps / SEEDS * 1e3


def _alone(make: Callable[[], tuple[nn.Module, nn.Module]], num_steps: int, *shape: int) -> None:
    for _ in range(SEEDS):
        _train(*make(), num_steps, *shape)


def _threads(make: Callable[[], tuple[nn.Module, nn.Module]], num_steps: int, *shape: int) -> None:
    pairs = [make() for _ in range(SEEDS)]
    in_parallel(lambda seed: _train(*pairs[seed], num_steps, *shape), range(SEEDS))


def rows() -> list[dict]:
    """Time of one GAN step of one seed, three ways; points with 64 hidden units, pictures of 32 x 32."""

    def points() -> tuple[nn.Module, nn.Module]:
        return PointGenerator(), PointDiscriminator()

    def pictures() -> tuple[nn.Module, nn.Module]:
        return PictureGenerator(), PictureDiscriminator()

    def together() -> None:
        pairs = [points() for _ in range(SEEDS)]
        _train(Ensemble([g for g, _ in pairs]), Ensemble([d for _, d in pairs]), 100, SEEDS, 64, 2)

    _train(*points(), 2, 64, 2)  # the first Adam of a process costs seconds
    found = []
    for name, make, num_steps, shape, ways in (
        ("points, batch 64", points, 100, (64, 2), {"Ensemble": together}),
        ("32 x 32 pictures, batch 32", pictures, 5, (32, 3, 32, 32), {}),
    ):
        ways = {"one after the other": lambda: _alone(make, num_steps, *shape),
                "in_parallel": lambda: _threads(make, num_steps, *shape), **ways}
        times = {way: _ms_per_step(run, num_steps) for way, run in ways.items()}
        for way, value in times.items():
            found.append(dict(
                group="seeds", name=f"GAN step, {name}, {way}", value=value, unit="ms per seed",
                note=f"{times['one after the other'] / value:.1f} times, {SEEDS} seeds, {torch.get_num_threads()} threads",
            ))
    return found


if __name__ == "__main__":
    for row in rows():
        print(f"{row['name']}: {row['value']:.2f} {row['unit']} ({row['note']})")
