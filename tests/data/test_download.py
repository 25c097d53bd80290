import hashlib
import io
import shutil
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path as PlainPath
from urllib.error import URLError

import pytest

from presize.core.errors import DownloadError
from presize.core.paths import Path, archive_dir, data_dir
from presize.data import download as module
from presize.data.download import untar_data
from presize.data.urls import URLs


def packed(**files):
    """Return the bytes of a .tgz with one folder `pets`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, body in files.items():
            member = tarfile.TarInfo(f"pets/{name}.txt")
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    return buffer.getvalue()


BODY = packed(a=b"one", b=b"two")


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("PRESIZE_HOME", str(tmp_path / "home"))


@pytest.fixture
def url(web):
    web.files["pets.tgz"] = BODY
    return web.url("pets.tgz")


def names(folder):
    return sorted(o.name for o in folder.iterdir())


def get(url, **options):
    return untar_data(url, progress=False, **options)


def test_the_first_call_fetches_and_later_ones_do_not(url, web):
    folder = get(url)
    assert folder == data_dir() / "pets"
    assert type(folder) is Path
    assert names(folder) == ["a.txt", "b.txt"]
    assert names(archive_dir()) == ["pets.tgz"]
    assert get(url) == folder
    assert len(web.asked) == 1


def test_the_folders_can_be_chosen(url, tmp_path):
    folder = get(url, archive=tmp_path / "arch", data=str(tmp_path / "sets"))
    assert folder == tmp_path / "sets/pets"
    assert names(tmp_path / "arch") == ["pets.tgz"]
    assert not data_dir().exists()


def test_a_deleted_folder_comes_from_the_kept_archive(url, web):
    shutil.rmtree(get(url))
    assert names(get(url)) == ["a.txt", "b.txt"]
    assert len(web.asked) == 1


def test_force_download_replaces_both(url, web):
    folder = get(url)
    (folder / "mine.txt").touch()
    web.files["pets.tgz"] = packed(c=b"three")
    web.etag = '"two"'
    assert names(get(url)) == ["a.txt", "b.txt", "mine.txt"]
    assert names(get(url, force_download=True)) == ["c.txt"]


def test_hash_and_length_are_checked(url):
    digest = hashlib.sha256(BODY).hexdigest()
    with pytest.raises(DownloadError, match=r"expected 00ff: it is another file(.|\n)*ways out"):
        get(url, sha256="00ff")
    assert not (data_dir() / "pets").exists()
    assert names(get(url, sha256=digest, size=len(BODY)))


def test_the_length_of_known_data_sets_is_checked(web, monkeypatch):
    web.files["pets.tgz"] = BODY
    monkeypatch.setitem(module.SIZES, web.url("pets.tgz"), 5)
    with pytest.raises(DownloadError, match=f"has {len(BODY)} bytes, expected 5"):
        get(web.url("pets.tgz"))
    assert get(web.url("pets.tgz"), size=len(BODY)).is_dir()


# Without a network


@pytest.fixture
def offline(monkeypatch):
    def refuse(request, timeout):
        raise URLError("there is no network")

    monkeypatch.setattr("presize.data.transfer.urlopen", refuse)


@pytest.mark.usefixtures("offline")
def test_offline_the_error_says_the_url_and_three_ways_out():
    with pytest.raises(DownloadError) as caught:
        get(URLs.MNIST_SAMPLE)
    message = str(caught.value)
    assert f"{URLs.MNIST_SAMPLE} could not be downloaded: there is no network." in message
    assert "Three ways out" in message
    assert f"put it here: {archive_dir() / 'mnist_sample.tgz'}" in message
    assert f"unpacked folder here: {data_dir() / 'mnist_sample'}" in message
    assert "PRESIZE_HOME" in message


@pytest.mark.usefixtures("offline")
def test_an_archive_put_there_by_hand_is_used(tmp_path, monkeypatch):
    source = tmp_path / "mnist_sample"
    for name in ("labels.csv", "train/3/10.png", "train/7/1.png", "valid/3/5.png"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).touch()
    archive_dir().mkdir(parents=True)
    with tarfile.open(archive_dir() / "mnist_sample.tgz", "w:gz") as tar:
        tar.add(source, source.name)
    path = get(URLs.MNIST_SAMPLE)
    monkeypatch.setattr(Path, "BASE_PATH", path)
    assert repr(path.ls()) == "(#3) [Path('labels.csv'),Path('train'),Path('valid')]"
    assert repr((path / "train").ls()) == "(#2) [Path('train/3'),Path('train/7')]"


@pytest.mark.usefixtures("offline")
def test_a_folder_put_there_by_hand_is_used():
    (data_dir() / "mnist_sample/train").mkdir(parents=True)
    assert get(URLs.MNIST_SAMPLE).ls() == [data_dir() / "mnist_sample/train"]


@pytest.mark.usefixtures("offline")
def test_an_empty_folder_is_not_taken_for_the_data():
    (data_dir() / "mnist_sample").mkdir(parents=True)
    with pytest.raises(DownloadError, match="could not be downloaded"):
        get(URLs.MNIST_SAMPLE)


@pytest.mark.usefixtures("offline")
def test_force_download_without_a_network_loses_nothing():
    archive_dir().mkdir(parents=True)
    (archive_dir() / "mnist_sample.tgz").write_bytes(BODY)
    folder = get(URLs.MNIST_SAMPLE)
    with pytest.raises(DownloadError):
        get(URLs.MNIST_SAMPLE, force_download=True)
    assert names(folder) == ["a.txt", "b.txt"]
    assert (archive_dir() / "mnist_sample.tgz").read_bytes() == BODY


# Archives on this machine


@pytest.mark.parametrize("kind", [str, PlainPath, PlainPath.as_uri])
def test_a_local_archive_is_unpacked_where_data_sets_are_and_stays_where_it_is(tmp_path, kind):
    archive = tmp_path / "pets.tgz"
    archive.write_bytes(BODY)
    folder = get(kind(archive))
    assert folder == data_dir() / "pets" and names(folder) == ["a.txt", "b.txt"]
    assert archive.exists() and not archive_dir().exists()
    archive.write_bytes(packed(c=b"three"))
    assert names(get(kind(archive), force_download=True)) == ["c.txt"]
    with pytest.raises(DownloadError, match="has the SHA-256"):
        get(kind(archive), force_download=True, sha256="0")


def test_what_is_no_archive_here(tmp_path):
    with pytest.raises(DownloadError, match="is a folder, not an archive: use it as it is"):
        get(tmp_path)
    with pytest.raises(DownloadError, match=r"There is no archive .*none.tgz'. untar_data takes"):
        get(tmp_path / "none.tgz")
    with pytest.raises(DownloadError, match=r"Did you mean `URLs.MNIST_SAMPLE`"):
        get("mnist_sample")
    data_dir().mkdir(parents=True)
    (data_dir() / "pets").touch()
    (tmp_path / "pets.tgz").write_bytes(BODY)
    with pytest.raises(DownloadError, match="pets' is a file; the data set's folder would be"):
        get(tmp_path / "pets.tgz")


# Archives that are not what they should be


def test_a_web_page_in_the_place_of_an_archive_is_named_and_removed(url, web):
    web.files["pets.tgz"] = b"<!DOCTYPE html><p>Please log in</p>"
    with pytest.raises(DownloadError, match=r"no archive .* It is a web page.*was removed"):
        get(url)
    assert not (archive_dir() / "pets.tgz").exists()
    web.files["pets.tgz"] = BODY
    assert names(get(url)) == ["a.txt", "b.txt"]


def test_a_broken_archive_that_the_user_put_there_is_left(url):
    archive_dir().mkdir(parents=True)
    (archive_dir() / "pets.tgz").write_bytes(BODY[:50])
    with pytest.raises(DownloadError, match=r"pets.tgz is cut short, broken or no archive"):
        get(url)
    assert (archive_dir() / "pets.tgz").exists()


def test_two_archives_of_one_name_are_told_apart(url, web):
    folder = get(url)
    web.files["other/pets.tgz"] = packed(c=b"three")
    with pytest.warns(UserWarning, match=r"was unpacked from .*/pets.tgz, and is used for .*other"):
        assert get(web.url("other/pets.tgz")) == folder
    with pytest.warns(UserWarning, match="was unpacked from"):
        get(web.url("other/pets.tgz"))


def test_those_who_ask_at_the_same_time_fetch_once(url, web):
    with ThreadPoolExecutor(4) as pool:  # the lock holds for threads as for processes
        folders = list(pool.map(get, [url] * 4))
    assert set(folders) == {data_dir() / "pets"}
    assert names(folders[0]) == ["a.txt", "b.txt"]
    assert len(web.asked) == 1
