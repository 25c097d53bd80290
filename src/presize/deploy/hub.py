"""`push_to_hub` and `from_hub`: a model file, its card, and a repository that holds both."""

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path as AnyPath
from typing import Protocol

from torch import nn

from presize.core.errors import DataError, HubError, ModelFileError, did_you_mean
from presize.core.paths import Path
from presize.data.warned import warn_user
from presize.deploy.hub_client import Repository, folder_of
from presize.deploy.hub_errors import Unreachable
from presize.deploy.load import load_learner
from presize.deploy.model_card import MARK, card_of
from presize.learner import Learner
from presize.train.model_file import ModelFile

MODEL, CARD, REPORT = "model.safetensors", "README.md", "report.html"
_UNSAFE = (".pkl", ".pickle", ".bin", ".pt", ".pth", ".ckpt", ".joblib", ".h5", ".keras")
_SHOWN = 5


class HasLearner(Protocol):
    """Something that asks a learner, as a `Predictor` does."""

    learn: Learner


def push_to_hub(
    source: Learner | HasLearner | str | AnyPath,
    repo_id: str | AnyPath,
    *,
    message: str | None = None,
    private: bool = False,
    token: str | bool | None = None,
    revision: str | None = None,
    model_card: bool | str = True,
    report: bool | str | AnyPath = False,
    license: str | None = None,
    endpoint: str | None = None,
) -> str:
    """Put a model into a repository on a hub, or into a folder that is laid out like one.

    The repository gets `model.safetensors`, which is what `learn.export` writes, and a model card,
    `README.md`. The folder that the training data lay in and the typed command are left out of
    both: they tell of your machine. A repository that is not there yet is made.

    Args:
        source: a learner, a predictor, or a model file. Of a learner with a validation set the
            card tells the figures of each class.
        repo_id: "owner/name" on the hub; "./folder" or a `Path` is a folder on this machine, for
            which no network is asked.
        message: of the commit.
        private: make the repository visible to you alone; one that exists stays as it is.
        token: what proves who you are; None takes that of `hf auth login` or HF_TOKEN.
        revision: the branch, which is made if need be; None takes the main one.
        model_card: write one; a text is taken as the card itself. A card that others have written
            is kept, unless you give a text.
        report: put a report beside it, `report.html`: a file, or True to write one. It shows
            pictures of the validation set.
        license: of the model, such as "apache-2.0"; None says nothing of it.
        endpoint: the address of the hub; None takes HF_ENDPOINT, or else huggingface.co.

    Returns:
        Where it is: the address of the repository, or the path of the folder.

    Raises:
        ImportError: huggingface_hub is not installed.
        HubError: the hub cannot be reached, or refuses.
        ModelFileError: the file is no model file, or the learner cannot be exported.
        FileNotFoundError: there is no such model file or report.
    """
    folder = folder_of(repo_id)
    place = None
    if folder is None:
        place = Repository(name=str(repo_id), revision=revision, token=token, endpoint=endpoint)
        place.check_name()
    with tempfile.TemporaryDirectory(prefix="presize-hub-") as temporary:
        work = AnyPath(temporary)
        files: dict[str, AnyPath | bytes] = {MODEL: _packed(source, work)}
        page = _page(source, report, work)
        if page is not None:
            files[REPORT] = page
        if place is not None:
            place = place.create(private=private)
        if isinstance(model_card, str):
            files[CARD] = model_card.encode()
        elif model_card and not _kept(place, folder, work):
            files[CARD] = card_of(
                work / MODEL,
                _learner(source),
                place.name if place is not None else _own_name(repo_id),
                license=license,
                on_hub=place is not None,
                report=page is not None,
            ).encode()
        if place is not None:
            return place.commit(files, message or "Upload a model of presize")
        assert folder is not None
        return _write(folder, files)


def from_hub(
    repo_id: str | AnyPath,
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    endpoint: str | None = None,
    cache_dir: str | AnyPath | None = None,
    local_files_only: bool = False,
    filename: str | None = None,
    model: nn.Module | None = None,
) -> Learner:
    """Return a learner from a repository that `push_to_hub` wrote; it predicts at once.

    One file is downloaded, a .safetensors file, and nothing in it is run: see `load_learner`. Where
    the hub cannot be reached, what was downloaded before is taken, with a warning.

    Args:
        repo_id: "owner/name" on the hub; "./folder" or a `Path` is a folder on this machine.
        revision: a branch, a tag or a commit; a commit is always the same model.
        token: what proves who you are; None takes that of `hf auth login` or HF_TOKEN.
        endpoint: the address of the hub; None takes HF_ENDPOINT, or else huggingface.co.
        cache_dir: where downloads are kept; None takes the folder of huggingface_hub.
        local_files_only: ask no network; take what was downloaded before.
        filename: the file, where a repository has several.
        model: the network itself, for a file whose architecture is the user's own.

    Raises:
        ImportError: huggingface_hub is not installed.
        HubError: the hub cannot be reached, or refuses, or has no such repository.
        FileNotFoundError: there is no such folder.
        ModelFileError: the repository has no model file of presize, or the file was changed.
    """
    file = fetch_from_hub(
        repo_id,
        revision=revision,
        token=token,
        endpoint=endpoint,
        cache_dir=cache_dir,
        local_files_only=local_files_only,
        filename=filename,
    )
    return load_learner(file, model=model)


