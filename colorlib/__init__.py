"""colorlib: how machines colour photographs, taught in notebooks and used on your own pictures.

Import the module that you need (`from colorlib.generators import UNet`); `import colorlib` itself loads nothing.
"""

import os

# A thread that waits for the others spins for a while before it sleeps: 300,000 rounds in GNU's OpenMP, which torch
# brings on Linux. Where other programs want the same cores, that is most of the time. Shorter costs nothing where
# they do not; no spinning at all does (`python tests/benchmarks waiting`). OpenMP reads this when torch is imported,
# so a program that imports torch before colorlib keeps what it has. An OMP_WAIT_POLICY of the user's is respected.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")

__version__ = "0.1.0"
