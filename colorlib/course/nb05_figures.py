"""The figures of notebook 05. Data are black, generated points and critics have the colour of their method."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from colorlib.course.figures import COLOURS, LINES, METHODS, STYLE, band, colours_of, done, drawing
from colorlib.course.mixtures import Mixture
from colorlib.course.nb05 import Cell, Grid, Look

REAL, FAKE = METHODS["real"], METHODS["WGAN"]


def transport(p: np.ndarray, q: np.ndarray, plan: np.ndarray, real: Tensor, fake: Tensor,
              partner: np.ndarray) -> Figure:
    """Two histograms with their plan between them, and two clouds with lines from real[i] to fake[partner[i]]."""
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(8.6, 3.7), layout="constrained")
        left, right = figure.subfigures(1, 2, width_ratios=[1.0, 1.1])
        axes = left.subplot_mosaic([[".", "q"], ["p", "plan"]], width_ratios=[1, 3], height_ratios=[1, 3])
        places = np.arange(len(p))
        axes["q"].bar(places, q, color=FAKE)
        axes["q"].set(title="generated heap q", xlim=(-0.5, len(q) - 0.5), xticks=[])
        axes["p"].barh(places, p, color=REAL)
        axes["p"].set(ylabel="real heap p", ylim=(len(p) - 0.5, -0.5), yticks=[])
        axes["p"].invert_xaxis()
        axes["plan"].imshow(plan, cmap="Greys", aspect="auto")
        axes["plan"].grid(False)
        axes["plan"].set(xlabel="to place", ylabel="from place")
        for i, j in zip(*np.nonzero(plan > 1e-9)):
            axes["plan"].text(j, i, f"{plan[i, j]:.1f}", ha="center", va="center", fontsize=8,
                              color="white" if plan[i, j] > plan.max() / 2 else "black")
        axis = right.subplots()
        for start, end in zip(real, fake[partner]):
            axis.plot(*zip(start, end), color="grey", linewidth=0.8)
        axis.scatter(*real.T, s=14, color=REAL, marker="s", label="from here: real", zorder=2)
        axis.scatter(*fake.T, s=14, color=FAKE, label="to here: generated", zorder=2)
        axis.set(aspect="equal", title="best assignment of 40 points")
        figure.legend(*axis.get_legend_handles_labels(), fontsize=8, loc="outside lower right", ncols=2)
    return done(figure)


def lines(thetas: Tensor, divergence: Sequence[float], wasserstein: Sequence[float]) -> Figure:
    """Divergence and distance over theta."""
    with drawing(figsize=(4.6, 2.8)) as (figure, axis):
        axis.plot(thetas, divergence, color=METHODS["GAN"], label="Jensen-Shannon divergence", linestyle="--")
        axis.plot(thetas, wasserstein, color=METHODS["WGAN"], label="Wasserstein distance")
        axis.axhline(np.log(2), color="black", linewidth=0.8, linestyle=":", label="ln 2")
        axis.set(xlabel="theta: where the generated line is", ylabel="between the two lines")
        axis.legend(fontsize=8, loc="upper center")
    return figure


def slopes(steps: Sequence[int], found: Mapping[str, Sequence[Sequence[float]]]) -> Figure:
    """Size of the generator's gradient over the steps of the discriminator or critic, one value per seed and step."""
    with drawing(figsize=(5.6, 3.0)) as (figure, axis):
        for (name, values), colour, line in zip(found.items(), colours_of(found), LINES):
            band(axis, steps, np.array(values).clip(1e-8), colour, linestyle=line, marker="o", markersize=3, label=name)
        axis.axhline(1, color="black", linewidth=0.8, linestyle=":", label="slope of W")
        axis.set(yscale="log", xlabel="steps of the discriminator or critic", ylabel="|d loss / d theta|")
        axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def critics(x: Tensor, values: Mapping[str, Tensor], real: Tensor, fake: Tensor) -> Figure:
    """Critics of one-dimensional points, each in its own panel, above the points that they were trained on."""
    with drawing(2, len(values), figsize=(2.3 * len(values), 2.9), sharex=True, height_ratios=[4, 1]) as (figure, axes):
        for (top, bottom), (name, f) in zip(axes.T, values.items()):
            top.plot(x, f, color=METHODS["WGAN" if "clipping" in name else "WGAN-GP"], linewidth=1.8)
            top.set_title(name, fontsize=9)
            for points, colour in ((real, REAL), (fake, FAKE)):
                bottom.hist(points.flatten().numpy(), bins=60, range=(-3, 3), color=colour, alpha=0.8)
            bottom.set(xlabel="x", yticks=[])
        axes[0, 0].set_ylabel("f(x), mean 0")
        axes[1, 0].set_ylabel("points")
    return figure


