"""The inside of `colorlib.scenes`: canvas, materials, landscape and objects. Import colorlib.scenes
instead."""
