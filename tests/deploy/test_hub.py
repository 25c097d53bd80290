"""`push_to_hub` and `from_hub`, against a folder and against a hub on the loopback."""

import hashlib
import json
import os
import shutil
import socket
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from presize.cli.push import push
from presize.core.errors import DataError, HubError, ModelFileError
from presize.data.folders import ImageDataLoaders
from presize.data.resize import Resize
from presize.deploy.hub import fetch_from_hub, from_hub, push_to_hub
from presize.deploy.load import load_learner
from presize.deploy.model_card import MARK, model_card
from presize.deploy.predictor import Predictor
from presize.models.zoo import resnet18
from presize.train.metrics import accuracy
from presize.train.model_file import ModelFile
from presize.vision.learner import vision_learner

FIXTURES = Path(__file__).parent / "fixtures"
OLD, PICTURE = FIXTURES / "version-2.safetensors", FIXTURES / "two.png"
RIGHT = "hf_right"

# huggingface_hub itself uploads in a way that the library below it has new words for.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture(scope="module")
def learn(tmp_path_factory):
    """A small learner that has trained on dark and bright pictures in a folder `secret-client`."""
    root = tmp_path_factory.mktemp("home") / "secret-client"
    rng = np.random.default_rng(3)
    for split, n in (("train", 12), ("valid", 4)):
        for name, level in (("dark", 60), ("bright", 190)):
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(n):
                values = rng.normal(level, 25, (24, 24, 3)).clip(0, 255).astype(np.uint8)
                Image.fromarray(values).save(folder / f"{i}.png")
    dls = ImageDataLoaders.from_folder(root, item_tfms=Resize(16), bs=4, num_workers=0)
    made = vision_learner(
        dls, resnet18, cut=3, pretrained=False, lin_ftrs=[4], metrics=accuracy, path=root
    )
    with made.no_logging():
        made.fit_one_cycle(1)
    return made


def _chances(learner):
    return learner.predict(PICTURE)[2]


# ---- a folder ------------------------------------------------------------------------------


def test_a_folder_is_written_and_read_without_a_network(learn, tmp_path, monkeypatch):
    def never(*_, **__):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "socket", never)
    place = push_to_hub(learn, tmp_path / "repo")
    assert Path(place) == tmp_path / "repo"
    assert sorted(p.name for p in Path(place).iterdir()) == ["README.md", "model.safetensors"]
    assert torch.equal(_chances(from_hub(tmp_path / "repo")), _chances(learn))
    monkeypatch.chdir(tmp_path)
    assert torch.equal(_chances(from_hub("./repo")), _chances(learn))
    assert fetch_from_hub("./repo") == Path("repo/model.safetensors")


