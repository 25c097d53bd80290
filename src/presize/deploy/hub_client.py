"""The exchange with a hub of models, through huggingface_hub: what it has, a file, a commit."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path as AnyPath
from pathlib import PureWindowsPath
from typing import Any

from presize.core.errors import DataError, HubError, ModelFileError
from presize.data.extras import extra_library
from presize.deploy.hub_errors import in_plain_words

_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?", re.ASCII)
_SHA256 = re.compile("[0-9a-f]{64}")
_WHAT = "Exchanging models with a hub"


@dataclass(frozen=True, kw_only=True, slots=True)
class Repository:
    """A repository of models on a hub.

    Args:
        name: "owner/name".
        revision: a branch, a tag or a commit; None is the main branch.
        token: what proves who asks; None takes what the machine knows, False sends none.
        endpoint: the address of the hub; None takes HF_ENDPOINT, or else huggingface.co.
        cache_dir: the folder of downloads; None takes the one of huggingface_hub.
    """

    name: str
    revision: str | None = None
    token: str | bool | None = None
    endpoint: str | None = None
    cache_dir: str | AnyPath | None = None

    @property
    def address(self) -> str:
        """The address of the hub."""
        constants = extra_library("huggingface_hub.constants", extra="hub", what=_WHAT)
        return (self.endpoint or str(constants.ENDPOINT)).rstrip("/")

    @property
    def cache(self) -> str:
        """The folder of downloads."""
        constants = extra_library("huggingface_hub.constants", extra="hub", what=_WHAT)
        return str(self.cache_dir or constants.HF_HUB_CACHE)

    @property
    def offline(self) -> bool:
        """Whether HF_HUB_OFFLINE says that no network is to be asked."""
        constants = extra_library("huggingface_hub.constants", extra="hub", what=_WHAT)
        return bool(constants.HF_HUB_OFFLINE)

    def check_name(self) -> None:
        """Raise DataError where the name cannot be one, before anything is made for it."""
        utils = extra_library("huggingface_hub.utils", extra="hub", what=_WHAT)
        with self._plainly():
            utils.validate_repo_id(self.name)

    def names(self) -> list[str]:
        """Return the names of the files in the repository.

        Raises:
            HubError: it cannot be asked, or refuses.
        """
        with self._plainly(), _guarded():
            info = self._api().model_info(self.name, revision=self.revision, timeout=30)
            return [one.rfilename for one in info.siblings or ()]

    def cached_names(self) -> list[str]:
        """Return the names of the files that were downloaded before; asks no network.

        Raises:
            HubError: there are none.
        """
        with self._plainly(), _guarded():
            folder = self._library().snapshot_download(
                self.name,
                revision=self.revision,
                cache_dir=self.cache_dir,
                local_files_only=True,
                allow_patterns=["*.safetensors"],
            )
        return sorted(p.name for p in AnyPath(folder).iterdir())

    def fetch(self, name: str, *, local_files_only: bool = False) -> AnyPath:
        """Return a file of the repository, downloaded if it was not before.

        Raises:
            HubError: it cannot be had.
            ModelFileError: it is not the file that the hub announced.
        """
        with self._plainly(), _guarded():
            file = self._library().hf_hub_download(
                self.name,
                name,
                revision=self.revision,
                cache_dir=self.cache_dir,
                local_files_only=local_files_only,
                endpoint=self.endpoint,
                token=self.token,
                library_name="presize",
                library_version=version("presize"),
            )
        _check_announced(AnyPath(file), f"{self.name}/{name}")
        return AnyPath(file)

    def text_of(self, name: str, scratch: AnyPath) -> str | None:
        """Return the text of a small file of the repository, None if it has none of this name.

        Args:
            name: the file.
            scratch: an empty folder that it may be put into.
        """
        if name not in self.names():
            return None
        with self._plainly(), _guarded():
            file = self._api().hf_hub_download(
                self.name, name, revision=self.revision, local_dir=scratch
            )
        return AnyPath(file).read_text(encoding="utf-8", errors="replace")

    def create(self, *, private: bool) -> "Repository":
        """Return the repository, made where there is none, with its whole name.

        Raises:
            HubError: it may not be made.
        """
        with self._plainly(writing=True), _guarded():
            api = self._api()
            made = api.create_repo(self.name, private=private, exist_ok=True)
            if self.revision is not None:
                api.create_branch(made.repo_id, branch=self.revision, exist_ok=True)
        return Repository(
            name=made.repo_id,
            revision=self.revision,
            token=self.token,
            endpoint=self.endpoint,
            cache_dir=self.cache_dir,
        )

    def commit(self, files: Mapping[str, AnyPath | bytes], message: str) -> str:
        """Put files into the repository, all of them or none; return where they are seen.

        Raises:
            HubError: it may not be written, or the exchange failed.
        """
        library = self._library()
        with self._plainly(writing=True), _guarded():
            added: Sequence[Any] = [
                library.CommitOperationAdd(path_in_repo=name, path_or_fileobj=content)
                for name, content in files.items()
            ]
            self._api().create_commit(
                self.name, operations=added, commit_message=message, revision=self.revision
            )
        tree = "" if self.revision is None else f"/tree/{self.revision}"
        return f"{self.address}/{self.name}{tree}"

    def _api(self) -> Any:
        return self._library().HfApi(
            endpoint=self.endpoint,
            token=self.token,
            library_name="presize",
            library_version=version("presize"),
        )

    def _library(self) -> Any:
        return extra_library("huggingface_hub", extra="hub", what=_WHAT)

    def _plainly(self, *, writing: bool = False) -> AbstractContextManager[None]:
        wanted = "" if self.revision is None else f" at the revision `{self.revision}`"
        return in_plain_words(self.name, self.address, self.cache, wanted, writing=writing)


def folder_of(repo_id: str | AnyPath) -> AnyPath | None:
    """Return the folder that is meant; None for a name on the hub, whatever lies here."""
    text = os.fspath(repo_id)
    if "://" in text:
        raise DataError(
            f"`{text}` is an address. Give the name of the repository, "
            '"owner/name"; another hub is named with endpoint=.'
        )
    if isinstance(repo_id, str) and _ID.fullmatch(text):
        return None
    return AnyPath(text).expanduser()


@contextmanager
def _guarded() -> Iterator[None]:
    """Let huggingface_hub tell nothing of the machine, and write nowhere but to its folder."""
    constants: Any = extra_library("huggingface_hub.constants", extra="hub", what=_WHAT)
    before = getattr(constants, "HF_HUB_DISABLE_TELEMETRY", None)
    constants.HF_HUB_DISABLE_TELEMETRY = True
    hooks = extra_library("huggingface_hub", extra="hub", what=_WHAT).get_session().event_hooks
    hooks["response"].append(_check_answer)
    try:
        yield
    finally:
        hooks["response"].remove(_check_answer)
        constants.HF_HUB_DISABLE_TELEMETRY = before


def _check_answer(response: Any) -> None:
    """Refuse a mark of a file that is a path to elsewhere: the library names its files by them."""
    for name in ("ETag", "X-Linked-ETag", "X-Repo-Commit"):
        mark = str(response.headers.get(name, ""))
        path = PureWindowsPath(mark.lstrip("W/").strip('"'))  # knows the signs of all systems
        if path.anchor or ".." in path.parts:
            raise HubError(
                f"{response.request.url.host} gives a file the mark {mark!r:.80}, which is a path: "
                "it would be written outside of the folder of downloads. Do not trust that hub."
            )


def _check_announced(file: AnyPath, name: str) -> None:
    """Compare a large file with its SHA-256, under which the cache of downloads keeps it."""
    from presize.core.errors import DownloadError
    from presize.data.transfer import check_file

    kept = file.resolve()
    if not _SHA256.fullmatch(kept.name):
        return
    try:
        check_file(kept, name, sha256=kept.name)
    except DownloadError as error:
        raise ModelFileError(
            f"`{name}` is not the file that the hub announced, or was damaged since: its SHA-256 "
            f"is another. Delete {kept} and fetch it again."
        ) from error
