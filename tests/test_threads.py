import os
import signal
import threading

import pytest
import torch

from colorlib.runtime import in_threads, num_shares


@pytest.fixture(autouse=True)
def two_threads():
    """Also on a machine of one core, or with OMP_NUM_THREADS=1, where `in_threads` would stay in the caller's."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_parts_keep_their_order_and_their_threads():
    def work(part):
        return part * 2, threading.current_thread().name, torch.get_num_threads()

    before = torch.get_num_threads()
    results = in_threads(work, [1, 2, 3])
    assert [result[0] for result in results] == [2, 4, 6]
    assert all(name.startswith("colorlib") and threads == 1 for _, name, threads in results)
    assert torch.get_num_threads() == before
    assert in_threads(work, [5])[0][1] == threading.current_thread().name  # one part stays here


def test_modes_of_the_caller_hold_in_the_threads():
    def modes(_):
        return torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    assert in_threads(modes, [0, 1]) == [(True, False)] * 2
    with torch.no_grad():
        assert in_threads(modes, [0, 1]) == [(False, False)] * 2
    with torch.inference_mode():
        assert in_threads(modes, [0, 1]) == [(False, True)] * 2


def test_an_error_reaches_the_caller():
    def work(part):
        raise ValueError(f"part {part}")

    with pytest.raises(ValueError, match="part 0"):
        in_threads(work, [0, 1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_waits_for_no_thread_of_its_parent():
    """A data-loader worker inherits our pool and OpenMP's without their threads; waiting for those would never end."""
    x = torch.rand(2000, 200)
    expected = float((x @ x.T).exp().mean())  # large enough for several threads

    def work(part):
        return float((x @ x.T).exp().mean())

    in_threads(work, [-1, -2])
    child = os.fork()
    if child == 0:
        signal.alarm(60)  # ends a process that waits
        found = [work(0), *in_threads(work, [-1, -2])]
        os._exit(0 if found == pytest.approx([expected] * 3) and torch.get_num_threads() == 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_shares():
    assert num_shares(0) == num_shares(1) == 1
    assert num_shares(1000) == torch.get_num_threads()