def test_a_folder_needs_no_huggingface_hub(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.setitem(sys.modules, "huggingface_hub.utils", None)
    from_hub(push_to_hub(OLD, tmp_path / "repo"))
    with pytest.raises(ImportError, match=r"Exchanging models.*presize\[hub\]"):
        from_hub("me/pets")


def test_what_tells_of_the_machine_is_not_handed_over(learn, tmp_path):
    told = ModelFile.read(learn.export(tmp_path / "own.safetensors")).training
    assert "/" in told["data"]["source"]
    push_to_hub(learn, tmp_path / "repo", report=False)
    written = ModelFile.read(tmp_path / "repo/model.safetensors")
    assert written.training["data"]["source"] == "secret-client"
    assert written.training["command"] is None
    assert written.training["fits"] == told["fits"]
    held = b"".join(p.read_bytes() for p in (tmp_path / "repo").iterdir())
    assert str(learn.path.parent).encode() not in held


def test_a_predictor_is_pushed_as_its_learner(learn, tmp_path):
    push_to_hub(Predictor(learn), tmp_path)
    again = Predictor.from_hub(tmp_path, device="cpu").predict(PICTURE)
    assert list(again.probabilities.values()) == pytest.approx(_chances(learn).tolist(), abs=1e-6)
    with pytest.raises(TypeError, match="takes a learner, a predictor or the path"):
        push_to_hub(7, tmp_path)


def test_only_model_files_are_pushed(tmp_path):
    (tmp_path / "export.pkl").write_bytes(b"\x80\x04N.")
    save_file({"w": torch.zeros(2)}, tmp_path / "weights.safetensors")
    for name in ("export.pkl", "weights.safetensors"):
        with pytest.raises(ModelFileError):
            push_to_hub(tmp_path / name, tmp_path / "repo")
    with pytest.raises(FileNotFoundError):
        push_to_hub(tmp_path / "missing.safetensors", tmp_path / "repo")
    assert not (tmp_path / "repo").exists()


def test_a_card_of_others_is_kept(tmp_path):
    (tmp_path / "README.md").write_text("# Mine\n")
    with pytest.warns(UserWarning, match=r"README.md that presize did not write, so it is kept"):
        push_to_hub(OLD, tmp_path)
    assert (tmp_path / "README.md").read_text() == "# Mine\n"
    push_to_hub(OLD, tmp_path, model_card=model_card(OLD))
    push_to_hub(OLD, tmp_path, license="mit")  # its own card is written anew
    assert 'license: "mit"' in (tmp_path / "README.md").read_text()
    push_to_hub(OLD, tmp_path / "bare", model_card=False)
    assert [p.name for p in (tmp_path / "bare").iterdir()] == ["model.safetensors"]


def test_a_report_goes_with_it(learn, tmp_path):
    page = tmp_path / "page.html"
    page.write_text("<p>all of it</p>")
    push_to_hub(learn, tmp_path / "repo", report=page)
    assert (tmp_path / "repo/report.html").read_text() == "<p>all of it</p>"
    assert "[report](report.html)" in (tmp_path / "repo/README.md").read_text()
    with pytest.raises(FileNotFoundError, match="report=True writes one"):
        push_to_hub(learn, tmp_path / "repo", report=tmp_path / "none.html")
    with pytest.raises(DataError, match=r"load_with_data\(file, data\)"):
        push_to_hub(OLD, tmp_path / "repo", report=True)


def test_a_folder_with_other_files_says_what_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match='There is no folder `./none`.*"owner/name"'):
        from_hub("./none")
    with pytest.raises(ModelFileError, match="holds no model.*It is empty"):
        from_hub(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"PK")
    with pytest.raises(ModelFileError, match=r"`pytorch_model.bin`, which can run code"):
        from_hub(tmp_path)
    for name in ("cats.safetensors", "dogs.safetensors"):
        shutil.copy(OLD, tmp_path / name)
    with pytest.raises(ModelFileError, match=r"2 .safetensors files.*`cats.safetensors`.*filename"):
        from_hub(tmp_path)
    assert from_hub(tmp_path, filename="dogs.safetensors").dls.vocab == ["0", "1", "2"]
    with pytest.raises(ModelFileError, match=r"Did you mean `dogs.safetensors`"):
        from_hub(tmp_path, filename="dog.safetensors")
    with pytest.raises(ModelFileError, match=r"`pytorch_model.bin` is not fetched"):
        from_hub(tmp_path, filename="pytorch_model.bin")


# ---- a hub ---------------------------------------------------------------------------------


def test_what_is_pushed_comes_back_and_predicts_the_same(hub, learn, tmp_path):
    url = push_to_hub(
        learn, "me/light", token=RIGHT, endpoint=hub.url, message="First", license="mit"
    )
    assert url == f"{hub.url}/me/light"
    assert hub.messages == ["First"]
    held = hub.files("me/light")
    assert sorted(held) == ["README.md", "model.safetensors"]
    card = held["README.md"].decode()
    assert MARK in card and 'from_hub("me/light")' in card
    assert hashlib.sha256(held["model.safetensors"]).hexdigest() in card

    again = from_hub("me/light", endpoint=hub.url, cache_dir=tmp_path)
    assert torch.equal(_chances(again), _chances(learn))
    predictor = Predictor.from_hub("me/light", endpoint=hub.url, cache_dir=tmp_path)
    assert predictor.vocab == ["bright", "dark"]
    fetched = fetch_from_hub("me/light", endpoint=hub.url, cache_dir=tmp_path)
    assert fetched.read_bytes() == held["model.safetensors"]
    gets = [path for path in hub.paths("GET") if "/blobs/" in path]
    assert len(gets) == 1  # the second time it was there


