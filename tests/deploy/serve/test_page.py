"""The page of the server, in a real browser, as people use it: dropped, pasted, chosen, refused."""

import io
import threading
from base64 import b64encode
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from torch import nn

from presize.data.folders import ImageDataLoaders
from presize.data.resize import Resize
from presize.learner import Learner
from presize.train.calibration import Calibration
from presize.train.calibration_error import ProbabilityFigures

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

from presize.deploy.predictor import Predictor
from presize.deploy.serve.app import create_app
from presize.deploy.serve.page.routes import page_text
from presize.deploy.serve.run import Server, bound
from presize.deploy.serve.settings import ServeSettings

BLUE, LONG = "<b>blue & cold", "an_extraordinarily_long_name_" * 5
CLASSES = [BLUE, LONG, "green", "pink", "red", "white", "\u202ebidi"]  # sorted as folders are


class Colours(nn.Module):
    """Tells red from blue, and takes anything gray for hardly anything."""

    def __init__(self):
        super().__init__()
        self.maps = nn.Conv2d(3, 2, 1, bias=False)
        self.maps.weight.data = torch.tensor([[1.0, 0, -1], [-1, 0, 1]])[..., None, None]
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, len(CLASSES)))
        weight = torch.zeros(len(CLASSES), 2)
        weight[CLASSES.index("red"), 0] = weight[CLASSES.index(BLUE), 1] = 40
        self.head[2].weight.data, self.head[2].bias.data = weight, torch.zeros(len(CLASSES))

    def forward(self, x):
        return self.head(self.maps(x).relu())


def picture(colour, size=(120, 60), box=(60, 20, 90, 40)):
    """Gray, with a box of a colour right of the middle."""
    made = Image.new("RGB", size, (120, 120, 120))
    made.paste(colour, box)
    out = io.BytesIO()
    made.save(out, "PNG")
    return out.getvalue()


RED, GRAY = picture((220, 40, 40)), picture((120, 120, 120))


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    root = tmp_path_factory.mktemp("colours")
    for split in ("train", "valid"):
        for name in CLASSES:
            (root / split / name).mkdir(parents=True)
            (root / split / name / "1.png").write_bytes(RED)
    dls = ImageDataLoaders.from_folder(root, valid="valid", bs=2, item_tfms=Resize(60))
    assert list(dls.vocab) == CLASSES
    learn = Learner(dls, Colours(), loss_func=nn.CrossEntropyLoss())
    figures = ProbabilityFigures(ece=0.1, brier=0.1, nll=0.1)
    learn.calibration = Calibration(
        temperature=1.0,
        n=100,
        before=figures,
        after=figures,
        unknown="confidence",
        coverage=0.99,
        threshold=0.7,
    )
    return Predictor(learn)


@contextmanager
def served(predictor, **options):
    settings = ServeSettings(port=0, access_log=False, **options)
    with bound(settings) as listening:
        server = Server(create_app(predictor, settings, name="colours"), settings)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            while not server.started and thread.is_alive():
                thread.join(0.01)
            yield server.url
        finally:
            server.should_exit = True
            thread.join(20)


@pytest.fixture(scope="module")
def url(predictor):
    with served(predictor) as address:
        yield address


@pytest.fixture
def opened(page, url):
    """The page, which must have no error in its console."""
    return show(page, url)


