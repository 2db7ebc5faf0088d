"""The control `encryption`: a bucket encrypts what is stored in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from drd.controls.settings import ControlSettings
from drd.fields import AbsolutePath, Contradiction, Name, Secret
from drd.model.controls import ControlResult, ControlSpec
from drd.model.location import is_s3, parse_s3
from drd.model.plan import S3Access
from drd.model.text import either
from drd.ports.control import ControlContext, ControlKind

Algorithm = Literal["AES256", "aws:kms", "aws:kms:dsse"]
_ALL: tuple[Algorithm, ...] = ("AES256", "aws:kms", "aws:kms:dsse")


class EncryptionControl(ControlSettings):
    """Checks that a bucket encrypts at rest by default: the bucket of a repository of the plan, or
    a bucket of the service. The key needs s3:GetEncryptionConfiguration."""

    kind: Literal["encryption"]
    repository: Name | None = Field(
        None,
        description="A repository of this plan that is in a bucket. drd uses the keys "
        "of this repository.",
    )
    url: str | None = Field(
        None, min_length=1, description="Another bucket: `s3:https://HOST/BUCKET`."
    )
    access_key: Secret | None = Field(
        None,
        description="Access key id for `url`. Without a key, drd uses the role of the "
        "cloud instance.",
    )
    secret_key: Secret | None = Field(None, description="Secret access key for `url`.")
    region: str | None = Field(
        None, min_length=1, description="Region of `url`, if the server requires it."
    )
    ca_cert: AbsolutePath | None = Field(
        None, description="PEM file of your own certificate authority, for `url`."
    )
    algorithms: list[Algorithm] = Field(
        list(_ALL), min_length=1, description="The encryption algorithms that are allowed."
    )
    key: str | None = Field(
        None, min_length=1, description="Id or ARN of the KMS key that must be used."
    )

    def contradictions(self) -> Iterator[Contradiction]:
        """Report a control that does not name exactly one bucket, and a URL that is not a
        bucket."""
        if (self.repository is None) == (self.url is None):
            hint = "name a `repository` of this plan, or the `url` of another bucket."
            yield Contradiction(("kind",), "the control needs exactly one bucket", hint)
        for name in ("access_key", "secret_key", "region", "ca_cert"):
            if self.url is None and getattr(self, name) is not None:
                hint = f"remove `{name}`: drd uses the settings of the repository."
                yield Contradiction((name,), f"`{name}` is allowed only with `url`", hint)
        if self.url is not None:
            try:
                if not is_s3(self.url):
                    raise ValueError("not the address of a bucket")
                parse_s3(self.url)
            except ValueError as error:
                hint = "write s3:https://HOST/BUCKET."
                yield Contradiction(("url",), str(error), hint)


class Encryption:
    """The control holds if new objects are encrypted by one of the algorithms."""

    def run(self, spec: ControlSpec, context: ControlContext) -> ControlResult:
        settings = spec.settings
        assert isinstance(settings, EncryptionControl)
        access = S3Access(
            access_key=settings.access_key,
            secret_key=settings.secret_key,
            region=settings.region,
            ca_cert=settings.ca_cert,
        )
        encryption = context.encryption(settings.repository or "", settings.url or "", access)
        expected = f"encryption at rest by {either(settings.algorithms)}"
        if settings.key is not None:
            expected += f" with key {settings.key}"
        remedy = (
            f"set the default encryption of bucket {encryption.bucket}; this does not encrypt the "
            "objects that the bucket already contains"
        )
        if not encryption.algorithm:
            observed = f"bucket {encryption.bucket} does not encrypt new objects"
            return ControlResult(False, observed, expected, remedy)
        key = f" with key {encryption.key}" if encryption.key else ""
        observed = f"bucket {encryption.bucket} encrypts new objects by {encryption.algorithm}{key}"
        holds = encryption.algorithm in settings.algorithms and _is(settings.key, encryption.key)
        return ControlResult(holds, observed, expected, "" if holds else remedy)


def _is(wanted: str | None, found: str) -> bool:
    """Return whether a key is the wanted one: an ARN ends with the id."""
    return wanted is None or wanted == found or found.endswith((f"key/{wanted}", f":{wanted}"))


SPEC = ControlKind("encryption", EncryptionControl, Encryption())
