"""Training a colorizer: the two updates of the paper, the one loop, weights files, the recipe of those that ship."""

from colorlib.training.fit import fit, frozen, linear_decay, update_discriminator, update_generator
from colorlib.training.loop import History

__all__ = ["History", "fit", "frozen", "linear_decay", "update_discriminator", "update_generator"]
