import pytest
import torch
from networks import check_gradients
from torch import nn

from colorlib.course.mixtures import Mixture, ring
from colorlib.course.toys import PictureDiscriminator, PictureGenerator, PointDiscriminator, PointGenerator, train_gan
from colorlib.losses import GradientPenalty, Vanilla, Wasserstein, WeightClipping
from colorlib.metrics import sliced_wasserstein


@pytest.mark.parametrize("num_labels", [0, 3])
@pytest.mark.parametrize("size", [8, 16, 32])
def test_picture_networks(size, num_labels):
    label = torch.tensor([0, 1, 2, 0])
    generator = PictureGenerator(size=size, base_channels=4, num_labels=num_labels)
    discriminator = PictureDiscriminator(size=size, base_channels=4, num_labels=num_labels)
    image = generator(torch.randn(4, 64), label)
    assert image.shape == (4, 3, size, size) and image.abs().max() <= 1
    assert discriminator(label, image).shape == (4, 1)
    assert discriminator.features(label, image).shape == (4, 4 * size // 8 * 16)
    check_gradients(discriminator, lambda: discriminator(label, image.detach()))
    # a bias before a batch norm cannot matter in training, so its gradient is only rounding: use none
    plain = PictureGenerator(size=size, base_channels=4, num_labels=num_labels, norm=nn.Identity)
    check_gradients(plain, lambda: plain(torch.randn(4, 64), label))


@pytest.mark.parametrize("num_labels", [0, 3])
def test_point_networks(num_labels):
    label = torch.tensor([0, 1, 2, 0])
    generator, discriminator = PointGenerator(num_labels=num_labels), PointDiscriminator(num_labels=num_labels)
    points = generator(torch.randn(4, 2), label)
    assert points.shape == (4, 2) and discriminator(label, points).shape == (4, 1)
    check_gradients(generator, lambda: generator(torch.randn(4, 2), label))
    check_gradients(discriminator, lambda: discriminator(label, torch.randn(4, 2)))


@pytest.mark.parametrize("make", [PointGenerator, PictureGenerator])
def test_the_label_changes_the_answer(make):
    generator = make(num_labels=2)
    with torch.no_grad():
        z = torch.randn(1, generator.z_channels).repeat(4, 1)
        a, b = generator(z, torch.tensor([0, 1, 0, 1]))[:2]
    assert not torch.allclose(a, b)


@pytest.mark.parametrize("network, x", [(PointDiscriminator(num_labels=2), torch.zeros(3, 2)),
                                        (PictureDiscriminator(num_labels=2), torch.zeros(3, 3, 32, 32))])
def test_a_wrong_label_is_refused(network, x):
    for label in (None, torch.zeros(2, dtype=torch.int64), torch.zeros(3)):
        with pytest.raises(ValueError, match=r"needs int64 \(3,\), each from 0 to 1"):
            network(label, x)


@pytest.mark.parametrize("size", [4, 24, 0])
def test_a_wrong_size_is_refused(size):
    for make in (PictureGenerator, PictureDiscriminator):
        with pytest.raises(ValueError, match=f"size is {size}"):
            make(size=size)


def test_norms_of_a_penalised_critic_keep_pictures_apart():
    critic, image = PictureDiscriminator(norm=nn.InstanceNorm2d), torch.rand(4, 3, 32, 32)
    assert torch.allclose(critic(None, image)[:1], critic(None, image[:1]), atol=1e-5)


def points(mixture, batch_size=64, seed=0):
    draw = torch.Generator().manual_seed(seed)
    while True:
        yield None, mixture.sample(batch_size, draw)


@pytest.mark.parametrize("adversarial, lipschitz, n_critic",
                         [(Vanilla(), None, 1), (Wasserstein(), GradientPenalty(), 2), (Wasserstein(), WeightClipping(0.1), 2)])
def test_a_gan_comes_nearer_to_the_data(adversarial, lipschitz, n_critic):
    mixture = Mixture(torch.tensor([[3.0, 0.0]]), std=0.3)
    generator, discriminator = PointGenerator(hidden=32), PointDiscriminator(hidden=32)
    real, z = mixture.sample(1000), torch.randn(1000, 2)
    before = sliced_wasserstein(generator(z), real)
    seen = []
    losses = train_gan(generator, discriminator, points(mixture), num_steps=200, lr=5e-3, adversarial=adversarial,
                       lipschitz=lipschitz, n_critic=n_critic, every=100, look=seen.append)
    assert sliced_wasserstein(generator(z), real) < 0.5 * before
    assert seen == [0, 100, 200]
    assert {len(values) for values in losses.values()} == {200}
    assert set(losses) == {"discriminator", "generator"} | ({"penalty"} if lipschitz else set())


def test_the_same_seed_is_the_same_run():
    def run(seed):
        torch.manual_seed(0)
        return train_gan(PointGenerator(), PointDiscriminator(), points(ring()), num_steps=5, seed=seed)["generator"]

    assert run(1) == run(1) != run(2)


def test_a_diverged_run_is_said_and_not_returned():
    with pytest.raises(FloatingPointError, match="is nan in step [0-9]+|is inf in step [0-9]+|is -inf in step [0-9]+"):
        train_gan(PointGenerator(), PointDiscriminator(), points(ring()), num_steps=60, lr=1e30,
                  adversarial=Wasserstein())


def test_labels_reach_both_networks_in_training():
    """Two labels, two clusters: the labelled GAN learns which is which."""
    mixture = ring(num_modes=2, radius=2.0, std=0.3)

    def labelled():
        draw = torch.Generator().manual_seed(0)
        while True:
            x, mode = mixture.sample_modes(64, draw)
            yield mode, x

    generator, discriminator = PointGenerator(hidden=32, num_labels=2), PointDiscriminator(hidden=32, num_labels=2)
    train_gan(generator, discriminator, labelled(), num_steps=200, lr=5e-3)
    with torch.no_grad():
        sides = [generator(torch.randn(200, 2), torch.full((200,), k))[:, 0].mean().item() for k in (0, 1)]
    assert sides[0] > 0.5 and sides[1] < -0.5  # the first mode lies at (2, 0), the second at (-2, 0)


def test_a_schedule_scales_both_learning_rates():
    """A factor of 0 in the second half leaves both networks where half as many steps take them."""
    mixture, ends = ring(), []
    for num_steps, last in ((8, 0.5), (4, 1.0), (8, 1.0)):
        torch.manual_seed(0)
        networks = nn.ModuleList([PointGenerator(hidden=8), PointDiscriminator(hidden=8)])
        train_gan(*networks, points(mixture, 16), num_steps=num_steps, lr=1e-2, lr_discriminator=2e-2,
                  schedule=lambda progress, last=last: float(progress < last))
        ends.append(nn.utils.parameters_to_vector(networks.parameters()))
    assert torch.equal(ends[0], ends[1]) and not torch.equal(ends[0], ends[2])


def test_the_picture_generator_draws_no_chequerboard():
    """Equal features give equal pixels away from the border; a transposed convolution gives four different ones."""
    generator = PictureGenerator(size=32, base_channels=4, norm=nn.Identity)
    nn.init.zeros_(generator.first.weight)
    nn.init.constant_(generator.first.bias, 1.0)
    inner = generator(torch.randn(1, 64))[:, :, 12:20, 12:20]
    assert inner.abs().min() > 0 and torch.allclose(inner, inner[:, :, :1, :1].expand_as(inner), atol=1e-6)
