"""The files that the studio makes: one photograph at full size, or a folder; told as HTML. See `widgets`."""

from __future__ import annotations

import base64
import functools
import html
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ipywidgets import FloatProgress

from colorlib.colorizer import Colorizer, Settings
from colorlib.colorizer.folder import Batch, colorize_all
from colorlib.photos import Photo, scan
from colorlib.photos.write import SYNTHETIC, encode_photo
from colorlib.studio.parts import FORMATS


def link_to_file(colorizer: Colorizer, photo: Photo, settings: Settings, format: str, bar: FloatProgress) -> str:
    """A link that saves the coloured photograph at full size; the file is in the link."""
    kind, suffix = FORMATS[format]
    with _working(bar) as progress:
        colored = colorizer.colorize(photo, progress=lambda share: progress(0.8 * share), **settings.chosen())
        data = encode_photo(colored, format, like=photo, note=SYNTHETIC)
    name = html.escape(f"{Path(photo.path or 'photo').stem}-colour{suffix}")
    text = base64.b64encode(data).decode()
    return f'<a download="{name}" href="data:{kind};base64,{text}">Save {name}</a> ({len(data) / 1e6:.1f} MB)'


def colour_folder(colorizer: Colorizer, settings: Settings, source: str, target: str, bar: FloatProgress) -> str:
    """Colour the photographs of one folder into another, without hints: their points belong to one photograph.

    Returns:
        How many there are, and what is wrong with the others.

    Raises:
        ValueError: a folder is not given, or cannot be used.
    """
    if not (source and target):
        raise ValueError("two folders are needed: of the photographs, and for the results")
    batch = Batch(scan(Path(source).expanduser()), Path(target).expanduser(), None, force=False)
    errors = []
    with _working(bar) as progress:
        outcomes = colorize_all(batch, colorizer, replace(settings, hints=()))
        for done, (_, outcome) in enumerate(outcomes, start=1):
            errors += [outcome] if isinstance(outcome, str) else []
            progress(done / len(batch.photos))
    left = " The hints were left out: they belong to one photograph." if settings.hints else ""
    return (f"{len(batch.results)} of {len(batch.photos)} photographs are in {html.escape(str(batch.folder))}.{left}"
            + "".join(f"<br>{html.escape(error)}" for error in errors))


@contextmanager
def _working(bar: FloatProgress) -> Iterator[Callable[[float], None]]:
    """A progress bar that is seen while something takes long."""
    bar.value, bar.layout.visibility = 0.0, "visible"
    try:
        yield functools.partial(setattr, bar, "value")
    finally:
        bar.layout.visibility = "hidden"
