"""Adversarial losses, each one small object, and L1.

Every adversarial loss has the same two methods, both to be minimised and both the mean over the discriminator's whole
output (one logit per picture or one per patch):

    discriminator(real_logits, fake_logits) -> scalar
    generator(fake_logits) -> scalar

pix2pix halves the discriminator's loss to slow it down; under Adam a constant factor changes nothing, so the losses
here are the equations as written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor


class AdversarialLoss(Protocol):
    """What the training step asks of an adversarial loss."""

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor: ...

    def generator(self, fake_logits: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Vanilla:
    """The loss of the first GAN: cross-entropy of 'real' and 'generated'.

    Args:
        saturating: train the generator by minimising log(1 - D(fake)), the minimax game as written (equation 1),
            instead of -log D(fake), which has the larger gradient while the discriminator wins (section 3).

    Reference: Goodfellow et al. 2014, Generative Adversarial Nets.
    """

    saturating: bool = False

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        # -log sigmoid(x) = softplus(-x) and -log(1 - sigmoid(x)) = softplus(x), without ever forming the sigmoid
        return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()

    def generator(self, fake_logits: Tensor) -> Tensor:
        return -F.softplus(fake_logits).mean() if self.saturating else F.softplus(-fake_logits).mean()


@dataclass(frozen=True)
class LeastSquares:
    """Squared distance to the targets 1 (real) and 0 (generated).

    Reference: Mao et al. 2017, Least Squares Generative Adversarial Networks, equation 9 (a = 0, b = c = 1).
    """

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return 0.5 * (real_logits - 1).square().mean() + 0.5 * fake_logits.square().mean()

    def generator(self, fake_logits: Tensor) -> Tensor:
        return 0.5 * (fake_logits - 1).square().mean()


@dataclass(frozen=True)
class Hinge:
    """Hinge loss: the discriminator stops caring about examples that it has right by a margin of 1.

    Reference: Lim and Ye 2017, Geometric GAN, section 3; Miyato et al. 2018, equations 16 and 17.
    """

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()

    def generator(self, fake_logits: Tensor) -> Tensor:
        return -fake_logits.mean()


def l1(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference.

    Args:
        prediction: (B, C, H, W).
        target: the same shape.

    Raises:
        ValueError: the shapes differ (broadcasting would compare the wrong pixels in silence).

    Reference: Isola et al. 2017, equation 3.
    """
    if prediction.shape != target.shape:
        raise ValueError(
            f"prediction has shape {tuple(prediction.shape)} and target {tuple(target.shape)}; they must be equal"
        )
    return torch.abs(prediction - target).mean()
