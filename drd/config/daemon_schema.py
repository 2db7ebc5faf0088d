"""The schema of drd.yaml. Every key has a default."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    WithJsonSchema,
)

from drd.config.address import loopback
from drd.config.contacts import AbsenceEntry, ContactEntry, OnCallEntry
from drd.config.incident_schema import Incidents
from drd.config.kit import DaemonKit
from drd.config.paths import DEFAULT_PLANS, DEFAULT_STATE
from drd.config.places import PlaceCode
from drd.config.registry_fields import OfKind
from drd.config.zones import time_zone
from drd.fields import REFERENCE_SCHEMA, Duration, Secret, Settings
from drd.model.malformed import Malformed
from drd.model.plan import SecretRef
from drd.notifiers.settings import Named, UnavailableChannel
from drd.registry import NOTIFIERS

Channel = Annotated[
    Named, OfKind(NOTIFIERS, lambda spec: spec.settings, unavailable=UnavailableChannel)
]

Place = Annotated[str, Field(min_length=1, json_schema_extra={"format": "path"})]

Positive = Annotated[int, Field(strict=True, ge=1, le=1000)]


def _state(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if url.startswith("/") and url.strip("/"):
        raise Malformed("is a path, not a URL", f"write sqlite:///{url}")
    if scheme == "sqlite":
        if not rest.removeprefix("/") or not rest.startswith("/"):
            raise Malformed(
                "this URL does not contain the path of a file",
                f"write {DEFAULT_STATE} (four slashes)",
            )
        return url
    if not separator:
        raise Malformed(
            "is not a URL with ://",
            f"write {DEFAULT_STATE} (four slashes), or postgresql://USER@HOST/DATABASE",
        )
    if scheme.partition("+")[0] != "postgresql":
        raise Malformed(f"{scheme} databases are not supported", "use sqlite or postgresql")
    if ":" in rest.partition("/")[0].rpartition("@")[0] or "password=" in rest:
        raise Malformed(
            "contains a password",
            "write `{url: URL, password: {credential: NAME}}`, with a URL without the password",
        )
    return url


class State(Settings):
    """Where the catalogue is. The password is never in the URL."""

    url: Annotated[str, AfterValidator(_state)] = Field(
        description="URL of the catalogue's database, as SQLAlchemy writes it: "
        "`postgresql://drd@db1/drd`."
    )
    password: Secret | None = Field(
        None, description="The password of the user by whom drd connects to the database."
    )


_STATE_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["url"],
            "properties": {"url": {"type": "string"}, "password": REFERENCE_SCHEMA},
        },
    ]
}


def _state_or_url(value: Any) -> Any:
    if isinstance(value, str):
        return State(url=_state(value))
    if not isinstance(value, dict):
        raise Malformed("is not a URL", f"write {DEFAULT_STATE} (four slashes)")
    if str(value.get("url", "")).startswith("sqlite:") and value.get("password") is not None:
        raise Malformed("has a password, but SQLite files have none", "remove `password`")
    return value


def _state_back(state: State) -> Any:
    if state.password is None:
        return state.url
    return state.model_dump()


def _textfile(path: str) -> str:
    if not path.endswith(".prom"):
        raise Malformed(
            f'"{path}" does not end in .prom',
            "choose a name that ends in .prom: Prometheus's node exporter reads only such files",
        )
    return path


def _http(address: str) -> str:
    loopback(address)
    return address


class Limits(Settings):
    """Limits on what runs at the same time. `drd schedule` shows what waits."""

    runs: Positive = Field(4, description="How many runs of any kind may run at the same time.")
    backups: Positive | None = Field(
        None, description="How many backups may run at the same time (default: as many as `runs`)."
    )
    drills: Positive = Field(1, description="How many drills may run at the same time.")
    copies: Positive = Field(
        2,
        description="How many runs may copy restore points to another repository at the same time.",
    )
    maintenance: Positive = Field(
        1,
        description="How many runs of retention, prune and verification, together, may run at the "
        "same time.",
    )
    per_repository: Positive = Field(
        2,
        description="How many runs may use the same repository at the same time; a backup does not "
        "wait for copies and verifications. Also how many components one run writes to a "
        "repository at the same time.",
    )
    per_host: Positive = Field(
        2, description="How many runs may read from the same database host at the same time."
    )


class Log(Settings):
    """What drd logs, and how."""

    format: Literal["auto", "console", "json"] = Field(
        "auto", description="The form of the log. `auto`: text on a terminal, otherwise JSON."
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The lowest level that is logged."
    )


class Person(Settings):
    """A person who answers for something."""

    name: str = Field(
        min_length=1, description="The name of the person, as the option --by of commands takes it."
    )
    email: str | None = Field(
        None, description="The person's e-mail address, printed on the pages of the recovery kit."
    )
    phone: str | None = Field(
        None, description="The person's phone number, printed on the pages of the recovery kit."
    )
    roles: list[str] = Field(
        default_factory=list,
        description="The roles of the person, as steps of runbooks name them under `by`.",
    )
    user: str | None = Field(
        None,
        min_length=1,
        max_length=256,
        description="The system user of this person. drd treats requests of this user as requests "
        "of the person: the person's roles decide what the user may do.",
    )


def _one_person_each(people: list[Person]) -> list[Person]:
    users = [person.user for person in people if person.user is not None]
    twice = sorted({user for user in users if users.count(user) > 1})
    if twice:
        raise Malformed(f"two people have the user {twice[0]}", "give each person a different user")
    return people


class Groups(Settings):
    """System groups whose members may use the daemon's socket. People with a `user` need
    neither."""

    read: str = Field(
        "drd",
        min_length=1,
        description="The system group whose members may read the status, runs, points and alerts.",
    )
    operate: str = Field(
        "drd-operator",
        min_length=1,
        description="The system group whose members may also start backups and drills, cancel "
        "runs, acknowledge alerts and approve steps.",
    )


def _key_of_a_file(ref: SecretRef | None) -> SecretRef | None:
    if ref is not None and ref.source not in ("credential", "file"):
        raise Malformed(
            "the key of the records must be in a file",
            "write {credential: NAME} or {file: PATH}: drd reads the key while it ends a run",
        )
    return ref


class Timestamp(Settings):
    """Time stamps of an authority (RFC 3161) for the records."""

    url: str = Field(
        pattern=r"^https?://[^\s/]+(/\S*)?$",
        examples=["https://tsa.example.com/tsr"],
        description="The URL where the authority answers time-stamp queries. drd sends only "
        "a hash.",
    )
    ca: str = Field(
        min_length=1,
        description="A PEM file with the certificates of authorities that you trust for this.",
    )
    every: Annotated[Duration, Field(ge=3600.0)] = Field(
        86400.0,
        description="The shortest time between two time stamps; drd requests them with the hourly "
        "anchors (default: `1d`).",
    )


SIX_YEARS_S = 2192 * 86400.0


def _six_years(keep_s: float | None) -> float | None:
    if keep_s is not None and keep_s < SIX_YEARS_S:
        raise Malformed("this is less than six years", "write at least 2192d, or leave it out")
    return keep_s


class Records(Settings):
    """The signed records of what was proven, decided and done."""

    timestamp: Timestamp | Literal["none"] = Field(
        "none",
        description="An authority that stamps the records with its time: `{url: …, ca: FILE}`. "
        "Needs the library rfc3161-client (default: `none`).",
    )

    key: Annotated[Secret | None, AfterValidator(_key_of_a_file)] = Field(
        None,
        description="The private key (Ed25519, PEM) by which drd signs its records: a credential "
        "or a file. `drd records init` and `drd install` make it (default: "
        "`{credential: drd-records-key}`).",
    )

    keep_bodies: Annotated[Duration | None, AfterValidator(_six_years)] = Field(
        None,
        description="How long drd keeps the bodies of entries, at least `2192d` (six years). Then "
        "it removes them by a signed record; the chain still verifies (default: for ever).",
    )


class Organisation(Settings):
    """Facts about your organisation from which drd finds out which duties to report apply."""

    jurisdictions: list[PlaceCode] = Field(
        default_factory=list,
        description="Where the organisation is: countries (`DE`), parts of countries (`US-CA`). "
        "drd proposes the regimes of these places (default: all).",
    )
    facts: dict[Annotated[str, Field(pattern=r"^[a-z_]+$")], bool | int | str] = Field(
        default_factory=dict,
        description="Facts that do not change from incident to incident, by name: `entity: "
        "essential, sec-registrant`, `role: controller`, `member_state: DE-BY`.",
    )
    timezone: Annotated[str, AfterValidator(time_zone)] | None = Field(
        None,
        description="The time zone in which days begin and end, for regimes that do not "
        "name a time zone (default: the time zone of the host).",
    )


class Metrics(Settings):
    """Where drd writes or serves metrics for monitoring."""

    textfile: Annotated[str, AfterValidator(_textfile)] | None = Field(
        None,
        description="Path of a *.prom file, in the directory that Prometheus's node exporter "
        "reads: drd writes its metrics there.",
    )
    http: Annotated[str, AfterValidator(_http)] | None = Field(
        None,
        description="Address and port on loopback on which drd serves /metrics and /healthz, for "
        "example 127.0.0.1:9473.",
    )


class Alerts(Settings):
    """When alerts are resolved and repeated."""

    hold: Duration = Field(
        300.0, description="An alert is resolved when its condition has been absent for this time."
    )
    remind: Duration = Field(
        4 * 3600.0, description="Time between reminders of an alert that nobody acknowledged."
    )
    remind_critical: Duration = Field(
        3600.0, description="Time between reminders of a critical alert that nobody acknowledged."
    )


SPARE: tuple[tuple[str | int, ...], ...] = (
    ("notify", "*"),
    ("contacts", "*"),
    ("contacts", "*", "channel"),
    ("on_call", "*"),
    ("absences", "*"),
    ("people", "*", "email"),
    ("people", "*", "phone"),
    ("limits", "*"),
    ("log", "*"),
    ("alerts", "*"),
    ("metrics", "*"),
    ("kit",),
    ("incident", "triage"),
    ("incident", "first_update"),
    ("incident", "updates"),
)
"""The keys that commands for an emergency (`enduring`) leave out if they are broken; * is each item
or key. Without one of these keys, drd sends, limits or shows less, or uses a harmless default. All
other keys are needed: where the state and the files are, who may do what, which rights programs
get, what signs and encrypts, which duties there are."""


class DaemonFile(Settings):
    """drd's own configuration."""

    state: Annotated[
        State,
        BeforeValidator(_state_or_url),
        PlainSerializer(_state_back),
        WithJsonSchema(_STATE_SCHEMA),
    ] = Field(
        State(url=DEFAULT_STATE),
        description="URL of the catalogue's database, as SQLAlchemy writes it: "
        "`sqlite:////PATH` or `postgresql://USER@HOST/DATABASE`. If the database needs a password: "
        "`{url: URL, password: {credential: NAME}}`.",
    )
    public_dir: Place | None = Field(
        None,
        description="Directory for what other users may read: the status, the daemon's socket. "
        "Default: the state's directory with -public at the end of its name.",
    )
    plans: Place = Field(
        DEFAULT_PLANS, description="Directory of the plans. drd loads every *.yaml file in it."
    )
    regimes: Place | None = Field(
        None,
        description="A directory with your own duties to report incidents, in addition to drd's: "
        "each file *.yaml is one duty.",
    )
    playbooks: Place | None = Field(
        None,
        description="A directory with your own playbooks, in addition to drd's: each file *.yaml "
        "is one playbook.",
    )
    exercises: Place | None = Field(
        None,
        description="A directory with your own table-top exercises, in addition to drd's: each "
        "file *.yaml is one exercise.",
    )
    templates: Place | None = Field(
        None,
        description="A directory with your own templates of messages in incidents: each file *.j2 "
        "is one template. A file with the name of one of drd's templates replaces that template.",
    )
    awareness: Place | None = Field(
        None,
        description="A directory with your own awareness texts, which people attest to have read: "
        "each file *.md is one text. A file with the name of one of drd's texts replaces that "
        "text.",
    )
    work_dir: Place = Field(
        "/var/lib/drd/work",
        description="Directory of the sandboxes of drills. It needs room for one restore.",
    )
    cache_dir: Place = Field("/var/cache/drd", description="Directory of restic's cache.")
    run_as: str = Field(
        "drd", min_length=1, description="The system user that runs sandbox servers if drd is root."
    )
    limits: Limits = Limits()
    log: Log = Log()
    extensions: list[Annotated[str, Field(min_length=1)]] = Field(
        default_factory=list,
        description="Installed packages that add kinds, checks, steps or channels to drd. They run "
        "with drd's rights and keys.",
    )
    people: Annotated[list[Person], AfterValidator(_one_person_each)] = Field(
        default_factory=list,
        description="The persons who may acknowledge alerts, approve steps, and report manual "
        "steps as done. Without persons, anyone may acknowledge alerts, and nobody can approve.",
    )
    contacts: list[ContactEntry] = Field(
        default_factory=list,
        description="People and organisations outside to call or write to in an incident: "
        "authorities, customers, partners, processors, insurer, counsel, police.",
    )
    on_call: list[OnCallEntry] = Field(
        default_factory=list, description="The people who are on call, by role and time."
    )
    absences: list[AbsenceEntry] = Field(
        default_factory=list, description="When people are away, and who substitutes for them."
    )
    groups: Groups = Groups()
    notify: list[Channel] = Field(
        default_factory=list,
        description="The channels by which drd sends messages, and which messages each one sends.",
    )
    alerts: Alerts = Alerts()
    kit: DaemonKit = DaemonKit()
    metrics: Metrics = Metrics()
    records: Records = Records()
    incident: Incidents = Incidents()
    organisation: Organisation = Organisation()
