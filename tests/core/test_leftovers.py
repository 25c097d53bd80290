"""Parts of files go when the program that wrote them is no more."""

import os
import subprocess
import sys

from presize.core.leftovers import remove_leftovers


def test_parts_of_dead_programs_go_and_all_else_stays(tmp_path):
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    dead = tmp_path / f".table.csv.{done.pid}.part"
    kept = [f".table.csv.{os.getpid()}.part", f".other.csv.{done.pid}.part", "table.csv", ".x.part"]
    for name in [dead.name, *kept]:
        (tmp_path / name).touch()
    remove_leftovers(tmp_path / "table.csv")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(kept)


def test_a_folder_that_is_not_there_is_no_error(tmp_path):
    remove_leftovers(tmp_path / "nowhere" / "table.csv")
