"""Precision: which numbers a step computes with, and scaled gradients where those need it."""

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor
from torch.optim import Optimizer

from presize.core.errors import TrainingError, did_you_mean

Kind: TypeAlias = Literal["fp32", "tf32", "fp16", "bf16"]
_KINDS: tuple[Kind, ...] = ("fp32", "tf32", "fp16", "bf16")
# The first NVIDIA GPUs that know TF32: Ampere, of 2020.
_TF32_CAPABILITY = (8, 0)


class Precision:
    """How a step is computed: "fp32", "tf32", or "fp16" / "bf16" with weights kept in float32.

    tf32 rounds what goes into matrix products and convolutions to 10 bits of mantissa, adds up in
    float32, and leaves all else alone; that needs a CUDA GPU of 2020 or later. fp32 leaves the
    choice to PyTorch's own settings, which take TF32 for convolutions alone.

    fp16 scales the loss so that small gradients do not vanish, and leaves out a step whose
    gradients overflowed; that needs CUDA. Elsewhere fp16 is computed as bf16, which needs no
    scaling, and tf32 as fp32, and a warning says so.

    One step is `with autocast(device): loss`, `backward(loss)` (as often as gradients are
    accumulated), `unscale(opt)`, after which everyone sees the true gradients, and `step(opt)`, or
    `keep(opt)` if the gradients are to wait for more. All of it runs inside `applied(device)`.

    Args:
        kind: fp32, tf32, fp16 or bf16.
    """

    def __init__(self, kind: Kind = "fp32") -> None:
        if kind not in _KINDS:
            raise ValueError(
                f"precision is one of {', '.join(_KINDS)}, but got {kind!r}."
                f"{did_you_mean(kind, _KINDS)}"
            )
        self.kind: Kind = kind
        self._device: torch.device | None = None
        self._dtype: torch.dtype | None = None
        self._scaler: torch.amp.GradScaler | None = None
        self._kept: dict[str, Any] = {}
        self._unscaled = False
        self._plain = nullcontext()

    def _prepare(self, device: torch.device) -> None:
        self._device = device
        self._scaler = None
        match self.kind:
            case "fp32" | "tf32":
                self._dtype = None
            case "bf16":
                self._dtype = torch.bfloat16
            case "fp16" if device.type == "cuda":
                self._dtype = torch.float16
                self._scaler = torch.amp.GradScaler("cuda")
                if self._kept:
                    self._scaler.load_state_dict(self._kept)
            case _:
                warnings.warn(
                    f"fp16 is for CUDA; on {device.type} it is computed in bf16, which needs no "
                    "loss scaling. Ask for bf16 to say so, or for fp32, often faster on a CPU.",
                    stacklevel=3,
                )
                self._dtype = torch.bfloat16

    def autocast(self, device: torch.device | str) -> AbstractContextManager[object]:
        """Return the context in which to run the model and the loss on `device`."""
        if self.kind in ("fp32", "tf32"):
            return self._plain
        device = torch.device(device)
        if device != self._device:
            self._prepare(device)
        return torch.autocast(device.type, dtype=self._dtype)

    @contextmanager
    def applied(self, device: torch.device) -> Iterator[None]:
        """Have PyTorch compute so inside a `with` block; what was set before comes back."""
        if self.kind != "tf32":
            yield
            return
        _check_tf32(device)
        before = _tf32()
        _set_tf32(("tf32", "tf32") if isinstance(before[0], str) else (True, True))
        try:
            yield
        finally:
            _set_tf32(before)

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of `loss`, scaled in fp16, to those of the weights.

        Raises:
            TrainingError: `loss` is not one number.
        """
        scaled = loss if self._scaler is None else self._scaler.scale(loss)
        try:
            scaled.backward()
        except RuntimeError as error:
            if loss.numel() == 1:
                raise
            raise TrainingError(
                f"A step needs one number as its loss, but the loss is of shape "
                f"{list(loss.shape)}. Make the loss function with reduction='mean', or let it "
                "return loss.mean()."
            ) from error

    @property
    def grads_unscaled(self) -> bool:
        """Whether the weights' gradients are the true ones now."""
        return self._scaler is None or self._unscaled

    @property
    def scale(self) -> float:
        """What the loss is multiplied by now; reading it waits for the device."""
        return 1.0 if self._scaler is None else float(self._scaler.get_scale())

    def unscale(self, opt: Optimizer) -> None:
        """Turn the weights' gradients into the true ones, once a step; for clipping and logging."""
        if self._scaler is not None and not self._unscaled:
            self._scaler.unscale_(opt)
            self._unscaled = True

    def step(self, opt: Optimizer) -> None:
        """Step `opt` on true gradients, unless they overflowed, and adapt the scale."""
        if self._scaler is None:
            opt.step()
            return
        self.unscale(opt)
        self._scaler.step(opt)
        self._scaler.update()
        self._unscaled = False

    def keep(self, opt: Optimizer) -> None:
        """Leave out the step and keep the gradients, so that those of further losses add up.

        In fp16 they are scaled again, as those will be. Gradients that overflowed stay so, and the
        step that they end up in is left out.
        """
        if self._scaler is None or not self._unscaled:
            return
        self._scaler.update()
        self._unscaled = False
        with torch.no_grad():
            for group in opt.param_groups:
                for weight in group["params"]:
                    if weight.grad is not None:
                        weight.grad.copy_(self._scaler.scale(weight.grad))

    def state_dict(self) -> dict[str, Any]:
        """Return the scale and its growth, plain numbers, for a checkpoint."""
        kept = self._kept if self._scaler is None else self._scaler.state_dict()
        return {"kind": self.kind, "scaler": dict(kept)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with the scale of a checkpoint; one of another precision is left aside."""
        if state.get("kind") != self.kind:
            warnings.warn(
                f"The checkpoint was trained in {state.get('kind')} and goes on in {self.kind}"
                + ("; its loss scale is not used." if state.get("scaler") else "."),
                stacklevel=2,
            )
            return
        self._kept = dict(state.get("scaler", {}))
        if self._scaler is not None and self._kept:
            self._scaler.load_state_dict(self._kept)

    def __repr__(self) -> str:
        return f"Precision({self.kind!r})"


class PrecisionOf:
    """An attribute that holds a `Precision`, and can be set to the name of one."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, owner: Any, kind: type | None = None) -> Precision:
        # On the class, where it has no value, it is itself, as other descriptors are.
        found: Any = self if owner is None else vars(owner)[self._name]
        return found  # type: ignore[no-any-return]

    def __set__(self, owner: Any, value: Precision | Kind) -> None:
        vars(owner)[self._name] = value if isinstance(value, Precision) else Precision(value)


def _check_tf32(device: torch.device) -> None:
    place = None
    if device.type != "cuda":
        place = device.type
    elif torch.cuda.get_device_capability(device) < _TF32_CAPABILITY:
        place = torch.cuda.get_device_name(device)
    if place is not None:
        warnings.warn(
            f"tf32 is for CUDA GPUs of 2020 and later; on {place} it is computed in fp32.",
            stacklevel=5,
        )


# PyTorch has two interfaces to this setting; once a program has used the newer one, reading by
# the older one raises, and the compiler reads by the older one. So the older one is what is used.


def _tf32() -> tuple[Any, ...]:
    """Return whether matrix products and convolutions use TF32, or, as text, what they use."""
    try:
        return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    except RuntimeError:
        newer: Any = torch.backends.cudnn  # whose hints do not know `conv`
        return torch.backends.cuda.matmul.fp32_precision, newer.conv.fp32_precision


def _set_tf32(values: tuple[Any, ...]) -> None:
    products, convolutions = values
    if isinstance(products, str):
        newer: Any = torch.backends.cudnn
        torch.backends.cuda.matmul.fp32_precision = products
        newer.conv.fp32_precision = convolutions
    else:
        # Said again, it would turn a "medium" precision of the user's, which includes TF32, to it.
        if torch.backends.cuda.matmul.allow_tf32 != products:
            torch.backends.cuda.matmul.allow_tf32 = products
        torch.backends.cudnn.allow_tf32 = convolutions
