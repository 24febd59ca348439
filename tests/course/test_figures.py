"""What the figures draw, read back from matplotlib."""

import base64
import io

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from PIL import Image

from colorlib.course import figures
from colorlib.course.claims import confidence_interval, ratio, value


@pytest.mark.parametrize("num", [1, 4, 8, 9])
def test_losses_draws_every_loss(num):
    history = {f"loss {k}": [float(k), 1.0, 2.0] for k in range(num)}
    drawn = [axis for axis in figures.losses(history, smooth=5).axes if axis.lines]
    assert [axis.get_title() for axis in drawn] == list(history)
    assert [axis.lines[0].get_ydata()[0] for axis in drawn] == list(range(num))


@pytest.fixture(autouse=True)
def full_resolution(monkeypatch):
    monkeypatch.setitem(figures.STYLE, "figure.dpi", 160)  # as at every preset but smoke


def test_curves_draws_every_line():
    series = {f"line {k}": ([0, 1], [[k], [k]]) for k in range(9)}
    axis, = figures.curves(series, xlabel="x", ylabel="y").axes
    assert [line.get_label() for line in axis.lines] == list(series)


def test_the_running_mean_of_a_loss_ends_at_the_last_step():
    values = [float(k) for k in range(20)]
    axis, = [axis for axis in figures.losses({"loss": values}, smooth=5).axes if axis.lines]
    steps, means = axis.lines[1].get_data()
    assert (steps[0], steps[-1]) == (4, 19) and (means[0], means[-1]) == pytest.approx((2.0, 17.0))


VALUES = {"L1": [1.0, 2.0, 4.0], "WGAN-GP": [0.4, 0.5, 0.6]}


def intervals(axis):
    return [tuple(lines.get_segments()[0][:, 1]) for lines in axis.collections]


def test_compare_draws_every_seed_and_the_interval_and_no_bar_from_zero():
    axis, = figures.compare(VALUES, ylabel="error").axes
    for numbers, dots, mean, interval in zip(VALUES.values(), axis.lines[::2], axis.lines[1::2], intervals(axis)):
        expected, bounds = confidence_interval(numbers)
        assert list(dots.get_ydata()) == numbers and list(mean.get_ydata()) == [expected]
        assert interval == pytest.approx(bounds)
    assert not axis.patches and [to_hex(line.get_color()) for line in axis.lines[::2]] == ["#e69f00", "#009e73"]


def test_the_interval_of_a_ratio_is_of_its_logarithms_and_threshold_and_parity_are_named():
    axis, = figures.compare(VALUES, ylabel="ratio", condition=ratio("new / old", "< 0.8")).axes
    mean, bounds = confidence_interval(np.log(VALUES["L1"]))
    assert intervals(axis)[0] == pytest.approx(np.exp(bounds))
    assert axis.lines[1].get_ydata() == pytest.approx(np.exp(mean))
    assert [text.get_text() for text in axis.texts] == ["needed\n< 0.8", "parity\n1"]
    assert [line.get_ydata()[0] for line in axis.lines[-2:]] == [1, 0.8]
    green = axis.patches[0].get_extents().transformed(axis.transData.inverted())
    assert green.y1 == pytest.approx(0.8) and green.y0 == pytest.approx(axis.get_ylim()[0])  # the side that supports


def test_panels_have_their_own_conditions_and_references():
    left, right = figures.compare_panels({"a": VALUES, "b": VALUES}, ylabels=["x", "y"],
                                         reference={"b": {"chance": 0.5}},
                                         conditions={"a": value("failures", "> 0.1")}).axes
    assert [text.get_text() for text in left.texts] == ["parity\n0", "needed\n> 0.1"]
    assert [text.get_text() for text in right.texts] == ["chance\n0.5"] and not right.patches


def test_labels_of_lines_that_lie_close_do_not_overlap():
    axis, = figures.compare(VALUES, ylabel="x", reference={"one": 1.0, "two": 1.0001, "three": 1.0002}).axes
    places = [text.get_position()[1] for text in axis.texts]
    assert np.all(np.diff(places) > 0.1)


def test_one_seed_has_no_interval():
    axis, = figures.compare({"one": [0.5]}, ylabel="x").axes
    assert not axis.collections


@pytest.mark.parametrize("name, colour", [
    ("WGAN-GP + residual U-Net, seed 0", "WGAN-GP + residual U-Net"), ("WGAN-GP", "WGAN-GP"), ("WGAN (clipping)", "WGAN"),
    ("L1 alone", "L1"), ("L1 + cGAN", "L1 + cGAN"), ("plainer", None), ("L10", None), ("WGAN-LP", None)])
def test_a_method_has_one_colour(name, colour):
    assert figures.colour_of(name) == (figures.METHODS[colour] if colour else None)


def test_other_lines_take_no_methods_colour():
    names = ["pix2pix", *map(str, range(6))]
    assert figures.colours_of(names)[0] == figures.METHODS["pix2pix"] and len(set(figures.colours_of(names))) == 7


def test_a_photograph_is_reduced_without_aliasing_and_a_small_picture_enlarged_smoothly():
    stripes = torch.zeros(3, 640, 640)
    stripes[:, :, ::2] = 1  # every other column: at half the size or less all of it is grey
    small = torch.rand(3, 8, 8)
    large, enlarged = (axis.images[0].get_array() for axis in figures.show_images([[stripes, small]], width=1.0).axes)
    assert large.shape == (160, 160, 3) and abs(large[4:-4, 4:-4] - 0.5).max() < 0.02
    assert enlarged.shape == (160, 160, 3) and len(np.unique(enlarged[:, :, 0])) > 1000
    squares, = figures.show_images([[small]], pixels=True).axes
    assert squares.images[0].get_array().shape == (8, 8, 3)


