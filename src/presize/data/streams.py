"""Brings batches to the device while the device still computes on the one before."""

from typing import Any

import torch

from presize.core.device import map_tensors, to_device

Sent = tuple[Any, "torch.cuda.Event | None"]


class DeviceStream:
    """The way of batches to one device: `send` in a worker thread, `receive` where they are used.

    On a GPU the copy runs on a stream of its own, out of page-locked memory, so that it overlaps
    the computing; elsewhere it is a plain copy, or none.

    Args:
        device: where the batches go; None leaves them where they are.
    """

    def __init__(self, device: torch.device | None) -> None:
        if device is not None and device.type == "cuda" and device.index is None:
            # Worker threads have a current device of their own: name the one of this thread.
            device = torch.device("cuda", torch.cuda.current_device())
        self.device = device
        self._stream = torch.cuda.Stream(device) if self.pins else None
        self.ready: torch.cuda.Event | None = None
        """The moment, on a GPU, at which the batch that was received last was there."""

    @property
    def pins(self) -> bool:
        """Whether batches should be made in page-locked memory."""
        return self.device is not None and self.device.type == "cuda"

    @property
    def is_remote(self) -> bool:
        """Whether the device is not the processor that the worker threads run on."""
        return self.device is not None and self.device.type != "cpu"

    def send(self, batch: Any) -> Sent:
        """Start the copy; returns the batch, and what `receive` waits for."""
        if self.device is None:
            return batch, None
        if self._stream is None:
            return to_device(batch, self.device), None
        with torch.cuda.stream(self._stream):
            copied = to_device(batch, self.device)
            return copied, self._stream.record_event()

    def receive(self, sent: Sent) -> Any:
        """Return the batch for use on the current stream, once its copy is done."""
        batch, copied = sent
        if copied is None:
            return batch
        current = torch.cuda.current_stream(self.device)
        current.wait_event(copied)

        def used_here(tensor: torch.Tensor) -> torch.Tensor:
            # Else the allocator could give the memory away while this stream still reads it.
            tensor.record_stream(current)
            return tensor

        self.ready = self.mark()
        return map_tensors(used_here, batch)

    def mark(self) -> "torch.cuda.Event | None":
        """Return this place in the work of the GPU, to take times between; None without a GPU."""
        if self._stream is None:
            return None
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self.device))
        return event
