"""The figures of notebook 07 that no other notebook has."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from torch import Tensor

from colorlib.color import AB_SCALE, lab_to_rgb
from colorlib.course.figures import LINES, band, colours_of, drawing

Path = Sequence[tuple[Sequence[float], Sequence[float]]]


def distance_map(colours: Tensor, probabilities: Tensor, points: Mapping[str, Tensor], limit: float = 65.0) -> Figure:
    """The expected distance from one prediction to a colour that is drawn, for every prediction of the ab plane.
    colours is (K, 2), CIE units, with probabilities (K,), drawn as discs in their own colour; points is name ->
    (2,)."""
    places = torch.linspace(-limit, limit, 131)
    b, a = torch.meshgrid(places, places, indexing="ij")
    distance = (torch.stack([a, b], -1)[..., None, :] - colours).norm(dim=-1) @ probabilities
    discs = lab_to_rgb(torch.cat([torch.full((len(colours), 1), 55.0), colours], 1).T[:, :, None])[..., 0].clamp(0, 1)
    with drawing(figsize=(6.2, 3.8)) as (figure, axis):
        lines = axis.contour(a, b, distance, levels=12, cmap="viridis", linewidths=0.9)
        axis.clabel(lines, fontsize=7)
        axis.scatter(*colours.T, s=1500 * probabilities, c=discs.T.numpy(), edgecolors="black", linewidths=1)
        for (name, point), marker in zip(points.items(), "X^os"):
            axis.scatter(*point, marker=marker, s=80, color="white", edgecolors="black", zorder=3, label=name)
        axis.set(xlabel="a: green to red", ylabel="b: blue to yellow", aspect="equal")
        axis.grid(False)
        figure.legend(fontsize=8, loc="outside right upper")
    return figure


def histograms(colours: Mapping[str, Tensor], limit: float = 80.0) -> Figure:
    """How often each colour of the ab plane occurs, on a logarithmic scale; one panel per set of pixels. colours is
    panel title -> ab / 110 of pixels, (N, 2); limit is half the side of the plane, CIE units."""
    edges = np.linspace(-limit, limit, 41)
    with drawing(1, len(colours), figsize=(2.4 * len(colours) + 0.5, 2.7), sharey=True) as (figure, axes):
        for axis, (title, ab) in zip(axes, colours.items()):
            a, b = (AB_SCALE * ab.float()).T.numpy()
            share = np.histogram2d(b, a, bins=(edges, edges))[0] / len(ab)
            image = axis.imshow(np.log10(share.clip(1e-5)), origin="lower", extent=(-limit, limit) * 2, vmin=-5,
                                vmax=-1.5, cmap="magma_r", interpolation="nearest")
            axis.axhline(0, color="black", linewidth=0.4)
            axis.axvline(0, color="black", linewidth=0.4)
            axis.set(title=title, xlabel="a: green to red")
            axis.grid(False)
        axes[0].set_ylabel("b: blue to yellow")
        figure.colorbar(image, ax=axes, label="log10 of the share", shrink=0.9)
    return figure


def trade_off(paths: Mapping[str, Path], points: Mapping[str, tuple[float, float]] | None = None) -> Figure:
    """Error against distance of the colours (logarithmic): lower left is better. Every seed a dot, every mean a sign.
    paths is name -> stops (errors, distances), one value per seed in each; an arrow joins the means of two stops.
    points is name -> (error, distance) of what has no seeds."""
    with drawing(figsize=(6.2, 3.8)) as (figure, axis):
        for (name, path), colour in zip(paths.items(), colours_of(paths)):
            means = [(np.mean(errors), np.mean(distances)) for errors, distances in path]
            for errors, distances in path:
                axis.plot(errors, distances, "o", color=colour, markersize=3, alpha=0.45, markeredgewidth=0)
            axis.plot(*means[-1], "D" if "residual" in name else "s", color=colour, markersize=7, label=name)
            for start, end in zip(means, means[1:]):
                axis.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 1.5})
        for (name, place), marker in zip((points or {}).items(), "Xv^"):
            axis.plot(*place, marker, color="#777777", markersize=8, label=name)
        axis.set(xlabel="ab error, CIE units", ylabel="distance of the colours, CIE units", yscale="log")
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_locator(NullLocator())
        figure.legend(fontsize=8, loc="outside right upper")
    return figure


def estimates(panels: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[Sequence[float]]]]], xlabel: str,
              reference: Mapping[str, float] | None = None) -> Figure:
    """Panels of lines with a band from the least to the greatest seed; panels is title -> name -> (xs, for every x one
    value per seed), reference is title -> a level drawn across."""
    with drawing(1, len(panels), figsize=(4.1 * len(panels), 3.0), squeeze=False) as (figure, axes):
        for axis, (title, series) in zip(axes.flat, panels.items()):
            for (name, (xs, ys)), colour, line in zip(series.items(), colours_of(series), LINES):
                band(axis, xs, ys, colour, linestyle=line, label=name)
            if title in (reference or {}):
                axis.axhline(reference[title], color="black", linewidth=1, linestyle=":")
            axis.set(xlabel=xlabel)
            axis.set_title(title, fontsize=10)
            axis.legend(fontsize=8)
    return figure
