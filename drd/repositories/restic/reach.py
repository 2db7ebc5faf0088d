"""What restic needs to reach a repository of a scheme in `drd.model.schemes`: options, variables
and files. Secrets are never among the options.
"""

from __future__ import annotations

import base64
import configparser
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit, urlunsplit

from drd.errors import NotSupported, SecretUnavailable
from drd.log import mask
from drd.model.plan import RepositorySpec, SecretRef
from drd.model.schemes import CA_CERT, SSH_KEY, SSH_KNOWN_HOSTS, Scheme, parse_rclone, scheme_of
from drd.process import find_tool

Resolve = Callable[[SecretRef, str], str]
"""Returns a secret. The text says which secret of the repository it is, for errors."""

_SOURCE = "DRD_FROM"
"""The beginning of the variables with the files of the second repository of a copy."""

_SSH = (
    "-Fnone",  # neither ~/.ssh/config nor /etc/ssh/ssh_config
    *("-oBatchMode=yes", "-oPreferredAuthentications=publickey", "-oIdentityAgent=none"),
    *("-oIdentitiesOnly=yes", "-oControlPath=none", "-oUpdateHostKeys=no"),
    *("-oStrictHostKeyChecking=yes", "-oGlobalKnownHostsFile=none", "-oCheckHostIP=no"),
    *("-oConnectTimeout=10", "-oServerAliveInterval=10", "-oServerAliveCountMax=3"),
)

_SECRET_OPTION = re.compile(r"PASS|SECRET|TOKEN|KEY|CREDENTIAL|SAS_URL|AUTH|BEARER|COOKIE|HEADERS")
_SHORTEST_SECRET = 6
_OPENSSH = b"openssh-key-v1\0"
_NO_CIPHER = b"\0\0\0\x04none"
_NOT_FOR_RCLONE = ("RESTIC_PASSWORD", "RESTIC_FROM_PASSWORD")
_RCLONE_ARGS = "rclone.args=serve restic --stdio --b2-hard-delete --contimeout 10s --timeout 60s"


@dataclass(frozen=True, slots=True)
class Reach:
    """`files` are by the variable that has the path; `url` is the address for restic, which for a
    copy may contain a login."""

    url: str
    words: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)


def reach(spec: RepositorySpec, resolve: Resolve) -> Reach:
    """Return what one repository needs. Raises SecretUnavailable, and ToolMissing for ssh and
    rclone.
    """
    scheme = scheme_of(spec.url)
    if scheme is None:
        return Reach(spec.url)
    for tool, package in scheme.needs:
        find_tool(tool, package=package)
    env, files = _settings(spec, scheme, resolve)
    return Reach(spec.url, tuple(_words(spec, scheme.name)), env, files)


def reach_both(
    into: RepositorySpec, one: Reach, source: RepositorySpec, two: Reach
) -> tuple[Reach, Reach]:
    """Return what a copy needs: for `into`, with all options, and for `source`. Raises NotSupported
    if restic accepts only one login for two repositories of the same scheme, and theirs differ.
    """
    scheme = scheme_of(into.url)
    if scheme is None or scheme is not scheme_of(source.url):
        return _merged(one, two)
    if scheme.name == "sftp":
        moved = {name.replace("DRD", _SOURCE, 1): file for name, file in two.files.items()}
        words = sftp_words((*one.files, *moved))
        return Reach(one.url, words, files=one.files), Reach(two.url, files=moved)
    if scheme.name == "rest":
        words = tuple(dict.fromkeys((*one.words, *two.words)))
        return Reach(_with_login(one), words), Reach(_with_login(two))
    if scheme.name == "rclone":
        return _merged(one, two)
    if (one.env, one.files) != (two.env, two.files):
        raise _one_login(into, source)
    return _merged(one, two)


def _merged(into: Reach, source: Reach) -> tuple[Reach, Reach]:
    words = tuple(dict.fromkeys((*into.words, *source.words)))
    for name in into.env.keys() & source.env.keys():
        if into.env[name] != source.env[name]:
            remote = name.removeprefix("RCLONE_CONFIG_").partition("_")[0].lower()
            raise NotSupported(
                f"both repositories of the copy have a remote {remote} of rclone with different "
                "settings",
                hint="give one of the two remotes another name, in its configuration and its URL.",
            )
    return Reach(into.url, words, into.env, into.files), source


def _one_login(into: RepositorySpec, source: RepositorySpec) -> NotSupported:
    scheme = into.url.partition(":")[0]
    return NotSupported(
        f"restic cannot copy between {source.name} and {into.name}: for two repositories at "
        f"`{scheme}:`, restic uses only one login, but these repositories have different logins",
        hint="give both repositories the same login, or write the `url` of one of the two as "
        "rclone:REMOTE:PATH.",
    )