def test_a_name_without_owner_is_the_users_own(hub, tmp_path):
    url = push_to_hub(OLD, "digits", token=RIGHT, endpoint=hub.url)
    assert url == f"{hub.url}/me/digits"
    assert 'from_hub("me/digits")' in hub.files("me/digits")["README.md"].decode()


def test_revisions_are_branches_and_commits(hub, tmp_path):
    push_to_hub(OLD, "me/x", token=RIGHT, endpoint=hub.url)
    first = hub.commit_id("me/x", hub.files("me/x"))
    old = FIXTURES / "version-1.safetensors"
    url = push_to_hub(old, "me/x", token=RIGHT, endpoint=hub.url, revision="next")
    assert url.endswith("/me/x/tree/next")
    options = {"endpoint": hub.url, "cache_dir": tmp_path}
    assert from_hub("me/x", revision="next", **options).calibration is None
    assert from_hub("me/x", revision=first, **options).calibration is not None
    with pytest.raises(HubError, match=r"nothing at the revision `v9`. Give a branch, a tag"):
        from_hub("me/x", revision="v9", **options)


def test_a_private_repository_needs_the_token(hub, tmp_path):
    push_to_hub(OLD, "me/mine", token=RIGHT, endpoint=hub.url, private=True)
    assert hub.private == {"me/mine"}
    from_hub("me/mine", token=RIGHT, endpoint=hub.url, cache_dir=tmp_path)
    with pytest.raises(HubError, match="or it is private and you may not see it.*hf auth login"):
        from_hub("me/mine", endpoint=hub.url, cache_dir=tmp_path / "other")
    # Where large files are is another host, which the token is none of.
    blobs = [headers for _, path, headers in hub.asked if "/blobs/" in path]
    assert blobs and not any("authorization" in headers for headers in blobs)
    assert any("authorization" in headers for _, _, headers in hub.asked)


def test_an_own_card_on_the_hub_is_kept(hub):
    hub.put("me/x", {"README.md": b"# Mine"})
    with pytest.warns(UserWarning, match="is kept"):
        push_to_hub(OLD, "me/x", token=RIGHT, endpoint=hub.url)
    assert hub.files("me/x")["README.md"] == b"# Mine"
    push_to_hub(OLD, "me/x", token=RIGHT, endpoint=hub.url, model_card=model_card(OLD, "me/x"))
    assert MARK.encode() in hub.files("me/x")["README.md"]


def test_only_safetensors_are_ever_downloaded(hub, tmp_path):
    hub.put("me/x", {"pytorch_model.bin": b"PK\3\4", "export.pkl": b"\x80\4N.", "a.md": b""})
    with pytest.raises(ModelFileError, match=r"`pytorch_model.bin`, `export.pkl`, which can run"):
        from_hub("me/x", endpoint=hub.url, cache_dir=tmp_path)
    assert not any("/resolve/" in path or "/blobs/" in path for _, path, _ in hub.asked)
    assert not list(tmp_path.rglob("*.bin"))


def test_a_pickle_by_another_name_is_refused(hub, tmp_path):
    marker = tmp_path / "ran"
    payload = b"cposix\nsystem\n(S'touch " + os.fsencode(marker) + b"'\ntR."
    hub.put("me/x", {"model.safetensors": payload})
    with pytest.raises(ModelFileError):
        from_hub("me/x", endpoint=hub.url, cache_dir=tmp_path / "cache")
    assert not marker.exists()


