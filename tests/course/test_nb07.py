"""What notebook 07 builds by hand does what the library does, and its measures are what they are said to be."""

import copy

import pytest
import torch
from torch import nn

from colorlib.course import data, nb07, scenes
from colorlib.course.blocks import DynamicUNet
from colorlib.discriminators import Critic
from colorlib.generators import ResidualUNet, UNet, predict
from colorlib.losses import GradientPenalty, Wasserstein
from colorlib.training import update_discriminator, update_generator


@pytest.fixture(scope="module")
def taught():
    """The notebook's own classes and functions, as its script gets them too."""
    return nb07.taught()


@pytest.fixture(scope="module")
def pairs():
    return scenes.render(8, size=32, seed=3).L_ab()


def weights(*networks):
    return torch.cat([weight.detach().flatten() for network in networks for weight in network.parameters()])


def sgd(network):
    return torch.optim.SGD(network.parameters(), 0.01)


@pytest.mark.parametrize("make", [lambda: UNet(base_channels=4, levels=4, dropout=0.0), lambda: ResidualUNet(base_channels=8)])
@pytest.mark.parametrize("lambda_l1, lambda_gp", [(100.0, 10.0), (0.0, 3.0)])
def test_wgan_update(taught, pairs, make, lambda_l1, lambda_gp):
    mine = make(), Critic(receptive_field=16, base_channels=4)
    theirs, before = copy.deepcopy(mine), weights(*mine)
    torch.manual_seed(1)
    taught["wgan_update"](*mine, *map(sgd, mine), *pairs, lambda_l1=lambda_l1, lambda_gp=lambda_gp)
    torch.manual_seed(1)  # the same places on the lines
    generator, critic = theirs
    optimizer_g, optimizer_c = map(sgd, theirs)
    fake = generator(pairs[0]).ab
    update_discriminator(critic, optimizer_c, Wasserstein(), *pairs, fake, lipschitz=GradientPenalty(lambda_gp))
    update_generator(critic, optimizer_g, Wasserstein(), *pairs, fake, lambda_l1)
    moved = (weights(*mine) - before).abs()
    assert torch.allclose(weights(*mine), weights(*theirs), atol=1e-6) and moved.max() > 1e-4
    assert (weights(mine[0]) != before[: len(weights(mine[0]))]).any()  # the critic alone reaches the generator too


def test_arms(taught):
    for game, judged, wasserstein in (("GAN", "PatchDiscriminator", False), ("WGAN", "Critic", True)):
        arm = taught["make_arm"](game, "residual", 1e-3)
        assert type(arm.judge()).__name__ == judged and arm.wasserstein is wasserstein and arm.lr == 1e-3
        assert type(arm.generator()).__name__ == "ResidualUNet"
    assert taught["make_arm"]("L1", "U-Net", 1e-3).judge is None
    sizes = [sum(p.numel() for p in make().parameters()) for make in taught["GENERATORS"].values()]
    assert max(sizes) < 1.1 * min(sizes)  # a comparison of shapes, not of sizes


@pytest.mark.parametrize("game", ["GAN", "WGAN", "L1"])
def test_a_run_repeats_itself_and_leaves_the_given_pictures_alone(taught, pairs, game, monkeypatch):
    monkeypatch.setitem(taught, "BATCH", 4)
    monkeypatch.setitem(taught["train"].__globals__, "BATCH", 4)
    arm = taught["make_arm"](game, "U-Net", 1e-3)
    first, again, other = (taught["train"](arm, seed, 3, pairs, pairs, every=2) for seed in (5, 5, 6))
    assert torch.equal(weights(first.generator), weights(again.generator))
    assert not torch.equal(weights(first.generator), weights(other.generator))
    assert [look.step for look in first.looks] == [2] and first.looks == again.looks
    assert (first.judge is None) == (game == "L1") and not first.generator.training
    assert pairs[1].grad is None


