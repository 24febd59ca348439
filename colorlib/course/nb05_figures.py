"""The figures of notebook 05 that no other notebook has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from colorlib.course.figures import COLOURS, LINES, STYLE, band, done
from colorlib.course.mixtures import Mixture
from colorlib.course.nb05_critics import OnALine, Shifted
from colorlib.course.nb05 import ARCHITECTURES, METHODS, Cell, Grid


def transport(p: np.ndarray, q: np.ndarray, plan: np.ndarray, real: Tensor, fake: Tensor, partner: np.ndarray) -> Figure:
    """Two histograms with their plan between them, and two clouds with lines between partners."""
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(8.6, 3.7), layout="constrained")
        left, right = figure.subfigures(1, 2, width_ratios=[1.0, 1.1])
        axes = left.subplot_mosaic([[".", "q"], ["p", "plan"]], width_ratios=[1, 3], height_ratios=[1, 3])
        places = np.arange(len(p))
        axes["q"].bar(places, q, color=COLOURS[1])
        axes["q"].set(title="generated heap q", xlim=(-0.5, len(q) - 0.5), xticks=[])
        axes["p"].barh(places, p, color=COLOURS[0])
        axes["p"].set(ylabel="real heap p", ylim=(len(p) - 0.5, -0.5), yticks=[])
        axes["p"].invert_xaxis()
        axes["plan"].imshow(plan, cmap="Greys", aspect="auto")
        axes["plan"].grid(False)
        axes["plan"].set(xlabel="to place", ylabel="from place")
        for i, j in zip(*np.nonzero(plan > 1e-9)):
            axes["plan"].text(j, i, f"{plan[i, j]:.1f}", ha="center", va="center", fontsize=8,
                              color="white" if plan[i, j] > plan.max() / 2 else "black")
        axis = right.subplots()
        for start, end in zip(real, fake[torch.as_tensor(partner)]):
            axis.plot(*zip(start, end), color="grey", linewidth=0.8)
        axis.scatter(*real.T, s=14, color=COLOURS[1], label="from here", zorder=2)
        axis.scatter(*fake.T, s=14, color=COLOURS[0], marker="s", label="to here", zorder=2)
        axis.set(aspect="equal", title="best assignment of 40 points")
        axis.legend(fontsize=8, loc="upper left")
    return done(figure)


def lines(thetas: Tensor, divergence: Sequence[float], wasserstein: Sequence[float], checkpoints: Sequence[int],
          slopes: Shifted) -> Figure:
    """Divergence and distance over theta; gradients at theta = 1 over the discriminator's steps."""
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.1), layout="constrained")
        left.plot(thetas, divergence, color=COLOURS[0], label="Jensen-Shannon divergence")
        left.plot(thetas, wasserstein, color=COLOURS[1], linestyle="--", label="Wasserstein distance")
        left.axhline(np.log(2), color="black", linewidth=0.8, linestyle=":", label="ln 2")
        left.set(xlabel="theta: where the generated line is", title="two parallel lines")
        left.legend(fontsize=8)
        names = ("GAN: log(1 - D)", "GAN: -log D", "critic")
        for name, values, colour, line in zip(names, slopes, COLOURS, LINES):
            band(right, checkpoints, np.array(values).clip(1e-8), colour, linestyle=line, marker="o", markersize=3,
                 label=name)
        right.set(yscale="log", xlabel="steps of the discriminator or critic", title="gradient for the generator at theta = 1",
                  ylabel="|d loss / d theta|")
        right.legend(fontsize=8)
    return done(figure)


def critics(where: Mapping[str, OnALine]) -> Figure:
    """Critics of one-dimensional points, each in its own panel, seeds as thin lines."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, len(where), figsize=(2.5 * len(where), 2.6), layout="constrained")
        for axis, (name, critic), colour in zip(axes, where.items(), COLOURS):
            axis.plot(critic.x, critic.values.T, color=colour, linewidth=1.2)
            for centre, tone in ((-1.5, COLOURS[0]), (1.5, COLOURS[1])):
                axis.axvspan(centre - 0.4, centre + 0.4, color=tone, alpha=0.12, linewidth=0)
            axis.set(title=name, xlabel="x")
        axes[0].set_ylabel("f(x), mean 0")
    return done(figure)


def estimates(exact: Tensor, estimated: Mapping[str, Tensor], names: Sequence[str]) -> Figure:
    """Estimate against truth, a panel each; and the ratio of the two for every pair."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(2, len(estimated), figsize=(3.1 * len(estimated), 5.4), layout="constrained",
                                    height_ratios=[1.1, 1])
        largest = max(exact.max(), *(values.max() for values in estimated.values())).item() * 1.05
        for (top, bottom), (title, values), colour in zip(axes.T, estimated.items(), COLOURS):
            top.plot([0, largest], [0, largest], color="black", linewidth=0.8, linestyle=":")
            top.plot(exact.flatten(), values.flatten(), "o", color=colour, markersize=4, alpha=0.7)
            error = (values / exact - 1).abs().mean().item()
            top.set(title=f"{title}\nmean error {error:.0%}", xlabel="exact distance", xlim=(0, exact.max().item() * 1.1),
                    ylim=(0, largest))
            bottom.axhline(1, color="black", linewidth=0.8, linestyle=":")
            for x, ratios in enumerate((values / exact).T):
                bottom.plot(np.full(len(ratios), x), ratios, "o", color=colour, markersize=4)
            bottom.set_xticks(range(len(names)), names, rotation=90, fontsize=8)
            bottom.set(ylim=(0, (values / exact).max().item() * 1.1))
        axes[0, 0].set_ylabel("estimate")
        axes[1, 0].set_ylabel("estimate / exact")
    return done(figure)


