"""Run one restic process with two repositories, each with its own keys.

restic accepts one set of keys for S3 and uses it for both repositories. Where two buckets have
different keys, one of them is reached through rclone, which restic starts and talks to in its own
protocol. The stored objects and their names are the same.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from drd.model.location import is_s3, parse_s3
from drd.ports import Finding
from drd.process import Command, find_tool
from drd.repositories.restic.errors import MORE_TIME
from drd.repositories.restic.reach import Reach, reach_both
from drd.repositories.restic.session import Session
from drd.repositories.s3_access import by_host_name

_REMOTE = "drd"

_NOT_FOR_RCLONE = ("RESTIC_PASSWORD", "RESTIC_FROM_PASSWORD")
_OTHER_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


def command(
    into: Session,
    source: Session,
    words: Sequence[str],
    *,
    deadline_s: float | None = None,
    retry_lock_s: int = 0,
) -> Command:
    """restic with `words`, on the repository `into` and from `source`.

    Raises SecretUnavailable, ToolMissing when restic, or rclone if needed, is missing, and
    NotSupported where restic cannot reach both at once.
    """
    through = through_rclone(into, source)
    one, two = _reaches(into, source)
    argv = [*into.common(retry_lock_s), *one.words]
    env = {
        **into.environment(),
        **two.env,
        **one.env,
        "RESTIC_REPOSITORY": one.url,
        "RESTIC_FROM_REPOSITORY": two.url,
        "RESTIC_FROM_PASSWORD": source.password(),
        **source.hint.environment("RESTIC_FROM_KEY_HINT"),
    }
    direct = next((s for s in (into, source) if s is not through and is_s3(s.spec.url)), None)
    if direct is not None:
        argv += direct.s3_words()
        env |= direct.access()
    if through is not None:
        argv += [
            "-o",
            f"rclone.program={_program(through)}",
            "-o",
            "rclone.args=serve restic --stdio",
        ]
        name = "RESTIC_REPOSITORY" if through is into else "RESTIC_FROM_REPOSITORY"
        env |= {name: _remote(through), **_settings(through)}
    return Command(
        [into.program, *argv, *words],
        env=env,
        deadline_s=deadline_s,
        name="restic",
        more_time=MORE_TIME,
        files={**one.files, **two.files},
        has_helpers=True,
    )


def _reaches(into: Session, source: Session) -> tuple[Reach, Reach]:
    """Return what both need that are neither in a bucket nor in a directory."""
    return reach_both(into.spec, into.reach(), source.spec, source.reach())


def through_rclone(into: Session, source: Session) -> Session | None:
    """Return the repository that restic must reach through rclone, because the two have different
    keys; None if one set of keys is enough.

    This repository has keys of its own, because only restic itself can use the role of a host.
    """
    if not (is_s3(into.spec.url) and is_s3(source.spec.url)) or into.keys() == source.keys():
        return None
    return source if source.keys().access_key is not None else into


def findings(into: Session, source: Session) -> list[Finding]:
    """Return the findings of `doctor` about what a copy needs in addition to its two repositories.
    Raises ToolMissing and NotSupported.
    """
    _reaches(into, source)
    if through_rclone(into, source) is None:
        return []
    detail = (
        f"drd copies with {_rclone()}, because the keys differ from the keys of {source.spec.name}"
    )
    return [Finding("rclone", "ok", "", detail)]


def _rclone() -> str:
    return find_tool("rclone", package="rclone")


def _program(through: Session) -> str:
    """rclone without passwords and keys that it does not need."""
    hidden = list(_NOT_FOR_RCLONE)
    if through.keys().access_key is not None:
        hidden += _OTHER_KEYS
    unset = [word for name in hidden for word in ("-u", name)]
    return shlex.join(["env", *unset, _rclone()])


def _remote(session: Session) -> str:
    place = parse_s3(session.spec.url)
    return f"rclone:{_REMOTE}:" + "/".join(p for p in (place.bucket, place.prefix) if p)


def _settings(session: Session) -> Mapping[str, str]:
    """rclone's configuration in its environment: not in a file or in argv, where others could read
    it.
    """
    place, keys = parse_s3(session.spec.url), session.keys()
    host_name = by_host_name(place, keys)
    options = {
        "type": "s3",
        "provider": "AWS" if place.host.endswith(".amazonaws.com") else "Other",
        "endpoint": place.endpoint,
        "env_auth": "true" if keys.access_key is None else "false",
        "access_key_id": keys.access_key,
        "secret_access_key": keys.secret_key,
        "session_token": keys.session_token,
        "region": keys.region,
        "force_path_style": "false" if host_name else "true",
        "no_check_bucket": "true",
    }
    variables = {f"RCLONE_CONFIG_{_REMOTE.upper()}_{k.upper()}": v for k, v in options.items() if v}
    if keys.ca_cert:
        variables["RCLONE_CA_CERT"] = keys.ca_cert
    return {**variables, "RCLONE_CONFIG": ""}
