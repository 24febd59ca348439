"""The teaching world against scikit-image, scipy and its own closed forms."""

import itertools

import numpy as np
import pytest
import torch
from scipy import optimize, stats
from skimage.color import rgb2lab

from colorlib.course import scenes as world
from colorlib.course.scenes import CLASSES, KINDS, LABELS, PALETTES, SEASONS, TIMES, landscape, render
from colorlib.course.scenes.canvas import Canvas


@pytest.fixture(scope="module")
def many():
    return render(600, 64, seed=5)


def lab_of(rgb):
    """CIE Lab (N, H, W, 3) by scikit-image."""
    return rgb2lab(rgb.permute(0, 2, 3, 1).numpy())


@pytest.mark.parametrize("size", [32, 33, 50, 64, 96, 128, 200, 256])
def test_every_size(size):
    scenes = render(3, size, seed=1)
    assert scenes.rgb.shape == scenes.night.shape == (3, 3, size, size)
    assert scenes.labels.shape == scenes.free.shape == (3, size, size) and scenes.edges.shape == (
        3,
        1,
        size,
        size,
    )
    for picture in (scenes.rgb, scenes.night, scenes.labels, scenes.edges, scenes.free):
        assert picture.dtype == torch.uint8
    assert scenes.labels.max() < len(LABELS) and scenes.edges.max() == 1 and scenes.free.max() <= len(KINDS)
    assert scenes.rgb.float().std() > 20


def test_same_scene_at_every_size():
    small, large = render(12, 48, seed=2), render(12, 192, seed=2)
    shrunk = torch.nn.functional.avg_pool2d(large.rgb.float(), 4)
    other = shrunk.roll(1, 0)
    near, far = ((small.rgb - s).abs().mean((1, 2, 3)) for s in (shrunk, other))
    assert near.max() < 16 and (near < 0.6 * far).all()
    assert torch.equal(small.season, large.season) and torch.equal(small.roof, large.roof)


def test_seeds_and_batches():
    first = render(9, 64, seed=3)
    for name in (
        "rgb",
        "night",
        "labels",
        "edges",
        "free",
        "scene_class",
        "season",
        "time",
        "roof",
        "car",
        "flower",
    ):
        assert torch.equal(getattr(first, name), getattr(render(9, 64, seed=3), name))
        assert torch.equal(getattr(first, name)[:4], getattr(render(4, 64, seed=3), name))
    assert not torch.equal(first.rgb, render(9, 64, seed=4).rgb)
    stream = world.scene_batches(64, 3, seed=3)
    for number, made in enumerate(zip(*(next(stream) for _ in range(3)))):
        assert torch.equal(torch.cat(made), first.L_ab()[number])


def test_tiles_change_nothing(monkeypatch):
    whole = render(7, 40, seed=3)
    monkeypatch.setattr(world, "_PIXELS_AT_ONCE", 2 * 40 * 40)
    assert torch.equal(whole.rgb, render(7, 40, seed=3).rgb)


@pytest.mark.parametrize(
    "name, value", [("num", 0), ("num", 2.0), ("size", 31), ("size", "64"), ("seed", -1), ("seed", True)]
)
def test_bad_arguments(name, value):
    arguments = {"num": 2, "size": 64, "seed": 0, name: value}
    with pytest.raises(ValueError, match=rf"{name} is .*whole number of at least"):
        render(**arguments)
    if name != "num":
        arguments["batch_size"] = arguments.pop("num")
        with pytest.raises(ValueError, match=name):
            world.scene_batches(**arguments)


def test_all_classes_seasons_times(many):
    for values, names in ((many.scene_class, CLASSES), (many.season, SEASONS), (many.time, TIMES)):
        assert stats.chisquare(torch.bincount(values, minlength=len(names)).numpy()).pvalue > 1e-4
    assert set(many.labels.unique().tolist()) == set(range(len(LABELS)))


# The free colours


def test_free_pixels_have_exactly_the_palette_colours(many):
    """Each within 8-bit rounding, with the probabilities of the palette, at every L of the kind."""
    lab = lab_of(many.rgb)
    for number, kind in enumerate(KINDS, 1):
        here = lab[many.free.numpy() == number]
        colors = PALETTES[kind].ab.numpy() * 110
        distance = np.linalg.norm(here[:, None, 1:] - colors, axis=-1)
        assert distance.min(1).max() < 1.0  # half a level in each channel is about 0.7 in ab
        choice = distance.argmin(1)
        for color in range(len(colors)):
            mine = here[choice == color]
            assert np.abs(mine[:, 1:].mean(0) - colors[color]).max() < 0.1 and mine[:, 1:].std(0).max() < 0.5
        low, high = PALETTES[kind].lightness
        assert low - 0.6 < here[:, 0].min() and here[:, 0].max() < high + 0.6
        assert here[:, 0].max() - here[:, 0].min() > 0.5 * (high - low)  # it is shaded


