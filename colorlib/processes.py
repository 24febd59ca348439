"""Several processes that train one network: started by `accelerate launch` or `torchrun`, joined by torch.distributed.

Every process holds the same networks and computes its share of every batch: of N processes, number r takes the pictures
r, r + N, r + 2 N ... Random numbers are drawn for the whole batch, of which each process keeps its share, and gradients
are averaged before an optimizer's step. So N processes compute what one would, to rounding, and all of them have the
same weights and random states: the checkpoint of one is that of all. DistributedDataParallel would average in hooks,
which the double backward of a gradient penalty passes by. In one process every function here does nothing.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn


def share() -> tuple[int, int]:
    """The number of this process, from 0, and that of all; (0, 1) where no launcher started it."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def join() -> None:
    """Connect the processes, once: NCCL for tensors on GPUs, gloo for those on CPUs."""
    if share()[1] > 1 and not dist.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group()


def leave() -> None:
    """Part the processes again, before the program ends."""
    if dist.is_initialized():
        dist.destroy_process_group()


def draw(make: Callable[..., Tensor], shape: Sequence[int], dim: int = 0, **options) -> Tensor:
    """This process's share of make(shape of the whole batch, **options), as torch.rand; `dim` numbers the pictures."""
    index, number = share()
    whole = [size * (number if axis == dim else 1) for axis, size in enumerate(shape)]
    drawn = make(whole, **options)
    return drawn if number == 1 else drawn[(slice(None),) * dim + (slice(index, None, number),)]


def dropout(x: Tensor, rate: float, training: bool) -> Tensor:
    """F.dropout, whose mask several processes draw for the whole batch (on CUDA other numbers than F.dropout's)."""
    if share()[1] == 1 or not training:
        return F.dropout(x, rate, training)
    kept = draw(lambda whole: x.new_empty(whole).bernoulli_(1 - rate), x.shape)
    return x * (kept / (1 - rate))


def average(parameters: Iterable[Tensor]) -> None:
    """Replace the gradients by their mean over the processes, in one exchange; what was averaged before stays."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if share()[1] > 1 and gradients:
        joined = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(joined)
        parts = joined.div_(share()[1]).split([gradient.numel() for gradient in gradients])
        torch._foreach_copy_(gradients, [part.view(gradient.shape) for part, gradient in zip(parts, gradients)])


def mean(value: Tensor) -> Tensor:
    """The mean of a tensor over the processes, without gradient; the tensor itself in one."""
    if share()[1] > 1:
        value = value.detach().clone()
        dist.all_reduce(value)
        value /= share()[1]
    return value


def any_of(flag: bool) -> bool:
    """Whether the flag is set in any process. A number on the CPU is exchanged, so that no GPU has to be waited for."""
    return flag if share()[1] == 1 else bool(mean(torch.tensor(float(flag))))


@contextmanager
def as_one(*networks: nn.Module) -> Iterator[None]:
    """Networks get the first process's weights; inside, their batch norms take the statistics of all processes."""
    norms = []
    if share()[1] > 1:
        norms = [part for network in networks for part in network.modules() if isinstance(part, nn.BatchNorm2d)]
        for network in networks:
            for tensor in network.state_dict().values():
                dist.broadcast(tensor, 0)
    for norm in norms:
        norm.forward = torch.compiler.disable(partial(_batch_norm, norm))
    try:
        yield
    finally:
        for norm in norms:
            del norm.forward


def _batch_norm(norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """nn.BatchNorm2d over the pictures of all processes; nn.SyncBatchNorm does the same, but on GPUs alone."""
    if not norm.training:
        return nn.BatchNorm2d.forward(norm, x)
    exact = x.to(torch.promote_types(x.dtype, torch.float32))
    num = x.numel() / x.shape[1] * share()[1]
    centre = _sum(exact.sum((0, 2, 3))) / num
    # from the mean, not as the difference of two large sums, which would cancel
    variance = _sum((exact - centre[:, None, None]).square().sum((0, 2, 3))) / num
    with torch.no_grad():
        norm.num_batches_tracked += 1
        norm.running_mean.lerp_(centre, norm.momentum)
        norm.running_var.lerp_(variance * (num / (num - 1)), norm.momentum)
    scale = norm.weight * (variance + norm.eps).rsqrt()
    return torch.addcmul((norm.bias - centre * scale)[:, None, None], exact, scale[:, None, None]).to(x.dtype)


class _Sum(torch.autograd.Function):
    """The sum over the processes; so is its gradient, as the loss is the sum of theirs."""

    @staticmethod
    def forward(ctx, value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return _Sum.forward(ctx, gradient)


_sum = _Sum.apply
