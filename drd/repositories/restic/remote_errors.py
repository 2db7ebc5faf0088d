"""Recognise in the output of restic, and of ssh and rclone behind it, why a server refuses or does
not answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from drd.errors import (
    DrdError,
    RepositoryDamaged,
    RepositoryError,
    RepositoryMissing,
    RepositoryReadOnly,
    RepositoryRefused,
    RepositoryUnreachable,
)
from drd.masking import masked
from drd.model.schemes import SSH_PORT, parse_sftp, scheme_of

_SSH_KEYSCAN = (
    "ask the administrator of the server for its keys. Compare them with the keys that the "
    "server shows, and write them to `sftp: {known_hosts: …}` if they are equal. To print the "
    "keys that the server shows: "
)


def explained(said: str, url: str) -> DrdError | None:
    """Return the error for what a program said about the repository at `url`; None if drd does not
    recognise it, and for S3 and directories.
    """
    scheme = scheme_of(url)
    if scheme is None:
        return None
    for pattern, made in (*_BY_SCHEME.get(scheme.name, ()), *_ALL):
        match = pattern.search(said)
        if match is not None:
            return made(url, match)
    return None


_Made = Callable[[str, re.Match[str]], DrdError]


def _rule(pattern: str, made: _Made) -> tuple[re.Pattern[str], _Made]:
    return re.compile(pattern, re.IGNORECASE | re.MULTILINE), made


# --- ssh --------------------------------------------------------------------------------------


def _unknown_host_key(url: str, _: re.Match[str]) -> DrdError:
    return RepositoryError(
        f"`known_hosts` has no key of the SSH server {_server(url)}, so drd does not connect to it",
        hint=_SSH_KEYSCAN + keyscan(url),
    )


def _other_host_key(url: str, _: re.Match[str]) -> DrdError:
    return RepositoryError(
        f"the SSH server {_server(url)} does not have the key that `known_hosts` names, so drd "
        "does not connect to it: it may be another server, or somebody may intercept the "
        "connection",
        hint="ask the administrator of the server whether its key was changed. If so, "
        + _SSH_KEYSCAN
        + keyscan(url),
    )


def _ssh_key_refused(url: str, _: re.Match[str]) -> DrdError:
    user = parse_sftp(url).user
    return RepositoryRefused(
        f"the SSH server {_server(url)} does not accept the key of `sftp: {{key: …}}` for user "
        f"{user}",
        hint=f"add the public key (ssh-keygen -y -f KEYFILE prints it) to ~{user}/.ssh/"
        "authorized_keys on the server.",
    )


def _bad_ssh_key(url: str, _: re.Match[str]) -> DrdError:
    return RepositoryError(
        f"`sftp: {{key: …}}` for {_server(url)} is not a private SSH key, or it has a passphrase",
        hint="store the content of a private key without a passphrase: ssh-keygen -t ed25519 -N '' "
        "-f KEYFILE",
    )


def _no_sftp(url: str, _: re.Match[str]) -> DrdError:
    return RepositoryError(
        f"the SSH server {_server(url)} does not offer SFTP to user {parse_sftp(url).user}",
        hint="enable SFTP in the server's sshd_config: Subsystem sftp internal-sftp",
    )


def keyscan(url: str) -> str:
    """Return the command that prints a server's keys."""
    place = parse_sftp(url)
    port = "" if place.port == SSH_PORT else f"-p {place.port} "
    return f"ssh-keyscan {port}{place.host}"


# --- HTTP, and rclone -------------------------------------------------------------------------


def _login_refused(url: str, found: re.Match[str]) -> DrdError:
    section = url.partition(":")[0]
    return RepositoryRefused(
        f"{_server(url)} refuses the login of section `{section}`: {found[0]}",
        hint=f"check the keys in `{section}`, and that they may read and write this repository.",
    )


def _untrusted(url: str, found: re.Match[str]) -> DrdError:
    return RepositoryError(
        f"the certificate of {_server(url)} is not trusted: {found[1]}",
        hint="give the repository `rest: {ca_cert: FILE}` with the CA that signed the certificate; "
        "in a bootstrap: --ca-cert FILE.",
    )


def _plain_http(url: str, _: re.Match[str]) -> DrdError:
    return RepositoryError(
        f"{_server(url)} does not speak TLS",
        hint="if the server uses plain HTTP, write rest:http://….",
    )


def _gone(url: str, found: re.Match[str]) -> DrdError:
    return RepositoryMissing(
        f"the storage of {url} does not exist: {found[0]}",
        hint="create the bucket or container, or correct the URL: drd never creates a bucket or "
        "container.",
        state="gone",
    )