def fetch_from_hub(
    repo_id: str | AnyPath,
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    endpoint: str | None = None,
    cache_dir: str | AnyPath | None = None,
    local_files_only: bool = False,
    filename: str | None = None,
) -> Path:
    """Return the model file of a repository, downloaded if need be; builds nothing.

    The arguments and what is raised are those of `from_hub`.
    """
    if filename is not None and not filename.endswith(".safetensors"):
        raise ModelFileError(
            f"`{filename}` is not fetched: from_hub reads .safetensors files alone, because other "
            "kinds can hold code that runs when they are opened. Name such a file, or leave "
            "filename= out."
        )
    folder = folder_of(repo_id)
    if folder is not None:
        if not folder.is_dir():
            raise FileNotFoundError(
                f'There is no folder `{repo_id}`. A repository on the hub is written "owner/name".'
            )
        names = sorted(p.name for p in folder.iterdir())
        return Path(folder / _chosen(names, f"The folder `{repo_id}`", filename))
    place = Repository(
        name=str(repo_id),
        revision=revision,
        token=token,
        endpoint=endpoint,
        cache_dir=cache_dir,
    )
    place.check_name()
    cached = local_files_only or place.offline
    try:
        names = place.cached_names() if cached else place.names()
    except Unreachable as error:
        try:
            names, cached = place.cached_names(), True
        except HubError:
            raise error from None
        warn_user(f"{place.address} cannot be reached: `{repo_id}` is as it was downloaded before.")
    chosen = _chosen(names, f"`{repo_id}` of {place.address}", filename)
    return Path(place.fetch(chosen, local_files_only=cached))


def _chosen(names: Sequence[str], where: str, filename: str | None) -> str:
    """Return which file of a repository is the model."""
    ours = [n for n in names if n.endswith(".safetensors")]
    if filename is not None:
        if filename in names:
            return filename
        raise ModelFileError(
            f"{where} has no file `{filename}`.{did_you_mean(filename, ours)} It has: "
            f"{_listed(ours or names)}."
        )
    top = [n for n in ours if AnyPath(n).name == n]
    if MODEL in top:
        return MODEL
    if len(top) == 1:
        return top[0]
    if ours:
        raise ModelFileError(
            f"{where} has {len(ours)} .safetensors files and none is called {MODEL}: "
            f"{_listed(ours)}. Say which one is meant: filename=."
        )
    unsafe = [n for n in names if n.endswith(_UNSAFE)]
    if unsafe:
        raise ModelFileError(
            f"{where} holds its model as {_listed(unsafe)}, which can run code when it is opened, "
            "so presize never fetches or reads it. Ask its author for a .safetensors file, which "
            "push_to_hub of presize writes."
        )
    held = f"It has: {_listed(names)}." if names else "It is empty."
    raise ModelFileError(
        f"{where} holds no model: there is no .safetensors file in it. {held} One is written with "
        "push_to_hub(learn, repo_id)."
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(f"`{n}`" for n in names[:_SHOWN]) + more


def _learner(source: object) -> Learner | None:
    found = source if isinstance(source, Learner) else getattr(source, "learn", None)
    return found if isinstance(found, Learner) else None


def _packed(source: object, work: AnyPath) -> AnyPath:
    """Return the model file to hand over, without what tells of the machine it comes from."""
    learn = _learner(source)
    if learn is not None:
        file = AnyPath(learn.export(work.absolute() / MODEL))
    elif isinstance(source, str | os.PathLike):
        file = AnyPath(source)
    else:
        raise TypeError(
            "push_to_hub takes a learner, a predictor or the path of a model file; got a "
            f"{type(source).__name__}."
        )
    held = ModelFile.read(file)
    if learn is None and held.architecture.get("source") != "custom":
        load_learner(file)  # what nobody could load is not handed over
    told = held.training
    if isinstance(told, dict):
        data = dict(told.get("data") or {})
        if isinstance(data.get("source"), str):
            data["source"] = re.split(r"[\\/]", data["source"].rstrip("\\/"))[-1]
        told = told | {"command": None, "data": data}
    target = work / MODEL
    replace(held, training=told).write(target)
    return target


def _own_name(folder: str | AnyPath) -> str:
    return AnyPath(folder).expanduser().absolute().name or "model"


def _page(source: object, report: bool | str | AnyPath, work: AnyPath) -> AnyPath | None:
    if report is False:
        return None
    if report is not True:
        page = AnyPath(report)
        if not page.is_file():
            raise FileNotFoundError(
                f"There is no report `{page}`. learn.report({str(page)!r}) writes one; report=True "
                "writes one for the repository alone."
            )
        return page
    learn = _learner(source)
    if learn is None:
        raise DataError(
            "report=True needs a learner with its data, but got a model file. Put both together, "
            "load_with_data(file, data), and push what that returns; or give the report's file."
        )
    return AnyPath(learn.report(work.absolute() / REPORT))


def _kept(place: Repository | None, folder: AnyPath | None, work: AnyPath) -> bool:
    """Return whether there is a card that was not written by `push_to_hub`; it is kept."""
    if place is not None:
        there = place.text_of(CARD, work / "card")
    else:
        assert folder is not None
        card = folder / CARD
        there = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else None
    if there is None or MARK in there:
        return False
    warn_user(
        f"The repository has a {CARD} that presize did not write, so it is kept. To replace it, "
        "give the text: model_card=model_card(learn)."
    )
    return True


def _write(folder: AnyPath, files: Mapping[str, AnyPath | bytes]) -> str:
    """Put files into a folder, each whole or not at all; the model is the first."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            part = folder / f".{name}.{os.getpid()}.part"
            try:
                part.write_bytes(content if isinstance(content, bytes) else content.read_bytes())
                part.replace(folder / name)
            finally:
                part.unlink(missing_ok=True)
    except OSError as error:
        raise HubError(
            f"The folder `{folder}` cannot be written ({error}). Give one that you may write to."
        ) from error
    return str(folder.absolute())
