import os
import signal
import threading

import pytest
import torch
from torch import nn

from colorlib.discriminators import Critic, PatchDiscriminator
from colorlib.generators import UNet, predict
from colorlib.losses import GradientPenalty, Vanilla, Wasserstein, WeightClipping
from colorlib.training import fit, frozen, linear_decay, update_discriminator, update_generator
from colorlib.training.weights import load_generator


class Pairs:
    """ab is a fixed function of L, so that a working network can learn it; seeded, and resumable."""

    def __init__(self, size=16, batch_size=4):
        self.size, self.batch_size, self.drawn = size, batch_size, 0

    def __iter__(self):
        return self

    def __next__(self):
        generator = torch.Generator().manual_seed(self.drawn)
        self.drawn += 1
        L = torch.rand(self.batch_size, 1, self.size, self.size, generator=generator) * 2 - 1
        return L, torch.cat([L, -L], dim=1) * 0.5

    def state_dict(self):
        return {"drawn": self.drawn}

    def load_state_dict(self, state):
        self.drawn = state["drawn"]


def networks(dropout=0.0):
    torch.manual_seed(1)
    generator = UNet(base_channels=4, levels=3, dropout=dropout)
    return generator, PatchDiscriminator(2, 1, receptive_field=16, base_channels=4)


def test_l1_training_learns():
    generator, _ = networks()
    history = fit(generator, Pairs(), num_steps=120, lr=1e-2, progress=False)
    assert history.num_steps == 120
    assert history.mean("l1", last=10) < 0.5 * history.losses["l1"][0]
    assert history.seconds > 0 and not history.interrupted


@pytest.mark.parametrize("adversarial", [Vanilla(), Wasserstein()], ids=repr)
def test_the_discriminators_gradient_changes_the_generator(adversarial):
    """With lambda_l1 = 0 only the discriminator can move the generator; it must, and must not be moved itself."""
    generator, discriminator = networks()
    condition, target = next(Pairs())
    before = [p.clone() for p in discriminator.parameters()]
    optimizer = torch.optim.SGD(generator.parameters(), lr=0.1)
    first = generator.downs[0].conv.weight.clone()
    update_generator(discriminator, optimizer, adversarial, condition, target, generator(condition).ab, lambda_l1=0)
    assert not torch.equal(first, generator.downs[0].conv.weight)
    assert all(torch.equal(a, b) for a, b in zip(before, discriminator.parameters()))
    assert all(p.requires_grad and p.grad is None for p in discriminator.parameters())


def test_the_discriminators_step_leaves_the_generator_alone():
    # without a norm: batch norm would centre real and generated batches alike
    generator, discriminator = networks()[0], PatchDiscriminator(2, 1, 16, base_channels=8, norm=nn.Identity)
    condition, target = next(Pairs())
    fake = generator(condition).ab
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=0.01)
    losses = [
        update_discriminator(discriminator, optimizer, Vanilla(), condition, target, fake)["discriminator"].item()
        for _ in range(30)
    ]
    assert all(p.grad is None for p in generator.parameters())
    assert losses[-1] < losses[0]
    with torch.no_grad():  # and it is the real pair that it calls real
        assert discriminator(condition, target).mean() > 1 + discriminator(condition, fake).mean()


def test_the_generator_is_pulled_towards_fooling_the_discriminator():
    generator, discriminator = networks()
    condition, target = next(Pairs())
    for _ in range(10):
        with frozen(discriminator):
            before = discriminator(condition, generator(condition).ab).mean().item()
        update_generator(discriminator, torch.optim.SGD(generator.parameters(), lr=0.01), Vanilla(), condition,
                         target, generator(condition).ab, lambda_l1=0)
    with frozen(discriminator):
        assert discriminator(condition, generator(condition).ab).mean().item() > before


def wgan(lipschitz):
    generator, _ = networks()
    critic = Critic(2, 1, receptive_field=16, base_channels=4)
    return generator, critic, {"adversarial": Wasserstein(), "lipschitz": lipschitz, "lr": 1e-3, "progress": False}


