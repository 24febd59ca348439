"""The recipe of the colorizer: every part reaches the generator, z is what it says, and a run goes on where it was."""

import itertools

import pytest
import torch

from colorlib.generators import predict
from colorlib.photos import PhotoBatches
from colorlib.training import recipe as nogan
from colorlib.training.recipe import CODES, Game, Loader, Recipe, aged, palette_code, random_hints, warped
from colorlib.training.recipe_training import Training
from colorlib.training.weights import load_generator

SMALL = {"size": 32, "batch_size": 8, "base_channels": 4, "levels": 2, "blocks": 1}


def recipe(**others):
    return Recipe(**{"pretraining": 6, "game": 6, **SMALL, **others})


def batches():
    """Two kinds of pictures, orange and blue, of any lightness."""
    photos = []
    for number in range(12):
        photo = torch.randint(0, 256, (1, 44, 44), generator=torch.Generator().manual_seed(number)).float()
        tint = torch.tensor([1.0, 0.6, 0.3] if number % 2 else [0.3, 0.6, 1.0])
        photos.append((photo * tint[:, None, None]).to(torch.uint8))
    return PhotoBatches(photos, size=32, batch_size=8)


def training(tmp_path, **others):
    tmp_path.mkdir(exist_ok=True)
    return Training(recipe(**others), batches(), tmp_path, {"render_size": "40"}, torch.device("cpu"))


def random(seed=0):
    return torch.Generator().manual_seed(seed)


def test_hints_tell_the_real_colour_and_nothing_elsewhere():
    ab = torch.randn(200, 2, 16, 16, generator=random())
    hints = random_hints(ab, 0.5, random(1))
    given = hints[:, 0].amax((1, 2)) > 0
    assert 0.35 < given.float().mean() < 0.65
    assert ((hints[:, 0] == 0) | (hints[:, 0] == 1)).all() and (hints[:, 1:] * (1 - hints[:, :1]) == 0).all()
    single = [k for k in range(200) if hints[k, 0].sum() == 1]
    assert single  # squares of one pixel: exactly its colour
    for k in single:
        assert torch.equal((hints[k, 1:] * hints[k, :1]).sum((1, 2)), (ab[k] * hints[k, :1]).sum((1, 2)))
    constant = ab.mean((2, 3), keepdim=True).expand_as(ab)
    told = random_hints(constant, 1.0, random(2))
    assert torch.allclose(told[:, 1:], constant * told[:, :1], atol=1e-5)
    assert torch.equal(hints, random_hints(ab, 0.5, random(1)))
    assert random_hints(ab, 0.0, random(1)).abs().sum() == 0


def test_old_photographs_keep_to_the_range_and_the_others_stay():
    L = torch.nn.functional.interpolate(torch.rand(64, 1, 4, 4, generator=random()) * 2 - 1, (16, 16), mode="bilinear")
    old = aged(L, 0.5, random(3))
    same = (old == L).flatten(1).all(1)
    assert 0.25 < same.float().mean() < 0.75 and old.abs().max() <= 1
    assert torch.equal(aged(L, 0.0, random(3)), L)
    changed = aged(L, 1.0, random(3))
    correlation = [torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1] for a, b in zip(L, changed)]
    assert min(correlation) > 0.3  # still the same picture


