"""`drd kit`."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from drd import process
from drd.bootstrap import App, app
from drd.catalogue.reading import sqlite_file
from drd.catalogue.summary import read_facts
from drd.cli import output
from drd.cli.session import cancelled_as, session, without_host
from drd.config.exposed_files import exposed_secret, trusted_users
from drd.config.location import ConfiguredPlaces, config_path, places
from drd.config.plan_file import LoadedPlan, load_plan
from drd.config.plan_search import find_plan
from drd.errors import DrdError, UsageError
from drd.flows.repository.identity import confirm
from drd.kit.archive import pack, unpack
from drd.kit.gather import gather, left_out
from drd.kit.sealing import (
    Lock,
    read_kit,
    read_passphrase,
    read_secret_file,
    refuse_strangers,
    seal,
    unseal,
    write_kit,
)
from drd.kit.shares import KitShare, combine, split, written
from drd.kit.state import keepers, made, making, record_verification, what_it_is
from drd.kit.verify import KitVerification, LoadedHashes, document
from drd.kit.verify import verify as verify_kit
from drd.model.facts import PlanFacts
from drd.model.kit import Key, KitIndex, KitPlan, needs_of
from drd.model.location import is_local
from drd.model.malformed import Malformed
from drd.model.plan import Plan
from drd.model.sharing import Sharing
from drd.model.snapshot import made_by
from drd.model.text import counted
from drd.model.units import format_size, format_time, to_rfc3339
from drd.model.verdicts import lost_words
from drd.process.state_owner import acting_for_owner
from drd.repositories.adopted.stanza_place import only_here
from drd.secrets import resolve


def key_of(args: argparse.Namespace) -> Key:
    if args.passphrase_file:
        _warn_of_exposed(args.passphrase_file)
        return Key(passphrase=read_passphrase(Path(args.passphrase_file)))
    if args.share:
        return Key(passphrase=combine([Path(path) for path in args.share]))
    return Key(identity=read_secret_file(Path(args.identity), "identity").encode())


def _warn_of_exposed(name: str) -> None:
    """A warning and no error: a USB stick has no file modes, and people may need the kit at
    once."""
    exposed = exposed_secret(str(Path(name).absolute()), trusted_users())
    if exposed is not None:
        output.warn(
            f"{exposed}. Anyone who has this file and the kit can read every secret in the "
            f"kit: {exposed.remedy}"
        )


def export(args: argparse.Namespace) -> int:
    with session(args) as app, ExitStack() as runs:
        refuse_strangers(Path(args.to))
        former = _written_at(Path(args.to))
        loaded = {}
        for name in args.plan:
            one = load_plan(find_plan(app.settings, name))
            loaded[one.plan.name] = one
            app.plans.refuse_exposed(one)
            app.plans.accept(one)
        plans = [one.plan for one in loaded.values()]
        lock, shares = _lock(args, app, plans)
        runners = [runs.enter_context(making(app.services(p), p)) for p in plans]
        index, files = gather(
            list(loaded.values()), app.settings, app.catalogue, resolve, now=app.clock.now()
        )
        sealed = seal(pack(index, files), lock, made_at=index.made_at, plans=list(loaded))
        process.check_cancelled()  # sealing takes seconds, during which signals are not handled
        with written(shares, Path(args.to), list(loaded), index.made_at) as files_of_shares:
            write_kit(Path(args.to), sealed)
        digest = sha256(sealed).hexdigest()
        for runner, plan in zip(runners, plans, strict=True):
            made(runner, plan, digest, len(sealed))
        _warn_of_lost(app, plans)
        for plan, known in ((p, k) for p in plans for k in index.plans if k.name == p.name):
            if plan.made_by:
                _confirm_copies(app, known, index.made_at)
    here = {plan.name: directory for plan in plans if (directory := only_here(plan, resolve))}
    _name_left_out(list(loaded.values()), index)
    _say_export(args, index, Written(digest, len(sealed), files_of_shares, former), here)
    return 0


def _confirm_copies(app: App, known: KitPlan, at: datetime) -> None:
    """Let the new kit take the place of the one that this host was made from: nothing else ever
    confirms copies that another tool has made since."""
    origins = app.catalogue.origins
    if origins.kit_base(known.name) is None or known.seals is None:
        return
    news = [seal.point for seal in known.seals if origins.seal(known.name, seal.point) is None]
    origins.base_on_kit(known.name, at, known.seals)
    if news:
        output.warn(
            f"this kit lists {counted(len(news), 'restore point')} of {known.name} that the "
            "former kit did not list. drd no longer asks for confirmation before it restores one "
            "of these"
        )


def _warn_of_lost(app: App, plans: Sequence[Plan]) -> None:
    """A kit is only as good as its repositories; it is written all the same, because they may
    return."""
    for plan in plans:
        _recheck_lost(app, plan)
        for known in app.catalogue.health.of_plan(plan.name):
            if known.lost is not None:
                output.warn(
                    f"repository {known.repository} of {plan.name} {lost_words(known.lost)}: until "
                    "this is corrected, this kit cannot restore from this repository. For the "
                    f"remedy: drd doctor {plan.name}"
                )


def _recheck_lost(app: App, plan: Plan) -> None:
    """Look whether repositories that were lost are back since."""
    services = app.services(plan)
    lost = {known.repository for known in app.catalogue.health.of_plan(plan.name) if known.lost}
    for spec in (spec for name, spec in plan.repositories.items() if name in lost):
        with suppress(DrdError):  # it is still lost, or does not answer
            confirm(services, services.open_repository(spec), writing=False)


@dataclass(frozen=True, slots=True)
class Written:
    """A kit on disk: the sha256 of the file, its size in bytes, and the files of its shares.
    `former` is when the replaced kit was written; None if no kit was replaced."""

    digest: str
    size: int
    shares: Sequence[Path]
    former: datetime | None = None


def _written_at(file: Path) -> datetime | None:
    with suppress(OSError):
        return datetime.fromtimestamp(file.stat().st_mtime, UTC)
    return None


def _lock(
    args: argparse.Namespace, app: App, plans: Sequence[Plan]
) -> tuple[Lock, Sequence[KitShare]]:
    """Return what encrypts the kit, and the shares of its passphrase, if it is to be shared."""

    if args.passphrase_file:
        _warn_of_exposed(args.passphrase_file)
        passphrase = read_passphrase(Path(args.passphrase_file))
        if len(passphrase) < SHORT:
            output.warn(
                f"the passphrase is short ({len(passphrase)} characters): anyone who guesses it "
                "can read every secret in the kit"
            )
        return Lock(passphrase=passphrase), ()
    if args.recipient:
        return Lock(recipients=tuple(args.recipient)), ()
    keeping = _sharing(args.shares) if args.shares else keepers(app.settings, plans)
    if isinstance(keeping, Sharing):
        passphrase, shares = split(keeping)
        return Lock(passphrase=passphrase), shares
    return Lock(recipients=keeping), ()


def _sharing(text: str) -> Sharing:
    try:
        return Sharing.parse(text)
    except ValueError as error:
        malformed = Malformed.of(error)
        raise UsageError(f"--shares: {malformed.fact}", hint=f"{malformed.remedy}.") from None


SHORT = 16
"""A passphrase with fewer characters gets a warning: age only slows guessing down."""


def _warn_of_what_it_lacks(index: KitIndex, here: Mapping[str, str]) -> None:
    """`here` has by plan the directory of a stanza that is only on this host."""
    missing = [m for plan in index.plans for m in plan.missing]
    for text in missing:
        output.warn(
            f"the kit lacks a secret: {text}. A host that is made from the kit cannot reach this "
            "component until somebody writes the secret there"
        )
    for plan in index.plans:
        _warn_of_the_same_host(plan, here.get(plan.name, ""))


def _name_left_out(loaded: Sequence[LoadedPlan], index: KitIndex) -> None:
    """Warn of the logins of production that the kit does not contain."""
    for one in loaded:
        names = left_out(one, index)
        if names:
            output.warn(
                f"the kit does not contain the logins of production of plan {one.plan.name}: "
                f"{', '.join(names)}. A recovery to a target does not need them. A recovery in "
                "place on a new host needs them: keep a copy of them in another safe place"
            )


def _warn_of_the_same_host(plan: KitPlan, here: str = "") -> None:
    places = here or ", ".join(r.url for r in plan.repositories)
    by_commands = any(r.url.startswith("command:") for r in plan.repositories)
    if by_commands:
        where = (
            f"drd cannot know where the copies of plan {plan.name} are, because commands in "
            "the plan list these copies"
        )
    elif here or all(is_local(r.url) for r in plan.repositories):
        where = f"plan {plan.name} stores only in directories ({places})"
    else:
        return
    remedy = "Add a repository elsewhere (`copy_of`) to the plan, and make the kit again"
    if by_commands or here or (plan.newest is not None and made_by(plan.newest.id)):
        remedy = (
            "Configure the tool that makes the copies so that it stores them in another "
            "place as well, name that place in the plan, and make the kit again"
        )
    output.warn(
        f"{where}. If all copies are on this host, a loss of this host destroys the copies, "
        f"too, and the kit cannot recover anything. {remedy}"
    )


def _say_export(
    args: argparse.Namespace, index: KitIndex, written: Written, here: Mapping[str, str]
) -> None:
    _warn_of_what_it_lacks(index, here)
    if args.json:
        plans = [
            {
                "plan": p.name,
                "digest": p.digest,
                "newest_point": p.newest.id if p.newest else None,
                "missing": list(p.missing),
                "needs": list(p.needs),
            }
            for p in index.plans
        ]
        document = {
            "file": args.to,
            "made_at": to_rfc3339(index.made_at),
            "sha256": written.digest,
            "size_bytes": written.size,
            "shares": [str(path) for path in written.shares],
            "replaced_of": to_rfc3339(written.former) if written.former is not None else None,
            "plans": plans,
        }
        output.print_json(document)
    elif not args.quiet:
        names = ", ".join(p.name for p in index.plans)
        size = format_size(written.size)
        output.say(f"wrote the recovery kit of {names}: {args.to}, {size}, sha256 {written.digest}")
        if written.former is not None:
            before = format_time(written.former)
            output.say(
                f"the new kit replaced the kit of {before} in this file. "
                "To keep both, give another file"
            )
        for path in written.shares:
            output.say(f"wrote {path}")
        if needs := needs_of(index.plans):
            output.say(
                "a recovery needs these things, and the kit does not contain them. Install them on "
                f"a new machine before you use the kit there: {', '.join(needs)}"
            )
        how = "--identity F (F: the file with your private key)"
        if args.passphrase_file:
            how = f"--passphrase-file {shlex.quote(args.passphrase_file)}"
        if written.shares:
            how = "--share F --share F … (F: the file of a share)"
        output.say(f"Next: drd kit verify {shlex.quote(args.to)} {how}")
        output.say("Then move the kit away from this host.")
        if written.shares:
            output.say("Give each share to a different person, and remove all of them here.")


def verify(args: argparse.Namespace) -> int:
    with without_host(args):
        sealed = read_kit(Path(args.file))
        kit = unpack(unseal(sealed, key_of(args), name=args.file), name=args.file)
        words = "the verification of the kit was cancelled: it changed nothing"
        with cancelled_as(lambda: words, f"to start again: drd kit verify {args.file}"):
            verification = verify_kit(kit, _loaded_hashes(args, [p.name for p in kit.index.plans]))
        _remember(args, verification, sha256(sealed).hexdigest())
    _say_verification(args, verification)
    return verification.exit_code


def _loaded_hashes(args: argparse.Namespace, names: Sequence[str]) -> dict[str, LoadedHashes]:
    """Return the hashes of the plans that this host has loaded, with its current scripts; none if
    it knows of none."""
    path, explicit = config_path(args.config)
    try:
        loaded = {
            facts.plan: LoadedHashes(facts.digest, facts.proofs)
            for facts in _facts(places(path, explicit=explicit))
        }
    except DrdError:
        return {}
    try:
        with app(args.config) as opened:
            for name in loaded.keys() & set(names):
                plan = opened.plans.in_force(name)
                loaded[name] = LoadedHashes(plan.digest, opened.catalogue.plans.proofs(plan))
    except DrdError:
        pass  # the text that was loaded then has to do
    return loaded


def _facts(places: ConfiguredPlaces) -> list[PlanFacts]:
    """Read the facts of all plans from the catalogue of this host, with the rights of the
    catalogue's owner."""

    url = places.state_url
    state = Path(sqlite_file(url)).parent if url.startswith("sqlite:") else None
    with acting_for_owner(state, state) if state is not None else nullcontext():
        return read_facts(url, None, places.state_password)


def _remember(args: argparse.Namespace, found: KitVerification, digest: str) -> None:
    """Record it where the plans are known: on the host, before the kit leaves it."""
    known = [p for p in found.plans if p.loaded is not None]
    if not known:
        return
    try:
        with app(args.config) as opened:
            for one in known:
                plan = opened.plans.in_force(one.name)
                detail = what_it_is(found, one, digest)
                record_verification(opened.services(plan), plan, one, detail)
    except DrdError as error:
        output.warn(f"the result was not recorded: {error.message}")


def _say_verification(args: argparse.Namespace, found: KitVerification) -> None:
    if args.json:
        output.print_json(document(found))
        return
    for problem in found.problems:
        output.complain(problem.message, problem.hint)
    if not args.quiet:
        for line in found.lines():
            output.say(line)
