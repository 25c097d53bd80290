"""Names of heavy libraries that are imported when they are first used: `plt`, `pd`, `display`.

matplotlib, pandas and IPython together cost about a second; a script that only trains never
pays it.
"""

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

__all__ = ["HTML", "LazyModule", "display", "pd", "plt"]

# Asked for by tools that look over a namespace (inspect, doctest, pickle): no reason to import.
_LOADS = ("__version__", "__file__", "__path__")


class LazyModule(ModuleType):
    """Stands for a module and imports it when an attribute is first asked for."""

    def __init__(
        self, name: str, *, package: str, on_load: Callable[[ModuleType], None] | None = None
    ) -> None:
        """Stand for a module.

        Args:
            name: of the module, as in `import name`.
            package: what `pip install` calls it, for the error if it is missing.
            on_load: called once with the module after the import.
        """
        super().__init__(name, f"{name}, imported when it is first used.")
        self.__dict__["_lazy"] = {"package": package, "on_load": on_load, "module": None}

    def __getattr__(self, attribute: str) -> Any:
        dunder = attribute.startswith("__") and attribute.endswith("__")
        if dunder and attribute not in _LOADS and self.__dict__["_lazy"]["module"] is None:
            raise AttributeError(f"{self.__name__} is not imported yet, and has no {attribute}")
        return getattr(self._load(), attribute)

    def __setattr__(self, attribute: str, value: Any) -> None:
        setattr(self._load(), attribute, value)

    def __dir__(self) -> list[str]:
        return dir(self._load())

    def __repr__(self) -> str:
        loaded = self.__dict__["_lazy"]["module"]
        return repr(loaded) if loaded else f"<module {self.__name__!r}, not imported yet>"

    def _load(self) -> ModuleType:
        """Return the module, imported now if it was not."""
        state = self.__dict__["_lazy"]
        if state["module"] is None:
            try:
                module = importlib.import_module(self.__name__)
            except ImportError as fault:
                raise ImportError(_how_to_install(self.__name__, state["package"])) from fault
            if state["on_load"] is not None:
                state["on_load"](module)
            state["module"] = module
        return state["module"]  # type: ignore[no-any-return]


def _how_to_install(what: str, package: str) -> str:
    return f"{what} cannot be imported; install it with `pip install {package}`."


def _restore_hide_index(pandas: ModuleType) -> None:
    """Give tables `df.style.hide_index()` back, which pandas 2 took away; it hides the numbers.

    The pandas of older notebooks has it, newer ones say `df.style.hide()`. It is added only where
    it is missing, and only once `pd` is used.
    """
    try:
        from pandas.io.formats.style import Styler
    except ImportError:  # styled tables need jinja2; without it there is nothing to restore
        return
    if hasattr(Styler, "hide_index"):
        return

    def hide_index(self: Styler, subset: Any = None) -> Styler:
        """Hide the index, or of it only the rows in `subset`; same as `hide(subset)`."""
        return self.hide(subset, axis="index")

    Styler.hide_index = hide_index  # type: ignore[attr-defined]  # that is the point


if TYPE_CHECKING:
    import matplotlib.pyplot as plt
    import pandas as pd
else:
    plt = LazyModule("matplotlib.pyplot", package="matplotlib")
    pd = LazyModule("pandas", package="pandas", on_load=_restore_hide_index)


def display(*things: Any) -> None:
    """Show things as a notebook does: pictures, tables, HTML; outside one, print them.

    Raises ImportError if IPython is missing.
    """
    _ipython_display("display").display(*things)


def HTML(data: str) -> Any:
    """Return an object that a notebook shows as the HTML in `data`.

    Raises ImportError if IPython is missing.
    """
    return _ipython_display("HTML").HTML(data)


def _ipython_display(name: str) -> Any:
    """Return the module IPython.display, or say what `name` needs."""
    try:
        return importlib.import_module("IPython.display")
    except ImportError as fault:
        raise ImportError(
            f"`{name}` shows things in a notebook and needs IPython, which is not installed: "
            f"`pip install ipython`. In a plain script, `print` does."
        ) from fault
