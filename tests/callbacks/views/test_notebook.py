"""The view of notebooks, in a real kernel and a real browser."""

import pytest

from presize.callbacks.views.notebook import NotebookView, table_html
from presize.core.bar import Bar
from presize.core.notebook import NotebookBar, bar_html

SETUP = """
import time, torch
from torch import nn
from presize.callbacks.base import Callback
from presize.callbacks.progress import ProgressCallback
from presize.core.progress import track
from presize.data.loaders import DataLoaders
from presize.learner import Learner

class Talks(Callback):
    def after_epoch(self, learn):
        print("epoch", learn.epoch, "is over")

batches = [(torch.randn(4, 3), torch.randn(4, 1)) for _ in range(40)]
dls = DataLoaders(batches, batches[:5], device="cpu")
learn = Learner(dls, nn.Linear(3, 1), nn.functional.mse_loss, cbs=Talks())
"""
FIT = "learn.fit(2, cbs=ProgressCallback(plot=True))"
FAILS = "learn.loss_func = None\ntry:\n    learn.fit(1)\nexcept TypeError:\n    print('failed')"
LOOP = "for i in track(range(3), 'counting', delay=0):\n    print(i)"
PLAIN = "%env PRESIZE_PLAIN=1\nlearn.loss_func = nn.functional.mse_loss\nlearn.fit(1)"


@pytest.fixture(scope="module")
def cells():
    """The outputs of each cell of a notebook that a real kernel has executed."""
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(text) for text in (SETUP, FIT, FAILS, LOOP, PLAIN)]
    )
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    return [cell.outputs for cell in notebook.cells]


def page_of(outputs):
    return "".join(out.data["text/html"] for out in outputs if out.output_type == "display_data")


def printed(outputs):
    return "".join(out.text for out in outputs if out.output_type == "stream")


def test_a_fit_is_one_output_with_the_table_and_the_curve(cells):
    (shown,) = [out for out in cells[1] if out.output_type == "display_data"]
    page, text = shown.data["text/html"], shown.data["text/plain"]
    assert page.count("<tr>") == 3 and page.count("<svg") == 1
    assert "progressbar" not in page
    head, first, second = text.split("\n")
    assert head.split() == ["epoch", "train_loss", "valid_loss", "time"]
    assert first.split()[0] == "0" and second.split()[0] == "1"
    assert all(f">{cell}</td>" in page for cell in second.split())


def test_what_is_printed_meanwhile_is_kept_beside_the_table(cells):
    assert printed(cells[1]) == "epoch 0 is over\nepoch 1 is over\n"


def test_an_error_leaves_the_table_without_a_bar(cells):
    page = page_of(cells[2])
    assert page.count("<tr>") == 1 and "progressbar" not in page
    assert "failed" in printed(cells[2])


def test_a_loop_leaves_nothing_but_what_it_prints(cells):
    assert page_of(cells[3]) == "" and printed(cells[3]) == "0\n1\n2\n"


def test_plain_lines_are_asked_for_by_a_variable(cells):
    lines = printed(cells[4]).split("\n")
    assert page_of(cells[4]) == "" and any(line.split()[:1] == ["epoch"] for line in lines)


def test_names_are_escaped():
    page = table_html(["<script>alert(1)</script>"], [["a & b"]])
    assert "<script>" not in page and "&lt;script&gt;" in page and "a &amp; b" in page
    assert "<b>" not in bar_html(Bar("<b>", 3, figures=("<i>",)))
    assert "'x'" not in bar_html(Bar("'x'", 3))


class Handle:
    def __init__(self):
        self.pages = []

    def display(self, content, *, raw, display_id):
        self.pages.append(content["text/html"])
        return self

    def update(self, content, *, raw):
        self.pages.append(content["text/html"])


@pytest.fixture
def handle(monkeypatch):
    made = Handle()
    monkeypatch.setattr("IPython.display.display", made.display)
    return made


def test_the_bar_stands_under_the_table_while_the_fit_runs(handle):
    view = NotebookView()
    view.start(["epoch"])
    view.bar(Bar("epoch 1/2", 8, done=2, figures=("loss 0.5",)))
    view.row(["0"])
    view.stop()
    empty, with_bar, with_row, last = handle.pages
    assert "progressbar" not in empty and "aria-valuenow='25'" in with_bar
    assert with_bar.index("</table>") < with_bar.index("epoch 1/2") < with_bar.index("loss 0.5")
    assert ">0</td>" in with_row and "progressbar" in with_row
    assert ">0</td>" in last and "progressbar" not in last


def test_a_bar_that_was_never_drawn_leaves_no_output(handle):
    NotebookBar().close(Bar("x"), finished=True)
    assert handle.pages == []


def test_it_can_be_read_on_white_and_on_black(cells, page):
    whole = page_of(cells[1]) + bar_html(Bar("epoch 1/2", 8, done=2, figures=("loss 0.5",)))
    for paper, ink in (("#fff", "#000"), ("#111", "#eee")):
        page.set_content(f"<body style='background:{paper};color:{ink}'>{whole}</body>")
        assert page.locator("td").count() == 8 and page.get_by_role("img").is_visible()
        assert page.get_by_role("progressbar").bounding_box()["height"] > 4
        colours = page.evaluate(
            "[...document.querySelectorAll('td,th,div,svg text')]"
            ".map(e => e.tagName == 'text' ? getComputedStyle(e).fill : getComputedStyle(e).color)"
        )
        assert len(set(colours)) == 1  # that of the page
