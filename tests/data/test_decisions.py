import csv
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from presize.core.errors import DataError
from presize.data.decisionrows import Decision, from_text, to_text
from presize.data.decisions import Decisions, DecisionsNotFoundError

HEAD = "file,decision,label,given,reason,time\n"


def written(folder: Path, text: str) -> Path:
    file = folder / "decisions.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_each_decision_is_on_the_disk_at_once(tmp_path):
    made = Decisions(tmp_path / "out/decisions.csv", root=tmp_path / "data")
    assert len(made) == 0 and not made.path.exists()
    made.decide(tmp_path / "data/pug/1.jpg", "relabel", label="boxer", given="pug", reason="loss")
    made.decide("pug/2.jpg", "drop")
    made.decide(tmp_path / "elsewhere/3.jpg", "keep")
    with made.path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    outside = (tmp_path / "elsewhere/3.jpg").as_posix()
    assert [row["file"] for row in rows] == ["pug/1.jpg", "pug/2.jpg", outside]
    assert rows[0]["label"] == "boxer" and rows[0]["given"] == "pug" and rows[0]["time"]
    again = Decisions.read(made.path, root=tmp_path / "data")
    assert dict(again) == dict(made) and again.of(tmp_path / "data/pug/2.jpg").decision == "drop"
    assert again.counts() == {"keep": 1, "relabel": 1, "drop": 1}
    assert list(tmp_path.joinpath("out").iterdir()) == [made.path]  # no part is left


def test_paths_may_be_relative_to_the_current_folder_or_to_that_of_the_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = Decisions("d.csv", root="photos")
    made.decide("photos/cat/1.jpg", "drop")
    made.decide("cat/1.jpg", "keep")
    made.decide("./photos/../photos/cat/2.jpg", "drop")
    assert dict(made.counts()) == {"keep": 1, "relabel": 0, "drop": 1}
    assert list(made) == ["cat/1.jpg", "cat/2.jpg"]
    made.put([Decision("photos/cat/1.jpg", "drop")])  # as the CSV has it: photos/photos/cat/1.jpg
    assert list(Decisions.read("d.csv", "photos"))[-1] == "photos/cat/1.jpg"


def test_a_decision_takes_the_place_of_the_one_before_and_can_be_taken_back(tmp_path):
    made = Decisions(tmp_path / "d.csv")
    made.decide("a.jpg", "drop")
    made.decide("a.jpg", "relabel", label="cat")
    assert [row.decision for row in Decisions.read(made.path).values()] == ["relabel"]
    made.forget("a.jpg", "never.jpg")
    assert len(Decisions.read(made.path)) == 0 and "none yet" in repr(made)


def test_what_another_wrote_in_between_stays(tmp_path):
    mine, other = Decisions(tmp_path / "d.csv"), Decisions(tmp_path / "d.csv")
    mine.decide("a.jpg", "drop")
    other.decide("b.jpg", "keep")
    mine.decide("c.jpg", "drop")
    assert set(Decisions.read(tmp_path / "d.csv")) == {"a.jpg", "b.jpg", "c.jpg"}


