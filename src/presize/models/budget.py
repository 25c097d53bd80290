"""A limit on how large a network may get while it is built, by a description of anybody."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)

from presize.core.errors import ModelFileError


def too_large(most: int) -> ModelFileError:
    """Return the error for a network of more numbers than these."""
    return ModelFileError(
        f"The network takes more than {most:,} numbers, which is out of proportion to the weights "
        "in the file. The description is broken, or made to fill the memory."
    )


@contextmanager
def built_within(most: int) -> Iterator[None]:
    """Stop the building of a network, in this thread, that gets too large.

    Every layer announces its tensors before it fills them, and what has not been filled takes no
    memory yet.

    Args:
        most: numbers that all parameters and buffers made meanwhile may have together.

    Raises:
        ModelFileError: there are more.
    """
    thread, total = threading.get_ident(), 0

    def count(_module: Any, _name: str, value: Any) -> None:
        nonlocal total
        if value is None or threading.get_ident() != thread:
            return
        total += value.numel()
        if total > most:
            raise too_large(most)

    with ExitStack() as stack:
        for register in (
            register_module_parameter_registration_hook,
            register_module_buffer_registration_hook,
        ):
            stack.callback(register(count).remove)
        yield
