"""The one tester that every network passes: shapes, finite numbers, gradients everywhere, odd sizes, same mode after."""

from __future__ import annotations

import torch

from colorlib.generators import Generator, predict


def check_generator(generator: Generator, *, sizes=((32, 32), (33, 47), (1, 1), (5, 64))) -> None:
    out_channels = generator.config["out_channels"]
    for height, width in sizes:
        L = torch.rand(2, generator.in_channels, height, width) * 2 - 1
        ab = predict(generator, L).ab
        assert ab.shape == (2, out_channels, height, width)
        assert torch.isfinite(ab).all()
    check_gradients(generator, lambda: generator(torch.rand(4, generator.in_channels, 33, 47) * 2 - 1).ab)
    for mode in (True, False):
        generator.train(mode)
        predict(generator, L)
        assert generator.training is mode


def check_gradients(module: torch.nn.Module, output) -> None:
    """Every trainable parameter gets a gradient, the first layer's included."""
    module.train()
    module.zero_grad(set_to_none=True)
    result = output()
    (result * torch.randn_like(result)).sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name
