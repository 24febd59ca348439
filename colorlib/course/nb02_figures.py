"""The figures of notebook 02 that no other notebook has."""

from collections.abc import Sequence
from itertools import cycle

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from colorlib.course.figures import COLOURS, LINES, band, colours_of, drawing
from colorlib.course.mixtures import Mixture


def surfaces(data: Mixture, moments: Sequence[tuple[str, nn.Module | None, Tensor]],
             limit: float | None = 3.0) -> Figure:
    """Generated points, the data's modes, and under them the discriminator's output at every point of the plane.
    moments holds for each panel its title, a discriminator that is called with points alone (None draws none) and
    generated points (N, 2). limit is half the side of every panel; None: as wide as the points of each need it."""
    rows, columns = -(-len(moments) // 4), min(4, len(moments))
    with drawing(rows, columns, figsize=(2.3 * columns + 0.5, 2.45 * rows), squeeze=False, sharex=limit is not None,
                 sharey=limit is not None) as (figure, axes):
        filled = None
        for axis in axes.flat[len(moments) :]:
            axis.set_axis_off()
        for axis, (title, discriminator, points) in zip(axes.flat, moments):
            side = limit or max(3.0, 1.15 * points.abs().quantile(0.98).item())
            if discriminator is not None:
                line = torch.linspace(-side, side, 81)
                with torch.no_grad():
                    output = discriminator(torch.cartesian_prod(line, line)).sigmoid().view(81, 81).T
                filled = axis.contourf(line, line, output, levels=torch.linspace(0, 1, 11).tolist(), cmap="RdBu",
                                       alpha=0.75)
                axis.contour(line, line, output, levels=[0.5], colors="white", linewidths=1)
            axis.scatter(*data.means.T, s=90 * (3 / side) ** 2, facecolors="none", edgecolors="black", linewidths=0.9)
            axis.scatter(*points[:500].T, s=3, color="black" if discriminator is not None else COLOURS[1], linewidths=0)
            axis.set_title(title, fontsize=9)
            axis.set(xlim=(-side, side), ylim=(-side, side), aspect="equal")
            axis.grid(False)
        if filled is not None:
            figure.colorbar(filled, ax=axes, shrink=0.8, ticks=[0, 0.5, 1], label="D: probability of 'real'")
    return figure


def directions(data: Mixture, panels: Sequence[tuple[str, Tensor, dict[str, Tensor]]], limit: float = 3.0) -> Figure:
    """Generated points and arrows at them, drawn 0.5 long on average: title, points (N, 2), name -> vectors (N, 2)."""
    with drawing(1, len(panels), figsize=(3.6 * len(panels), 3.7), squeeze=False) as (figure, axes):
        for axis, (title, points, arrows) in zip(axes.flat, panels):
            axis.scatter(*data.means.T, s=130, facecolors="none", edgecolors="black", linewidths=0.9)
            for (name, vectors), colour in zip(arrows.items(), COLOURS):
                axis.quiver(*points.T, *(0.5 * vectors / vectors.norm(dim=1).mean()).T, color=colour, label=name,
                            angles="xy", scale_units="xy", scale=1, width=0.006)
            axis.scatter(*points.T, s=9, color="black", zorder=3, linewidths=0)
            axis.set_title(title, fontsize=10)
            axis.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9)
    return figure


def lines(panels: Sequence[tuple[str, str, str, dict[str, tuple[Sequence[float], Sequence[Sequence[float]]]]]], *,
          log_x: Sequence[str] = (), log_y: Sequence[str] = (),
          references: dict[str, dict[str, float]] | None = None) -> Figure:
    """Line panels side by side: the mean over the seeds and a band from the least to the greatest. panels holds title,
    x label, y label, and name -> (x values, for every x one value per seed); log_x and log_y are titles of panels with
    such an axis; references is title -> name -> a horizontal line."""
    with drawing(1, len(panels), figsize=(min(3.9 * len(panels), 9.6), 2.9), squeeze=False) as (figure, axes):
        for axis, (title, xlabel, ylabel, series) in zip(axes.flat, panels):
            for (name, (xs, ys)), colour, style in zip(series.items(), colours_of(series), cycle(LINES)):
                band(axis, xs, torch.as_tensor(ys, dtype=torch.float64).numpy(), colour, linestyle=style, label=name)
            for (name, value), style in zip((references or {}).get(title, {}).items(), LINES[1:]):
                axis.axhline(value, color="black", linewidth=0.9, linestyle=style, label=name)
            axis.set(xlabel=xlabel, ylabel=ylabel)
            axis.set_title(title, fontsize=10)
            if title in log_x:
                axis.set_xscale("symlog", linthresh=1)
            if title in log_y:
                axis.set_yscale("log")
            if len(series) > 1 or title in (references or {}):
                axis.legend(fontsize=7.5, frameon=True, framealpha=0.7, edgecolor="none")
    return figure
