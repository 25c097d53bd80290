"""Lays a heat map over its picture."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import torch
from torch import Tensor, nn

from presize.core.errors import DataError, did_you_mean
from presize.core.foundation import to_np
from presize.inference import activation_for
from presize.interpret.kept_items import as_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from presize.interpret.heat_map import Method
    from presize.learner import Learner

_HIDES = 0.6  # of the picture, where the map is warmest: what lies below stays to be seen


def blend(
    picture: Any, heat: Any, *, cmap: str = "inferno", opacity: float = _HIDES
) -> PIL.Image.Image:
    """Return the picture in RGB, at its own size, with a heat map over it.

    Args:
        picture: a PIL picture, array or tensor; see `presize.core.pixels.as_pixels`.
        heat: [h, w] from 0 to 1, of any size.
        cmap: matplotlib's name of the colours. "inferno" gets evenly lighter, also for those who
            see few colours.
        opacity: the most that the map hides of the picture, 0 to 1; what is cold hides nothing.

    Raises:
        DataError: the picture is none, or the map is not [h, w].
    """
    import matplotlib as mpl

    below = as_picture(picture)
    values = np.asarray(to_np(heat), dtype=np.float32)
    if values.ndim != 2 or not values.size:
        raise DataError(f"A heat map over a picture is [h, w]; got {list(values.shape)}.")
    grown = PIL.Image.fromarray(np.nan_to_num(values)).resize(
        below.size, PIL.Image.Resampling.BILINEAR
    )
    warmth = np.asarray(grown).clip(0, 1)
    colours = mpl.colormaps[cmap](warmth)[..., :3]
    # The root shows half-warm places, too, which hide little of the picture otherwise.
    share = opacity * np.sqrt(warmth)[..., None]
    mixed = (1 - share) * (np.asarray(below) / 255) + share * colours
    return PIL.Image.fromarray((mixed * 255).round().astype(np.uint8))


def show_heat_map(
    source: "Learner | nn.Module",
    item: Any,
    target: Any = None,
    *,
    picture: Any = None,
    method: "Method" = "auto",
    layer: str | nn.Module | None = None,
    cmap: str = "inferno",
    opacity: float = _HIDES,
    figsize: tuple[float, float] | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Show a picture with what speaks in it for a class; return the axes.

    Args:
        source: a learner, or a model that gives scores.
        item: for a learner a file, a picture, or whatever `learn.predict` takes; for a model a
            tensor [C, H, W] as the model sees it.
        target: the class, by its name or number; None takes the predicted one.
        picture: what is shown below the map; None shows the item.
        method: see `heat_maps`.
        layer: see `heat_maps`.
        cmap: see `blend`.
        opacity: see `blend`.
        figsize: (width, height) of a new figure in inches.
        ax: where to draw; a new figure if None.

    Raises:
        DataError: an unknown class, or an item that is no picture.
        TrainingError: see `heat_maps`.
    """
    from presize.show import show_image

    vocab: Sequence[Any] | None = None
    if isinstance(source, nn.Module):
        model, inputs, below = source, _one_input(item), item
    else:
        model, vocab = source.model, vocab_of(source)
        inputs, below = _as_seen(source, item)
    number, name, chance = target_of(source, model, inputs, target, vocab)
    from presize.interpret.heat_map import heat_maps  # four modules, for those who look

    heat = heat_maps(model, inputs, torch.tensor([number]), method=method, layer=layer)[0]
    mixed = blend(below if picture is None else picture, heat, cmap=cmap, opacity=opacity)
    return show_image(mixed, ax, figsize, title=name if chance is None else f"{name} {chance:.2f}")


def _one_input(item: Any) -> Tensor:
    if not isinstance(item, Tensor) or item.ndim != 3:
        got = list(item.shape) if isinstance(item, Tensor) else type(item).__name__
        raise DataError(
            f"A model by itself is shown a tensor [C, H, W] as it sees it, but got {got}. With a "
            "learner in its place, files and pictures go, too."
        )
    return item.detach().as_subclass(Tensor)[None]


def _as_seen(learn: "Learner", item: Any) -> tuple[Tensor, Any]:
    """Return an item as the model sees it, [1, C, H, W], and as it is shown."""
    dl = learn.dls.test_dl([item], num_workers=0)
    learn.place_model()
    batch = next(iter(dl))
    first = batch[0] if isinstance(batch, tuple | list) else batch
    shown = dl.decode_batch((first,), max_n=1)[0]
    return first.as_subclass(Tensor), shown[0] if isinstance(shown, tuple) else shown


def vocab_of(learn: "Learner") -> Sequence[Any] | None:
    """Return the names of a learner's classes; None if it has none."""
    vocab = getattr(learn.dls, "vocab", None)
    return None if vocab is None else list(vocab)


def target_of(
    source: Any, model: nn.Module, inputs: Tensor, target: Any, vocab: Sequence[Any] | None
) -> tuple[int, str, float | None]:
    """Return a class of a model: its number, its name and, of a learner, its probability.

    Args:
        source: a learner, or the model itself.
        model: gives scores.
        inputs: one picture as the model sees it, [1, C, H, W].
        target: the class, by its name or number; None takes the predicted one.
        vocab: the names of the classes, if there are any.

    Raises:
        DataError: there is no such class.
    """
    from presize.interpret.heat_map import plainly

    with plainly(model):
        like = next(model.parameters(), inputs)
        scores = model(inputs.to(like.device, like.dtype))
    n = scores.shape[-1] if isinstance(scores, Tensor) and scores.ndim == 2 else 0
    if n == 1 and vocab is not None and len(vocab) == 2:  # the output is of the second class
        vocab = vocab[1:]
        if target is not None and target not in (vocab[0], 1):
            raise DataError(
                f"The model has one output, which speaks for {vocab[0]!r}: what speaks for "
                f"{target!r} cannot be shown. Leave target= out."
            )
        target = None
    if target is None:
        number = int(scores[0].argmax()) if n else 0
    elif vocab is not None and target in vocab:
        number = list(vocab).index(target)
    elif isinstance(target, int | np.integer | Tensor) and not isinstance(target, bool):
        number = int(target)
    else:
        names = [str(name) for name in vocab or ()]
        raise DataError(f"There is no class {target!r}.{did_you_mean(str(target), names)}")
    if not 0 <= number < max(n, 1):
        raise DataError(f"The model has the classes 0 to {n - 1}, but got {number}.")
    name = f"class {number}" if vocab is None or len(vocab) != n else str(vocab[number])
    if isinstance(source, nn.Module) or not n:
        return number, name, None
    return number, name, float(activation_for(source)(scores)[0][number])
