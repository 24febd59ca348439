"""The name that colorlib.studio had before."""
from colorlib.studio import Studio as Studio
