import io
import os
import stat
import sys
import tarfile
import zipfile

import pytest

from presize.core.errors import DownloadError
from presize.data import archives
from presize.data.archives import unpack

FILES = {"pets/train/cat.jpg": b"cat", "pets/labels.csv": b"a,b", "pets/empty/": None}


def write_tar(path, files, mode="w:gz"):
    with tarfile.open(path, mode) as tar:
        for name, body in files.items():
            member = body if isinstance(body, tarfile.TarInfo) else tarfile.TarInfo(name)
            if body is None:
                member.type = tarfile.DIRTYPE
                tar.addfile(member)
            elif isinstance(body, bytes):
                member.size = len(body)
                tar.addfile(member, io.BytesIO(body))
            else:
                tar.addfile(member)
    return path


def write_zip(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in files.items():
            archive.writestr(name, body or b"")
    return path


def link(name, target, kind=tarfile.SYMTYPE):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def special(name, kind):
    member = tarfile.TarInfo(name)
    member.type = kind
    return member


def found(folder):
    """Return all files below a folder, and their bytes."""
    return {
        str(o.relative_to(folder)).replace(os.sep, "/"): o.read_bytes()
        for o in folder.rglob("*")
        if o.is_file()
    }


def run(archive, folder):
    unpack(archive, folder, progress=False)
    return found(folder)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data/pets"


# What is unpacked


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tgz", "tar.bz2", "tar.xz", "zip", "noname"])
def test_every_kind_of_archive_gives_what_is_in_its_only_folder(tmp_path, folder, ending):
    archive = tmp_path / f"x.{ending}"
    mode = {"tar": "w", "tar.bz2": "w:bz2", "tar.xz": "w:xz"}.get(ending, "w:gz")
    write_zip(archive, FILES) if ending == "zip" else write_tar(archive, FILES, mode)
    assert run(archive, folder) == {"train/cat.jpg": b"cat", "labels.csv": b"a,b"}
    assert (folder / "empty").is_dir()
    assert [o.name for o in folder.parent.iterdir()] == ["pets"]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"other/a.jpg": b"1"}, {"a.jpg"}),
        ({"./pets/a.jpg": b"1"}, {"a.jpg"}),
        ({"a.jpg": b"1"}, {"a.jpg"}),
        ({"train/cat/a.jpg": b"1"}, {"train/cat/a.jpg"}),
        ({"pets/a.jpg": b"1", "README": b"2"}, {"pets/a.jpg", "README"}),
        ({"pets/pets/a.jpg": b"1"}, {"pets/a.jpg"}),
        ({"pets/a.jpg": b"1", "__MACOSX/pets/._a.jpg": b"2", ".DS_Store": b"3"}, {"a.jpg"}),
        ({"pets/a.jpg": b"1", "pets/._a.jpg": b"2", "._pets": b"3"}, {"a.jpg"}),
    ],
)
@pytest.mark.parametrize("write", [write_tar, write_zip])
def test_which_folder_is_the_data_sets(tmp_path, folder, files, expected, write):
    assert set(run(write(tmp_path / "x", files), folder)) == expected


def test_what_was_there_is_replaced(tmp_path, folder):
    folder.mkdir(parents=True)
    (folder / "old.jpg").touch()
    assert set(run(write_tar(tmp_path / "x.tgz", FILES), folder)) == {"train/cat.jpg", "labels.csv"}


def test_what_a_killed_run_left_is_cleared_away(tmp_path, folder):
    left = folder.parent / ".pets.unpacking-abc"
    left.mkdir(parents=True)
    (left / "part.jpg").touch()
    other = folder.parent / ".pets2.unpacking-abc"
    other.mkdir()
    run(write_tar(tmp_path / "x.tgz", FILES), folder)
    assert not left.exists()
    assert other.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_links_that_stay_inside_are_kept(tmp_path, folder):
    files = {
        "pets/a/cat.jpg": b"cat",
        "soft": link("pets/b/soft.jpg", "../a/cat.jpg"),
        "hard": link("pets/hard.jpg", "pets/a/cat.jpg", tarfile.LNKTYPE),
    }
    assert run(write_tar(tmp_path / "x.tgz", files), folder) == {
        "a/cat.jpg": b"cat",
        "b/soft.jpg": b"cat",
        "hard.jpg": b"cat",
    }


def test_unpacked_files_can_be_read_and_are_no_programs_of_others(tmp_path, folder):
    member = tarfile.TarInfo("pets/a.jpg")
    member.mode, member.uid = 0o6000, 12345
    run(write_tar(tmp_path / "x.tgz", {"a": member}), folder)
    mode = (folder / "a.jpg").stat().st_mode
    assert mode & stat.S_IRUSR
    assert not mode & (stat.S_ISUID | stat.S_ISGID)


# What is refused

