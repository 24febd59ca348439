"""What there is in a scene: slots, their labels, and the free colours."""

import torch

CLASSES = ("coast", "mountains", "meadow", "village", "forest")
SEASONS = ("spring", "summer", "autumn", "winter")
TIMES = ("morning", "noon", "evening")
KINDS = ("roof", "car", "flower")           # the values 1, 2, 3 of Scenes.free
LABELS = ("sky", "cloud", "sun", "mountain", "snow", "hill", "sea", "sand", "grass", "tree", "road", "wall",
          "window", "roof", "car", "flower")
COAST, MOUNTAINS, MEADOW, VILLAGE, FOREST = range(len(CLASSES))
WINTER = 3
NUM_SKIES = 9                               # three for each time of day

# Slots: what a pixel can show. Things of which there are several, and whose colours differ, have one slot each.
HOUSES, CARS, TREES, FLOWERS = 6, 2, 14, 24
FAR_TREES = 8                               # the first of the trees stand far away
(SKY, STAR, SUN, CLOUD, FAR_ROCK, FAR_SNOW, ROCK, SNOW, FAR_HILL, HILL, SEA, SAND, GRASS, ROAD, LINE, TRUNK,
 HEART, STEM, WINDOW_DARK, WINDOW_LIT, DOOR, GLASS, WHEEL, LAMP, CHIMNEY) = range(25)
WALL = 25
ROOF = WALL + HOUSES
CAR = ROOF + HOUSES
LEAF = CAR + CARS
FLOWER = LEAF + TREES
NUM_SLOTS = FLOWER + FLOWERS

# kind -> colours (CIE a, b), probabilities, and the range of L that it is drawn in, where all of its colours
# are inside sRGB. Chosen so that the mean and the median are dull and far from each of the colours.
FREE = {"roof": (((45, 32), (5, -38), (-38, 12), (8, 48)), (0.31, 0.29, 0.25, 0.15), (46.0, 66.0)),
        "car": (((54, 34), (6, -45), (-36, 12), (2, 45)), (0.27, 0.30, 0.23, 0.20), (47.0, 61.0)),
        "flower": (((52, -22), (-2, 52), (5, -40), (42, 32), (-32, -8)), (0.22, 0.26, 0.16, 0.17, 0.19), (58.0, 69.0))}


def _label(slot: int) -> str:
    for first, name in ((FLOWER, "flower"), (LEAF, "tree"), (CAR, "car"), (ROOF, "roof"), (WALL, "wall")):
        if slot >= first:
            return name
    return {SKY: "sky", STAR: "sky", SUN: "sun", CLOUD: "cloud", FAR_ROCK: "mountain", ROCK: "mountain",
            FAR_SNOW: "snow", SNOW: "snow", FAR_HILL: "hill", HILL: "hill", SEA: "sea", SAND: "sand", GRASS: "grass",
            ROAD: "road", LINE: "road", TRUNK: "tree", HEART: "flower", STEM: "grass", WINDOW_DARK: "window",
            WINDOW_LIT: "window", DOOR: "wall", GLASS: "window", WHEEL: "car", LAMP: "car", CHIMNEY: "wall"}[slot]


LABEL_OF_SLOT = torch.tensor([LABELS.index(_label(slot)) for slot in range(NUM_SLOTS)], dtype=torch.uint8)
FREE_OF_SLOT = torch.zeros(NUM_SLOTS, dtype=torch.uint8)
FREE_OF_SLOT[ROOF:ROOF + HOUSES] = 1
FREE_OF_SLOT[CAR:CAR + CARS] = 2
FREE_OF_SLOT[FLOWER:] = 3
# What has an outline in the edge map: slots; but a star, a snow field or a stem is no object of its own.
REGION_OF_SLOT = torch.arange(NUM_SLOTS, dtype=torch.uint8)
for _slot, _same in ((STAR, SKY), (FAR_SNOW, FAR_ROCK), (SNOW, ROCK), (LINE, ROAD), (STEM, GRASS),
                     (WINDOW_LIT, WINDOW_DARK)):
    REGION_OF_SLOT[_slot] = _same
# All three in one word, so that one look-up per pixel is enough.
FACTS_OF_SLOT = LABEL_OF_SLOT.int() | REGION_OF_SLOT.int() << 8 | FREE_OF_SLOT.int() << 16