@pytest.mark.parametrize("header", ["X-Linked-Etag", "X-Repo-Commit"])
def test_a_hub_cannot_have_files_written_elsewhere(hub, tmp_path, header):
    """huggingface_hub names the files of its cache by what a hub says."""
    hub.put("me/x", {"model.safetensors": OLD.read_bytes()})
    cache = tmp_path / "a" / "cache"
    for mark in ('"../../../../stolen"', f'"{tmp_path}/stolen"'):
        hub.marks = {header: mark}
        # The mark is cut after 100 characters, and folders of tests have long names.
        told = r"gives a file the mark .* which is a path: .* Do not trust that hub"
        with pytest.raises(HubError, match=told):
            from_hub("me/x", endpoint=hub.url, cache_dir=cache)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("change", ["tensor", "header"])
def test_a_file_changed_on_the_way_is_refused(hub, tmp_path, change):
    good = OLD.read_bytes()
    hub.put("me/x", {"model.safetensors": good})
    bad = bytearray(good)
    if change == "tensor":
        bad[-5] ^= 1
    else:
        place = good.index(b"resnet18")
        bad[place : place + 8] = b"resnet34"
    hub.serves[hashlib.sha256(good).hexdigest()] = bytes(bad)
    with pytest.raises(ModelFileError, match="not the file that the hub announced.* Delete"):
        from_hub("me/x", endpoint=hub.url, cache_dir=tmp_path)


def test_a_file_that_was_changed_before_it_was_put_there_is_refused(hub, tmp_path):
    bad = bytearray(OLD.read_bytes())
    bad[-5] ^= 1
    hub.put("me/x", {"model.safetensors": bytes(bad)})
    with pytest.raises(ModelFileError, match="changed or damaged since it was written"):
        from_hub("me/x", endpoint=hub.url, cache_dir=tmp_path)


def test_weights_of_another_library_are_not_taken_for_a_model(hub, tmp_path):
    save_file({"w": torch.zeros(2)}, tmp_path / "w.safetensors")
    hub.put("me/x", {"model.safetensors": (tmp_path / "w.safetensors").read_bytes()})
    with pytest.raises(ModelFileError, match="presize did not write it"):
        from_hub("me/x", endpoint=hub.url, cache_dir=tmp_path / "cache")


def test_what_was_downloaded_is_there_without_a_network(hub, tmp_path, monkeypatch):
    hub.put("me/x", {"model.safetensors": OLD.read_bytes()})
    expected = _chances(from_hub("me/x", endpoint=hub.url, cache_dir=tmp_path))
    hub.refuses = (503, {})
    with pytest.warns(
        UserWarning, match=r"cannot be reached: `me/x` is as it was downloaded before"
    ):
        assert torch.equal(
            _chances(from_hub("me/x", endpoint=hub.url, cache_dir=tmp_path)), expected
        )
    asked = len(hub.asked)
    with monkeypatch.context() as patch:
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        fetch_from_hub("me/x", endpoint=hub.url, cache_dir=tmp_path)
    again = from_hub("me/x", endpoint=hub.url, cache_dir=tmp_path, local_files_only=True)
    assert torch.equal(_chances(again), expected)
    assert len(hub.asked) == asked
    with pytest.raises(HubError) as error:
        from_hub("me/y", endpoint=hub.url, cache_dir=tmp_path, local_files_only=True)
    for part in ("`me/y`", str(tmp_path), "local_files_only=False", "cache_dir="):
        assert part in str(error.value)
    assert len(hub.asked) == asked