def _unreachable(url: str, found: re.Match[str]) -> DrdError:
    return RepositoryUnreachable(
        f"cannot reach {_server(url)}: {found[0].lower()}",
        hint="check the URL, the network and that the server runs.",
    )


def _hung_up(url: str, _: re.Match[str]) -> DrdError:
    return RepositoryUnreachable(
        f"{_server(url)} ended the connection",
        hint="check the log of the server, then try again.",
    )


def _read_only(url: str, found: re.Match[str]) -> DrdError:
    return RepositoryReadOnly(
        f"the repository at {url} cannot be written: {found[0].lower()}",
        hint="give the user of this repository the right to write there; drills and recoveries "
        "work without this right.",
    )


def _not_for_rclone(url: str, found: re.Match[str]) -> DrdError:
    return RepositoryReadOnly(
        f"rclone cannot write to {url}: {masked(found[1])}",
        hint="let the user that drd runs as write there (on a host with the service: drd); drills "
        "and recoveries work without this right.",
    )


def _keys_without_config(url: str, _: re.Match[str]) -> DrdError:
    return RepositoryDamaged(
        f"{url} has keys of a repository, but not its file `config`",
        hint="if no backup was ever stored there, the first one was interrupted: remove everything "
        "at this place, or give the plan another path. Otherwise restore the file `config` from a "
        "copy.",
    )


def _not_built_in(url: str, _: re.Match[str]) -> DrdError:
    scheme = url.partition(":")[0]
    return RepositoryError(
        f"the restic of this host does not support {scheme}, so drd cannot reach {url}",
        hint="Debian's restic does not support every kind of storage. Download restic's own "
        "release from https://github.com/restic/restic/releases and install it as "
        "/usr/local/bin/restic.",
    )


def _server(url: str) -> str:
    """Return the server as people call it."""
    if url.startswith("sftp:"):
        place = parse_sftp(url)
        return place.host if place.port == SSH_PORT else f"{place.host}, port {place.port}"
    if url.startswith("rest:"):
        parts = urlsplit(url.removeprefix("rest:"))
        return f"{parts.scheme}://{parts.netloc}"
    return url


_BY_SCHEME = {
    "sftp": (
        _rule(
            r"REMOTE HOST IDENTIFICATION HAS CHANGED|host key for .* has changed", _other_host_key
        ),
        _rule(r"No \S+ host key is known|Host key verification failed", _unknown_host_key),
        _rule(r"Load key .*: |incorrect passphrase|no such identity", _bad_ssh_key),
        _rule(r"Permission denied \(|Too many authentication failures", _ssh_key_refused),
        _rule(r"subsystem request failed|received message too long", _no_sftp),
        _rule(r"Could not resolve hostname|Name or service not known", _unreachable),
    ),
    "rclone": (
        _rule(
            r"^rclone: [^\n]*(?:failed to \w+|error): ([^\n]*"
            r"(?:permission denied|operation not permitted|read-only file system))$",
            _not_for_rclone,
        ),
    ),
    "rest": (_rule(r"server gave HTTP response to HTTPS client", _plain_http),),
}
_ALL = (
    _rule(r"parsing repository location failed: invalid backend", _not_built_in),
    _rule(r"repository already contains keys", _keys_without_config),
    _rule(r"x509: ([^\n]+)", _untrusted),
    _rule(
        r"\b(?:401 Unauthorized|403 Forbidden)|bad_auth_token|unauthorized|AuthenticationFailed"
        r"|AuthorizationFailure|oauth2: [^\n]{1,100}|could not find default credentials"
        r"|b2_authorize_account: 40[13]",
        _login_refused,
    ),
    _rule(
        r"ContainerNotFound|The specified container does not exist|bucket doesn't exist"
        r"|The specified bucket does not exist|bucket not found|NoSuchBucket",
        _gone,
    ),
    _rule(
        r"connection refused|no such host|no route to host|network is unreachable"
        r"|connection timed out|i/o timeout|TLS handshake timeout",
        _unreachable,
    ),
    _rule(r"malformed HTTP (?:response|status code|version)[^\n]{0,80}", _unreachable),
    _rule(
        r"connection reset|connection closed|broken pipe|unexpected EOF|ssh command exited"
        r"|rclone stdio connection already closed|connection lost",
        _hung_up,
    ),
    _rule(r"(?:unable to create lock|MkdirAll|Mkdir|create)[^\n]*permission denied", _read_only),
)
