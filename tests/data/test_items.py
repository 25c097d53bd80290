import os
import pickle
import random
import time
from pathlib import Path as PlainPath

import pytest

from presize.core.collections import L
from presize.core.paths import Path
from presize.data.items import (
    FileGetter,
    FolderNotFoundError,
    ImageGetter,
    get_files,
    get_image_files,
)

NAMES = [
    "top.png", "notes.txt", ".hidden.png", "a.b/4.png",
    "train/cat/1.JPG", "train/cat/2.jpeg", "train/cat/readme.md", "train/dog/3.png",
    "valid/cat/4.jpg", "other/5.webp", ".git/6.jpg", "train/.cache/7.jpg", "a/9.tar.gz",
]  # fmt: skip


@pytest.fixture
def tree(tmp_path: PlainPath) -> PlainPath:
    shuffled = random.Random(0).sample(NAMES, len(NAMES))
    for name in shuffled:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def names(found: L, root: PlainPath) -> list[str]:
    return [o.relative_to(root).as_posix() for o in found]


def test_get_files_takes_everything_but_hidden_files_in_sorted_order(tree: PlainPath) -> None:
    found = get_files(tree)
    expected = sorted(
        p for p in tree.rglob("*")
        if p.is_file() and not any(part.startswith(".") for part in p.relative_to(tree).parts)
    )  # fmt: skip
    assert found == expected
    assert isinstance(found, L) and all(type(o) is Path for o in found)
    assert found == found.sorted()


def test_get_image_files_ignores_case_and_other_files(tree: PlainPath) -> None:
    assert names(get_image_files(tree), tree) == [
        "a.b/4.png", "other/5.webp", "top.png",
        "train/cat/1.JPG", "train/cat/2.jpeg", "train/dog/3.png", "valid/cat/4.jpg",
    ]  # fmt: skip


@pytest.mark.parametrize("extensions", [".png", "png", "PNG", [".png"], {".png"}])
def test_extensions_in_every_form(tree: PlainPath, extensions: object) -> None:
    assert names(get_files(tree, extensions), tree) == ["a.b/4.png", "top.png", "train/dog/3.png"]


def test_an_extension_may_have_two_parts(tree: PlainPath) -> None:
    assert names(get_files(tree, ".tar.gz"), tree) == ["a/9.tar.gz"]


def test_no_recursion(tree: PlainPath) -> None:
    assert names(get_files(str(tree), recurse=False), tree) == ["notes.txt", "top.png"]


@pytest.mark.parametrize("folders", ["train", ["train"], ("train",)])
def test_one_top_level_folder(tree: PlainPath, folders: object) -> None:
    assert names(get_image_files(tree, folders=folders), tree) == [
        "train/cat/1.JPG", "train/cat/2.jpeg", "train/dog/3.png",
    ]  # fmt: skip


def test_several_top_level_folders_and_the_top_itself(tree: PlainPath) -> None:
    assert names(get_image_files(tree, folders=["valid", "other"]), tree) == [
        "other/5.webp", "valid/cat/4.jpg",
    ]  # fmt: skip
    assert names(get_image_files(tree, folders=[".", "other"]), tree) == [
        "top.png", "other/5.webp",
    ]  # fmt: skip
    assert get_image_files(tree, recurse=False, folders="train") == []


def test_a_folder_that_is_not_there_is_warned_of_or_refused(tree: PlainPath) -> None:
    with pytest.warns(
        UserWarning, match=r"no folder `tset`, named in `folders=`.*Going on with the others"
    ):
        assert len(get_image_files(tree, folders=["train", "tset"])) == 3
    with pytest.raises(FolderNotFoundError, match=r"`vaild`.*Did you mean `valid`\?.*`other`"):
        get_image_files(tree, folders="vaild")


def test_links_are_followed_unless_told_not_to(tree: PlainPath, tmp_path_factory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "far.jpg").touch()
    (tree / "linked").symlink_to(outside, target_is_directory=True)
    (tree / "one.jpg").symlink_to(outside / "far.jpg")
    assert {"linked/far.jpg", "one.jpg"} <= set(names(get_image_files(tree), tree))
    unlinked = names(get_files(tree, followlinks=False), tree)
    assert "one.jpg" in unlinked and not any(name.startswith("linked") for name in unlinked)


def test_links_in_a_circle_end(tree: PlainPath) -> None:
    before = len(get_files(tree))
    (tree / "train" / "up").symlink_to(tree, target_is_directory=True)
    assert len(get_files(tree)) == before


def test_a_broken_link_is_not_hidden(tree: PlainPath) -> None:
    (tree / "gone.jpg").symlink_to(tree / "nothing.jpg")
    assert "gone.jpg" in names(get_image_files(tree), tree)


def test_an_empty_folder_gives_an_empty_list(tmp_path: PlainPath) -> None:
    assert get_image_files(tmp_path) == L()


def test_a_hidden_root_is_no_reason_to_leave_files_out(tmp_path: PlainPath) -> None:
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "1.png").touch()
    assert len(get_image_files(tmp_path / ".cache")) == 1


def test_a_missing_folder_names_the_nearest(tree: PlainPath) -> None:
    with pytest.raises(FileNotFoundError) as error:
        get_image_files(tree / "trian" / "cat")
    text = str(error.value)
    assert "has no `trian`" in text and "Did you mean `train`?" in text and "`other`" in text
    assert isinstance(error.value, ValueError)


def test_other_wrong_paths(tree: PlainPath) -> None:
    with pytest.raises(FileNotFoundError, match="`~` has to be written out"):
        get_files("~/no_such_folder_here")
    with pytest.raises(ValueError, match=r"top.png` is a file, not a folder"):
        get_files(tree / "top.png")
    with pytest.raises(TypeError, match=r"got list.*leave out `get_items`"):
        get_files([tree])  # type: ignore[arg-type]


def test_getters_add_their_folder_and_can_be_pickled(tree: PlainPath) -> None:
    getter = pickle.loads(pickle.dumps(ImageGetter("train", recurse=True)))
    assert getter(tree) == get_image_files(tree / "train")
    assert names(FileGetter(extensions=".md")(tree), tree) == ["train/cat/readme.md"]
    assert names(ImageGetter(folders="valid")(str(tree)), tree) == ["valid/cat/4.jpg"]
    assert ImageGetter(recurse=False)(tree) == [tree / "top.png"]


def test_many_files_are_found_fast(tmp_path: PlainPath) -> None:
    for i in range(10):
        (tmp_path / str(i)).mkdir()
        for j in range(1000):
            os.close(os.open(tmp_path / str(i) / f"{j}.jpg", os.O_CREAT))
    start = time.perf_counter()
    assert len(get_image_files(tmp_path)) == 10_000
    assert time.perf_counter() - start < 0.5  # 0.05 s measured; 100k files take 0.4-0.6 s
