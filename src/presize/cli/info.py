"""`presize info`: what a report of a problem should say about the installation."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version

LIBRARIES = ("torch", "torchvision", "timm", "numpy", "Pillow", "opencv-python-headless")


def info() -> None:
    """Show versions, the device, and where presize keeps its files."""
    from rich.console import Console
    from rich.table import Table

    table = Table.grid(padding=(0, 3))
    for name, value in facts().items():
        table.add_row(name, value)
    Console().print(table)


def facts() -> dict[str, str]:
    """Return name and value of each fact, in the order they are shown."""
    import torch

    from presize import __version__
    from presize.core.device import default_device
    from presize.core.paths import cache_dir

    device = default_device()
    named = f" ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else ""
    return {
        "presize": __version__,
        "Python": platform.python_version(),
        **{name: _installed(name) for name in LIBRARIES},
        "system": platform.platform(),
        "device": f"{device}{named}",
        "CPU cores": f"{os.cpu_count()}, of which PyTorch uses {torch.get_num_threads()}",
        "files kept in": str(cache_dir()),
    }


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