def training(clouds: Mapping[int, Tensor], history: Sequence[tuple[int, float, float]], mixture: Mixture) -> Figure:
    """Generated points after some updates; then for every measurement (update, distance, estimate) as two lines."""
    with drawing(1, len(clouds) + 1, figsize=(2.1 * len(clouds) + 3.4, 2.6),
                 width_ratios=[1] * len(clouds) + [1.5]) as (figure, axes):
        for axis, (step, points) in zip(axes, clouds.items()):
            _cloud(axis, points, mixture, METHODS["WGAN-GP"])
            axis.set_title(f"after {step} updates", fontsize=9)
        steps, distance, estimate = zip(*history)
        axes[-1].plot(steps, distance, color="black", label="distance of the points\n(sliced Wasserstein)")
        axes[-1].plot(steps, estimate, color=METHODS["WGAN-GP"], linestyle="--", label="minus the critic's loss")
        axes[-1].set(xlabel="updates of the generator", ylim=(0, None))
        axes[-1].legend(fontsize=8)
    return figure


def estimates(exact: Tensor, estimated: Mapping[str, Tensor], names: Sequence[str], lambda_gp: float) -> Figure:
    """Estimate against truth, a panel each; and the ratio of the two for every pair. All are (seeds, pairs). The first
    panel gets the estimate that theory predicts under this lambda_gp."""
    with drawing(2, len(estimated), figsize=(3.1 * len(estimated), 5.6), height_ratios=[1.1, 1],
                 sharey="row") as (figure, axes):
        largest = max(exact.max(), *(values.max() for values in estimated.values())).item() * 1.05
        for (top, bottom), (title, values) in zip(axes.T, estimated.items()):
            colour = METHODS["WGAN" if "clipping" in title else "WGAN-GP"]
            top.plot([0, largest], [0, largest], color="black", linewidth=0.8, linestyle=":")
            top.plot(exact.flatten(), values.flatten(), "o", color=colour, markersize=4, alpha=0.7)
            error = (values / exact - 1).abs().mean().item()
            top.set_title(f"{title}\nmean error {error:.0%}", fontsize=10)
            top.set(xlabel="exact distance", xlim=(0, exact.max().item() * 1.1), ylim=(0, largest))
            bottom.axhline(1, color="black", linewidth=0.8, linestyle=":")
            for x, ratios in enumerate((values / exact).T):
                bottom.plot(np.full(len(ratios), x), ratios, "o", color=colour, markersize=4)
            bottom.set_xticks(range(len(names)), names, rotation=90, fontsize=8)
            bottom.set(ylim=(0, None))
        W = np.linspace(0, exact.max().item() * 1.1, 50)
        axes[0, 0].plot(W, W + W**2 / (2 * lambda_gp), color="black", linewidth=1, linestyle="--", label="predicted")
        axes[0, 0].legend(fontsize=8)
        axes[0, 0].set_ylabel("estimate")
        axes[1, 0].set_ylabel("estimate / exact")
    return figure


def profiles(norms: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> Figure:
    """Weights of deep critics as histograms, and the size of their gradients by depth, (seeds, layers)."""
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(9.0, 3.6), layout="constrained")
        left, right = figure.subfigures(1, 2, width_ratios=[1, 1.15])
        depth_axis = right.subplots()
        tones = [METHODS["WGAN"], COLOURS[4], "#7A3B00", METHODS["WGAN-GP"]]
        for (name, values), panel, colour, line in zip(weights.items(), left.subplots(2, 2).flat, tones, LINES):
            edge = values.abs().max().item()
            panel.hist(values.numpy(), bins=41, range=(-edge, edge), color=colour)
            panel.set(yticks=[])
            panel.set_title(name, fontsize=9)
            layers = range(1, norms[name].shape[1] + 1)
            band(depth_axis, layers, norms[name].log10().T.numpy(), colour, linestyle=line, marker="o", markersize=3,
                 label=name)
        depth_axis.set(xlabel="hidden layer, 1 is the first", ylabel="log10 |gradient|",
                       title="gradient of the critic's loss")
        depth_axis.legend(fontsize=8)
        left.supxlabel("weight", fontsize=9)
    return done(figure)


