"""Attention rollout: how far each position of a picture flows into what a transformer reads.

Abnar, Zuidema, "Quantifying Attention Flow in Transformers", arXiv:2005.00928. With A_l the
attention of layer l, averaged over heads, and half of each token passed on beside it,

    R = product over l of (A_l + 1) / 2.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from presize.models.feature_maps import MapLayers

_SOFTMAX = (torch.softmax, F.softmax, Tensor.softmax)


def attends(model: nn.Module, found: MapLayers, picture: Tensor) -> bool:
    """Return whether the model has attention between all of the tokens that its answer is made of.

    It looks at one picture [1, C, H, W].
    """
    return found.last.n_tokens > 0 and _flow(model, found, picture) is not None


def rollout(model: nn.Module, found: MapLayers, x: Tensor, classes: Tensor | None = None) -> Tensor:
    """Return what is read of each position of pictures: float32 [m, h, w], the least of each at 0.

    The model is one that `attends`. They are the same for all classes.
    """
    flow, layout = _flow(model, found, x), found.last.layout
    assert flow is not None
    if found.read is not None and found.read.any():
        flow = flow[:, found.read]
    maps = flow.mean(1)[:, layout.n_prefix :].reshape(-1, *layout.grid)
    return maps - maps.amin((1, 2), keepdim=True)


def _flow(model: nn.Module, found: MapLayers, x: Tensor) -> Tensor | None:
    with torch.no_grad(), _Attention(len(x), found.last.n_tokens) as seen:
        model(x)
    flow: Tensor | None = seen.flow
    return flow


class _Attention(TorchFunctionMode):
    """Multiplies the attentions [m, heads, n, n] of all layers called inside a `with` block.

    Fused attention gives no weights, so they are computed from its queries and keys beside it.
    """

    def __init__(self, m: int, n: int) -> None:
        super().__init__()
        self.m, self.n = m, n
        self.flow: Any = None

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options = dict(kwargs or {})
        if func is F.multi_head_attention_forward:
            return self._multi_head(args, options)
        made = func(*args, **options)
        if func is F.scaled_dot_product_attention:
            self._note(_weights(*args, **options))
        elif func in _SOFTMAX:
            self._note(made)
        return made

    def _multi_head(self, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        wanted = options.get("need_weights", True)
        averaged = options.get("average_attn_weights", True)
        options |= {"need_weights": True, "average_attn_weights": False}
        made, weights = F.multi_head_attention_forward(*args, **options)
        assert weights is not None
        self._note(weights)
        if not wanted:
            return made, None
        return made, weights.mean(-3) if averaged else weights

    def _note(self, weights: Any) -> None:
        if not isinstance(weights, Tensor) or weights.ndim != 4:
            return
        if len(weights) != self.m or tuple(weights.shape[2:]) != (self.n, self.n):
            return
        flow = weights.float().mean(1)
        flow = (flow + torch.eye(self.n, device=flow.device)) / 2
        self.flow = flow if self.flow is None else flow @ self.flow


def _weights(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor | None:
    """Return the weights [m, heads, n, n] of `scaled_dot_product_attention`, called so."""
    if query.ndim != 4 or query.shape[2] != key.shape[2]:
        return None
    if enable_gqa:
        key = key.repeat_interleave(query.shape[1] // key.shape[1], 1)
    factor = query.shape[3] ** -0.5 if scale is None else scale
    scores = query.float() @ key.float().transpose(2, 3) * factor
    if is_causal:
        attn_mask = torch.ones_like(scores, dtype=torch.bool).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, -torch.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    return scores.softmax(-1)
