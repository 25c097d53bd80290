import pytest

from presize.core.progress import working
from presize.data import progress
from presize.data.progress import fetching, reading


@pytest.fixture
def at_once(monkeypatch):
    """Draw bars of short work, too, and at every step."""
    monkeypatch.setattr("presize.core.progress.REFRESH_SECONDS", 0.0)
    monkeypatch.setattr(progress, "working", lambda *a, **k: working(*a, delay=0, **k))


def test_a_file_is_read_whole_and_the_bar_tells_how_far(tmp_path, terminal, at_once):
    file = tmp_path / "x.tar"
    file.write_bytes(bytes(range(256)) * 2000)
    with reading(file, "unpacking", show=True) as opened:
        first = opened.read(2)
        assert terminal.lines()[0].startswith("unpacking  ━")
        assert "65.5 kB/512.0 kB" in terminal.lines()[0]
        opened.seek(0)
        assert opened.read() == file.read_bytes() and first == b"\x00\x01"
    assert opened.closed and terminal.lines() == [""]


def test_a_download_whose_length_is_not_known_has_no_bar_but_a_count(terminal, at_once):
    with fetching("pets.tgz", show=True) as bar:
        bar.at(1_234_567, None)
        (line,) = terminal.lines()
        assert line.startswith("pets.tgz  1.2 MB") and "━" not in line
        bar.at(1_300_000, 2_600_000)
        assert "━" in terminal.lines()[0] and "1.3 MB/2.6 MB" in terminal.lines()[0]
    assert terminal.lines() == [""]


def test_nothing_is_shown_unless_it_is_wanted(terminal, at_once, tmp_path):
    with fetching("pets.tgz", show=False) as bar:
        bar.at(1, 2)
        assert terminal.lines() == [""]
