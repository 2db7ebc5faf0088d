"""Certificates: restic and boto3 trust the same ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from drd.errors import RepositoryError
from drd.repositories import open_repository
from drd.repositories.restic import ResticRepository
from tests.repository_support import new_bucket, s3_repository, value
from tests.servers import S3Server
from tests.servers.tls import TlsProxy, self_signed


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Key and certificate in one file, which also is the CA that signed it."""
    return self_signed(tmp_path)


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
    spec = repository.runner.session.spec
    spec = replace(spec, s3=replace(spec.s3, ca_cert=str(ca)))
    return open_repository(spec, cache_dir=tmp_path / "cache", resolve=value)
