"""Generators, all called the same way: `generator(L, hints=None, z=None) -> Prediction`."""

from colorlib.generators.base import NORMS, Generator, Prediction, evaluating, num_parameters, predict
from colorlib.generators.pretrained_unet import PretrainedUNet
from colorlib.generators.residual_unet import ResidualUNet
from colorlib.generators.unet import UNet

__all__ = ["NORMS", "Generator", "Prediction", "PretrainedUNet", "ResidualUNet", "UNet", "evaluating", "num_parameters",
           "predict"]
