"""What notebook 07 builds by hand does what the library does, and its measures are what they are said to be."""

import copy

import numpy as np
import pytest
import torch

from colorlib.course import data, nb07, scenes
from colorlib.course.blocks import DynamicUNet
from colorlib.course.long import flagship_data
from colorlib.discriminators import Critic, PatchDiscriminator
from colorlib.generators import ResidualUNet, UNet, predict
from colorlib.losses import GradientPenalty, Wasserstein
from colorlib.training import update_discriminator, update_generator


@pytest.fixture(scope="module")
def taught():
    """The notebook's own classes and functions."""
    return data.taught("07_wgan_residual_unet", BATCH=16, Z=8, N_CRITIC=2, WARM_UP=2, LAMBDA_L1=50.0)


@pytest.fixture(scope="module")
def pairs():
    return scenes.render(32, size=32, seed=3).L_ab()


def weights(*networks):
    return torch.cat([weight.detach().flatten() for network in networks for weight in network.parameters()])


def sgd(network):
    return torch.optim.SGD(network.parameters(), 0.01)


@pytest.mark.parametrize("make", [lambda: UNet(base_channels=4, levels=4, dropout=0.0, z_channels=2),
                                  lambda: ResidualUNet(base_channels=8, z_channels=2)])
@pytest.mark.parametrize("lambda_l1, lambda_gp", [(100.0, 10.0), (0.0, 3.0)])
def test_wgan_update(taught, pairs, make, lambda_l1, lambda_gp):
    L, ab = (x[:8] for x in pairs)
    mine = make(), Critic(receptive_field=16, base_channels=4)
    theirs, before = copy.deepcopy(mine), weights(*mine)
    torch.manual_seed(1)
    taught["wgan_update"](*mine, *map(sgd, mine), L, ab, lambda_l1=lambda_l1, lambda_gp=lambda_gp)
    torch.manual_seed(1)  # the same noise and the same places on the lines
    generator, critic = theirs
    optimizer_g, optimizer_c = map(sgd, theirs)
    fake = generator(L).ab
    update_discriminator(critic, optimizer_c, Wasserstein(), L, ab, fake, lipschitz=GradientPenalty(lambda_gp))
    update_generator(critic, optimizer_g, Wasserstein(), L, ab, fake, lambda_l1)
    moved = (weights(*mine) - before).abs()
    assert torch.allclose(weights(*mine), weights(*theirs), atol=1e-6) and moved.max() > 1e-4
    assert (weights(mine[0]) != before[: len(weights(mine[0]))]).any()  # the critic alone reaches the generator too


def test_measures_are_those_of_the_long_run(taught, pairs):
    L, ab = pairs
    fake = ab.roll(1, 0) * 0.8
    assert taught["detail"](fake, ab) == flagship_data.detail(fake, ab)
    assert taught["ab_error"](fake, ab) == pytest.approx(flagship_data.error_of(fake, ab), rel=1e-6)
    assert taught["ab_error"](ab + torch.tensor([0.3, 0.4])[:, None, None], ab) == pytest.approx(55, rel=1e-4)
    assert taught["distance_of_colours"](ab.roll(1, 0), ab) < 1 < taught["distance_of_colours"](0.5 * ab, ab)


def test_pseudo_values_are_the_jackknife_of_the_log_spread(taught):
    random = np.random.default_rng(0)
    pairs = [[taught["pseudo_values"](scale * random.normal(size=40)) for scale in (1.0, 2.0)] for _ in range(50)]
    assert np.mean([small.mean() for small, _ in pairs]) == pytest.approx(0, abs=0.05)  # log of the deviation 1
    assert np.mean([large.mean() - small.mean() for small, large in pairs]) == pytest.approx(np.log(2), abs=0.05)
    errors = [1.0, 2.0, 4.0]
    without_first = np.log(np.std([2.0, 4.0], ddof=1))
    assert taught["pseudo_values"](errors)[0] == pytest.approx(3 * np.log(np.std(errors, ddof=1)) - 2 * without_first)