def test_every_row_is_as_high_as_its_own_pictures():
    figure = figures.show_images([[torch.rand(3, 40, 20)], [torch.rand(3, 10, 20), torch.rand(1, 5, 20)]], width=1.0)
    size = figure.get_size_inches()
    boxes = [axis.get_position() for axis in figure.axes]
    assert [box.height * size[1] for box in boxes] == pytest.approx([2, 0.5, 0.25])
    assert [box.width * size[0] for box in boxes] == pytest.approx([1, 1, 1])
    assert boxes[0].y0 > boxes[1].y1 and size[1] < 2.8


def test_bytes_and_floats_of_a_grey_picture_are_drawn_alike():
    grey = torch.tensor([[[0, 51, 102, 255]]], dtype=torch.uint8)
    for pixels in (True, False):
        axes = figures.show_images([[grey, grey.float() / 255]], pixels=pixels).axes
        first, second = (axis.images[0].to_rgba(axis.images[0].get_array()) for axis in axes)
        assert np.allclose(first, second, atol=0.01) and not np.allclose(first, first.mean())


@pytest.mark.parametrize("photo", [False, True])
def test_show_gives_the_picture_its_caption_below_and_as_text(photo, monkeypatch):
    from IPython import display
    from IPython.core.interactiveshell import InteractiveShell

    outputs = []
    monkeypatch.setattr(InteractiveShell, "initialized", lambda: True)
    monkeypatch.setattr(display, "display", lambda data, **options: outputs.append((data, options)))
    assert figures.show(figures.compare({"one": [1.0]}, ylabel="x"), "A *dot* at $1$.", photo=photo) is None
    (data, options), (caption, _) = outputs
    kind = "image/jpeg" if photo else "image/png"
    picture = Image.open(io.BytesIO(base64.b64decode(data[kind])))
    assert f"image/{picture.format.lower()}" == kind
    shown = options["metadata"][kind]
    assert shown["alt"] == "A dot at 1." and shown["width"] == pytest.approx(picture.width / (1.2 if photo else 1.6), abs=1)
    assert caption.data == "*A *dot* at $1$.*"


def test_show_stores_lines_with_a_palette_and_pictures_with_all_their_colours(monkeypatch):
    from IPython import display
    from IPython.core.interactiveshell import InteractiveShell
    from PIL import Image

    shown = []
    monkeypatch.setattr(InteractiveShell, "initialized", lambda: True)
    monkeypatch.setattr(display, "display", lambda data, **options: shown.append(data))
    lines = figures.compare({"L1": [1.0, 2.0], "GAN": [2.0, 4.0]}, ylabel="x")
    figures.show(lines, "Lines.")
    figures.show(figures.show_images([[torch.rand(3, 200, 200)]]), "Noise.")
    stored = [Image.open(io.BytesIO(base64.b64decode(data["image/png"]))) for data in shown if isinstance(data, dict)]
    assert [picture.mode for picture in stored] == ["P", "RGB"]
    whole = io.BytesIO()
    lines.savefig(whole, dpi=figures.STYLE["figure.dpi"], bbox_inches="tight", pad_inches=0.05)
    difference = np.asarray(stored[0].convert("RGB"), float) - np.asarray(Image.open(whole).convert("RGB"), float)
    assert abs(difference).mean() < 0.5 and len(base64.b64decode(shown[0]["image/png"])) < 0.6 * len(whole.getvalue())


def test_show_outside_a_notebook_prints_the_caption(capsys, monkeypatch):
    from IPython.core.interactiveshell import InteractiveShell

    monkeypatch.setattr(InteractiveShell, "initialized", lambda: False)
    assert figures.show(figures.compare({"one": [1.0]}, ylabel="x"), "A dot.") is None
    assert capsys.readouterr().out == "A dot.\n"


def test_a_table_is_markdown(monkeypatch):
    from IPython import display

    shown = []
    monkeypatch.setattr(display, "display", shown.append)
    figures.table([["method", "error"], ["a|b", 13.1]])
    assert shown[0].data == "| method | error |\n| :--- | ---: |\n| a\\|b | 13.1 |"


def test_losses_draw_what_they_are_compared_with():
    axis, = figures.losses({"l1": [3.0, 2.0, 1.0]}, reference={"grey": 2.5}).axes
    assert axis.lines[-1].get_label() == "grey" and set(axis.lines[-1].get_ydata()) == {2.5} and axis.get_legend()


def test_a_chart_is_stored_in_few_colours_and_a_photograph_in_all_of_its_own():
    chart = Image.new("RGB", (64, 64), "white")
    chart.putpixel((3, 4), (0, 114, 178))
    photograph = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8))
    few, all_of_them, small = (Image.open(io.BytesIO(figures.stored(*each))) for each in
                               ((chart, False), (photograph, False), (photograph, True)))
    assert few.mode == "P" and few.convert("RGB").getpixel((3, 4)) == (0, 114, 178)
    assert np.array_equal(all_of_them, photograph) and (small.format, small.size) == ("JPEG", (150, 150))
