"""What notebook 05 builds by hand gives the library's outputs; and what its experiments rest on is known to be right."""

import copy
import math
from pathlib import Path

import pytest
import torch
from taught import taught_in
from torch import nn

from colorlib.course import nb05, nb05_critics
from colorlib.course.mixtures import ring
from colorlib.course.seeds import Ensemble, seeded
from colorlib.course.toys import PointDiscriminator
from colorlib.discriminators import Critic
from colorlib.losses import (
    GradientPenalty,
    Wasserstein,
    WeightClipping,
    gradient_penalty,
)
from colorlib.training import update_discriminator

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "05_wgan.ipynb"


@pytest.fixture(scope="module")
def taught():
    return taught_in(NOTEBOOK)


def test_losses(taught):
    real, fake = torch.randn(2, 8, 1)
    assert torch.equal(taught["critic_loss"](real, fake), Wasserstein().discriminator(real, fake))
    assert torch.equal(taught["generator_loss"](fake), Wasserstein().generator(fake))


@pytest.mark.parametrize("critic, shape", [(PointDiscriminator(), (6, 2)),
                                           (Critic(3, 0, receptive_field=16, base_channels=4), (3, 3, 16, 16))])
def test_gradient_penalty(taught, critic, shape):
    real, fake = torch.randn(2, *shape)

    def one_score(condition, picture):  # the taught one is for a critic with one score for each picture
        return critic(condition, picture).flatten(1).mean(1, keepdim=True)

    torch.manual_seed(3)
    mine = taught["gradient_penalty"](one_score, real, fake)
    torch.manual_seed(3)
    theirs = gradient_penalty(critic, None, real, fake)
    assert torch.allclose(mine, theirs, rtol=1e-5)
    gradients = [torch.autograd.grad(penalty, list(critic.parameters()), allow_unused=True) for penalty in (mine, theirs)]
    for a, b in zip(*gradients):  # and it can be minimised
        assert (a is None) == (b is None)
        assert a is None or torch.allclose(a, b, atol=1e-5)
    assert sum(a.abs().sum() for a in gradients[0] if a is not None) > 0


def test_penalty_of_a_linear_critic(taught):
    weight = torch.tensor([[3.0], [4.0]])
    real, fake = torch.randn(2, 5, 2)
    assert torch.allclose(taught["gradient_penalty"](lambda _, x: x @ weight, real, fake), torch.tensor(16.0))


def test_clipping(taught):
    mine = nn.Linear(4, 3)
    theirs = copy.deepcopy(mine)
    taught["clip_weights"](mine, 0.1)
    WeightClipping(0.1).project(theirs)
    assert all(torch.equal(a, b) for a, b in zip(mine.parameters(), theirs.parameters()))
    assert mine.weight.abs().max() <= 0.1


def test_critic_step(taught):
    mine = PointDiscriminator()
    theirs = copy.deepcopy(mine)
    real, fake = torch.randn(2, 16, 2)
    fake.requires_grad_()
    optimizers = [torch.optim.SGD(network.parameters(), 0.1) for network in (mine, theirs)]
    torch.manual_seed(5)
    estimate = taught["critic_step"](mine, optimizers[0], real, fake)
    torch.manual_seed(5)
    losses = update_discriminator(theirs, optimizers[1], Wasserstein(), None, real, fake, lipschitz=GradientPenalty(10.0))
    assert estimate == pytest.approx(-losses["discriminator"].item())
    assert fake.grad is None  # nothing reaches the generator in the critic's step
    for a, b in zip(mine.parameters(), theirs.parameters()):
        assert torch.allclose(a, b, atol=1e-6)


def test_known_distances():
    """The closed forms against the best assignment of large samples, which is above them by what a finite sample adds."""
    from scipy.optimize import linear_sum_assignment

    for pair in nb05_critics.known_pairs(0):
        cut = slice(0, 2048, 2) if "," not in pair.name and "cross" != pair.name else slice(0, 256)
        if pair.name == "half of a ring":
            cut = slice(0, 256)
        ways = torch.cdist(pair.real_asked[cut], pair.fake_asked[cut]).numpy()
        best = ways[linear_sum_assignment(ways)].mean()
        assert -0.06 < best - pair.exact < 0.15, (pair.name, best, pair.exact)


