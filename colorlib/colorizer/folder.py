"""Several photographs coloured alike into one folder: nothing is lost, and every failure is reported."""

import os
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from pathlib import Path

from colorlib.colorizer.colorizer import Colorizer, ColorizerError
from colorlib.colorizer.settings import Settings
from colorlib.photos import SUFFIXES, SYNTHETIC, Photo, PhotoError, read_photo, suffix_for, write_photo
from colorlib.photos.write import SETTINGS as WRITTEN


@dataclass
class Batch:
    """Several photographs into one folder, where no result replaces a photograph or another result."""

    photos: list[Path]
    folder: Path
    suffix: str | None  # of the results; None keeps the photograph's format
    force: bool

    def __post_init__(self) -> None:
        self.inputs = {_key(path) for path in self.photos}
        self.results: dict[str, Path] = {}

    def target(self, path: Path, photo: Photo) -> Path:
        """Where the result of one photograph goes; PhotoError if something is there that must stay."""
        # the photograph's own suffix where it is that of its format
        own = SUFFIXES.get(path.suffix.lower()) == photo.format and photo.format in WRITTEN
        target = self.folder / (path.stem + (self.suffix or (path.suffix if own else suffix_for(photo))))
        key = _key(target)
        if key in self.results:  # also by force: both photographs are wanted
            raise PhotoError(path, f"its result would replace that of {self.results[key]}",
                             "colour one of them into another folder")
        if key in self.inputs:
            raise PhotoError(path, f"its result would replace the photograph {target}", "choose another folder")
        if target.exists() and not self.force:
            raise PhotoError(path, f"its result {target} is there already", "choose another folder")
        return target


def colorize_one(batch: Batch, colorizer: Colorizer, settings: Settings, path: Path,
                 read: Callable[[Path], Photo] = read_photo) -> tuple[Path | str, tuple[str, ...]]:
    """Colour one photograph of a batch, whose folder exists. Returns where the result is or, as a sentence, why there is
    none; and notes on the result: what it lacks (`Photo.lost`), a smaller render size."""
    notes: list[str] = []
    colorizer = copy(colorizer)
    colorizer.warn = notes.append
    try:
        photo = read(path)
        target = batch.target(path, photo)
        write_photo(target, colorizer.colorize(photo, settings), like=photo, note=SYNTHETIC,
                    history=settings.to_json(), overwrite=batch.force)
    except PhotoError as error:
        return str(error), ()
    except (ColorizerError, ValueError) as error:  # such as a hint outside of this one
        return f"{path}: {error}", ()
    batch.results[_key(target)] = path
    return target, (*[f"not kept: {', '.join(photo.lost)}"] * bool(photo.lost), *notes)


def make_folder(path: Path) -> None:
    """Make the folder; ValueError, before the work, if it is a file or may not be written."""
    if path.exists() and not path.is_dir():
        raise ValueError(f"{path} is a file; name a folder")
    path.mkdir(parents=True, exist_ok=True)
    if not os.access(path, os.W_OK | os.X_OK):
        raise ValueError(f"{path} may not be written (no permission); name another folder")


def _key(path: Path) -> str:
    """The same for two names of one file, also where the file system does not tell upper from lower case."""
    return os.path.realpath(path).casefold()  # also of a link to itself
