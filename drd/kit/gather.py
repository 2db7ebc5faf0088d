"""Collect the content of a kit: the configuration, the secrets that open the repositories, and the
printed runbooks. Contacts nothing; resolves only the secrets that a recovery needs."""

from __future__ import annotations

import platform
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import drd
from drd import process
from drd.config.daemon import DaemonSettings
from drd.config.own_texts import own_texts
from drd.config.people import people
from drd.config.plan_file import LoadedPlan
from drd.config.reading import read_bytes
from drd.config.references import plan_references
from drd.config.zones import local_zone
from drd.errors import DrdError, NotSupported, UsageError
from drd.exhaustion import system_reason
from drd.flows.records.anchors import standing
from drd.flows.repository.signatures import signatures_of
from drd.kinds.registry import by_hand_of
from drd.kit import runbook
from drd.kit.archive import Files
from drd.kit.by_hand import KitPlaces, sections
from drd.kit.document import html, markdown
from drd.kit.incident_sheets import blank_sheets, contacts_page
from drd.kit.known_drills import known_drills, left_out_by_hand
from drd.kit.programs import KitPrograms, file_of_word, named_by
from drd.kit.script import script, script_file
from drd.model.kit import KitIndex, KitPlan, KitRepository, KitSecret, kit_point
from drd.model.plan import Component, Plan, SecretRef
from drd.model.run import DrillResult, StepState
from drd.model.seals import seal_of
from drd.model.snapshot import newest_complete
from drd.model.units import format_time
from drd.ports import Catalogue
from drd.ports.by_hand import ByHand, Passage
from drd.process.accounts import accounts_in, facts_of_user
from drd.registry import KINDS, source_version
from drd.secrets import edges

POINTS = 10
"""The newest points that a kit lists by plan."""

_TOOLS = ("restic", "jq")


@dataclass(slots=True)
class _ResolvedSecrets:
    """Resolves each secret once, by reference; its first use gives the file its name."""

    resolve: Callable[[SecretRef], str]
    values: dict[SecretRef, str] = field(default_factory=dict)
    found: dict[SecretRef, KitSecret] = field(default_factory=dict)

    def take(self, ref: SecretRef, name: str, use: str) -> str:
        if ref not in self.values:
            self.values[ref] = self.resolve(ref)
            if ref.source != "text":
                self.found[ref] = KitSecret(f"secrets/{name}", ref, use)
        return self.values[ref]


def gather(
    loaded: Sequence[LoadedPlan],
    settings: DaemonSettings,
    catalogue: Catalogue,
    resolve: Callable[[SecretRef], str],
    *,
    now: datetime,
) -> tuple[KitIndex, Files]:
    """Return the index (without digests) and the files of a kit of these plans.

    If a target's secret is not available here, it is left out and named in `missing`; if a secret
    that opens a repository is not available, raise SecretUnavailable."""
    files: dict[str, bytes] = {}
    host_files: dict[str, str] = {}
    secrets = _ResolvedSecrets(resolve)
    programs = KitPrograms()
    hands: dict[str, dict[str | None, dict[str, ByHand]]] = {}
    plans: list[KitPlan] = []
    for one in loaded:
        plan = one.plan
        _repository_secrets(plan, secrets)
        for path in sorted({r.ca_cert for r in plan.repositories.values() if r.ca_cert}):
            host_files.setdefault(path, f"files/{len(host_files)}-{Path(path).name}")
            files[host_files[path]] = _host_file(path)
        hands[plan.name], missing = _hands(plan, secrets)
        if not plan.targets:
            missing += _source_secrets(one, secrets)
        name = f"etc/plans/{plan.name}.yaml"
        files[name] = one.text.encode()
        kit_plan = kit_plan_of(plan, catalogue, name, missing)
        needs = (*programs.take(plan), *_accounts(catalogue, plan))
        plans.append(replace(kit_plan, needs=needs))
    files |= {s.file: secrets.values[ref].encode() for ref, s in secrets.found.items()}
    config, own = _own_configuration(settings)
    files |= own
    index = KitIndex(
        made_at=now,
        host=platform.node(),
        config=config,
        config_dir=str(settings.file.parent if settings.file else settings.plans_dir.parent),
        plans=tuple(plans),
        secrets=tuple(secrets.found.values()),
        files=host_files,
        versions=_versions(),
        digests={},
        programs=tuple(programs.files.values()),
        records=standing(catalogue, now),
        config_file=str(settings.file) if settings.file else None,
    )
    files |= programs.contents
    for one in loaded:
        last, left = last_drill(one.plan, catalogue), left_out_by_hand(one.plan.name, catalogue)
        sources = _Sources(index, settings, secrets, last, left)
        by_hand = hands[one.plan.name]
        files |= dict(_pages(one.plan, sources, by_hand))
        for words in (words for targets in by_hand.values() for words in targets.values()):
            files |= words.files
    files |= _for_incidents(settings, now)
    files["README.txt"] = _readme(index).encode()
    return index, files


