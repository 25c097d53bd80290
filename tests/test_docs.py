"""The docs site: built with warnings as errors, whole, legible, and without any other host."""

import functools
import http.server
import os
import re
import subprocess
import sys
import threading
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import presize
from presize.vision import all as namespace

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site, built with warnings as errors."""
    pytest.importorskip("mkdocs")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(  # noqa: PLW1510 - told below, with what it printed
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return out


class Page(HTMLParser):
    """What a page of the site links to, loads and has anchors for."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loads, self.anchors, self.unseen = [], [], set(), []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if "id" in found:
            self.anchors.add(found["id"])
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if tag in ("script", "img", "iframe", "source") and found.get("src"):
            self.loads.append(found["src"])
        if tag == "link" and found.get("rel") not in ("canonical", "next", "prev"):
            self.loads.append(found["href"])
        if tag == "img" and not found.get("alt"):
            self.unseen.append(found.get("src", "")[:60])


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def test_a_page_loads_nothing_from_another_host(site, pages):
    foreign = [
        (path.name, what)
        for path, page in pages.items()
        for what in page.loads
        if urlsplit(what).scheme not in ("", "data") or urlsplit(what).netloc
    ]
    assert not foreign
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert not re.search(r"""(url\(|@import)\s*["']?(https?:)?//""", text), sheet


def test_links_and_pictures_lead_to_what_is_there(site, pages):
    dead = []
    for path, page in pages.items():
        if path.name == "404.html":
            continue  # its links begin at the root of wherever the site is put
        for link in [*page.links, *page.loads]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            there = there / "index.html" if there.is_dir() else there
            known = there.is_file() and (
                not parts.fragment
                or there not in pages
                or unquote(parts.fragment) in pages[there].anchors
                or parts.fragment.startswith("__")
            )
            if not known:
                dead.append((str(path.relative_to(site)), link))
    assert not dead


def test_every_picture_of_a_written_page_says_what_it_shows(site, pages):
    silent = {
        path.name: page.unseen
        for path, page in pages.items()
        if page.unseen and "notebooks" not in path.parts  # what a cell draws has no words
    }
    assert not silent


def test_every_public_name_stands_in_the_reference(pages):
    anchors = set().union(*(p.anchors for path, p in pages.items() if path.parent.name))
    models = next(path for path in pages if path.match("reference/models.html"))
    zoo = set(re.findall(r"<code>(\w+)</code>", models.read_text(encoding="utf-8")))
    missing = []
    for name in {*namespace.__all__, *presize.__all__}:
        value = getattr(namespace, name, None) or getattr(presize, name)
        home = getattr(value, "__module__", None) or type(value).__module__
        if not str(home).startswith("presize.") or name in {*zoo, "pd", "plt"}:
            continue
        if not any(anchor.endswith(f".{name}") for anchor in anchors):
            missing.append(name)
    assert not missing


@pytest.mark.parametrize("method", ["fit", "fine_tune", "lr_find", "predict", "export", "report"])
def test_methods_from_other_files_are_methods_of_the_learner(pages, method):
    learner = next(page for path, page in pages.items() if path.match("reference/learner.html"))
    assert f"presize.learner.Learner.{method}" in learner.anchors


@pytest.fixture(scope="module")
def address(site):
    """The site, served on the loopback."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=site)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_search_finds_a_method(page, address):
    page.goto(f"{address}/index.html")
    page.locator("input.md-search__input").fill("fine_tune")
    found = page.locator(".md-search-result__link").first
    found.wait_for(state="visible")
    assert "fine_tune" in page.locator(".md-search-result__list").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["index", "training", "notebooks/digits", "reference/learner"])
def test_a_page_is_legible_on_a_phone_and_at_night(page, address, name, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(f"{address}/{name}.html")
    page.locator("h1").first.wait_for(state="visible")
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, f"{wide} pixels stand out on the right"
    ground, ink = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor,"
        " getComputedStyle(document.querySelector('article p')).color]"
    )
    assert contrast(ground, ink) >= 4.5


def contrast(*colours):
    """The contrast of two colours as WCAG 2 defines it; a transparent ink over the other."""
    ground, ink = ([float(n) for n in re.findall(r"[\d.]+", c)] for c in colours)
    alpha = ink[3] if len(ink) > 3 else 1.0
    seen = [alpha * i + (1 - alpha) * g for i, g in zip(ink, ground, strict=False)]

    def light(rgb):
        linear = [
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
            for c in (value / 255 for value in rgb[:3])
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted([light(ground), light(seen)], reverse=True)
    return (high + 0.05) / (low + 0.05)
