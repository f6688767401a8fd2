"""A hub for one process: the few endpoints through which weights are uploaded, kept as files in a folder.

Speaks what `huggingface_hub` asks for: a repository is made, a card's header is checked, large files go through LFS,
and a commit names them all. A commit stands whole or not at all.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

TOKEN = "hf_made_up_for_the_test"


class HubServer(ThreadingHTTPServer):
    """Repositories by name, with their files."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.private: dict[str, bool] = {}
        self.objects: dict[str, bytes] = {}
        self.commits: list[str] = []
        self.forbidden: set[str] = set()
        """Repositories that this token may not write to."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def files(self, repo: str) -> dict[str, bytes]:
        place = self.folder / repo
        return {str(file.relative_to(place)): file.read_bytes() for file in place.rglob("*") if file.is_file()}


class _Handler(BaseHTTPRequestHandler):
    server: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = self._body()
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._answer(401, {"error": "Invalid username or password."})
            return
        words = self.path.partition("?")[0].strip("/").split("/")
        if self.path == "/api/repos/create":
            self._create(json.loads(body))
        elif self.path == "/api/validate-yaml":
            self._validate(json.loads(body)["content"])
        elif words[:2] == ["api", "models"] and words[4] == "preupload":
            files = [
                {"path": f["path"], "uploadMode": "lfs" if f["path"].endswith("safetensors") else "regular"}
                for f in json.loads(body)["files"]
            ]
            self._answer(200, {"files": [{**f, "shouldIgnore": False} for f in files]})
        elif words[:2] == ["api", "models"] and words[4] == "commit":
            self._commit("/".join(words[2:4]), body)
        elif self.path.endswith("/info/lfs/objects/batch"):
            objects = json.loads(body)["objects"]
            actions = [{**o, "actions": {"upload": {"href": f"{self.server.url}/lfs/{o['oid']}"}}} for o in objects]
            self._answer(200, {"transfer": "basic", "objects": actions})
        else:
            self._answer(404, {"error": f"nothing at {self.path}"})

    def do_PUT(self) -> None:
        body = self._body()
        oid = self.path.rpartition("/")[2]
        right = hashlib.sha256(body).hexdigest() == oid
        if right:
            self.server.objects[oid] = body
        self._answer(200 if right else 400, {})

    def _create(self, asked: dict[str, Any]) -> None:
        repo = f"{asked['organization']}/{asked['name']}"
        if repo in self.server.forbidden:
            self._answer(403, {"error": f"You don't have the rights to create a model under {asked['organization']}"})
            return
        exists = repo in self.server.private
        if not exists:
            self.server.private[repo] = asked.get("visibility") == "private" or bool(asked.get("private"))
        self._answer(409 if exists else 200, {"url": f"{self.server.url}/{repo}"})

    def _validate(self, content: str) -> None:
        header = yaml.safe_load(content.split("\n---\n")[0].removeprefix("---\n"))
        wrong = [] if header.get("pipeline_tag") == "text-generation" else [{"message": "pipeline_tag is missing"}]
        self._answer(400 if wrong else 200, {"errors": wrong, "warnings": []})

    def _commit(self, repo: str, body: bytes) -> None:
        lines = [json.loads(line) for line in body.splitlines()]
        place = self.server.folder / repo
        for line in lines[1:]:
            value = line["value"]
            file = place / value["path"]
            file.parent.mkdir(parents=True, exist_ok=True)
            small = line["key"] == "file"
            file.write_bytes(base64.b64decode(value["content"]) if small else self.server.objects[value["oid"]])
        self.server.commits.append(repo)
        oid = hashlib.sha1(body).hexdigest()
        answer = {"success": True, "commitOid": oid, "commitUrl": f"{self.server.url}/{repo}/commit/{oid}"}
        self._answer(200, {**answer, "hookOutput": "", "pullRequestUrl": None})

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts: list[bytes] = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, status: int, value: dict[str, Any]) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(folder: Path) -> Iterator[HubServer]:
    """A hub on a free port, until the block ends."""
    server = HubServer(folder)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