def test_look_says_what_it_is_said_to(taught, pairs):
    class Known(nn.Module):  # scores a picture by the mean of its colours
        def forward(self, condition, image):
            return image.mean((1, 2, 3), keepdim=True)

    generator = UNet(base_channels=4, levels=4, dropout=0.0).eval()
    fake = predict(generator, pairs[0]).ab
    look = taught["look"](7, generator, Known(), *pairs)
    assert look.step == 7 and look.says == pytest.approx(float(pairs[1].mean() - fake.mean()), abs=1e-6)
    assert look.bound == pytest.approx(float(sum((a - b).norm() for a, b in zip(fake, pairs[1])) / 8), rel=1e-5)


def test_measures_of_colourings_whose_numbers_are_known(taught, pairs):
    L, ab = pairs
    edges = taught["steepest"](L)
    right = taught["measures"](L, ab, ab + 1e-7, edges)
    assert right["error"] < 1e-3 and right["AuC"] > 99.6 and right["colourfulness"] == pytest.approx(1, abs=1e-3)
    grey = taught["measures"](L, torch.zeros_like(ab), ab, edges)
    assert grey["error"] == pytest.approx(float(110 * ab.square().sum(1).sqrt().mean()), rel=1e-5)
    assert grey["colourfulness"] < 0.05 and grey["distance of the colours"] > 5
    wrong_at_edges = ab + edges[:, None] * torch.tensor([0.3, 0.4])[:, None, None]
    seen = taught["measures"](L, wrong_at_edges, ab + 1e-9, edges)
    assert seen["error at edges"] == pytest.approx(55, rel=1e-3)
    assert seen["error"] == pytest.approx(55 * float(edges.float().mean()), rel=1e-3)
    rolled = taught["measures"](L, ab.roll(1, 0), ab, edges)  # every colour in the wrong place
    assert rolled["distance of the colours"] < 2 < rolled["error"]


def test_steepest_finds_an_outline(taught):
    L = torch.where(torch.arange(20) < 10, -0.5, 0.5).expand(2, 1, 20, 20) + 0.01 * torch.rand(2, 1, 20, 20)
    L[1] = L[1].transpose(1, 2).clone()
    found = taught["steepest"](L)
    assert found.shape == (2, 20, 20) and found[0, :, 9].all() and found[1, 9].all()  # a step to the right, a step below
    assert (found.flatten(1).sum(1) == 40).all()  # a tenth


def test_as_imagenet_is_what_the_encoder_sees(taught, pairs):
    torch.manual_seed(0)
    generator, seen = DynamicUNet(), []
    generator.encoder.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    predict(generator, pairs[0])
    assert torch.allclose(seen[0], taught["as_imagenet"](pairs[0]), atol=1e-6)


def test_nogan_warms_the_critic_up_before_it_moves_the_generator(taught, pairs):
    def phases(warm_up, num_steps):
        torch.manual_seed(0)
        generator, critic = UNet(base_channels=4, levels=4, dropout=0.0), Critic(receptive_field=16, base_channels=4)
        before = weights(generator), weights(critic)
        used = []
        batches = (used.append(1) or pairs for _ in range(100))
        taught["nogan"](generator, critic, batches, warm_up, num_steps, lr=1e-3)
        assert len(used) <= warm_up + num_steps + 1
        return [not torch.equal(a, b) for a, b in zip(before, (weights(generator), weights(critic)))]

    assert phases(2, 0) == [False, True]
    assert phases(0, 1) == [True, True]


def test_cost_is_measured_for_every_arm_on_one_thread(taught, pairs, monkeypatch):
    monkeypatch.setitem(taught["train"].__globals__, "BATCH", 4)
    arms = {"GAN": taught["make_arm"]("GAN", "U-Net", 1e-3), "L1": taught["make_arm"]("L1", "U-Net", 1e-3)}
    threads, seen = torch.get_num_threads(), []
    monkeypatch.setitem(taught["train"].__globals__, "shuffled", lambda *given: seen.append(torch.get_num_threads()) or data.shuffled(*given))
    cost = taught["seconds_per_update"](arms, pairs, rounds=2)
    assert cost.keys() == arms.keys() and all(0 < seconds < 10 for seconds in cost.values())
    assert seen == [1] * 4 and torch.get_num_threads() == threads
