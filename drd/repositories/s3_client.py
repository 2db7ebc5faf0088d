"""Make S3 clients. No other module imports boto3."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from drd.errors import RepositoryError
from drd.model.location import S3Location
from drd.repositories import s3_requests as requests
from drd.repositories.s3_access import S3Keys, by_host_name

_SYSTEM_CAS = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)
# boto3 brings its own certificates, while restic uses the system's: both must use the same.


def new_client(location: S3Location, keys: S3Keys) -> Any:
    """Return a client of boto3. Making a client is not safe in several threads, using it is. Raises
    RepositoryError for wrong certificates."""
    certificates = trusted_by(keys) if location.secure else None
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=location.endpoint,
        region_name=keys.region or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1",
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        aws_session_token=keys.session_token,
        verify=certificates,
        config=Config(
            retries={"total_max_attempts": 1},
            request_checksum_calculation="when_required",  # older servers have none
            s3={"addressing_style": _addressing(location, keys)},
        ),
    )
    requests.bind(client, requests.session(location.endpoint, certificates))
    return client


def _addressing(location: S3Location, keys: S3Keys) -> str:
    return "virtual" if by_host_name(location, keys) else "path"


def trusted_by(keys: S3Keys) -> str | None:
    """Return the file of the trusted certificates; None means the certificates in boto3. Raises
    RepositoryError."""
    if keys.ca_cert is not None:
        if not os.access(keys.ca_cert, os.R_OK):
            raise RepositoryError(
                f"cannot read the certificates in {keys.ca_cert}",
                hint="correct `ca_cert`, or let the user that runs drd read the file.",
            )
        try:
            ssl.create_default_context(cafile=keys.ca_cert)
        except ssl.SSLError as error:
            raise RepositoryError(
                f"there is no certificate in {keys.ca_cert}",
                hint="set `ca_cert` to the PEM file of the CA.",
            ) from error
        return keys.ca_cert
    candidates = (os.environ.get("SSL_CERT_FILE"), *_SYSTEM_CAS)
    return next((c for c in candidates if c and Path(c).is_file()), None)
