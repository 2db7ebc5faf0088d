"""The schemes of repositories that drd reaches through restic alone: all except S3 and directories.

An entry of the table says everything about a scheme: how its addresses are written, which settings
the plan has for it, and in which variable restic reads each setting. The table follows restic's
documentation.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from drd.model.malformed import Malformed

CA_CERT = "ca_cert"
"""The setting of a scheme that is the path of a PEM file on this host."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of a plan for a scheme.

    restic reads its value in the variable `env`, or, if `in_file`, in a file whose path is in that
    variable. Without `env`, drd itself uses the value. A `secret` is written in the plan as a
    reference. If the key has a `place`, it decides, together with the address, where data and
    secrets go: `place` returns the normal spelling of a value, or raises Malformed. `usual` is the
    default. `sample` is a possible value for a new plan, if `place` does not allow `CHANGE-THIS`.
    """

    env: str = ""
    in_file: bool = False
    required: bool = False
    secret: bool = True
    place: Callable[[str], str] | None = None
    usual: str = ""
    sample: str = ""


@dataclass(frozen=True, slots=True)
class Scheme:
    """`form` is an address as people write one. `normal` returns the one normal spelling of an
    address, and raises Malformed. `removal` is the command with which a person removes an object,
    by the address of the repository and the object's name below it.
    """

    name: str
    form: str
    normal: Callable[[str], str]
    settings: Mapping[str, Setting]
    removal: Callable[[str, str], str]
    needs: tuple[tuple[str, str], ...] = ()
    """Programs that restic starts for this scheme, each with its Debian package."""

    def place(self, given: Mapping[str, object]) -> dict[str, str]:
        """Return the settings that decide where data and secrets go, in their normal spelling. A
        value that is refused stays as it is."""
        return {
            name: _normal(setting.place, given.get(name) or setting.usual)
            for name, setting in self.settings.items()
            if setting.place is not None
        }


@dataclass(frozen=True, slots=True)
class SftpPlace:
    """A directory of an SSH server. A relative path begins in the home directory of `user`."""

    user: str
    host: str
    port: int
    path: str

    @property
    def url(self) -> str:
        if self.port == SSH_PORT and ":" not in self.host:
            return f"sftp:{self.user}@{self.host}:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == SSH_PORT else f":{self.port}"
        return f"sftp://{quote(self.user, safe='@')}@{host}{port}/{quote(self.path)}"


SSH_PORT = 22
_SFTP_FORM = "sftp:USER@HOST:/PATH, or with a port sftp://USER@HOST:PORT//PATH"
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+@-]*")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*")
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
_SUFFIX = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_REMOTE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+@-]*")
_BUCKET = {
    "b2": re.compile(r"[A-Za-z0-9-]{6,50}"),
    "azure": re.compile(r"[a-z0-9$][a-z0-9-]{1,62}"),
    "gs": re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]"),
}


def scheme_of(url: str) -> Scheme | None:
    """Return the scheme of an address; None for S3, for a directory, and for everything else."""
    name, colon, _ = url.partition(":")
    return SCHEMES.get(name) if colon else None


def forms() -> str:
    """Return how the addresses of all these schemes are written."""
    return ", ".join(scheme.form for scheme in SCHEMES.values())


def azure_account(value: str) -> str:
    """Return the name of an Azure storage account. Raises Malformed for anything else: the name
    becomes the beginning of the server's name, so a name with a / could name another server."""
    if not _ACCOUNT.fullmatch(value):
        raise Malformed(
            f"{value!r} is not a valid name of a storage account",
            "write 3 to 24 lower-case letters and digits, as Azure has them",
        )
    return value


def azure_suffix(value: str) -> str:
    """Return the end of the names of Azure's servers. Raises Malformed unless it is a host name."""
    if not _SUFFIX.fullmatch(value):
        raise Malformed(
            f"{value!r} is not a valid host name",
            "write the name without https:// and port, like core.windows.net",
        )
    return value.lower()


def _normal(place: Callable[[str], str], value: object) -> str:
    try:
        return place(str(value))
    except Malformed:
        return str(value)


