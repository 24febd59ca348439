"""The definitions that notebook 07 shares with its script, and its own figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from colorlib.color import AB_SCALE
from colorlib.course import data
from colorlib.course.figures import COLOURS, STYLE, band, done


def taught() -> dict[str, Any]:
    """The notebook's own classes and functions, with its batch size."""
    return data.taught("07_wgan_residual_unet", BATCH=16)


def histograms(colours: Mapping[str, Tensor], limit: float = 80.0) -> Figure:
    """How often each colour of the ab plane occurs, on a logarithmic scale; one panel per set of pixels.

    colours is panel title -> ab / 110 of pixels, (N, 2); limit is half the side of the plane, CIE units.
    """
    edges = np.linspace(-limit, limit, 41)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, len(colours), figsize=(2.4 * len(colours) + 0.5, 2.7), sharey=True, layout="constrained")
        for axis, (title, ab) in zip(axes, colours.items()):
            a, b = (AB_SCALE * ab.float()).T.numpy()
            share = np.histogram2d(b, a, bins=(edges, edges))[0] / len(ab)
            image = axis.imshow(np.log10(share.clip(1e-5)), origin="lower", extent=(-limit, limit) * 2, vmin=-5, vmax=-1.5,
                                cmap="magma_r", interpolation="nearest")
            axis.axhline(0, color="black", linewidth=0.4)
            axis.axvline(0, color="black", linewidth=0.4)
            axis.set(title=title, xlabel="a: green to red")
            axis.grid(False)
        axes[0].set_ylabel("b: blue to yellow")
        figure.colorbar(image, ax=axes, label="log10 of the share", shrink=0.9)
    return done(figure)


def training_curves(runs: Mapping[str, Sequence[Sequence[Any]]], names: Mapping[str, str], bound: str) -> Figure:
    """One column per discriminator: above its output on held-out pairs, below the error of the held-out colours.

    runs is discriminator -> for every seed its looks (step, error, says, bound); names is discriminator -> the name of
    its number; bound names the discriminator whose bound is drawn too.
    """
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(2, len(runs), figsize=(4.3 * len(runs), 4.6), sharex="col", layout="constrained", squeeze=False)
        for (top, bottom), (name, of) in zip(axes.T, runs.items()):
            for colour, looks in zip(COLOURS * len(of), of):
                steps = [look.step for look in looks]
                top.plot(steps, [look.says for look in looks], color=colour, linewidth=1)
                bottom.plot(steps, [look.error for look in looks], color=colour, linewidth=1)
                if name == bound:  # far above the first values: an axis that is logarithmic above 0.5 shows both
                    top.plot(steps, [look.bound for look in looks], color=colour, linewidth=0.8, linestyle=":")
                    top.set_yscale("symlog", linthresh=0.5)
            top.set(title=name, ylabel=names[name])
            bottom.set(xlabel="updates", ylabel="error, CIE units")
    return done(figure)


def side_by_side(panels: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[Sequence[float]]]]], xlabel: str) -> Figure:
    """Panels of lines with a band from the least to the greatest seed.

    Args:
        panels: panel title -> (name -> (x values, for every x one value per seed)).
    """
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, len(panels), figsize=(4.3 * len(panels), 2.9), layout="constrained")
        for axis, (title, series) in zip(axes, panels.items()):
            for (name, (xs, ys)), colour, marker in zip(series.items(), COLOURS, "os^v"):
                band(axis, xs, ys, colour, marker=marker, markersize=4, label=name)
            axis.set(title=title, xlabel=xlabel)
        axes[0].legend(fontsize=8)
    return done(figure)