def test_a_warped_picture_keeps_its_colours_where_L_went():
    """L and a are the same picture, so they are it afterwards too; and the turned square lies where rotation puts it."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 33), torch.linspace(-1, 1, 33), indexing="ij")
    L = torch.exp(-((x - 0.4) ** 2 + y**2) * 20).expand(40, 1, -1, -1)
    turned, ab = warped(L, torch.cat([L, 2 * L], 1), 1.0, random(3))
    assert torch.allclose(ab, torch.cat([turned, 2 * turned], 1), atol=1e-6)
    mass = turned.sum((1, 2, 3))
    across, down = ((turned[:, 0] * axis).sum((1, 2)) / mass for axis in (x, y))
    angle, far = torch.atan2(down, across).abs(), (across**2 + down**2).sqrt()
    assert 0.2 < angle.max() < 0.6 and 0.25 < far.min() < 0.38 and 0.42 < far.max() < 0.56
    assert len({round(float(value), 4) for value in far}) > 30
    L, ab = torch.randn(6, 1, 16, 16), torch.randn(6, 2, 16, 16)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(warped(L, ab, 0.0, random(3)), (L, ab)))


def test_a_run_sees_L_and_ab_warped_alike_or_as_they_are():
    L = torch.rand(8, 1, 24, 24, generator=random(5))
    for share in (0.0, 1.0):
        made = Loader(itertools.repeat((L, torch.cat([L, 2 * L], 1))), recipe(warped=share, aged=0.0))
        seen, ab, *_ = made.next(0)
        assert torch.allclose(ab, torch.cat([seen, 2 * seen], 1), atol=1e-5)
        assert torch.equal(seen, L) == (share == 0.0)


def test_the_code_of_the_mean_answer_is_zero_and_the_others_say_how_they_differ():
    L = torch.cat([torch.full((1, 1, 8, 4), -0.8), torch.full((1, 1, 8, 4), 0.8)], dim=3)
    mean = torch.randn(1, 2, 8, 8, generator=random()) * 0.2
    assert torch.allclose(palette_code(L, mean, mean), torch.zeros(1, 5), atol=1e-6)
    shifted = mean.clone()
    shifted[:, 0, :, 4:] += 0.1  # a, in the light half
    code = palette_code(L, shifted, mean)[0]
    assert code[1:].tolist() == pytest.approx([0, 0, 0.1, 0], abs=1e-3)
    darker = mean.clone()
    darker[:, 1, :, :4] -= 0.2
    assert palette_code(L, darker, mean)[0, 1:].tolist() == pytest.approx([0, -0.2, 0, 0], abs=1e-3)
    assert palette_code(L, 2 * mean, mean)[0, 0] > 0.5 > 0 > palette_code(L, 0.5 * mean, mean)[0, 0]


def test_measuring_the_codes_standardises_them_and_leaves_the_mean_answer():
    game = Game(recipe())
    with torch.no_grad():  # so that z matters
        game.generator.context.of_z.weight.normal_()
        game.average.module.load_state_dict(game.generator.state_dict())
    L, ab = next(batches())
    hints = torch.zeros(8, 3, 32, 32)
    before = game.mean_answer(L, hints)
    assert torch.equal(game.z_mean(2), torch.zeros(2, 5))
    game.measure_codes(batches(), 96)
    assert torch.allclose(game.mean_answer(L, hints), before, atol=1e-5)
    assert game.z_mean(1).abs().sum() > 0.1
    codes = []
    source = batches()
    for _ in range(12):
        L, ab = next(source)
        codes.append(game.standard(palette_code(L, ab, game.mean_answer(L, hints))))
    every = torch.cat(codes)
    assert torch.allclose(every.mean(0), torch.zeros(5), atol=0.2) and torch.allclose(every.std(0), torch.ones(5), atol=0.2)


def test_every_part_of_the_game_reaches_the_generator(monkeypatch):
    """Without any one of them the generator's gradient is another: the critic's above all."""
    def gradient(**others):
        torch.manual_seed(0)
        game = Game(recipe())
        made = Loader(batches(), recipe(hinted=1.0, aged=0.0, n_critic=1, **others))
        optimizers = [torch.optim.SGD(network.parameters(), 0.0) for network in (game.generator, game.critic)]
        nogan.game_step(game, *optimizers, made, 0, train_generator=True)
        return torch.cat([p.grad.flatten() for p in game.generator.parameters() if p.grad is not None])

    whole = gradient()
    assert torch.equal(whole, gradient())
    for part in ("lambda_bins", "lambda_adversarial", "lambda_code"):
        assert not torch.allclose(whole, gradient(**{part: 0.0})), part
    monkeypatch.setattr(nogan, "distance", lambda fake, real: 0 * fake.sum())
    assert not torch.allclose(whole, gradient())


def test_the_critic_alone_learns_first():
    game, rule = Game(recipe()), recipe(n_critic=1)
    before = {name: value.clone() for name, value in game.generator.named_parameters()}
    optimizers = [torch.optim.Adam(network.parameters(), 1e-2) for network in (game.generator, game.critic)]
    critic = game.critic.critics[0].layers[0].weight.clone()
    nogan.game_step(game, *optimizers, Loader(batches(), rule), 0, train_generator=False)
    assert all(torch.equal(value, before[name]) for name, value in game.generator.named_parameters())
    assert not torch.equal(critic, game.critic.critics[0].layers[0].weight)


def test_it_learns_and_z_moves_the_colours(tmp_path):
    made = training(tmp_path, pretraining=60, game=90, lr=5e-3, game_lr=5e-3, ema=0.9, lambda_code=1.0, hinted=0.0)
    history = made.run(progress=False)
    first, last = (sum(part) / 5 for part in (history.losses["distance"][:5], history.losses["distance"][55:60]))
    assert last < 0.8 * first
    assert sum(history.losses["code"][-10:]) < 0.9 * sum(history.losses["code"][:10])
    assert history.losses["bins"][-1] < history.losses["bins"][0]
    L, _ = next(batches())
    z = made.game.z_mean(8)
    calm, vivid = (predict(made.game.average.module, L, z=z + torch.tensor([s, 0, 0, 0, 0])).ab for s in (-1.0, 2.0))
    assert vivid.norm() > 1.05 * calm.norm()


def test_a_run_goes_on_where_it_was(tmp_path):
    straight = training(tmp_path / "a")
    straight.run(progress=False)
    (tmp_path / "b").mkdir()
    for pieces in (4, 9, 12):  # one piece ends in pretraining, one in the game
        made = training(tmp_path / "b")
        if pieces > 4:
            made.load()
        step = made._one_step
        def stopping(made=made, step=step, pieces=pieces):
            if made.step == pieces:
                raise KeyboardInterrupt
            return step()
        made._one_step = stopping
        try:
            made.run(progress=False)
        except KeyboardInterrupt:
            made.save()
    first, second = (load_generator(tmp_path / name / "weights.safetensors") for name in "ab")
    for name, value in first[0].state_dict().items():
        assert torch.equal(value, second[0].state_dict()[name]), name
    assert first[1]["z_mean"] == second[1]["z_mean"] and first[1]["step"] == second[1]["step"] == "12"
    l1, metadata = load_generator(tmp_path / "a" / "l1.safetensors")
    assert metadata["step"] == "6" and metadata["z_mean"] == str([0.0] * len(CODES))


def test_too_short_a_run_is_refused():
    with pytest.raises(ValueError, match="num_steps is 89"):
        Recipe.of_length(89)
    assert Recipe.of_length(33_750).game == 3_750 and Recipe.of_length(33_750).pretraining == 30_000


ALONE = {"lambda_bins": 0.0, "lambda_adversarial": 0.0, "lambda_code": 0.0, "aged": 0.0, "n_critic": 1}


def gradient_norm(rule):
    torch.manual_seed(0)
    game = Game(rule)
    optimizers = [torch.optim.SGD(network.parameters(), 0.0) for network in (game.generator, game.critic)]
    nogan.game_step(game, *optimizers, Loader(batches(), rule), 0, train_generator=True)
    return sum(float(p.grad.abs().sum()) for p in game.generator.parameters() if p.grad is not None)


def test_hints_alone_reach_the_generator(monkeypatch):
    monkeypatch.setattr(nogan, "distance", lambda fake, real: 0 * fake.sum())
    assert gradient_norm(recipe(hinted=1.0, **ALONE)) > 1e-3 > gradient_norm(recipe(hinted=0.0, **ALONE))


def test_pictures_with_their_own_z_reach_the_generator(monkeypatch):
    """A batch of 8: 2 for the mean answer, then 3 with their own z."""
    real = nogan.distance
    monkeypatch.setattr(nogan, "distance", lambda fake, ab: real(fake, ab) if len(fake) == 3 else 0 * fake.sum())
    assert gradient_norm(recipe(hinted=0.0, **ALONE)) > 1e-3


def test_in_a_run_the_generator_waits_for_the_critic(tmp_path):
    made = training(tmp_path, pretraining=1, game=20)
    made._one_step()
    made.step = 1
    before = [parameter.clone() for parameter in made.game.generator.parameters()]
    made._one_step()
    made.step = 2
    weight = made.game.generator.context.of_z  # its bias moves once, when the codes are measured
    changed = [not torch.equal(old, new) for old, new in zip(before, made.game.generator.parameters()) if new is not weight.bias]
    assert not any(changed)
    made.step = 3
    made._one_step()
    assert any(not torch.equal(old, new) for old, new in zip(before, made.game.generator.parameters()))
