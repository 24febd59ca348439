"""The figures of the series. Every function draws one figure and returns it; `show` displays it with its caption."""

import base64
import io
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from colorlib.color import L_ab_to_rgb8
from colorlib.course.claims import Condition, confidence_interval
from colorlib.runtime import preset

# Okabe and Ito's colours: distinguishable with any colour vision; lines differ in style too, for grey print
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
# one colour per method in every figure of the series, from Okabe and Ito's and from Tol's muted scheme
METHODS = {
    "real": "#000000", "data": "#000000", "grey": "#999999", "constant": "#777777", "mean": "#777777",
    "L1": "#E69F00", "L2": "#8C510A", "regression": "#E69F00", "GAN": "#CC79A7", "L1 + GAN": "#882255",
    "cGAN": "#56B4E9", "L1 + cGAN": "#0072B2", "pix2pix": "#0072B2", "pix2pix + residual U-Net": "#332288",
    "WGAN": "#D55E00", "WGAN-GP": "#009E73", "WGAN-GP + residual U-Net": "#00523B",
    "U-Net": "#44AA99", "residual U-Net": "#AA4499", "plain": "#44AA99", "residual": "#AA4499",
    "no shortcuts": "#44AA99", "residual, F = 0": "#661100", "strided": "#999933"}
