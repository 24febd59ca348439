"""What notebook 05 builds by hand gives the library's outputs; and what its experiments rest on is known to be right."""

import copy
import math
from pathlib import Path

import pytest
import torch
from taught import taught_in
from torch import nn

from colorlib.course import nb05
from colorlib.course.mixtures import ring
from colorlib.course.seeds import Ensemble, seeded
from colorlib.course.toys import PointDiscriminator, PointGenerator
from colorlib.discriminators import Critic
from colorlib.losses import (
    GradientPenalty,
    Wasserstein,
    WeightClipping,
    gradient_penalty,
)
from colorlib.training import update_discriminator, update_generator

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



def test_lipschitz_bound(taught):
    """Of one linear layer the bound is reached, along its largest singular vector."""
    layer, x = nn.Linear(3, 2), torch.randn(500, 2, 3)
    slopes = (layer(x[:, 0]) - layer(x[:, 1])).norm(dim=1) / (x[:, 0] - x[:, 1]).norm(dim=1)
    bound = taught["lipschitz_bound"](layer)
    assert 0.95 * bound < slopes.max() <= bound * (1 + 1e-5)
    two = nn.Sequential(layer, nn.ReLU(), nn.Linear(2, 2))
    assert taught["lipschitz_bound"](two) == pytest.approx(bound * taught["lipschitz_bound"](two[2]))


def test_train_wgan(taught):
    """The loop of section 5 makes the library's updates, in the order of the paper's algorithm."""
    mine = PointGenerator(hidden=8), PointDiscriminator(hidden=8)
    generator, critic = copy.deepcopy(mine)
    torch.manual_seed(2)
    assert list(taught["train_wgan"](*mine, ring(), 2, n_critic=3)) == [1, 2]
    optimizers = [torch.optim.Adam(network.parameters(), 1e-3, (0.0, 0.9)) for network in (generator, critic)]
    torch.manual_seed(2)
    for _ in range(2):
        for _ in range(3):
            fake = generator(torch.randn(64, 2))
            update_discriminator(critic, optimizers[1], Wasserstein(), None, ring().sample(64), fake,
                                 lipschitz=GradientPenalty(1.0))
        update_generator(critic, optimizers[0], Wasserstein(), None, None, generator(torch.randn(64, 2)), lambda_l1=0)
    for network, theirs in zip(mine, (generator, critic)):
        for a, b in zip(network.parameters(), theirs.parameters()):
            assert torch.allclose(a, b, atol=1e-6)


def test_known_distances():
    """The closed forms against the best assignment of large samples, which is above them by what a finite sample adds."""
    from scipy.optimize import linear_sum_assignment

    for pair in nb05.known_pairs(0):
        cut = slice(0, 2048, 2) if "," not in pair.name and "cross" != pair.name else slice(0, 256)
        if pair.name == "half of a ring":
            cut = slice(0, 256)
        distance = torch.cdist(pair.real_test[cut], pair.fake_test[cut]).numpy()
        best = distance[linear_sum_assignment(distance)].mean()
        assert -0.06 < best - pair.exact < 0.15, (pair.name, best, pair.exact)


def test_best_factor():
    exact, estimate = 0.2 + torch.rand(2, 5, 7)
    best = nb05.best_factor(estimate, exact)

    def error(factor):
        return (factor * estimate / exact - 1).abs().mean().item()

    assert error(best) <= min(error(best * (1 + change)) for change in torch.linspace(-0.3, 0.3, 61).tolist()) + 1e-6
    assert nb05.best_factor(exact / 3, exact) == pytest.approx(3)


def test_gradient_by_layer():
    """Of a linear chain of two units: each layer multiplies the gradient by its weight."""
    critic = nb05.deep_critic(depth=4, hidden=2)
    for layer in critic.layers:
        if isinstance(layer, nn.Linear):
            layer.weight.data = 0.5 * torch.eye(2)[: layer.out_features]
    real, fake = 1 + torch.rand(2, 1, 8, 2)
    norms = nb05.gradient_by_layer(Ensemble([critic]), real, fake)
    assert norms.shape == (1, 3)
    assert torch.allclose(norms[0, :-1] / norms[0, 1:], torch.tensor(0.5))


