"""`drd bootstrap`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from drd.bootstrap import App
from drd.cli import output, records_back
from drd.cli.kit import key_of
from drd.cli.session import session, without_host
from drd.cli.stored_plans import accept
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
from drd.model.location import is_local
from drd.model.plan import RepositorySpec, SecretRef
from drd.model.run_details import KitDetail
from drd.model.schemes import scheme_of
from drd.model.snapshot import RestorePoint, newest_complete
from drd.model.text import counted
from drd.model.units import format_time, to_rfc3339
from drd.secrets import resolve


@dataclass(frozen=True, slots=True)
class _PlanContents:
    """What the repositories of a plan contain. `unlisted` points are not in the list of the kit,
    `listed` says whether it has one; `refused` are manifests that cannot be read, or have
    changed, `left` are repositories that were not opened."""

    name: str
    targets: tuple[str, ...] = ()
    option: str = ""
    points: int = 0
    newest: RestorePoint | None = None
    unreached: tuple[DrdError, ...] = field(default=())
    error: DrdError | None = None
    unlisted: int = 0
    listed: bool = True
    refused: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    newest_is_after_kit: bool = False


def run(args: argparse.Namespace) -> int:
    root = Path(args.root).absolute()
    with without_host(args), _source(args, root, datetime.now(UTC)) as (prepared, kit):
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
        _say(args, prepared, written, plans, came)
    return _exit_code(plans, kit=kit is not None)


def _records_back(app: App, args: argparse.Namespace, prepared: Prepared) -> CameBack:
    """Bring back the entries of the records that are newer than the copy of the catalogue, before a
    new entry takes the number of one."""
    plans = []
    for name in prepared.plans:
        with suppress(DrdError):  # said with its restore points
            plans.append(prepared.within(app.plans.load(name)))
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
                hint="leave it out: a kit contains what opens its repositories, and its plans "
                "need no acceptance.",
            )
    if not given:
        raise UsageError(
            "--kit needs one of --passphrase-file, --identity and --share, to open the kit",
            hint="the first line of the kit says which of them opens it.",
        )


def _require_only_a_password(args: argparse.Namespace, *, given: bool) -> None:
    if given:
        raise UsageError(
            "--passphrase-file, --identity and --share open a kit, so they cannot be combined "
            "with --repository",
            hint="leave them out, and give --password-file.",
        )
    if not args.password_file:
        raise UsageError(
            "--repository needs --password-file, the password of the repository",
            hint="the keys of a bucket belong in the environment: AWS_ACCESS_KEY_ID and "
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
        with from_kit(kit, root, now) as prepared:
            yield prepared, detail
        return
    _require_only_a_password(args, given=bool(given))
    password = read_passphrase(Path(args.password_file))
    authority = str(Path(args.ca_cert).absolute()) if args.ca_cert else None
    with from_repository(
        args.repository,
        password,
        root,
        now,
        partial(accept, args),
        ca_cert=authority,
        access=dict(map(partial(_access, args.repository), args.access)),
    ) as prepared:
        yield prepared, None


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


def _rebuilt(app: App, name: str, prepared: Prepared, kit: KitDetail | None) -> _PlanContents:
    base, plan = prepared.bases.get(name), None
    try:
        if base is not None:
            base.record(app.catalogue, name, app.clock.now())
        loaded = app.plans.load(name)
        plan = prepared.within(loaded)
        left = tuple(n for n in loaded.repositories if n not in plan.repositories)
        if not plan.repositories:
            return _PlanContents(name, left=left)
        services = app.services(plan)
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
        return _PlanContents(name, error=error)
    _prove(app, name, prepared.proven)
    points = app.catalogue.points.of_plan(name)
    option = scenario_option(plan)
    newest = newest_complete(points, app.clock.now())
    signed = signatures_of(app.catalogue, name)
    listed_there = app.catalogue.origins.seals(name)
    after = {p.id for p in points if p.id not in listed_there and not signed.is_signed(p)}
    unlisted = 0 if base is None else len(after)
    listed = base is None or base.seals is not None
    refused = tuple(compared.unreadable.values())
    return _PlanContents(
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
    )


def _on_a_new_host(
    spec: RepositorySpec, error: DrdError, prepared: Prepared, plan: str
) -> DrdError:
    """Give the error of a directory that is not here the remedy that helps on a new host."""
    if is_local(spec.url) and isinstance(error, RepositoryMissing) and error.state == "gone":
        error.hint = (
            f"if {spec.url} was on a disk of the lost host, its backups are lost with it. If the "
            "disk still exists, or belongs to another machine, mount it here, then: "
            f"drd --config {prepared.layout.config} catalogue rebuild {plan}"
        )
    return error


def _prove(app: App, name: str, proven: Mapping[str, str]) -> None:
    """Record what drills had proven when the kit was made, for points whose drill is in no
    replica.
    """
    for point in app.catalogue.points.of_plan(name):
        if point.proven_by is None and point.id in proven:
            whole = app.catalogue.points.get(name, point.id)  # with its fingerprints
            app.catalogue.points.record(replace(whole, proven_by=proven[point.id]))


def _exit_code(found: list[_PlanContents], *, kit: bool) -> int:
    """A kit is for its files: trouble with repositories is reported, and is not a failure."""
    if any(p.newest for p in found):
        return 0
    errors = [e for p in found for e in ((p.error,) if p.error else p.unreached)]
    return 0 if kit else errors[0].exit_code if errors else NoRestorePoint.exit_code


def _say(
    args: argparse.Namespace,
    prepared: Prepared,
    written: list[Path],
    found: list[_PlanContents],
    came: CameBack,
) -> None:
    if args.json:
        document = _document(prepared, written, found)
        output.print_json({**document, "records": records_back.document(came)})
        return
    for note in (*prepared.notes, *_doubts(prepared)):
        output.warn(note)
    _say_trouble(found)
    if args.quiet:
        return
    for path in written:
        output.say(f"wrote {path}")
    for plan in found:
        output.say(f"{plan.name}: {_plan_text(plan)}")
    for plan in (p for p in found if p.left):
        output.say(
            f"{plan.name}: drd did not read repository {', '.join(plan.left)}. To get its restore "
            f"points: drd --config {prepared.layout.config} catalogue rebuild {plan.name}"
        )
    _say_needs(prepared)
    ready = next((p for p in found if p.newest), None)
    if ready is not None:
        target = next((f"--target {t}" for t in ready.targets), "--in-place")
        output.say(
            f"Next: drd --config {prepared.layout.config} recover {ready.name} "
            f"{target}{ready.option} --dry-run"
        )
        if ready.newest_is_after_kit:
            output.say(
                "Then run the same command without --dry-run. The newest restore point was made "
                "after the kit, so drd asks you to type the id of this point. Without a terminal "
                "add --accept-after-kit, or use a point that the kit lists: --point ID"
            )
    elif found:
        output.say(
            "drd wrote the files, but knows no complete restore point. When a repository can be "
            f"reached: drd --config {prepared.layout.config} catalogue rebuild {found[0].name}"
        )


def _doubts(prepared: Prepared) -> list[str]:
    """Say it if nothing but the repository says whose its restore points are."""
    if prepared.bases:
        return []
    return [
        (
            "this host was set up without a recovery kit, so it cannot tell whether drd made the "
            "restore points: whoever has the repository's password could have forged them. If "
            "there is a kit, start again on a new machine: drd bootstrap --kit FILE"
        )
    ]


def _say_needs(prepared: Prepared) -> None:
    for needed in prepared.layout.needed:
        when = "to recover" if needed.restoring else "later"
        output.say(f"missing on this host, and needed {when}: {needed.path} ({needed.use})")
    if prepared.needs:
        output.say(
            "a recovery needs these things, and the kit does not contain them. Install on this "
            f"host what is missing: {', '.join(prepared.needs)}"
        )


def _say_trouble(found: list[_PlanContents]) -> None:
    for plan in found:
        for error in (*plan.unreached, *([plan.error] if plan.error else ())):
            output.complain(f"{plan.name}: {error.message}", error.hint)
        for why in plan.refused:
            output.warn(f"{plan.name}: {why}")
        if plan.unlisted and not plan.listed:
            output.warn(
                f"{plan.name}: an older drd made this kit, without a list of restore points. So "
                "drd treats all restore points as made after the kit, and asks before it "
                "restores one"
            )


def _plan_text(plan: _PlanContents) -> str:
    if isinstance(plan.error, ConfigError):
        return (
            "drd wrote the plan's file, but cannot use the plan: correct the problem that is named "
            "above, then run the same command again"
        )
    if plan.error is not None:
        return "drd could not list the restore points of this plan, see above"
    if plan.left and not plan.points:
        return "no complete restore point in the given repository"
    if plan.newest is None:
        return "no complete restore point"
    count = counted(plan.points, "restore point")
    at = plan.newest.data_time
    after = f" ({plan.unlisted:,} of them made after the kit)" if plan.unlisted else ""
    return f"{count}, newest {plan.newest.id} with data of {format_time(at, seconds=True)}{after}"


def _document(
    prepared: Prepared, written: list[Path], found: list[_PlanContents]
) -> dict[str, Any]:
    return {
        "root": str(prepared.layout.root),
        "config": str(prepared.layout.config),
        "written": [str(p) for p in written],
        "replica_at": to_rfc3339(prepared.taken_at) if prepared.taken_at else None,
        "plans": [
            {
                "plan": p.name,
                "points": p.points,
                "newest_point": p.newest.id if p.newest else None,
                "after_kit": p.unlisted,
                "refused": list(p.refused),
                "not_looked_at": list(p.left),
                "targets": list(p.targets),
                "errors": [
                    output.error_document(e.message, e.hint, e.exit_code)
                    for e in (*p.unreached, *([p.error] if p.error else ()))
                ],
            }
            for p in found
        ],
        "needed": [
            {"path": n.path, "use": n.use, "restoring": n.restoring} for n in prepared.layout.needed
        ],
        "needs": list(prepared.needs),
        "notes": [*prepared.notes, *_doubts(prepared)],
        "orders": {n: [o.line for o in orders] for n, orders in prepared.orders.items()},
    }
