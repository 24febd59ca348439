"""The same experiment under several seeds, as fast as the machine allows.

A small network leaves most of a core idle between its many small operations, and a second torch thread does not help.
`in_parallel` makes one run per core, for convolutional networks; an `Ensemble` is all seeds as one model with a leading
axis, for small fully connected networks and for a GPU. The benchmark "seeds" measures both.
"""

import copy
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from colorlib.runtime import in_threads, seeded

__all__ = ["Ensemble", "in_parallel", "seeded"]
Result = TypeVar("Result")


def in_parallel(run: Callable[[int], Result], seeds: Sequence[int]) -> list[Result]:
    """`[run(seed) for seed in seeds]`, as many at once as torch has threads, each with one of them. A run takes every
    random number from a torch.Generator of its own and the weights from `seeded`. The threads share torch's global
    generator, so draws from it depend on which thread comes first. Dropout draws from it: set it to 0."""
    return in_threads(run, seeds)


class Ensemble(nn.Module):
    """S networks of one architecture as one: call it with tensors (S, B, ...), get tensors (S, B, ...).

    Minimise the mean over S and B, as every loss here does: each member's gradient is multiplied by S, so the members
    train as they would alone, up to rounding. Networks with a method `entry` (inputs -> x) and a chain `layers` run
    layer by layer, twice as fast as by vmap, which all others take. The modules are copied; ValueError for none, or for
    one with buffers, since batch norm's running statistics would not reach the members.

    Reference: torch.func, "Model ensembling" (stack_module_state and vmap).
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        super().__init__()
        if not modules:
            raise ValueError("an ensemble of no modules; give at least one")
        stacked, buffers = stack_module_state(list(modules))
        if buffers:
            raise ValueError(f"the modules have buffers ({', '.join(buffers)}): take a norm without running "
                             "statistics, or train the seeds with in_parallel")
        self.names = list(stacked)
        self.weights = nn.ParameterList(nn.Parameter(weight.detach().clone()) for weight in stacked.values())
        for weight in self.weights:
            weight.register_hook(lambda gradient, size=len(modules): gradient * size)
        # kept out of the module tree: its weights are placeholders
        self.__dict__["_one"] = copy.deepcopy(modules[0])
        self.z_channels = getattr(modules[0], "z_channels", None)  # a generator's

    def __len__(self) -> int:
        return len(self.weights[0])

    def forward(self, *inputs: Tensor | None) -> Tensor:
        """Each of `inputs` is (S, B, ...) or None, which every member gets."""
        if hasattr(self._one, "entry"):
            return self._through_layers(self._one.entry(*inputs))

        def call(weights: dict[str, Tensor], *values: Tensor | None) -> Tensor:
            return functional_call(self._one, weights, values)

        return vmap(call, (0, *(None if value is None else 0 for value in inputs)), randomness="different")(
            dict(zip(self.names, self.weights)), *inputs)

    def _through_layers(self, x: Tensor) -> Tensor:
        """One batched product for each linear layer; in networks this small vmap's own work takes half of the time."""
        weights = iter(self.weights)
        for layer in self._one.layers:
            own = {name: next(weights) for name, _ in layer.named_parameters()}
            if isinstance(layer, nn.Linear):
                x = torch.baddbmm(own["bias"][:, None], x, own["weight"].mT)  # (S, B, out)
            elif own:  # a norm
                x = vmap(lambda weights, x, layer=layer: functional_call(layer, weights, (x,)))(own, x)
            else:
                x = layer(x)
        return x

    def members(self) -> list[nn.Module]:
        """The S networks, as plain modules with copies of the present weights."""
        members = []
        for index in range(len(self)):
            member = copy.deepcopy(self._one)
            member.load_state_dict({name: weight[index].detach() for name, weight in zip(self.names, self.weights)})
            members.append(member)
        return members
