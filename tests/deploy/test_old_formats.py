"""Files of every format that ever was: they are read for good, and answer as they did."""

import hashlib
import json
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from presize.deploy.inspection import inspect_file
from presize.deploy.load import load_learner
from presize.train.state import load_meta

FIXTURES = Path(__file__).parent / "fixtures"
PICTURE = FIXTURES / "two.png"
# Written down when the files were.
ANSWERS = {
    1: [0.19252962, 0.48295835, 0.32451200],
    2: [0.22155085, 0.44801933, 0.33042988],
    3: [0.22155653, 0.44799894, 0.33044460],
}


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_file_of_each_format_answers_as_when_it_was_written(version):
    path = FIXTURES / f"version-{version}.safetensors"
    assert load_meta(path)["format"] == version
    learn = load_learner(path)
    assert learn.dls.vocab == ["0", "1", "2"]
    label, number, probabilities = learn.predict(PICTURE)
    assert (str(label), int(number)) == ("1", 1)
    torch.testing.assert_close(probabilities, torch.tensor(ANSWERS[version]), atol=2e-6, rtol=0)
    facts = inspect_file(path)
    assert (facts.format, facts.classes, facts.whole) == (version, ["0", "1", "2"], True)
    assert facts.checksums == {"tensors": True, "header": True if version > 2 else None}


DOCS = Path(__file__).resolve().parents[2] / "docs/model-files.md"
TORCH = {"F32": "float32", "F16": "float16", "I64": "int64", "I32": "int32", "U8": "uint8"}


@pytest.mark.parametrize("version", [1, 2, 3])
def test_the_page_says_what_the_format_is(version):
    """A reader written after the page alone, with nothing but Python."""
    content = (FIXTURES / f"version-{version}.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    entries = json.loads(content[8 : 8 + length])
    outer = json.loads(entries.pop("__metadata__")["presize"])
    meta = outer["meta"]
    assert (outer["format"], meta["kind"], meta["format"]) == (1, "presize model", version)
    for name, same in outer["aliases"].items():
        entries[name] = entries[same]
    total = hashlib.sha256()
    for name, entry in sorted(entries.items()):
        start, end = (8 + length + place for place in entry["data_offsets"])
        total.update(f"{name}|torch.{TORCH[entry['dtype']]}|{tuple(entry['shape'])}|".encode())
        total.update(content[start:end])
    assert total.hexdigest() == meta["sha256"]
    told = meta.pop("sha256_header", None)
    text = json.dumps(meta, sort_keys=True, separators=(",", ":"))
    assert told == (hashlib.sha256(text.encode()).hexdigest() if version == 3 else None)
    parts = {name.partition(":")[0] for name in entries if ":" in name}
    assert parts == {1: set(), 2: {"calibration"}, 3: {"calibration", "drift"}}[version]
    named = set(re.findall(r"^\| `(\w+)`(?:, `(\w+)`)? \|", DOCS.read_text("utf-8"), re.MULTILINE))
    assert set(meta) <= {field for row in named for field in row}


def test_the_reader_on_the_page_runs(tmp_path):
    shutil.copy(FIXTURES / "version-3.safetensors", tmp_path / "pets.safetensors")
    blocks = re.findall(r"```python\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    script = next(block for block in blocks if "safe_open" in block)
    assert "presize" not in script.replace('["presize"]', "")
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "resnet18 ['0', '1', '2']" in done.stdout and "numbers" in done.stdout
