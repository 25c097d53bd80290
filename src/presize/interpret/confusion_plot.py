"""Draws the confusion matrix: legible for two classes, and for a thousand."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from presize.core.lazy import plt
from presize.interpret.confusion_order import clustered, mixed_up, most_mixed_classes, row_shares
from presize.show.colours import contrast, palette
from presize.show.titles import drawable, shortened, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Counts = npt.NDArray[np.int64]
Shares = npt.NDArray[np.float64]

# Beyond so many classes: they are ordered anew; not each has its name; cells are marks.
_ORDERED, _NAMED, _CELLS = 40, 100, 250
_NAME = 30  # characters of a class beside its row
_SIDE = 11.0  # inches of the largest matrix
# Of white text on them: a contrast of 6.5 and 5.4. They are laid over the figure, light or dark, as
# far as they are opaque.
_HIT, _ERROR = "#1f5fa8", "#c4391d"


def plot_confusion(
    counts: Counts,
    vocab: Sequence[Any],
    *,
    normalize: bool = False,
    k: int | None = None,
    cluster: bool | None = None,
    title: str | None = None,
    cmap: str | None = None,
    norm_dec: int = 2,
    plot_txt: bool = True,
    figsize: tuple[float, float] | None = None,
    dpi: float | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw the matrix, actual classes down and predicted ones across; return the axes.

    Right answers are blue, errors red on a scale of their own, since they would not be seen beside
    the others. Beyond 100 classes groups are named, not classes; give `k` to see names.

    Args:
        counts: how often class i (row) was taken for class j (column), [n, n].
        vocab: the names of the classes.
        normalize: shares of each row in place of counts.
        k: draw only the classes of the pairs that are mixed up most, so many at most.
        cluster: put classes side by side that are taken for each other, those with the most errors
            first; None does so beyond 40 classes.
        title: written above.
        cmap: matplotlib's name for the colours, for right answers and errors alike.
        norm_dec: decimals of shares.
        plot_txt: write into the cells, where there is room.
        figsize: (width, height) of a new figure in inches.
        dpi: pixels an inch of a new figure.
        ax: axes to draw on; new ones if None.

    Raises:
        ValueError: the counts are not square, there is not a name for each class, or `k` is not
            2 or more.
    """
    counts = np.asarray(counts)
    n = len(vocab)
    if counts.shape != (n, n) or not n:
        raise ValueError(
            f"plot_confusion needs counts [n, n] for n names of classes; got "
            f"{list(counts.shape)} and {n} name(s)."
        )
    order, groups = _chosen(counts, k, cluster)
    shares = row_shares(counts)
    names = [shortened(drawable(vocab[i]), _NAME) for i in order]
    missing = [not counts[i].any() for i in order]
    part = np.ix_(order, order)
    values = (shares if normalize else counts.astype(float))[part]
    if ax is None:
        size = figsize or _figure_size(names)
        ax = plt.subplots(figsize=size, dpi=dpi, layout="constrained")[1]
    _draw_cells(ax, values, cmap)
    ax.set(xlabel="Predicted", ylabel="Actual", xlim=(-0.5, len(order) - 0.5))
    ax.set_ylim(len(order) - 0.5, -0.5)
    if title is None:
        title = "Confusion matrix"
        if len(order) < n:
            title = f"The {len(order)} of {n:,} classes that are mixed up most"
            if not mixed_up(counts).any():
                title = f"The first {len(order)} of {n:,} classes; none are mixed up"
        elif n > _NAMED:
            title = f"{n:,} classes, side by side what is mixed up; errors are red"
    ax.set_title(title)
    if len(order) > _NAMED:
        _name_groups(ax, [[drawable(vocab[i]) for i in group] for group in groups])
    else:
        _name_classes(ax, names, missing)
    if plot_txt and len(order) <= _NAMED:
        _write_cells(ax, values, norm_dec if normalize else None)
    return ax


def _chosen(
    counts: Counts, k: int | None, cluster: bool | None
) -> tuple[list[int], list[list[int]]]:
    """Return the classes to draw in their order, and the groups that they form."""
    if k is not None and k < 2:
        raise ValueError(f"plot_confusion draws the k classes mixed up most, 2 or more; got k={k}.")
    kept = list(range(len(counts)))
    if k is not None and k < len(counts):
        kept = most_mixed_classes(counts, k) or kept[:k]  # where there is no error: the first
    if not (len(kept) > _ORDERED if cluster is None else cluster):
        return kept, [[i] for i in kept]
    groups = [[kept[i] for i in group] for group in clustered(counts[np.ix_(kept, kept)])]
    return [i for group in groups for i in group], groups


def _font_size(n: int) -> float:
    return 10.0 if n <= 20 else 9.0 if n <= _ORDERED else 7.5


def _figure_size(names: Sequence[str]) -> tuple[float, float]:
    """Return inches with room for the matrix and for the names beside and below it."""
    n = len(names)
    if n > _NAMED:
        return _SIDE + 3, _SIDE + 0.5
    side = min(max(2.6, n * (0.5 if n <= 12 else 0.28)), _SIDE)
    longest = _longest(names)
    flat = _lie_flat(names, side / n)
    return side + longest + 0.6, side + (0.2 if flat else longest) + 0.9


def _lie_flat(names: Sequence[str], cell: float) -> bool:
    """Return whether all names have room side by side in cells so many inches wide."""
    return _longest(names) < 0.92 * cell


def _longest(names: Sequence[str]) -> float:
    """Return the width of the longest name in inches."""
    from matplotlib.font_manager import FontProperties

    font = FontProperties(size=_font_size(len(names)))
    return max(text_width(name, font) for name in names) / 72