def profiles(found: Mapping[str, tuple[Tensor, Tensor]]) -> Figure:
    """Weights of deep critics as histograms, and their gradients by depth."""
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(9.0, 3.4), layout="constrained")
        left, right = figure.subfigures(1, 2, width_ratios=[1, 1.15])
        panels = left.subplots(2, 2).flat
        depth_axis = right.subplots()
        for (name, (norms, weights)), panel, colour, line in zip(found.items(), panels, COLOURS, LINES):
            reach = weights.abs().max().item()
            panel.hist(weights.numpy(), bins=41, range=(-reach, reach), color=colour)
            panel.set(yticks=[])
            panel.set_title(name, fontsize=9)
            layers = range(1, norms.shape[1] + 1)
            depth_axis.plot(layers, norms.log10().mean(0), color=colour, linestyle=line, marker="o", markersize=3, label=name)
        depth_axis.set(xlabel="hidden layer, 1 is the first", ylabel="log10 |gradient|", title="gradient of the critic's loss")
        depth_axis.legend(fontsize=8)
        left.supxlabel("weight", fontsize=9)
    return done(figure)


def stability_slice(cells: Mapping[tuple[str, str], Cell], mixture: Mixture) -> Figure:
    """A row for each architecture: distance over the budget for all seeds, then the last points of the first seed."""
    shapes = list(dict.fromkeys(shape for shape, _ in cells))
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(len(shapes), 1 + len(METHODS), figsize=(9.4, 2.5 * len(shapes)), layout="constrained",
                                    width_ratios=[1.5, *[1] * len(METHODS)], squeeze=False)
        for row, shape in zip(axes, shapes):
            for name, axis, colour, line in zip(METHODS, row[1:], COLOURS, LINES):
                cell = cells[shape, name]
                for index, run in enumerate(cell.runs):
                    row[0].plot([seen.step / cell.steps for seen in run], [seen.distance for seen in run], color=colour,
                                linestyle=line, linewidth=1, label=None if index else name)
                _cloud(axis, cell.fake[0], mixture, colour)
                axis.set_title(f"{name}: {cell.outcomes[0]}", fontsize=9)
            row[0].set(title=shape, xlabel="share of the seconds", ylabel="sliced Wasserstein", yscale="log")
        axes[0, 0].legend(fontsize=8)
    return done(figure)


def stability_grid(grid: Grid) -> Figure:
    """Share of failed runs, a panel for each method: learning rates across, architectures down."""
    rates = grid.record["learning_rates"]
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, len(METHODS), figsize=(9.4, 2.7), layout="constrained", sharey=True)
        for axis, name in zip(axes, METHODS):
            shares = np.array([[grid.share("failed", name, shape, lr) for lr in rates] for shape in ARCHITECTURES])
            axis.imshow(shares, cmap="Oranges", vmin=0, vmax=1, aspect="auto")
            for row, column in np.ndindex(shares.shape):
                axis.text(column, row, f"{shares[row, column]:.1f}", ha="center", va="center", fontsize=9,
                          color="white" if shares[row, column] > 0.65 else "black")
            axis.grid(False)
            axis.set_xticks(range(len(rates)), [f"{lr:g}" for lr in rates])
            axis.set_yticks(range(len(ARCHITECTURES)), list(ARCHITECTURES))
            axis.set(title=f"{name}: {shares.mean():.2f} failed", xlabel="learning rate")
    return done(figure)


def _cloud(axis: Axes, fake: Tensor, mixture: Mixture, colour: str) -> None:
    limit = mixture.means.abs().max().item() * 1.6
    axis.scatter(*mixture.means.T, s=90, facecolors="none", edgecolors="black", linewidths=0.8)
    axis.scatter(*fake[:500].T, s=2, color=colour)
    axis.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xticks=[], yticks=[])
