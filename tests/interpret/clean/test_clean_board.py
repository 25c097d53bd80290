import dataclasses
import os

import pytest

from presize.core.errors import DataError
from presize.data.decisions import Decisions
from presize.interpret.clean.board import Board
from presize.interpret.suspects import Suspect, Suspects


@pytest.fixture
def board(found, tmp_path):
    return Board(found, Decisions(tmp_path / "d.csv", root=found.root))


def rows(board):
    return {k: (v.decision, v.label) for k, v in Decisions.read(board.decisions.path).items()}


def test_decisions_are_written_with_what_is_known_of_the_picture(board):
    answer = board.decide([{"id": 4, "decision": "relabel", "label": "boxer"}])
    assert answer == {"changes": [{"id": 4, "decision": "relabel", "label": "boxer"}], "undo": 1}
    row = Decisions.read(board.decisions.path)["pug/c.jpg"]
    assert (row.given, row.reason) == ("pug", "label error; top loss")


def test_several_at_once_are_undone_at_once(board):
    board.decide([{"id": 2, "decision": "drop"}])
    board.decide([{"id": 1, "decision": "keep"}, {"id": 2, "decision": "keep"}])
    assert board.undo()["changes"] == [
        {"id": 1, "decision": None, "label": ""},
        {"id": 2, "decision": "drop", "label": ""},
    ]
    assert rows(board) == {"boxer/a.jpg": ("drop", "")}
    board.undo()
    assert rows(board) == {} and board.undo() == {"changes": [], "undo": 0}


def test_what_is_taken_back_is_open_again(board):
    board.decide([{"id": 1, "decision": "drop"}])
    board.decide([{"id": 1, "decision": None}])
    assert rows(board) == {} and board.state()["suspects"][1]["decision"] is None


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"id": 99, "decision": "drop"}, IndexError),
        ({"id": -1, "decision": "drop"}, IndexError),
        ({"id": "../x", "decision": "drop"}, DataError),
        ({"id": 1, "decision": "delete"}, DataError),
        ({"id": 1, "decision": "relabel"}, DataError),
        ({"id": 1, "decision": "relabel", "label": 3}, DataError),
        ({"id": 1, "decision": "relabel", "label": "two\nlines"}, DataError),
        ({"id": 1, "decision": "relabel", "label": "x" * 1001}, DataError),
        ({"decision": "drop"}, KeyError),
    ],
)
def test_a_change_that_makes_no_sense_changes_nothing(board, change, error):
    with pytest.raises(error):
        board.decide([{"id": 3, "decision": "keep"}, change])
    assert not board.decisions.path.exists() and board.state()["undo"] == 0


def test_labels_that_were_taken_over_are_shown_as_they_were(found, tmp_path):
    """Data read with the decisions has the new label: to keep the picture must not undo it."""
    made = Decisions(tmp_path / "d.csv", root=found.root)
    made.decide("pug/c.jpg", "relabel", label="boxer", given="pug")
    listed = list(found)
    listed[4] = dataclasses.replace(listed[4], given="boxer", likely=(("pug", 0.9),))
    board = Board(dataclasses.replace(found, listed=listed), made)
    told = board.state()["suspects"][4]
    assert (told["given"], told["decision"], told["label"]) == ("pug", "relabel", "boxer")
    assert told["likely"] == []
    board.decide([{"id": 4, "decision": "relabel", "label": "puli"}])
    assert Decisions.read(made.path)["pug/c.jpg"].given == "pug"


def test_odd_labels_come_back_as_they_are(tmp_path):
    odd = os.fsdecode(b"caf\xe9")
    one = Suspect(
        file=str(tmp_path / "a.jpg"), reasons=("top loss",), notes=("x",), score=1, given="b"
    )
    board = Board(
        Suspects(listed=[one], root=tmp_path, vocab=[odd]), Decisions(tmp_path / "d.csv", tmp_path)
    )
    shown = board.state()["vocab"][0]
    assert shown == r"caf\udce9"
    board.decide([{"id": 0, "decision": "relabel", "label": shown}])
    assert Decisions.read(tmp_path / "d.csv")["a.jpg"].label == odd


def test_the_summary_counts(board):
    assert board.summary() == "0 of 9 decided"
    board.decide([{"id": 1, "decision": "keep"}, {"id": 2, "decision": "drop"}])
    board.decisions.decide("elsewhere.jpg", "drop")
    assert board.summary() == "2 of 9 decided (1 keep, 2 drop)"


def test_undo_leads_back_to_what_another_has_decided(board):
    Decisions(board.decisions.path, board.decisions.root).decide("pug/a.jpg", "drop")
    board.decide([{"id": 1, "decision": "keep"}])
    assert board.undo()["changes"] == [{"id": 1, "decision": "drop", "label": ""}]
    assert rows(board) == {"pug/a.jpg": ("drop", "")}
