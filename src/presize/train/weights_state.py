"""Put named weights into a model, and say exactly what does not fit."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from presize.core.errors import ModelFileError


@dataclass(frozen=True)
class LoadReport:
    """What did not fit when weights were loaded; each list is empty when all did."""

    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.mismatched)

    def __str__(self) -> str:
        parts = [
            _listed("the model has, but not the file", self.missing),
            _listed("the file has, but not the model", self.unexpected),
            _listed("differ in shape", self.mismatched),
        ]
        return "\n".join(part for part in parts if part)


def _listed(what: str, names: list[str], show: int = 6) -> str:
    if not names:
        return ""
    more = f", and {len(names) - show} more" if len(names) > show else ""
    return f"  {len(names)} that {what}: {', '.join(names[:show])}{more}"


def load_weights(
    model: nn.Module, tensors: Mapping[str, Tensor], *, strict: bool = True
) -> LoadReport:
    """Copy `tensors` into the parameters and buffers of `model` of the same names.

    Args:
        model: changed in place, and only if nothing is wrong; it keeps its device and dtypes.
        tensors: by the names of `model.state_dict()`.
        strict: False loads what fits and returns what did not.

    Raises:
        ModelFileError: with `strict`, if any name or shape differs; all kinds are listed.
    """
    own = _own(model)
    report = _compared(own, tensors)
    if strict and report:
        raise _unfit(model, report, own, tensors)
    fitting = {
        name: tensors[name]
        for name, value in own.items()
        if name in tensors and tensors[name].shape == value.shape
    }
    model.load_state_dict(fitting, strict=False)
    return report


def check_fit(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Raise ModelFileError unless all names and shapes fit; the model may be on "meta"."""
    own = _own(model)
    if report := _compared(own, tensors):
        raise _unfit(model, report, own, tensors)


def _own(model: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}


def _compared(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> LoadReport:
    return LoadReport(
        missing=[name for name in own if name not in tensors],
        unexpected=[name for name in tensors if name not in own],
        mismatched=[
            f"{name} ({list(tensors[name].shape)} in the file, {list(value.shape)} in the model)"
            for name, value in own.items()
            if name in tensors and tensors[name].shape != value.shape
        ],
    )


def _unfit(
    model: nn.Module,
    report: LoadReport,
    own: Mapping[str, Tensor],
    tensors: Mapping[str, Tensor],
) -> ModelFileError:
    return ModelFileError(
        f"The weights do not fit this {type(model).__name__}:\n{report}\n{_hint(own, tensors)}"
    )


def _hint(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> str:
    for prefix in sorted({name.split(".")[0] + "." for name in tensors}):
        if all(name.startswith(prefix) for name in tensors) and any(
            name.removeprefix(prefix) in own for name in tensors
        ):
            return f"Every name in the file begins with `{prefix}`: remove it from the names first."
    return "Make the model as it was when they were saved: same architecture, same classes."
