"""colorlib: how machines colour photographs, taught in notebooks and used on your own pictures.

Import the module that you need (`from colorlib.generators import UNet`); `import colorlib` itself loads nothing.
"""

import os

# A thread that waits for the others spins for a while before it sleeps: 300,000 rounds in GNU's OpenMP, which torch
# brings on Linux. Where other programs want the same cores, that is most of the time. 3,000 rounds cost nothing on a
# nearly idle machine, 1,000 a seventh of the speed of training (`python tests/benchmarks waiting`). OpenMP reads this when
# torch is imported: a program that imports torch first keeps what it has. A user's OMP_WAIT_POLICY is respected.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")

__version__ = "0.1.0"