def _own_configuration(settings: DaemonSettings) -> tuple[str | None, Files]:
    """Return the name of drd.yaml in the kit (None: there is no drd.yaml), and the contents of that
    file and of the files that it names."""
    if settings.file is None:
        return None, {}
    config = "etc/drd.yaml"
    files = {config: read_bytes(settings.file, what="configuration")[0]}
    for own, file in own_texts(settings).items():
        files[f"etc/{own}"] = read_bytes(file, what="file")[0]
    return config, files


def _for_incidents(settings: DaemonSettings, now: datetime) -> Files:
    zone = local_zone(settings.timezone)
    contacts = contacts_page(settings.contacts, now, zone)
    return {
        "incident/blank.html": html(blank_sheets(settings.contacts, zone), paper="A4"),
        "incident/contacts.html": html(contacts),
        "incident/contacts.md": markdown(contacts),
    }


def _repository_secrets(plan: Plan, secrets: _ResolvedSecrets) -> None:
    for spec in plan.repositories.values():
        for what, ref in spec.secrets().items():
            use = f"repository {spec.name} of {plan.name}: {what}"
            secrets.take(ref, f"{plan.name}.{spec.name}.{what}", use)


def _source_secrets(one: LoadedPlan, secrets: _ResolvedSecrets) -> list[str]:
    """Return the secrets of a plan's own components, for a plan without a target, which is restored
    to where it was; returns those that are not available."""
    missing = []
    for name, key, ref in _of_components(one):
        use = f"component {name} of {one.plan.name}: {key}"
        try:
            secrets.take(ref, f"{one.plan.name}.{name}.{key}", use)
        except DrdError as error:
            missing.append(f"{use} ({error.message})")
    return missing


def left_out(one: LoadedPlan, index: KitIndex) -> list[str]:
    """Return the secrets of a plan's components that the kit does not contain, because a recovery
    to a target needs no login of production. Each is named by its component and key, with the place
    from which drd reads it."""
    held = {secret.reference for secret in index.secrets}
    own = _of_components(one) if one.plan.targets else ()
    return [f"{name}.{key} ({ref.describe()})" for name, key, ref in own if ref not in held]


def _of_components(one: LoadedPlan) -> Iterator[tuple[str, str, SecretRef]]:
    """Yield the secrets of a plan's components: the component, the key in it, the reference."""
    for path, ref in plan_references(one.text, Path(one.plan.file)).items():
        if path[0] == "components":
            name, *keys = path[1:]
            yield str(name), ".".join(map(str, keys)), ref


