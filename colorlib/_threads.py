"""Python threads for work that is many small torch calls: torch shares out each call, this shares out the work.

Torch would split every small operation over its threads and wait for the slowest after each: on a busy machine that
stalls, and on a quiet one the waiting costs as much as the second core brings.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import torch

Part = TypeVar("Part")
Result = TypeVar("Result")
_pools: dict[int, ThreadPoolExecutor] = {}
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pools.clear)  # a forked process has the pool, but none of its threads


def num_shares(num_parts: int) -> int:
    """Into how many shares it is worth cutting so many parts: one for each thread that torch may use."""
    return max(1, min(torch.get_num_threads(), num_parts))


def in_threads(work: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
    """`[work(part) for part in parts]`, in as many threads as torch may use, in each of which torch uses one.

    Args:
        work: called once for each part; grad mode and inference mode are those of the caller.
        parts: few and large, see `num_shares`; more parts than threads wait for a free one.
    """
    if num_shares(len(parts)) < 2:  # also inside such a thread, so that a part may come here again
        return [work(part) for part in parts]
    grad, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    def alone(part: Part) -> Result:
        with torch.inference_mode(inference), torch.set_grad_enabled(grad and not inference):
            return work(part)

    return list(_pool(num_shares(len(parts))).map(alone, parts))


def _pool(size: int) -> ThreadPoolExecutor:
    if size not in _pools:
        threads, all_here = torch.get_num_threads(), Barrier(size + 1)
        _pools[size] = ThreadPoolExecutor(size, "colorlib", initializer=_start, initargs=(all_here,))
        for _ in range(size):
            _pools[size].submit(int)  # each finds the others waiting at the barrier, so that every thread is started
        all_here.wait()
        torch.set_num_threads(threads)  # torch keeps the number for threads to come as well: take that back
    return _pools[size]


def _start(all_here: Barrier) -> None:
    torch.set_num_threads(1)
    torch.get_num_threads()  # makes torch's setting for this thread final, before the caller takes its own back
    all_here.wait()
