"""`drd bootstrap`."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path

from drd.bootstrap import App
from drd.cli import records_back
from drd.cli.bootstrap_report import PlanContents, command, say, say_places
from drd.cli.kit import key_of
from drd.cli.session import session, without_host
from drd.cli.stored_plans import accept
from drd.config.location import config_path
from drd.config.paths import DEFAULT_CONFIG
from drd.errors import ConfigError, DrdError, NoRestorePoint, RepositoryMissing, UsageError
from drd.flows.records.coming_back import CameBack
from drd.flows.repository.drd_keys import trust_kit
from drd.flows.repository.rebuild import rebuild
from drd.flows.repository.signatures import signatures_of
from drd.kit.archive import unpack
from drd.kit.bootstrapping import Prepared, from_kit, from_repository
from drd.kit.install import installed
from drd.kit.runbook import scenario_option
from drd.kit.sealing import read_kit, read_passphrase, unseal
from drd.kit.state import record_use
from drd.model.adopted import with_copy
from drd.model.location import is_local
from drd.model.plan import RepositorySpec, SecretRef
from drd.model.record_drafts import forgotten_points
from drd.model.run_details import KitDetail
from drd.model.schemes import CA_CERT, scheme_of
from drd.model.snapshot import newest_complete
from drd.model.units import format_time
from drd.ports import Catalogue
from drd.secrets import resolve

_MOST_ENDS = 1000


def run(args: argparse.Namespace) -> int:
    root = Path(os.path.normpath(Path(args.root).absolute()))
    with without_host(args), _source(args, root, datetime.now(UTC)) as (prepared, kit):
        say_places(args, prepared)
        with installed(prepared.layout, prepared.replica) as written:
            args.config = str(prepared.layout.config)
            with session(args) as app:
                came = _records_back(app, args, prepared)
                copied = prepared.replica is not None or came.first == 1
                trust_kit(app.catalogue, prepared.records, copied=copied)
                plans = [_rebuilt(app, name, prepared, kit) for name in prepared.plans]
            if kit is None and all(p.error for p in plans):
                # The repository is the only source; a kit's files are useful without one.
                raise next(p.error for p in plans if p.error)
        say(args, prepared, written, plans, came)
    return _exit_code(plans, kit=kit is not None)


def _records_back(app: App, args: argparse.Namespace, prepared: Prepared) -> CameBack:
    """Bring back the entries of the records that are newer than the copy of the catalogue, before a
    new entry takes the number of one."""
    plans = []
    for name in prepared.plans:
        with suppress(DrdError):  # said with its restore points
            plans.append(prepared.within(app.plans.load(name)))
    plans = [plan for plan in plans if plan.repositories]  # others store in other repositories only
    came = records_back.brought_back(app, plans, prepared.records)
    app.catalogue.incidents.rebuild()
    records_back.tell(app, came, quiet=args.quiet or args.json)
    records_back.recorded(app, came, "this machine was set up by drd bootstrap")
    return came


_NOT_WITH_A_KIT = ("password_file", "ca_cert", "accept_commands", "access")


def _require_only_what_opens_a_kit(args: argparse.Namespace, *, given: bool) -> None:
    for name in _NOT_WITH_A_KIT:
        if getattr(args, name):
            raise UsageError(
                f"--{name.replace('_', '-')} cannot be combined with --kit",
                hint="leave out this option: the kit contains the passwords of its "
                "repositories, and drd trusts the plans in the kit.",
            )
    if not given:
        raise UsageError(
            "--kit needs one of --passphrase-file, --identity and --share, to open the kit",
            hint="the first line of the kit says which of these options opens the kit.",
        )


def _require_only_a_password(args: argparse.Namespace, *, given: bool) -> None:
    if given:
        raise UsageError(
            "--passphrase-file, --identity and --share open a kit, so they cannot be combined "
            "with --repository",
            hint="leave out these options, and give --password-file.",
        )
    if not args.password_file:
        raise UsageError(
            "--repository needs --password-file, the password of the repository",
            hint="add --password-file FILE. If the repository is in a bucket, put the keys "
            "of the bucket into the environment: AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY.",
        )


@contextmanager
def _source(
    args: argparse.Namespace, root: Path, now: datetime
) -> Iterator[tuple[Prepared, KitDetail | None]]:
    """Return what to install, and what to record of its kit."""

    given = args.passphrase_file or args.identity or args.share
    if args.kit:
        _require_only_what_opens_a_kit(args, given=bool(given))
        sealed = read_kit(Path(args.kit))
        kit = unpack(unseal(sealed, key_of(args), name=args.kit), name=args.kit)
        detail = KitDetail(sha256=sha256(sealed).hexdigest(), made_at=kit.index.made_at)
        with from_kit(kit, root, now, config=_chosen_config(args, root)) as prepared:
            yield prepared, detail
        return
    _require_only_a_password(args, given=bool(given))
    password = read_passphrase(Path(args.password_file))
    access = dict(map(partial(_access, args.repository), args.access))
    scheme, authority = scheme_of(args.repository), args.ca_cert
    if authority is None and scheme is not None and CA_CERT in scheme.settings:
        authority = access.pop(CA_CERT, None)
    authority = str(Path(authority).absolute()) if authority else None
    with from_repository(
        args.repository,
        password,
        root,
        now,
        partial(accept, args),
        ca_cert=authority,
        access=access,
        config=_chosen_config(args, root) or DEFAULT_CONFIG,
    ) as prepared:
        yield prepared, None


def _chosen_config(args: argparse.Namespace, root: Path) -> str | None:
    """Return where --config or $DRD_CONFIG wants drd.yaml, as a path below `root`; None without
    them."""
    given, explicit = config_path(args.config)
    if not explicit:
        return None
    chosen = Path(os.path.normpath(Path(given).absolute()))
    return str(Path("/") / chosen.relative_to(root) if chosen.is_relative_to(root) else chosen)


def _access(url: str, given: str) -> tuple[str, str]:
    """Return a setting of the repository: its name and its value, which for a secret is the content
    of the file that was named.
    """
    name, equals, value = given.partition("=")
    if not equals or not value:
        raise UsageError(
            f"--access {given} has no value", hint="for example: --access key=/root/id_ed25519"
        )
    scheme = scheme_of(url)
    setting = scheme.settings.get(name) if scheme is not None else None
    is_secret = setting is not None and setting.secret
    return name, resolve(SecretRef("file", value)) if is_secret else value


def _rebuilt(app: App, name: str, prepared: Prepared, kit: KitDetail | None) -> PlanContents:
    base, plan = prepared.bases.get(name), None
    try:
        if base is not None:
            base.record(app.catalogue, name, app.clock.now())
        loaded = app.plans.load(name)
        plan = prepared.within(loaded)
        left = tuple(n for n in loaded.repositories if n not in plan.repositories)
        if not plan.repositories:
            return PlanContents(name, left=left)
        services = app.services(plan)
        forget_by_records(app.catalogue, name)
        if base is not None:
            base.record_drills(app.catalogue, name, app.clock.now())
        compared = rebuild(services, plan)
        unreached = tuple(
            _on_a_new_host(plan.repositories[place], error, prepared, name)
            for place, error in compared.unreached.items()
        )
        if kit is not None:
            detail = kit.merged(prepared.digests[name])
            record_use(services, plan, detail, unreached)
    except DrdError as error:
        if plan is not None and not isinstance(error, ConfigError):
            _on_a_new_host(plan.primary, error, prepared, name)
        return PlanContents(name, error=error)
    _prove(app, name, prepared.proven)
    points = app.catalogue.points.of_plan(name)
    option = scenario_option(plan)
    tried, now = app.catalogue.evidence.unrestorable(name), app.clock.now()
    refuted = newest_complete([p for p in points if p.id in tried], now)
    newest = newest_complete([p for p in points if p.id not in tried], now) or refuted
    if refuted is not None and newest is not None and refuted.data_time <= newest.data_time:
        refuted = None  # nobody would choose it
    signed = signatures_of(app.catalogue, name)
    listed_there = app.catalogue.origins.seals(name)
    after = {p.id for p in points if p.id not in listed_there and not signed.is_signed(p)}
    unlisted = 0 if base is None else len(after)
    listed = base is None or base.seals is not None
    refused = tuple(compared.unreadable.values())
    return PlanContents(
        name,
        tuple(plan.targets),
        option,
        len(points),
        newest,
        unreached,
        None,
        unlisted,
        listed,
        refused,
        left,
        base is not None and newest is not None and newest.id in after,
        _drilled_before(app, name),
        (with_copy(refuted), *tried[refuted.id]) if refuted is not None else None,
    )


def forget_by_records(catalogue: Catalogue, name: str) -> None:
    """Forget the points that retention had forgotten after the copy of the state was made, as the
    restored records say: nobody else removed these points. A rebuild adds the points that still
    exist again."""
    for entry in catalogue.records.newest(plan=name, kind="run.end", limit=_MOST_ENDS):
        if points := forgotten_points(entry):
            catalogue.points.forget(points, entry.header.at)


def _drilled_before(app: App, name: str) -> str:
    """Say what this host knows of the last drill before the loss."""
    lead = "last drill before the loss of the host:"
    made = [e for e in app.catalogue.evidence.newest(name, limit=100) if e.target is None]
    proven = [p for p in app.catalogue.points.of_plan(name) if p.proven_by is not None]
    if made:
        last = made[0]
        when = format_time(last.finished_at)
        return f"{lead} {last.result} {when}, evidence {last.id} (drd evidence show {last.id})"
    if proven:
        known = f"evidence {proven[0].proven_by}, which proved restore point {proven[0].id}"
        return (
            f"{lead} {known}; the kit and the repository do not contain the details of this drill"
        )
    return f"{lead} unknown, because the kit and the repository do not contain a record of a drill"


def _on_a_new_host(
    spec: RepositorySpec, error: DrdError, prepared: Prepared, plan: str
) -> DrdError:
    """Give the error of a directory that is not here the remedy that helps on a new host."""
    if is_local(spec.url) and isinstance(error, RepositoryMissing) and error.state == "gone":
        error.hint = (
            f"if {spec.url} was on a disk of the lost host, its backups are lost with it. If the "
            "disk still exists, or belongs to another machine, mount it here, then: "
            f"{command(prepared)} catalogue rebuild {plan}"
        )
    return error


def _prove(app: App, name: str, proven: Mapping[str, str]) -> None:
    """Record what drills had proven when the kit was made, for points whose drill is in no
    replica.
    """
    proven = {**_proven_by_records(app, name), **proven}
    for point in app.catalogue.points.of_plan(name):
        if point.proven_by is None and point.id in proven:
            whole = app.catalogue.points.get(name, point.id)  # with its fingerprints
            app.catalogue.points.record(replace(whole, proven_by=proven[point.id]))


def _proven_by_records(app: App, name: str) -> dict[str, str]:
    """Return the points that drills had proven, each with the evidence, by the records that came
    back."""
    proven = {}
    for entry in reversed(app.catalogue.records.newest(plan=name, kind="evidence")):
        told = json.loads(entry.body.text).get("evidence") if entry.body is not None else None
        if isinstance(told, dict) and told.get("result") == "passed" and not told.get("target"):
            proven[str(told.get("point"))] = str(told.get("id"))
    return proven


def _exit_code(found: list[PlanContents], *, kit: bool) -> int:
    """A kit is for its files: trouble with repositories is reported, and is not a failure."""
    if any(p.newest for p in found):
        return 0
    errors = [e for p in found for e in ((p.error,) if p.error else p.unreached)]
    return 0 if kit else errors[0].exit_code if errors else NoRestorePoint.exit_code
