"""Model files that somebody made to do harm, or that were damaged: refused in words, at no cost."""

import contextlib
import copy
import json
import resource
import shutil
import struct
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from presize.core import file_kind as file_kind_module
from presize.core.errors import ModelFileError
from presize.core.file_kind import file_kind, modules_named
from presize.deploy.inspection import inspect_file
from presize.deploy.load import load_learner
from presize.train.checksums import OF_HEADER, digest
from presize.train.model_file import ModelFile
from presize.train.state import load_meta, load_state, save_state

FIXTURES = Path(__file__).parent / "fixtures"
GOOD, PICTURE = FIXTURES / "version-3.safetensors", FIXTURES / "two.png"
TENSORS, META = load_state(GOOD)
JPEG = b"\xff\xd8\xff\xe0" + bytes(40)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return Path(shutil.copy(GOOD, tmp_path / "model.safetensors"))


def refused(file: Path, words: str, read: Callable[[Path], Any] = load_learner) -> None:
    with pytest.raises(ModelFileError, match=words) as caught:
        read(file)
    assert len(str(caught.value)) < 1500  # nothing of a size that the file chooses


def rewritten(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Write the file with a header that somebody has changed, and its checksum with it."""
    meta = copy.deepcopy(META)
    del meta[OF_HEADER]
    change(meta)
    save_state(file, tensors=TENSORS, meta=meta)


# What is given by mistake


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("page.safetensors", b"<!DOCTYPE html><html>404</html>", "is a web page.*ends in .safet"),
        ("list.json", b'{"classes": ["a", "b"]}', r"is a JSON file.*learn.export\(...\)"),
        ("photo.jpg", JPEG, "is a picture.*in the wrong order"),
        ("model.onnx", b"\x08\x08\x12\x07pytorch" + bytes(20), "is an ONNX model.*onnxruntime"),
        ("model.h5", b"\x89HDF\r\n\x1a\n" + bytes(20), "HDF5 file.*Keras.*train the classes anew"),
        (
            "lfs",
            b"version https://git-lfs.github.com/spec/v1\n",
            "Git LFS.*git lfs pull",
        ),
        ("a.tar.gz", b"\x1f\x8b\x08" + bytes(20), "is an archive, which has to be unpacked"),
        ("empty.safetensors", b"", r"\(0 bytes\) is no complete .safetensors file: it is empty"),
        ("short", b"\x01\x02", "it has no header"),
        ("notes.txt", b"What is the meaning of this?", "its header is no JSON"),
        ("zeros", bytes(1000), "its header is no JSON"),
    ],
)
def test_other_files_are_named(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_bytes(content)
    refused(path, words)
    refused(path, words, load_meta)
    if name != "model.onnx":
        refused(path, words, inspect_file)


def test_keras_and_exported_programs_are_named(tmp_path):
    import zipfile

    for name, entry, words in (
        ("a.keras", "model.weights.h5", "is a Keras model"),
        ("a.pt2", "a/archive_format", r"is a program that torch.export wrote.*torch.export.load"),
        ("a.zip", "readme.txt", "is a zip archive"),
    ):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr(entry, "…")
        refused(tmp_path / name, words)


@pytest.mark.parametrize("new", [True, False], ids=["zip", "older file"])
def test_fastai_exports_are_known_without_being_opened(tmp_path, monkeypatch, new):
    module = types.ModuleType("fastai.learner")
    module.Learner = type("Learner", (), {"__module__": "fastai.learner"})
    monkeypatch.setitem(sys.modules, "fastai", types.ModuleType("fastai"))
    monkeypatch.setitem(sys.modules, "fastai.learner", module)
    torch.save(module.Learner(), tmp_path / "export.pkl", _use_new_zipfile_serialization=new)
    monkeypatch.delitem(sys.modules, "fastai.learner")
    words = r"that fastai exported, which is a pickle.*learn.model.state_dict\(\).*dls.vocab"
    refused(tmp_path / "export.pkl", words)


def test_a_zip_of_many_pickles_is_no_work(tmp_path, monkeypatch):
    """Each is read to the end of the file: all of them would take minutes."""
    read = []
    monkeypatch.setattr(file_kind_module, "modules_named", lambda data: read.append(data) or set())
    entry = b"PK\3\4" + bytes(22) + b"\x08\0\1\0data.pkl\n"
    (tmp_path / "many.pt").write_bytes(entry * 1000)
    assert file_kind(tmp_path / "many.pt").kind == "torch"
    assert len(read) <= 3


def test_modules_of_a_pickle_are_read_and_not_imported():
    frame = b"\x80\x04\x95\x20\x00\x00\x00\x00\x00\x00\x00"
    pickle = frame + b"\x8c\x05never\x94\x8c\x03was\x94\x93\x94)\x81."
    assert modules_named(pickle) == {"never", "was"}
    assert modules_named(b"cevil.module\nname\n.") == {"evil.module"}
    assert modules_named(b"\x80\x02cposix\nsyst") == set()
    assert file_kind(GOOD).kind == "safetensors"


# Sizes


def header(length: int, text: bytes, rest: bytes = b"") -> bytes:
    return struct.pack("<Q", length) + text + rest


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            header(1 << 63, b"{}"),
            "claims a header of 9,223,372,036,854,775,808 bytes",
        ),
        (header(10**9, b"{}"), "claims a header of 1,000,000,000 bytes"),
        (header(50_000_000, b'{"a":'), "its header should have 50,000,000 bytes"),
        (header(2, b"{}" + b"x" * 50), "is no complete .safetensors file"),
    ],
)
def test_absurd_headers(tmp_path, content, words):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    for read in (load_learner, load_meta, inspect_file):
        refused(path, words, read)


@pytest.mark.parametrize(
    "shape", [[1 << 40], [1 << 20, 1 << 20, 1 << 20], [1 << 63, 4], [-4], [1e3], "all"]
)
def test_shapes_that_multiply_to_exabytes(tmp_path, shape):
    entry = {"w": {"dtype": "F32", "shape": shape, "data_offsets": [0, 4]}}
    text = json.dumps(entry).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(header(len(text), text, b"abcd"))
    for read in (load_learner, inspect_file):
        refused(path, "is no complete .safetensors file", read)


def test_json_that_is_deep_or_has_millions_of_values(tmp_path):
    path = tmp_path / "model.safetensors"
    for text, words in (
        ("[" * 200_000, "presize's part of it is broken"),
        ('{"format":1,"aliases":{},"meta":' + '{"a":' * 100_000, "part of it is broken"),
        ('{"format":1,"aliases":{},"meta":' + "[" * 500 + "]" * 500 + "}", "part of it is broken"),
        (
            '{"format":1,"aliases":{},"meta":{"a":' + "[" * 99 + "]" * 99 + "}}",
            "part of it is broken",
        ),
        ("[" + "[]," * 3_000_000 + "0]", "holds 6,000,001 values"),
        ('{"format":1,"aliases":{},"meta":{"a":1' + "0" * 5000 + "}}", "part of it is broken"),
    ):
        save_file({"w": torch.zeros(1)}, path, metadata={"presize": text})
        refused(path, words)
        refused(path, words, inspect_file)


def test_tensors_that_are_named_too_often(tmp_path):
    path = tmp_path / "model.safetensors"
    for aliases, words in (
        ({f"w{i}": "w" for i in range(5000)}, "names the same tensors 5,000 times"),
        ({"x": "not there"}, "the tensor `x` for another name of one that is not there"),
        ({"w": "w"}, "is not valid"),
        ({"x": ["w"]}, "is not valid"),
    ):
        text = json.dumps({"format": 1, "aliases": aliases, "meta": {"kind": "presize model"}})
        save_file({"w": torch.zeros(10_000)}, path, metadata={"presize": text})
        refused(path, words)
        refused(path, words, inspect_file)


def head(**changes: Any) -> Callable[[dict[str, Any]], object]:
    return lambda meta: meta["architecture"]["head"].update(changes)


def architecture(**changes: Any) -> Callable[[dict[str, Any]], object]:
    return lambda meta: meta["architecture"].update(changes)


def data(**changes: Any) -> Callable[[dict[str, Any]], object]:
    return lambda meta: meta["data"].update(changes)


def first(place: str, **changes: Any) -> Callable[[dict[str, Any]], object]:
    def change(meta: dict[str, Any]) -> None:
        group = meta["data"][place]
        (group[0][0] if place == "targets" else group[0])["arguments"].update(changes)

    return change


DEEP: Any = []
for _ in range(50):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (head(lin_ftrs=[1_000_000, 1_000_000]), "out of proportion to the weights in the file"),
        (head(lin_ftrs=[1_000_000] * 60), "out of proportion"),
        (head(lin_ftrs=[1] * 10_000), "impossible lin_ftrs"),
        (head(lin_ftrs=[10**12]), "impossible lin_ftrs"),
        (architecture(source="timm", name="vit_giant_patch14_224", cut=None), "out of proportion"),
        (
            architecture(
                source="timm", name="vit_tiny_patch16_224", cut=None, img_size=4096
            ),
            "weights do not fit this",
        ),
        (architecture(name="vit_b_16", img_size=100_000), "impossible img_size"),
        (architecture(n_out=10**9), "impossible n_out"),
        (architecture(name="resnet19"), "unknown architecture.*Did you mean `resnet18`"),
        (architecture(source="timm", name="hf-hub:someone/model"), "unknown architecture"),
        (architecture(name="r" * 10_000), "impossible name"),
        (architecture(source="pickle"), "impossible source"),
        (first("after_item", size=10**9), "impossible size: 1000000000"),
        (first("after_item", size=[100_000, 100_000]), "100000 x 100000 pixels"),
        (first("after_item", size=[-3, 2]), "not valid: A picture size"),
        (first("after_item", size=DEEP), "impossible size"),
        (first("after_item", size={"a": 1}), "`Resize.* is not valid"),
        (first("after_item", more=1), "`Resize.* is not valid"),
        (data(bs=10**9), "is not valid: it has bs 1000000000"),
        (data(bs=0), "it has bs 0"),
        (data(bs=True), "it has bs True"),
        (data(task="rm -rf"), "it has task 'rm -rf'"),
        (data(inputs=[]), r"it has inputs \[\]"),
        (data(inputs=["PILImages"]), "of the kind `PILImages`.*Did you mean `PILImage`"),
        (data(after_item={"name": "Resize"}), "it has after_item"),
        (data(after_batch=[{"name": "Zoom", "arguments": {}}] * 101), "more than 100 transforms"),
        (data(after_batch=[{"name": "Zooom", "arguments": {}}]), "`Zooom`.*Did you mean `Zoom`"),
        (data(after_batch=["Zoom"]), "'Zoom' in the place of a transform"),
        (data(after_batch=[{"name": "Normalize", "arguments": {"mean": [0.0], "std": [0]}}]),
         "std must be above 0"),
        (first("targets", vocab=["0", "1"]), "has 2 classes, but the network has 3 outputs"),
        (first("targets", vocab=["0", "1", "1"]), "has the class '1' twice"),
        (first("targets", vocab=["0", "1", ["2"]]), "classes .* that are not texts and numbers"),
        (first("targets", vocab=["0", "1", float("nan")]), "that are not texts and numbers"),
        (first("targets", vocab=None), "has no classes"),
        (lambda meta: meta["data"]["targets"][0][0]["arguments"].clear(), "has no classes"),
        (lambda meta: meta.update(loss_options={"axis": 7}), "CrossEntropyLossFlat.* is not valid"),
        (lambda meta: meta.update(loss_options={"axis": 0}), "one answer for each picture"),
        (lambda meta: meta.update(loss_options={"weight": "all"}), "is not valid"),
        (lambda meta: meta.update(loss=["a"]), "does not say loss"),
        (lambda meta: meta.update(format=True), "does not say format"),
        (lambda meta: meta.update(format=4, versions="new"), "has the format 4.*upgrade presize"),
        (lambda meta: meta.update(kind=["presize model"]), "another program, not an exported"),
        (lambda meta: meta.update(drift=[]), "does not say drift"),
        (lambda meta: meta.update(drift={"n": 1}), "drift"),
        (lambda meta: meta["drift"].update(n_classes=10), "of 10 classes, but the network has 3"),
        (lambda meta: meta["calibration"].update(temperature="hot"), "calibration .* is not valid"),
        (lambda meta: meta.update(training={"fits": [DEEP]}), "how its model was trained"),
    ],
)  # fmt: skip
def test_what_a_header_may_not_say(file, change, words):
    rewritten(file, change)
    refused(file, words)
    inspect_file(file)  # tells what the file says, and builds nothing


def test_large_sides_that_fit_together_are_still_bounded(file):
    rewritten(file, first("after_item", size=[8192, 8192]))
    load_learner(file)
    rewritten(file, lambda m: (first("after_item", size=[8192, 8192])(m), data(bs=65)(m)))
    refused(file, "makes batches of 65 pictures of 8192 x 8192 pixels")


def test_memory_stays_in_proportion_to_the_file(file):
    """A description of a network of terabytes takes none; measured by the peak of the process."""
    kilobytes = 1 if sys.platform != "darwin" else 1024
    rewritten(file, architecture(source="timm", name="vit_giant_patch14_224", cut=None))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(file, "out of proportion")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / kilobytes
    assert grown < 900_000  # the network alone has 4 GB


# Damage


def test_a_changed_class_is_noticed(file):
    content = file.read_bytes()
    changed = content.replace(
        b'\\"vocab\\": [\\"0\\", \\"1\\"', b'\\"vocab\\": [\\"1\\", \\"0\\"', 1
    )
    assert changed != content
    file.write_bytes(changed)
    refused(file, "the SHA-256 of its header is not the one")
    facts = inspect_file(file)
    assert facts.checksums == {"tensors": True, "header": False} and not facts.whole
    assert "the header was changed since the file was written" in str(facts)


def test_a_changed_weight_is_told_by_inspection_too(file):
    tensors, meta = load_state(file)
    tensors["0.0.weight"][0, 0, 0, 0] += 1
    save_state(file, tensors=tensors, meta=meta)
    facts = inspect_file(file)
    assert facts.checksums == {"tensors": False, "header": True}
    assert "tensors WRONG" in str(facts)


def test_checksums_are_of_names_types_shapes_and_bytes():
    one = {"a": torch.arange(6.0)}
    assert digest(one) == digest({"a": torch.arange(6.0)[::1]})
    for other in (
        {"b": torch.arange(6.0)},
        {"a": torch.arange(6.0).double()},
        {"a": torch.arange(6.0).view(torch.int32)},
        {"a": torch.arange(6.0).reshape(2, 3)},
        {"a": torch.arange(6.0) * -1.0},
        one | {"b": torch.zeros(0)},
    ):
        assert digest(other) != digest(one)


@pytest.fixture(scope="module")
def right() -> torch.Tensor:
    return load_learner(GOOD).predict(PICTURE)[2]


def same_or_refused(content: bytes, file: Path, right: torch.Tensor) -> None:
    file.write_bytes(content)
    with contextlib.suppress(ModelFileError):
        ModelFile.read(file)
        learn = load_learner(file)
        assert torch.equal(learn.predict(PICTURE)[2], right)
        assert learn.dls.vocab == ["0", "1", "2"]
    with contextlib.suppress(ModelFileError):
        str(inspect_file(file))


QUICK = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@QUICK
@given(
    place=st.one_of(st.integers(0, 200), st.integers(0, GOOD.stat().st_size - 1)),
    value=st.integers(0, 255),
)
def test_any_byte_may_be_flipped(file, right, place, value):
    content = bytearray(GOOD.read_bytes())
    content[place] = value
    same_or_refused(bytes(content), file, right)


@QUICK
@given(start=st.integers(0, GOOD.stat().st_size), length=st.integers(1, 5000), end=st.booleans())
def test_any_piece_may_be_missing(file, right, start, length, end):
    content = GOOD.read_bytes()
    rest = b"" if end else content[start + length :]
    same_or_refused(content[:start] + rest, file, right)


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, each in inner:
        found.append((*path, key))
        if isinstance(each, dict | list):
            found += _leaves(each, (*path, key))
    return found


LEAVES = [path for path in _leaves(META) if path[0] not in ("training", "sha256")]
HOSTILE: list[Any] = [
    None, True, 0, -1, 10**9, 10**400, 0.5, float("nan"), float("inf"), "", "\x1b[31m", "\ud800",
    [], [[]], {}, {"a": 1}, [None], ["a"] * 3, "PILImage", [0, 0], [10**6, 10**6],
]  # fmt: skip


@settings(parent=QUICK, max_examples=50)
@given(path=st.sampled_from(LEAVES), value=st.sampled_from(HOSTILE), drop=st.booleans())
def test_any_value_of_the_header_may_be_another(file, path, value, drop):
    """By somebody who knows of the checksum: it loads, or is refused in words."""

    def change(meta: dict[str, Any]) -> None:
        place: Any = meta
        for key in path[:-1]:
            place = place[key]
        if drop and isinstance(place, dict):
            del place[path[-1]]
        else:
            place[path[-1]] = value

    if path[0] != OF_HEADER:
        rewritten(file, change)
        with contextlib.suppress(ModelFileError):
            load_learner(file)
        with contextlib.suppress(ModelFileError):
            str(inspect_file(file))
