"""Adversarial losses, Lipschitz constraints of a Wasserstein critic, and L1.

Every loss is minimised and is the mean over the discriminator's whole output (one logit per picture or per patch).
They are the equations as written: pix2pix halves the discriminator's loss, which changes nothing under Adam.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlib.checks import need_floats
from colorlib.processes import draw


class AdversarialLoss(Protocol):
    """The two losses of a training step, both scalars."""

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor: ...
    def generator(self, fake_logits: Tensor) -> Tensor: ...


class LipschitzConstraint(Protocol):
    """A scalar added to the critic's loss, and a change of the critic after its step; one of them does nothing."""

    def penalty(self, critic: nn.Module, condition: Tensor | None, real: Tensor, fake: Tensor) -> Tensor: ...
    def project(self, critic: nn.Module) -> None: ...


@dataclass(frozen=True)
class Vanilla:
    """The loss of the first GAN: cross-entropy of 'real' and 'generated'.

    `saturating`: the generator minimises log(1 - D(fake)) (equation 1) instead of -log D(fake), which has the larger
    gradient while the discriminator wins (section 3).

    Reference: Goodfellow et al. 2014, Generative Adversarial Nets.
    """

    saturating: bool = False

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        need_floats(real_logits=real_logits, fake_logits=fake_logits)
        # -log sigmoid(x) = softplus(-x) and -log(1 - sigmoid(x)) = softplus(x), without ever forming the sigmoid
        return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()

    def generator(self, fake_logits: Tensor) -> Tensor:
        need_floats(fake_logits=fake_logits)
        return -F.softplus(fake_logits).mean() if self.saturating else F.softplus(-fake_logits).mean()


@dataclass(frozen=True)
class Wasserstein:
    """The dual of the Wasserstein-1 distance: the critic's mean score of real pictures minus that of generated ones.

    Minus the critic's loss estimates the distance only if the critic is 1-Lipschitz and close to its optimum: use it
    with `GradientPenalty` or `WeightClipping`, without batch norm, and with several critic steps per generator step.

    Reference: Arjovsky, Chintala and Bottou 2017, Wasserstein GAN, equations 2 and 3 and algorithm 1.
    """

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        need_floats(real_logits=real_logits, fake_logits=fake_logits)
        return fake_logits.mean() - real_logits.mean()

    def generator(self, fake_logits: Tensor) -> Tensor:
        need_floats(fake_logits=fake_logits)
        return -fake_logits.mean()


def gradient_penalty(critic: nn.Module, condition: Tensor | None, real: Tensor, fake: Tensor, *,
                     one_sided: bool = False, batch_dims: int = 1, generator: torch.Generator | None = None) -> Tensor:
    """Mean of (|gradient of the critic| - 1)^2 at points between real and generated pictures.

    Each point lies on the straight line between one real and one generated picture, at a place drawn uniformly. The
    critic's value of a picture is the mean of its output for it. The graph is kept, for a double backward.

    Args:
        critic: called as critic(condition, picture); no batch norm, which would mix the pictures (section 4).
        condition: passed on; the gradient is taken with respect to the picture alone.
        real, fake: (B, ...) of the same shape and dtype, else ValueError; detached here.
        one_sided: penalise only norms above 1.
        batch_dims: leading dimensions that number the pictures: 1, or 2 for an `Ensemble`'s (S, B, ...).
        generator: draws the places on the lines; None is torch's own.

    Example:
        >>> ones = lambda condition, x: x.sum(dim=1, keepdim=True)  # gradient (1, 1), norm sqrt(2)
        >>> round(gradient_penalty(ones, None, torch.randn(4, 2), torch.randn(4, 2)).item(), 4)
        0.1716

    Reference: Gulrajani et al. 2017, Improved Training of Wasserstein GANs, equation 3 and algorithm 1.
    """
    need_floats(real=real, fake=fake)
    if (real.shape, real.dtype) != (fake.shape, fake.dtype):
        raise ValueError(f"real has shape {tuple(real.shape)}, {real.dtype}, and fake {tuple(fake.shape)}, {fake.dtype}; "
                         "every point lies between one of each: cut the larger batch, or convert one")
    place = draw(torch.rand, real.shape[:batch_dims], batch_dims - 1, generator=generator, device=real.device,
                 dtype=real.dtype)
    place = place.reshape(place.shape + (1,) * (real.ndim - batch_dims))
    between = torch.lerp(real.detach(), fake.detach(), place).requires_grad_()
    scores = critic(condition, between).flatten(batch_dims).mean(dim=-1)  # one value per picture
    (gradient,) = torch.autograd.grad(scores.sum(), between, create_graph=True)
    excess = gradient.flatten(batch_dims).norm(dim=-1) - 1
    return (F.relu(excess) if one_sided else excess).square().mean()


@dataclass(frozen=True)
class GradientPenalty:
    """WGAN-GP: `gradient_penalty`, with its arguments, times `lambda_gp` (10 in Gulrajani et al. 2017, equation 3)."""

    lambda_gp: float = 10.0
    one_sided: bool = False
    batch_dims: int = 1
    generator: torch.Generator | None = None

    def penalty(self, critic: nn.Module, condition: Tensor | None, real: Tensor, fake: Tensor) -> Tensor:
        return self.lambda_gp * gradient_penalty(critic, condition, real, fake, one_sided=self.one_sided,
                                                 batch_dims=self.batch_dims, generator=self.generator)

    def project(self, critic: nn.Module) -> None:
        pass


@dataclass(frozen=True)
class WeightClipping:
    """Clip every weight of the critic to [-clip, clip], positive, after its step (Arjovsky et al. 2017, algorithm 1).

    The critic becomes K-Lipschitz for an unknown K, and its loss estimates K times the distance.
    """

    clip: float = 0.01

    def __post_init__(self) -> None:
        if not self.clip > 0:
            raise ValueError(f"clip is {self.clip}; it must be positive (the paper takes 0.01)")

    def penalty(self, critic: nn.Module, condition: Tensor | None, real: Tensor, fake: Tensor) -> Tensor:
        return real.new_zeros(())

    @torch.no_grad()
    def project(self, critic: nn.Module) -> None:
        for parameter in critic.parameters():
            parameter.clamp_(-self.clip, self.clip)


def l1(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of two (B, C, H, W) (Isola et al. 2017, equation 3); ValueError for different shapes."""
    need_floats(prediction=prediction, target=target)
    if prediction.shape != target.shape:  # broadcasting would compare the wrong pixels
        raise ValueError(f"prediction has shape {tuple(prediction.shape)} and target {tuple(target.shape)}; "
                         "they must be equal: resize the target")
    return torch.abs(prediction - target).mean()
