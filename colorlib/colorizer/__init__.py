"""A photograph in, a colour photograph out, at full resolution."""

from colorlib.colorizer.colorizer import Colorizer, ColorizerError
from colorlib.colorizer.hints import Hint, Suggestion
from colorlib.colorizer.settings import Settings

__all__ = ["Colorizer", "ColorizerError", "Hint", "Settings", "Suggestion"]