STYLE = {"figure.dpi": 60 if preset() == "smoke" else 160, "font.size": 10, "axes.spines.top": False,
         "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25, "axes.axisbelow": True, "legend.frameon": False}
SCREEN_DPI = 100  # an inch of a figure is as many pixels of the page: text of 10 points is as tall as the page's


def done(figure: Figure) -> Figure:
    """Close the figure for pyplot: a notebook shows what a cell returns, and would show an open figure twice."""
    plt.close(figure)
    return figure


@contextmanager
def drawing(*shape: int, grid: bool = True, **options: object) -> Iterator[tuple[Figure, Any]]:
    """A figure in the style of the series with its axes, as `plt.subplots` makes them; `done` at the end."""
    with plt.rc_context(STYLE | {"axes.grid": grid}):
        figure, axes = plt.subplots(*shape, layout="constrained", **options)
        yield figure, axes
    done(figure)


def show(figure: Figure, caption: str, photo: bool = False) -> None:
    """Display the figure with `caption` below it, which is also its alternative text; outside a notebook, print that.
    photo=True stores it as JPEG, many times smaller where most of it is photographs; else it is PNG."""
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.display import Markdown, display

    if not InteractiveShell.initialized():
        return print(caption)
    file, kind = io.BytesIO(), "image/jpeg" if photo else "image/png"
    figure.savefig(file, dpi=STYLE["figure.dpi"], bbox_inches="tight", pad_inches=0.05)
    picture = Image.open(file).convert("RGB")
    shown = {"alt": re.sub(r"[*`$]", "", caption), "width": round(picture.width * SCREEN_DPI / STYLE["figure.dpi"])}
    display({kind: base64.b64encode(stored(picture, photo)).decode(), "text/plain": f"<figure: {shown['alt']}>"},
            metadata={kind: shown}, raw=True)
    display(Markdown(f"*{caption}*"))


def stored(picture: Image.Image, photo: bool) -> bytes:
    """The bytes of a figure, few enough for a notebook: a JPEG of three quarters of its side, or a PNG, which has 256
    colours if it is a chart."""
    file = io.BytesIO()
    if photo:
        small = picture.resize([round(0.75 * side) for side in picture.size], Image.Resampling.LANCZOS)
        small.save(file, "JPEG", quality=82, subsampling=0, optimize=True, progressive=True)
    else:
        chart = picture.getcolors(1 << 15) is not None
        (picture.quantize(256, dither=Image.Dither.NONE) if chart else picture).save(file, "PNG", optimize=True)
    return file.getvalue()


def table(rows: Sequence[Sequence[object]], align: str = "") -> None:
    """Display a table, its header the first row; align is one letter, l, c or r, for each column (else l, then r)."""
    from IPython.display import Markdown, display

    lines = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    align = align or "l" + "r" * (len(lines[0]) - 1)
    lines.insert(1, [{"l": ":---", "c": ":---:", "r": "---:"}[letter] for letter in align])
    display(Markdown("\n".join("| " + " | ".join(line) + " |" for line in lines)))


def colour_of(name: str) -> str | None:
    """The colour of a method: of the longest name in METHODS that `name` is or begins with; None without one."""
    known = [method for method in METHODS if re.match(re.escape(method) + r"(?![\w-])", name)]
    return METHODS[max(known, key=len)] if known else None


def colours_of(names: Iterable[str]) -> list[str]:
    """A colour for every name: its own, or the next that none of the others has."""
    own = [colour_of(name) for name in names]
    free = cycle([colour for colour in COLOURS if colour not in own] or COLOURS)
    return [colour or next(free) for colour in own]


def _dots(axis: plt.Axes, values: Mapping[str, Sequence[float]], condition: Condition | None,
          reference: Mapping[str, float]) -> None:
    """Every seed a small dot, every mean a diamond with its 95 % interval; what is known exactly, and the threshold.
    Without a condition the interval is of the values as they are; with one on a ratio, of their logarithms."""
    change, back = (np.log, np.exp) if condition is not None and condition.log else (np.asarray, np.asarray)
    for x, (name, numbers) in enumerate(values.items()):
        colour = colour_of(name) or COLOURS[0]
        jitter = np.linspace(-0.13, 0.13, len(numbers)) if len(numbers) > 1 else [0]
        axis.plot(x + np.asarray(jitter), numbers, "o", color=colour, markersize=4, alpha=0.45, markeredgewidth=0)
        if len(numbers) > 1:
            mean, interval = confidence_interval(change(numbers))
            axis.vlines(x + 0.27, *back(interval), color=colour, linewidth=2)
            axis.plot(x + 0.27, back(mean), "D", color=colour, markersize=5)
    lines = {f"{name}\n{value:.3g}": (value, colour_of(name) or "#555555", "-.") for name, value in reference.items()}
    if condition is not None:
        sign, bound = condition.supported.split()
        if condition.parity != float(bound):
            lines[f"parity\n{condition.parity:g}"] = condition.parity, "black", ":"
        lines[f"needed\n{condition.supported}"] = float(bound), "black", "--"
    for height, colour, line in lines.values():
        axis.axhline(height, color=colour, linewidth=1.2, linestyle=line, zorder=1)
    low, high = axis.get_ylim()
    if condition is not None:  # the side of the threshold on which the claim is supported
        support = (low, float(bound)) if sign[0] == "<" else (float(bound), high)
        axis.axhspan(*support, color="#009E73", alpha=0.07, zorder=0)
        axis.set_ylim(low, high)
    place = -1.0
    for text, (height, colour, _) in sorted(lines.items(), key=lambda item: item[1][0]):
        text = textwrap.fill(text.split("\n")[0], 14) + "\n" + text.split("\n")[1]
        half = 0.03 * (text.count("\n") + 1)  # of the panel's height: labels of lines close together are pushed apart
        place = max(axis.transAxes.inverted().transform(axis.transData.transform((0, height)))[1], place + half)
        axis.text(1.02, place, text, transform=axis.transAxes, fontsize=7.5, va="center", linespacing=1, color=colour)
        place += half
    names = [textwrap.fill(name, 10 if len(values) < 5 else 8, break_long_words=False) for name in values]
    axis.set_xticks(range(len(values)), names, fontsize=8)
    axis.set_xlim(-0.5, len(values) - 0.4)
    axis.grid(axis="x", visible=False)


def band(axis: plt.Axes, xs: Sequence[float], ys: Sequence[Sequence[float]], colour: str, *, alpha: float = 0.15,
         **line: object) -> None:
    """The mean as a line, and a band from the least to the greatest; ys holds for every x one value per seed."""
    axis.plot(xs, [np.mean(y) for y in ys], color=colour, **line)
    axis.fill_between(xs, [np.min(y) for y in ys], [np.max(y) for y in ys], color=colour, alpha=alpha, linewidth=0)


def to_numpy(image: Tensor) -> np.ndarray:
    """(C, H, W) uint8, or float in [0, 1] or [-1, 1] -> an array that matplotlib draws, (H, W, 3) or (H, W). C is 1 or
    3. A float picture with a negative value is taken as scaled to [-1, 1]."""
    image = image.detach().cpu()
    if image.dim() == 2:
        image = image[None]
    if image.dtype != torch.uint8:
        image = ((image + 1) / 2 if float(image.min()) < 0 else image).clamp(0, 1)
    array = image.permute(1, 2, 0).numpy()
    return array[..., 0] if array.shape[-1] == 1 else array


def show_images(rows: Sequence[Sequence[Tensor]], *, column_titles: Sequence[str] = (), row_titles: Sequence[str] = (),
                width: float = 2.0, pixels: bool = False) -> Figure:
    """A grid of pictures (C, H, W), see `to_numpy`; rows may differ in length, width is inches per picture. Every
    picture is brought smoothly to the size at which it is shown; pixels=True keeps its pixels as squares. A row is as
    high as its tallest picture. Column titles stand above the first row, row titles left of each row."""
    gap, across = 0.06, max(len(row) for row in rows)
    heights = [width * max(image.shape[-2] / image.shape[-1] for image in row) for row in rows]
    left = 0.02 + 0.085 * max((len(line) for title in row_titles for line in title.split("\n")), default=0)
    titles = [textwrap.fill(title, max(6, int(13 * width)), break_long_words=False) for title in column_titles]
    above = 0.05 + 0.17 * max((title.count("\n") + 1 for title in titles), default=0)
    total = left + across * (width + gap), above + sum(heights) + gap * len(rows)
    with plt.rc_context(STYLE):
        figure, top = plt.figure(figsize=total), total[1] - above
        for r, (row, height) in enumerate(zip(rows, heights)):
            for c, image in enumerate(row):
                tall = width * image.shape[-2] / image.shape[-1]
                place = left + c * (width + gap), top - (height + tall) / 2, width, tall
                axis = figure.add_axes([place[0] / total[0], place[1] / total[1], width / total[0], tall / total[1]])
                array = to_numpy(image) if pixels else smooth(to_numpy(image), width)
                axis.imshow(array, cmap="gray", vmin=0, vmax=255 if array.dtype == np.uint8 else 1,
                            interpolation="nearest", aspect="auto")
                axis.set_axis_off()
                if r == 0 and c < len(titles):
                    axis.set_title(titles[c], fontsize=9, pad=4)
                if c == 0 and r < len(row_titles):
                    axis.text(-0.08 / width, 0.5, row_titles[r], transform=axis.transAxes, fontsize=9, ha="right",
                              va="center")
            top -= height + gap
    return done(figure)


def smooth(array: np.ndarray, width: float) -> np.ndarray:
    """A picture of `to_numpy` at `width` inches of the figures' resolution: bicubic, antialiased where reduced."""
    picture = torch.from_numpy(array).float() / (255 if array.dtype == np.uint8 else 1)
    picture = picture[None, None] if picture.dim() == 2 else picture.permute(2, 0, 1)[None]
    across = round(width * STYLE["figure.dpi"])
    size = max(1, round(across * picture.shape[-2] / picture.shape[-1])), across
    picture = F.interpolate(picture, size=size, mode="bicubic", antialias=True).clamp(0, 1)[0]
    return picture.permute(1, 2, 0).numpy() if len(picture) == 3 else picture[0].numpy()


def show_colourings(L: Tensor, columns: Mapping[str, Tensor], num: int = 4, *, width: float = 2.0) -> Figure:
    """One row per photograph, the first `num` of the batch: grey, then each column's ab joined with the same L. L is
    (B, 1, H, W), L / 50 - 1; columns is title -> ab / 110, (B, 2, H, W); width is inches per picture."""
    L = L[:num].cpu()
    grey = L_ab_to_rgb8(L, torch.zeros_like(L).expand(-1, 2, -1, -1))
    coloured = [L_ab_to_rgb8(L, ab[:num].float().cpu()) for ab in columns.values()]
    rows = [[grey[i], *(column[i] for column in coloured)] for i in range(len(L))]
    return show_images(rows, column_titles=["given: L", *columns], width=width)


def losses(history: Mapping[str, Sequence[float]], *, smooth: int = 25,
           reference: Mapping[str, float] | None = None) -> Figure:
    """Loss curves, one small panel each, four in a row: raw and as a running mean of `smooth` steps. history is name ->
    one value per step; reference is name -> a value drawn as a line across every panel."""
    rows, columns = -(-len(history) // 4), min(4, len(history))
    with drawing(rows, columns, figsize=(3.4 * columns, 2.4 * rows), squeeze=False) as (figure, axes):
        for axis in axes.flat[len(history):]:
            axis.set_axis_off()
        for axis, (name, values), colour in zip(axes.flat, history.items(), cycle(COLOURS)):
            axis.plot(values, color=colour, alpha=0.25, linewidth=0.8)
            if len(values) > 2 * smooth:
                means = np.convolve(values, np.ones(smooth) / smooth, "valid")
                axis.plot(range(smooth - 1, len(values)), means, color=colour)
            axis.set(title=name, xlabel="step")
            for text, height in (reference or {}).items():
                axis.axhline(height, color=colour_of(text) or "#555555", linestyle="--", linewidth=1.2, label=text)
            if reference:
                axis.legend(fontsize=8)
    return figure


def compare(values: Mapping[str, Sequence[float]], *, ylabel: str, reference: Mapping[str, float] | None = None,
            condition: Condition | None = None, log_y: bool = False) -> Figure:
    """Every seed a dot, every mean a diamond with its 95 % interval. values is name -> one value per seed; reference is
    name -> a value drawn as a line across; condition is a claim's condition on these values: its threshold is dashed,
    its parity dotted, the side that supports the claim is green."""
    return compare_panels({"": values}, ylabels=[ylabel], reference={"": reference or {}}, log_y=log_y,
                          conditions={"": condition} if condition else {}, width=max(2.7, 0.78 * len(values) + 1.1))


def compare_panels(panels: Mapping[str, Mapping[str, Sequence[float]]], *, ylabels: Sequence[str],
                   reference: Mapping[str, float | Mapping[str, float]] | None = None,
                   conditions: Mapping[str, Condition] | None = None, width: float = 0, log_y: bool = False) -> Figure:
    """Several measures of the same runs side by side, each as in `compare`. panels is panel title -> name -> one value
    per seed; reference is panel title -> lines across it, name -> value; conditions is panel title -> a claim's
    condition on that panel's values; width is inches of a panel."""
    width = width or max(2.7, 0.68 * max(len(values) for values in panels.values()) + 1.1)
    with drawing(1, len(panels), figsize=(len(panels) * width, 2.9), squeeze=False) as (figure, axes):
        for axis, (title, values), ylabel in zip(axes.flat, panels.items(), ylabels):
            if log_y:
                axis.set_yscale("log")
            lines = (reference or {}).get(title, {})
            lines = lines if isinstance(lines, Mapping) else {"reference": lines}
            _dots(axis, values, (conditions or {}).get(title), lines)
            axis.set(ylabel=ylabel)
            axis.set_title(title, fontsize=10)
        figure.get_layout_engine().set(w_pad=0.08)
    return figure


def curves(series: Mapping[str, tuple[Sequence[float], Sequence[Sequence[float]]]], *, xlabel: str, ylabel: str,
           log_y: bool = False) -> Figure:
    """Lines through the means, with a band from the least to the greatest seed; series is name -> (x values, for every
    x one value per seed)."""
    num = max(len(y) for _, ys in series.values() for y in ys)
    with drawing(figsize=(5.6, 3.2)) as (figure, axis):
        for (name, (xs, ys)), colour, line in zip(series.items(), colours_of(series), cycle(LINES)):
            band(axis, xs, ys, colour, linestyle=line, marker="o", markersize=3, label=name)
        axis.set(xlabel=xlabel, ylabel=ylabel, yscale="log" if log_y else "linear")
        axis.legend(fontsize=8, title=f"mean of {num} seeds, band: least to greatest" if num > 1 else None,
                    title_fontsize=7.5, alignment="left")
    return figure


def unet_diagram(size: int, widths: Sequence[int]) -> Figure:
    """A U-Net drawn to scale: the height of a block is the side of its feature map, its width the channels. size is the
    side of the input in pixels; widths are the channels of the encoder's levels, from the outermost."""
    levels = len(widths)
    sides = [size / 2 ** (level + 1) for level in range(levels)]
    encoder = [(level, COLOURS[0], level) for level in range(levels)]
    decoder = [(2 * levels - 2 - level, COLOURS[1], level) for level in range(levels - 1)]
    with drawing(figsize=(7.5, 2.9)) as (figure, axis):
        axis.bar([-1, 2 * levels - 1], [size, size], width=0.12, color="black")
        for x, colour, level in encoder + decoder:
            axis.bar(x, sides[level], width=0.12 + 0.5 * widths[level] / max(widths), color=colour, alpha=0.6)
            note = f"{sides[level]:g}\n{widths[level]} ch"
            axis.text(x, sides[level] / 2 + 1.5, note, ha="center", va="bottom", fontsize=7)
        for right, _, level in decoder:
            y = -sides[level] / 2 - 3
            axis.annotate("", (right, y), (level, y), arrowprops={"arrowstyle": "->", "linewidth": 0.8})
        for x, text in ((-1, "condition"), (2 * levels - 1, "prediction")):
            axis.text(x, size / 2 + 2, f"{text}\n{size} x {size}", ha="center", va="bottom", fontsize=8)
        for bar in axis.patches:
            bar.set_y(-bar.get_height() / 2)
        axis.set(xlim=(-1.8, 2 * levels - 0.2), ylim=(-size * 0.6, size * 0.72))
        axis.set_axis_off()
    return figure


def patches(image: Tensor, fields: Sequence[int]) -> Figure:
    """Receptive fields (sides in pixels) drawn to scale on a picture (C, H, W), over its edge where they are larger."""
    height, width = image.shape[-2:]
    with drawing(figsize=(3.6, 3.6)) as (figure, axis):
        axis.imshow(to_numpy(image), interpolation="nearest")
        for field, colour, line in zip(sorted(fields, reverse=True), cycle(COLOURS), cycle(LINES)):
            corner = (width / 2 - field / 2 - 0.5, height / 2 - field / 2 - 0.5)
            axis.add_patch(plt.Rectangle(corner, field, field, fill=False, edgecolor="white", linewidth=3.5))
            axis.add_patch(plt.Rectangle(corner, field, field, fill=False, edgecolor=colour, linewidth=1.8,
                                         linestyle=line, label=f"{field} x {field}"))
        margin = max(0, max(fields) - width) / 2 + width * 0.03
        axis.set(xlim=(-margin - 0.5, width + margin - 0.5), ylim=(height + margin - 0.5, -margin - 0.5))
        axis.set_axis_off()
        axis.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8)
    return figure