def _settings(
    spec: RepositorySpec, scheme: Scheme, resolve: Resolve
) -> tuple[dict[str, str], dict[str, bytes]]:
    env: dict[str, str] = {}
    files: dict[str, bytes] = {}
    for key, given in spec.access:
        setting = scheme.settings[key]
        value = resolve(given, f"{scheme.name}.{key}") if isinstance(given, SecretRef) else given
        if setting.env == SSH_KEY and isinstance(given, SecretRef):
            _require_private_key(value, given)
        if setting.in_file:
            files[setting.env] = f"{value}\n".encode()  # ssh refuses a key without the line end
        elif setting.env:
            env[setting.env] = value
        elif isinstance(given, SecretRef):
            env |= _remotes(value, spec, given)
    return env, files


def _require_private_key(value: str, ref: SecretRef) -> None:
    """Raise SecretUnavailable for what ssh cannot use without a person: it would only report that
    the server refuses it.
    """
    what = ""
    if "PRIVATE KEY-----" not in value:
        what = "is not a private SSH key"
    elif "ENCRYPTED" in value or _is_encrypted(value):
        what = "is an SSH key with a passphrase, which nobody can type for drd"
    if what:
        raise SecretUnavailable(
            f"{ref.describe()} {what}",
            hint="store the content of a private key without a passphrase, as ssh-keygen -t "
            "ed25519 -N '' -f FILE writes it.",
        )


def _is_encrypted(key: str) -> bool:
    """Return whether a key in OpenSSH's own format names a cipher (PROTOCOL.key)."""
    body = "".join(line for line in key.splitlines() if not line.startswith("-----"))
    try:
        content = base64.b64decode(body)
    except ValueError:
        return False
    return content.startswith(_OPENSSH) and not content.startswith(_OPENSSH + _NO_CIPHER)


def _words(spec: RepositorySpec, scheme: str) -> tuple[str, ...]:
    if scheme == "sftp":
        return sftp_words((SSH_KEY, SSH_KNOWN_HOSTS))
    if scheme == "rclone":
        unset = [word for name in _NOT_FOR_RCLONE for word in ("-u", name)]
        program = shlex.join(["env", *unset, find_tool("rclone", package="rclone")])
        return (f"--option=rclone.program={program}", f"--option={_RCLONE_ARGS}")
    ca_cert = dict(spec.access).get(CA_CERT)
    return (f"--cacert={ca_cert}",) if ca_cert is not None else ()


def sftp_words(files: Iterable[str]) -> tuple[str, ...]:
    """Return restic's option with the options of ssh. restic knows quotes and no escapes."""
    args = " ".join(f"'{word}'" if " " in word else word for word in ssh_options(files))
    return (f"--option=sftp.args={args}",)


def ssh_options(files: Iterable[str]) -> list[str]:
    """Return ssh's options. `files` are the variables with the paths of keys and host keys, which
    ssh itself inserts.
    """
    keys = [f"-oIdentityFile=${{{name}}}" for name in files if name.endswith(SSH_KEY[3:])]
    hosts = [f"${{{name}}}" for name in files if name.endswith(SSH_KNOWN_HOSTS[3:])]
    return [*_SSH, *keys, f"-oUserKnownHostsFile={' '.join(hosts)}"]


def _with_login(reached: Reach) -> str:
    """Return the address of a REST server with its login: the variables would count for both."""
    user, password = (reached.env.get(f"RESTIC_REST_{n}") for n in ("USERNAME", "PASSWORD"))
    if user is None or password is None:
        return reached.url
    parts = urlsplit(reached.url.removeprefix("rest:"))
    login = f"{quote(user, safe='')}:{quote(password, safe='')}@{parts.netloc}"
    return "rest:" + urlunsplit(parts._replace(netloc=login))


def _remotes(config: str, spec: RepositorySpec, ref: SecretRef) -> dict[str, str]:
    """Return the remotes of an rclone.conf as variables: rclone then reads no file."""
    remote, _ = parse_rclone(spec.url)
    parser = configparser.RawConfigParser(strict=False, interpolation=None, allow_no_value=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        if "RCLONE_ENCRYPT_V" in config:
            raise SecretUnavailable(
                f"the configuration of rclone in {ref.describe()} is encrypted",
                hint="remove rclone's own password (rclone config encryption remove), then store "
                "the configuration again.",
            )
        parser.read_string(config)
    except configparser.Error:
        # Its text may contain a secret, so the message does not repeat it.
        raise SecretUnavailable(
            f"{ref.describe()} is not a configuration of rclone",
            hint="store the content of an rclone.conf in this secret: rclone config show prints "
            "it.",
        ) from None
    if remote not in parser.sections():
        known = ", ".join(parser.sections()) or "none"
        raise SecretUnavailable(
            f"the configuration of rclone in {ref.describe()} has no remote {remote}; its remotes "
            f"are: {known}",
            hint=f"add the section [{remote}], or correct `url` of repository {spec.name}.",
        )
    variables = {
        f"RCLONE_CONFIG_{section.upper()}_{key.upper().replace('-', '_')}": value or ""
        for section in parser.sections()
        for key, value in parser.items(section)
    }
    for name, value in variables.items():
        if len(value) >= _SHORTEST_SECRET and _SECRET_OPTION.search(name):
            mask(value)  # rclone repeats an option that it does not understand
    return {**variables, "RCLONE_CONFIG": ""}
