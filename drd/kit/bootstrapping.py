"""Prepare to set up a bare machine from a kit, or from a repository and its password."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from drd import log
from drd.config.build import repository_spec
from drd.config.extensions import use_those_of_text
from drd.config.own_texts import OWN_TEXT
from drd.config.paths import DEFAULT_CONFIG
from drd.config.plan_file import check
from drd.config.problems import Report
from drd.config.yaml import read
from drd.errors import (
    ConfigError,
    DrdError,
    NoRestorePoint,
    Problem,
    RepositoryMissing,
    UsageError,
    WrongKey,
)
from drd.exhaustion import system_reason
from drd.kit.archive import Kit
from drd.kit.former_config import without_broken
from drd.kit.install import kept
from drd.kit.known_drills import bring_back
from drd.kit.layout import ETC, Layout, LostHost, lay_out
from drd.kit.lost_state import elsewhere, everything, lost_history, newer_plans, replica
from drd.kit.opened_kit import OpenedKit, confirm, opened
from drd.kit.plan_effects import PlanEffect, stored_orders
from drd.kit.playbook_effects import own_text_orders
from drd.kit.state_snapshots import StateSnapshot
from drd.kit.typed_access import typed_access
from drd.log import mask
from drd.model.kit import KitDrill, KitPlan, KitRecords, needs_of
from drd.model.location import normal_url
from drd.model.plan import Plan, RepositorySpec, SecretRef
from drd.model.run_details import KitDetail
from drd.model.seals import Seal
from drd.ports import Catalogue, Repository
from drd.registry import unavailable
from drd.repositories import open_repository


@dataclass(frozen=True, slots=True)
class Prepared:
    """What to install: everything was read, and nothing was written yet. `replica` is a usable
    catalogue, from `taken_at`; `notes` are for a person. `proven` has by restore point the drill
    that had proven it when the kit was made, `digests` the hashes of the plans in the kit, `bases`
    the kit's list of their points, and `needs` what the plans need that is not in the kit. With a
    repository instead of a kit, `orders` has what its texts would make drd do, and `typed` is this
    repository. `records` is what a kit knows about the chain of records."""

    layout: Layout
    replica: Path | None
    taken_at: datetime | None
    plans: tuple[str, ...]
    notes: tuple[str, ...]
    proven: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, KitDetail] = field(default_factory=dict)
    bases: Mapping[str, Base] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    orders: Mapping[str, Sequence[PlanEffect]] = field(default_factory=dict)
    typed: RepositorySpec | None = None
    records: KitRecords | None = None

    def within(self, plan: Plan) -> Plan:
        """Return the plan, limited to where a bootstrap may search for its points: for a plan from
        a repository only that repository, as it was named, with the given password."""
        if self.typed is None:
            return plan
        here = [spec.name for spec in plan.repositories.values() if spec.url == self.typed.url]
        return replace(plan, repositories={name: replace(self.typed, name=name) for name in here})


@dataclass(frozen=True, slots=True)
class Base:
    """What a kit records about a plan: its repositories, with their ids by URL, and its restore
    points. `seals` are None in older kits. `drills` are the drills in the kit, which ran on `host`.
    """

    made_at: datetime
    seals: tuple[Seal, ...] | None
    repositories: Mapping[str, str]
    host: str = ""
    drills: tuple[KitDrill, ...] = ()

    def record(self, catalogue: Catalogue, plan: str, now: datetime) -> None:
        """Record the kit's facts; they replace the facts of a replica from a repository."""
        catalogue.origins.base_on_kit(plan, self.made_at, self.seals)
        for url, known in self.repositories.items():
            catalogue.repositories.record(url, known, now)

    def record_drills(self, catalogue: Catalogue, plan: str, now: datetime) -> None:
        """Record the drills of the kit, once the plan is loaded."""
        bring_back(catalogue, plan, self.host, self.drills, now)


