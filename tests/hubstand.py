"""A stand-in for the hub: datasets and models pushed to it are kept in memory and served back; calls are recorded."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """What the stand-in holds and was asked."""

    address: str = ""
    token: str = "hf_standin"
    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    private: dict[str, bool] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)
    """dataset (where nothing is said) or model, by repository"""
    heads: dict[str, str] = field(default_factory=dict)
    """the newest commit of a repository, by its name; COMMIT where nothing was committed since it was made"""
    broken: bool = False
    """answers nothing but 503 while it is so"""
    deaf: bool = False
    """takes the next commit and answers 503 all the same"""


class Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, *args: object) -> None:
        pass

    def _answer(
        self,
        value: object,
        status: int = 200,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> None:
        content = json.dumps(value).encode() if body is None else body
        self.send_response(status)
        for name, text in {
            "Content-Length": str(len(content)),
            "X-Repo-Commit": COMMIT,
            **(headers or {}),
        }.items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline().strip(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        if self.hub.broken:
            self.hub.calls.append((self.command, "broken"))
            self._body() if self.command == "POST" else None
            self._answer({"error": "down for repairs"}, 503)
            return False
        return True

    def _path(self) -> str:
        path = unquote(urlsplit(self.path).path)
        self.hub.calls.append((self.command, path))
        return path

    def do_POST(self) -> None:
        body = self._body()
        path = self._path()
        if self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            self._answer({"error": "Invalid token"}, 401, {"X-Error-Message": "Invalid token"})
        elif path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization') or 'me'}/{asked['name']}"
            self.hub.repos.setdefault(name, {})
            self.hub.private.setdefault(
                name, asked.get("private") is True or asked.get("visibility") == "private"
            )
            kind = asked.get("type", "model")
            self.hub.types.append(kind)
            self.hub.kinds.setdefault(name, kind)
            under = "datasets/" if kind == "dataset" else ""
            self._answer({"url": f"{self.hub.address}/{under}{name}", "name": name, "id": name})
        elif path.endswith("/preupload/main"):
            files = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                for f in json.loads(body)["files"]
            ]
            self._answer({"files": files, "commitOid": COMMIT})
        elif path.endswith("/commit/main"):
            self._commit("/".join(path.split("/")[3:5]), body)
        elif path == "/api/validate-yaml":
            self._answer({"errors": [], "warnings": []})
        else:
            self._answer({"error": f"unknown {path}"}, 404)

    def _commit(self, repo: str, body: bytes) -> None:
        head = self.hub.heads.get(repo, COMMIT)
        first = json.loads(body.splitlines()[0])["value"]
        if first.get("parentCommit") not in (None, head):
            self._answer(
                {"error": "the branch has moved on"}, 412, {"X-Error-Message": "the branch has moved on"}
            )
            return
        made = self.hub.heads[repo] = hashlib.sha1(f"{head}{len(body)}".encode()).hexdigest()
        for line in body.splitlines():
            entry = json.loads(line)
            value: dict[str, Any] = entry["value"]
            if entry["key"] == "file":
                self.hub.repos[repo][value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "deletedFile":
                del self.hub.repos[repo][value["path"]]
        if self.hub.deaf:
            self.hub.deaf = False
            self._answer({"error": "gateway"}, 503)
            return
        self._answer(
            {
                "success": True,
                "commitUrl": f"{self.hub.address}/datasets/{repo}/commit/{made}",
                "commitOid": made,
            }
        )

    def do_GET(self) -> None:
        path = self._path()
        if "/resolve/" in path:
            repo, _, rest = path.removeprefix("/").removeprefix("datasets/").partition("/resolve/")
            content = self.hub.repos.get(repo, {}).get(rest.partition("/")[2])
            self._file(content)
            return
        if path == "/api/whoami-v2":
            self._answer({"type": "user", "name": "me"})
            return
        kind = "model" if path.startswith("/api/models/") else "dataset"
        parts = path.removeprefix(f"/api/{kind}s/").split("/", 2)
        repo = "/".join(parts[:2])
        known = repo in self.hub.repos and self.hub.kinds.get(repo, "dataset") == kind
        if not path.startswith(f"/api/{kind}s/") or not known:
            self._answer({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})
        elif len(parts) > 2 and parts[2].startswith("tree/"):
            under = parts[2].split("/", 2)[2] + "/" if parts[2].count("/") > 1 else ""
            self._answer(self._tree(repo, under, recursive="recursive=true" in self.path.lower()))
        else:
            files = [{"rfilename": p, "size": len(c)} for p, c in self.hub.repos[repo].items()]
            self._answer({"id": repo, "sha": self.hub.heads.get(repo, COMMIT), "private": self.hub.private[repo], "siblings": files, "tags": [],
                          "downloads": 0, "likes": 0, "gated": False, "disabled": False})  # fmt: skip

    def do_HEAD(self) -> None:
        self.do_GET()

    def _tree(self, repo: str, under: str, *, recursive: bool) -> list[dict[str, object]]:
        """Files and folders below a folder; only its own where not recursive."""
        found: dict[str, dict[str, object]] = {}
        for path, content in self.hub.repos[repo].items():
            if not path.startswith(under):
                continue
            inner = path.removeprefix(under)
            if "/" in inner:
                folder = under + inner.split("/")[0]
                found[folder] = {"type": "directory", "path": folder, "size": 0, "oid": "0" * 40}
            if recursive or "/" not in inner:
                oid = hashlib.sha1(content).hexdigest()
                found[path] = {"type": "file", "path": path, "size": len(content), "oid": oid}
        return list(found.values())

    def _file(self, content: bytes | None) -> None:
        if content is None:
            self._answer({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound"})
            return
        headers = {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "Accept-Ranges": "bytes"}
        if wanted := self.headers.get("Range"):
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last or len(content) - 1), len(content) - 1)
            headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
            self._answer(None, 206, headers, content[start : end + 1])
        else:
            self._answer(None, 200, headers, content)


@contextmanager
def standin() -> Iterator[Hub]:
    """A running stand-in on a free port; HF_ENDPOINT of a child process points at its address."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
