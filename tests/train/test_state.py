"""State files: what goes in comes out, whole or not at all, and nothing is unpickled."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from presize.core.errors import ModelFileError
from presize.train.state import load_meta, load_state, save_state

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.safetensors"


@settings(max_examples=30)
@given(meta=st.dictionaries(st.text(), json_values, max_size=4))
def test_any_json_comes_back(tmp_path_factory: pytest.TempPathFactory, meta: dict) -> None:
    path = tmp_path_factory.getbasetemp() / "json.safetensors"
    save_state(path, tensors={}, meta=meta)
    assert load_state(path) == ({}, meta)
    assert load_meta(path) == meta


@pytest.mark.parametrize(
    "dtype",
    [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.uint8,
     torch.bool, torch.complex64],
)  # fmt: skip
def test_any_dtype_and_shape_comes_back(path: Path, dtype: torch.dtype) -> None:
    tensors = {
        "scalar": torch.tensor(1).to(dtype),
        "empty": torch.zeros(3, 0, 2, dtype=dtype),
        "also empty": torch.zeros(0, dtype=dtype),
        "matrix": torch.arange(6).view(2, 3).to(dtype),
        "name with ünicode/slash": torch.ones(1, dtype=dtype),
    }
    save_state(path, tensors=tensors, meta={})
    back, _ = load_state(path)
    assert list(back) == sorted(tensors) or set(back) == set(tensors)
    for name, value in tensors.items():
        assert back[name].dtype == dtype
        assert back[name].shape == value.shape
        assert torch.equal(back[name], value)


def test_not_contiguous_views_and_overlaps(path: Path) -> None:
    base = torch.arange(24.0).view(4, 6)
    tensors = {
        "base": base,
        "transposed": base.t(),
        "every other": base[::2, ::3],
        "row": base[1],
        "expanded": torch.ones(1).expand(5),
        "channels last": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last),
        "with graph": torch.ones(2, requires_grad=True) * 2,
    }
    save_state(path, tensors=tensors, meta={})
    back, _ = load_state(path)
    for name, value in tensors.items():
        assert torch.equal(back[name], value.detach()), name


def test_one_tensor_under_two_names_is_one_again(path: Path) -> None:
    weight = torch.randn(1000)
    save_state(path, tensors={"a": weight, "b": weight, "c": weight.clone()}, meta={})
    assert path.stat().st_size < 2.5 * 4000
    back, _ = load_state(path)
    assert back["a"] is back["b"]
    assert back["c"] is not back["a"]
    assert torch.equal(back["b"], weight)


def test_what_was_saved_is_not_touched_later(path: Path) -> None:
    weight = torch.zeros(4)
    save_state(path, tensors={"w": weight}, meta={})
    back, _ = load_state(path)
    save_state(path, tensors={"w": weight + 1}, meta={})
    assert back["w"].tolist() == [0.0] * 4  # its memory is its own, not the file's


def test_to_a_device(path: Path) -> None:
    save_state(path, tensors={"w": torch.ones(2)}, meta={})
    assert load_state(path, "meta")[0]["w"].device.type == "meta"
    if torch.cuda.is_available():
        save_state(path, tensors={"w": torch.ones(2, device="cuda")}, meta={})
        assert load_state(path)[0]["w"].device.type == "cpu"
        assert load_state(path, torch.device("cuda"))[0]["w"].is_cuda


def test_a_tensor_type_of_our_own_is_read_as_a_tensor(path: Path) -> None:
    class Mine(Tensor):
        __torch_function__ = torch._C._disabled_torch_function_impl

    save_state(path, tensors={"w": torch.ones(2).as_subclass(Mine)}, meta={})
    assert type(load_state(path)[0]["w"]) is Tensor


def test_folders_are_made_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "x.safetensors"
    save_state(str(path), tensors={"w": torch.ones(2)}, meta={"a": 1})
    assert [p.name for p in path.parent.iterdir()] == ["x.safetensors"]


def test_the_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.touch()
    save_state(tmp_path / "x", tensors={}, meta={})
    modes = [stat.S_IMODE(p.stat().st_mode) for p in (other, tmp_path / "x")]
    assert modes[0] == modes[1]


def test_a_failed_write_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_state(path, tensors={"w": torch.zeros(2)}, meta={"epoch": 1})

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_state(path, tensors={"w": torch.ones(2)}, meta={"epoch": 2})
    assert load_meta(path) == {"epoch": 1}
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.skipif(sys.platform == "win32", reason="asks whether a process lives")
def test_what_a_process_that_was_killed_has_left_is_removed(path: Path) -> None:
    with subprocess.Popen([sys.executable, "-S", "-E", "-c", ""]) as ended:
        pass
    dead, huge, living, other = (
        path.with_name(f".{name}.part")
        for name in (
            f"{path.name}.{ended.pid}", f"{path.name}.{10**30}", f"{path.name}.{os.getppid()}",
            f"other.{ended.pid}",
        )
    )  # fmt: skip
    for part in (dead, huge, living, other):
        part.touch()
    save_state(path, tensors={}, meta={})
    assert set(path.parent.iterdir()) == {path, living, other}


@pytest.mark.parametrize(
    ("meta", "text"),
    [
        ({"lr": {"body": [0.1, np.zeros(2)]}}, r"meta\['lr'\]\['body'\]\[1\] is a ndarray"),
        ({"w": torch.ones(1)}, r"meta\['w'\] is a Tensor, which is not JSON.*among the tensors"),
        ({"classes": {0: "cat"}}, r"meta\['classes'\] has the key 0; in JSON keys are text"),
    ],
)
def test_what_is_no_json(path: Path, meta: dict, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        save_state(path, tensors={}, meta=meta)
    assert not path.exists()


def test_what_is_no_tensor(path: Path) -> None:
    with pytest.raises(TypeError, match=r"tensors\['step'\] is a int. Put numbers and text into"):
        save_state(path, tensors={"step": 3}, meta={})
    with pytest.raises(TypeError, match=r"tensors\['z'\] is torch.complex128, which a .safeten"):
        save_state(path, tensors={"z": torch.zeros(1, dtype=torch.complex128)}, meta={})


def test_cut_short_at_any_place(path: Path) -> None:
    save_state(path, tensors={"w": torch.ones(40)}, meta={"a": 1})
    whole = path.read_bytes()
    for length in [*range(0, len(whole), 37), len(whole) - 1]:
        path.write_bytes(whole[:length])
        for load in (load_state, load_meta):
            with pytest.raises(ModelFileError, match=rf"\({length} bytes\) is no complete"):
                load(path)


def test_the_way_out_is_that_of_who_reads(path: Path) -> None:
    path.write_bytes(b"x")
    with pytest.raises(ModelFileError, match="or is something else: copy or download it again.$"):
        load_state(path)
    with pytest.raises(ModelFileError, match="or is something else: remove it.$"):
        load_state(path, way_out="remove it")


def test_a_header_may_begin_like_a_pickle(path: Path) -> None:
    # The first bytes are the header's length; of some lengths they are a pickle's first bytes.
    save_state(path, tensors={}, meta={"a": ""})
    length = int.from_bytes(path.read_bytes()[:8], "little")
    meta = {"a": "x" * (0x280 - length)}
    save_state(path, tensors={}, meta=meta)
    assert path.read_bytes()[:2] == b"\x80\x02"
    assert load_meta(path) == meta


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_is_never_opened(path: Path, zipped: bool) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (pytest.fail, ("unpickled!",))

    torch.save({"w": Bomb()}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelFileError, match=r"is a pickle.*safetensors.torch.save_file"):
        load_state(path)


def test_something_else(path: Path) -> None:
    path.write_bytes(b"\x89PNG\r\n" + bytes(100))
    with pytest.raises(ModelFileError, match="is no complete .safetensors file"):
        load_state(path)


def test_weights_of_somebody_else(path: Path) -> None:
    save_file({"w": torch.ones(2)}, path)
    with pytest.raises(ModelFileError, match="presize did not write it.*to weights="):
        load_state(path)
    save_file({"w": torch.ones(2)}, path, metadata={"presize": "[1, 2]"})
    with pytest.raises(ModelFileError, match="presize's part of it is broken"):
        load_meta(path)


def test_a_newer_format(path: Path) -> None:
    header = '{"format": 99, "aliases": {}, "meta": {}}'
    save_file({"w": torch.ones(2)}, path, metadata={"presize": header})
    with pytest.raises(ModelFileError, match=r"newer presize \(format 99"):
        load_state(path)


def test_not_there(path: Path) -> None:
    save_state(path, tensors={}, meta={})
    text = r"There is no file .*stat.safetensors. Did you mean `state.safetensors`\? That folder"
    with pytest.raises(FileNotFoundError, match=text):
        load_state(path.with_name("stat.safetensors"))
    with pytest.raises(IsADirectoryError, match="is a folder; give the file in it"):
        load_state(path.parent)
    with pytest.raises(FileNotFoundError, match="There is no file"):
        load_state(path.parent / "no folder" / "x")


def test_a_disk_that_is_full_is_an_error_of_the_system(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise SafetensorError("Error while serializing: I/O error: No space left on device")

    monkeypatch.setattr("presize.train.state.save_file", full)
    with pytest.raises(OSError, match="cannot be written: .*No space left on device"):
        save_state(tmp_path / "a.safetensors", tensors={"a": torch.ones(1)}, meta={})
    assert not list(tmp_path.iterdir())
