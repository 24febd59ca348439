"""How many scenes per second (picture, night, labels, edges and free map of each)."""

import time

import torch

from colorlib.course.scenes import render


def rows() -> list[dict]:
    """Pictures per second at 32, 64 and 128 pixels on all cores, the best of several runs."""
    found = []
    for size, num in ((32, 4096), (64, 2048), (128, 512)):
        render(64, size)
        best, end = 0.0, time.perf_counter() + 4
        while time.perf_counter() < end:
            start = time.perf_counter()
            render(num, size, seed=1)
            best = max(best, num / (time.perf_counter() - start))
        found.append(
            dict(
                group="scenes",
                name=f"scenes {size} x {size}",
                value=best,
                unit="pictures/s",
                note=f"with night, labels, edges; {torch.get_num_threads()} threads",
            )
        )
    return found


if __name__ == "__main__":
    for row in rows():
        print(f"{row['name']}: {row['value']:.0f} {row['unit']} ({row['note']})")
