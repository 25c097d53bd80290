"""Labels that fit: wrapped at natural places, shortened in the middle, measured in their font."""

import matplotlib as mpl
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.font_manager import FontProperties

from presize.core.lazy import plt
from presize.show import get_grid, subplots
from presize.show.titles import fit_titles, shortened, text_width, wrapped


@given(st.text(max_size=60), st.integers(1, 40))
def test_what_is_shortened_keeps_both_its_ends(text, n):
    made = shortened(text, n)
    assert len(made) <= n
    if len(text) <= n:
        assert made == text
    else:
        head, tail = made.split("…", 1) if text.count("…") == 0 else (made[:1], "")
        assert text.startswith(head) and text.endswith(tail)


def test_lines_end_where_words_do():
    assert wrapped("american_pit_bull_terrier", 13) == "american_pit_\nbull_terrier"
    assert wrapped("a few words", 6) == "a few\nwords"
    assert wrapped("short", 10) == "short"
    assert wrapped("abcdefghij", 4, lines=3) == "abcd\nefgh\nij"
    assert wrapped("63% abcdefghijkl", 8) == "63% abcd\nefghijkl"  # too long for a line anyway
    assert wrapped("", 4) == ""


LETTERS = st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1)


@given(LETTERS, st.integers(3, 30), st.integers(1, 4))
def test_no_line_is_too_wide_and_none_too_many(text, width, lines):
    made = wrapped(text, width, lines)
    assert made.count("\n") < lines
    assert all(len(line) <= width for line in made.split("\n"))
    if "…" not in made:
        assert made.replace("\n", "") == text


def test_what_has_no_room_loses_its_middle():
    made = wrapped("n01440764_tench_number_0001234.jpg", 12)
    assert made.startswith("n01440764_\n") and made.endswith("jpg") and "…" in made


def test_a_text_is_as_wide_as_it_is_drawn():
    figure = plt.figure(dpi=100)
    for text, size in (("american_bulldog", 12), ("iiii", 9), ("WWWW é", 7)):
        label = figure.text(0, 0, text, fontsize=size)
        drawn = label.get_window_extent().width * 72 / 100
        # Letters are drawn on whole pixels, which makes small ones wider.
        assert 0.85 * drawn <= text_width(text, FontProperties(size=size)) <= 1.02 * drawn


def sizes_of(titles, **options):
    grid = get_grid(len(titles), **options)
    for ax, title in zip(grid, titles, strict=True):
        ax.set_title(title)
    fit_titles(grid)
    return {ax.title.get_fontsize() for ax in grid}, [ax.get_title() for ax in grid]


def test_titles_that_fit_are_left_alone():
    usual = FontProperties(size=mpl.rcParams["axes.titlesize"]).get_size_in_points()
    assert sizes_of(["cat", "dog"]) == ({usual}, ["cat", "dog"])


def test_all_titles_of_a_grid_get_one_size_however_long():
    sizes, titles = sizes_of(["cat", "a name of very many words " * 6], nrows=1, figsize=(4, 2))
    assert len(sizes) == 1 and 8 <= sizes.pop() < 12
    assert titles[0] == "cat" and titles[1].count("\n") == 1 and "…" in titles[1]


def test_axes_without_titles_take_part_in_nothing():
    _, axes = subplots(1, 2)
    assert fit_titles(axes) == 1
    axes[0].set_title("two\nlines")
    assert fit_titles(axes) == 2 and axes[1].get_title() == ""


def test_bytes_of_a_name_that_are_no_text_are_escaped():
    _, axes = subplots(1, 1)
    axes[0].set_title("caf\udce9")
    fit_titles(axes)
    axes[0].figure.canvas.draw()
    assert axes[0].get_title() == r"caf\udce9"


def test_a_title_without_end_keeps_its_ends():
    _, axes = subplots(1, 1)
    axes[0].set_title("a" + "x" * 100_000 + "z")
    assert fit_titles(axes) == 2
    shown = axes[0].get_title()
    assert (shown[0], shown[-1]) == ("a", "z") and len(shown) < 200
