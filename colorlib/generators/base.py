"""What every generator is: one call, one answer. Import it from `colorlib.generators`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from colorlib.checks import need_floats
from colorlib.processes import draw

NORMS = {norm.__name__: norm for norm in (nn.BatchNorm2d, nn.InstanceNorm2d, nn.Identity)}  # in a weights file


class Prediction(NamedTuple):
    """The output of a generator for a batch; a part that the network does not predict is None."""

    ab: Tensor  # (B, out_channels, H, W); for a colorizer ab / 110
    bins: Tensor | None = None  # logits over ab bins (B, bins, h, w)
    code: Tensor | None = None  # (B, 2 K): mean and log deviation of K numbers of the colours (see training.recipe)


class Generator(nn.Module):
    """The call that every generator shares. A subclass sets `config` and implements `predict_from(x)`.

    Args:
        in_channels: channels of the condition (1 for L).
        hint_channels: 3 when the generator takes hints (mask, a, b), else 0.
        z_channels: channels of the noise that is appended to the condition, or 0.
    """

    config: dict  # the constructor's arguments, JSON-able: a weights file rebuilds the network from them

    def __init__(self, in_channels: int, hint_channels: int, z_channels: int) -> None:
        super().__init__()
        if hint_channels not in (0, 3):
            raise ValueError(f"hint_channels is {hint_channels}; it is 3 (mask, a, b) or 0 (takes no hints)")
        self.in_channels, self.hint_channels, self.z_channels = in_channels, hint_channels, z_channels

    def forward(self, L: Tensor, hints: Tensor | None = None, z: Tensor | None = None) -> Prediction:
        """Predict from the condition, at its height and width; ValueError for a shape that does not fit.

        Args:
            L: (B, in_channels, H, W), any H and W; for a colorizer L / 50 - 1.
            hints: (B, 3, H, W): mask (1 where a colour is given), then ab / 110 there and 0 elsewhere; None: no hint.
            z: noise (B, z_channels); None draws it from N(0, 1).
        """
        need_floats(next(self.parameters(), None), L=L)
        if L.dim() != 4 or L.shape[1] != self.in_channels:
            raise ValueError(f"the condition has shape {tuple(L.shape)}; need (B, {self.in_channels}, H, W)")
        parts, (batch, _, height, width) = [L], L.shape
        if self.hint_channels and hints is None:
            hints = L.new_zeros(batch, 3, height, width)
        if self.z_channels and z is None:
            z = draw(torch.randn, (batch, self.z_channels), device=L.device, dtype=L.dtype)
        for name, part, channels, size in (("hints", hints, self.hint_channels, (height, width)),
                                           ("z", z, self.z_channels, ())):
            if part is not None and not channels:
                raise ValueError(f"this generator takes no {name}: leave {name} out, or take one that was trained with {name}")
            if part is not None and part.shape != (batch, channels, *size):
                raise ValueError(f"{name} has shape {tuple(part.shape)}; needed is {(batch, channels, *size)}")
            if part is not None:  # z is one vector per picture, everywhere
                parts.append(part if size else part[:, :, None, None].expand(-1, -1, height, width))
        return self.predict_from(torch.cat(parts, dim=1))

    def predict_from(self, x: Tensor) -> Prediction:
        """Predict from condition, hints and noise, joined to one (B, C, H, W)."""
        raise NotImplementedError

    def parts_of(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Condition, hints and z, (B, z_channels), of what `predict_from` takes; without channels where there are none."""
        L, hints, z = x.split([self.in_channels, self.hint_channels, self.z_channels], dim=1)
        return L, hints, z[:, :, 0, 0]  # z is the same at every place

    def remembering(self) -> "Generator":
        """The same network with the same answers, which computes what depends on the condition alone once; itself where
        nothing does. The weights must not change meanwhile."""
        return self


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; every submodule gets its own mode back, such as a frozen norm."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for part, mode in modes:
            part.training = mode


def predict(generator: Generator, L: Tensor, hints: Tensor | None = None, z: Tensor | None = None) -> Prediction:
    """Call a generator in evaluation mode and without gradients."""
    with evaluating(generator):
        return generator(L, hints=hints, z=z)


def check_norm(norm: type[nn.Module]) -> None:
    if norm not in NORMS.values():
        raise ValueError(f"norm is {norm}; choose one of {', '.join('nn.' + name for name in NORMS)}")


def num_parameters(module: nn.Module) -> int:
    """The number of trainable parameters."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
