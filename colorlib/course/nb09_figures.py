"""The figures of notebook 09 that no other notebook has."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from colorlib.course.claims import confidence_interval
from colorlib.course.figures import COLOURS, LINES, drawing, smooth, to_numpy


def sliders(rows: Mapping[str, Mapping[float, Tensor]], *, width: float = 2.0) -> Figure:
    """A row per slider, every picture with the slider's value above it; width is inches per picture. rows is slider ->
    value -> uint8 (3, H, W), all of one shape; every slider has as many values."""
    pictures = [list(row.values()) for row in rows.values()]
    height, columns = width * pictures[0][0].shape[-2] / pictures[0][0].shape[-1] + 0.17, len(pictures[0])
    with drawing(len(rows), columns, figsize=(width * columns + 0.8, height * len(rows)), squeeze=False,
                 grid=False) as (figure, axes):
        figure.get_layout_engine().set(w_pad=0.02, h_pad=0.01, wspace=0.01, hspace=0.01)
        for line, (name, row) in zip(axes, rows.items()):
            for axis, (value, rgb) in zip(line, row.items()):
                axis.imshow(smooth(to_numpy(rgb), width))
                axis.set_title(f"{value:g}", fontsize=9, pad=2)
                axis.set(xticks=[], yticks=[])
                axis.spines[:].set_visible(False)
            line[0].set_ylabel(name.replace("_", "\n"), rotation=0, ha="right", va="center", fontsize=9)
    return figure


def slices(planes: Mapping[int, Tensor], ever: Tensor, shares: Mapping[int, float], *, limit: float) -> Figure:
    """Slices of sRGB at several L, and which share (0 to 1) of the plane each of them holds. planes is L -> its slice
    in its colours, (3, N, N), 0 to 1, NaN where sRGB has nothing, a to the right, b up; ever (N, N), what sRGB has at
    any L, is drawn as an outline; limit is half the side of the planes, CIE units."""
    extent = (-limit, limit, -limit, limit)
    with drawing(1, len(planes) + 1, figsize=(1.65 * len(planes) + 2.9, 1.9),
                 gridspec_kw={"width_ratios": [*[1.0] * len(planes), 1.5]}, grid=False) as (figure, axes):
        for axis, (L, plane) in zip(axes, planes.items()):
            picture = plane.permute(1, 2, 0).numpy()
            axis.imshow(np.nan_to_num(picture, nan=1.0), origin="lower", extent=extent)
            axis.contour(ever.float().numpy(), [0.5], extent=extent, colors="grey", linewidths=0.8, origin="lower")
            axis.set(title=f"L = {L}: {100 * shares[L]:.0f} %", xticks=[], yticks=[])
            axis.title.set_fontsize(9)
            axis.spines[:].set_visible(False)
        axes[-1].plot(list(shares), [100 * share for share in shares.values()], color=COLOURS[0])
        axes[-1].set(xlabel="L", ylim=(0, None), xlim=(0, 100))
        axes[-1].set_title("share of the plane, %", fontsize=9)
        axes[-1].grid(alpha=0.25)
    return figure


def uncertainty_maps(rows: Mapping[str, tuple[Tensor, Tensor, Tensor]],
                     points: Mapping[str, Sequence[tuple[float, float]]]) -> Figure:
    """Per photograph a row: its coloured version, what the network expects to be wrong by, what it is wrong by. rows is
    name -> rgb uint8 (3, H, W), expected error and error (H, W), CIE units; points is name -> places x, y to mark."""
    height = sum(2.1 * rgb.shape[-2] / rgb.shape[-1] for rgb, _, _ in rows.values()) + 0.4
    with drawing(len(rows), 3, figsize=(7.2, height), squeeze=False, grid=False) as (figure, axes):
        for line, (name, (rgb, expected, error)) in zip(axes, rows.items()):
            line[0].imshow(to_numpy(rgb))
            line[0].set_ylabel(name, fontsize=9)
            for axis, plane in zip(line[1:], (expected, error)):
                shown = axis.imshow(plane.numpy(), cmap="viridis", vmin=0, vmax=50)
            for axis in line:
                axis.plot(*zip(*points[name]), "o", markersize=6, markerfacecolor="none", markeredgecolor="white")
                axis.set(xticks=[], yticks=[])
                axis.spines[:].set_visible(False)
        for axis, title in zip(axes[0], ("coloured", "expected error", "error")):
            axis.set_title(title, fontsize=9)
        figure.colorbar(shown, ax=axes, label="error, CIE units", shrink=0.6)
    return figure


def by_count(panels: Mapping[str, Mapping[str, Sequence[Mapping[int, float]]]]) -> Figure:
    """Error against the number of hints, a panel per group, a line per way of placing them: means over photographs.
    Bars are 95 % intervals of the difference to the first way, over photographs (those of the photographs themselves
    are the same for every way). panels is title -> way -> one {count: error} per photograph."""
    with drawing(1, len(panels), figsize=(5.6 * len(panels) + 0.4, 3.6), squeeze=False) as (figure, axes):
        for axis, (title, ways) in zip(axes.flat, panels.items()):
            first = next(iter(ways.values()))
            for shift, ((way, rows), colour, line) in enumerate(zip(ways.items(), COLOURS, LINES)):
                counts = list(rows[0])
                means = [np.mean([row[count] for row in rows]) for count in counts]
                axis.plot(range(len(counts)), means, color=colour, linestyle=line, marker="o", markersize=3, label=way)
                for x, count in enumerate(counts):
                    gaps = [row[count] - other[count] for row, other in zip(rows, first)]
                    if rows is not first and np.ptp(gaps) > 0:
                        _, (low, high) = confidence_interval(gaps)
                        half, place = (high - low) / 2, x + 0.06 * shift
                        axis.vlines(place, means[x] - half, means[x] + half, color=colour, linewidth=1, alpha=0.6)
            axis.set_xticks(range(len(counts)), counts)
            axis.set(xlabel="hints", title=title, ylim=(0, None))
        axes[0, 0].set_ylabel("mean error of ab, CIE units")
        axes[0, 0].legend(fontsize=8)
    return figure


def trade(rows: Mapping[int, Mapping[str, Sequence[float]]], titles: Mapping[str, str],
          reference: Mapping[str, float], *, marked: int) -> Figure:
    """What changes with the render size: a panel per measure, every photograph a thin line, their mean a thick one.
    rows is render size -> measure -> one value per photograph; reference is measure -> that of the real photographs, a
    dashed line; marked is the render size that ships."""
    sizes = list(rows)
    with drawing(1, len(titles), figsize=(3.2 * len(titles), 2.6), squeeze=False) as (figure, axes):
        for axis, (measure, title), colour in zip(axes.flat, titles.items(), COLOURS):
            values = np.array([rows[size][measure] for size in sizes])
            axis.plot(sizes, values, color=colour, alpha=0.25, linewidth=0.8)
            axis.plot(sizes, values.mean(1), "o-", color=colour, markersize=4, label="mean")
            axis.axvline(marked, color="grey", linewidth=1, linestyle=":")
            if measure in reference:
                axis.axhline(reference[measure], color="black", linewidth=1, linestyle="--", label="real, mean")
                axis.legend(fontsize=8)
            axis.set_xscale("log", base=2)
            axis.set_xticks(sizes, [str(size) for size in sizes], fontsize=7, rotation=45)
            axis.minorticks_off()
            axis.set(title=title, xlabel="render size, pixels", ylim=(0, None))
    return figure


def marked(pictures: Mapping[str, Tensor], points: Mapping[str, Sequence[tuple[float, float]]], *, columns: int = 4,
           width: float = 2.0) -> Figure:
    """Pictures, title -> uint8 (3, H, W) of one size, with marked points, title -> x and y of each."""
    height, across = next(iter(pictures.values())).shape[-2:]
    lines = -(-len(pictures) // columns)
    with drawing(lines, min(columns, len(pictures)), squeeze=False,
                 figsize=(width * min(columns, len(pictures)), lines * (width * height / across + 0.3)),
                 grid=False) as (figure, axes):
        figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02)
        for axis in axes.flat:
            axis.set_axis_off()
        for axis, (title, rgb) in zip(axes.flat, pictures.items()):
            axis.imshow(smooth(to_numpy(rgb), width), extent=(-0.5, across - 0.5, height - 0.5, -0.5))
            axis.plot(*zip(*points[title], strict=True) if points[title] else ([], []), "o", markersize=6,
                      markerfacecolor="none", markeredgecolor="white", markeredgewidth=1.2)
            axis.set_title(title.replace(", ", ",\n"), fontsize=9)
    return figure