def test_palettes_stay_inside_srgb():
    """No palette colour is clipped anywhere in its range of L: scikit-image's Lab comes back from 8 bits."""
    from colorlib.color import lab_to_rgb

    for kind in KINDS:
        low, high = PALETTES[kind].lightness
        for ab, L in itertools.product(PALETTES[kind].ab * 110, torch.linspace(low, high, 30)):
            rgb = lab_to_rgb(torch.tensor([L, *ab])[:, None, None])
            assert rgb.min() > 0 and rgb.max() < 1, (kind, ab, L)


def test_colours_are_drawn_from_the_palette():
    scenes = render(600, 32, seed=11)
    for kind in KINDS:
        drawn = getattr(scenes, kind)
        p = PALETTES[kind].probabilities.double().numpy()
        p = p / p.sum()
        counts = np.bincount(drawn.flatten().numpy(), minlength=len(p))
        assert stats.chisquare(counts, counts.sum() * p).pvalue > 1e-4
        # independent of the other facts, and of the neighbour's colour
        for fact in (scenes.season, scenes.time, scenes.scene_class, drawn[:, 1]):
            table = np.zeros((len(p), int(fact.max()) + 1))
            np.add.at(table, (drawn[:, 0].numpy(), fact.numpy()), 1)
            assert stats.chi2_contingency(table).pvalue > 1e-4


def test_grey_picture_says_nothing_about_free_colours(many, monkeypatch):
    """Draw the same scenes with every free colour exchanged: colours change, the L of every pixel stays (to
    rounding)."""
    larger, honest = render(40, 128, seed=5), landscape.choose
    monkeypatch.setattr(landscape, "choose", lambda u, p: (honest(u, p) + 1) % len(p))
    for one in (many, larger):
        other = render(len(one), one.rgb.shape[-1], seed=5)
        lab, changed = lab_of(one.rgb[:200]), lab_of(other.rgb[:200])
        free = one.free[:200].numpy() > 0
        assert np.linalg.norm((lab - changed)[..., 1:], axis=-1)[free].min() > 20
        difference = (lab - changed)[..., 0]
        assert np.abs(difference).max() < 1.0 and abs(difference[free].mean()) < 0.03
        for name in ("labels", "edges", "free"):
            assert torch.equal(getattr(one, name), getattr(other, name))


def test_free_things_matter(many):
    share = (many.free > 0).float().mean().item()
    assert 0.05 < share < 0.15
    assert (render(60, 32, seed=1).free > 0).float().mean() > 0.04
    for number, kind in enumerate(KINDS, 1):
        assert set(many.labels[many.free == number].tolist()) == {LABELS.index(kind)}


@pytest.mark.parametrize("size, expected", [
    (32, [18573268, 7720576, 227045, 12818, 5336]),
    (64, [74283305, 30648629, 908869, 30474, 26951]),
])
def test_the_pictures_stay_what_they_are(size, expected):
    """Sums over a small batch, with room for the rounding of another processor: a thing moved or repainted changes them."""
    scenes = render(40, size, seed=3)
    found = [int(getattr(scenes, name).long().sum()) for name in ("rgb", "night", "labels", "edges", "free")]
    assert found == pytest.approx(expected, rel=2e-4)


# What can be known about them


@pytest.mark.parametrize("kind", KINDS)
def test_closed_forms_against_scipy(kind):
    colors, p = PALETTES[kind].ab.double().numpy(), PALETTES[kind].probabilities.double().numpy()
    assert abs(p.sum() - 1) < 1e-6
    squared = optimize.minimize(lambda x: p @ ((colors - x) ** 2).mean(1), np.zeros(2))
    assert np.allclose(world.best_l2(kind), squared.x, atol=1e-4)
    assert world.expected_l2(kind, world.best_l2(kind)) == pytest.approx(squared.fun, rel=1e-4)
    grid = np.stack(np.meshgrid(*[np.unique(colors[:, i]) for i in (0, 1)]), -1).reshape(-1, 2)
    absolute = [p @ np.abs(colors - x).mean(1) for x in grid]  # the minimum lies on a crossing
    assert np.allclose(world.best_l1(kind), grid[np.argmin(absolute)])
    assert world.entropy(kind) == pytest.approx(stats.entropy(p), rel=1e-5)
    chroma = p @ np.linalg.norm(colors, axis=1)
    # what makes the palettes worth having: both optima are dull, and far from every colour
    for best in (world.best_l1(kind), world.best_l2(kind)):
        assert best.norm() < 0.33 * chroma
        assert np.linalg.norm(colors - best.numpy(), axis=1).min() > 0.2


# What goes with a picture