@pytest.mark.skipif(sys.platform == "win32", reason="there the last one wins")
def test_processes_that_decide_at_once_lose_nothing(tmp_path):
    code = (
        "import sys; from presize.data.decisions import Decisions\n"
        "made = Decisions(sys.argv[1]); sys.stdin.readline()\n"
        "for i in range(40): made.decide(f'{sys.argv[2]}{i}.jpg', 'drop')\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "d.csv")]
    paths = {"PYTHONPATH": os.pathsep.join(sys.path)}
    children = [
        subprocess.Popen([*command, name], stdin=subprocess.PIPE, env=os.environ | paths)
        for name in "ab"
    ]
    for child in children:
        child.stdin.write(b"go\n")
        child.stdin.flush()
    for child in children:
        child.communicate()
    assert len(Decisions.read(tmp_path / "d.csv")) == 80


def test_threads_lose_nothing(tmp_path):
    made = Decisions(tmp_path / "d.csv")
    threads = [threading.Thread(target=made.decide, args=(f"{i}.jpg", "drop")) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Decisions.read(made.path)) == 12


def test_a_process_killed_while_it_decides_leaves_a_whole_file(tmp_path):
    code = (
        "import sys; from presize.data.decisions import Decisions\n"
        "made = Decisions(sys.argv[1])\n"
        "for i in range(100000): made.decide(f'{i}.jpg', 'drop'); print(i, flush=True)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "d.csv")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        told = [child.stdout.readline() for _ in range(40)]
        child.kill()
        told += child.stdout.readlines()
    there = Decisions.read(tmp_path / "d.csv")
    assert {f"{i.strip()}.jpg" for i in told} <= set(there)


def test_a_spreadsheet_may_have_been_there(tmp_path):
    text = "\ufeffnotes;Decision;FILE\r\nwhy not;Drop;a b.jpg\r\n;;\r\n\r\nx;KEEP;ü.jpg\r\n"
    made = Decisions.read(written(tmp_path, text))
    assert [(row.file, row.decision) for row in made.values()] == [
        ("a b.jpg", "drop"),
        ("ü.jpg", "keep"),
    ]


def test_an_empty_file_has_no_decisions(tmp_path):
    assert len(Decisions.read(written(tmp_path, ""))) == 0
    assert len(Decisions.read(written(tmp_path, HEAD))) == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            HEAD + "a.jpg,keep\nb.jpg,dorp\n",
            r"line 3, column 2 \(decision\): `dorp` is no .*`drop`",
        ),
        (HEAD + "a.jpg,relabel,,pug\n", r"line 2, column 3 \(label\): `a.jpg` is to be relabelled"),
        (HEAD + '"a\nb.jpg",keep\n,drop\n', r"line 4, column 1 \(file\): there is no name"),
        (HEAD + "a.jpg,keep\na.jpg,drop\n", r"line 3, column file: `a.jpg` stands in line 2 alr"),
        ("file,decision\na.jpg,relabel\n", r"line 2, column \(label\): `a.jpg` is to be relab"),
        ("fname,label\n1.jpg,cat\n", r"line 1: there is no column `file`.*fname, label"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path, text, said):
    file = written(tmp_path, text)
    with pytest.raises(DataError, match=rf"decisions.csv`, {said}"):
        Decisions(file)
    assert file.read_text() == text


def test_the_same_decision_twice_is_one(tmp_path):
    assert len(Decisions.read(written(tmp_path, HEAD + "a.jpg,drop\na.jpg,drop\n"))) == 1


def test_a_file_that_is_not_there_is_told_with_the_way_to_make_one(tmp_path):
    with pytest.raises(DecisionsNotFoundError, match=r"learn.clean\(out=...\)` or `presize clean"):
        Decisions.read(tmp_path / "d.csv")
    assert issubclass(DecisionsNotFoundError, FileNotFoundError)


def test_only_what_makes_sense_can_be_decided(tmp_path):
    made = Decisions(tmp_path / "d.csv")
    with pytest.raises(DataError, match="no decision: it is keep, relabel or drop"):
        made.decide("a.jpg", "remove")
    with pytest.raises(DataError, match="does not say as what"):
        made.decide("a.jpg", "relabel", label=" ")
    assert not made.path.exists()


def test_a_file_that_cannot_be_written_changes_nothing(tmp_path):
    made = Decisions(tmp_path / "d.csv")
    made.decide("a.jpg", "drop")
    made.path = tmp_path / "d.csv" / "below.csv"
    made._seen = None
    with pytest.raises(OSError):
        made.decide("b.jpg", "drop")
    assert "b.jpg" not in made


def test_a_link_stays_one_and_permissions_stay(tmp_path):
    real = tmp_path / "real.csv"
    Decisions(real).decide("a.jpg", "keep")
    real.chmod(0o640)
    (tmp_path / "link.csv").symlink_to(real)
    Decisions(tmp_path / "link.csv").decide("b.jpg", "drop")
    assert (tmp_path / "link.csv").is_symlink() and len(Decisions.read(real)) == 2
    assert real.stat().st_mode & 0o777 == 0o640


def test_the_table_has_the_columns_of_the_file(tmp_path):
    made = Decisions(tmp_path / "d.csv")
    made.decide("a.jpg", "relabel", label="cat;dog")
    frame = made.to_frame()
    assert ",".join(frame.columns) + "\n" == HEAD and made["a.jpg"].labels == ["cat", "dog"]
    assert len(frame) == 1 and frame.label[0] == "cat;dog"


# A text that no file name has: NUL, and the line ends that csv makes one of.
names = st.text(
    st.characters(blacklist_characters="\0\r\n", blacklist_categories=["Cs"]), min_size=1
)
spoken = st.text(st.characters(blacklist_characters="\0\r", blacklist_categories=["Cs"]))


@given(st.dictionaries(names, st.tuples(spoken, spoken, spoken), max_size=5))
def test_whatever_is_written_is_read_again(rows):
    made = [Decision(name, "drop", "", *rest) for name, rest in rows.items()]
    made = [row for row in made if row.file.strip()]
    assert from_text(to_text(made), "x") == made


def test_names_that_are_no_text_come_back(tmp_path):
    name = os.fsdecode(b"caf\xe9.jpg")
    Decisions(tmp_path / "d.csv").decide(name, "drop")
    assert list(Decisions.read(tmp_path / "d.csv")) == [name]


@pytest.mark.parametrize("name", ["a\rb.jpg", "a\r\nb.jpg", 'a\nb,;\t".jpg'])
def test_names_with_line_ends_come_back(tmp_path, name):
    made = Decisions(tmp_path / "d.csv")
    made.decide(name, "drop")
    made.decide("plain.jpg", "keep")
    assert list(Decisions.read(tmp_path / "d.csv")) == [name, "plain.jpg"]
    assert "\nplain.jpg,keep" in made.path.read_text()  # and only what needs it is in quotes


def test_a_file_is_named_by_the_data_also_from_a_folder_inside_of_it(tmp_path, monkeypatch):
    (tmp_path / "data/train/pug").mkdir(parents=True)
    (tmp_path / "data/train/pug/1.jpg").touch()
    made = Decisions(tmp_path / "d.csv", root=tmp_path / "data")
    monkeypatch.chdir(tmp_path / "data/train")
    made.decide("train/pug/1.jpg", "drop")
    made.decide("pug/1.jpg", "keep")  # the same, relative to the current folder
    assert {k: v.decision for k, v in made.items()} == {"train/pug/1.jpg": "keep"}


def test_a_change_and_what_it_takes_back_are_one(tmp_path):
    made = Decisions(tmp_path / "d.csv")
    made.decide("a.jpg", "drop")
    made.put([Decision("b.jpg", "keep")], forgotten=["a.jpg"])
    assert list(Decisions.read(made.path)) == ["b.jpg"]


def test_a_folder_is_no_file_of_decisions(tmp_path):
    with pytest.raises(DataError, match="is a folder: name the CSV file of decisions"):
        Decisions(tmp_path)