@pytest.fixture
def loose(browser):
    """A page whose console may hold what the browser says of answers that are refusals."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


def show(page, url):
    page.set_default_timeout(30_000)
    page.goto(url)
    page.wait_for_selector("body[data-ready]")
    return page


def file_of(data, name):
    return {"name": name, "mimeType": "image/png", "buffer": data}


def choose(page, **files):
    page.set_input_files("#files", [file_of(data, f"{name}.png") for name, data in files.items()])
    return answers(page)


def answers(page):
    """Wait until all is answered; return for each card its file, its title and its first bar."""
    page.wait_for_selector(".card")
    page.locator(".card:not([aria-busy=false])").first.wait_for(state="detached")
    found = []
    for card in page.locator(".card").all():
        said = [card.locator(part) for part in (".file", ".answer", ".bars li >> nth=0")]
        found.append(SimpleNamespace(
            card=card, file=said[0].inner_text(), title=said[1].inner_text().replace("\n", " "),
            bar=said[2].inner_text().split("\n"),
        ))  # fmt: skip
    return found


DROP = """([data, kind, name]) => {
  const transfer = new DataTransfer();
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  transfer.items.add(new File([bytes], name, { type: kind }));
  const target = document.querySelector("footer");  // anywhere on the page
  for (const type of ["dragenter", "dragover", "drop"])
    target.dispatchEvent(new DragEvent(
      type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""
HEAT = """() => {
  const canvas = document.querySelector(".heat"), { width, height } = canvas;
  const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  return [0.1, 0.35, 0.6, 0.9].map((x) =>
    pixels[4 * (Math.floor(height / 2) * width + Math.floor(x * width)) + 3]);
}"""


def test_a_picture_that_is_dropped_shows_the_bar_of_the_right_class_and_the_map(opened):
    opened.evaluate(DROP, [b64encode(RED).decode(), "image/png", "flag.png"])
    (one,) = answers(opened)
    assert (one.file, one.bar[0]) == ("flag.png", "red")
    share = float(one.bar[1].removesuffix(" %"))
    assert one.title == f"red {share} %" and 80 < share < 100
    widths = opened.locator(".bar").evaluate_all(
        "bars => bars.map((b) => parseFloat(getComputedStyle(b, '::before').width) / b.offsetWidth)"
    )
    assert len(widths) == 5 and widths[0] == pytest.approx(share / 100, abs=0.01)
    assert max(widths[1:]) < 0.1
    # What the model saw is the square in the middle; the red box reaches from 1/2 to 3/4.
    opened.wait_for_selector(".heat", state="attached")
    left, beside, red, right = opened.evaluate(HEAT)
    assert (left, right) == (0, 0) and beside < 40 and red > 200
    assert opened.locator("#said").inner_text() == f"flag.png: red, {share} %"
    assert not opened.locator("body.over").count()


def test_a_picture_that_is_pasted_is_answered(opened):
    opened.context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened.evaluate(
        """async (data) => {
            const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
            const blob = new Blob([bytes], { type: "image/png" });
            await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
        }""",
        b64encode(RED).decode(),
    )
    opened.keyboard.press("Control+V")
    (one,) = answers(opened)
    assert one.bar[0] == "red"
    opened.evaluate("navigator.clipboard.writeText('https://example.org/cat.jpg')")
    opened.keyboard.press("Control+V")
    opened.wait_for_selector("text=What was pasted is no picture. Copy the picture itself")
    assert len(answers(opened)) == 1


def test_several_are_chosen_and_names_are_text_wherever_they_stand(opened):
    blue = picture((20, 20, 250), box=(30, 0, 90, 60))
    gray, second, first = choose(opened, red=RED, **{"<i>x</i>": blue}, gray=GRAY)
    assert (first.file, first.bar[0]) == ("red.png", "red")
    assert (second.file, second.bar[0]) == ("<i>x</i>.png", BLUE)
    assert second.title.startswith(BLUE)
    assert gray.title == "None of these" and "none of the classes" in gray.card.inner_text()
    assert opened.locator("main :is(b, i)").count() == 0
    assert "colours" in opened.title() and "7 classes" in opened.locator("#about").inner_text()
    opened.locator("details summary").click()
    assert opened.locator("#classes li").all_inner_texts() == CLASSES
    assert "calibrated" in opened.locator("#facts").inner_text()


def test_all_classes_are_shown_and_hidden_again(opened):
    (one,) = choose(opened, red=RED)
    more = one.card.get_by_role("button", name="Show all 7 classes")
    assert one.card.locator(".bars li").count() == 5
    more.click()
    names = one.card.locator(".bars .name").all_inner_texts()
    assert sorted(names) == sorted(CLASSES) and names[0] == "red"
    one.card.get_by_role("button", name="Show fewer").click()
    assert one.card.locator(".bars li").count() == 5


def test_the_map_is_hidden_made_stronger_and_asked_for_later(opened):
    asked = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.set_input_files("#files", [file_of(RED, "red.png")])
    answers(opened)
    heat = opened.locator(".heat")
    heat.wait_for()
    opened.locator("#strength").fill("90")
    assert heat.evaluate("one => getComputedStyle(one).opacity") == "0.9"
    opened.get_by_label("Show where the model looked").uncheck()
    assert not heat.is_visible() and opened.locator("#strength").is_disabled()
    opened.set_input_files("#files", [file_of(GRAY, "gray.png")])
    answers(opened)
    assert heat.count() == 1 and asked[-1].endswith("heat_map=false")
    opened.get_by_label("Show where the model looked").check()
    opened.locator(".heat >> nth=1").wait_for()
    assert len(asked) == 3 and asked[-1].endswith("heat_map=true")


def test_what_is_no_picture_is_told_in_plain_words_beside_the_others(loose, url):
    show(loose, url)
    loose.set_input_files("#files", [file_of(RED, "red.png"), file_of(b"MZ\0", "program.png")])
    loose.wait_for_selector(".card .bad-note")
    loose.locator(".card .bars").wait_for()
    words = loose.locator(".card .bad-note").inner_text()
    assert "picture" in words and "Traceback" not in words and "/" not in words
    assert loose.locator(".card .file").first.inner_text() == "program.png"
    assert loose.get_by_role("button", name="Try again").count() == 1


def test_a_server_that_is_busy_is_asked_again_and_one_that_is_gone_is_told(loose, url):
    show(loose, url)
    times = []

    def busy_twice(route):
        times.append(route.request.url)
        if len(times) > 2:
            return route.continue_()
        return route.fulfill(
            status=503,
            headers={"Retry-After": "0.01"},
            json={"error": {"code": "busy", "message": "later"}},
        )

    loose.route("**/predict*", busy_twice)
    (one,) = choose(loose, red=RED)
    assert len(times) == 3 and one.bar[0] == "red"
    loose.unroute("**/predict*")
    loose.route("**/predict*", lambda route: route.abort())
    loose.set_input_files("#files", [file_of(RED, "again.png")])
    loose.wait_for_selector("text=The server does not answer. Is it still running?")
    loose.unroute("**/predict*")
    loose.get_by_role("button", name="Try again").click()
    loose.locator(".card .bad-note").wait_for(state="detached")
    assert [one.bar[0] for one in answers(loose)] == ["red", "red"]


def test_what_is_too_large_is_not_sent(page, predictor):
    with served(predictor, max_body=500_000) as url:
        show(page, url)
        sent = []
        page.on("request", lambda request: sent.append(request.method))
        page.set_input_files("#files", [file_of(bytes(1_230_000), "huge.png")])
        words = "The picture has 1.2 MB, and the server takes at most 0.5 MB. Make it smaller."
        page.wait_for_selector(f".card .bad-note:has-text('{words}')")
        assert "POST" not in sent


def test_the_token_is_asked_for_and_kept_for_the_tab(loose, predictor):
    with served(predictor, token="open-sesame") as url:
        loose.goto(url)
        dialog = loose.get_by_role("dialog", name="This server wants a token")
        dialog.wait_for()
        # The document itself, which needs no token, tells nothing.
        assert "colours" not in loose.content() and "green" not in loose.content()
        loose.keyboard.type("wrong")
        loose.keyboard.press("Enter")
        loose.wait_for_selector("text=The server did not take that token.")
        loose.keyboard.type("open-sesame")
        loose.keyboard.press("Enter")
        loose.wait_for_selector("text=Answers by the model colours")
        (one,) = choose(loose, red=RED)
        assert one.bar[0] == "red"
        loose.reload()
        loose.wait_for_selector("text=Answers by the model colours")
        assert not dialog.is_visible()
        loose.evaluate("sessionStorage.clear()")
        loose.reload()
        dialog.wait_for()
        loose.keyboard.press("Escape")
        loose.wait_for_selector("#fault:has-text('The server wants a token.')")
        loose.set_input_files("#files", [file_of(RED, "red.png")])
        dialog.wait_for()
        loose.keyboard.type("open-sesame")
        loose.get_by_role("button", name="Go on").click()
        loose.wait_for_selector("text=Answers by the model colours")
        assert answers(loose)[0].bar[0] == "red" and not loose.locator("#fault").is_visible()


def test_it_is_used_without_a_mouse(opened):
    # The browser is told to hand its dialog over; it has heard it by the time of the next answers.
    opened.on("filechooser", lambda chooser: None)
    opened.keyboard.press("Tab")
    assert opened.evaluate("document.activeElement.id") == "files"
    outline = "getComputedStyle(document.querySelector('label[for=files]')).outlineStyle"
    assert opened.evaluate(outline) == "solid"
    with opened.expect_file_chooser() as chooser:
        opened.keyboard.press("Enter")
    chooser.value.set_files([file_of(RED, "a.png"), file_of(RED, "b.png")])
    assert [one.file for one in answers(opened)] == ["b.png", "a.png"]
    opened.get_by_role("button", name="Remove b.png").focus()
    opened.keyboard.press("Enter")
    assert [one.file for one in answers(opened)] == ["a.png"]
    assert "card" in opened.evaluate("document.activeElement.className")
    opened.get_by_role("button", name="Remove all").press("Enter")
    assert opened.locator(".card").count() == 0 and not opened.locator("#tools").is_visible()
    assert opened.evaluate("document.activeElement.id") == "files"


def test_all_that_can_be_used_has_a_name(opened):
    """In the tree that Chromium gives to screen readers."""
    choose(opened, red=RED)
    nodes = opened.context.new_cdp_session(opened).send("Accessibility.getFullAXTree")["nodes"]
    used = {"button", "checkbox", "slider", "list", "image", "heading"}
    told = [(n["role"]["value"], n["name"]["value"]) for n in nodes if not n["ignored"]]
    assert [one for one in told if one[0] in used and not one[1].strip()] == []
    assert {("image", "red.png"), ("slider", "Strength"), ("button", "Remove red.png")} <= {*told}


def test_it_fits_a_phone(browser, url):
    context = browser.new_context(
        viewport={"width": 360, "height": 700}, has_touch=True, is_mobile=True
    )
    page = show(context.new_page(), url)
    panorama = picture((220, 40, 40), (900, 100), (440, 0, 500, 100))
    choose(page, **{"a_name_without_an_end_" * 9: panorama})
    page.get_by_role("button", name="Show all 7 classes").click()
    page.locator("details summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.get_by_text("Take a photo").is_visible()
    assert page.locator("#camera").get_attribute("capture") == "environment"
    # The picture keeps its shape.
    assert page.locator(".picture").evaluate("one => getComputedStyle(one).objectFit") == "contain"
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_legible(page, url, scheme):
    """Contrast of 4.5 : 1 and more between text and what is behind it (WCAG 2, AA)."""
    page.emulate_media(color_scheme=scheme)
    show(page, url)
    choose(page, red=RED, gray=GRAY)
    page.locator("details summary").click()
    assert page.evaluate(CONTRAST) == []


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


def test_no_script_but_its_own_runs_and_no_frame_shows_it(loose, url):
    show(loose, url)
    answer = loose.request.get(url)
    policy = answer.headers["content-security-policy"]
    assert policy == page_text()[1]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]
    refused = loose.evaluate(
        """() => new Promise((done) => {
            addEventListener("securitypolicyviolation", (e) => done(e.effectiveDirective));
            const made = document.createElement("div");
            made.innerHTML = "<img src=x onerror='document.title=1'>";
            document.body.append(made);
        })"""
    )
    assert refused.startswith(("script-src", "img-src"))


def test_one_that_is_told_to_have_no_page_has_none(predictor):
    httpx = pytest.importorskip("httpx")
    with served(predictor, page=False) as url:
        assert httpx.get(url).status_code == 404
        assert httpx.get(f"{url}/health").status_code == 200