@contextmanager
def from_kit(
    kit: Kit,
    root: Path,
    now: datetime,
    *,
    only: str | None = None,
    within: Path | None = None,
    config: str | None = None,
) -> Iterator[Prepared]:
    """Yield the plans of a kit, or `only` one of them. drd.yaml goes to `config`, by default to its
    place on the host that made the kit. If a repository does not open, the code that searches for
    points reports it: the kit's files are useful without the repository. Temporary files are made
    in the directory `within`."""
    config = config or kit.index.config_place
    with opened(kit, within) as using, _room(within) as room:
        if kit.index.config:
            use_those_of_text(kit.text(kit.index.config), config)
        secrets = {s.reference: using.resolve(s.reference) for s in kit.index.secrets}
        chosen = [p for p in kit.index.plans if only in (None, p.name)]
        reached = _reached(using, chosen)
        belongings = _belongings(kit, chosen, config, secrets)
        layout = lay_out(belongings, root)
        own, notes = replica(reached, room, now)
        notes += _unusable()
        notes += [
            f"{path} exists and differs from the file in the kit: drd does not change it"
            for path in kept(layout)
        ]
        notes += newer_plans(own, kit.index.made_at, belongings.plans)
        prepared = _prepared(layout, own, tuple(belongings.plans), notes)
        proven = {p.id: p.proven_by for known in chosen for p in known.points if p.proven_by}
        yield replace(
            prepared,
            proven=proven,
            digests={p.name: KitDetail(plan_digest=p.digest, proof=p.proof) for p in chosen},
            bases={p.name: _base(kit, p) for p in chosen},
            needs=needs_of(chosen),
            records=kit.index.records,
        )


def _reached(using: OpenedKit, chosen: Sequence[KitPlan]) -> list[Repository]:
    """Return the repositories of these plans that open here."""
    reached: list[Repository] = []
    for known, plan in _accepted(using, chosen):
        for place in known.repositories:
            repository = using.repository(plan.repositories[place.name])
            try:
                confirm(repository, place.id)
                reached.append(repository)
            except DrdError as error:
                # The search for points reports it.
                log.get().debug("kit.repository", name=place.name, error=error.message)
    return reached


def _belongings(
    kit: Kit, chosen: Sequence[KitPlan], config: str, secrets: dict[SecretRef, str]
) -> LostHost:
    return LostHost(
        {p.name: kit.text(p.file) for p in chosen},
        kit.text(kit.index.config) if kit.index.config else None,
        config,
        secrets,
        {path: kit.files[name] for path, name in kit.index.files.items()},
        {p.path: (kit.files[p.file], p.mode) for p in kit.index.programs},
        {
            name.removeprefix("etc/"): data
            for name, data in kit.files.items()
            if OWN_TEXT.fullmatch(name.removeprefix("etc/"))
        },
    )


def _accepted(using: OpenedKit, chosen: Sequence[KitPlan]) -> list[tuple[KitPlan, Plan]]:
    """Return the plans that this drd accepts. While a package is missing here, the others are laid
    out all the same, and reported with the points. Raises ConfigError if it accepts none, or if
    no package is missing."""
    accepted: list[tuple[KitPlan, Plan]] = []
    refused: list[Problem] = []
    for known in chosen:
        try:
            accepted.append((known, using.plan(known)))
        except ConfigError as error:
            refused += error.problems
    if refused and not (accepted and unavailable()):
        raise ConfigError(refused)
    return accepted


Accept = Callable[[datetime, Mapping[str, Sequence[PlanEffect]]], None]
"""Asks a person whether root may use texts that were stored at this time, and what they would make
drd do. Raises an error if not."""


@contextmanager
def from_repository(
    url: str,
    password: str,
    root: Path,
    now: datetime,
    accept: Accept,
    *,
    ca_cert: str | None = None,
    access: Mapping[str, str] | None = None,
    config: str = DEFAULT_CONFIG,
) -> Iterator[Prepared]:
    """Yield the plans and the configuration that drd, or anyone with the password, stored last
    beside the restore points. The bucket's keys come from the environment (AWS_ACCESS_KEY_ID …).
    `access` has the settings of another scheme, with the secrets themselves."""
    mask(password)
    try:
        normal = normal_url(url)
    except ValueError as error:
        raise UsageError(
            str(error), hint="write the URL after --repository exactly as in the plan."
        ) from None
    ref = SecretRef("text", password)
    spec = RepositorySpec("repository", normal, ref, access=typed_access(normal, access or {}))
    spec = spec.trusting(ca_cert) if ca_cert is not None else spec
    with _room() as room:
        repository = open_repository(
            spec, cache_dir=room / "cache", resolve=lambda ref: str(ref.value)
        )
        _confirm_as_typed(repository)
        own, former, told = without_broken(everything(repository, room, now), config)
        secrets: dict[SecretRef, str] = {}
        for name, text in own.plans.items():
            secrets |= _known_secrets(name, text, spec)
        if not secrets:
            _refuse_wrong_plans(own.plans)
            raise NoRestorePoint(
                f"repository {normal} contains plans, but these plans do not use this URL",
                hint="give the URL exactly as in the plan, or bootstrap from a kit: drd bootstrap "
                "--kit FILE",
            )
        orders = stored_orders(
            own.plans, own.config, url=normal, access=dict(spec.access), known=secrets
        )
        orders |= own_text_orders(own.texts)
        accept(own.taken_at, orders)
        use_those_of_text(own.config or "", config)
        files = {**_authorities(own.plans, normal, ca_cert), **former}
        layout = lay_out(
            LostHost(own.plans, own.config, config, secrets, files, texts=own.texts), root
        )
        notes = [*told, *lost_history(own), *_unusable(), *elsewhere(own, config)]
        prepared = _prepared(layout, own, tuple(own.plans), notes)
        yield replace(prepared, orders=orders, typed=spec)