@pytest.mark.parametrize("distances, modes, said", [
    ([0.1] * 20, [8] * 20, "fine"),
    ([0.1] * 20, [8] * 15 + [6] * 5, "collapsed"),
    ([0.1] * 15 + [1.0] * 5, [8] * 20, "diverged"),
    ([1.0] * 15 + [0.1] * 5, [0] * 15 + [7] * 5, "fine"),
    ([0.1] * 12, [8] * 12, "diverged"),  # no longer finite after 12 of 20 looks
])
def test_criterion(distances, modes, said):
    looks = [nb05.Look(step, *seen, loss=0.0) for step, seen in enumerate(zip(distances, modes), 1)]
    assert nb05.outcome_of(looks, 20, ring()) == said


def test_loss_follows_distance():
    looks = [nb05.Look(step, math.exp(-step), 8, loss) for step, loss in enumerate([9.0, -3.0, -2.0, -1.0, 0.0])]
    assert nb05.loss_follows_distance(looks) == pytest.approx(-1.0)


def test_a_run_of_an_ensemble_looks_at_every_seed():
    method = nb05.METHODS["WGAN-GP"]
    runs, fake, _ = nb05.train(method, nb05.ARCHITECTURES["normalised"], 1e-3, (0, 1), ring(), num_steps=4,
                                      every=2)
    assert [[look.step for look in run] for run in runs] == [[0, 2, 4]] * 2
    assert fake.shape == (2, nb05.NUM_JUDGED, 2) and not torch.equal(fake[0], fake[1])


@pytest.mark.parametrize("shape", ["balanced", "normalised", "discriminator strong", "discriminator weak"])
@pytest.mark.parametrize("make, label_first", [(nb05.make_generator, False), (nb05.make_discriminator, True)])
def test_an_ensemble_of_points_is_its_members(shape, make, label_first):
    """The same scores as each member alone, the same slopes, and the same gradients of a penalty."""
    members = [seeded(seed, lambda: make(nb05.ARCHITECTURES[shape])) for seed in range(3)]
    for member in members:  # a norm that starts as the identity would hide whose weights it has
        for weight in member.parameters():
            nn.init.normal_(weight, 0.5, 0.5)
    together, x = Ensemble(members), torch.randn(3, 16, 2)

    def penalised(network, points):
        points = points.clone().requires_grad_()
        scores = network(*((None, points) if label_first else (points, None)))
        slopes, = torch.autograd.grad(scores.sum(), points, create_graph=True)
        (scores.mean() + slopes.norm(dim=-1).mean()).backward()
        return scores, slopes

    found, alone = penalised(together, x), [penalised(member, x[k]) for k, member in enumerate(members)]
    for mine, theirs in zip(found, zip(*alone)):
        assert torch.allclose(mine, torch.stack(theirs), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(found[0][0], found[0][1])
    for name, weight in zip(together.names, together.weights):
        theirs = [dict(member.named_parameters())[name].grad for member in members]
        if weight.grad is not None:
            assert torch.allclose(weight.grad, torch.stack(theirs), rtol=1e-3, atol=1e-4), name


def test_a_penaltys_places_come_from_its_own_generator():
    """So that several runs in threads give what each gives alone."""
    method, runs = nb05.METHODS["WGAN-GP"], []
    for disturbed in (1, 2):
        torch.manual_seed(disturbed)
        before = torch.get_rng_state()
        runs.append(nb05.train(method, nb05.ARCHITECTURES["balanced"], 1e-3, (0, 1), ring(), num_steps=3, every=3)[1])
        assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(*runs)
    places = [torch.rand(5, generator=nb05.with_own_draws(method.lipschitz, seed).generator) for seed in (4, 4, 5)]
    assert torch.equal(*places[:2]) and not torch.equal(*places[1:])
    assert nb05.with_own_draws(WeightClipping(0.1), 4) == WeightClipping(0.1)