def clouds(cells: Mapping[str, Sequence[Cell]], rates: Sequence[float], outcomes: Mapping[str, Sequence[Sequence[str]]],
           mixture: Mixture) -> Figure:
    """A row for each method, a column for each rate: the first seed's last points, and how many runs failed."""
    with drawing(len(cells), len(rates), figsize=(1.75 * len(rates), 1.95 * len(cells))) as (figure, axes):
        for row, (name, found) in zip(axes, cells.items()):
            for axis, cell, ends in zip(row, found, outcomes[name]):
                _cloud(axis, cell.fake[0], mixture, METHODS[name])
                failed = sum(end != "fine" for end in ends)
                axis.set_title(f"{failed} of {len(ends)} failed", fontsize=9, color="black" if failed else "#777777")
            row[0].set_ylabel(name)
        for axis, rate in zip(axes[-1], rates):
            axis.set_xlabel(f"learning rate {rate:g}", fontsize=9)
    return figure


def stability_grid(grid: Grid) -> Figure:
    """Share of failed runs, a panel for each method: learning rates across, architectures down."""
    rates, shapes = grid.record["learning_rates"], grid.record["architectures"]
    with drawing(1, 3, figsize=(9.4, 2.7), sharey=True) as (figure, axes):
        for axis, name in zip(axes, ("GAN", "WGAN", "WGAN-GP")):
            shares = np.array([[grid.share("failed", name, shape, lr) for lr in rates] for shape in shapes])
            axis.imshow(shares, cmap="Oranges", vmin=0, vmax=1, aspect="auto")
            for row, column in np.ndindex(shares.shape):
                axis.text(column, row, f"{shares[row, column]:.1f}", ha="center", va="center", fontsize=9,
                          color="white" if shares[row, column] > 0.65 else "black")
            axis.grid(False)
            axis.set_xticks(range(len(rates)), [f"{lr:g}" for lr in rates])
            axis.set_yticks(range(len(shapes)), [shape.replace("weak", "too small") for shape in shapes])
            axis.set(title=name, xlabel="learning rate")
    return figure


def loss_and_distance(runs: Mapping[str, Sequence[Sequence[Look]]]) -> Figure:
    """For each method the distance (black) and minus the loss over the updates; thin: seeds, thick: their mean."""
    with drawing(2, len(runs), figsize=(3.0 * len(runs), 4.2), sharex=True) as (figure, axes):
        for (top, bottom), (name, seeds) in zip(axes.T, runs.items()):
            steps = [seen.step for seen in seeds[0]]
            for axis, colour, values in ((top, "black", [[seen.distance for seen in run] for run in seeds]),
                                         (bottom, METHODS[name], [[-seen.loss for seen in run] for run in seeds])):
                axis.plot(steps, np.array(values).T, color=colour, linewidth=0.6, alpha=0.4)
                axis.plot(steps, np.mean(values, axis=0), color=colour, linewidth=2)
                axis.set(xscale="log")
            top.set(title=name, ylim=(0, None))
            bottom.set(xlabel="updates of the generator")
        axes[0, 0].set_ylabel("distance of the points")
        axes[1, 0].set_ylabel("minus the loss")
    return figure


def _cloud(axis: Axes, fake: Tensor, mixture: Mixture, colour: str) -> None:
    limit = mixture.means.abs().max().item() * 1.6
    axis.scatter(*mixture.means.T, s=90, facecolors="none", edgecolors="black", linewidths=0.8)
    axis.scatter(*fake[:500].T, s=2, color=colour)
    axis.grid(False)
    axis.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xticks=[], yticks=[])
