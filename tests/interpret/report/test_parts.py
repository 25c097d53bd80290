"""The size of the page whatever is in it, and the figures that are worked out."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

from presize.interpret.multilabel_counts import PrecisionRecall
from presize.interpret.report.confusion import _rows
from presize.interpret.report.curves import loss_figure, metric_figures, schedule_figure
from presize.interpret.report.overview import Head, wilson
from presize.interpret.report.parts import Album, Card, Cell, Column, Section, Table
from presize.interpret.report.rendering import rendered
from presize.interpret.report.sureness import _figure, curves_section
from presize.interpret.report.training import _lines, _table
from presize.interpret.report.wording import duration, percent
from presize.interpret.report.worst import ARROW
from presize.interpret.report.write import MOST_BYTES, small_enough
from presize.train.training_record import FitRecord

HEAD = Head("title", "subtitle", (), ())


def test_the_page_is_small_whatever_is_in_it() -> None:
    rng = np.random.default_rng(0)
    album = Album()
    noise = Image.fromarray(rng.integers(0, 256, (300, 300, 3), np.uint8))
    card = [album.add(noise, "<>" * 500) for _ in range(8)]
    name = "<&>'\"" * 2000
    cards = [Card([card[i % 8]], [("title", name), ("file", name)]) for i in range(300)]
    rows = [[Cell(name, name), *[Cell("1", 1.0, 0.5)] * 6] for _ in range(2000)]
    columns = [Column(name, number=False), *[Column(name)] * 6]
    table = Table(caption=name, columns=columns, rows=rows, sortable=True)
    sections = [
        Section(key="classes", title="Classes", template="classes.html", values={"table": table}),
        Section(
            key="losses", title="Losses", template="losses.html",
            values={"cards": cards, "heat_maps": False, "why_no_heat_maps": ""},
        ),
    ]  # fmt: skip
    page = small_enough(sections, HEAD)
    assert 20_000 < len(page) < MOST_BYTES
    assert b"rows are left out" in page


def test_pictures_go_from_the_last_one_and_leave_a_word() -> None:
    album = Album()
    cards = [Card([album.add(Image.new("RGB", (9, 9)), "a")], []) for _ in range(5)]
    values = {"cards": cards, "heat_maps": False, "why_no_heat_maps": ""}
    section = Section(key="a", title="a", template="losses.html", values=values)
    page = rendered([section], HEAD, most_pictures=3, most_rows=9)
    assert page.count("<img") == 3 and page.count("left out, to keep the file small") == 2


def test_drawings_are_enlarged_and_photos_are_not() -> None:
    small = Album().add(Image.new("L", (8, 8)), "digit")
    photo = Album().add(Image.new("RGB", (640, 480)), "photo")
    assert (small.width, small.height, small.drawing) == (120, 120, True)
    assert (photo.width, photo.height, photo.drawing) == (160, 120, False)


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    # By statsmodels' proportion_confint(method="wilson").
    [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (333, 359, 0.8960, 0.9501)],
)
def test_the_interval_of_accuracy_is_wilsons(right: int, n: int, low: float, high: float) -> None:
    assert wilson(right, n) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.6, "9.6 s"), (59.7, "1 min"), (125, "2 min 5 s"), (7260, "2 h 1 min")],
)
def test_times_in_words(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_shares_are_not_broken_over_lines() -> None:
    assert percent(0.9276) == "92.8\xa0%" and percent(1.0, 0) == "100\xa0%"


def test_errors_are_coloured_up_to_the_worst_and_empty_rows_are_not() -> None:
    counts = np.array([[8, 2, 0], [0, 5, 5], [0, 0, 0]])
    rows = _rows(counts, np.arange(3))
    assert [cell["strength"] for cell in rows[0]] == [0.8, 0.34, 0.0]
    assert [cell["strength"] for cell in rows[1]] == [0.0, 0.5, 0.85]
    assert [cell["percent"] for cell in rows[2]] == ["\u2013"] * 3


def _fit(**other: object) -> FitRecord:
    values: dict[str, object] = {
        "method": "fit", "trained": "all layers", "n_epoch": 1, "n_steps": 10,
        "names": ["epoch", "train_loss", "valid_loss", "accuracy", "time"],
        "rows": [[0, 0.5, 0.4, 0.9, "00:01"]], "epoch_steps": [10],
        "loss_steps": list(range(10)), "losses": [1.0] * 10,
        "hyper": {"lr": [0.1, 0.2]}, "hyper_steps": [0, 9], "seconds": 1.0,
    }  # fmt: skip
    return FitRecord(**(values | other))  # type: ignore[arg-type]


def test_curves_of_several_fits_stand_end_to_end() -> None:
    label = str(loss_figure([_fit(), _fit(rows=[[0, 0.3, 0.2, 0.95, "00:01"]])]))
    assert 'aria-label="Loss over 20 steps, at the end 0.2 in validation"' in label
    assert len(metric_figures([_fit(), _fit()])) == 1
    assert 'aria-label="Schedule of lr over the steps"' in str(schedule_figure([_fit()]))


@pytest.mark.parametrize(
    "other",
    [
        {"losses": [None] * 10, "rows": [[0, None, None, None, "00:01"]]},
        {"losses": [], "loss_steps": [], "rows": [], "epoch_steps": [], "hyper": {}},
        {"n_steps": 1, "losses": [1.0], "loss_steps": [0], "epoch_steps": [1]},
        {"rows": [[0, 0.5]]},
        {"names": ["epoch", "$<b>_x"], "rows": [[0, 1.0]]},
    ],
    ids=["nothing finite", "nothing at all", "one step", "a cancelled epoch", "odd names"],
)
def test_odd_records_are_drawn_as_far_as_they_go(other: dict[str, object]) -> None:
    fits = [_fit(**other)]
    drawn = [loss_figure(fits), *metric_figures(fits), schedule_figure(fits)]
    assert "<b>" not in "".join(map(str, drawn))


_CONTRAST = """cell => {
  const linear = c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = text => {
    const found = text.match(/[\\d.]+/g).slice(0, 3).map(Number);
    const [r, g, b] = (text.startsWith("color") ? found : found.map(c => c / 255)).map(linear);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const style = getComputedStyle(cell);
  const pair = [light(style.color), light(style.backgroundColor)].sort((a, b) => b - a);
  return (pair[0] + 0.05) / (pair[1] + 0.05);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_figures_are_legible_on_cells_of_any_strength(
    scheme: str, page: Any, tmp_path: Path
) -> None:
    cells = [
        [
            {"count": 1, "percent": "1", "right": right, "strength": strength / 20}
            for strength in range(21)
        ]
        for right in (True, False)
    ]
    values = {"names": [str(i) for i in range(21)], "rows": cells, "shown": 21, "total": 21}
    section = Section(key="a", title="a", template="confusion.html", values=values)
    made = rendered([section], HEAD, most_pictures=1, most_rows=1)
    (tmp_path / "page.html").write_text(made, encoding="utf-8")
    page.emulate_media(color_scheme=scheme)
    page.goto((tmp_path / "page.html").as_uri())
    found = page.locator(".matrix td.right, .matrix td.wrong")
    contrasts = [found.nth(i).evaluate(_CONTRAST) for i in range(42)]
    assert found.count() == 42 and min(contrasts) >= 3.5


def _opened(section: Section, page: Any, tmp_path: Path) -> None:
    made = rendered([section], HEAD, most_pictures=9, most_rows=99)
    (tmp_path / "page.html").write_text(made, encoding="utf-8")
    page.goto((tmp_path / "page.html").as_uri())


def test_a_table_sorts_what_is_endless_and_finds_what_is_not_shown(
    page: Any, tmp_path: Path
) -> None:
    losses: list[float | None] = [2.0, math.inf, 1.0, None, math.inf, 0.5]
    rows = [[Cell(f"c{i}", f"c{i}"), Cell(str(v), v)] for i, v in enumerate(losses)]
    long = "a" * 60 + "needle" + "b" * 60
    rows += [[Cell(long, long), Cell("3", 3.0)]]
    rows += [[Cell(f"c{i}", f"c{i}"), Cell("4", 4.0)] for i in (10, 9, 12, 11, 8, 7)]
    columns = [Column("class", number=False), Column("loss")]
    table = Table(caption="t", columns=columns, rows=rows, sortable=True)
    section = Section(key="a", title="a", template="classes.html", values={"table": table})
    _opened(section, page, tmp_path)
    shown = page.locator("tbody tr")
    page.get_by_role("button", name="loss").click()
    figures = page.locator("tbody td").all_inner_texts()
    assert figures == ["inf", "inf", *["4"] * 6, "3", "2.0", "1.0", "0.5", "None"]
    page.get_by_role("button", name="class").click()
    assert page.locator("tbody th").all_inner_texts()[-2:] == ["c11", "c12"]
    page.get_by_label("Find").fill("NEEDLE")
    assert shown.locator("visible=true").count() == 1


def test_names_from_right_to_left_stay_at_their_side_of_the_arrow(
    page: Any, tmp_path: Path
) -> None:
    given, likely = "\u05d7\u05ea\u05d5\u05dc", "\u05db\u05dc\u05d1"
    card = Card([None], [("title", f"{given} {ARROW} {likely}")])
    values = {"cards": [card], "heat_maps": False, "why_no_heat_maps": ""}
    section = Section(key="a", title="a", template="losses.html", values=values)
    _opened(section, page, tmp_path)
    left = page.locator(".line.title").evaluate(
        """line => {
          const text = line.firstChild, range = document.createRange();
          const at = i => {
            range.setStart(text, i); range.setEnd(text, i + 1);
            return range.getBoundingClientRect().left;
          };
          return [at(0), at(text.length - 1)];
        }"""
    )
    assert left[0] < left[1]


def test_a_record_with_more_cells_than_heads_is_shown() -> None:
    assert _table(_fit(names=[], rows=[[0, 0.5]])).rows == [[]]
    assert len(_table(_fit(names=["epoch"], rows=[[0, 0.5]])).rows[0]) == 1


def test_lines_are_named_that_are_there() -> None:
    assert _lines([_fit()]) == "Thin lines are the ends of epochs."
    assert "another fit began" in _lines([_fit(), _fit()])
    assert _lines([_fit(epoch_steps=list(range(1, 60)))]) == ""


def test_a_time_that_is_no_number_is_told() -> None:
    assert duration(math.nan) == duration(math.inf) == "an unknown time"


def test_long_names_of_metrics_do_not_leave_their_figure() -> None:
    name = "m" * 500
    figures = metric_figures([_fit(names=["epoch", name], rows=[[0, 1.0]])])
    figures += [schedule_figure([_fit(hyper={name: [0.1, 0.2]})])]  # type: ignore[list-item]
    assert all(name[:40] not in str(figure) for figure in figures)


def test_a_single_step_is_drawn_as_a_point() -> None:
    one = _fit(n_steps=1, losses=[1.0], loss_steps=[0], epoch_steps=[1], rows=[])
    assert "<use" in str(loss_figure([one])).split("clip-path", 1)[1]


def test_many_labels_have_a_figure_of_a_few_curves() -> None:
    rng = np.random.default_rng(0)
    n, t = 500, 1023
    recall = np.linspace(1, 0, t)[None].repeat(n, 0)
    precision = rng.uniform(0.2, 1, (n, t))
    areas = np.r_[np.nan, rng.uniform(0.3, 1, n - 2), 0.1]
    found = PrecisionRecall(np.linspace(0, 1, t), precision, recall, areas)
    interp = SimpleNamespace(precision_recall=lambda: found)
    source: Any = SimpleNamespace(interp=interp, names=[f"label {i}" for i in range(n)])
    section = curves_section(source)
    figure = section.values["figure"]
    assert len(figure) < 1_500_000 and "label 499 0.10" in figure
    assert f"500 labels, mean average precision {np.nanmean(areas):.3f}" in figure
    assert "labels with the lowest" in rendered([section], HEAD, most_pictures=1, most_rows=1)


def test_the_bars_of_answers_stand_side_by_side() -> None:
    middle = np.array([0.065, 0.068])  # close by, in two bins
    drawn: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Axes, "bar", lambda self, x, *args, **options: drawn.append(x))
        _figure(middle, np.array([0.0, 1.0]), np.array([3.0, 4.0]))
    assert drawn[0] == pytest.approx([0.5 / 15, 1.5 / 15])