def _host_file(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UsageError(
            f"cannot read {path}, which a repository's ca_cert names: {system_reason(error)}",
            hint="with a kit without this file nobody could open the repository: check that the "
            "file exists and that this user may read it.",
        ) from None


def _hands(
    plan: Plan, secrets: _ResolvedSecrets
) -> tuple[dict[str | None, dict[str, ByHand]], list[str]]:
    """Return the instructions for each target and component; and which secrets are not
    available."""
    missing: list[str] = []
    hands: dict[str | None, dict[str, ByHand]] = {}
    order = [n for s in plan.runbook if s.kind == "restore" for n in s.subjects]
    names = list(dict.fromkeys([*order, *plan.components]))
    chosen: list[str | None] = [*plan.targets] or [None]
    for target in chosen:
        hands[target] = {}
        for name in names:
            places = plan.targets[target].components if target else {}
            if target and name not in places:
                continue
            component = plan.components[name]
            hand, lost = _hand(plan, component, target, places.get(name), secrets)
            hands[target][name] = hand
            missing += lost
    return hands, missing


def _hand(
    plan: Plan,
    component: Component,
    target: str | None,
    settings: object,
    secrets: _ResolvedSecrets,
) -> tuple[ByHand, list[str]]:
    place = f"runbooks/{plan.name}/{target or 'here'}/{component.name}"
    use = f"target {target} of {plan.name}: {component.name}"

    def resolve(ref: SecretRef) -> str:
        return secrets.take(ref, f"{plan.name}.{target}.{component.name}", use)

    try:
        write = by_hand_of(component.kind)
        try:
            return write(component, settings, place=place, resolve=resolve), []
        except DrdError as error:
            hand = write(component, None, place=place, resolve=resolve)
            said = Passage(f"The kit does not contain the login of this target ({error.message}).")
            return ByHand((said, *hand.passages), hand.files, hand.ask), [
                f"{use} ({error.message})"
            ]
    except NotSupported as error:
        return ByHand((Passage(f"{error.message}: restore this component with drd."),)), []


def kit_plan_of(plan: Plan, catalogue: Catalogue, file: str, missing: Sequence[str]) -> KitPlan:
    """Return what a kit says of a plan."""
    kept = catalogue.points.of_plan(plan.name)
    drills = known_drills(plan.name, catalogue)
    tried = {d.refuted for d in drills}
    complete = [p for p in kept if p.complete]
    wanted = [*complete[:1], *[p for p in complete if p.id not in tried][:1]]
    known = catalogue.origins.seals(plan.name)
    signed = signatures_of(catalogue, plan.name)  # a kit vouches for no point that may be forged
    chosen = kept[:POINTS]
    chosen += [p for p in wanted if p not in chosen]
    return KitPlan(
        plan.name,
        plan.digest,
        file,
        tuple(
            KitRepository(r.name, r.url, catalogue.repositories.id_of(r.url), r.copy_of)
            for r in plan.repositories.values()
        ),
        tuple(kit_point(catalogue.points.get(plan.name, p.id), source_version) for p in chosen),
        tuple(missing),
        seals=tuple(known.get(p.id) or seal_of(p) for p in kept if signed.why_not(p, kept) is None),
        proof=plan.proof,
        drills=drills,
    )


def _accounts(catalogue: Catalogue, plan: Plan) -> list[str]:
    """Return the users and groups that own the data of the newest point, and those of servers that
    are restored as a whole."""
    newest = newest_complete(catalogue.points.of_plan(plan.name))
    facts = [c.facts for c in newest.components] if newest is not None else []
    owners = dict.fromkeys(KINDS[c.kind].data_owner for c in plan.components.values())
    named = accounts_in([*facts, *map(facts_of_user, filter(None, owners))])
    known = {a.name for a in named if a.sort == "user"}
    return [
        *(f"{a.sort} {a.name} ({a.number} on this host)" for a in named),
        *(f"user {name}" for name in owners if name and name not in known),
    ]


@dataclass(frozen=True, slots=True)
class _Sources:
    """The sources for the pages of a plan."""

    index: KitIndex
    settings: DaemonSettings
    secrets: _ResolvedSecrets
    rehearsal: runbook.LastDrill | None
    left_out: tuple[str, ...]


def _pages(
    plan: Plan, sources: _Sources, hands: Mapping[str | None, Mapping[str, ByHand]]
) -> Iterator[tuple[str, bytes]]:
    index, secrets, last = sources.index, sources.secrets, sources.rehearsal
    named = people(sources.settings.file)
    places = KitPlaces(
        {ref: s.file for ref, s in secrets.found.items()},
        index.files,
        frozenset(ref for ref, value in secrets.values.items() if edges(value)),
        tuple(p for p in index.programs if p.path in map(file_of_word, named_by(plan))),
        sources.left_out,
    )
    whole = runbook.runbook(plan, index, named, sections(plan, places, hands), last)
    pages = {"runbook": whole}
    for role in runbook.roles_of(named):
        pages[f"runbook-{runbook.slug(role)}"] = runbook.for_role(plan, index, named, role, last)
    for name, page in pages.items():
        yield f"runbooks/{plan.name}/{name}.md", markdown(page)
        yield f"runbooks/{plan.name}/{name}.html", html(page)
    for target in hands:
        file = script_file(plan.name, target, several=len(plan.targets) > 1)
        blocks = sections(plan, places, {target: hands[target]})
        yield file, script(blocks, file=file, page=f"runbooks/{plan.name}/runbook.html")


def last_drill(plan: Plan, catalogue: Catalogue) -> runbook.LastDrill | None:
    """Return the last drill that passed, and how long its steps took."""
    passed = (e for e in catalogue.evidence.newest(plan.name, limit=100) if e.target is None)
    last = next((e for e in passed if e.result is DrillResult.PASSED), None)
    if last is None:
        return None
    took_s = {
        step.name: (step.finished_at - step.started_at).total_seconds()
        for step in catalogue.steps.of_run(last.run)
        if step.finished_at is not None and step.state is StepState.SUCCEEDED
    }
    covered = last.coverage.words() if last.coverage is not None else ""
    return runbook.LastDrill(last.started_at, last.scenario, last.rta_s, covered, took_s)


def _versions() -> dict[str, str]:
    """Versions of drd, and of the tools on this host."""
    versions = {"drd": drd.__version__, "python": platform.python_version()}
    of_kinds = (tool for spec in KINDS for tools in spec.programs.values() for tool in tools)
    for tool in (*_TOOLS, *of_kinds):
        if shutil.which(tool) is None:
            continue
        word = "version" if tool == "restic" else "--version"
        told = process.run(process.Command((tool, word), deadline_s=30.0))
        match = re.search(r"\d[\w.~+-]*", told.stdout)
        if told.exit_code == 0 and match:
            versions[tool] = match[0]
    return versions


def _readme(index: KitIndex) -> str:
    lines = [
        f"drd recovery kit, made {format_time(index.made_at)} on {index.host}.",
        "",
        (
            "Anyone who has this directory can read all backups of the services below. "
            "Remove this directory after the recovery."
        ),
        "",
    ]
    if index.records is not None:
        known = index.records
        lines += [
            f"Key {known.key} signed drd's records on {index.host}. Entry {known.seq} had the hash",
            f"{known.hash}.",
            "",
        ]
    for plan in index.plans:
        lines += [
            f"{plan.name}",
            (
                f"  runbooks/{plan.name}/runbook.html  who does what, in which order; with "
                "drd and by hand (also as .md)"
            ),
            f"  runbooks/{plan.name}/recover-by-hand*.sh  the commands by hand, as a script",
            f"  {plan.file}  the plan",
        ]
        lines += [f"  not in this kit: {missing}" for missing in plan.missing]
        lines += [f"  install first: {needed}" for needed in plan.needs]
    lines += [
        "",
        "incident/contacts.html  whom to contact in an incident (also as .md)",
        "incident/blank.html  empty sheets for an incident: print them",
        "",
        "secrets/  one file for each secret; kit.json says what each secret is for",
        "kit.json  the content of the kit, for programs",
    ]
    if index.programs:
        lines.append("programs/  scripts that the plans run")
    if index.config:
        lines.append(f"{index.config}  drd's own configuration")
    return "\n".join(lines) + "\n"
