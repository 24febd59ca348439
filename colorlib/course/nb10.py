"""The figures of notebook 10: the parts of a step, one update in two processes, a run that was killed and resumed."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from colorlib.course.diagrams import DATA, INK, LOSS, NETWORK, Sheet
from colorlib.course.figures import COLOURS, drawing


def bars(values: Mapping[str, float], xlabel: str) -> Figure:
    """One horizontal bar per part, from top to bottom in the order of a step, with its value and its share."""
    total = sum(values.values())
    with drawing(figsize=(6.4, 0.34 * len(values) + 0.6)) as (figure, axis):
        axis.barh(list(values), list(values.values()), color=COLOURS[0])
        for y, number in enumerate(values.values()):
            axis.text(number + 0.01 * max(values.values()), y, f"{number:.3g} ({100 * number / total:.0f} %)",
                      va="center", fontsize=8.5)
        axis.set(xlabel=xlabel, xlim=(0, 1.22 * max(values.values())))
        axis.invert_yaxis()
        axis.grid(axis="y", visible=False)
    return figure


def shares() -> Figure:
    """One update in two processes: a share of the batch each, the mean of the gradients, the same update."""
    sheet = Sheet(7.6, 2.3)
    batch = sheet.box(0.75, 1.15, "batch of B\npictures", DATA, 1.2, 0.6)
    mean = sheet.box(5.2, 1.15, "all-reduce:\nmean of both", LOSS, 1.25, 0.6)
    for number, y in ((1, 1.8), (2, 0.5)):
        share = sheet.box(2.1, y, f"share {number}\nB / 2 pictures", DATA, 1.2, 0.5)
        process = sheet.box(3.65, y, f"process {number}:\ngradient", NETWORK, 1.2, 0.5)
        update = sheet.box(6.75, y, "the same\nupdate", NETWORK, 1.1, 0.5)
        sheet.arrow(batch.at("r"), share.at("l"), colour=INK)
        sheet.flow(share, process)
        sheet.arrow(process.at("r"), mean.at("l"))
        sheet.arrow(mean.at("r"), update.at("l"))
    return sheet.figure


def coinciding(curves: Mapping[str, Sequence[float]], step: int, naive: Sequence[float]) -> Figure:
    """The losses of an unbroken run as a line, those of a broken one as rings on it, and naive, from the step of its
    checkpoint on, those of a run that continued from the weights alone. curves is "unbroken" and "broken" -> losses."""
    with drawing(figsize=(7.0, 3.0)) as (figure, axis):
        axis.plot(curves["unbroken"], color=COLOURS[0], label="never broken")
        axis.plot(curves["broken"], "o", color=COLOURS[1], markerfacecolor="none", markersize=5,
                  label="killed and resumed")
        axis.plot(range(step, step + len(naive)), naive, "--", color=COLOURS[2], label="from the weights alone")
        axis.axvline(step, color=INK, linestyle=":", linewidth=1.2)
        axis.text(step, 1.0, " resumed here", transform=axis.get_xaxis_transform(), va="top", fontsize=8.5)
        axis.set(xlabel="step", ylabel="L1 of the generator")
        axis.legend(fontsize=8.5, loc="lower left")
    return figure