def parse_sftp(url: str) -> SftpPlace:
    """Parse both of restic's forms. Raises ValueError for an address without a user, since ssh
    would take the name of whoever runs drd: the service, or root in a recovery.
    """
    remedy = f"write {_SFTP_FORM}"
    if url.startswith("sftp://"):
        parts = urlsplit(url)
        login, _, _ = parts.netloc.rpartition("@")
        user, host, path = unquote(login), parts.hostname or "", unquote(parts.path[1:])
        port = parts.port if parts.port is not None else SSH_PORT
        if parts.query or parts.fragment:
            raise Malformed("the address contains ? or #", f"{remedy}, with ? as %3F and # as %23")
    else:
        login, colon, path = url.removeprefix("sftp:").partition(":")
        if not colon:
            raise Malformed("the address has no path", remedy)
        user, _, host = login.rpartition("@")
        port = SSH_PORT
        if not user and "@" in path.partition("/")[0]:
            user = f"{login}:"  # sftp:USER:PASSWORD@HOST:/PATH
    if ":" in user:
        raise Malformed("the address contains a password", "give an SSH key: `sftp: {key: …}`")
    if not user:
        raise Malformed("the address does not contain a user", remedy)
    if not _USER.fullmatch(user):
        raise Malformed(f"{user!r} is not a valid user name", remedy)
    if not _HOST.fullmatch(host):
        raise Malformed(f"{host!r} is not a valid host name", remedy)
    if port == 0:
        raise Malformed("port 0 is not a valid port", remedy)
    return SftpPlace(user, host.lower(), port, _path(path, remedy))


def parse_rclone(url: str) -> tuple[str, str]:
    """Return the name of the remote, and the path on it. Refuses rclone's connection strings, which
    can name programs and files of this host.
    """
    remote, colon, path = url.removeprefix("rclone:").partition(":")
    remedy = "write rclone:REMOTE:PATH, with the name of a section of `rclone: {config: …}`"
    if not colon:
        raise Malformed("the address has no path", remedy)
    if not _REMOTE.fullmatch(remote):
        raise Malformed(f"{remote!r} is not the name of a remote of rclone", remedy)
    return remote, _path(path, remedy, may_be_empty=True)


def _normal_rclone(url: str) -> str:
    return "rclone:{}:{}".format(*parse_rclone(url))


def _normal_rest(url: str) -> str:
    form = "write rest:https://HOST:PORT/PATH/"
    parts = urlsplit(url.removeprefix("rest:"))
    if parts.scheme not in ("http", "https"):
        raise Malformed("the address names neither https:// nor http://", form)
    if "@" in parts.netloc:
        raise Malformed(
            "the address contains a user or password", "write them into `rest: {user, password}`"
        )
    if parts.query or parts.fragment:
        raise Malformed("the address has a query or fragment", form)
    host = (parts.hostname or "").lower()
    if not _HOST.fullmatch(host):
        raise Malformed("the address has no host", form)
    usual = 443 if parts.scheme == "https" else 80
    port = "" if parts.port in (None, usual) else f":{parts.port}"
    host = f"[{host}]" if ":" in host else host
    path = "/".join(part for part in parts.path.split("/") if part)
    return f"rest:{parts.scheme}://{host}{port}/" + (f"{path}/" if path else "")


def _normal_bucket(url: str) -> str:
    name, _, rest = url.partition(":")
    bucket, colon, path = rest.partition(":")
    remedy = f"write {SCHEMES[name].form}"
    if not _BUCKET[name].fullmatch(bucket):
        what = "container" if name == "azure" else "bucket"
        raise Malformed(f"{bucket!r} is not a valid name of a {what}", remedy)
    if not colon and name != "b2":
        raise Malformed("the address has no path", remedy)
    path = _path(path, remedy, may_be_empty=True).lstrip("/")
    if name == "b2":
        return f"b2:{bucket}:{path}" if path else f"b2:{bucket}"
    return f"{name}:{bucket}:/{path}"


def _path(path: str, remedy: str, *, may_be_empty: bool = False) -> str:
    """Return the path as restic cleans it."""
    if not path.isprintable():
        raise Malformed("the path contains a control character", remedy)
    if not path:
        if may_be_empty:
            return ""
        raise Malformed("the address has no path", remedy)
    clean = posixpath.normpath(path)
    clean = "/" + clean.lstrip("/") if clean.startswith("/") else clean
    if clean.startswith("~"):
        raise Malformed(
            "the path begins with ~, which servers do not expand",
            "write a path without ~/: it begins in the user's home directory",
        )
    if clean in (".", "..") or clean.startswith("../"):
        raise Malformed(f"{path!r} does not name a directory", remedy)
    return clean


