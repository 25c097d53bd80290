"""What processes that train together tell each other: sums, and tensors of any length.

Each function is called by all processes in the same order, also by those that have nothing to say.
All of them get the same bits, so that a decision on a figure is the same everywhere. With one
process nothing is sent.
"""

import torch
from torch import Tensor, distributed

from presize.core.errors import TrainingError

# By position: a process tells the others the kind of its numbers with one of its own.
_DTYPES = (
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.bool),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8),
    *(torch.complex64, torch.complex128, torch.uint16, torch.uint32, torch.uint64),
)
_MOST_AXES = 8


def world_size() -> int:
    """Return how many processes train together; 1 outside of torch.distributed."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return 1
    return distributed.get_world_size()


def transport_device() -> torch.device:
    """Return where tensors must be to be sent: on a GPU for NCCL, in memory for all others."""
    if distributed.get_backend() == "nccl":
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def all_sum(t: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes, in which it has one shape and dtype.

    Added in the order of the processes, unlike `all_reduce`, whose order depends on the way of
    the messages: for figures, not for gradients.
    """
    if world_size() == 1:
        return t
    total, *others = _gathered(t)
    for other in others:
        total = total + other
    return total.to(t.device)


def all_cat(t: Tensor | None) -> Tensor | None:
    """Return the tensors of all processes joined along the first axis, in order of the processes.

    Args:
        t: of any length, which may differ between processes; the other axes agree. None where a
            process has nothing and does not know the shape.

    Returns:
        A tensor on the device of `t`; None if no process had one.

    Raises:
        TrainingError: (in every process) shapes or dtypes do not go together.
    """
    if world_size() == 1:
        return t
    parts = all_parts(t)
    return torch.cat(parts) if parts else None


def all_parts(t: Tensor | None) -> list[Tensor]:
    """Return the tensor of each process that has one; as `all_cat`, but not joined."""
    if world_size() == 1:
        return [] if t is None else [t]
    headers: list[list[int]] = [h.tolist() for h in _gathered(_header(t))]
    known = [header for header in headers if header[0] >= 0]
    if not known:
        return []
    like = known[0]
    if any((h[0], h[1], h[3:]) != (like[0], like[1], like[3:]) for h in known):
        raise TrainingError(
            "The processes that train together have figures of different kinds for one metric: "
            f"{'; '.join(_described(h) for h in headers)}. Do all of them see the same data and "
            "the same model?"
        )
    dtype, tail = _DTYPES[like[0]], like[3 : 2 + like[1]]
    # Bytes: gloo has no bfloat16, NCCL no uint16, and both send bytes.
    row = dtype.itemsize * torch.Size(tail).numel()
    sent = torch.zeros(
        max(1, *(h[2] * row for h in known)), dtype=torch.uint8, device=transport_device()
    )
    if t is not None:
        own = t.detach().contiguous().reshape(-1).view(torch.uint8)
        sent[: own.numel()] = own
    parts = [
        got[: header[2] * row].view(dtype).view(header[2], *tail)
        for got, header in zip(_gathered(sent), headers, strict=True)
        if header[0] >= 0
    ]
    return parts if t is None else [part.to(t.device) for part in parts]


def _gathered(t: Tensor) -> list[Tensor]:
    sent = t.detach().to(transport_device()).contiguous()
    got = [torch.empty_like(sent) for _ in range(world_size())]
    distributed.all_gather(got, sent)
    return got


def _header(t: Tensor | None) -> Tensor:
    """Return dtype, number of axes, and shape, as numbers; -1 for None."""
    if t is None:
        return torch.tensor([-1] * (2 + _MOST_AXES))
    if not 1 <= t.ndim <= _MOST_AXES or t.dtype not in _DTYPES:
        raise TrainingError(
            f"all_cat joins tensors of 1 to {_MOST_AXES} axes along the first, but got "
            f"{t.ndim} axes of {t.dtype}."
        )
    return torch.tensor([_DTYPES.index(t.dtype), t.ndim, *t.shape, *([0] * (_MOST_AXES - t.ndim))])


def _described(header: list[int]) -> str:
    if header[0] < 0:
        return "nothing"
    kind = str(_DTYPES[header[0]]).removeprefix("torch.")
    return f"{header[2 : 2 + header[1]]} {kind}"
