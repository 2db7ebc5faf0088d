"""Certificates: restic and boto3 trust the same ones."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from drd import process
from drd.errors import RepositoryError
from drd.process import Command
from drd.repositories import open_repository
from drd.repositories.restic import ResticRepository
from tests.repository_support import new_bucket, s3_repository, value
from tests.servers import Proxy, S3Server


class TlsProxy(Proxy):
    """Speaks TLS to the client and hands on what it says in the clear."""

    def __init__(self, target_host: str, target_port: int, certificate: Path) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        super().__init__(target_host, target_port)

    def _accept(self) -> None:
        # Handshakes happen in accept(): a client that breaks one off must not end the proxy.
        self._listener = self._context.wrap_socket(
            self._listener, server_side=True, do_handshake_on_connect=False
        )
        super()._accept()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Key and certificate in one file, which also is the CA that signed it."""
    path = tmp_path / "server.pem"
    done = process.run(
        Command(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
             "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path),
             "-out", str(tmp_path / "ca.pem")]
        )
    )  # fmt: skip
    assert done.exit_code == 0, done.complaint
    path.write_text(path.read_text() + (tmp_path / "ca.pem").read_text())
    return path


@pytest.fixture
def repository(s3: S3Server, tmp_path: Path, certificate: Path) -> Iterator[ResticRepository]:
    proxy = TlsProxy("127.0.0.1", s3.port, certificate)
    try:
        endpoint = f"https://127.0.0.1:{proxy.port}"
        yield s3_repository(s3, tmp_path, url=s3.repository(new_bucket(s3), "p", endpoint))
    finally:
        proxy.close()


def test_an_unknown_authority_is_named_with_its_remedy(repository: ResticRepository) -> None:
    with pytest.raises(RepositoryError, match="not trusted: self-signed certificate") as caught:
        repository.preflight()
    assert "ca_cert" in caught.value.hint


def test_an_own_authority_is_trusted_by_both(repository: ResticRepository, tmp_path: Path) -> None:
    trusting = with_ca(repository, tmp_path, tmp_path / "ca.pem")
    made = trusting.initialise()
    assert trusting.identity() == made


def test_a_certificate_file_that_is_none_is_named(
    repository: ResticRepository, tmp_path: Path
) -> None:
    with pytest.raises(RepositoryError, match=r"nowhere\.pem"):
        with_ca(repository, tmp_path, tmp_path / "nowhere.pem").preflight()
    (tmp_path / "empty.pem").touch()
    with pytest.raises(RepositoryError, match=r"no certificate in \S*empty\.pem"):
        with_ca(repository, tmp_path, tmp_path / "empty.pem").preflight()


def with_ca(repository: ResticRepository, tmp_path: Path, ca: Path) -> ResticRepository:
    spec = repository.door.session.spec
    spec = replace(spec, s3=replace(spec.s3, ca_cert=str(ca)))
    return open_repository(spec, cache_dir=tmp_path / "cache", resolve=value)