def test_no_network_says_how_to_do_without(tmp_path, hub, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        gone = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(HubError) as error:
            from_hub("me/x", endpoint=gone, cache_dir=tmp_path)
        with pytest.raises(HubError, match=f"{gone} cannot be reached"):
            push_to_hub(OLD, "me/x", endpoint=gone, token=RIGHT)
    for part in (gone, "cannot be reached", str(tmp_path), "local_files_only=True"):
        assert part in str(error.value)
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    hub.put("me/x", {"model.safetensors": OLD.read_bytes()})
    with pytest.raises(HubError, match="HF_HUB_OFFLINE is set"):
        from_hub("me/x", endpoint=hub.url, cache_dir=tmp_path)
    assert not hub.asked


@pytest.mark.parametrize(
    ("status", "headers", "said"),
    [
        (401, {"X-Error-Message": "Invalid credentials in Authorization header"}, "(401). Log in"),
        (403, {}, "does not let you do this with `me/x` (403)"),
        (404, {"X-Error-Code": "RepoNotFound"}, "has no repository `me/x`"),
        (404, {}, "has no repository `me/x`"),
        (403, {"X-Error-Code": "GatedRepo"}, "open only to those whom its author has let in"),
        (429, {}, "too many requests"),
        (500, {}, "has a fault of its own (500)"),
        (400, {"X-Error-Message": "Strange"}, "refused this for `me/x` (400)"),
    ],
)
def test_what_a_hub_refuses_is_told_in_plain_words(hub, tmp_path, status, headers, said):
    hub.refuses = (status, headers)
    with pytest.raises(HubError) as error:
        from_hub("me/x", endpoint=hub.url, cache_dir=tmp_path)
    assert said in str(error.value) and hub.url in str(error.value)
    assert str(error.value).endswith(".") and "\n" not in str(error.value)


def test_a_push_without_right_says_what_is_needed(hub):
    with pytest.raises(HubError, match=r"does not know who asks for `me/x` \(401\).*HF_TOKEN"):
        push_to_hub(OLD, "me/x", token="hf_wrong", endpoint=hub.url)
    with pytest.raises(HubError, match=r"does not let you.*\(403\).*under your own name"):
        push_to_hub(OLD, "others/x", token=RIGHT, endpoint=hub.url)
    assert not hub.blobs


def test_names_that_cannot_be(hub, tmp_path, monkeypatch):
    for name in ("a--b", "x" * 97, "me/x.git"):
        with pytest.raises(DataError, match='cannot be the name of a repository.*"owner/name"'):
            from_hub(name, endpoint=hub.url)
        with pytest.raises(DataError, match="cannot be the name"):
            push_to_hub(OLD, name, endpoint=hub.url, token=RIGHT)
    with pytest.raises(DataError, match='is an address. Give the name.*"owner/name"'):
        from_hub("https://huggingface.co/me/x")
    (tmp_path / "me/x").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HubError, match='A folder of this name is here.*"./me/x"'):
        from_hub("me/x", endpoint=hub.url)


def test_nothing_of_the_machine_is_told(hub, tmp_path, monkeypatch):
    from huggingface_hub import constants

    before = constants.HF_HUB_DISABLE_TELEMETRY
    monkeypatch.setenv("AI_AGENT", "curious")
    push_to_hub(OLD, "me/x", token=RIGHT, endpoint=hub.url)
    from_hub("me/x", endpoint=hub.url, cache_dir=tmp_path)
    agents = {headers.get("user-agent", "") for _, _, headers in hub.asked}
    assert any(agent.startswith("presize/") for agent in agents)
    assert not any(path.startswith("/api/agent") for _, path, _ in hub.asked)
    assert not any("torch/" in agent or "agent/" in agent for agent in agents)
    assert constants.HF_HUB_DISABLE_TELEMETRY is before  # what others set is theirs again


# ---- the command ---------------------------------------------------------------------------


def test_push_as_a_command(hub, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", RIGHT)
    push(OLD, "me/digits", endpoint=hub.url, license="mit")
    assert capsys.readouterr().out == f"pushed     {hub.url}/me/digits\n"
    assert b'license: "mit"' in hub.files("me/digits")["README.md"]
    push(OLD, str(tmp_path / "repo"), as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told == {"url": str(tmp_path / "repo"), "private": False}
    assert load_learner(tmp_path / "repo/model.safetensors").dls.vocab == ["0", "1", "2"]


def test_push_with_data_tells_the_figures(hub, learn, tmp_path, capsys):
    file = learn.export(tmp_path / "light.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        push(file, str(tmp_path / "repo"), data=str(learn.dls.path), report=True)
    card = (tmp_path / "repo/README.md").read_text()
    assert "Measured on 8 pictures" in card and "| bright | 4 |" in card
    assert "<html" in (tmp_path / "repo/report.html").read_text()
    held = ModelFile.read(tmp_path / "repo/model.safetensors").drift
    assert held == ModelFile.read(file).drift  # of the pictures that it was trained on
