"""What the scripts on real photographs have in common: the folder, on the command line or in COLORLIB_PHOTOS."""

from __future__ import annotations

import argparse
import os


def parser(description: str | None) -> argparse.ArgumentParser:
    """A parser with --photos, which COLORLIB_PHOTOS can replace; without either the script ends with exit code 2."""
    result = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    folder = os.environ.get("COLORLIB_PHOTOS") or None
    result.add_argument("--photos", default=folder, required=folder is None,
                        help="folder of photographs (default: COLORLIB_PHOTOS, which is %(default)s)")
    return result
