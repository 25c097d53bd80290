import hashlib
import json
import random
import socket

import pytest

from presize.core.errors import DownloadError
from presize.data import transfer
from presize.data.transfer import check_file, download

BODY = random.Random(0).randbytes(1_000_000)
SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(transfer.time, "sleep", lambda _: None)


@pytest.fixture
def target(tmp_path):
    return tmp_path / "archive/x.tgz"


def fetch(web, target, **options):
    web.files.setdefault("x.tgz", BODY)
    download(web.url("x.tgz"), target, **({"progress": False} | options))
    return target.read_bytes()


def leave_part(web, target, length, **note):
    """Leave what a transfer that broke off at `length` leaves."""
    target.parent.mkdir()
    target.with_name("x.tgz.part").write_bytes(BODY[:length])
    note = {"url": web.url("x.tgz"), "etag": '"one"', "last_modified": None, "total": 10**6} | note
    target.with_name("x.tgz.part.json").write_text(json.dumps(note))


def ranges(web):
    return [headers.get("Range") for _, headers in web.asked]


def test_a_file_comes_whole_and_leaves_nothing_beside_it(web, target):
    assert fetch(web, target, sha256=SHA256.upper(), size=len(BODY)) == BODY
    assert [o.name for o in target.parent.iterdir()] == ["x.tgz"]
    assert ranges(web) == [None]


def test_redirects_are_followed(web, target):
    web.files["elsewhere.bin"] = BODY
    web.redirects["x.tgz"] = web.url("elsewhere.bin")
    download(web.url("x.tgz"), target, progress=False)
    assert target.read_bytes() == BODY


def test_file_urls(tmp_path, target):
    (tmp_path / "source.bin").write_bytes(BODY)
    download((tmp_path / "source.bin").as_uri(), target, progress=False)
    assert target.read_bytes() == BODY
    with pytest.raises(DownloadError, match=r"could not be downloaded.*No such file"):
        download((tmp_path / "none.bin").as_uri(), target, progress=False)


def test_a_broken_connection_goes_on_where_it_stopped(web, target):
    web.break_after = [300_000, 200_000]
    assert fetch(web, target) == BODY
    assert ranges(web) == [None, "bytes=300000-", "bytes=500000-"]
    assert web.asked[1][1]["If-Range"] == '"one"'


def test_an_earlier_run_is_gone_on_with(web, target):
    leave_part(web, target, 400_000)
    assert fetch(web, target) == BODY
    assert ranges(web) == ["bytes=400000-"]


def test_a_part_that_is_whole_needs_no_connection(web, target):
    leave_part(web, target, len(BODY))
    assert fetch(web, target) == BODY
    assert web.asked == []


@pytest.mark.parametrize(
    ("etag", "modified", "if_range"),
    [
        ('"one"', None, '"one"'),
        (None, "Mon, 02 Nov 2026 10:00:00 GMT", "Mon, 02 Nov 2026 10:00:00 GMT"),
        ('W/"weak"', "Mon, 02 Nov 2026 10:00:00 GMT", "Mon, 02 Nov 2026 10:00:00 GMT"),
        ('W/"weak"', None, None),
        (None, None, None),
    ],
)
def test_what_tells_versions_apart_is_asked_for(web, target, etag, modified, if_range):
    web.etag, web.modified, web.break_after = etag, modified, [500_000]
    assert fetch(web, target) == BODY
    assert ranges(web)[1] == "bytes=500000-"
    assert web.asked[1][1]["If-Range"] == if_range


@pytest.mark.parametrize("honest", [True, False])
def test_a_file_that_changed_is_fetched_from_the_start(web, target, honest):
    leave_part(web, target, 400_000, etag='"old"')
    if not honest:  # the server does not heed If-Range: its answer gives it away
        web.etag = '"old"'
        web.files["x.tgz"] = BODY + b"more"
        assert fetch(web, target) == BODY + b"more"
    else:
        assert fetch(web, target) == BODY
    assert ranges(web)[0] == "bytes=400000-"


def test_a_part_of_another_url_or_without_a_note_is_not_used(web, target):
    leave_part(web, target, 400_000, url="http://example.org/x.tgz")
    assert fetch(web, target) == BODY
    target.with_name("x.tgz.part").write_bytes(b"wrong")
    assert fetch(web, target) == BODY
    assert ranges(web) == [None, None]


def test_a_server_without_ranges_sends_all_again(web, target):
    web.ranges, web.break_after = False, [300_000]
    assert fetch(web, target) == BODY


