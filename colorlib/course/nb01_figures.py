"""The figures of notebook 01: colours on the ab plane, and palettes whose true colours are known."""

from collections.abc import Mapping

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from colorlib.color import AB_SCALE, lab_to_rgb
from colorlib.course.figures import drawing


def ab_plane(points: Mapping[str, Tensor], *, lightness: float = 65.0, limit: float = 100.0) -> Figure:
    """Colours as points of the ab plane over the real colours of that plane at one lightness. points is panel title ->
    ab / 110 of any pixels, (N, 2); lightness is L in 0..100 (what sRGB cannot show there stays white); limit is half
    the side of the plane, CIE units."""
    axis_values = torch.linspace(-limit, limit, 121)
    b, a = torch.meshgrid(axis_values, axis_values, indexing="ij")
    rgb = lab_to_rgb(torch.stack([torch.full_like(a, lightness), a, b])[None])[0]
    inside = ((rgb >= 0) & (rgb <= 1)).all(0)
    plane = torch.where(inside, rgb.clamp(0, 1) * 0.35 + 0.65, torch.ones(())).permute(1, 2, 0).numpy()
    with drawing(1, len(points), figsize=(2.9 * len(points), 2.9), squeeze=False, sharey=True) as (figure, axes):
        for axis, (title, ab) in zip(axes.flat, points.items()):
            axis.imshow(plane, origin="lower", extent=(-limit, limit, -limit, limit))
            axis.scatter(*_cie(ab), s=3, color="black", alpha=0.35, linewidths=0)
            axis.set(title=title, xlabel="a: green to red", xlim=(-limit, limit), ylim=(-limit, limit))
            axis.grid(False)
        axes[0, 0].set_ylabel("b: blue to yellow")
    return figure


def palettes(kinds: Mapping[str, tuple[Tensor, Tensor]], predictions: Mapping[str, Mapping[str, Tensor]]) -> Figure:
    """Known colours of a thing as a bar, each as wide as it is frequent, and single predictions next to it, at one L.
    kinds is name -> colours ab / 110 (K, 2), probabilities (K,); predictions is title -> for each name an ab / 110."""
    with drawing(len(kinds), 1 + len(predictions), figsize=(4.6 + 1.1 * len(predictions), 0.75 * len(kinds) + 0.3),
                 squeeze=False, gridspec_kw={"width_ratios": [4.0, *[1.0] * len(predictions)]}) as (figure, axes):
        for row, (name, (colours, probabilities)) in zip(axes, kinds.items()):
            left = 0.0
            for colour, probability in zip(_paint(colours, 60.0), probabilities.tolist()):
                row[0].barh(0, probability, left=left, height=1, color=colour)
                row[0].text(left + probability / 2, 0, f"{probability:.2f}", ha="center", va="center", color="white",
                            fontsize=9)
                left += probability
            row[0].set(xlim=(0, left), ylim=(-0.5, 0.5))
            row[0].set_ylabel(name, rotation=0, ha="right", va="center")
            for axis, prediction in zip(row[1:], predictions.values()):
                axis.set_facecolor(_paint(prediction[name][None], 60.0)[0])
        for axis, title in zip(axes[0], ["true colours, as frequent as they are wide", *predictions]):
            axis.set_title(title, fontsize=9)
        for axis in axes.flat:
            axis.set(xticks=[], yticks=[])
            axis.grid(False)
            axis.spines[:].set_visible(False)
    return figure


def predictions_on_plane(predictions: Mapping[str, Tensor], palette: Tensor, best: Mapping[str, Tensor]) -> Figure:
    """Predicted colours of things whose true colours are known: one panel per network, as in `ab_plane`; all ab / 110.
    predictions is panel title -> predicted (N, 2), small dots; palette the true colours (K, 2), large discs in their
    own colour; best is panel title -> the prediction with the least expected error, (2,), a cross."""
    figure = ab_plane(predictions, lightness=55.0, limit=65.0)
    edge = {"edgecolors": "black", "linewidths": 1}
    for axis, title in zip(figure.axes, predictions):
        axis.scatter(*_cie(palette), s=130, c=_paint(palette, 55.0), label="true colours", **edge)
        axis.scatter(*_cie(best[title][None]), marker="X", s=110, c="white", label="least error", **edge)
    figure.legend(*figure.axes[-1].get_legend_handles_labels(), fontsize=8, loc="outside right upper")
    return figure


def distributions(things: Mapping[str, tuple[Tensor, Tensor]], bins: Tensor) -> Figure:
    """Predicted distributions over bins of the ab plane: a disc for each bin, its area its probability. things is panel
    title -> probabilities (K,) and the true colours (N, 2), crosses; bins are the K colours, ab / 110."""
    figure = ab_plane({title: true for title, (_, true) in things.items()}, limit=75.0)
    for axis, (probabilities, true) in zip(figure.axes, things.values()):
        axis.scatter(*_cie(bins), s=2000 * probabilities.cpu().numpy(), c=_paint(bins, 60), edgecolors="black",
                     linewidths=0.4)
        axis.scatter(*_cie(true), marker="x", color="black", s=60)
    return figure


def _cie(ab: Tensor) -> np.ndarray:
    return (ab.detach().cpu().float() * AB_SCALE).T.numpy()  # (N, 2) -> (2, N)


def _paint(ab: Tensor, lightness: float) -> np.ndarray:
    """The colours of ab (N, 2), scaled, at one lightness, (N, 3)."""
    lab = torch.cat([torch.full((len(ab), 1), float(lightness)), ab.detach().cpu().float() * AB_SCALE], 1)
    return lab_to_rgb(lab.T[:, :, None])[..., 0].clamp(0, 1).T.numpy()
