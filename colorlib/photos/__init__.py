"""Photographs as the rest of colorlib sees them.

    photo file -> read_photo -> uint8 (3, H, W) -> PhotoBatches -> (L, ab)
"""

from colorlib.photos.batches import GREY_BELOW, PhotoBatches, StreamedBatches, is_grey
from colorlib.photos.pixels import resize_short
from colorlib.photos.read import MAX_PIXELS, SUFFIXES, Photo, PhotoError, decode_photo, read_photo, read_small
from colorlib.photos.samples import SPLITS, old_photographs, sample_photograph, sample_photographs
from colorlib.photos.source import LEVELS, Source, load_photos, photo_batches, scan, source, split_of
from colorlib.photos.write import suffix_for, write_photo

__all__ = [
    "GREY_BELOW", "LEVELS", "MAX_PIXELS", "SPLITS", "SUFFIXES", "Photo", "PhotoBatches", "PhotoError", "Source",
    "StreamedBatches", "decode_photo", "is_grey", "load_photos", "old_photographs", "photo_batches", "read_photo",
    "read_small", "resize_short", "sample_photograph", "sample_photographs", "scan", "source", "split_of", "suffix_for",
    "write_photo",
]
