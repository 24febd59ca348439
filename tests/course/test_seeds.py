import pytest
import torch
from torch import nn

from colorlib.course.seeds import Ensemble, in_parallel, seeded
from colorlib.course.toys import PointDiscriminator, PointGenerator, train_gan
from colorlib.losses import GradientPenalty, Wasserstein


def members(make, num=3):
    return [seeded(seed, make) for seed in range(num)]


def test_an_ensemble_answers_as_its_members_would():
    modules, x = members(lambda: PointGenerator(num_labels=4)), torch.randn(3, 5, 2)
    label = torch.randint(4, (3, 5))
    together = Ensemble(modules)(x, label)
    assert together.shape == (3, 5, 2)
    for index, module in enumerate(modules):
        assert torch.allclose(together[index], module(x[index], label[index]), atol=1e-6)


def test_none_reaches_every_member():
    modules, x = members(PointDiscriminator), torch.randn(3, 5, 2)
    assert torch.allclose(Ensemble(modules)(None, x)[1], modules[1](None, x[1]), atol=1e-6)


def test_an_ensemble_trains_as_its_members_would_alone():
    """With plain gradient descent, which unlike Adam shows a gradient that is S times too small."""
    modules, x, target = members(PointDiscriminator), torch.randn(3, 16, 2), torch.randn(3, 16, 1)
    ensemble = Ensemble(modules)

    def loss(module, x, target):
        return (module(None, x) - target).square().mean()

    for _ in range(5):
        for network, batch in [(ensemble, (x, target)), *zip(modules, zip(x, target))]:
            network.zero_grad()
            loss(network, *batch).backward()
            with torch.no_grad():
                for weight in network.parameters():
                    weight -= 0.1 * weight.grad
    for trained, alone in zip(ensemble.members(), modules):
        for a, b in zip(trained.parameters(), alone.parameters()):
            assert torch.allclose(a, b, atol=1e-5)


def test_a_gan_trains_as_an_ensemble_as_it_does_alone():
    real = torch.randn(50, 2, 8, 2)
    modules = members(lambda: (PointGenerator(), PointDiscriminator()), 2)
    noise = []

    class Recorded(Ensemble):
        def forward(self, z, label=None):
            noise.append(z)
            return super().forward(z, label)

    ensembles = Recorded([g for g, _ in modules]), Ensemble([d for _, d in modules])
    arguments = {"num_steps": 5, "lr": 1e-2, "adversarial": Wasserstein(), "n_critic": 2}
    train_gan(*ensembles, ((None, batch) for batch in real), **arguments)

    class Replayed(nn.Module):
        """The generator alone, on the noise that its twin in the ensemble saw."""

        z_channels = 2

        def __init__(self, inner, index):
            super().__init__()
            self.inner, self.noise = inner, iter([z[index] for z in noise])

        def forward(self, z, label=None):
            return self.inner(next(self.noise), label)

    for index, (generator, discriminator) in enumerate(modules):
        train_gan(Replayed(generator, index), discriminator, ((None, batch[index]) for batch in real), **arguments)
        trained = ensembles[0].members()[index]
        for a, b in zip(trained.parameters(), generator.parameters()):
            assert torch.allclose(a, b, atol=1e-4)


def test_a_penalty_goes_through_an_ensemble():
    ensemble = Ensemble(members(PointDiscriminator))
    GradientPenalty(batch_dims=2).penalty(ensemble, None, torch.randn(3, 8, 2), torch.randn(3, 8, 2)).backward()
    assert all(weight.grad is not None for name, weight in ensemble.named_parameters() if "weights.0" in name)


def test_members_are_copies():
    modules = members(PointGenerator)
    ensemble = Ensemble(modules)
    with torch.no_grad():
        ensemble.members()[0].layers[0].weight.zero_()
        modules[1].layers[0].weight.zero_()
    assert all((weight[:2].flatten(1) != 0).any(dim=1).all() for weight in ensemble.weights)


def test_what_cannot_be_stacked_is_refused():
    with pytest.raises(ValueError, match="running_mean.*in_parallel"):
        Ensemble([nn.BatchNorm1d(3)])
    with pytest.raises(ValueError, match="at least one"):
        Ensemble([])


def test_seeded_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second, other = seeded(1, lambda: torch.rand(()).item()), seeded(1, lambda: torch.rand(3)), seeded(2, lambda: torch.rand(3))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    assert torch.equal(second, torch.rand(3)) and not torch.equal(second, other)
    assert isinstance(first, float)


def test_in_parallel_keeps_the_order_and_passes_errors_on():
    assert in_parallel(lambda seed: seed * seed, range(7)) == [0, 1, 4, 9, 16, 25, 36]

    def fails(seed):
        raise FloatingPointError(f"seed {seed} diverged")

    with pytest.raises(FloatingPointError, match="seed 0 diverged"):
        in_parallel(fails, [0, 1])


def test_runs_in_parallel_use_one_torch_thread_each_and_are_repeatable():
    def run(seed):
        generator, discriminator = seeded(seed, lambda: (PointGenerator(hidden=8), PointDiscriminator(hidden=8)))
        draw = torch.Generator().manual_seed(seed)
        batches = iter(lambda: (None, torch.randn(8, 2, generator=draw)), None)
        losses = train_gan(generator, discriminator, batches, num_steps=5, seed=seed)
        return losses["generator"], torch.get_num_threads()

    together, again = in_parallel(run, range(4)), [run(seed) for seed in range(4)]
    assert [losses for losses, _ in together] == [losses for losses, _ in again]
    if torch.get_num_threads() > 1:
        assert {threads for _, threads in together} == {1}