def _base(kit: Kit, known: KitPlan) -> Base:
    ids = {place.url: place.id for place in known.repositories if place.id is not None}
    return Base(kit.index.made_at, known.seals, ids, kit.index.host, known.drills)


def _confirm_as_typed(repository: Repository) -> None:
    """Add the remedy for a person who typed the URL and the password from paper."""
    try:
        confirm(repository, None)
    except RepositoryMissing as error:
        error.hint = "check the URL: it must be exactly the same as in the plan."
        raise
    except WrongKey as error:
        error.hint = (
            "give a file with the right password: --password-file F. A recovery kit of the plan "
            "contains the password, too."
        )
        raise


def _prepared(
    layout: Layout, own: StateSnapshot | None, plans: Sequence[str], notes: Sequence[str]
) -> Prepared:
    replica = own.catalogue if own is not None else None
    still = tuple(n for n in layout.needed if not Path(n.path).exists())
    return Prepared(
        replace(layout, needed=still),
        replica,
        own.taken_at if own is not None and replica is not None else None,
        tuple(plans),
        (*layout.notes, *notes),
    )


@contextmanager
def _room(within: Path | None = None) -> Iterator[Path]:
    """A directory for downloads. /tmp is memory on many systems, and a catalogue may be large."""
    place = "/var/tmp"  # noqa: S108 - a new directory of our own in it
    where = within or (place if os.access(place, os.W_OK, effective_ids=True) else None)
    with TemporaryDirectory(prefix="drd-", dir=where) as room:
        yield Path(room)


def _unusable() -> list[str]:
    """Name the packages of the new drd.yaml that drd cannot use here."""
    return [f"{one.text}: {one.remedy}" for one in unavailable()]


def _refuse_wrong_plans(plans: Mapping[str, str]) -> None:
    """Raise ConfigError if there are problems because of which no repository could be read."""
    problems: list[Problem] = []
    for name, text in plans.items():
        try:
            report = Report(read(text.encode(), f"{ETC}/plans/{name}.yaml"))
            check(report)
            problems += report.errors
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)


def _known_secrets(name: str, text: str, typed: RepositorySpec) -> Mapping[SecretRef, str]:
    """Return the secrets of this plan for the repository that a person named: its password, the
    settings that were given, and keys that the environment has."""
    values = {
        **{what: str(ref.value) for what, ref in typed.secrets().items()},
        "access_key": os.environ.get("AWS_ACCESS_KEY_ID", ""),
        "secret_key": os.environ.get("AWS_SECRET_ACCESS_KEY", ""),
        "session_token": os.environ.get("AWS_SESSION_TOKEN", ""),
    }
    return {
        ref: values[what]
        for spec in _repositories_at(name, text, typed.url)
        for what, ref in spec.secrets().items()
        if values.get(what)
    }


def _authorities(plans: Mapping[str, str], url: str, given: str | None) -> dict[str, bytes]:
    """Return the certificate authority that opened the repository, where the plans expect it."""
    if given is None:
        return {}
    try:
        content = Path(given).read_bytes()
    except OSError as error:
        raise UsageError(
            f"cannot read {given}: {system_reason(error)}",
            hint="give a PEM file after --ca-cert.",
        ) from None
    specs = [spec for name, text in plans.items() for spec in _repositories_at(name, text, url)]
    return {spec.ca_cert: content for spec in specs if spec.ca_cert}


def _repositories_at(name: str, text: str, url: str) -> list[RepositorySpec]:
    """Return the repositories of a plan at this URL; none for a plan that cannot be read. Nothing
    else of the plan is used: it may name what only an extension of its drd.yaml has."""
    try:
        parsed = check(Report(read(text.encode(), f"{ETC}/plans/{name}.yaml")))
    except ConfigError:
        return []
    if parsed is None:
        return []
    specs = [repository_spec(n, r) for n, r in parsed.file.repositories.items()]
    return [spec for spec in specs if spec.url == url]