def test_edges_are_where_labels_change(many):
    labels, edges = many.labels.int(), many.edges[:, 0].bool()
    drawn = labels.clone()
    for name, like in (("snow", "mountain"),):
        drawn[labels == LABELS.index(name)] = LABELS.index(like)
    outline = torch.zeros_like(edges)
    outline[:, :, :-1] |= drawn[:, :, 1:] != drawn[:, :, :-1]
    outline[:, :-1] |= drawn[:, 1:] != drawn[:, :-1]
    assert (edges & outline).sum() > 0.95 * outline.sum()  # the rest: stems are grass
    assert 0.05 < edges.float().mean() < 0.35
    assert edges[outline].float().mean() > 3 * edges[~outline].float().mean()


def test_night_is_dark_blue_with_lit_windows(many):
    day, night = (lab_of(p[:200]) for p in (many.rgb, many.night))
    assert night[..., 0].mean() < 0.5 * day[..., 0].mean()
    assert night[..., 2].mean() < -8
    labels = many.labels[:200].numpy()
    sky, window, sun = (labels == LABELS.index(n) for n in ("sky", "window", "sun"))
    assert (night[window][:, 0] > 65).mean() > 0.1 and night[window][night[window][:, 0] > 65][
        :, 2
    ].mean() > 20
    assert night[sun][:, 0].mean() > 60
    stars = (night[sky][:, 0] > 50).mean()
    assert 0.001 < stars < 0.05
    # the shapes are the same: lightness still follows the day's
    ground = (labels == LABELS.index("hill")) & (many.time[:200] == 1).numpy()[:, None, None]
    assert np.corrcoef(day[ground][:, 0], night[ground][:, 0])[0, 1] > 0.8


def test_season_is_in_the_colour_of_leaves_not_in_their_lightness():
    scenes = render(800, 32, seed=21)
    L, ab = scenes.L_ab()
    tree = scenes.labels == LABELS.index("grass")
    lightness, redness = {}, {}
    for number, season in enumerate(SEASONS):
        here = tree & (scenes.season == number)[:, None, None] & (scenes.time == 1)[:, None, None]
        lightness[season] = (L[:, 0][here] * 50 + 50).mean().item()
        redness[season] = (ab[:, 0][here] * 110).mean().item()
    assert max(abs(lightness["spring"] - lightness[s]) for s in ("summer", "autumn")) < 1.5
    assert redness["autumn"] - redness["summer"] > 10
    assert lightness["winter"] > lightness["summer"] + 15  # snow


def test_sky_by_time_of_day(many):
    L, ab = many.L_ab()
    sky = many.labels == LABELS.index("sky")
    warm = [(ab[:, 0][sky & (many.time == t)[:, None, None]] * 110).mean().item() for t in range(3)]
    assert warm[2] > warm[1] + 10 and warm[0] > warm[1] + 5


def test_paint_is_alpha_compositing():
    """What is in front, what is behind and the share make up cover * new + (1 - cover) * old."""
    cover = torch.linspace(0, 1, 41)[None, None]
    flat = torch.ones_like(cover)
    canvas = Canvas(torch.full_like(cover, 100).int(), torch.zeros_like(cover).int(), flat.clone())
    canvas.paint(cover, 0, flat * 200.5 / 256)
    assert (canvas.share >= 0.5).all()
    mixed = canvas.share * canvas.front + (1 - canvas.share) * canvas.behind
    assert torch.allclose(mixed, cover * 200 + (1 - cover) * 100, atol=1e-3)


# Pairs for translation


@pytest.mark.parametrize(
    "make_pair, channels_in, channels_out",
    [
        (world.grey_to_color, 1, 2),
        (world.edges_to_scene, 1, 3),
        (world.day_to_night, 3, 3),
        (world.labels_to_scene, world.NUM_LABELS, 3),
    ],
)
def test_pairs(make_pair, channels_in, channels_out):
    condition, target = make_pair(render(5, 32, seed=2))
    assert condition.shape == (5, channels_in, 32, 32) and target.shape == (5, channels_out, 32, 32)
    for tensor in (condition, target):
        assert tensor.dtype == torch.float32 and tensor.min() >= -1.01 and tensor.max() <= 1.01


def test_pairs_show_what_they_say():
    scenes = render(4, 32, seed=2)
    assert torch.equal(world.labels_to_scene(scenes)[0].argmax(1), scenes.labels.long())
    assert set(world.labels_to_scene(scenes)[0].unique().tolist()) == {-1.0, 1.0}
    assert torch.equal(((world.edges_to_scene(scenes)[1] + 1) * 127.5).round().to(torch.uint8), scenes.rgb)
    assert torch.equal(((world.day_to_night(scenes)[1] + 1) * 127.5).round().to(torch.uint8), scenes.night)
    L, ab = next(world.scene_batches(32, 4, seed=2))
    assert torch.equal(L, scenes.L_ab()[0])
    lab = torch.from_numpy(lab_of(scenes.rgb)).permute(0, 3, 1, 2)
    assert (torch.cat([L * 50 + 50, ab * 110], 1) - lab).abs().max() < 0.05
