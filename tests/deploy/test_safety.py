"""A pickle that acts when it is opened, given to whatever reads files: it never acts."""

import http.server
import io
import pickle
import shutil
import sys
import tarfile
import threading
import warnings
import zipfile
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from presize.cli import main
from presize.core.errors import PresizeError
from presize.data.folders import ImageDataLoaders
from presize.data.resize import Resize
from presize.deploy.ensemble import load_ensemble
from presize.deploy.hub import from_hub
from presize.deploy.inspection import inspect_file
from presize.deploy.labelled import load_with_data
from presize.deploy.load import load_learner
from presize.deploy.predictor import Predictor
from presize.interpret.choice import load_interpretation
from presize.learner import Learner
from presize.models.weights import read_weights
from presize.vision.learner import vision_learner

FIXTURE = Path(__file__).parent / "fixtures/version-2.safetensors"
REFUSALS = (PresizeError, ValueError, OSError, RuntimeError, TypeError)


class Acts:
    """What creates a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return Path.touch, (self.marker,)


def poisoned(marker: Path) -> dict[str, bytes]:
    """Return files that create the marker where somebody unpickles them, by what they are."""
    one = Acts(marker)
    files = {f"pickle of protocol {n}": pickle.dumps(one, n) for n in (0, 2, 5)}
    for name, new in (("zip of torch", True), ("old file of torch", False)):
        buffer = io.BytesIO()
        content = {"state_dict": {"0.weight": torch.ones(2)}, "hyper": one}
        torch.save(content, buffer, _use_new_zipfile_serialization=new)
        files[name] = buffer.getvalue()
    buffer = io.BytesIO()
    np.save(buffer, np.array([one], dtype=object), allow_pickle=True)
    files["array of objects"] = buffer.getvalue()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", files["pickle of protocol 2"])
        archive.writestr("archive/version", "3")
    files["zip made by hand"] = buffer.getvalue()
    hidden = np.frombuffer(files["pickle of protocol 5"], np.uint8).copy()
    files["safetensors with a pickle inside"] = _safetensors(marker, hidden)
    return files


def _safetensors(marker: Path, hidden: np.ndarray) -> bytes:
    path = marker.with_name("hidden.safetensors")
    text = hidden.tobytes().decode("latin-1")
    save_file({"data.pkl": torch.from_numpy(hidden)}, path, metadata={"presize": text})
    return path.read_bytes()


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "it-has-acted"


FEW = ("pickle of protocol 2", "zip of torch", "safetensors with a pickle inside")


def never_acts(
    marker: Path, read: Callable[[bytes], Any], names: Collection[str] | None = None
) -> None:
    """Let the files be read, all or some; they may be refused, in words, and do nothing."""
    for name, content in poisoned(marker).items():
        if names is not None and name not in names:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                read(content)
            except REFUSALS as error:
                assert str(error), name
        assert not marker.exists(), name


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder train/{a,b}, valid/{a,b} of one small picture each."""
    from PIL import Image

    root = tmp_path_factory.mktemp("pictures")
    for folder in ("train/a", "train/b", "valid/a", "valid/b"):
        (root / folder).mkdir(parents=True)
        for number in range(2):
            Image.new("RGB", (16, 16), (number * 90, 80, 20)).save(root / folder / f"{number}.png")
    return root


@pytest.fixture
def learn(pictures: Path, tmp_path: Path) -> Learner:
    dls = ImageDataLoaders.from_folder(pictures, item_tfms=Resize(16), bs=2, num_workers=0)
    return vision_learner(
        dls, "resnet18", cut=3, pretrained=False, lin_ftrs=[4], path=tmp_path / "run"
    )


def test_the_files_act_where_they_are_unpickled(marker: Path) -> None:
    files = poisoned(marker)
    for name in ("zip of torch", "old file of torch"):
        torch.load(io.BytesIO(files[name]), weights_only=False)
        assert marker.exists()
        marker.unlink()
    for number in (0, 2, 5):
        pickle.loads(files[f"pickle of protocol {number}"])
        assert marker.exists()
        marker.unlink()
    np.load(io.BytesIO(files["array of objects"]), allow_pickle=True)
    assert marker.exists()


