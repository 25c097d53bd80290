import copy
import pathlib
import pickle

import pytest

from presize.core.collections import L
from presize.core.paths import Path, archive_dir, cache_dir, data_dir


@pytest.fixture
def folder(tmp_path):
    for name in ("train/3", "valid"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "labels.csv").touch()
    (tmp_path / "train/3/10.png").touch()
    (tmp_path / "train/3/1.JPG").touch()
    return Path(tmp_path)


def test_paths_print_relative_to_base_path(folder, monkeypatch):
    threes = folder / "train" / "3"
    assert repr(threes) == f"Path('{threes.as_posix()}')"
    monkeypatch.setattr(Path, "BASE_PATH", folder)
    assert repr(threes) == "Path('train/3')"
    assert str(threes) == f"{folder}/train/3".replace("/", threes.anchor[-1])
    assert repr(folder) == "Path('.')"
    assert repr(Path("/elsewhere")) == "Path('/elsewhere')"
    assert repr(Path("a/b")) == "Path('a/b')"


def test_ls_prints_as_in_a_notebook(folder, monkeypatch):
    monkeypatch.setattr(Path, "BASE_PATH", folder)
    names = L("valid", "labels.csv", "train").map(lambda o: folder / o)
    assert repr(names) == "(#3) [Path('valid'),Path('labels.csv'),Path('train')]"
    assert repr(folder.ls()) == "(#3) [Path('labels.csv'),Path('train'),Path('valid')]"
    threes = (folder / "train" / "3").ls().sorted()
    assert repr(threes) == "(#2) [Path('train/3/1.JPG'),Path('train/3/10.png')]"


def test_ls_filters_by_ending_and_stops_early(folder):
    threes = folder / "train/3"
    assert threes.ls(file_exts=".png").attrgot("name") == ["10.png"]
    assert threes.ls(file_exts=["jpg", ".PNG"]).attrgot("name") == ["1.JPG", "10.png"]
    assert len(folder.ls(n_max=2)) == 2


def test_ls_says_how_far_the_path_is_right(folder):
    with pytest.raises(FileNotFoundError, match=r"has no 'tran'\. Did you mean `train`\?"):
        (folder / "tran" / "3").ls()
    with pytest.raises(NotADirectoryError, match=r"labels.csv' is a file, and `ls` lists folders"):
        (folder / "labels.csv").ls()


def test_every_way_to_a_path_gives_this_class(folder):
    for made in (folder / "a", folder.parent, folder.ls()[0], Path.cwd(), Path.home()):
        assert type(made) is Path
    assert type(folder.with_suffix(".x")) is type(folder.resolve()) is Path
    assert type(next(iter(folder.glob("*")))) is Path


def test_it_is_a_path_to_everyone_else(folder):
    assert isinstance(folder, pathlib.Path)
    assert folder == pathlib.Path(folder) and hash(folder) == hash(pathlib.Path(folder))
    assert pickle.loads(pickle.dumps(folder)) == copy.deepcopy(folder) == folder
    assert type(pickle.loads(pickle.dumps(folder))) is Path
    assert sorted([folder / "b", pathlib.Path(folder) / "a"])[0].name == "a"


def test_cache_dir_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("PRESIZE_HOME", str(tmp_path / "mine"))
    assert cache_dir() == tmp_path / "mine"
    assert archive_dir() == tmp_path / "mine/archive"
    assert data_dir() == tmp_path / "mine/data"
    assert not cache_dir().exists()
    monkeypatch.delenv("PRESIZE_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "presize"
    for ignored in ("relative", ""):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert cache_dir() == Path.home() / ".cache/presize"
    monkeypatch.setenv("PRESIZE_HOME", "~/x")
    assert cache_dir() == Path.home() / "x"
