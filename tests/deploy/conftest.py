"""A hub of models on the loopback: the endpoints that huggingface_hub asks, and what they answer.

Large files are kept apart from the others, on another port, as the real hub keeps them on another
host.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

TOKEN = "hf_right"


class Hub:
    """What the stand-in holds, what it was asked, and what it is to answer against the truth."""

    def __init__(self) -> None:
        self.server = _started(self, _Endpoints)
        self.storage = _started(self, _Storage)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.storage_url = f"http://127.0.0.1:{self.storage.server_port}"
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.repos: dict[str, dict[str, list[dict[str, bytes]]]] = {}
        self.private: set[str] = set()
        self.messages: list[str] = []
        self.blobs: dict[str, bytes] = {}
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.serves: dict[str, bytes] = {}  # instead of the blob with this SHA-256
        self.refuses: tuple[int, dict[str, str]] | None = None
        self.marks: dict[str, str] = {}  # headers of a file, instead of the right ones

    def put(self, repo: str, files: dict[str, bytes], branch: str = "main") -> str:
        """Add a commit to a branch of a repository; return its id."""
        commits = self.repos.setdefault(repo, {}).setdefault(branch, [])
        commits.append({**(commits[-1] if commits else {}), **files})
        for content in files.values():
            self.blobs[_digest(content)] = content
        return self.commit_id(repo, commits[-1])

    def files(self, repo: str, revision: str = "main") -> dict[str, bytes] | None:
        """Return the files at a branch or commit; None where there is none."""
        branches = self.repos[repo]
        if revision in branches:
            return branches[revision][-1] if branches[revision] else {}
        commits = [one for branch in branches.values() for one in branch]
        return next((one for one in commits if self.commit_id(repo, one) == revision), None)

    @staticmethod
    def commit_id(repo: str, files: dict[str, bytes]) -> str:
        """Return what stands for a commit: 40 hexadecimal digits."""
        named = sorted((name, _digest(content)) for name, content in files.items())
        return hashlib.sha1(repr((repo, named)).encode(), usedforsecurity=False).hexdigest()

    def paths(self, method: str) -> list[str]:
        """Return the paths that were asked for with a method."""
        return [path for asked, path, _ in self.asked if asked == method]


def _started(hub: Hub, handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.hub = hub  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _large(name: str) -> bool:
    return name.endswith((".safetensors", ".bin", ".pkl"))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def hub(self) -> Hub:
        return self.server.hub  # type: ignore[attr-defined]

    def body(self) -> bytes:
        length = int(self.headers.get("Content-Length") or 0)
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(length)
        whole = b""
        while size := int(self.rfile.readline(), 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return whole

    def answer(self, status: int, content: Any = b"", headers: Any = ()) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        if "Content-Length" not in dict(headers):
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass

    def handle_any(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.hub.asked.append((self.command, self.path, headers))
        data = self.body()
        path = unquote(urlsplit(self.path).path)
        if self.hub.refuses is not None:
            status, headers = self.hub.refuses
            self.answer(status, {"error": headers.get("X-Error-Message", "no")}, headers)
        else:
            self.reply(path, data)

    do_GET = do_HEAD = do_POST = do_PUT = handle_any

    def reply(self, path: str, data: bytes) -> None:
        raise NotImplementedError


class _Storage(_Handler):
    """Where large files are, with addresses that need no token."""

    def reply(self, path: str, data: bytes) -> None:
        name = path.rpartition("/")[2]
        if self.command == "PUT":
            assert _digest(data) == name
            self.hub.blobs[name] = data
            return self.answer(200)
        content = self.hub.serves.get(name, self.hub.blobs[name])
        return self.answer(200, content, {"ETag": '"storage"'})


class _Endpoints(_Handler):
    def reply(self, path: str, data: bytes) -> None:
        if path == "/api/validate-yaml":
            return self.yaml(json.loads(data)["content"])
        if path == "/api/repos/create":
            return self.create(json.loads(data))
        if path.endswith(".git/info/lfs/objects/batch"):
            return self.batch(json.loads(data))
        if path == "/verify":
            return self.answer(200 if json.loads(data)["oid"] in self.hub.blobs else 404)
        if "/resolve/" in path:
            repo, _, rest = path[1:].partition("/resolve/")
            return self.resolve(repo, *rest.split("/", 1))
        _, _, _, owner, name, *rest = path.split("/")
        repo = f"{owner}/{name}"
        if not self.seen(repo):
            return self.answer(404, {}, {"X-Error-Code": "RepoNotFound"})
        if rest[:1] == ["branch"]:
            self.hub.repos[repo].setdefault(rest[1], [])
            return self.answer(200, {})
        if rest[:1] == ["preupload"]:
            return self.preupload(json.loads(data))
        if rest[:1] == ["commit"]:
            return self.commit(repo, rest[1], data)
        return self.info(repo, rest[1] if rest else "main")

    @property
    def known(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def seen(self, repo: str) -> bool:
        return repo in self.hub.repos and (self.known or repo not in self.hub.private)

    def yaml(self, text: str) -> None:
        import yaml

        facts = yaml.safe_load(text.split("---")[1])
        return self.answer(200 if "tags" in facts else 400, {"errors": [], "warnings": []})

    def create(self, wanted: dict[str, Any]) -> None:
        repo = f"{wanted.get('organization') or 'me'}/{wanted['name']}"
        url = {"url": f"{self.hub.url}/{repo}"}
        if not self.known:
            return self.answer(401, {}, {"X-Error-Message": "Invalid username or password."})
        if repo.startswith("others/"):
            return self.answer(403, {}, {"X-Error-Message": "You may not"})
        if repo in self.hub.repos:
            return self.answer(409, url)
        self.hub.repos[repo] = {"main": []}
        if wanted.get("visibility") == "private" or wanted.get("private"):
            self.hub.private.add(repo)
        return self.answer(200, url)

    def preupload(self, wanted: dict[str, Any]) -> None:
        files = [
            {
                "path": one["path"],
                "uploadMode": "lfs" if _large(one["path"]) else "regular",
                "shouldIgnore": False,
                "oid": None,
            }
            for one in wanted["files"]
        ]
        return self.answer(200, {"files": files})

    def batch(self, wanted: dict[str, Any]) -> None:
        objects = []
        for one in wanted["objects"]:
            actions = {
                "upload": {"href": f"{self.hub.storage_url}/blobs/{one['oid']}"},
                "verify": {"href": f"{self.hub.url}/verify"},
            }
            there = one["oid"] in self.hub.blobs
            objects.append({**one, **({} if there else {"actions": actions})})
        return self.answer(200, {"transfer": "basic", "objects": objects})

    def commit(self, repo: str, branch: str, data: bytes) -> None:
        files = {}
        for line in data.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "header":
                self.hub.messages.append(value["summary"])
            elif entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            else:
                files[value["path"]] = self.hub.blobs[value["oid"]]
        oid = self.hub.put(repo, files, branch)
        url = f"{self.hub.url}/{repo}/commit/{oid}"
        return self.answer(200, {"success": True, "commitOid": oid, "commitUrl": url})

    def info(self, repo: str, revision: str) -> None:
        files = self.hub.files(repo, revision)
        if files is None:
            return self.answer(404, {}, {"X-Error-Code": "RevisionNotFound"})
        siblings = [{"rfilename": name} for name in files]
        sha = self.hub.commit_id(repo, files)
        return self.answer(200, {"id": repo, "sha": sha, "siblings": siblings})

    def resolve(self, repo: str, revision: str, name: str) -> None:
        if not self.seen(repo):
            return self.answer(404, {}, {"X-Error-Code": "RepoNotFound"})
        files = self.hub.files(repo, revision)
        if files is None:
            return self.answer(404, {}, {"X-Error-Code": "RevisionNotFound"})
        headers = {"X-Repo-Commit": self.hub.commit_id(repo, files)}
        if name not in files:
            return self.answer(404, {}, headers | {"X-Error-Code": "EntryNotFound"})
        digest = _digest(files[name])
        if not _large(name):
            mark = {"ETag": f'"{digest[:40]}"'}
            return self.answer(200, files[name], headers | mark | self.hub.marks)
        headers |= {
            "Location": f"{self.hub.storage_url}/blobs/{digest}",
            "X-Linked-Etag": f'"{digest}"',
            "X-Linked-Size": str(len(files[name])),
        }
        return self.answer(302, b"", headers | self.hub.marks)


@pytest.fixture(scope="module")
def hub_server() -> Iterator[Hub]:
    """The stand-in of the hub, for the tests of a module."""
    pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
    hub = Hub()
    yield hub
    for server in (hub.server, hub.storage):
        server.shutdown()
        server.server_close()


@pytest.fixture
def hub(hub_server: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """An empty stand-in of the hub; large files go by HTTP, as where hf_xet is not installed."""
    from huggingface_hub import constants

    monkeypatch.setattr(
        constants, "HF_HUB_OFFLINE", False
    )  # as other tests of this process have it
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    hub_server.clear()
    return hub_server
