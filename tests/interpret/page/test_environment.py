import re
from pathlib import Path
from typing import Any

import pytest

from presize.interpret.page.environment import page_environment, printable, render_page

FRAME = '{% extends "page.html" %}{% block body %}<main>{{ name }}</main>{% endblock %}'


@pytest.fixture
def environment(tmp_path: Path) -> Any:
    (tmp_path / "own.html").write_text(FRAME, encoding="utf-8")
    return page_environment(tmp_path)


def test_names_are_text_in_the_browser_whatever_they_hold(
    environment: Any, page: Any, tmp_path: Path
) -> None:
    name = "<script>document.title='run'</script><img src=x onerror=\"document.title='run'\">&amp;"
    made = render_page(environment, "own.html", title="</title><b>a", name=name)
    (tmp_path / "made.html").write_text(made, encoding="utf-8")
    page.goto((tmp_path / "made.html").as_uri())
    assert page.locator("main").inner_text() == name
    assert page.title() == "</title><b>a"


def test_no_other_script_runs_even_if_one_gets_in(
    environment: Any, browser: Any, tmp_path: Path
) -> None:
    from markupsafe import Markup

    injected = Markup("<script>document.title='run'</script><img src=x onerror=\"alert(1)\">")
    own = "document.body.dataset.own = 'ran';"
    made = render_page(environment, "own.html", title="t", script=own, name=injected)
    (tmp_path / "made.html").write_text(made, encoding="utf-8")
    opened = browser.new_page()
    opened.goto((tmp_path / "made.html").as_uri())
    assert opened.title() == "t"
    assert opened.locator("body").get_attribute("data-own") == "ran"
    opened.close()


def test_a_name_that_a_template_misses_is_an_error(environment: Any) -> None:
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError, match="'name' is undefined"):
        render_page(environment, "own.html", title="t")


def test_style_and_script_cannot_end_their_element(environment: Any) -> None:
    for part in ({"css": "</style>"}, {"script": "x = '</SCRIPT>'"}, {"script": "<!--"}):
        with pytest.raises(ValueError, match="would end its element"):
            render_page(environment, "own.html", title="t", name="", **part)


def test_a_page_that_is_served_may_load_from_its_own_address_alone(environment: Any) -> None:
    plain = render_page(environment, "own.html", title="t", name="")
    served = render_page(environment, "own.html", title="t", name="", connects=True)
    assert "connect-src &#39;none&#39;" in plain and "img-src data:;" in plain
    assert "connect-src &#39;self&#39;" in served and "img-src data: &#39;self&#39;;" in served


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain é 字 🐶", "plain é 字 🐶"),
        (b"caf\xe9.jpg".decode("utf-8", "surrogateescape"), r"caf\udce9.jpg"),
        ("bell\a", "bell\u2407"),
        ("gpj.\u202etac", r"gpj.\u202etac"),
    ],
)
def test_odd_characters_are_made_visible(text: str, seen: str, environment: Any) -> None:
    assert printable(text) == seen
    made = render_page(environment, "own.html", title="t", name=text)
    assert f"<main>{seen}</main>" in made
    made.encode()


# ---- the tokens of the style -----------------------------------------------------------------


def _tokens() -> list[dict[str, tuple[int, ...]]]:
    """Return the colours of the light page and of the dark one."""
    import presize.interpret.page

    css = (Path(presize.interpret.page.__path__[0]) / "base.css").read_text(encoding="utf-8")
    found = []
    for block in re.findall(r":root \{(.*?)\}", css, re.S)[:2]:
        pairs = re.findall(r"--([\w-]+): #([0-9a-f]{6})", block)
        found.append({k: tuple(int(v[i : i + 2], 16) for i in (0, 2, 4)) for k, v in pairs})
    return found


def _luminance(colour: tuple[int, ...]) -> float:
    parts = [c / 255 for c in colour]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _contrast(a: tuple[int, ...], b: tuple[int, ...]) -> float:
    light, dark = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_have_the_contrast_that_reading_needs(scheme: int) -> None:
    colours = _tokens()[scheme]
    grounds = [colours[name] for name in ("paper", "surface", "raised")]
    for name in ("ink", "ink-soft", "accent", "good", "warn", "bad"):
        for ground in grounds:
            assert _contrast(colours[name], ground) >= 4.5, name
    for name in ("good", "warn", "bad", "accent"):
        assert _contrast(colours[name], colours[f"{name}-soft"]) >= 4.5, name
        assert _contrast(colours["ink"], colours[f"{name}-soft"]) >= 4.5, name
    assert _contrast(colours["on-accent"], colours["accent"]) >= 4.5
    for i in range(1, 7):
        assert _contrast(colours[f"series-{i}"], colours["surface"]) >= 3, i


def test_light_and_dark_have_the_same_colours() -> None:
    light, dark = _tokens()
    assert light.keys() == dark.keys()
