"""What notebook 02 builds by hand gives the library's outputs with the same weights."""

import copy
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from matplotlib.quiver import Quiver
from scipy.stats import wasserstein_distance
from taught import taught_in
from torch import nn

from colorlib.course import nb02, nb02_figures
from colorlib.course.mixtures import ring
from colorlib.course.seeds import Ensemble
from colorlib.course.toys import (
    PictureDiscriminator,
    PictureGenerator,
    PointDiscriminator,
    PointGenerator,
    train_gan,
)
from colorlib.metrics import sliced_wasserstein
from colorlib.training import linear_decay

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "02_gan.ipynb"


@pytest.fixture(scope="module")
def taught():
    return taught_in(NOTEBOOK)


@pytest.mark.parametrize("z_channels, hidden", [(2, 64), (16, 8), (1, 32)])
def test_point_generator(taught, z_channels, hidden):
    mine = taught["TaughtPointGenerator"](z_channels, hidden)
    theirs = PointGenerator(z_channels, hidden)
    theirs.load_state_dict(mine.state_dict())  # strict: the same names and shapes
    z = torch.randn(9, z_channels)
    assert mine.z_channels == z_channels
    assert torch.equal(mine(z), theirs(z))


@pytest.mark.parametrize("in_channels, hidden", [(2, 64), (1, 8), (4, 32)])
def test_point_discriminator(taught, in_channels, hidden):
    mine = taught["TaughtPointDiscriminator"](in_channels, hidden)
    theirs = PointDiscriminator(in_channels, hidden)
    theirs.load_state_dict(mine.state_dict())
    x = torch.randn(9, in_channels)
    assert torch.equal(mine(x), theirs(None, x))


@pytest.mark.parametrize("training", [True, False])
def test_picture_generator(taught, training):
    mine = taught["TaughtPictureGenerator"](z_channels=8, width=4, channels=3)
    theirs = PictureGenerator(8, image_channels=3, size=16, base_channels=4)
    theirs.load_state_dict(mine.state_dict())
    z = torch.randn(5, 8)
    assert torch.allclose(mine.train(training)(z), theirs.train(training)(z), atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_picture_discriminator(taught, training):
    mine = taught["TaughtPictureDiscriminator"](width=4)
    theirs = PictureDiscriminator(image_channels=1, size=16, base_channels=4, norm=nn.BatchNorm2d)
    theirs.load_state_dict(mine.state_dict())
    image = torch.rand(5, 1, 16, 16) * 2 - 1
    assert torch.allclose(mine.train(training)(image), theirs.train(training)(None, image), atol=1e-6)


def test_loop(taught):
    """The same weights, batches and noise end at the same networks, with the same losses on the way."""
    torch.manual_seed(0)
    mine = taught["TaughtPointGenerator"](), taught["TaughtPointDiscriminator"]()
    theirs = PointGenerator(), PointDiscriminator()
    for a, b in zip(mine, theirs):
        b.load_state_dict(a.state_dict())
    before = copy.deepcopy(mine)
    batches = torch.randn(12, 32, 2)
    losses = taught["train_taught"](*mine, iter(batches), num_steps=12, lr=1e-3, seed=4)
    expected = train_gan(
        *theirs, ((None, batch) for batch in batches), num_steps=12, lr=1e-3, schedule=linear_decay, seed=4
    )
    for name, values in losses.items():
        assert values == pytest.approx(expected[name], rel=1e-4), name
    for a, b, start in zip(mine, theirs, before):
        for ours, others, first in zip(a.parameters(), b.parameters(), start.parameters()):
            assert torch.allclose(ours, others, atol=1e-5)
            assert not torch.equal(ours, first)  # both networks moved


def test_each_step_moves_its_own_network(taught):
    generator, discriminator = taught["TaughtPointGenerator"](), taught["TaughtPointDiscriminator"]()
    weights_g, weights_d = (copy.deepcopy(list(n.parameters())) for n in (generator, discriminator))
    fake = generator(torch.randn(8, 2))
    taught["discriminator_step"](
        discriminator, torch.optim.SGD(discriminator.parameters(), 0.1), torch.randn(8, 2), fake
    )
    assert all(parameter.grad is None for parameter in generator.parameters())  # detached
    assert not all(map(torch.equal, discriminator.parameters(), weights_d))
    weights_d = copy.deepcopy(list(discriminator.parameters()))
    taught["generator_step"](discriminator, torch.optim.SGD(generator.parameters(), 0.01), fake)
    assert all(map(torch.equal, discriminator.parameters(), weights_d))
    assert not any(map(torch.equal, generator.parameters(), weights_g))
    torch.manual_seed(1)
    z = torch.randn(512, 2)
    start = taught["TaughtPointGenerator"]()
    optimizer = torch.optim.SGD(start.parameters(), 0.01)
    raised = discriminator(start(z)).mean().item()
    taught["generator_step"](discriminator, optimizer, start(z))
    assert discriminator(start(z)).mean().item() > raised  # towards "real"


def test_sliced_wasserstein(taught):
    x, y = torch.randn(300, 3), 2 * torch.randn(300, 3) + 1
    mine = taught["taught_sliced_wasserstein"]
    assert math.isclose(mine(x, y), sliced_wasserstein(x, y), rel_tol=1e-5)
    assert mine(x, x) == 0
    assert math.isclose(mine(x[:, :1], y[:, :1]), wasserstein_distance(x[:, 0], y[:, 0]), rel_tol=1e-4)


def test_best_discriminator_of_two_known_densities(taught):
    """N(1, 1) against N(-1, 1): the logit of the best one is 2 x, its value 2 JSD - 2 log 2."""
    torch.manual_seed(0)
    x = torch.linspace(-8, 8, 1601)
    p, q = (torch.exp(-((x - mean) ** 2) / 2) / math.sqrt(2 * math.pi) for mean in (1.0, -1.0))
    m = (p + q) / 2
    jsd = (torch.trapezoid(torch.xlogy(p, p / m), x) + torch.trapezoid(torch.xlogy(q, q / m), x)) / 2
    discriminator = taught["TaughtPointDiscriminator"](in_channels=1, hidden=32)
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=5e-3)
    for _ in range(300):
        noise = torch.randn(2, 256, 1)
        taught["discriminator_step"](discriminator, optimizer, noise[0] + 1, noise[1] - 1)
    logit = discriminator(x[:, None]).detach()[:, 0]
    value = -torch.trapezoid(p * F.softplus(-logit) + q * F.softplus(logit), x)
    best = 2 * jsd - 2 * math.log(2)
    assert best - 0.02 < value <= best + 1e-5
    assert torch.trapezoid(m * (logit.sigmoid() - (2 * x).sigmoid()).abs(), x) < 0.05


