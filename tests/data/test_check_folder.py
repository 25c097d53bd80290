"""The check of a folder: what is found in it, and in which words."""

import json
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from presize.cli.source import find_data
from presize.core.errors import DataError
from presize.data.check.copies import LOOKALIKES, PHOTOS
from presize.data.check.folder import check_folder
from presize.data.check.report import DataReport, Finding


def finding(report: DataReport, kind: str) -> Finding:
    [found] = [f for f in report.findings if f.kind == kind]
    return found


def kinds(report: DataReport) -> list[str]:
    return [f.kind for f in report.findings]


@pytest.fixture
def breeds(pets_path: Path, tmp_path: Path) -> Path:
    """Real photos: train/{beagle,pug} with 6 each, valid/ with 1 each."""
    root = tmp_path / "breeds"
    for breed in ("beagle", "pug"):
        files = sorted(pets_path.glob(f"{breed}_*.jpg"))
        for split, chosen in (("train", files[:6]), ("valid", files[6:7])):
            folder = root / split / breed
            folder.mkdir(parents=True)
            for number, file in enumerate(chosen):
                shutil.copy(file, folder / f"{split}{number}.jpg")
    return root


def opened(file: Path) -> Image.Image:
    return Image.open(file).convert("RGB")


def test_nothing_is_found_where_nothing_is_wrong(breeds: Path) -> None:
    report = check_folder(breeds)
    assert report.ok
    assert kinds(report) == []
    assert report.statistics.splits == {"train": 12, "valid": 2}
    assert report.statistics.classes["pug"] == {"train": 6, "valid": 1}
    assert report.copies.rule == PHOTOS
    assert "Nothing is wrong with this data." in repr(report)


@pytest.mark.parametrize("data", ["pets_path", "imagenette_path"])
def test_no_two_of_many_different_photos_are_taken_for_one(
    data: str, request: pytest.FixtureRequest
) -> None:
    report = check_folder(request.getfixturevalue(data))
    assert report.copies.groups == []
    assert report.copies.rule == PHOTOS
    assert report.unreadable == {}


def test_different_digits_are_not_taken_for_one(mnist_path: Path) -> None:
    report = check_folder(mnist_path / "valid")
    assert report.copies.groups == []
    assert report.copies.rule == LOOKALIKES
    assert kinds(report) == ["lookalikes"]
    assert "Different pictures of this data look alike" in finding(report, "lookalikes").text