class Counted(nn.Module):
    """A discriminator that remembers how it was called."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.trained, self.fakes = inner, 0, []

    def forward(self, condition, image):
        self.trained += any(weight.requires_grad for weight in self.inner.parameters())
        self.fakes.append(image.requires_grad)
        return self.inner(condition, image)


def test_n_critic_updates_of_the_critic_for_one_of_the_generator():
    generator, critic, arguments = wgan(None)
    counted, batches = Counted(critic), Pairs()
    history = fit(generator, batches, num_steps=2, discriminator=counted, n_critic=5, **arguments)
    assert counted.trained == 2 * 5 * 2  # two steps, five critic updates each, real and generated
    assert sum(counted.fakes) == 2  # and once a step the critic is called with a gradient to the generator
    assert batches.drawn == 10  # a fresh batch for each update of the critic
    assert history.num_steps == 2 and len(history.losses["discriminator"]) == 2


@pytest.mark.parametrize("lipschitz", [GradientPenalty(), WeightClipping(0.2)], ids=repr)
def test_wgan_alone_moves_the_generator_towards_the_data(lipschitz):
    """lambda_l1 = 0: all that the generator knows of the target, which is one colour, comes through the critic."""
    generator, critic, arguments = wgan(lipschitz)
    batches = ((L, torch.full_like(ab, 0.5)) for L, ab in Pairs())
    history = fit(generator, batches, num_steps=60, discriminator=critic, n_critic=2, lambda_l1=0, **arguments)
    assert history.mean("l1", last=5) < 0.7 * history.losses["l1"][0]
    if isinstance(lipschitz, WeightClipping):
        assert all(weight.abs().max().item() <= 0.2 + 1e-6 for weight in critic.parameters())
    else:
        assert len(history.losses["penalty"]) == 60


def test_the_reported_loss_is_the_distance_without_the_penalty():
    generator, critic, _ = wgan(None)
    condition, target = next(Pairs())
    fake = generator(condition).ab
    with torch.no_grad():
        expected = (critic(condition, fake) - critic(condition, target)).mean().item()
    optimizer = torch.optim.SGD(critic.parameters(), lr=0.0)
    losses = update_discriminator(
        critic, optimizer, Wasserstein(), condition, target, fake, lipschitz=GradientPenalty(10.0))
    assert losses["discriminator"].item() == pytest.approx(expected, rel=1e-4)
    assert losses["penalty"] > 0


def test_seeds_train_in_threads_as_one_after_the_other():
    from colorlib.course.seeds import in_parallel, seeded

    def run(seed):
        generator = seeded(seed, lambda: UNet(base_channels=4, levels=3, dropout=0.0))
        return fit(generator, Pairs(), num_steps=3, progress=False).losses["l1"]

    together = in_parallel(run, [0, 1, 2])  # in two threads where torch has them
    assert together == [run(0), run(1), run(2)]
    assert together[0] != together[1]


def test_lambda_l1_weighs_l1():
    generator, discriminator = networks()
    condition, target = next(Pairs())
    gradients = {}
    for weight in (0.0, 1.0, 100.0):
        generator.zero_grad()
        optimizer = torch.optim.SGD(generator.parameters(), lr=0.0)
        update_generator(discriminator, optimizer, Vanilla(), condition, target, generator(condition).ab, weight)
        gradients[weight] = generator.ups[-1].conv.weight.grad.clone()
    l1_alone = gradients[1.0] - gradients[0.0]
    assert torch.allclose(gradients[100.0], gradients[0.0] + 100 * l1_alone, rtol=1e-3, atol=1e-5)


def test_resume_continues_as_if_never_interrupted(tmp_path):
    whole, whole_d = networks(dropout=0.5)
    fit(whole, Pairs(), num_steps=12, discriminator=whole_d, progress=False)
    pieces, pieces_d = networks(dropout=0.5)
    fit(pieces, Pairs(), num_steps=5, discriminator=pieces_d, out=tmp_path, progress=False)
    torch.manual_seed(99)
    again, again_d = UNet(base_channels=4, levels=3), PatchDiscriminator(2, 1, receptive_field=16, base_channels=4)
    history = fit(again, Pairs(), num_steps=12, discriminator=again_d, out=tmp_path, resume=True, progress=False)
    assert history.num_steps == 12
    for key, value in whole.state_dict().items():
        assert torch.allclose(value, again.state_dict()[key], atol=1e-6), key
    for key, value in whole_d.state_dict().items():
        assert torch.allclose(value, again_d.state_dict()[key], atol=1e-6), key


def test_wgan_gp_resumes_bit_for_bit(tmp_path):
    """The places of the penalty, drawn from a generator of their own, are part of the checkpoint."""
    def train(out, num_steps, seed, resume=False):
        places = torch.Generator().manual_seed(seed)
        generator, critic, arguments = wgan(GradientPenalty(generator=places))
        history = fit(generator, Pairs(), num_steps=num_steps, discriminator=critic, n_critic=3, out=out, resume=resume,
                      **arguments)
        return {**generator.state_dict(), **critic.state_dict()}, history.losses

    (straight, losses), _ = train(tmp_path / "a", 7, seed=3), train(tmp_path / "b", 4, seed=3)
    resumed, again = train(tmp_path / "b", 7, seed=8, resume=True)
    assert set(losses) == {"l1", "generator", "discriminator", "penalty"} and losses == again
    for name, value in straight.items():
        assert torch.equal(value, resumed[name]), name


@pytest.mark.parametrize("lipschitz", [GradientPenalty(), WeightClipping(0.2)], ids=repr)
def test_a_wasserstein_run_with_torchs_own_generator_resumes_bit_for_bit(tmp_path, lipschitz):
    def train(out, num_steps, resume=False):
        generator, critic, arguments = wgan(lipschitz)
        torch.manual_seed(99 if resume else 1)
        fit(generator, Pairs(), num_steps=num_steps, discriminator=critic, n_critic=3, out=out, resume=resume,
            **arguments)
        return {**generator.state_dict(), **critic.state_dict()}

    straight, _ = train(tmp_path / "a", 7), train(tmp_path / "b", 4)
    resumed = train(tmp_path / "b", 7, resume=True)
    for name, value in straight.items():
        assert torch.equal(value, resumed[name]), name


def test_weights_file_gives_the_trained_generator(tmp_path):
    generator, _ = networks()
    fit(generator, Pairs(), num_steps=3, out=tmp_path, metadata={"recipe": "test"}, progress=False)
    loaded, metadata = load_generator(tmp_path / "weights.safetensors")
    L = next(Pairs())[0]
    assert torch.equal(predict(loaded, L).ab, predict(generator, L).ab)
    assert metadata["recipe"] == "test" and metadata["step"] == "3"


def test_ctrl_c_finishes_the_step_and_leaves_a_checkpoint(tmp_path):
    generator, _ = networks()

    class Interrupting(Pairs):
        def __next__(self):
            if self.drawn == 4:
                os.kill(os.getpid(), signal.SIGINT)
            return super().__next__()

    before = signal.getsignal(signal.SIGINT)
    history = fit(generator, Interrupting(), num_steps=100, out=tmp_path, progress=False)
    assert history.interrupted and history.num_steps == 5
    assert signal.getsignal(signal.SIGINT) is before
    more = fit(generator, Pairs(), num_steps=7, out=tmp_path, resume=True, progress=False)
    assert more.num_steps == 7 and not more.interrupted


def test_fit_works_outside_the_main_thread():
    generator, _ = networks()
    result = []
    thread = threading.Thread(target=lambda: result.append(fit(generator, Pairs(), num_steps=2, progress=False)))
    thread.start()
    thread.join()
    assert result[0].num_steps == 2


def test_divergence_stops_the_run_and_keeps_the_old_checkpoint(tmp_path):
    generator, _ = networks()
    fit(generator, Pairs(), num_steps=2, out=tmp_path, progress=False)
    kept = (tmp_path / "weights.safetensors").read_bytes()

    class Broken(Pairs):
        def __next__(self):
            L, ab = super().__next__()
            return L, ab * float("nan")

    with pytest.raises(FloatingPointError, match="'l1' is nan in step 3"):
        fit(generator, Broken(), num_steps=4, out=tmp_path, resume=True, progress=False)
    assert (tmp_path / "weights.safetensors").read_bytes() == kept


def test_the_generator_is_in_training_mode_in_every_step():
    generator, _ = networks(dropout=0.5)
    seen = []
    generator.eval().register_forward_pre_hook(lambda network, _: seen.append(network.training))
    fit(generator, Pairs(), num_steps=3, progress=False)
    assert seen == [True, True, True]


def test_bfloat16_trains_and_gives_back_a_float32_network():
    generator, discriminator = networks()
    history = fit(generator, Pairs(), num_steps=10, discriminator=discriminator, precision="bf16", progress=False)
    assert history.num_steps == 10 and generator.downs[0].conv.weight.dtype == torch.float32
    # Accelerate wraps forward; the network that comes back must be a plain float32 one again
    assert predict(generator, next(Pairs())[0]).ab.dtype == torch.float32


def test_an_accelerate_that_marks_no_prepared_network_serves(monkeypatch):
    from accelerate import Accelerator

    prepare = Accelerator.prepare_model

    def without_mark(self, model, **options):  # as Accelerate 1.13 does, which Colab has
        prepared = prepare(self, model, **options)
        vars(model).pop("_is_accelerate_prepared", None)
        return prepared

    monkeypatch.setattr(Accelerator, "prepare_model", without_mark)
    assert fit(networks()[0], Pairs(), num_steps=1, progress=False).num_steps == 1


def test_a_network_trained_twice_is_in_16_bits_both_times():
    generator, _ = networks()
    seen = []
    generator.downs[0].conv.register_forward_hook(lambda *parts: seen.append(parts[-1].dtype))
    for _ in range(2):
        fit(generator, Pairs(), num_steps=1, precision="bf16", progress=False)
    assert seen == [torch.bfloat16] * 2


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_a_penalised_critic_stays_in_float32(precision):
    generator, critic, arguments = wgan(GradientPenalty())
    seen = {"generator": set(), "critic": set()}
    generator.downs[0].conv.register_forward_hook(lambda *parts: seen["generator"].add(parts[-1].dtype))
    critic.layers[0].register_forward_hook(lambda *parts: seen["critic"].add(parts[-1].dtype))
    history = fit(generator, Pairs(), num_steps=3, discriminator=critic, precision=precision, **arguments)
    assert seen == {"generator": {torch.bfloat16 if precision == "bf16" else torch.float32}, "critic": {torch.float32}}
    assert len(history.losses["penalty"]) == 3


def test_a_penalised_critic_is_never_compiled(monkeypatch):
    compiled = []
    monkeypatch.setattr(nn.Module, "compile", lambda self: compiled.append(type(self).__name__))
    generator, critic, arguments = wgan(GradientPenalty())
    fit(generator, Pairs(), num_steps=1, discriminator=critic, compile=True, **arguments)
    assert compiled == ["UNet"]
    generator, discriminator = networks()
    fit(generator, Pairs(), num_steps=1, discriminator=discriminator, compile=True, progress=False)
    assert compiled == ["UNet", "UNet", "PatchDiscriminator"]


class Halves(Pairs):
    """Every batch of Pairs in two."""

    def __next__(self):
        self.rest = [part for part in zip(*(whole.chunk(2) for whole in super().__next__()))] if not getattr(
            self, "rest", None) else self.rest
        return self.rest.pop(0)


@pytest.mark.parametrize("kind", ["l1", "pix2pix", "wgan-gp"])
def test_a_batch_in_two_parts_trains_as_the_whole_one(kind):
    """In float64 and without a batch norm, which takes the statistics of each part."""
    def train(batches, accumulate):
        torch.manual_seed(1)
        generator = UNet(base_channels=4, levels=3, dropout=0.0, norm=nn.InstanceNorm2d).double()
        adversary = {}
        if kind == "pix2pix":
            adversary = {"discriminator": PatchDiscriminator(2, 1, 16, 4, nn.InstanceNorm2d).double()}
        if kind == "wgan-gp":
            adversary = {"discriminator": Critic(2, 1, receptive_field=16, base_channels=4).double(), "n_critic": 2,
                         "adversarial": Wasserstein(), "lipschitz": WeightClipping(10.0)}
        pairs = (tuple(part.double() for part in pair) for pair in batches)
        fit(generator, pairs, num_steps=4, accumulate=accumulate, progress=False, **adversary)
        return generator.state_dict()

    whole, parts = train(Pairs(), 1), train(Halves(), 2)
    for name, value in whole.items():
        assert torch.allclose(value, parts[name], rtol=1e-9, atol=1e-9), name


def test_a_tracker_gets_the_losses(tmp_path):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    history = fit(networks()[0], Pairs(), num_steps=30, out=tmp_path, tracker="tensorboard", progress=False)
    found = events.EventAccumulator(str(tmp_path / "colorlib")).Reload()
    logged = [(event.step, event.value) for event in found.Scalars("l1")]
    losses = history.losses["l1"]
    assert logged == [(25, pytest.approx(sum(losses[:25]) / 25)), (30, pytest.approx(sum(losses[25:]) / 5))]


def test_a_tracker_that_is_not_there_is_one_sentence(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="no-such"):
        fit(networks()[0], Pairs(), num_steps=1, out=tmp_path, tracker="no-such", progress=False)
    monkeypatch.setattr("accelerate.accelerator.filter_trackers", lambda *_: [])  # as when the package is missing
    with pytest.raises(ValueError, match="'tensorboard' is not installed: pip install tensorboard"):
        fit(networks()[0], Pairs(), num_steps=1, out=tmp_path, tracker="tensorboard", progress=False)


def test_linear_decay():
    assert [linear_decay(p) for p in (0.0, 0.5, 0.75, 1.0)] == [1, 1, 0.5, 0]


@pytest.mark.parametrize(
    "arguments, words", [({"num_steps": 0}, "num_steps is 0"), ({"num_steps": 1, "n_critic": 0}, "n_critic is 0"),
                         ({"num_steps": 1, "resume": True}, "needs out")]
)
def test_bad_arguments(arguments, words):
    with pytest.raises(ValueError, match=words):
        fit(networks()[0], Pairs(), progress=False, **arguments)


def test_resume_without_a_checkpoint(tmp_path):
    with pytest.raises(ValueError, match="checkpoint.safetensors"):
        fit(networks()[0], Pairs(), num_steps=1, out=tmp_path, resume=True, progress=False)


def test_resume_with_another_network(tmp_path):
    fit(networks()[0], Pairs(), num_steps=1, out=tmp_path, progress=False)
    with pytest.raises(ValueError, match="does not fit this UNet"):
        fit(UNet(base_channels=2, levels=3), Pairs(), num_steps=2, out=tmp_path, resume=True, progress=False)


def test_frozen_gives_back_what_it_found():
    module = nn.Linear(2, 2)
    module.bias.requires_grad_(False)
    with frozen(module):
        assert not any(p.requires_grad for p in module.parameters())
    assert module.weight.requires_grad and not module.bias.requires_grad


@pytest.mark.parametrize("has_discriminator, lambda_l1", [(False, 0.0), (True, 100.0)])
def test_l1_without_a_target_is_refused(has_discriminator, lambda_l1):
    generator, discriminator = networks()
    condition, _ = next(Pairs())
    optimizer = torch.optim.SGD(generator.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="target is None.*lambda_l1"):
        update_generator(discriminator if has_discriminator else None, optimizer, Vanilla(), condition, None,
                         generator(condition).ab, lambda_l1)


def test_a_resumed_run_of_a_channels_last_network_is_the_same(tmp_path):
    """Fused Adam reads memory as it lies: its state must come back in the layout of the weights."""
    from colorlib.generators import ResidualUNet

    def train(out, num_steps, resume):
        torch.manual_seed(0)
        L = torch.randn(2, 1, 16, 16)
        generator = ResidualUNet(base_channels=4, levels=2, norm=nn.InstanceNorm2d)
        fit(generator, iter(lambda: (L, L.expand(-1, 2, -1, -1)), None), num_steps=num_steps, lr=1e-2, out=out,
            resume=resume, progress=False)
        return generator.state_dict()

    straight = train(tmp_path / "a", 6, False)
    train(tmp_path / "b", 3, False)
    resumed = train(tmp_path / "b", 6, True)
    for name, value in straight.items():
        assert torch.equal(value, resumed[name]), name
