"""The part of the printed runbook that needs no drd: every command with its real values, secrets
read from files of the kit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from shlex import quote

from drd.kit.document import Block, Commands, Heading, Items, Paragraph
from drd.kit.steps_by_hand import StepsByHand
from drd.model.kit import KitFile
from drd.model.location import is_s3
from drd.model.plan import CheckSpec, Plan, RepositorySpec, SecretRef
from drd.ports.by_hand import ByHand
from drd.registry import CHECKS, KINDS


@dataclass(frozen=True, slots=True)
class KitPlaces:
    """The places of files in the kit: secrets by their reference, other files by their path on the
    host. `untrimmed` are secrets with edges that restic cuts off when it reads them from files.
    `programs` are scripts that the plan runs.
    """

    secrets: Mapping[SecretRef, str]
    files: Mapping[str, str]
    untrimmed: frozenset[SecretRef] = frozenset()
    programs: tuple[KitFile, ...] = ()


def sections(
    plan: Plan, places: KitPlaces, hands: Mapping[str | None, Mapping[str, ByHand]]
) -> list[Block]:
    """Return the sections. `hands` has for each target, or None if the plan names none, its
    components in the order of the runbook.
    """
    blocks: list[Block] = [
        Heading(2, "By hand, without drd"),
        Paragraph(
            f"{_needs(plan)} Become root if files must get their owners back. Start a new `bash`, "
            "and change to the directory recovery-kit: a command that fails ends this bash, so "
            "that no later command runs."
        ),
        Heading(3, "Open the repository"),
        Commands(_begin(plan)),
        *_scripts(places.programs),
        Commands(opening(plan.primary, places)),
        Paragraph(
            "If the bucket cannot be reached, restic keeps trying for 15 minutes and prints "
            "nothing. If the next command prints nothing for one minute, press Ctrl-C and check "
            "the address."
            + (" If this repository is gone, see the end of this page." if plan.copies else "")
        ),
        Commands(_points(plan)),
        Heading(3, "Choose the restore point"),
        Paragraph(
            "These commands choose the newest complete restore point. To choose another one, set "
            "MANIFEST to its id from the list above, and run only the line `restic dump` of the "
            "loop."
        ),
        Commands(_manifest(plan)),
    ]
    if len(hands) > 1:
        names = ", ".join(str(target) for target in hands)
        blocks.append(
            Paragraph(
                f"The plan has several targets, {names}: follow the sections for one of them."
            )
        )
    for target, components in hands.items():
        blocks += _target(plan, target, components)
    blocks += list(_copies(plan, places))
    blocks += [
        Heading(3, "Afterwards"),
        Paragraph(
            "The directory of this recovery contains secrets of the restored components (for "
            "databases the password verifiers of their roles): remove it, and the unpacked kit."
        ),
    ]
    return blocks


def _needs(plan: Plan) -> str:
    """Return the programs, and the packages of Debian that have them."""
    programs = ["restic", "jq", "curl"]
    packages = list(programs)
    for kind in dict.fromkeys(c.kind for c in plan.components.values()):
        for package, tools in KINDS[kind].programs.items():
            packages.append(package)
            programs += tools
    return (
        f"This needs {', '.join(programs)} (curl only where steps make requests): on Debian "
        f"`apt-get install {' '.join(packages)}`."
    )


def _scripts(programs: Sequence[KitFile]) -> Iterator[Block]:
    """Put in place what steps and checks run; what is there already stays."""
    if not programs:
        return
    yield Paragraph(
        "The plan runs these scripts. Copy them from the kit; files that exist are not replaced:"
    )
    yield Commands(
        "".join(
            f"[[ -e {quote(p.path)} ]] || "
            f'install -D -m {p.mode & 0o777:03o} "$KIT/{p.file}" {quote(p.path)}\n'
            for p in programs
        )
    )


def _begin(plan: Plan) -> str:
    return f"""\