def test_without_a_length_the_end_of_the_connection_is_the_end(web, target):
    web.with_length = False
    assert fetch(web, target, sha256=SHA256) == BODY


def test_a_part_that_is_too_long_is_thrown_away(web, target):
    leave_part(web, target, 400_000, total=None)
    target.with_name("x.tgz.part").write_bytes(BODY + b"!")
    assert fetch(web, target) == BODY


def test_joined_pieces_that_do_not_fit_are_fetched_once_more(web, target):
    leave_part(web, target, 400_000)
    target.with_name("x.tgz.part").write_bytes(b"\0" * 400_000)
    assert fetch(web, target, sha256=SHA256) == BODY
    assert ranges(web) == ["bytes=400000-", None]


def test_errors_that_pass_are_tried_again(web, target):
    web.answers = [503, 500, 429]
    assert fetch(web, target) == BODY
    assert len(web.asked) == 4


def test_other_errors_are_not(web, target):
    web.answers = [403]
    with pytest.raises(DownloadError, match=r"x.tgz could not be downloaded: .* 403 Forbidden"):
        fetch(web, target)
    assert len(web.asked) == 1
    with pytest.raises(DownloadError, match="404 Not Found"):
        download(web.url("nothing.tgz"), target, progress=False)


def test_a_connection_that_always_breaks_is_given_up(web, target):
    web.ranges = False
    web.break_after = [1000] * 20
    with pytest.raises(DownloadError, match="the connection broke after 1000 of 1000000 bytes"):
        fetch(web, target, retries=3)
    assert len(web.asked) == 5  # the first brought something, three retries more were allowed
    assert target.with_name("x.tgz.part").exists()


def test_a_connection_that_brings_a_little_each_time_is_not_given_up(web, target):
    web.break_after = [100_000] * 9
    assert fetch(web, target, retries=0) == BODY
    assert len(web.asked) == 10


def test_a_server_that_falls_silent_counts_as_broken(web, target):
    web.break_after, web.stall = [1000], [True]
    assert fetch(web, target, timeout=0.2) == BODY
    assert ranges(web) == [None, "bytes=1000-"]


def test_offline_is_known_at_once(target):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/x.tgz"
        with pytest.raises(DownloadError, match=r"x.tgz could not be downloaded: .*refused"):
            download(url, target, progress=False)


def test_another_hash_or_length_is_refused_and_not_kept(web, target):
    with pytest.raises(DownloadError, match=f"has the SHA-256 {SHA256}, expected aaa"):
        fetch(web, target, sha256="aaa")
    assert list(target.parent.iterdir()) == []
    with pytest.raises(DownloadError, match=r"has 1000000 bytes, expected 5.*size=1000000"):
        fetch(web, target, size=5)
    assert list(target.parent.iterdir()) == []


def test_the_wrong_length_is_noticed_before_anything_is_fetched(web, target):
    web.break_after = [10] * 5
    with pytest.raises(DownloadError, match="expected 5"):
        fetch(web, target, size=5)
    assert len(web.asked) == 1


def test_an_old_file_stays_until_the_new_one_is_whole(web, target):
    target.parent.mkdir()
    target.write_bytes(b"old")
    with pytest.raises(DownloadError):
        fetch(web, target, sha256="aaa")
    assert target.read_bytes() == b"old"
    assert fetch(web, target) == BODY


def test_a_full_disk_is_noticed_before_it_is_full(web, target, monkeypatch):
    usage = transfer.shutil.disk_usage("/")
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda _: usage._replace(free=500_000))
    with pytest.raises(DownloadError, match=r"has 0.0 GB, but only 0.0 GB are free .*PRESIZE_HOME"):
        fetch(web, target)


@pytest.mark.parametrize("url", ["gopher://x/y.tgz", "http://a b/c.tgz"])
def test_what_is_no_url(url, target):
    with pytest.raises(DownloadError):
        download(url, target, progress=False)


def test_a_log_is_told_of_a_long_download_on_the_error_stream(web, target, capsys, monkeypatch):
    monkeypatch.setattr("presize.core.progress.PLAIN_SECONDS", 0.0)
    monkeypatch.setattr("presize.core.progress.DELAY_SECONDS", 0.0)
    fetch(web, target, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1] == "x.tgz: 1.0 MB/1.0 MB in 0:00"


def test_check_file(tmp_path):
    file = tmp_path / "x"
    file.write_bytes(BODY)
    check_file(file, file)
    check_file(file, "x", sha256=SHA256, size=len(BODY))
    with pytest.raises(DownloadError, match="x has 1000000 bytes, expected 1"):
        check_file(file, "x", size=1)
