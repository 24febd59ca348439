"""Files of the studio: those that come in, within limits, and those that it makes."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ipywidgets import FloatProgress

from colorlib.colorizer import Colorizer, Settings
from colorlib.colorizer.folder import Batch, colorize_all
from colorlib.photos import Photo, PhotoError, decode_photo, read_photo, sample_photograph, scan
from colorlib.photos.samples import OLD, SAMPLES
from colorlib.photos.write import SYNTHETIC, encode_photo
from colorlib.studio.preview import Preview

FORMATS = {"PNG": ("image/png", ".png"), "JPEG": ("image/jpeg", ".jpg")}


class Incoming:
    """Opens what the user brings, and refuses photographs above the limits before they take memory."""

    def __init__(self, colorizer: Colorizer, max_bytes: int, max_pixels: int) -> None:
        self._colorizer, self._max_bytes, self._max_pixels = colorizer, max_bytes, max_pixels
        self._received = bytearray()

    def open(self, photo: str | Path | Photo) -> Preview:
        """Open a path, a Photo, or one of the sample photographs by its name. PhotoError: it cannot be opened."""
        if isinstance(photo, str) and photo in (*SAMPLES, *OLD):
            return Preview(self._colorizer, sample_photograph(photo), photo)
        return Preview(self._colorizer, photo if isinstance(photo, Photo) else read_photo(photo, self._max_pixels))

    def decode(self, name: str, data: bytes) -> Preview:
        """As `open`, for the bytes of a file."""
        self.check_bytes(name, len(data))
        return Preview(self._colorizer, decode_photo(data, name, self._max_pixels))

    def check_bytes(self, name: str, number: int) -> None:
        if number > self._max_bytes:
            raise PhotoError(name, f"has {number:,} bytes, above {self._max_bytes:,}", "shrink it first")

    def receive(self, part: int, parts: int, data: bytes) -> bytes | None:
        """Take one part of a file, 0 to parts - 1 in order; return the whole file after the last one, else None."""
        self._received = self._received if part else bytearray()
        self._received += data
        if part < parts - 1:
            return None
        whole, self._received = bytes(self._received), bytearray()
        return whole


def read_settings(name: str, data: bytes) -> Settings:
    """Settings from the bytes of a JSON file. ValueError: no settings; the sentence begins with the name."""
    try:
        return Settings.from_json(data)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def full_size_file(colorizer: Colorizer, photo: Photo, settings: Settings, format: str,
                   bar: FloatProgress) -> tuple[str, str, bytes]:
    """Name, MIME type and bytes of the coloured photograph at full size."""
    kind, suffix = FORMATS[format]
    with _progress(bar) as progress:
        colored = colorizer.colorize(photo, settings, progress=lambda share: progress(0.8 * share))
        data = encode_photo(colored, format, like=photo, note=SYNTHETIC)
    return f"{Path(photo.path or 'photo').stem}-colour{suffix}", kind, data


def color_folder(colorizer: Colorizer, settings: Settings, source: str, target: str, bar: FloatProgress) -> str:
    """Colour the photographs of one folder into another, without hints: they belong to one photograph.

    Returns a report, as HTML. ValueError: a folder is not given, or cannot be used.
    """
    source, target = source.strip("\"' "), target.strip("\"' ")  # quotes come along with a pasted path
    if not (source and target):
        raise ValueError("two folders are needed: one with the photographs, one for the results")
    batch = Batch(scan(Path(source).expanduser()), Path(target).expanduser(), None, force=False)
    errors = []
    with _progress(bar) as progress:
        outcomes = colorize_all(batch, colorizer, replace(settings, hints=()))
        for done, (_, outcome, _) in enumerate(outcomes, start=1):
            errors += [outcome] if isinstance(outcome, str) else []
            progress(done / len(batch.photos))
    left = " The hints were left out: they belong to one photograph." if settings.hints else ""
    return (f"{len(batch.results)} of {len(batch.photos)} photographs are in {html.escape(str(batch.folder))}.{left}"
            + "".join(f"<br>{html.escape(error)}" for error in errors))


def link(name: str, kind: str, data: bytes, text: str) -> str:
    """A link, as HTML, that saves a file of this name and MIME type. The data are in the link itself."""
    code = base64.b64encode(data).decode()
    return f'<a download="{html.escape(name)}" href="data:{kind};base64,{code}">{html.escape(text)}</a>'


@contextmanager
def _progress(bar: FloatProgress) -> Iterator[Callable[[float], None]]:
    """Show a progress bar for as long as the work takes."""
    bar.value, bar.layout.visibility = 0.0, "visible"
    try:
        yield lambda share: setattr(bar, "value", share)
    finally:
        bar.layout.visibility = "hidden"
