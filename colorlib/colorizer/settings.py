"""What a person can set about a colouring: the arguments of `Colorizer.colorize` as one value, as JSON and as code."""

import json
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from colorlib.colorizer.hints import Hint
from colorlib.photos import SUFFIXES, Photo, read_photo

DECODES = ("default", "mean")
_HINT = ('a hint is {!r}; it must be like {{"x": 10, "y": 20, "a": 5.0, "b": -30.0}}, with "reach": 2.0 or '
         '"erase": true where wanted')
RANGES = {"saturation": (0, 100, ""), "warmth": (-255, 255, " of CIE units"),
          **{name: (0, 1, "") for name in ("adversarial", "guidance", "blend")}}


@dataclass(frozen=True)
class Settings:
    """How a photograph is coloured. The defaults change nothing of what the network says.

    Args:
        render_size: short side, in pixels, of the picture that the generator sees; None is the colorizer's own.
        decode: "default": as colourful as photographs are; "mean": wrong by least on average, therefore pale. A generator
            without z has one answer for both.
        variant: 0, or another plausible colouring: 1 to 6 are those of 24 draws of z that differ most; above, one draw each.
        hints: colours of single points, for a generator that takes hints.
        adversarial: 1 is the generator that met a critic, 0 its sibling trained without one, between them a mixture.
        guidance: how much colours end at the edges of L, 0 (bilinear upsampling) to 1 (guided filter).
        saturation: factor of ab, 0 to 100; 0 is the grey photograph but for hints, 1 what the network says.
        warmth: CIE units added to b, at most 255: above 0 towards yellow, below towards blue. A hint stays as it was given.
        blend: 0 is the grey photograph, 1 the coloured one, hints and all.

    ValueError: a value of the wrong kind or out of its range.

    Example:
        >>> Settings(saturation=1.2).code("harbour.jpg")
        "Colorizer.load().colorize('harbour.jpg', saturation=1.2)"
    """

    render_size: int | None = None
    decode: str = "default"
    variant: int = 0
    hints: tuple[Hint, ...] = ()
    adversarial: float = 1.0
    guidance: float = 1.0
    saturation: float = 1.0
    warmth: float = 0.0
    blend: float = 1.0

    def __post_init__(self) -> None:
        for name, value in vars(self).copy().items():
            object.__setattr__(self, name, _plain(value))
        hints = self.hints if isinstance(self.hints, tuple | list) else () if self.hints is None else (self.hints,)
        object.__setattr__(self, "hints", tuple(map(_hint, hints)))
        if self.render_size is not None:
            check_render_size(self.render_size)
        if self.decode not in DECODES:
            raise ValueError(f"decode is {self.decode!r}; choose one of {', '.join(DECODES)}")
        if isinstance(self.variant, bool) or not isinstance(self.variant, int) or self.variant < 0:
            raise ValueError(f"variant is {self.variant!r}; it must be a whole number from 0")
        if self.variant and self.decode == "mean":
            raise ValueError(f"variant is {self.variant} and decode 'mean': there is one mean; take decode='default'")
        for name, (low, high, unit) in RANGES.items():
            value = getattr(self, name)
            if (low, high) == (0, 1) and isinstance(value, bool):  # guidance=False is 0
                value = float(value)
            if not is_number(value) or not low <= value <= high:
                raise ValueError(f"{name} is {value!r}; it must be a number{unit} from {low} to {high}")
            object.__setattr__(self, name, value)

    def chosen(self) -> dict:
        """The settings that differ from the defaults, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)
                if getattr(self, field.name) != field.default}

    def code(self, photo: str, sample: bool = False, colorizer: str = "Colorizer.load()") -> str:
        """One line of Python that gives the same picture of a path, or of a sample photograph's name if `sample`."""
        source = f"sample_photograph({photo!r})" if sample else repr(photo)
        arguments = "".join(f", {name}={list(value) if name == 'hints' else value!r}"
                            for name, value in self.chosen().items())
        return f"{colorizer}.colorize({source}{arguments})"

    def to_json(self) -> str:
        """All settings as a JSON object, as `colorlib colorize --settings` reads it."""
        values = {name: value for name, value in vars(self).items() if value is not None}
        values["hints"] = [hint._asdict() for hint in self.hints]
        return json.dumps(values, indent=2)

    @classmethod
    def from_json(cls, text: str | bytes, name: object = "settings") -> "Settings":
        """Settings from a JSON object, as text or in any encoding of Unicode, with some of their names, else ValueError,
        which begins with the name of the file."""
        try:
            values, names = json.loads(text), [field.name for field in fields(cls)]
            if not isinstance(values, dict) or not values.keys() <= set(names):
                found = ", ".join(values) if isinstance(values, dict) else type(values).__name__
                raise ValueError(f"holds {found}; it must be an object with some of {', '.join(names)}")
            if not isinstance(values.get("hints", []), list):
                raise ValueError(f"hints is {values['hints']!r}; it must be a list")
            for hint in values.get("hints", []):
                if not isinstance(hint, dict) or not {"x", "y", "a", "b"} <= hint.keys() <= set(Hint._fields):
                    raise ValueError(_HINT.format(hint))
            return cls(**{**values, "hints": tuple(Hint(**hint) for hint in values.get("hints", []))})
        except (ValueError, RecursionError) as error:
            kind = "" if type(error) is ValueError else "no JSON, "
            raise ValueError(f"{name}: {kind}{error}") from error

    @classmethod
    def of(cls, photo: Photo) -> "Settings | None":
        """Those that a coloured photograph was written with; None: it holds none."""
        with suppress(ValueError):  # the history of another program
            return cls.from_json(photo.history)

    @classmethod
    def read(cls, path: Path) -> "Settings":
        """Settings from a JSON file, or from a photograph that was coloured with them; ValueError: it holds none."""
        found = cls.of(read_photo(path)) if path.suffix.lower() in SUFFIXES else cls.from_json(path.read_bytes(), path)
        if found is None:
            raise ValueError(f"{path}: holds no settings; name a JSON file, or a photograph that colorlib coloured")
        return found


def check_render_size(render_size: int) -> int:
    if isinstance(render_size, bool) or not isinstance(render_size, int) or render_size < 8:
        raise ValueError(f"render_size is {render_size!r}; it must be a whole number of pixels, at least 8")
    return render_size


def is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value


def _hint(hint: object) -> Hint:
    found = Hint(*map(_plain, hint)) if isinstance(hint, tuple) and 4 <= len(hint) <= len(Hint._fields) else None
    if found is None or not all(is_number(value) for value in found[:5]) or not isinstance(found.erase, bool):
        raise ValueError(_HINT.format(hint))
    return found
