"""colorlib: how machines colour photographs, taught in notebooks and used on your own pictures.

Import the module that you need (`from colorlib.generators import UNet`); `import colorlib` itself loads nothing.
"""

__version__ = "0.1.0"