@pytest.mark.parametrize("suffix", [".safetensors", ".pkl", ".pt2", ".onnx", ""])
def test_model_files(marker: Path, tmp_path: Path, pictures: Path, suffix: str) -> None:
    file = tmp_path / f"model{suffix}"

    def read(content: bytes) -> None:
        file.write_bytes(content)
        readers: list[Callable[[], Any]] = [
            lambda: load_learner(file),
            lambda: load_learner(file, model=torch.nn.Linear(1, 1)),
            lambda: Predictor.load(file),
            lambda: load_with_data(file, pictures),
            lambda: load_interpretation(file),
        ]
        for reader in readers:
            with pytest.raises(REFUSALS):
                reader()
        if b"safetensors" not in content[:9]:
            with pytest.raises(REFUSALS):
                inspect_file(file)

    never_acts(marker, read)


def test_ensembles(marker: Path, tmp_path: Path) -> None:
    folder = tmp_path / "ensemble"
    folder.mkdir()

    def read(content: bytes) -> None:
        (folder / "ensemble.json").write_bytes(content)
        with pytest.raises(REFUSALS):
            load_ensemble(folder)
        (folder / "ensemble.json").write_text('{"models": ["one.safetensors"]}')
        (folder / "one.safetensors").write_bytes(content)
        load_ensemble(folder)

    never_acts(marker, read)


def test_weights_and_checkpoints_of_a_learner(marker: Path, learn: Learner) -> None:
    models, run = learn.path / learn.model_dir, learn.path / "checkpoints"
    models.mkdir(parents=True)
    run.mkdir()

    def read(content: bytes) -> None:
        (models / "w.safetensors").write_bytes(content)
        with pytest.raises(REFUSALS):
            learn.load("w")
        (run / "checkpoint-000001.safetensors").write_bytes(content)
        with pytest.raises(REFUSALS):
            learn.resume()
        (run / "best.safetensors").write_bytes(content)
        learn.load(run / "best.safetensors")

    never_acts(marker, read)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin", ".ckpt", ".th", ".tar", ".safetensors"])
