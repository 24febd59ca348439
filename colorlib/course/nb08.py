"""The figures of notebook 08 that no other notebook has."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from colorlib.course.figures import COLOURS, LINES, band, drawing

DOTS = {"alpha": 0.2, "marker": "o", "markersize": 3}


def score_table(table: Mapping[str, Mapping[str, float]], better: Mapping[str, str], *, title: str) -> Figure:
    """Colourings down, metrics across; every cell shaded by its place in its column, from best (blue) to worst (red).
    table is colouring -> metric -> value; better is metric -> "+" more, "-" less, "1" near 1 is better."""
    metrics, rows = list(next(iter(table.values()))), list(table)
    values = np.array([[table[row][metric] for metric in metrics] for row in rows], dtype=float)
    badness = np.stack([{"+": -column, "-": column, "1": abs(column - 1)}[better[metric]]
                        for metric, column in zip(metrics, values.T)], 1)
    place = badness.argsort(0, kind="stable").argsort(0)
    with drawing(figsize=(1.15 * len(metrics) + 1.6, 0.36 * len(rows) + 0.9), grid=False) as (figure, axis):
        axis.imshow(place, cmap="RdYlBu_r", aspect="auto")
        for r, c in np.ndindex(values.shape):
            value = values[r, c]
            text = f"{value:.3f}" if abs(value) < 3 and metrics[c] != "AuC" else f"{value:.1f}"  # "inf" of infinity
            dark = place[r, c] in (0, len(rows) - 1)
            axis.text(c, r, text, ha="center", va="center", fontsize=9, color="white" if dark else "black")
        axis.set_xticks(range(len(metrics)), [f"{metric} ({better[metric]})" for metric in metrics], fontsize=8)
        axis.set_yticks(range(len(rows)), rows)
        axis.xaxis.tick_top()
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        axis.set_title(title, fontsize=9)
    return figure


def bias(sizes: Sequence[int], scores: Sequence[Sequence[float]], distances: Sequence[Sequence[float]],
         score: float) -> Figure:
    """Both scores of real pictures against the number of pictures; dashed, what they would be of very many. scores and
    distances hold for every size one value per seed; score is that of all pictures."""
    with drawing(1, 2, figsize=(8.6, 2.9)) as (figure, axes):
        band(axes[0], sizes, scores, COLOURS[0], **DOTS)
        most = [min(size, 20) for size in sizes]
        axes[0].plot(sizes, most, linestyle=LINES[3], color=COLOURS[3], label="min(N, classes)")
        axes[0].axhline(score, color="black", linewidth=1, linestyle="--", label="of all pictures")
        axes[0].legend(fontsize=8)
        axes[0].set(title="class score of N real scenes", ylim=(0, None))
        band(axes[1], sizes, distances, COLOURS[1], **DOTS)
        axes[1].axhline(0, color="black", linewidth=1, linestyle="--")
        axes[1].set(title="Fréchet distance of two sets of N real scenes")
        for axis in axes:
            axis.set_xscale("log")
            axis.set_xticks(sizes, [str(size) for size in sizes], fontsize=8, rotation=45)
            axis.minorticks_off()
            axis.set(xlabel="N, pictures")
    return figure


def extrapolation(sizes: Sequence[int], used: Sequence[int], of: Mapping[str, Sequence[Sequence[float]]],
                  truths: Sequence[float]) -> Figure:
    """Scores against 1 / N, the line through the mean of those that are used, and where it meets 1 / N = 0. sizes holds
    every N; used the places in it that the line is drawn through; of is name -> for every size one value per seed;
    truths one for each name, drawn at 1 / N = 0."""
    with drawing(1, len(of), figsize=(4.3 * len(of), 2.9)) as (figure, axes):
        for axis, (name, values), truth, colour in zip(axes, of.items(), truths, (COLOURS[1], COLOURS[0])):
            shown = [i for i, size in enumerate(sizes) if size >= min(sizes[j] for j in used) / 2]
            band(axis, [1 / sizes[i] for i in shown], [values[i] for i in shown], colour, **DOTS)
            inverse, means = [1 / sizes[i] for i in used], [np.mean(values[i]) for i in used]
            slope, start = np.polyfit(inverse, means, 1) if len(used) > 1 else (0.0, means[0])
            reach = np.array([0, max(inverse)])
            axis.plot(reach, start + slope * reach, "--", color="black", linewidth=1, label="line through N used")
            axis.plot(0, truth, "X", color="black", markersize=8, label="true", clip_on=False)
            axis.legend(fontsize=8)
            axis.set(title=name, xlabel="1 / N")
    return figure