def _removal_sftp(url: str, name: str) -> str:
    place = parse_sftp(url)
    port = [] if place.port == SSH_PORT else ["-P", str(place.port)]
    host = f"[{place.host}]" if ":" in place.host else place.host
    words = shlex.join(["sftp", "-b", "-", *port, f"{place.user}@{host}"])
    order = f"rm {shlex.quote(posixpath.join(place.path, name))}"
    return f"echo {shlex.quote(order)} | {words}"


def _removal_rest(url: str, name: str) -> str:
    return shlex.join(["curl", "-X", "DELETE", url.removeprefix("rest:") + name])


def _removal_rclone(url: str, name: str) -> str:
    remote, path = parse_rclone(url)
    return shlex.join(["rclone", "deletefile", f"{remote}:{posixpath.join(path, name)}"])


def _removal_bucket(url: str, name: str) -> str:
    scheme, bucket, path = (*url.split(":"), "")[:3]
    item = posixpath.join(path.lstrip("/"), name)
    if scheme == "azure":
        words = ["az", "storage", "blob", "delete", "--container-name", bucket, "--name", item]
    else:
        tool = ["b2", "rm"] if scheme == "b2" else ["gcloud", "storage", "rm"]
        words = [*tool, f"{scheme}://{bucket}/{item}"]
    return shlex.join(words)


SSH_KEY, SSH_KNOWN_HOSTS = "DRD_SSH_KEY", "DRD_SSH_KNOWN_HOSTS"
"""Variables with paths, from which the options of ssh take these paths."""

SCHEMES: Mapping[str, Scheme] = {
    scheme.name: scheme
    for scheme in (
        Scheme(
            "sftp",
            "sftp:USER@HOST:/PATH",
            lambda url: parse_sftp(url).url,
            {
                "key": Setting(SSH_KEY, in_file=True, required=True),
                "known_hosts": Setting(SSH_KNOWN_HOSTS, in_file=True, required=True),
            },
            _removal_sftp,
            needs=(("ssh", "openssh-client"),),
        ),
        Scheme(
            "rest",
            "rest:https://HOST:PORT/PATH/",
            _normal_rest,
            {
                "user": Setting("RESTIC_REST_USERNAME", secret=False),
                "password": Setting("RESTIC_REST_PASSWORD"),
                CA_CERT: Setting(secret=False),
            },
            _removal_rest,
        ),
        Scheme(
            "b2",
            "b2:BUCKET:PATH",
            _normal_bucket,
            {
                "account_id": Setting("B2_ACCOUNT_ID", required=True),
                "account_key": Setting("B2_ACCOUNT_KEY", required=True),
            },
            _removal_bucket,
        ),
        Scheme(
            "azure",
            "azure:CONTAINER:/PATH",
            _normal_bucket,
            {
                "account_name": Setting(
                    "AZURE_ACCOUNT_NAME",
                    required=True,
                    secret=False,
                    place=azure_account,
                    sample="changethis",
                ),
                "account_key": Setting("AZURE_ACCOUNT_KEY"),
                "account_sas": Setting("AZURE_ACCOUNT_SAS"),
                "endpoint_suffix": Setting(
                    "AZURE_ENDPOINT_SUFFIX",
                    secret=False,
                    place=azure_suffix,
                    usual="core.windows.net",
                ),
            },
            _removal_bucket,
        ),
        Scheme(
            "gs",
            "gs:BUCKET:/PATH",
            _normal_bucket,
            {
                "project_id": Setting("GOOGLE_PROJECT_ID", secret=False),
                "credentials": Setting("GOOGLE_APPLICATION_CREDENTIALS", in_file=True),
                "access_token": Setting("GOOGLE_ACCESS_TOKEN"),
            },
            _removal_bucket,
        ),
        Scheme(
            "rclone",
            "rclone:REMOTE:PATH",
            _normal_rclone,
            {"config": Setting(required=True)},
            _removal_rclone,
            needs=(("rclone", "rclone"),),
        ),
    )
}
