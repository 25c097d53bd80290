import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest

from presize.interpret.page.environment import page_environment, render_page
from presize.interpret.page.figures import COLOURS, figure_svg, new_figure, page_style


def _drawn(label: str = "train") -> Any:
    with page_style():
        figure = new_figure(5, 3)
        axes = figure.subplots()
        axes.plot([1.23456789, 2, 3], label=label)
        axes.axhline(2, color=COLOURS["bad"])
        axes.imshow(np.eye(3), extent=(0, 2, 1, 3))
        axes.set(xlabel="step", title="$5 and $6")
        axes.legend()
        return figure_svg(figure, f"A line for {label}")


def test_colours_are_those_of_the_page() -> None:
    text = str(_drawn())
    assert not re.findall(r"#[0-9a-f]{6}", text)
    assert "stroke: var(--series-1)" in text and "stroke: var(--bad)" in text
    assert "fill: var(--ink-soft)" in text


def test_a_figure_changes_nothing_else_of_the_page() -> None:
    text = str(_drawn())
    assert "<style" not in text and "font-family" not in text and "<metadata" not in text
    first, second = (set(re.findall(r' id="([^"]+)"', str(_drawn()))) for _ in range(2))
    assert first and not first & second
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    assert used <= set(re.findall(r' id="([^"]+)"', text))


def test_text_is_text_and_never_markup_or_mathematics() -> None:
    text = str(_drawn('<script>"x"\x07'))
    assert "<script" not in text and "&lt;script&gt;" in text
    assert ">$5 and $6<" in text
    assert 'aria-label="A line for &lt;script&gt;' in text and 'role="img"' in text


def test_the_users_style_is_neither_used_nor_changed() -> None:
    with mpl.rc_context({"lines.linewidth": 9, "svg.fonttype": "path"}):
        assert "stroke-width: 9" not in _drawn()
        assert mpl.rcParams["lines.linewidth"] == 9 and mpl.rcParams["svg.fonttype"] == "path"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_browser_draws_it_in_the_colours_of_its_scheme(
    scheme: str, page: Any, tmp_path: Path
) -> None:
    (tmp_path / "own.html").write_text(
        '{% extends "page.html" %}{% block body %}{{ a }}{{ b }}{% endblock %}', encoding="utf-8"
    )
    made = render_page(
        page_environment(tmp_path), "own.html", title="t", a=_drawn(), b=_drawn("other")
    )
    (tmp_path / "made.html").write_text(made, encoding="utf-8")
    page.emulate_media(color_scheme=scheme)
    page.goto((tmp_path / "made.html").as_uri())
    assert page.locator("svg").count() == 2
    line = page.locator('svg path[style*="--series-1"]').first
    colour = line.evaluate("e => getComputedStyle(e).stroke")
    assert colour == {"light": "rgb(33, 102, 196)", "dark": "rgb(116, 172, 255)"}[scheme]


@pytest.mark.parametrize("name", ["a\ufffeb", "a\x00b"], ids=["no character", "a control"])
def test_what_xml_cannot_hold_is_left_out(name: str) -> None:
    with page_style():
        figure = new_figure(3, 2)
        figure.subplots().set_title(name)
        made = str(figure_svg(figure, name + "\udce9"))
    assert r'aria-label="ab\udce9"' in made and ">ab<" in made
