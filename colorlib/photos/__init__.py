"""Photographs for the rest of colorlib: file -> read_photo -> uint8 (3, H, W) -> PhotoBatches -> (L, ab)."""

from colorlib.photos.batches import ZOOM, PhotoBatches, crop_side, is_grey
from colorlib.photos.index import Files, photographs, scan
from colorlib.photos.read import (MAX_PIXELS, SUFFIXES, Photo, PhotoError, decode_photo, read_photo, read_small,
                                  resize_short, to_image, to_srgb)
from colorlib.photos.sources import (LEVELS, OLD, SAMPLES, SPLITS, Source, load_photos, old_photographs,
                                     sample_photograph, sample_photographs, scan_splits, source, split_of)
from colorlib.photos.write import SYNTHETIC, encode_photo, suffix_for, write_photo

__all__ = [
    "LEVELS", "MAX_PIXELS", "OLD", "SAMPLES", "SPLITS", "SUFFIXES", "SYNTHETIC", "ZOOM", "Files", "Photo",
    "PhotoBatches", "PhotoError", "Source", "crop_side", "decode_photo", "encode_photo", "is_grey", "load_photos",
    "old_photographs", "photographs", "read_photo", "read_small", "resize_short", "sample_photograph",
    "sample_photographs", "scan", "scan_splits", "source", "split_of", "suffix_for", "to_image", "to_srgb", "write_photo",
]
