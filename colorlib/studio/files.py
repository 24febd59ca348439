"""Files of the studio: those that come in, within limits, and those that it makes."""

import html
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ipywidgets import FloatProgress

from colorlib.colorizer import Colorizer, Settings
from colorlib.colorizer.folder import Batch, colorize_one, make_folder
from colorlib.photos import (OLD, SAMPLES, SYNTHETIC, Photo, PhotoError, encode_photo, read_photo, sample_photograph,
                             scan)
from colorlib.studio.state import State

FORMATS = {"PNG": ("image/png", ".png"), "JPEG": ("image/jpeg", ".jpg")}


@dataclass(eq=False)
class Film:
    """A photograph of the film strip."""

    path: Path  # of its file, or its name
    open: Callable[[], Photo]  # raises PhotoError
    sample: str | None = None  # its name, if it is one of the sample photographs
    held: int = 0  # bytes of its file in memory
    state: State | None = None  # what is set for it; None: it was not open yet


def films_of(photo: str | Path | Photo, max_pixels: int) -> list[Film]:
    """What `Studio.load` opens: one photograph, or those of a folder. PhotoError: the folder has none."""
    if isinstance(photo, Photo):
        return [Film(Path(photo.path or "photograph"), lambda: photo)]
    if photo in (*SAMPLES, *OLD):
        return [Film(Path(photo), partial(sample_photograph, photo), photo)]
    paths = scan(photo) if Path(photo).is_dir() else [Path(photo)]
    return [Film(path, partial(read_photo, path, max_pixels)) for path in paths]


def check_bytes(name: str, number: int, most: int) -> None:
    if number > most:
        raise PhotoError(name, f"has {number:,} bytes, above {most:,}", "shrink it first")


def plain(name: object) -> str:
    """A name or a sentence that a browser can show: bytes of a file name that are no letters become question marks."""
    return str(name).encode("utf-8", "replace").decode()


def full_size_file(colorizer: Colorizer, photo: Photo, settings: Settings, format: str,
                   bar: FloatProgress) -> tuple[str, str, bytes]:
    """Name, MIME type and bytes of the coloured photograph at full size."""
    kind, suffix = FORMATS[format]
    _advance(bar, 0.0)
    colored = colorizer.colorize(photo, settings, progress=lambda share: _advance(bar, 0.8 * share))
    data = encode_photo(colored, format, like=photo, note=SYNTHETIC, history=settings.to_json())
    return f"{Path(photo.path or 'photo').stem}-colour{suffix}", kind, data


def save_all(colorizer: Colorizer, films: list[tuple[Film, Settings]], target: str, bar: FloatProgress) -> str:
    """Colour photographs, each with its settings, into a folder. Returns a report, as HTML. ValueError: a bad folder."""
    target = target.strip("\"' ")  # quotes come along with a pasted path
    if not target:
        raise ValueError("a folder for the results is needed: write its path into the field")
    batch = Batch([film.path for film, _ in films], Path(target).expanduser(), None, force=False)
    make_folder(batch.folder)
    errors = []
    for done, (film, settings) in enumerate(films):
        _advance(bar, done / len(films))
        outcome, notes = colorize_one(batch, colorizer, settings, film.path, lambda _, film=film: film.open())
        errors += [outcome] if isinstance(outcome, str) else [f"{film.path}: {note}" for note in notes]
    return (f"{len(batch.results)} of {len(films)} photographs are in {html.escape(plain(batch.folder))}."
            + "".join(f"<br>{html.escape(plain(error))}" for error in errors))


def _advance(bar: FloatProgress, share: float) -> None:
    bar.value, bar.layout.visibility = share, "visible"  # `Studio._run` hides it