@pytest.mark.parametrize("distances, modes, outcome", [
    ([0.1] * 20, [8] * 20, "fine"),
    ([0.1] * 20, [8] * 15 + [6] * 5, "collapsed"),
    ([0.1] * 15 + [1.0] * 5, [8] * 20, "diverged"),
    ([1.0] * 15 + [0.1] * 5, [0] * 15 + [7] * 5, "fine"),
    ([0.1] * 12, [8] * 12, "diverged"),  # no longer finite after 12 of 20 looks
])
def test_criterion(distances, modes, outcome):
    run = [nb05.Look(step, *seen, loss=0.0) for step, seen in enumerate(zip(distances, modes), 1)]
    assert nb05.outcome_of(run, 20, ring()) == outcome


def test_estimate_follows_distance():
    """An estimate, minus the loss, that falls with the distance."""
    run = [nb05.Look(step, math.exp(-step), 8, loss) for step, loss in enumerate([-3.0, -2.0, -1.0, 0.0])]
    assert nb05.estimate_follows_distance(run) == pytest.approx(1.0)


def test_every_member_has_the_learning_rate_of_its_own():
    """An ensemble of two rates trains each member as Adam trains it alone."""
    networks, rates = [seeded(seed, PointDiscriminator) for seed in (0, 1)], torch.tensor([1e-3, 2e-2])
    together, x = Ensemble(networks), torch.randn(5, 2, 16, 2)
    optimizer = nb05.AdamOfRates(together.parameters(), rates, (0.5, 0.999))
    for batch in x:
        optimizer.zero_grad()
        together(None, batch).square().mean().backward()
        optimizer.step()
    for k, (network, rate) in enumerate(zip(networks, rates.tolist())):
        alone = torch.optim.Adam(network.parameters(), rate, (0.5, 0.999))
        for batch in x:
            alone.zero_grad()
            network(None, batch[k]).square().mean().backward()
            alone.step()
        for mine, theirs in zip(together.weights, network.parameters()):
            assert torch.allclose(mine[k], theirs, atol=1e-5)


def test_a_run_looks_at_every_member():
    cells = nb05.train_on(ring(), nb05.METHODS["WGAN-GP"], nb05.ARCHITECTURES["normalised"], [1e-3, 1e-2], (0, 1),
                          num_steps=4, steps={2, 4})
    assert [[[look.step for look in run] for run in cell.runs] for cell in cells] == [[[2, 4]] * 2] * 2
    for cell in cells:
        assert cell.fake.shape == (2, nb05.NUM_MEASURED, 2) and not torch.equal(cell.fake[0], cell.fake[1])


def test_a_member_that_diverges_disturbs_no_other():
    """With a rate at which the numbers overflow beside it, the first run is what it is alone."""
    def run(rates):
        return nb05.train_on(ring(), nb05.METHODS["GAN"], nb05.ARCHITECTURES["balanced"], rates, (3,), num_steps=4, steps={4})

    with_other = run([1e-3, 1e30])
    assert with_other[1].runs == [[]] and len(with_other[0].runs[0]) == 1
    assert with_other[0].fake.isfinite().all()


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


def test_two_runs_in_threads_share_no_random_numbers():
    """Each draws from a generator of its own, so that both give what each gives alone."""
    runs = []
    for disturbed in (1, 2):
        torch.manual_seed(disturbed)
        before = torch.get_rng_state()
        runs.append(nb05.train_on(ring(), nb05.METHODS["WGAN-GP"], nb05.ARCHITECTURES["balanced"], [1e-3], (0, 1),
                                  num_steps=3, steps=())[0].fake)
        assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(*runs)
