"""Several processes that share the weights as well: PyTorch's FSDP2, for models that fill a GPU."""

from typing import Any

from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard

from presize.core.ranks import Rank
from presize.train.distributed import DataParallel

# What is gathered and let go as one: smaller parts wait for more messages.
_LEAST_IN_BLOCK = 1_000_000
# What `fully_shard` writes into a module, beside hooks, parameters and another class.
_MARKS = ("_fsdp", "_is_fsdp", "__composable_api_state_key")


class ShardedParallel(DataParallel):
    """Several processes, each with a part of the weights, gradients and averages of the optimizer.

    A block of the model gets its whole weights when it computes, and lets them go again. For
    validation and predictions they are whole for as long as that takes, as processes may have
    different numbers of batches.

    Args:
        rank: which of the processes this is.
        model: its parameters are replaced by parts of them until `leave`.
        least: parameters in a block of their own.
    """

    in_parts = True

    def __init__(self, rank: Rank, model: nn.Module, *, least: int = _LEAST_IN_BLOCK) -> None:
        super().__init__(rank)
        self.broadcast(model)  # each keeps a part of what has to be one model
        self._model = model
        self._parameters = dict(model.named_parameters())
        self._before = [(module, type(module), _hooks(module)) for module in model.modules()]
        device = next(model.parameters()).device.type
        mesh = init_device_mesh(device, (rank.world,))
        for block in blocks(model, least):
            fully_shard(block, mesh=mesh)

    def around(self, model: nn.Module) -> nn.Module:
        """Return the model, which gathers its weights by itself."""
        return model

    def accumulating(self, on: bool) -> Any:
        """Return a context; gradients are averaged in each batch, as they lie in parts."""
        return self._nothing

    def average(self, model: nn.Module) -> None:
        """Nothing is left to average."""

    def broadcast(self, model: nn.Module) -> None:
        """Let all have what the first has: of a model in parts these are the buffers."""
        if any(isinstance(module, FSDPModule) for module in model.modules()):
            self.same_buffers(model)
        else:
            super().broadcast(model)

    def begin_asking(self, model: nn.Module) -> None:
        """Gather all weights: what is asked now is asked by each process by itself."""
        for block in _sharded(model):
            block.set_reshard_after_forward(False, recurse=False)
            block.unshard()

    def end_asking(self, model: nn.Module) -> None:
        """Let the weights of the others go again."""
        for block in _sharded(model):
            block.reshard()
            block.set_reshard_after_forward(True, recurse=False)

    def leave(self, *, failing: bool = False) -> None:
        """Make the model whole again, with the parameters and hooks that it had before.

        After an error, which the other processes know nothing of, it stays in parts.
        """
        if failing:
            return
        sharded: dict[str, Any] = dict(self._model.named_parameters())
        whole = {name: part.full_tensor() for name, part in sharded.items()}
        for module, kind, hooks in self._before:
            module.__class__ = kind
            for key in [key for key in vars(module) if key.startswith(_MARKS)]:
                del vars(module)[key]
            vars(module).update(hooks)
        for name, parameter in self._parameters.items():
            parameter.data = whole[name].detach()
            parameter.requires_grad_(sharded[name].requires_grad)
            owner, _, leaf = name.rpartition(".")
            self._model.get_submodule(owner).register_parameter(leaf, parameter)


def blocks(model: nn.Module, least: int) -> list[nn.Module]:
    """Return the parts of a model that are gathered as one, inner ones first, the model last.

    They are the elements of its sequences and lists that have at least so many parameters.
    """
    found: list[nn.Module] = []
    for parent in model.modules():
        if not isinstance(parent, nn.Sequential | nn.ModuleList):
            continue
        for child in parent:
            callable_ = not isinstance(child, nn.ModuleList | nn.ModuleDict)
            if callable_ and sum(p.numel() for p in child.parameters()) >= least:
                found.append(child)
    once = {id(block): block for block in found if block is not model}
    return [*reversed(once.values()), model]


def _sharded(model: nn.Module) -> list[FSDPModule]:
    return [module for module in model.modules() if isinstance(module, FSDPModule)]


def _hooks(module: nn.Module) -> dict[str, Any]:
    return {k: v.copy() for k, v in vars(module).items() if "hooks" in k and hasattr(v, "copy")}
