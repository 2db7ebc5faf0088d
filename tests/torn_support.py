"""Snapshots that note other lengths of files than they hold.

restic up to 0.19 makes them of files that it reads while they are truncated and written again, when
the moment is right. Here they are made at will: new directories, an index that names them, and a
snapshot of them. doc/design.rst of restic has the formats.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import subprocess
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from Crypto.Cipher import AES
from Crypto.Hash import Poly1305

from drd.repositories.restic import ResticRepository
from tests.repository_support import restic
from tests.servers import S3Server

Put = Callable[[str, bytes], object]
"""Stores an object by its name in the repository."""


def note(
    repository: ResticRepository,
    snapshot: str,
    lengths: Mapping[str, int],
    server: S3Server | None = None,
    place: Path | None = None,
) -> str:
    """The id of another snapshot like that one, which notes these `lengths` of files by their
    paths."""

    def ask(*words: str) -> Any:
        return json.loads(restic(repository, "--no-lock", "cat", *words).stdout)

    directory = place or Path(repository.url)
    put = _to_bucket(server, repository.url) if server else _to_directory(directory)
    return _Maker(ask, put, lengths).snapshot(snapshot)


def retold(summary: bytes, path: str, more: int, real: str) -> bytes:
    """What a restic has said of a backup, after its snapshot was exchanged for one that notes
    `more` of a file, by the program `real` in the repository of the environment."""
    lines = [json.loads(line) for line in summary.splitlines()]
    made = next(line for line in lines if line["message_type"] == "summary")["snapshot_id"]

    def run(*words: str) -> bytes:
        argv = [real, "--no-cache", *words]
        return subprocess.run(argv, capture_output=True, check=True).stdout

    def ask(*words: str) -> Any:
        return json.loads(run("cat", *words))

    (length,) = (
        json.loads(row).get("size", 0) for row in run("ls", "--json", made, path).splitlines()[1:]
    )
    lengths = {path: length + more}
    put = _to_directory(Path(os.environ["RESTIC_REPOSITORY"]))
    other = _Maker(ask, put, lengths).snapshot(made)
    run("forget", made)
    return summary.replace(made.encode(), other.encode())


def _to_directory(directory: Path) -> Put:
    def put(name: str, data: bytes) -> None:
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_bytes(data)

    return put


def _to_bucket(server: S3Server, url: str) -> Put:
    bucket, _, prefix = url.removeprefix("s3:").split("/", 3)[3].partition("/")
    client = server.client()

    def put(name: str, data: bytes) -> None:
        client.put_object(Bucket=bucket, Key=f"{prefix}/{name}".lstrip("/"), Body=data)

    return put


@dataclass
class _Maker:
    ask: Callable[..., Any]
    put: Put
    lengths: Mapping[str, int]

    def __post_init__(self) -> None:
        key = self.ask("masterkey")
        self._encrypt = b64decode(key["encrypt"])
        self._mac = b64decode(key["mac"]["k"]) + b64decode(key["mac"]["r"])
        self._left = dict(self.lengths)

    def snapshot(self, like: str) -> str:
        known = self.ask("snapshot", like)
        known["tree"] = self._tree(known["tree"], "")
        assert not self._left, f"not in the snapshot: {self._left}"
        known.pop("id", None)
        return self._kept("snapshots", known)

    def _tree(self, tree: str, path: str) -> str:
        known = self.ask("blob", tree)
        for node in known["nodes"]:
            place = f"{path}/{node['name']}"
            if node["type"] == "dir" and any(p.startswith(f"{place}/") for p in self._left):
                node["subtree"] = self._tree(node["subtree"], place)
            elif place in self._left:
                node["size"] = self._left.pop(place)
        return self._pack(json.dumps(known, separators=(",", ":"), ensure_ascii=False).encode())

    def _pack(self, tree: bytes) -> str:
        """A pack of that one directory, and the index of it."""
        blob, sealed = hashlib.sha256(tree).hexdigest(), self._sealed(tree)
        header = self._sealed(b"\1" + len(sealed).to_bytes(4, "little") + bytes.fromhex(blob))
        pack = sealed + header + len(header).to_bytes(4, "little")
        name = hashlib.sha256(pack).hexdigest()
        self.put(f"data/{name[:2]}/{name}", pack)
        entry = {"id": blob, "type": "tree", "offset": 0, "length": len(sealed)}
        self._kept("index", {"packs": [{"id": name, "blobs": [entry]}]})
        return blob

    def _kept(self, below: str, value: Mapping[str, Any]) -> str:
        data = self._sealed(json.dumps(value).encode())
        name = hashlib.sha256(data).hexdigest()
        self.put(f"{below}/{name}", data)
        return name

    def _sealed(self, text: bytes) -> bytes:
        nonce = secrets.token_bytes(16)
        cipher = AES.new(self._encrypt, AES.MODE_CTR, nonce=b"", initial_value=nonce)
        data = bytes(cipher.encrypt(text))
        return (
            nonce + data + Poly1305.new(key=self._mac, cipher=AES, nonce=nonce, data=data).digest()
        )
