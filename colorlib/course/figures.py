"""The figures of the series. Every function draws one figure and returns it; nothing is shown or saved here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from colorlib.color import AB_SCALE, L_ab_to_rgb8, lab_to_rgb

# Okabe and Ito's colours: distinguishable with any colour vision; lines differ in style too, for grey print
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
STYLE = {"figure.dpi": 100, "font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
         "grid.alpha": 0.25, "axes.axisbelow": True, "legend.frameon": False}


def done(figure: Figure) -> Figure:
    """Close the figure for pyplot: a notebook shows what a cell returns, and would show an open figure twice."""
    plt.close(figure)
    return figure


def _bars(axis: plt.Axes, values: Iterable[Sequence[float]]) -> None:
    """Every seed a dot, every mean a bar of its own colour."""
    for x, (numbers, colour) in enumerate(zip(values, cycle(COLOURS))):
        axis.bar(x, np.mean(numbers), width=0.6, color=colour, alpha=0.35)
        axis.plot(np.full(len(numbers), x), numbers, "o", color=colour, markersize=4)
    axis.grid(axis="x", visible=False)


def band(axis: plt.Axes, xs: Sequence[float], ys: Sequence[Sequence[float]], colour: str, *, alpha: float = 0.15,
         **line: object) -> None:
    """The mean as a line, and a band from the least to the greatest; ys holds for every x one value per seed."""
    axis.plot(xs, [np.mean(y) for y in ys], color=colour, **line)
    axis.fill_between(xs, [np.min(y) for y in ys], [np.max(y) for y in ys], color=colour, alpha=alpha, linewidth=0)


def to_numpy(image: Tensor) -> np.ndarray:
    """(C, H, W) uint8, or float in [0, 1] or [-1, 1] -> an array that matplotlib draws, (H, W, 3) or (H, W).

    C is 1 or 3. A float picture with a negative value is taken as scaled to [-1, 1].
    """
    image = image.detach().cpu()
    if image.dim() == 2:
        image = image[None]
    if image.dtype != torch.uint8:
        image = (image + 1) / 2 if float(image.min()) < 0 else image
        image = image.clamp(0, 1)
    array = image.permute(1, 2, 0).numpy()
    return array[..., 0] if array.shape[-1] == 1 else array


def show_images(rows: Sequence[Sequence[Tensor]], *, column_titles: Sequence[str] = (), row_titles: Sequence[str] = (),
                width: float = 1.6) -> Figure:
    """A grid of pictures (C, H, W), see `to_numpy`; rows may differ in length, width is inches per picture.

    Column titles stand above the first row, row titles left of each row.
    """
    columns = max(len(row) for row in rows)
    ratio = max(image.shape[-2] / image.shape[-1] for row in rows for image in row)
    labels = 0.09 * max((len(title) for title in row_titles), default=0)  # inches left of and above the pictures
    height = width * min(ratio, 2) * len(rows) + (0.2 if column_titles else 0)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(len(rows), columns, figsize=(width * columns + labels, height), squeeze=False,
                                    layout="constrained")
        figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
        for axis in axes.flat:
            axis.set_axis_off()
        for r, row in enumerate(rows):
            for c, image in enumerate(row):
                axes[r, c].imshow(to_numpy(image), cmap="gray", interpolation="nearest")
            if r < len(row_titles):
                axes[r, 0].set_axis_on()
                axes[r, 0].set(xticks=[], yticks=[])
                axes[r, 0].grid(False)
                axes[r, 0].spines[:].set_visible(False)
                axes[r, 0].set_ylabel(row_titles[r], rotation=0, ha="right", va="center")
        for c, title in enumerate(column_titles):
            axes[0, c].set_title(title, fontsize=9)
    return done(figure)


def show_colourings(L: Tensor, columns: Mapping[str, Tensor], num: int = 4, *, width: float = 1.6) -> Figure:
    """One row per photograph, the first `num` of the batch: grey, then each column's ab joined with the same L.

    L is (B, 1, H, W), L / 50 - 1; columns is title -> ab / 110, (B, 2, H, W); width is inches per picture.
    """
    L = L[:num].cpu()
    grey = L_ab_to_rgb8(L, torch.zeros_like(L).expand(-1, 2, -1, -1))
    coloured = [L_ab_to_rgb8(L, ab[:num].float().cpu()) for ab in columns.values()]
    rows = [[grey[i], *(column[i] for column in coloured)] for i in range(len(L))]
    return show_images(rows, column_titles=["given: L", *columns], width=width)


def losses(history: Mapping[str, Sequence[float]], *, smooth: int = 25, titles: Mapping[str, str] | None = None) -> Figure:
    """Loss curves, one small panel each, four in a row: raw and as a running mean of `smooth` steps.

    history is name -> one value per step; titles is name -> the panel's title, where it is not the name.
    """
    with plt.rc_context(STYLE):
        rows, columns = -(-len(history) // 4), min(4, len(history))
        figure, axes = plt.subplots(rows, columns, figsize=(3.4 * columns, 2.4 * rows), squeeze=False, layout="constrained")
        for axis in axes.flat[len(history):]:
            axis.set_axis_off()
        for axis, (name, values), colour in zip(axes.flat, history.items(), cycle(COLOURS)):
            axis.plot(values, color=colour, alpha=0.25, linewidth=0.8)
            if len(values) > 2 * smooth:
                axis.plot(range(smooth - 1, len(values)), np.convolve(values, np.ones(smooth) / smooth, "valid"), color=colour)
            axis.set(title=(titles or {}).get(name, name), xlabel="step")
    return done(figure)


def compare(values: Mapping[str, Sequence[float]], *, ylabel: str, reference: Mapping[str, float] | None = None,
            title: str = "") -> Figure:
    """Every seed a dot, every mean a bar of its own colour; horizontal lines for what is known exactly.

    values is name -> one value per seed; reference is name -> a value drawn as a line across.
    """
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(max(3.5, 1.25 * len(values) + 1), 2.9), layout="constrained")
        _bars(axis, values.values())
        for line, (name, value) in zip(cycle(LINES[1:]), (reference or {}).items()):
            axis.axhline(value, color="black", linewidth=1, linestyle=line, label=name)
        axis.set_xticks(range(len(values)), list(values))
        axis.set(ylabel=ylabel, title=title)
        if reference:
            axis.legend(fontsize=8)
    return done(figure)


def curves(series: Mapping[str, tuple[Sequence[float], Sequence[Sequence[float]]]], *, xlabel: str, ylabel: str,
           log_x: bool = False, title: str = "") -> Figure:
    """Lines with a band from the least to the greatest seed.

    Args:
        series: name -> (x values, for every x one value per seed).
    """
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(5.2, 3.0), layout="constrained")
        for (name, (xs, ys)), colour, line in zip(series.items(), cycle(COLOURS), cycle(LINES)):
            band(axis, xs, ys, colour, linestyle=line, marker="o", markersize=3, label=name)
        if log_x:
            axis.set_xscale("log", base=2)
        axis.set(xlabel=xlabel, ylabel=ylabel, title=title)
        if len(series) > 1:
            axis.legend(fontsize=8)
    return done(figure)


def ab_plane(points: Mapping[str, Tensor], *, lightness: float = 65.0, limit: float = 100.0) -> Figure:
    """Colours as points of the ab plane over the real colours of that plane at one lightness.

    points is panel title -> ab / 110 of any pixels, (N, 2); lightness is L in 0..100 (what sRGB cannot show there stays
    white); limit is half the side of the plane, CIE units.
    """
    axis_values = torch.linspace(-limit, limit, 121)
    b, a = torch.meshgrid(axis_values, axis_values, indexing="ij")
    rgb = lab_to_rgb(torch.stack([torch.full_like(a, lightness), a, b])[None])[0]
    inside = ((rgb >= 0) & (rgb <= 1)).all(0)
    plane = torch.where(inside, rgb.clamp(0, 1) * 0.35 + 0.65, torch.ones(()))
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, len(points), figsize=(2.9 * len(points), 2.9), squeeze=False,
                                    layout="constrained", sharey=True)
        for axis, (title, ab) in zip(axes.flat, points.items()):
            axis.imshow(plane.permute(1, 2, 0).numpy(), origin="lower", extent=(-limit, limit, -limit, limit))
            axis.scatter(*(ab.detach().cpu().float() * AB_SCALE).T.numpy(), s=3, color="black", alpha=0.35, linewidths=0)
            axis.set(title=title, xlabel="a: green to red", xlim=(-limit, limit), ylim=(-limit, limit))
            axis.grid(False)
        axes[0, 0].set_ylabel("b: blue to yellow")
    return done(figure)


def palettes(kinds: Mapping[str, tuple[Tensor, Tensor]], answers: Mapping[str, Mapping[str, Tensor]], *,
             lightness: float = 60.0) -> Figure:
    """Known colours of a thing as a bar, each as wide as it is frequent, and next to it single answers, all at one L.

    kinds is name -> colours ab / 110 (K, 2) and their probabilities (K,); answers is title -> for every name one ab /
    110 (2,).
    """
    def paint(ab: Tensor) -> np.ndarray:
        lab = torch.cat([torch.tensor([lightness]), ab.float() * AB_SCALE])
        return lab_to_rgb(lab[:, None, None])[:, 0, 0].clamp(0, 1).numpy()

    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(len(kinds), 1 + len(answers),
                                    figsize=(4.6 + 1.1 * len(answers), 0.75 * len(kinds) + 0.3), squeeze=False,
                                    layout="constrained", gridspec_kw={"width_ratios": [4.0, *[1.0] * len(answers)]})
        for row, (name, (colours, probabilities)) in zip(axes, kinds.items()):
            left = 0.0
            for ab, probability in zip(colours, probabilities.tolist()):
                row[0].barh(0, probability, left=left, height=1, color=paint(ab))
                row[0].text(left + probability / 2, 0, f"{probability:.2f}", ha="center", va="center", color="white", fontsize=9)
                left += probability
            row[0].set(xlim=(0, left), ylim=(-0.5, 0.5))
            row[0].set_ylabel(name, rotation=0, ha="right", va="center")
            for axis, answer in zip(row[1:], answers.values()):
                axis.set_facecolor(paint(answer[name]))
        for axis, title in zip(axes[0], ["drawn from", *answers]):
            axis.set_title(title, fontsize=9)
        for axis in axes.flat:
            axis.set(xticks=[], yticks=[])
            axis.grid(False)
            axis.spines[:].set_visible(False)
    return done(figure)


def answers_on_plane(answers: Mapping[str, Tensor], palette: Tensor, best: Mapping[str, Tensor], *,
                     lightness: float = 55.0, limit: float = 65.0) -> Figure:
    """Predicted colours of things whose true colours are known: one panel per network, as in `ab_plane`; all ab / 110.

    answers is panel title -> predicted (N, 2), small dots; palette the true colours (K, 2), large discs in their own
    colour; best is panel title -> the answer with the least expected error, (2,), a cross.
    """
    figure = ab_plane(answers, lightness=lightness, limit=limit)
    lab = torch.cat([torch.full((len(palette), 1), lightness), palette * AB_SCALE], 1)
    discs = lab_to_rgb(lab.T[:, :, None])[..., 0].clamp(0, 1).T.numpy()
    for axis, title in zip(figure.axes, answers):
        axis.scatter(*(palette * AB_SCALE).T.numpy(), s=130, c=discs, edgecolors="black", linewidths=1, label="true colours")
        axis.scatter(*(best[title] * AB_SCALE).tolist(), marker="X", s=110, c="white", edgecolors="black", label="best answer")
    figure.legend(*figure.axes[-1].get_legend_handles_labels(), fontsize=8, loc="outside right upper")
    return figure


def compare_panels(panels: Mapping[str, Mapping[str, Sequence[float]]], *, ylabels: Sequence[str],
                   reference: Mapping[str, float] | None = None, height: float = 2.9) -> Figure:
    """Several measures of the same runs side by side: every seed a dot, every mean a bar.

    panels is panel title -> name -> one value per seed, with the same names in every panel; reference is panel title ->
    a value drawn as a line across that panel; height is inches.
    """
    num_bars = max(len(values) for values in panels.values())
    with plt.rc_context(STYLE):
        width = max(3.2, 0.8 * num_bars + 0.8)
        figure, axes = plt.subplots(1, len(panels), figsize=(len(panels) * width, height), squeeze=False,
                                    layout="constrained")
        for axis, (title, values), ylabel in zip(axes.flat, panels.items(), ylabels):
            _bars(axis, values.values())
            if title in (reference or {}):
                axis.axhline(reference[title], color="black", linewidth=1, linestyle="--")
            short = [name.replace(" ", "\n", 1) if len(name) > 8 else name for name in values]
            axis.set_xticks(range(len(values)), short, fontsize=8)
            axis.set(ylabel=ylabel, title=title)
    return done(figure)


def unet_diagram(size: int, widths: Sequence[int], *, skips: bool = True) -> Figure:
    """A U-Net drawn to scale: the height of a block is the side of its feature map, its width the channels.

    size is the side of the input in pixels; widths are the channels of the encoder's levels, from the outermost.
    """
    levels = len(widths)
    sides = [size / 2 ** (level + 1) for level in range(levels)]
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(7.5, 2.9), layout="constrained")
        places = [*range(levels), *(2 * levels - 2 - level for level in range(levels - 1))]
        blocks = [(COLOURS[0], level) for level in range(levels)]
        blocks += [(COLOURS[1], level) for level in range(levels - 1)]
        axis.bar([-1, 2 * levels - 1], [size, size], width=0.12, color="black")
        for x, (colour, level) in zip(places, blocks):
            axis.bar(x, sides[level], width=0.12 + 0.5 * widths[level] / max(widths), color=colour, alpha=0.6)
            note = f"{sides[level]:g}\n{widths[level]} ch"
            axis.text(x, sides[level] / 2 + 1.5, note, ha="center", va="bottom", fontsize=7)
        for level in range(levels - 1 if skips else 0):
            right, y = 2 * levels - 2 - level, -sides[level] / 2 - 3
            axis.annotate("", (right, y), (level, y), arrowprops={"arrowstyle": "->", "linewidth": 0.8})
        for x, text in ((-1, "condition"), (2 * levels - 1, "prediction")):
            axis.text(x, size / 2 + 2, f"{text}\n{size} x {size}", ha="center", va="bottom", fontsize=8)
        for bar in axis.patches:
            bar.set_y(-bar.get_height() / 2)
        axis.set(xlim=(-1.8, 2 * levels - 0.2), ylim=(-size * 0.6, size * 0.72))
        axis.set_axis_off()
    return done(figure)


def patches(image: Tensor, fields: Sequence[int], *, title: str = "") -> Figure:
    """Receptive fields (sides in pixels) drawn to scale on a picture (C, H, W), over its edge where they are larger."""
    height, width = image.shape[-2:]
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(3.6, 3.6), layout="constrained")
        axis.imshow(to_numpy(image), interpolation="nearest")
        for field, colour, line in zip(sorted(fields, reverse=True), cycle(COLOURS), cycle(LINES)):
            corner = (width / 2 - field / 2 - 0.5, height / 2 - field / 2 - 0.5)
            axis.add_patch(plt.Rectangle(corner, field, field, fill=False, edgecolor="white", linewidth=3.5))
            axis.add_patch(plt.Rectangle(corner, field, field, fill=False, edgecolor=colour, linewidth=1.8,
                                         linestyle=line, label=f"{field} x {field}"))
        margin = max(0, max(fields) - width) / 2 + width * 0.03
        axis.set(xlim=(-margin - 0.5, width + margin - 0.5), ylim=(height + margin - 0.5, -margin - 0.5))
        axis.set_title(title)
        axis.set_axis_off()
        axis.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8)
    return done(figure)
