"""The page in a real browser: decisions by keyboard and mouse, saved at once."""

import dataclasses
import time

import pytest

from presize.data.decisions import Decisions
from presize.interpret.clean.cleaner import Cleaner
from presize.interpret.suspects import Suspects


@pytest.fixture
def show(page, opened):
    """Open the page of a cleaner, and wait until it is drawn."""

    def shown(cleaner: Cleaner | None = None) -> Cleaner:
        made = cleaner or opened()
        page.goto(made.url)
        page.wait_for_selector("body[data-ready]")
        return made

    yield shown
    page.goto("about:blank")  # before the server goes: pictures may still be on their way


def saved(cleaner, n: int) -> dict[str, tuple[str, str]]:
    """Return what is in the CSV file, once it has `n` rows."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        rows = Decisions(cleaner.decisions.path)
        if len(rows) == n:
            return {name: (row.decision, row.label) for name, row in rows.items()}
        time.sleep(0.02)
    raise AssertionError(f"{len(rows)} decisions, not {n}")


def until(page, expression: str) -> None:
    """Wait until JavaScript is true (`wait_for_function` polls by `eval`, which the page forbids).

    Raises:
        AssertionError: it is not, in 10 seconds.
    """
    end = time.monotonic() + 10
    while not page.evaluate(expression):
        assert time.monotonic() < end, expression
        time.sleep(0.02)


def current(page) -> int:
    return int(page.evaluate("document.activeElement.closest('.card')?.dataset.id ?? -1"))


def visible(page) -> list[int]:
    seen = "[...document.querySelectorAll('.card')].filter(card => card.offsetParent)"
    return page.evaluate(f"{seen}.map(card => Number(card.dataset.id))")


def press(page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def test_all_that_is_suspect_is_shown_and_names_are_text(page, show):
    show()
    assert page.locator(".card").count() == 9 and page.title() == "Clean dogs"
    assert page.locator(".group .card").count() == 3
    assert "3 pictures that show the same" in page.locator(".group-title").inner_text()
    assert page.locator(".card").nth(5).locator(".name").inner_text().startswith("boxer/<script>")
    assert page.locator(".card script, .card b").count() == 0
    assert page.locator("#count").inner_text() == "0 of 9 decided"
    until(
        page,
        "[...document.querySelectorAll('.card img')].slice(0, 5).every(i => i.naturalWidth > 60)",
    )
    assert page.locator(".card").first.locator("img").count() == 0  # of the broken one
    assert current(page) == 0


def test_keys_keep_drop_and_relabel_and_each_is_saved_at_once(page, show):
    cleaner = show()
    press(page, "d")
    assert saved(cleaner, 1) == {"pug/broken.jpg": ("drop", "")} and current(page) == 1
    press(page, "k", "ArrowRight", "ArrowRight", "1")
    assert saved(cleaner, 3) == {
        "pug/broken.jpg": ("drop", ""),
        "pug/a.jpg": ("keep", ""),
        "pug/c.jpg": ("relabel", "beagle"),
    }
    row = Decisions.read(cleaner.decisions.path)["pug/c.jpg"]
    assert (row.given, row.reason) == ("pug", "label error; top loss") and row.time
    assert page.locator(".card").nth(4).locator(".new").inner_text() == "beagle"
    assert page.locator("#count").inner_text() == "3 of 9 decided"
    assert page.locator("[data-decision=drop] .badge").inner_text() == "drop"


def test_many_keys_in_a_row_each_go_to_the_next_picture(page, show):
    cleaner = show()
    press(page, *"dkdkdkdkd")
    rows = saved(cleaner, 9)
    assert [decision for decision, _ in rows.values()] == ["drop", "keep"] * 4 + ["drop"]


def test_a_label_is_typed_ahead(page, show):
    cleaner = show()
    press(page, "End", "r")
    page.keyboard.type("pu")
    options = page.locator("#relabel-list [role=option]")
    assert options.all_inner_texts() == ["pug", "New label\npu"]  # it is a puli already
    assert page.locator("#relabel-text").get_attribute("aria-activedescendant") == "option-0"
    press(page, "Enter")
    assert saved(cleaner, 1) == {"puli/f.jpg": ("relabel", "pug")}
    press(page, "r", "Escape")
    assert not page.locator("#relabel").is_visible() and current(page) == 8
    press(page, "Home", "r")
    page.keyboard.type("dane")
    press(page, "Enter")
    press(page, "Home", "ArrowRight", "r")
    page.keyboard.type("chow chow")
    assert options.all_inner_texts() == ["New label\nchow chow"]
    press(page, "Enter")
    rows = saved(cleaner, 3)
    assert rows["pug/broken.jpg"] == ("relabel", "great dane")
    assert rows["pug/a.jpg"] == ("relabel", "chow chow")


def test_a_dialog_that_is_opened_again_at_once_is_not_closed_by_the_one_before(page, show):
    cleaner = show()
    # In one task of the browser: the event of the first dialog's end comes after all of it.
    page.evaluate(
        """() => {
            const press = (key) => (document.querySelector("dialog[open] input") ?? document.body)
                .dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
            press("r");
            document.getElementById("relabel").close();
            press("r");
        }"""
    )
    page.keyboard.type("dane")
    press(page, "Enter")
    assert saved(cleaner, 1) == {"pug/broken.jpg": ("relabel", "great dane")}


def test_the_likely_labels_come_first_and_arrows_choose(page, show):
    cleaner = show()
    press(page, "ArrowRight", "ArrowRight", "ArrowRight", "ArrowRight", "r")
    texts = page.locator("#relabel-list [role=option]").all_inner_texts()
    assert [text.split("\n")[0] for text in texts[:3]] == ["beagle", "boxer", "great dane"]
    assert "pug" not in texts  # it is one already
    press(page, "ArrowDown", "ArrowUp", "ArrowUp", "Enter")
    assert saved(cleaner, 1) == {"pug/c.jpg": ("relabel", "<b>bold</b>")}
    assert page.locator(".card b").count() == 0


def test_undo_goes_back_step_by_step_also_after_a_reload(page, show):
    cleaner = show()
    press(page, "d", "o", "u")
    page.wait_for_selector("text=Undone: pug/a.jpg is Open")
    assert len(saved(cleaner, 1)) == 1 and current(page) == 1
    show(cleaner)
    press(page, "u")
    page.wait_for_selector("text=Undone: pug/broken.jpg is Open")
    assert saved(cleaner, 0) == {} and current(page) == 0
    assert page.locator("#undo").is_disabled()
    press(page, "u")
    assert page.locator(".card[data-decision=open]").count() == 9


def test_one_of_the_same_is_kept_and_the_others_are_dropped(page, show):
    cleaner = show()
    press(page, "ArrowRight", "ArrowRight", "o")
    assert saved(cleaner, 3) == {
        "pug/a.jpg": ("drop", ""),
        "boxer/a.jpg": ("keep", ""),
        "pug/b.jpg": ("drop", ""),
    }
    assert current(page) == 4
    press(page, "u")
    assert saved(cleaner, 0) == {}


def test_arrows_walk_the_grid_as_it_is_seen(page, show):
    show()
    boxes = [page.locator(".card").nth(i).bounding_box() for i in range(9)]
    middle = [box["x"] + box["width"] / 2 for box in boxes]
    press(page, "ArrowDown")
    below = current(page)
    assert boxes[below]["y"] > boxes[0]["y"] + 50
    row = [i for i in range(9) if abs(boxes[i]["y"] - boxes[below]["y"]) < 5]
    assert below == min(row, key=lambda i: abs(middle[i] - middle[0]))
    press(page, "ArrowUp")
    assert current(page) == 0
    press(page, "ArrowUp", "ArrowLeft")
    assert current(page) == 0
    press(page, "End", "ArrowRight", "ArrowDown")
    assert current(page) == 8


def test_the_focus_is_seen_and_tab_reaches_the_buttons_of_one_card(page, show):
    cleaner = show()
    style = "getComputedStyle(document.activeElement).outlineStyle"
    press(page, "ArrowRight")
    assert page.evaluate(style) == "solid"
    assert page.locator(".card[tabindex='0']").count() == 1
    assert page.locator(".card button[tabindex='0']").count() == 3
    press(page, "Tab", "Tab", "Tab", "Enter")
    assert saved(cleaner, 1) == {"pug/a.jpg": ("drop", "")}


def test_filters_by_reason_by_state_and_by_name(page, show):
    show()
    page.locator("#reasons button", has_text="Wrong label").click()
    assert visible(page) == [4, 5, 6]
    page.locator("#reasons button", has_text="Large loss").click()
    assert visible(page) == [4, 5, 6, 7, 8]
    page.locator(".card").nth(4).click(position={"x": 60, "y": 200})
    press(page, "k")
    page.locator("#states button", has_text="Open").click()
    assert visible(page) == [5, 6, 7, 8] and not page.locator(".group-frame").is_visible()
    page.locator("#states button", has_text="Decided").click()
    assert visible(page) == [4]
    page.locator("#states button", has_text="All").click()
    page.locator("#reasons button", has_text="All").click()
    press(page, "/")
    page.keyboard.type("BOXER/")
    assert visible(page) == [1, 2, 3, 5, 7]  # the others of the group of 2, to compare
    press(page, "Enter", "ArrowRight")
    assert current(page) in (1, 2, 3, 5, 7)  # and keys are no letters of the field any more
    page.locator("#find").fill("no such name")
    assert visible(page) == [] and page.locator("#empty").is_visible()
    page.locator("#find").press("Escape")
    press(page, "d", "r", "1", "Enter")
    assert page.locator("#count").inner_text() == "1 of 9 decided"


def test_a_filter_survives_a_reload_and_what_is_decided_stays_in_sight(page, show):
    cleaner = show()
    page.locator("#states button", has_text="Open").click()
    press(page, "Home", "d")
    assert len(visible(page)) == 9  # dimmed, and not torn away
    saved(cleaner, 1)
    show(cleaner)
    assert len(visible(page)) == 8
    assert page.locator("#states [aria-pressed=true]").inner_text().startswith("Open")


def test_it_is_read_again_by_another_run(page, show, opened, found):
    first = show()
    press(page, "d", "ArrowRight", "1", "End", "2")
    before = saved(first, 2)
    first.stop()
    second = show(opened())
    assert second.url != first.url and saved(second, 2) == before
    assert page.locator("#count").inner_text() == "2 of 9 decided"
    assert page.locator(".card[data-decision=drop]").get_attribute("data-id") == "0"
    assert current(page) == 1  # the first that is open


def test_the_whole_picture_is_looked_at_and_decided_about(page, show):
    cleaner = show()
    press(page, "ArrowRight", "Enter")
    assert page.locator("#look").is_visible()
    until(page, "document.querySelector('#look-picture').naturalWidth === 81")
    assert "pug/a.jpg · pug · same" in page.locator("#look-text").inner_text()
    press(page, "d")
    assert "boxer/a.jpg" in page.locator("#look-text").inner_text()
    press(page, "ArrowRight")
    assert "pug/b.jpg" in page.locator("#look-text").inner_text()
    press(page, "Escape")
    until(page, "document.activeElement.closest('.card')?.dataset.id === '3'")
    assert saved(cleaner, 1) and not page.locator("#look").is_visible()


def test_the_keys_are_told(page, show):
    show()
    press(page, "?")
    text = page.locator("#keys").inner_text()
    assert "Undo the last decision" in text and "decisions.csv" in text
    press(page, "d", "Escape")
    assert page.locator("#count").inner_text() == "0 of 9 decided"


def test_the_mouse_does_it_all_too(page, show):
    cleaner = show()
    card = page.locator(".card").nth(4)
    card.get_by_role("button", name="Relabel", exact=True).click()
    page.locator("#relabel-list [role=option]", has_text="great dane").click()
    page.locator(".card").nth(6).locator("button.likely").nth(1).click()
    page.locator(".card").nth(7).get_by_role("button", name="Drop").click()
    rows = saved(cleaner, 3)
    assert list(rows.values()) == [
        ("relabel", "great dane"),
        ("relabel", "great dane"),
        ("drop", ""),
    ]
    page.locator("#undo").click()
    assert len(saved(cleaner, 2)) == 2
    page.locator("#done").click()
    page.wait_for_selector("text=All is saved.")
    assert cleaner.wait(5) and "2 of 9 decided (2 relabel)" in page.inner_text("main")


def test_several_labels_are_typed_one_after_the_other(page, show, opened, found):
    cleaner = show(opened(dataclasses.replace(found, several=True)))
    press(page, "End", "r")
    assert page.locator("#relabel-text").input_value() == "puli"
    page.locator("#relabel-text").fill("")
    page.keyboard.type("be")
    press(page, "Enter")
    page.keyboard.type("pug")
    press(page, "Enter", "Enter")
    assert saved(cleaner, 1) == {"puli/f.jpg": ("relabel", "beagle;pug")}


def test_what_is_decided_is_told_to_who_cannot_see_it(page, show):
    show()
    press(page, "ArrowRight", "d")
    assert page.locator("#said").inner_text() == "pug/a.jpg: Dropped. 1 of 9 decided"
    label = page.locator(".card").nth(1).get_attribute("aria-label")
    assert label == "pug/a.jpg. labelled pug. same. Dropped"
    assert page.locator(".card").nth(1).locator(".drop").get_attribute("aria-pressed") == "true"


def test_all_that_can_be_used_has_a_name(page, show):
    """In the tree that Chromium gives to screen readers."""
    show()
    nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    used = {"button", "searchbox", "progressbar", "list", "group"}
    told = [(n["role"]["value"], n["name"]["value"]) for n in nodes if not n["ignored"]]
    assert [one for one in told if one[0] in used and not one[1].strip()] == []
    assert ("searchbox", "Find a name or a label") in told


def test_a_csv_that_cannot_be_written_is_told_and_nothing_looks_saved(page, show):
    cleaner = show()
    cleaner.decisions.path = cleaner.decisions.path / "below.csv"
    cleaner.decisions.path.parent.write_text("file,decision\n")
    press(page, "d")
    page.wait_for_selector("#fault:not([hidden])")
    assert "Not saved" in page.locator("#fault").inner_text()
    assert page.locator(".card[data-decision=open]").count() == 9


def test_what_another_has_changed_is_seen_by_the_next_look(page, show):
    cleaner = show()
    Decisions(cleaner.decisions.path).decide("pug/a.jpg", "drop")
    show(cleaner)
    assert page.locator(".card[data-decision=drop]").get_attribute("data-id") == "1"
    cleaner.decisions.path.write_text("file,decision\nx.jpg,dorp\n")
    page.reload()
    page.wait_for_selector("#fault:not([hidden])")
    assert "line 2, column 2 (decision)" in page.locator("#fault").inner_text()
    assert cleaner.decisions.path.read_text() == "file,decision\nx.jpg,dorp\n"


def test_nothing_to_decide_is_said(page, show, opened, found):
    show(opened(Suspects(listed=[], root=found.root, vocab=found.vocab, n=120)))
    assert "Nothing looks wrong" in page.locator("#empty").inner_text()
    press(page, "d", "r", "ArrowDown", "End", "Enter", "u", "1", "o", "n")
    assert page.locator("#count").inner_text() == "0 of 0 decided"


def test_a_program_that_has_ended_is_told_and_nothing_looks_saved(browser, opened):
    cleaner = opened()
    context = browser.new_context()
    page = context.new_page()  # not the fixture: the browser itself logs what it cannot reach
    page.goto(cleaner.url)
    page.wait_for_selector("body[data-ready]")
    press(page, "d")
    saved(cleaner, 1)
    cleaner.stop()
    press(page, "k")
    page.wait_for_selector("text=Not saved: The program that serves this page no longer answers")
    assert page.locator(".card[data-decision=open]").count() == 8
    assert saved(cleaner, 1) == {"pug/broken.jpg": ("drop", "")}
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_legible(page, show, scheme):
    """Contrast of 4.5 : 1 and more between text and what is behind it (WCAG 2, AA)."""
    page.emulate_media(color_scheme=scheme)
    show()
    press(page, "d", "k", "1", "End", "1")
    poor = page.evaluate(CONTRAST)
    assert poor == []


CONTRAST = """() => {
  const parse = (c) => c.match(/[\\d.]+/g).map(Number);
  const lum = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] > 0.99) return c;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.offsetParent || e.matches(':disabled')) continue;
    const a = lum(parse(getComputedStyle(e).color)), b = lum(behind(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push([e.className, e.textContent, ratio]);
  }
  return poor;
}"""
