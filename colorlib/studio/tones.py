"""Colours of everyday things, by name, that the popover of a hint offers."""

from __future__ import annotations

TONES = {  # as they look in daylight; the studio shows their a and b at the lightness of the photograph
    "fair skin": "#ecc3a8", "light skin": "#d9a280", "tanned skin": "#b97d56", "brown skin": "#8d5a3b",
    "dark skin": "#5b3826", "lips": "#b4565c", "blond hair": "#cfae72", "red hair": "#9a4f28", "brown hair": "#5a3d2b",
    "sky": "#86b3e0", "sea": "#3f7d92", "grass": "#7a9a3f", "leaves": "#466b34", "earth": "#8b6b4a", "sand": "#d6bd93",
    "wood": "#92623a", "brick": "#a65040", "stone": "#9b958b", "denim": "#45618a", "white cloth": "#f0efec",
    "red": "#c23a2e", "orange": "#dc8230", "yellow": "#dfbf3a", "blue": "#2f59b0", "purple": "#7b4a98",
}  # fmt: skip
