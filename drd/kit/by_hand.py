"""The part of the printed runbook that needs no drd: every command with its real values, secrets
read from files of the kit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from shlex import quote

from drd.kit import stanza_by_hand, stops_by_hand
from drd.kit.adopted_by_hand import choosing, without
from drd.kit.answers import judges, judging
from drd.kit.document import (
    Block,
    Commands,
    Following,
    Heading,
    Items,
    Paragraph,
    Removal,
    Restoring,
    Stage,
)
from drd.kit.script import script_file
from drd.kit.steps_by_hand import StepsByHand, once
from drd.kit.stops_by_hand import Act, Checked
from drd.model.kit import KitFile
from drd.model.location import is_s3
from drd.model.plan import CheckSpec, Plan, RepositorySpec, SecretRef
from drd.model.schemes import CA_CERT, SSH_KEY, SSH_KNOWN_HOSTS, scheme_of
from drd.ports.by_hand import ByHand, Passage
from drd.registry import ACTIONS, CHECKS, KINDS
from drd.repositories.restic.reach import sftp_words


@dataclass(frozen=True, slots=True)
class KitPlaces:
    """The places of files in the kit: secrets by their reference, other files by their path on the
    host. `untrimmed` are secrets with edges that restic cuts off when it reads them from files.
    `programs` are scripts that the plan runs. `left_out` are newest restore points (of adopted
    copies: the tool's names of them) that a drill could not restore.
    """

    secrets: Mapping[SecretRef, str]
    files: Mapping[str, str]
    untrimmed: frozenset[SecretRef] = frozenset()
    programs: tuple[KitFile, ...] = ()
    left_out: tuple[str, ...] = ()


def sections(
    plan: Plan, places: KitPlaces, hands: Mapping[str | None, Mapping[str, ByHand]]
) -> list[Block]:
    """Return the sections. `hands` has, for each target (None if the plan has no targets), its
    components in the order of the runbook.
    """
    blocks: list[Block] = [
        Heading(2, "By hand, without drd"),
        Paragraph(
            f"{_needs(plan)} Become root if the restored files must have their former "
            "owners. Start a new `bash`, and change to the directory recovery-kit: a "
            "command that fails ends this bash, so that no later command runs: correct the cause, "
            "start a new bash, repeat the commands up to the restore point, and go on with the "
            "component that was not restored completely. The kit has the same commands as a "
            f"script: {_scripts_of(plan, [*hands])}. If a component fails, the script prints the "
            "command that removes the incomplete part, and goes on with the other components. It "
            "then skips the steps and checks that come later, and ends with a list of what is "
            "restored and what is not. If you start the script again, it skips what it has "
            "already restored and compared, and the steps that are done; checks, waits, and steps "
            "that start or stop something, run again."
        ),
        Heading(3, "Open the repository"),
        Commands(_begin(plan)),
        *_scripts(places.programs),
        Commands(opening(plan.primary, places)),
        *_choosing(plan, places.left_out),
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


def _unreachable(plan: Plan) -> Paragraph:
    return Paragraph(
        "If the repository cannot be reached, restic keeps trying for 15 minutes and prints "
        "nothing. If the next command prints nothing for one minute, press Ctrl-C and check "
        "the address."
        + (" If this repository is gone, see the end of this page." if plan.copies else "")
    )


def _choosing(plan: Plan, left_out: Sequence[str]) -> Iterator[Block]:
    if plan.primary.has_password:
        yield _unreachable(plan)
    if plan.primary.adopted is not None:
        yield from choosing(plan.primary.adopted, left_out)
        return
    yield Commands(_points(plan))
    yield Heading(3, "Choose the restore point")
    yield Paragraph(
        f"These commands choose the newest complete restore point. {without(left_out)}To "
        "choose another restore point, set MANIFEST to its id from the list above, and run "
        "only the line `restic dump` of the loop."
    )
    yield Commands(_manifest(plan, left_out))


def _scripts_of(plan: Plan, targets: Sequence[str | None]) -> str:
    several = len(plan.targets) > 1
    return " or ".join(f"`bash {script_file(plan.name, t, several=several)}`" for t in targets)


def _needs(plan: Plan) -> str:
    programs, packages = _programs(plan)
    if "curl" not in programs:
        programs, packages = [*programs, "curl (only for requests of steps)"], [*packages, "curl"]
    needs = f"This needs {', '.join(programs)}: on Debian `apt-get install {' '.join(packages)}`."
    for program, (other, product) in _of_others(plan).items():
        needs += f" For a backup of {product}, {program} is not needed, but {other} of {product}'s "
        needs += "own packages."
    return needs


def _of_others(plan: Plan) -> dict[str, tuple[str, str]]:
    """Return, by program, that of another product that a kind of the plan is for, and the
    product."""
    kinds = dict.fromkeys(c.kind for c in plan.components.values())
    return {p: other for kind in kinds for p, other in KINDS[kind].programs_of_others.items()}


def _programs(plan: Plan) -> tuple[list[str], list[str]]:
    """Return the programs, and the packages of Debian that have them."""
    programs = ["jq"]
    if any(r.has_password for r in plan.repositories.values()):
        programs.insert(0, "restic")
    if any(r.adopted and r.adopted.stanza for r in plan.repositories.values()):
        programs.insert(0, "pgbackrest")
    packages = list(programs)
    for spec in plan.repositories.values():
        for program, package in scheme.needs if (scheme := scheme_of(spec.url)) else ():
            packages.append(package)
            programs.append(program)
    for kind in dict.fromkeys(c.kind for c in plan.components.values()):
        for package, tools in KINDS[kind].programs.items():
            packages.append(package)
            programs += tools
    return programs, packages


def _scripts(programs: Sequence[KitFile]) -> Iterator[Block]:
    """Put in place what steps and checks run; what is there already stays."""
    if not programs:
        return
    yield Paragraph(
        "The plan runs these scripts. Copy them from the kit; the commands do not replace "
        "files that exist:"
    )
    yield Commands(
        "".join(
            f"[[ -e {quote(p.path)} ]] || "
            f'install -D -m {p.mode & 0o777:03o} "$KIT/{p.file}" {quote(p.path)}\n'
            for p in programs
        )
    )


def _begin(plan: Plan) -> str:
    programs, packages = _programs(plan)
    others = {program: f"{program}_or_{other}" for program, (other, _) in _of_others(plan).items()}
    install = f"apt-get install {' '.join(dict.fromkeys(packages))}"
    wanted = dict.fromkeys(others.get(program, program) for program in programs)
    return f"""\
set -euo pipefail
for program in {" ".join(wanted)}; do
    for one in ${{program//_or_/ }}; do
        command -v $one >/dev/null && continue 2
    done
    echo "${{program//_or_/ or }} is missing: {install}" >&2
    exit 1
done
umask 077
KIT=$PWD
[[ -f $KIT/kit.json ]]
mkdir -p "$KIT/recovered/{plan.name}" && cd "$KIT/recovered/{plan.name}"
"""


def opening(spec: RepositorySpec, places: KitPlaces) -> str:
    """Return the variables that give restic access, or those for the commands of another tool."""

    def file(ref: SecretRef) -> str:
        return f'"$KIT/{places.secrets[ref]}"'

    if spec.adopted is not None and (command := spec.adopted.command) is not None:
        return "".join(f'export {name}="$(cat {file(ref)})"\n' for name, ref in command.env)
    if spec.adopted is not None and spec.adopted.stanza is not None:
        return stanza_by_hand.opening(spec.adopted.stanza, file)
    lines = [f"export RESTIC_REPOSITORY={quote(spec.url)}", *_program(spec)]
    if spec.password in places.untrimmed:
        # The shell would take the line ends from its end.
        lines.append(f'RESTIC_PASSWORD="$(cat {file(spec.password)} && echo .)"')
        lines.append('export RESTIC_PASSWORD="${RESTIC_PASSWORD%.}"')
    else:
        lines.append(f"export RESTIC_PASSWORD_FILE={file(spec.password)}")
    if not is_s3(spec.url):
        return "\n".join([*lines, *_access(spec, places)]) + "\n"
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
    return "\n".join(lines) + "\n"


def _program(spec: RepositorySpec) -> Iterator[str]:
    """Yield a shell function `restic` with the options that all commands need. The commands only
    read, so `--no-lock` is safe. Without it, a lock that the lost host has left would stop them for
    half an hour."""
    options = ["--no-lock"]
    scheme = scheme_of(spec.url)
    if is_s3(spec.url) and spec.s3.bucket_lookup != "auto":
        options += ["-o", f"s3.bucket-lookup={spec.s3.bucket_lookup}"]
    elif scheme is not None and scheme.name == "sftp":
        options += sftp_words((SSH_KEY, SSH_KNOWN_HOSTS))
    yield "# These commands only read: a lock that the lost host has left does not stop them."
    yield f'restic() {{ command restic {" ".join(map(quote, options))} "$@"; }}'


def _access(spec: RepositorySpec, places: KitPlaces) -> Iterator[str]:
    """Yield what gives restic access to a repository that is neither in a bucket nor here."""
    scheme = scheme_of(spec.url)
    for key, given in spec.access if scheme is not None else ():
        assert scheme is not None
        variable = scheme.settings[key].env
        if isinstance(given, SecretRef):
            file = f'"$KIT/{places.secrets[given]}"'
            if variable in (SSH_KEY, SSH_KNOWN_HOSTS):
                # ssh needs the last line end, which the kit's file lacks, and a file of mode 600.
                copy = f"ssh-{key.replace('_', '-')}-{spec.name}"
                yield f"{{ cat {file}; echo; }} > {copy}"
                yield f'export {variable}="$PWD/{copy}"'
            elif scheme.name == "rclone":
                yield f"export RCLONE_CONFIG={file}"
            elif scheme.settings[key].in_file:
                yield f"export {variable}={file}"
            else:
                yield f'export {variable}="$(cat {file})"'
        elif key == CA_CERT:
            yield f'export RESTIC_CACERT="$KIT/{places.files[given]}"'
        else:
            yield f"export {variable}={quote(given)}"


def _points(plan: Plan) -> str:
    return f"restic snapshots --host {plan.name} --tag drd,manifest\n"


def _manifest(plan: Plan, left_out: Sequence[str]) -> str:
    chosen = "[[ $(jq .complete manifest.json) == true ]] && break"
    if left_out:
        known = quote(f" {' '.join(left_out)} ")
        chosen = f"""\
[[ $(jq .complete manifest.json) == true ]] || continue
    [[ {known} == *" $(jq -r .point manifest.json) "* ]] || break"""
    names = " ".join(map(quote, plan.components))
    return f"""\
for MANIFEST in $(restic snapshots --json --host {plan.name} --tag drd,manifest |
        jq -r 'sort_by(.time) | reverse | .[].id'); do
    restic dump "$MANIFEST" /manifest.json > manifest.json
    {chosen}
done
[[ $(jq .complete manifest.json) == true ]]
[[ $(jq -r .point manifest.json) =~ ^[a-z0-9-]+$ ]] # commands of the plan may use both
[[ $(jq -r .data_time manifest.json) =~ ^[0-9TZ:.+-]+$ ]]
jq '{{point, data_time, complete}}' manifest.json
for NAME in {names}; do
    jq -e --arg c "$NAME" 'any(.components[]; .component == $c)' manifest.json > /dev/null || {{
        echo "The restore point has no component $NAME: it was made by another version of the plan."
        echo "Use a kit that was exported after the plan was changed. The point has:"
        jq -a '.components[].component' manifest.json
        false
    }}
done
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
    yield from stops_by_hand.begin(plan.name, components)
    if first := "".join(hand.first for hand in components.values()):
        yield Heading(3, f"Look whether the recovery can begin{of_target}")
        yield Paragraph("These commands change nothing, and end with what is missing:")
        yield Commands(first)
    yield from steps.begin()
    for act in stops_by_hand.arranged([*_acts(plan, steps, components)], components):
        for name in act.restores:
            yield from _component(name, components[name], where, adopted=bool(plan.made_by))
        if act.stops:
            yield from stops_by_hand.end(of_target)
        elif act.step is None:
            continue
        elif act.checks:
            yield Heading(3, f"Check the restored data{of_target}")
            how = judges() if any(check.judged for check in act.checks) else ()
            blocks = (*how, *(block for check in act.checks for block in check.blocks))
            yield Following(f"the checks of step {act.step.name}", blocks)
        elif act.blocks:
            yield Heading(3, f"Step {act.step.name}{of_target}")
            yield Following(f"step {act.step.name}", act.blocks, once(act.step))


def _acts(plan: Plan, steps: StepsByHand, components: Mapping[str, ByHand]) -> Iterator[Act]:
    """The steps of the runbook in their order, and last what none of them restores."""
    left = dict.fromkeys(components)
    for step in plan.runbook:
        if step.kind == "restore":
            names = [name for name in step.subjects if name in left]
            left = {name: None for name in left if name not in names}
            yield Act(step, restores=tuple(names))
        elif step.kind == "check":
            yield Act(step, checks=tuple(_checks(plan, step.subjects, components)))
        else:  # without blocks, it is a step of other targets
            about = None
            if step.kind in ACTIONS:
                about = ACTIONS[step.kind].component(step.settings)
            yield Act(step, blocks=tuple(steps.step(step)), component=about)
    yield Act(None, restores=tuple(left))


def _checks(
    plan: Plan, names: Sequence[str], components: Mapping[str, ByHand]
) -> Iterator[Checked]:
    for spec in (c for c in plan.checks if c.name in names):
        passage = _passage(spec, components)
        judged = passage is not None and passage.judged is not None
        asked = passage.commands if passage is not None else ""
        yield Checked(spec.component, tuple(_check(spec, passage, components)), judged, asked)


def _component(name: str, hand: ByHand, where: str, *, adopted: bool) -> Iterator[Block]:
    yield Heading(3, f"Restore {name} {where}")
    yield Restoring(name, tuple(_stages(name, hand, adopted=adopted)))


def _stages(name: str, hand: ByHand, *, adopted: bool) -> Iterator[Block]:
    number, of_stage = 1, list[Block]()
    for passage in hand.passages:
        blocks = [] if adopted and passage.compares else [*_blocks(name, passage)]
        if passage.always:
            yield from blocks
            continue
        of_stage += blocks
        if passage.there:
            yield Stage(name, number, tuple(of_stage), passage.there)
            number, of_stage = number + 1, []
    if of_stage:
        yield Stage(name, number, tuple(of_stage))


def _blocks(name: str, passage: Passage) -> Iterator[Block]:
    if passage.makes:
        yield Removal(name, passage.makes)
    yield Paragraph(passage.text, waits=passage.adapt)
    if passage.commands:
        yield Commands(passage.commands, shown=passage.adapt)


def _passage(spec: CheckSpec, components: Mapping[str, ByHand]) -> Passage | None:
    return CHECKS[spec.kind].by_hand(spec.settings, components.get(spec.component or ""))


def _check(
    spec: CheckSpec, passage: Passage | None, components: Mapping[str, ByHand]
) -> Iterator[Block]:
    kind, hand = CHECKS[spec.kind], components.get(spec.component or "")
    if passage is not None and passage.judged is not None:
        yield Paragraph(f"{spec.name}: {passage.text}")
        yield Commands(judging(spec.name, passage))
    elif passage is not None:
        yield Paragraph(f"{spec.name}: {passage.text}", left=passage.adapt)
        yield Commands(passage.commands, shown=passage.adapt)
    elif kind.compares and hand is not None:
        yield Paragraph(f"{spec.name}: {_compared(hand, spec.component)}.")
    else:
        yield Paragraph(
            f"{spec.name}: a check of kind {spec.kind}, which the plan describes. The "
            "commands on this page do not execute it.",
            left=True,
        )


def _compared(hand: ByHand, component: str | None) -> str:
    if any(passage.compares for passage in hand.passages):
        return f"compared above, during the restore of {component}"
    return f"the commands on this page do not compare {component} with its backup; drd recover does"


def _copies(plan: Plan, places: KitPlaces) -> Iterator[Block]:
    if not plan.copies:
        return
    yield Heading(3, f"If the repository {plan.primary.name} is gone")
    yield Paragraph(
        "These repositories contain copies. Use one of these blocks instead of the commands "
        "under 'Open the repository':"
    )
    for spec in plan.copies:
        yield Items((f"{spec.name}, a copy of {spec.copy_of}",))
        yield Commands(opening(spec, places), shown=True)
