"""What a notebook defines by hand, for the tests that hold it to the library."""

from pathlib import Path

from colorlib.course.data import taught


def taught_in(notebook: Path) -> dict[str, object]:
    """The notebook's own classes and functions, by name."""
    return taught(notebook.stem)
