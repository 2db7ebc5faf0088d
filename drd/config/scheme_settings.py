"""The sections of a repository for the schemes of `drd.model.schemes`, one for each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from drd.fields import AbsolutePath, Contradiction, Secret, Settings
from drd.model.schemes import azure_account, azure_suffix


class Sftp(Settings):
    """How to log in to an SSH server. drd does not read ~/.ssh or ssh_config: it uses only this key
    and these host keys."""

    key: Secret = Field(
        description="Private SSH key, without a passphrase: the content of a file like id_ed25519."
    )
    known_hosts: Secret = Field(
        description="Public keys of the server, in the lines of a known_hosts file, as "
        "`ssh-keyscan HOST` prints them. Compare these keys with the keys on "
        "the server before you use them: drd connects only to a server that has "
        "one of these keys."
    )


class Rest(Settings):
    """Access to a restic REST server."""

    user: str | None = Field(None, min_length=1, description="Name of the user at the server.")
    password: Secret | None = Field(None, description="Password of this user at the server.")
    ca_cert: AbsolutePath | None = Field(
        None, description="PEM file of your own certificate authority."
    )

    def contradictions(self) -> Iterator[Contradiction]:
        yield from _together(self, "user", "password")


class B2(Settings):
    """Application key for a bucket at Backblaze B2."""

    account_id: Secret = Field(description="Id of the application key (keyID).")
    account_key: Secret = Field(description="The application key itself.")


class Azure(Settings):
    """Access to a container of Azure Blob Storage. With neither `account_key` nor `account_sas` the
    managed identity of the machine is used."""

    account_name: Annotated[str, AfterValidator(azure_account)] = Field(
        description="Name of the storage account: 3 to 24 lower-case letters and digits."
    )
    account_key: Secret | None = Field(None, description="Key of the storage account.")
    account_sas: Secret | None = Field(
        None, description="Shared access signature (SAS), instead of the key."
    )
    endpoint_suffix: Annotated[str, AfterValidator(azure_suffix)] | None = Field(
        None, description="Suffix of the endpoint, a host name: `core.windows.net` if not given."
    )

    def contradictions(self) -> Iterator[Contradiction]:
        yield from _not_both(self, "account_key", "account_sas")


class Gs(Settings):
    """Access to a bucket of Google Cloud Storage. With neither `credentials` nor `access_token` the
    service account of the machine is used."""

    project_id: str | None = Field(None, min_length=1, description="Id of the project.")
    credentials: Secret | None = Field(
        None, description="Key of a service account: the content of its JSON file."
    )
    access_token: Secret | None = Field(
        None, description="Access token, instead of `credentials`. It is valid for an hour."
    )

    def contradictions(self) -> Iterator[Contradiction]:
        yield from _not_both(self, "credentials", "access_token")


class Rclone(Settings):
    """The remotes of rclone."""

    config: Secret = Field(
        description="The content of an rclone.conf that is not encrypted, with the section "
        "of the remote. rclone gets this content in its environment, so rclone "
        "cannot store a token that it renews."
    )


SECTIONS: Mapping[str, type[Settings]] = {
    "sftp": Sftp,
    "rest": Rest,
    "b2": B2,
    "azure": Azure,
    "gs": Gs,
    "rclone": Rclone,
}


def _together(settings: Settings, *keys: str) -> Iterator[Contradiction]:
    for given in keys:
        for missing in keys:
            if getattr(settings, given) is not None and getattr(settings, missing) is None:
                hint = "add the missing key, or remove both keys."
                yield Contradiction((given,), f"also needs `{missing}`", hint, of_key=True)


def _not_both(settings: Settings, one: str, other: str) -> Iterator[Contradiction]:
    if getattr(settings, one) is not None and getattr(settings, other) is not None:
        yield Contradiction(
            (other,), f"cannot be combined with `{one}`", "remove one of the two keys.", of_key=True
        )