def test_a_run_records_every_seed_at_every_moment():
    """The same z at every moment: without training the points stay; the numbers are those of `measure`."""
    generators, discriminators = (
        Ensemble([make() for _ in range(3)]) for make in (PointGenerator, PointDiscriminator)
    )
    run = nb02.Run(generators, discriminators, lambda points: {"mean": points.mean()}, num=40)
    run.look(0)
    run.look(5)
    assert run.steps == [0, 5] and torch.equal(*run.clouds) and run.clouds[0].shape == (40, 2)
    assert run.values["mean"][0] == run.end("mean") and len(set(run.end("mean"))) == 3
    generator, discriminator = run.networks[0][2]
    z = nb02.noise(generators, 40, seed=1)
    assert torch.allclose(generator(z[2]), generators(z)[2], atol=1e-6)
    assert torch.allclose(discriminator(None, z[2]), discriminators(None, z)[2], atol=1e-6)


def test_pictures_are_drawn_in_evaluation_mode_and_leave_the_generator_as_it_was():
    generator = PictureGenerator(size=8, base_channels=4)
    generator(torch.randn(16, 64))
    before = copy.deepcopy(generator.state_dict())
    first, again = (nb02.draw_pictures(generator, num, seed=3) for num in (6, 2))
    assert torch.allclose(first[:2], again, atol=1e-6)  # a picture does not depend on the rest of its batch
    assert generator.training and all(map(torch.equal, before.values(), generator.state_dict().values()))


def test_panels_are_as_wide_as_their_points():
    far, near = torch.full((50, 2), 20.0), torch.zeros(50, 2)
    network = torch.nn.Linear(2, 1)
    for limit, wide in ((None, 23.0), (3.0, 3.0)):
        figure = nb02_figures.surfaces(ring(), [("far", network, far), ("near", network, near)], limit=limit)
        assert figure.axes[0].get_xlim() == pytest.approx((-wide, wide)) and figure.axes[1].get_xlim() == (-3, 3)


def test_arrows_keep_their_direction_and_have_a_mean_length_of_one_half():
    vectors = torch.tensor([[3.0, 0.0], [0.0, 1.0]])
    figure = nb02_figures.directions(ring(), [("one", torch.zeros(2, 2), {"loss": vectors})])
    (quiver,) = [part for part in figure.axes[0].get_children() if isinstance(part, Quiver)]
    assert quiver.U.tolist() == pytest.approx([0.75, 0]) and quiver.V.tolist() == pytest.approx([0, 0.25])