@pytest.mark.parametrize("name", ["L1", "GAN", "WGAN-GP"])
def test_a_continuation_repeats_itself_and_leaves_its_start_alone(taught, pairs, name):
    start = taught["start"](1, pairs, 2)
    before = weights(start)
    first, again, other = (taught["go_on"](start, name, seed, 2, pairs)[0] for seed in (5, 5, 6))
    assert torch.equal(before, weights(start)) and not torch.equal(before, weights(first))
    assert torch.equal(weights(first), weights(again)) and not torch.equal(weights(first), weights(other))
    assert not first.training


def test_only_the_critic_of_wgan_gp_warms_up(taught, pairs, monkeypatch):
    counts = {}
    for name in ("L1", "GAN", "WGAN-GP"):
        done = {"critic": 0, "generator": 0}
        names = taught["go_on"].__globals__
        monkeypatch.setitem(names, "update_discriminator", lambda *_, **__: done.update(critic=done["critic"] + 1))
        monkeypatch.setitem(names, "update_generator", lambda *_: done.update(generator=done["generator"] + 1))
        _, critic = taught["go_on"](ResidualUNet(z_channels=8), name, 0, 3, pairs)
        counts[name] = done, type(critic)
    assert counts == {"L1": ({"critic": 0, "generator": 3}, type(None)),
                      "GAN": ({"critic": 3, "generator": 3}, PatchDiscriminator),
                      "WGAN-GP": ({"critic": 3 * 2 + 2, "generator": 3}, Critic)}


def test_as_imagenet_is_what_the_encoder_sees(taught, pairs):
    torch.manual_seed(0)
    generator, seen = DynamicUNet(), []
    generator.encoder.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    predict(generator, pairs[0][:4])
    assert torch.allclose(seen[0], taught["as_imagenet"](pairs[0][:4]), atol=1e-6)


def test_nogan_warms_the_critic_up_before_it_moves_the_generator(taught, pairs):
    def phases(warm_up, num_steps):
        torch.manual_seed(0)
        generator, critic = UNet(base_channels=4, levels=4, dropout=0.0), Critic(receptive_field=16, base_channels=4)
        before, used = (weights(generator), weights(critic)), []
        batches = (used.append(1) or [x[:4] for x in pairs] for _ in range(100))
        taught["nogan"](generator, critic, batches, warm_up, num_steps, lr=1e-3)
        assert len(used) <= warm_up + num_steps + 1
        return [not torch.equal(a, b) for a, b in zip(before, (weights(generator), weights(critic)))]

    assert phases(2, 0) == [False, True]
    assert phases(0, 1) == [True, True]


def test_figures_draw_what_they_are_given(pairs):
    colours, probabilities = torch.tensor([[40.0, 0.0], [-40.0, 0.0]]), torch.tensor([0.6, 0.4])
    figure = nb07.distance_map(colours, probabilities, {"mean": probabilities @ colours})
    assert figure.axes[0].collections[-1].get_offsets().tolist() == [pytest.approx([8.0, 0.0], abs=1e-4)]
    paths = {"L1": [([1.0, 3.0], [5.0, 5.0])], "GAN": [([1.0], [4.0]), ([2.0], [3.0])]}
    figure = nb07.trade_off(paths, {"grey": (9.0, 8.0)})
    lines = [line.get_xydata().tolist() for line in figure.axes[0].lines]
    assert [[2.0, 5.0]] in lines and [[2.0, 3.0]] in lines and [[9.0, 8.0]] in lines and len(figure.axes[0].texts) == 1
    figure = nb07.estimates({"a": {"GAN": ([1, 2], [[0.0, 2.0], [1.0, 3.0]])}}, "updates", {"a": 0.5})
    assert figure.axes[0].lines[0].get_ydata().tolist() == [1.0, 2.0] and len(figure.axes[0].lines) == 2
    real = pairs[1].permute(0, 2, 3, 1).reshape(-1, 2)
    assert len(nb07.histograms({"real": real, "grey": torch.zeros(5, 2)}).axes) == 3