def test_weights_from_files(marker: Path, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"weights{suffix}"

    def read(content: bytes) -> None:
        file.write_bytes(content)
        with pytest.raises(REFUSALS):
            read_weights(file.as_uri())
        read_weights(file)

    # Only tensors are read of a .safetensors file, so that the one with a pickle inside is fine.
    if suffix == ".safetensors":
        file.write_bytes(poisoned(marker)["safetensors with a pickle inside"])
        assert list(read_weights(file)) == ["data.pkl"]
        return
    never_acts(marker, read)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web site on the loopback: its address, and the folder that it serves."""
    folder = tmp_path / "site"
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(_Quiet, directory=str(folder))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    server.server_close()
    thread.join()


def test_weights_from_the_web_and_from_the_cache_of_torch(
    marker: Path, tmp_path: Path, site: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    cached = tmp_path / "torch/hub/checkpoints/resnet18-f37072fd.pth"
    cached.parent.mkdir(parents=True)
    address, folder = site
    numbers = iter(range(100))

    def read(content: bytes) -> None:
        from presize.models.arch import create_vision_model

        name = f"{next(numbers)}.pth"
        (folder / name).write_bytes(content)
        with pytest.raises(REFUSALS):
            read_weights(f"{address}/{name}")
        cached.write_bytes(content)
        create_vision_model("resnet18", 2, pretrained=True)

    never_acts(marker, read)


def test_the_hub(marker: Path, tmp_path: Path, hub: Any) -> None:
    numbers = iter(range(100))

    def read(content: bytes) -> None:
        number = next(numbers)
        folder = tmp_path / f"repository-{number}"
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(content)
        for load in (from_hub, Predictor.from_hub):
            with pytest.raises(REFUSALS):
                load(folder)
        hub.put(f"me/x{number}", {"model.safetensors": content, "model.pkl": content})
        with pytest.raises(REFUSALS):
            from_hub(f"me/x{number}", endpoint=hub.url, cache_dir=tmp_path / "cache")
        hub.put(f"me/y{number}", {"pytorch_model.bin": content})
        from_hub(f"me/y{number}", endpoint=hub.url, cache_dir=tmp_path / "cache")

    never_acts(marker, read)


def test_decisions_and_lists_of_bad_pictures(marker: Path, tmp_path: Path, pictures: Path) -> None:
    decisions = tmp_path / "decisions.csv"

    def read(content: bytes) -> None:
        own = tmp_path / "own"
        shutil.copytree(pictures, own, dirs_exist_ok=True)
        (own / "quarantine.csv").write_bytes(content)
        for known in (None, decisions):
            decisions.write_bytes(content)
            dls = ImageDataLoaders.from_folder(
                own, item_tfms=Resize(8), bs=2, num_workers=0, decisions=known
            )
            dls.one_batch()

    never_acts(marker, read)


def test_the_cache_of_pictures(marker: Path, tmp_path: Path, pictures: Path) -> None:
    place = tmp_path / "cache"

    def used() -> torch.Tensor:
        dls = ImageDataLoaders.from_folder(
            pictures, item_tfms=Resize(16), bs=2, num_workers=0, cache="disk", cache_dir=place
        )
        return torch.cat([x for x, _ in dls.valid]).as_subclass(torch.Tensor)

    right = used()

    def read(content: bytes) -> None:
        files = [file for file in place.rglob("*") if file.is_file()]
        assert files
        for file in files:
            file.write_bytes(content)
        assert torch.equal(used(), right)

    never_acts(marker, read)


def test_shards(marker: Path, tmp_path: Path, pictures: Path) -> None:
    """Members that other libraries unpickle by their endings are no labels."""
    shard = tmp_path / "shard-0.tar"
    picture = (pictures / "train/a/0.png").read_bytes()

    def read(content: bytes) -> None:
        with tarfile.open(shard, "w") as archive:
            for key in ("0", "1"):
                for ending, data in (
                    *(("png", picture), ("cls", key.encode()), ("pkl", content)),
                    *(("pyd", content), ("pth", content), ("json", content)),
                ):
                    member = tarfile.TarInfo(f"{key}.{ending}")
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))

        def used(label: str) -> None:
            dls = ImageDataLoaders.from_shards(
                shard, valid=shard, label=label, item_tfms=Resize(8), bs=2, num_workers=0
            )
            dls.one_batch()

        used("cls")
        for label in ("pkl", "pyd", "pth", "json"):
            with pytest.raises(REFUSALS):
                used(label)

    never_acts(marker, read, FEW)


@pytest.mark.parametrize(
    "words",
    [
        ("inspect", "MODEL"),
        ("inspect", "MODEL", "--json"),
        ("predict", "MODEL", "PICTURES"),
        ("report", "MODEL", "PICTURES", "--out", "OUT"),
        ("clean", "PICTURES", "--model", "MODEL"),
        ("serve", "MODEL", "--port", "0"),
        ("export", "MODEL", "--out", "OUT"),
        ("push", "MODEL", "OUT"),
        ("train", "PICTURES", "--weights", "MODEL", "--out", "OUT", "--epochs", "1"),
        ("train", "PICTURES", "--config", "MODEL", "--out", "OUT"),
    ],
    ids=lambda words: "-".join(word.strip("-") for word in words),
)
def test_commands(
    marker: Path,
    tmp_path: Path,
    pictures: Path,
    words: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {"PICTURES": pictures, "OUT": tmp_path / "out"}
    suffix = {"--weights": ".pth", "--config": ".toml"}
    ending = next((suffix[word] for word in words if word in suffix), ".safetensors")

    def read(content: bytes) -> None:
        places["MODEL"] = tmp_path / f"model{ending}"
        places["MODEL"].write_bytes(content)
        arguments = [str(places.get(word, word)) for word in words]
        monkeypatch.setattr(sys, "argv", ["presize", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr().err
        # 2 would be that the test has the command line wrong.
        assert ended.value.code == 1, said
        assert str(places["MODEL"]) in said
        assert "Traceback" not in said

    never_acts(marker, read, FEW)