def test_pictures_in_training_and_validation_are_a_problem(breeds: Path) -> None:
    train, valid = breeds / "train/pug", breeds / "valid/pug"
    shutil.copy(train / "train0.jpg", valid / "copy.jpg")
    im = opened(train / "train1.jpg")
    im.resize((im.width // 2, im.height // 2)).save(valid / "half.jpg", quality=50)
    ImageOps.mirror(opened(train / "train2.jpg")).save(valid / "mirrored.png")
    opened(train / "train3.jpg").convert("L").save(valid / "gray.jpg")
    bright = ImageEnhance.Brightness(opened(train / "train4.jpg")).enhance(0.9)
    bright.crop((3, 2, bright.width - 2, bright.height - 3)).save(valid / "cut.jpg")
    report = check_folder(breeds)
    assert not report.ok
    assert kinds(report) == ["leak"]
    leak = finding(report, "leak")
    assert leak.text == (
        "5 pictures of 7 in valid are in train, too: 1 identical, 3 looking alike and 1 mirrored."
    )
    assert leak.advice.startswith("Accuracy on valid will look better than it is. Delete them")
    assert sorted(leak.lines) == [
        "valid/pug/copy.jpg and train/pug/train0.jpg, identical",
        "valid/pug/cut.jpg and train/pug/train4.jpg, looking alike",
        "valid/pug/gray.jpg and train/pug/train3.jpg, looking alike",
        "valid/pug/half.jpg and train/pug/train1.jpg, looking alike",
        "valid/pug/mirrored.png and train/pug/train2.jpg, mirrored",
    ]


def test_identical_files_alone_can_be_asked_for(breeds: Path) -> None:
    shutil.copy(breeds / "train/pug/train0.jpg", breeds / "valid/pug/copy.jpg")
    opened(breeds / "train/pug/train1.jpg").save(breeds / "valid/pug/again.jpg", quality=50)
    report = check_folder(breeds, alike=False)
    assert report.copies.rule is None
    assert finding(report, "leak").text == (
        "1 picture of 4 in valid is in train, too: 1 identical."
    )


def test_a_test_set_is_compared_with_both_others(breeds: Path) -> None:
    (breeds / "test/pug").mkdir(parents=True)
    shutil.copy(breeds / "train/pug/train0.jpg", breeds / "test/pug/a.jpg")
    shutil.copy(breeds / "valid/pug/valid0.jpg", breeds / "test/pug/b.jpg")
    report = check_folder(breeds)
    assert finding(report, "leak").text == (
        "2 pictures of 2 in test are in train or valid, too: 2 identical."
    )
    assert kinds(report) == ["leak", "not_validated"]


def test_one_picture_under_two_labels_is_a_problem(breeds: Path) -> None:
    shutil.copy(breeds / "train/pug/train0.jpg", breeds / "train/beagle/other.jpg")
    opened(breeds / "train/pug/train1.jpg").save(breeds / "train/beagle/again.jpg", quality=60)
    # Left and right are mirrored, and may well be two classes.
    ImageOps.mirror(opened(breeds / "train/pug/train2.jpg")).save(breeds / "train/beagle/m.png")
    report = check_folder(breeds)
    assert kinds(report) == ["two_labels"]
    found = finding(report, "two_labels")
    assert found.text == (
        "2 pictures are there under different labels: 1 identical and 1 looking alike."
    )
    assert found.lines == [
        "train/beagle/again.jpg (beagle) and train/pug/train1.jpg (pug), looking alike",
        "train/beagle/other.jpg (beagle) and train/pug/train0.jpg (pug), identical",
    ]
    assert not report.ok


def test_copies_in_one_split_are_a_note_and_without_a_split_a_warning(breeds: Path) -> None:
    shutil.copy(breeds / "train/pug/train0.jpg", breeds / "train/pug/a.jpg")
    shutil.copy(breeds / "train/pug/train0.jpg", breeds / "train/pug/b.jpg")
    report = check_folder(breeds)
    found = finding(report, "repeated")
    assert found.severity == "note"
    assert found.text == (
        "1 picture is there more than once in train, 2 files too many: 1 identical."
    )
    whole = finding(check_folder(breeds / "train"), "repeated")
    assert whole.severity == "warning"
    assert whole.advice.startswith("A random split puts copies into both training and validation")
    assert whole.lines == ["pug/a.jpg, pug/b.jpg and pug/train0.jpg, identical"]


def test_where_everything_looks_alike_the_way_out_is_named(breeds: Path) -> None:
    im = opened(breeds / "train/pug/train0.jpg")
    rng = np.random.default_rng(0)
    for folder in (breeds / "valid/pug", breeds / "valid/beagle"):
        for number in range(4):  # as frames of a fixed camera
            noisy = np.asarray(im) + rng.normal(0, 5, (im.height, im.width, 3))
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"f{number}.png")
    report = check_folder(breeds)
    assert "as with a fixed camera" in finding(report, "leak").advice
    assert "--identical-only, or alike=False" in finding(report, "leak").advice
    assert len(finding(report, "two_labels").lines) == 1
    assert check_folder(breeds, alike=False).ok


def test_unreadable_pictures_are_listed_with_the_reason(odd_images_path: Path) -> None:
    report = check_folder(odd_images_path)
    assert not report.ok
    assert [Path(name).name for name in report.unreadable] == [
        "broken.png", "truncated_jpeg.jpg", "zero_width.gif",
    ]  # fmt: skip
    found = finding(report, "unreadable")
    assert found.text == "3 pictures of 17 cannot be read."
    assert found.lines[1].startswith("truncated_jpeg.jpg: it is a JPEG picture that is cut short")
    assert finding(report, "dark").lines == ["16bit.cropped.tif", "i_trns.png"]
    assert "white_level = 4095" in finding(report, "dark").advice
    assert finding(report, "left_out").text == (
        "1 file is left out, as no pictures by the ending: 1 .mpo."
    )
    assert "the pictures lie in no folders of classes" in finding(report, "no_labels").text
    assert report.statistics.turned == 3


def test_labels_that_look_the_same_are_a_warning(picture_folder: Path) -> None:
    train = picture_folder / "train"
    (train / "cat").rename(train / "Cat ")
    (train / "dog").rename(train / unicodedata.normalize("NFD", "dög"))
    (picture_folder / "valid/dog").rename(
        picture_folder / "valid" / unicodedata.normalize("NFC", "dög")
    )
    report = check_folder(picture_folder)
    found = finding(report, "labels_alike")
    assert found.severity == "warning"
    assert found.text.startswith("2 names for a class are written in different ways")
    assert (
        "'Cat ' (12 pictures) and 'cat' (6 pictures) differ in capital letters and white"
        in (found.lines[0])
    )
    assert found.lines[1].endswith("differ in how accents are stored (Unicode form)")
    # To training they are different classes.
    unknown = finding(report, "unknown_class")
    assert unknown.text == "2 classes are in valid, but not in train: training cannot start."


def test_classes_that_are_empty_few_or_unequal_are_warnings(breeds: Path) -> None:
    (breeds / "train/cat").mkdir()
    (breeds / "train/.hidden").mkdir()
    for folder in ("train/pug", "train/owl"):
        (breeds / folder).mkdir(exist_ok=True)
    shutil.copy(breeds / "train/pug/train0.jpg", breeds / "train/pug/train0.jpeg")
    rng = np.random.default_rng(0)
    for number in range(30):
        noise = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        name = "owl/0.png" if number == 0 else f"pug/noise{number}.png"
        Image.fromarray(noise).save(breeds / "train" / name)
    report = check_folder(breeds)
    assert finding(report, "empty_folder").lines == ["train/cat"]
    assert finding(report, "few").lines == ["owl: 1"]
    assert finding(report, "few").text == "1 class of 3 has fewer than 5 pictures in train."
    assert finding(report, "not_validated").lines == ["owl: 1 in train"]
    unequal = finding(report, "imbalance")
    assert unequal.text == (
        "The classes are unequal: pug has 36 pictures in train, owl 1, 36 times fewer."
    )
    assert 'weights="balanced"' in unequal.advice
    assert report.ok


def test_one_class_alone_is_nothing_to_train_on(breeds: Path) -> None:
    shutil.rmtree(breeds / "train/pug")
    shutil.rmtree(breeds / "valid/pug")
    split = finding(check_folder(breeds), "one_class")
    assert split.severity == "problem"
    assert split.text == "There is only one class to train on, beagle."
    # A single folder without a split may just be where the pictures lie.
    assert finding(check_folder(breeds / "train"), "one_class").severity == "warning"


def test_pictures_outside_of_class_folders_are_a_warning(breeds: Path) -> None:
    (breeds / "train/pug/train0.jpg").rename(breeds / "train/stray.jpg")
    report = check_folder(breeds)
    assert finding(report, "outside").lines == ["train/stray.jpg"]
    assert "train" in report.statistics.classes  # as training would take it


def test_an_empty_split_is_a_problem(breeds: Path) -> None:
    shutil.rmtree(breeds / "valid/pug")
    shutil.rmtree(breeds / "valid/beagle")
    report = check_folder(breeds)
    assert finding(report, "empty_split").text == "There are no pictures in valid."
    assert not report.ok


def test_tiny_and_plain_pictures_are_told_apart_from_copies(tmp_path: Path) -> None:
    for name, colour in (("a", "red"), ("b", "blue"), ("c", "red")):
        (tmp_path / name).mkdir()
        Image.new("RGB", (1, 1), colour).save(tmp_path / name / "1.png")
        Image.new("RGB", (50, 50), colour).save(tmp_path / name / f"{name}.jpg")
    report = check_folder(tmp_path)
    assert finding(report, "blank").text == "6 pictures are of one colour only."
    # The same bytes are the same picture, however plain.
    assert [group.kind for group in report.copies.groups] == ["identical", "identical"]
    assert report.statistics.smallest == (1, 1)


def test_sizes_and_kinds_are_counted(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shapes = [(20, 30, 3), (200, 30, 3), (100, 100)]
    for number, shape in enumerate(shapes):
        pixels = rng.integers(0, 256, shape, dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    counts = check_folder(tmp_path).statistics
    assert (counts.smallest, counts.median, counts.largest) == ((20, 30), (200, 30), (100, 100))
    assert counts.modes == {"RGB": 2, "L": 1}
    assert counts.formats == {"PNG": 3}
    assert list(counts.odd_aspect) == [1]
    assert counts.aspects == (0.15, 1.5)


def test_the_layout_is_that_of_training(picture_folder: Path) -> None:
    (picture_folder / "valid").rename(picture_folder / "test")
    assert find_data(str(picture_folder)).splits == ("train", "test")
    assert check_folder(picture_folder).statistics.splits == {"train": 24, "test": 12}
    (picture_folder / "test").rename(picture_folder / "holdout")
    assert check_folder(picture_folder).statistics.splits == {"all": 36}
    named = check_folder(picture_folder, ("train", "holdout"))
    assert named.statistics.splits == {"train": 24, "holdout": 12}
    with pytest.raises(DataError, match="has no `hold`.*Did you mean `holdout`"):
        check_folder(picture_folder, ("train", "hold"))


def test_a_folder_without_pictures_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There are no pictures to check in `"):
        check_folder(tmp_path)


def test_json_holds_everything(breeds: Path, tmp_path: Path) -> None:
    shutil.copy(breeds / "train/pug/train0.jpg", breeds / "valid/pug/copy.jpg")
    (breeds / "train/pug/bad.jpg").write_bytes(b"")
    report = check_folder(breeds)
    told = json.loads(report.save(tmp_path / "report.json").read_text(encoding="utf-8"))
    assert told == json.loads(report.to_json())
    assert told["version"] == 1
    assert not told["ok"]
    assert told["pictures"] == 16
    assert told["unreadable"] == [
        {"picture": str(breeds / "train/pug/bad.jpg"), "why": "it is empty (0 bytes)"}
    ]
    [group] = told["copies"]
    assert group["kind"] == "identical"
    assert group["pictures"][1] == {
        "picture": str(breeds / "valid/pug/copy.jpg"),
        "split": "valid", "labels": ["pug"], "mirrored": False,
    }  # fmt: skip
    assert {"label": "beagle", "pictures": {"train": 6, "valid": 1}} in told["classes"]
    assert [f["kind"] for f in told["findings"]] == ["unreadable", "leak"]


def test_text_and_html_show_the_first_lines_of_many(breeds: Path) -> None:
    for number in range(8):
        (breeds / f"train/pug/<bad>{number}.jpg").write_bytes(b"")
    report = check_folder(breeds)
    text, html = repr(report), report._repr_html_()
    assert text.splitlines()[0] == "22 pictures (20 train, 2 valid) in 2 classes"
    assert "problem: 8 pictures of 22 cannot be read." in text
    assert "<bad>4.jpg: it is empty" in text
    assert "<bad>5.jpg" not in text
    assert "... and 3 more" in text
    assert text.endswith("1 problem.")
    assert "&lt;bad&gt;4.jpg" in html
    assert "<bad>" not in html


def test_a_file_name_that_is_no_text_is_shown_all_the_same(breeds: Path) -> None:
    name = bytes(breeds / "train/pug") + b"/\xff.jpg"
    try:
        with open(name, "wb"):  # noqa: PTH123 - pathlib takes no bytes
            pass
    except OSError:
        pytest.skip("the file system takes only names that are text")
    report = check_folder(breeds)
    assert "\\udcff.jpg: it is empty" in repr(report)
    report._repr_html_().encode()
    report.to_json().encode()


def test_the_number_of_threads_changes_nothing(breeds: Path) -> None:
    (breeds / "train/pug/bad.jpg").write_bytes(b"")
    one, many = (check_folder(breeds, threads=n).to_dict() for n in (1, 7))
    assert one | {"seconds": 0} == many | {"seconds": 0}
