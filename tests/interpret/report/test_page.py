"""The report in a real browser: what is in it, how it is used, how it looks."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sklearn.metrics import confusion_matrix

from presize.interpret.report.worst import ARROW
from presize.interpret.report.write import write_report
from presize.learner import Learner

from .conftest import LABEL, SCRIPT

SECTIONS = [
    "Data", "Training", "Confusion matrix", "Classes", "Most confused", "Largest losses",
    "Confidence", "Suspected label errors", "Duplicates and faults", "Repeat this run",
]  # fmt: skip


@pytest.fixture(scope="module")
def written(trained: Learner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "report.html"
    with trained.no_bar():
        return write_report(trained, out, command="presize train pictures --epochs 3")


@pytest.fixture
def opened(written: Path, page: Any) -> Any:
    page.goto(written.as_uri())
    return page


def test_all_sections_are_there_and_the_links_lead_to_them(opened: Any) -> None:
    assert opened.locator("main h2").all_inner_texts() == SECTIONS
    assert opened.locator("nav a").all_inner_texts() == SECTIONS
    assert opened.locator("main .missing").count() == 0
    assert opened.evaluate(
        "[...document.querySelectorAll('nav a')].every(a => document.querySelector(a.hash))"
    )
    opened.get_by_role("link", name="Confidence").click()
    assert opened.url.endswith("#confidence")


def test_it_is_one_file_that_asks_for_no_other(written: Path, opened: Any) -> None:
    text = written.read_text(encoding="utf-8")
    assert len(text.encode()) < 5_000_000
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", text)
    assert "@import" not in text and "url(" not in text.partition("</style>")[0]
    assert list(written.parent.iterdir()) == [written]


def test_names_are_shown_and_never_run(opened: Any) -> None:
    assert opened.title() == "pictures: Sequential"
    assert opened.locator("#classes tbody th", has_text=LABEL).count() == 1
    for section in ("losses", "labels"):
        file = opened.locator(f"#{section} .file[title]").first
        assert file.get_attribute("title") == f"valid/red/{SCRIPT}.png"
        assert file.inner_text().startswith("valid/red/<img src=")


def test_pictures_are_there_and_described(opened: Any) -> None:
    images = opened.locator("img")
    assert images.count() > 30
    assert images.evaluate_all("all => all.every(i => i.complete && i.naturalWidth > 0 && i.alt)")
    assert opened.locator("#losses .card").first.locator("img").count() == 2  # and its heat map
    assert opened.locator("svg[role=img]").evaluate_all("all => all.every(s => s.ariaLabel)")


def test_it_can_be_walked_through_without_seeing_it(opened: Any) -> None:
    levels = opened.locator("h1, h2, h3").evaluate_all("all => all.map(h => Number(h.tagName[1]))")
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))
    for landmark in ("banner", "navigation", "main", "contentinfo"):
        assert opened.get_by_role(landmark).count() == 1, landmark
    ids = opened.locator("[id]").evaluate_all("all => all.map(e => e.id)")
    assert len(ids) == len(set(ids))
    assert opened.locator("html").get_attribute("lang") == "en"
    opened.keyboard.press("Tab")
    assert opened.evaluate("document.activeElement.textContent") == "Skip to the report"


def _column(table: Any, number: int) -> list[str]:
    return table.locator(f"tbody tr > :nth-child({number})").all_inner_texts()


def test_a_head_sorts_the_table_by_mouse_and_by_key(opened: Any) -> None:
    table = opened.locator("#classes-table")
    assert table.locator("[aria-sort]").all_inner_texts() == ["F1"]
    table.get_by_role("button", name="recall").click()
    shares = [float(text) for text in _column(table, 4)]
    assert shares == sorted(shares, reverse=True)
    head = table.locator("th", has=opened.get_by_role("button", name="recall"))
    assert head.get_attribute("aria-sort") == "descending"
    assert table.locator("[aria-sort]").count() == 1
    table.get_by_role("button", name="recall").focus()
    opened.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert [float(text) for text in _column(table, 4)] == sorted(shares)
    table.get_by_role("button", name="class").click()
    names = _column(table, 1)
    assert names == [LABEL, "blue", "red"]


def test_the_matrix_is_scikit_learns_in_counts_or_shares(opened: Any, trained: Learner) -> None:
    _, targets, decoded = trained.get_preds(with_decoded=True)
    wanted = confusion_matrix(targets, decoded, labels=[0, 1, 2])
    rows = opened.locator("#confusion-table tbody tr")
    shown = [rows.nth(i).locator("td").all_inner_texts() for i in range(3)]
    assert [[int(text or 0) for text in row] for row in shown] == wanted.tolist()
    button = opened.get_by_role("button", name="Show shares")
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    share = wanted[0, 0] / wanted[0].sum()
    assert rows.nth(0).locator("td").nth(0).inner_text() == f"{share:.0%}".replace("%", "\xa0%")


def test_what_was_found_is_told(opened: Any) -> None:
    check = opened.locator("#check").inner_text()
    assert "1 picture of 26 in valid is in train, too: 1 identical." in check
    assert {"train/red/3.png", "valid/red/copy.png"} <= set(
        opened.locator("#check .file").all_inner_texts()
    )
    assert opened.locator("#labels .title").first.inner_text() == f"red {ARROW} blue"
    assert "presize train pictures --epochs 3" in opened.locator("#repeat pre").inner_text()
    data = opened.locator("#data").inner_text()
    assert "48 items" in data and "26 items" in data
    epochs = opened.locator("#training tbody tr")
    assert epochs.count() == 1 + 8


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_follows_the_colours_of_the_system(scheme: str, opened: Any) -> None:
    opened.emulate_media(color_scheme=scheme)
    colours = opened.locator("body").evaluate(
        "e => [getComputedStyle(e).backgroundColor, getComputedStyle(e).color]"
    )
    brightness = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in colours]
    assert (brightness[0] > brightness[1]) == (scheme == "light")


def test_on_paper_it_is_light_and_has_no_buttons(opened: Any) -> None:
    opened.emulate_media(media="print", color_scheme="dark")
    assert not opened.locator("nav").is_visible()
    assert not opened.get_by_role("button", name="Show shares").is_visible()
    paper = "getComputedStyle(document.body).backgroundColor"
    assert opened.evaluate(paper) == "rgb(255, 255, 255)"
    opened.set_viewport_size({"width": 690, "height": 900})  # A4 between its margins
    assert opened.evaluate("document.documentElement.scrollWidth") <= 690
    assert opened.pdf()[:5] == b"%PDF-"


@pytest.mark.parametrize("width", [360, 800, 1280])
def test_it_fits_screens_of_all_widths(width: int, opened: Any) -> None:
    opened.set_viewport_size({"width": width, "height": 800})
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
