"""What a result was made with: versions, system and device, as a report of a problem tells them."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version

import torch

from presize.core.device import default_device

LIBRARIES = ("torch", "torchvision", "timm", "numpy", "Pillow", "opencv-python-headless")


def environment() -> dict[str, str]:
    """Return name and value of each fact, in the order in which they are to be shown."""
    device = default_device()
    named = f" ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else ""
    return {
        "presize": _installed("presize"),
        "Python": platform.python_version(),
        **{name: _installed(name) for name in LIBRARIES},
        "system": platform.platform(),
        "device": f"{device}{named}",
        "CPU cores": f"{os.cpu_count()}, of which PyTorch uses {torch.get_num_threads()}",
    }


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
