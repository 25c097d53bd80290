"""The model card: what it tells, and that names in it are nothing but names."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from PIL import Image

from presize.core.errors import ModelFileError
from presize.data.blocks import MultiCategoryBlock
from presize.data.folders import ImageDataLoaders
from presize.data.resize import Resize
from presize.deploy.card_figures import Answers, class_table
from presize.deploy.card_markdown import front_matter, plain, table
from presize.deploy.model_card import MARK, model_card
from presize.interpret.per_class import ClassFigures
from presize.models.zoo import resnet18
from presize.train.metrics import accuracy
from presize.train.model_file import ModelFile
from presize.vision.learner import vision_learner

yaml = pytest.importorskip("yaml", reason="PyYAML comes with huggingface_hub")

OLD = Path(__file__).parent / "fixtures/version-2.safetensors"
NASTY = (
    "a|b\\|c `x`<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1)) ![i](http://evil)",
    "---\ntags: [evil]\n---\n# Not *mine* <!-- ",
    "{{ template }} $x$ ~~gone~~ &lt;b&gt; @someone :smile: \u202eevil \udce9",
)


def _rendered(card):
    """Return the HTML of a card, as CommonMark with tables makes it, and its metadata."""
    _, head, body = card.split("---\n", 2)
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(body), head


@pytest.fixture(scope="module")
def learn(tmp_path_factory):
    rng = np.random.default_rng(5)
    pictures = [
        Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)) for _ in range(32)
    ]
    folder = tmp_path_factory.mktemp("pictures")
    files = []
    for i, picture in enumerate(pictures):
        picture.save(folder / f"{i}.png")
        files.append(f"{i}.png")
    labels = [NASTY[i % 4] for i in range(32)]
    dls = ImageDataLoaders.from_lists(
        folder, files, labels, item_tfms=Resize(16), bs=8, num_workers=0, valid_pct=0.5, seed=1
    )
    made = vision_learner(
        dls, resnet18, cut=3, pretrained=False, lin_ftrs=[4], metrics=accuracy, path=folder
    )
    with made.no_logging():
        made.fit(1)
    return made


def test_names_of_classes_are_shown_and_never_markup(learn):
    page, _ = _rendered(model_card(learn, "me/nasty", license="mit"))
    # Of all that the names try, nothing is there: no picture, link, heading or rule of theirs.
    assert set(re.findall(r"<(\w+)", page)) <= {
        *("h1", "h2", "p", "pre", "code", "table", "thead", "tbody", "tr", "th", "td", "ul", "li"),
    }
    assert page.count("<h1") == 1 and "<hr" not in page
    cells = re.findall(r"<tr>\n<td>(.*?)</td>\n(.*?)</tr>", page, flags=re.DOTALL)
    named = {first for first, rest in cells if rest.count("<td") == 5}
    assert len(named) == 4
    assert any("a|b\\|c `x`&lt;img src=x onerror=alert(1)&gt;" in name for name in named)
    assert "tags: [evil]" in " ".join(named)  # in one line, as text
    assert page.rstrip().endswith(MARK)


def test_figures_are_those_of_the_validation_set(learn):
    page, head = _rendered(model_card(learn, "me/nasty"))
    interp = learn.interpret()
    facts = yaml.safe_load(head)
    (result,) = facts["model-index"][0]["results"]
    values = {metric["type"]: metric["value"] for metric in result["metrics"]}
    assert values["accuracy"] == pytest.approx(interp.accuracy, abs=1e-5)
    figures = interp.per_class()
    assert values["f1"] == pytest.approx(np.mean([f.f1 for f in figures]), abs=1e-5)
    for figure in figures:
        assert f"<td>{figure.count}</td>" in re.sub(r' style="[^"]*"', "", page)
    assert f"Measured on {len(interp)} pictures" in page
    assert "Fewer than 20 pictures were there to judge 4 of the 4 classes" in page


def test_a_file_alone_tells_what_it_knows():
    page, head = _rendered(model_card(OLD, "me/digits"))
    assert yaml.safe_load(head) == {
        "library_name": "presize",
        "pipeline_tag": "image-classification",
        "tags": ["presize", "image-classification", "torchvision"],
        "metrics": ["accuracy"],
        "model-index": [
            {
                "name": "digits",
                "results": [
                    {
                        "task": {"type": "image-classification", "name": "Image Classification"},
                        "dataset": {"name": "digits", "type": "custom", "split": "validation"},
                        "metrics": [{"type": "accuracy", "name": "accuracy", "value": 0.388889}],
                    }
                ],
            }
        ],
    }
    text = re.sub(r"<[^>]+>", "", page)
    for part in (
        "one class of 3: 0, 1, 2.",
        "resnet18, 10,324 parameters",
        "learn = from_hub(&quot;me/digits&quot;)",
        "Measured at the end of training on 18 pictures",
        "temperature of 1.31",
        "went from 0.0649 to 0.0359",
        "judged by features",
        "digits: 42 for train, 18 for valid",
        "fit_one_cycle: all layers; 1 epoch, 5 steps",
        "resized to 24 by 24, then 16 by 16",
    ):
        assert part in text, part
    assert "/root" not in page and "make.py" not in page  # whose machine it was


def test_a_model_of_ones_own_says_to_pass_it_in(tmp_path):
    path = tmp_path / "m.safetensors"
    own = {"source": "custom", "name": "My<b>Net"}
    replace(ModelFile.read(OLD), architecture=own).write(path)
    page, head = _rendered(model_card(path, "./here"))
    assert "load_learner(&quot;model.safetensors&quot;, model=MyNetwork())" in page
    assert "My&lt;b&gt;Net" in page and "pass it in" in page
    assert "torchvision" not in yaml.safe_load(head)["tags"]


def test_a_file_without_a_record_is_honest(tmp_path):
    replace(ModelFile.read(OLD), training=None, calibration=None, calibration_tensors={}).write(
        tmp_path / "m.safetensors"
    )
    card = model_card(tmp_path / "m.safetensors", "me/x")
    assert "Nothing is known of it" in card and "was not calibrated" in card
    assert "even if it shows none of them" in card
    assert "model-index" not in card and "How it was trained" not in card


def test_several_labels_a_picture(tmp_path):
    rng = np.random.default_rng(6)
    for i in range(12):
        values = rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(values).save(tmp_path / f"{i}.png")
    labels = ["sea sky", "sea", "sky", ""] * 3
    dls = ImageDataLoaders.from_lists(
        tmp_path,
        [f"{i}.png" for i in range(12)],
        [text.split() for text in labels],
        item_tfms=Resize(16),
        bs=4,
        num_workers=0,
        valid_pct=0.5,
        seed=2,
        y_block=MultiCategoryBlock,
    )
    made = vision_learner(dls, resnet18, cut=3, pretrained=False, lin_ftrs=[4], path=tmp_path)
    page, head = _rendered(model_card(made, "me/x"))
    text = re.sub(r"<[^>]+>", "", page)
    assert "any number of labels of 2: sea, sky." in text
    (result,) = yaml.safe_load(head)["model-index"][0]["results"]
    assert [metric["type"] for metric in result["metrics"]] == ["f1"]
    assert "Most often taken for" not in text and "Accuracy" not in text


def test_a_record_that_is_nonsense_is_refused(tmp_path):
    replace(ModelFile.read(OLD), training={"fits": 7}).write(tmp_path / "m.safetensors")
    with pytest.raises(ModelFileError, match="how its model was trained is not valid"):
        model_card(tmp_path / "m.safetensors")


def test_of_many_classes_the_worst_are_listed():
    figures = [ClassFigures(f"c{i}", 30, 30, 0.5, 0.5, i / 200, 1.0) for i in range(150)]
    answers = Answers(4500, "classification", 9, 0.5, None, figures)
    made = class_table(answers)
    assert made.startswith("The 30 of 150 classes that it does worst on:")
    assert made.count("\n| c") == 30 and "| c0 |" in made and "| c30 |" not in made
    assert answers.limits() == ["It does worst on c0 (F1 0.000)."]


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=40))
def test_any_text_in_a_cell_is_that_text(text):
    page = MarkdownIt("commonmark").enable("table").render(table(["a", "b"], [[text, text]]))
    (row,) = re.findall(r"<tbody>\n<tr>\n(.*?)</tr>", page, flags=re.DOTALL)
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", row)
    assert len(cells) == 2 and len(set(cells)) == 1
    shown = cells[0]
    for entity, sign in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&")):
        shown = shown.replace(entity, sign)
    hidden = r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]+"
    assert shown.split() == re.sub(hidden, " ", text).split()


def test_long_names_are_cut():
    assert len(plain("x" * 1000)) == 120 and plain("x" * 1000).endswith("…")
    assert plain(" \n ") == " "


@settings(max_examples=60, deadline=None)
@given(st.recursive(st.text(max_size=20) | st.integers() | st.booleans(), st.lists, max_leaves=6))
def test_metadata_are_read_as_they_were_meant(value):
    head = front_matter({"a": value, "b": None, "c": [{"d": {"e": value}, "f": 1.5}]})
    lines = head.splitlines()
    assert lines[0] == lines[-1] == "---" and "---" not in lines[1:-1]
    assert yaml.safe_load("\n".join(lines[1:-1])) == {
        "a": value,
        "c": [{"d": {"e": value}, "f": 1.5}],
    }