set -euo pipefail
umask 077
KIT=$PWD
[[ -f $KIT/kit.json ]]
mkdir -p "$KIT/recovered/{plan.name}" && cd "$KIT/recovered/{plan.name}"
"""


def opening(spec: RepositorySpec, places: KitPlaces) -> str:
    """Return the variables that give restic access."""

    def file(ref: SecretRef) -> str:
        return f'"$KIT/{places.secrets[ref]}"'

    lines = [f"export RESTIC_REPOSITORY={quote(spec.url)}"]
    if spec.password in places.untrimmed:
        # The shell would take the line ends from its end.
        lines.append(f'RESTIC_PASSWORD="$(cat {file(spec.password)} && echo .)"')
        lines.append('export RESTIC_PASSWORD="${RESTIC_PASSWORD%.}"')
    else:
        lines.append(f"export RESTIC_PASSWORD_FILE={file(spec.password)}")
    if not is_s3(spec.url):
        return "\n".join(lines) + "\n"
    keys = {
        "AWS_ACCESS_KEY_ID": spec.s3.access_key,
        "AWS_SECRET_ACCESS_KEY": spec.s3.secret_key,
        "AWS_SESSION_TOKEN": spec.s3.session_token,
    }
    lines += [f'export {name}="$(cat {file(ref)})"' for name, ref in keys.items() if ref]
    if spec.s3.access_key is None:
        lines.append(
            "# the plan has no keys: use the role of this host, or set AWS_ variables yourself"
        )
    if spec.s3.region:
        lines.append(f"export AWS_DEFAULT_REGION={quote(spec.s3.region)}")
    if spec.s3.ca_cert:
        lines.append(f'export RESTIC_CACERT="$KIT/{places.files[spec.s3.ca_cert]}"')
    if spec.s3.bucket_lookup != "auto":
        words = f"-o s3.bucket-lookup={spec.s3.bucket_lookup}"
        lines.append(f'restic() {{ command restic {words} "$@"; }}')
    return "\n".join(lines) + "\n"


def _points(plan: Plan) -> str:
    return f"restic snapshots --host {plan.name} --tag drd,manifest\n"


def _manifest(plan: Plan) -> str:
    return f"""\
for MANIFEST in $(restic snapshots --json --host {plan.name} --tag drd,manifest |
        jq -r 'sort_by(.time) | reverse | .[].id'); do
    restic dump "$MANIFEST" /manifest.json > manifest.json
    [[ $(jq .complete manifest.json) == true ]] && break
done
[[ $(jq .complete manifest.json) == true ]]
jq '{{point, data_time, complete}}' manifest.json
fact() {{
    jq -er --arg c "$1" --arg f "$2" \\
        '.components[] | select(.component == $c) | .facts[$f]' manifest.json
}}
snapshot() {{
    local id
    id=$(jq -er --arg c "$1" '.components[] | select(.component == $c) | .snapshot' manifest.json)
    restic snapshots --json --host {plan.name} --tag "drd,component:$1" | jq -er --arg id "$id" \\
        '[.[] | select((.id, .original // "") | startswith($id))] | first | .id'
}}
"""


def _target(plan: Plan, target: str | None, components: Mapping[str, ByHand]) -> Iterator[Block]:
    """The steps of the runbook in their order, and last what none of them restores or checks."""
    where = f"into the target {target}" if target else "to its original place"
    of_target = f", target {target}" if target else ""
    steps = StepsByHand(plan, target, components)
    left = dict.fromkeys(components)
    yield from steps.begin()
    for step in plan.runbook:
        if step.kind == "restore":
            for name in (n for n in step.subjects if n in left):
                left.pop(name)
                yield from _component(name, components[name], where)
        elif step.kind == "check":
            yield Heading(3, f"Check the restored data{of_target}")
            for spec in (c for c in plan.checks if c.name in step.subjects):
                yield from _check(spec, components)
        else:
            yield Heading(3, f"Step {step.name}{of_target}")
            yield from steps.step(step)
    for name in left:
        yield from _component(name, components[name], where)


def _component(name: str, hand: ByHand, where: str) -> Iterator[Block]:
    yield Heading(3, f"Restore {name} {where}")
    for passage in hand.passages:
        yield Paragraph(passage.text)
        if passage.commands:
            yield Commands(passage.commands)


def _check(spec: CheckSpec, components: Mapping[str, ByHand]) -> Iterator[Block]:
    kind, hand = CHECKS[spec.kind], components.get(spec.component or "")
    passage = kind.by_hand(spec.settings, hand)
    if passage is not None:
        yield Paragraph(f"{spec.name}: {passage.text}")
        yield Commands(passage.commands, shown=passage.adapt)
    elif kind.compares and hand is not None:
        yield Paragraph(f"{spec.name}: {_compared(hand, spec.component)}.")
    else:
        yield Paragraph(
            f"{spec.name}: a check of kind {spec.kind}, which the plan describes. No command here "
            "executes it."
        )


def _compared(hand: ByHand, component: str | None) -> str:
    if any(passage.compares for passage in hand.passages):
        return f"compared above, during the restore of {component}"
    return f"no command here compares {component} with its backup; drd recover does"


def _copies(plan: Plan, places: KitPlaces) -> Iterator[Block]:
    if not plan.copies:
        return
    yield Heading(3, f"If the repository {plan.primary.name} is gone")
    yield Paragraph(
        "These repositories contain copies. Instead of the commands under 'Open the "
        "repository' use one of these blocks:"
    )
    for spec in plan.copies:
        yield Items((f"{spec.name}, a copy of {spec.copy_of}",))
        yield Commands(opening(spec, places), shown=True)