def _draw_cells(ax: "Axes", values: Shares, cmap: str | None) -> None:
    """Draw the matrix; where its cells are too small to be seen, a mark for each error."""
    if cmap is not None:
        ax.imshow(values, interpolation="nearest", cmap=cmap, vmin=0)
        return
    if len(values) <= _CELLS:
        ax.imshow(_coloured(values), interpolation="nearest")
        return
    from matplotlib.colors import to_rgba

    strength = _strength(values)
    wrong = ~np.eye(len(values), dtype=bool)
    for where, colour, size in ((~wrong, _HIT, 4.0), (wrong & (values > 0), _ERROR, 5.0)):
        rows, columns = np.nonzero(where & (values > 0))
        shown = np.full((len(rows), 4), to_rgba(colour))
        shown[:, 3] = strength[rows, columns].clip(0.35)
        ax.scatter(columns, rows, s=size, c=shown, marker="s", linewidths=0)
    ax.set_aspect("equal")


def _strength(values: Shares) -> Shares:
    """Return how strongly each cell is coloured, 0..1; errors by the root of their share."""
    diagonal = np.eye(len(values), dtype=bool)
    hits, errors = np.where(diagonal, values, 0), np.where(diagonal, 0, values)
    errors = 0.85 * np.sqrt(errors / max(errors.max(), 1e-12))
    return np.asarray(hits / max(hits.max(), 1e-12) + errors)


def _coloured(values: Shares) -> npt.NDArray[np.float64]:
    """Return the cells as colours [n, n, 4]: empty ones let the figure through."""
    from matplotlib.colors import to_rgb

    diagonal = np.eye(len(values), dtype=bool)[..., None]
    colours = np.where(diagonal, to_rgb(_HIT), to_rgb(_ERROR))
    return np.concatenate([colours, _strength(values)[..., None]], axis=-1)


def _name_classes(ax: "Axes", names: Sequence[str], missing: Sequence[bool]) -> None:
    places, size = range(len(names)), _font_size(len(names))
    cell = _cell_points(ax, len(names)) / 72
    size = min(size, max(cell * 72 * 0.95, 5.0))
    flat = _lie_flat(names, cell)
    style: dict[str, Any] = {"fontsize": size, "parse_math": False}
    ax.set_xticks(places, names, rotation=0 if flat else 90, **style)
    actual = [f"{n} (no pictures)" if no else n for n, no in zip(names, missing, strict=True)]
    ax.set_yticks(places, actual, **style)
    ax.tick_params(length=0 if len(names) > _ORDERED else 3)


def _cell_points(ax: "Axes", n: int) -> float:
    """Return the side of a cell in points, as far as it is known before the figure is laid out."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    width, height = figure.get_size_inches() * 72
    place = ax.get_position(original=True)
    return float(min(place.width * width, place.height * height)) / n


def _write_cells(ax: "Axes", values: Shares, decimals: int | None) -> None:
    """Write what each cell holds, if it has room; zeros only where there are few classes."""
    texts = [["0" if v == 0 else f"{v:.{decimals or 0}f}" for v in row] for row in values]
    if decimals is not None:
        texts = [[f"{v:.{decimals}f}" for v in row] for row in values]
    n = len(values)
    font = ax.title.get_fontproperties().copy()
    font.set_size(9)
    font.set_weight("normal")
    widest = max(text_width(text, font) for row in texts for text in set(row))
    cell = _cell_points(ax, n)
    size = min(9.0, 9.0 * 0.85 * cell / widest, 0.8 * cell)
    if size < 4.5:
        return
    ink, faint = palette(ax).ink, palette(ax).faint
    colours = _behind(ax)
    for (i, j), value in np.ndenumerate(values):
        if value == 0 and n > 12:  # zeros are the rule there
            continue
        colour = max((ink, "white", "black"), key=lambda c: contrast(c, colours[i, j]))
        if value == 0 and contrast(faint, colours[i, j]) > 4.4:
            colour = faint
        ax.text(j, i, texts[i][j], ha="center", va="center", color=colour, fontsize=size)


def _behind(ax: "Axes") -> npt.NDArray[np.float64]:
    """Return the colours of the cells as they are seen, [n, n, 3]."""
    image = ax.images[-1]
    numbers: Any = image.get_array()
    cells = np.asarray(image.to_rgba(numbers))
    below = np.zeros(3) if palette(ax).dark else np.ones(3)
    opaque = cells[..., 3:]
    return np.asarray(cells[..., :3] * opaque + below * (1 - opaque))


def _name_groups(ax: "Axes", groups: Sequence[Sequence[str]]) -> None:
    """Frame the groups of classes and name those that have room, the most mixed up first."""
    from matplotlib.patches import Rectangle

    n = sum(map(len, groups))
    least = 9.0 / _cell_points(ax, n)  # rows from one name to the next
    places: list[float] = []
    names: list[str] = []
    start = 0
    for group in groups:
        middle, length = start + (len(group) - 1) / 2, len(group)
        if length > 1:
            frame = Rectangle((start - 0.5, start - 0.5), length, length, fill=False)
            frame.set(edgecolor=palette(ax).faint, linewidth=0.8)
            ax.add_patch(frame)
            if not places or middle - places[-1] >= least:
                more = f" + {length - 2}" if length > 2 else ""
                places.append(middle)
                names.append(f"{shortened(group[0], 20)}, {shortened(group[1], 20)}{more}")
        start += length
    ax.set_yticks(places, names, fontsize=7.5, parse_math=False)
    ax.set_xticks([])
    ax.set_xlabel("Predicted, in the same order")