EVIL_TARS = {
    "up": ({"../evil.txt": b"x"}, "'../evil.txt' leads out of the folder"),
    "deep up": ({"pets/../../evil.txt": b"x"}, "leads out of the folder"),
    "absolute": ({"/tmp/evil.txt": b"x"}, "'/tmp/evil.txt' leads out"),
    "drive": ({"C:/evil.txt": b"x"}, "leads out of the folder"),
    "backslash": ({"..\\evil.txt": b"x"}, "leads out of the folder"),
    "link up": ({"l": link("l", "../..")}, "'l' links to '../..'"),
    "link absolute": ({"l": link("l", "/etc/passwd")}, "links to '/etc/passwd'"),
    "link drive": ({"l": link("l", "C:\\x")}, "links to"),
    "link by detour": ({"l": link("a/l", "b/../../../x")}, "links to 'b/../../../x'"),
    "link over link": (
        {"a": link("a/b/one", "../.."), "l": link("two", "a/b/one/..")},
        "'two' links to 'a/b/one/..'",
    ),
    "hard link up": ({"l": link("l", "../x", tarfile.LNKTYPE)}, "'../x' leads out"),
    "through a link": ({"l": link("d", "."), "d/evil.txt": b"x"}, "written through a link"),
    "onto a link": ({"l": link("d", "inside.txt"), "d": b"x"}, "written through a link"),
    "device": ({"d": special("d", tarfile.CHRTYPE)}, "is a device or pipe"),
    "pipe": ({"d": special("d", tarfile.FIFOTYPE)}, "is a device or pipe"),
}


@pytest.mark.parametrize(("files", "message"), EVIL_TARS.values(), ids=EVIL_TARS)
def test_an_evil_tar_is_refused_as_a_whole(tmp_path, folder, files, message):
    archive = write_tar(tmp_path / "x.tgz", {"good.txt": b"good"} | files)
    before = set(tmp_path.rglob("*"))
    with pytest.raises(DownloadError, match="The archive is not safe to unpack") as caught:
        run(archive, folder)
    assert message in str(caught.value)
    assert "Nothing was unpacked" in str(caught.value)
    assert set(tmp_path.rglob("*")) - before <= {folder.parent}


def test_the_standard_librarys_filter_is_asked_too(tmp_path, folder, monkeypatch):
    monkeypatch.setattr(archives, "_check_link", lambda *_: None)
    with pytest.raises(DownloadError, match=r"not safe to unpack.*'l'"):
        run(write_tar(tmp_path / "x.tgz", {"l": link("l", "../../x")}), folder)


def zip_link(name, target):
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info, target


EVIL_ZIPS = {
    "up": ("../evil.txt", "leads out of the folder"),
    "absolute": ("/tmp/evil.txt", "leads out of the folder"),
    "backslash": ("a\\..\\..\\evil.txt", "leads out of the folder"),
    "drive": ("c:evil.txt", "leads out of the folder"),
    "link": (zip_link("l", "/etc")[0], "is a link"),
}


@pytest.mark.parametrize(("name", "message"), EVIL_ZIPS.values(), ids=EVIL_ZIPS)
def test_an_evil_zip_is_refused_as_a_whole(tmp_path, folder, name, message):
    archive = write_zip(tmp_path / "x.zip", {"good.txt": b"good", name: b"x"})
    with pytest.raises(DownloadError, match=rf"not safe to unpack.*{message}. Nothing"):
        run(archive, folder)
    assert list(folder.parent.iterdir()) == []


def test_a_zip_with_a_password_says_so(tmp_path, folder):
    archive = write_zip(tmp_path / "x.zip", {"a.jpg": b"x" * 50})
    raw = bytearray(archive.read_bytes())
    raw[6] |= 1  # the flag in the member's header, and in the list at the end
    raw[raw.rindex(b"PK\1\2") + 8] |= 1
    archive.write_bytes(raw)
    with pytest.raises(DownloadError, match="locked with a password: unpack it by hand"):
        run(archive, folder)


@pytest.mark.parametrize("write", [write_tar, write_zip])
def test_an_archive_larger_than_the_disk_is_refused(tmp_path, folder, write, monkeypatch):
    archive = write(tmp_path / "x", {"bomb.bin": bytes(10**6)})
    usage = archives.shutil.disk_usage("/")
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda _: usage._replace(free=10**5))
    with pytest.raises(DownloadError, match="Unpacking needs more than the 0.0 GB that are free"):
        run(archive, folder)


def test_what_is_no_archive_or_broken_leaves_the_folder_as_it_was(tmp_path, folder):
    folder.mkdir(parents=True)
    (folder / "mine.txt").touch()
    whole = write_tar(tmp_path / "x.tgz", {"pets/a.bin": os.urandom(50_000)}).read_bytes()
    zipped = write_zip(tmp_path / "x.zip", {"a.bin": os.urandom(50_000)}).read_bytes()
    damaged = bytearray(zipped)
    damaged[20_000:20_100] = bytes(100)
    for body in (b"<html>", b"", whole[:30_000], whole[:-40_000] + whole[:100], zipped[:100],
                 bytes(damaged)):  # fmt: skip
        (tmp_path / "x").write_bytes(body)
        with pytest.raises(DownloadError, match="is cut short, broken or no"):
            run(tmp_path / "x", folder)
    assert set(found(folder)) == {"mine.txt"}


def test_an_empty_archive_says_so(tmp_path, folder):
    for archive in (write_tar(tmp_path / "x.tgz", {}), write_zip(tmp_path / "x.zip", {})):
        with pytest.raises(DownloadError, match="nothing in it"):
            run(archive, folder)


def test_a_move_that_fails_puts_the_old_folder_back(tmp_path, folder, monkeypatch):
    folder.mkdir(parents=True)
    (folder / "mine.txt").touch()
    archive = write_tar(tmp_path / "x.tgz", FILES)
    real = archives.Path.rename

    def rename(self, target):
        if target == folder and self.name != "replaced":
            raise PermissionError(13, "in use")
        return real(self, target)

    monkeypatch.setattr(archives.Path, "rename", rename)
    with pytest.raises(OSError, match="in use"):
        run(archive, folder)
    assert set(found(folder)) == {"mine.txt"}
