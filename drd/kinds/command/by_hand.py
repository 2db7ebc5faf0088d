"""Restore a component by hand, with restic and the component's own command."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from shlex import quote

from drd.kinds.command.destination import needs_file
from drd.kinds.command.settings import ADDRESS, PATH, QUERY, CommandSettings, CommandTarget
from drd.model.plan import Component, SecretRef
from drd.model.values import pieces, references
from drd.ports.by_hand import ByHand, Passage

_STEM = {"path": '"$MADE"', "dump": '"$DUMP"'}


def by_hand(
    component: Component,
    target: object | None,
    *,
    place: str,  # noqa: ARG001 - needs no file
    resolve: Callable[[SecretRef], str],  # noqa: ARG001 - nor a secret
) -> ByHand:
    name, settings = component.name, component.settings
    assert isinstance(settings, CommandSettings)
    at = target if isinstance(target, CommandTarget) else settings
    if settings.loads:
        return _into_service(name, settings, at.address)
    path = at.path
    where = quote(path) if path is not None else f'"$PWD/{name}"'
    around = "".join(f"{key}={_word(text, _STEM)} " for key, text in settings.env.items())
    command = around + _words(settings.restore, _STEM)
    if not needs_file(settings):
        command += ' <"$DUMP"'
    fetch = f"""\
DUMP=$PWD/{name}.dump
restic dump "$(snapshot {name})" "/$(fact {name} filename)" > "$DUMP"
"""
    empty = f"""\
TARGET={where}
MADE=$TARGET.restored
[[ ! -e $TARGET || -z $(ls -A -- "$TARGET") ]] || {{ echo "$TARGET is not empty"; false; }}
[[ ! -e $MADE ]] || {{ echo "an earlier attempt left $MADE: remove it, then begin again"; false; }}
"""
    restore = f"""\
mkdir -p -m 755 -- "$(dirname -- "$TARGET")"
mkdir -m 700 -- "$MADE"
(cd -- "$MADE" && {command})
[[ ! -d $TARGET ]] || rmdir -- "$TARGET"
mv -T -- "$MADE" "$TARGET"
"""
    counted = _counted(name, settings, at.address, where)
    there = f"[[ -n $(ls -A -- {where} 2> /dev/null) ]]"
    is_judged_here = bool(counted) and not any(passage.adapt for passage in counted)
    passages = [
        Passage(
            "First move the present data of the service out of the target directory, which must "
            "be missing or empty:",
            empty,
        ),
        Passage("Fetch the dump:", fetch),
        Passage(
            f"These commands restore {name} into a new directory, and then rename the new "
            "directory to the target:",
            restore,
            makes="rm -rf -- ${MADE@Q} ${TARGET@Q}",
            there="" if is_judged_here else there,
        ),
    ]
    if is_judged_here:
        counted[-1] = replace(counted[-1], there=there)
    passages += counted
    known = {PATH: where, **_at(at.address)}
    return ByHand(
        tuple(passages),
        ask=_ask(settings, known),
        values={"location": where, **known},
        environment=_environment(known),
    )


def _at(address: str | None) -> dict[str, str]:
    return {} if address is None else {ADDRESS: quote(address)}


def _environment(known: Mapping[str, str]) -> str:
    """Return what commands of checks and erasures get in drd, too."""
    names = {PATH: "DRD_PATH", ADDRESS: "DRD_ADDRESS"}
    return " ".join(f"{name}={known[key]}" for key, name in names.items() if key in known)


def _counted(
    name: str, settings: CommandSettings, address: str | None, where: str
) -> list[Passage]:
    """Return how to compare the counts of the data restored in `where`; they may be those of the
    running service."""
    if settings.count is None:
        return []
    stems = {PATH: '"$TARGET"', ADDRESS: '"$ADDRESS"'}
    count = _words(settings.count, stems)
    if ADDRESS not in references(" ".join(settings.count)):
        return [_comparison(name, count)]
    at = "" if address is None else f" at {address}"
    start = f"Start the service of {name}: the next commands query this service{at}."
    if address is None:
        start += " Set the variable ADDRESS to the address of the service."
    begin = f"TARGET={where}\n" + ("" if address is None else f"ADDRESS={quote(address)}\n")
    comparison = _comparison(name, count)
    return [
        Passage(start, adapt=True, compares=True),
        replace(comparison, commands=begin + comparison.commands, adapt=address is None),
    ]


def _ask(settings: CommandSettings, known: Mapping[str, str]) -> str:
    """Return the words before a query; empty if the command of the plan has it elsewhere, needs a
    secret, or asks a server of which nobody knows the address."""
    *words, last = settings.query or [""]
    used = set(references(" ".join(words)))
    if references(last) != [QUERY] or used - set(known):
        return ""
    if ADDRESS in used and (settings.secrets or settings.secret_files):
        return ""
    around = "".join(f"{key}={_word(text, _STEM)} " for key, text in settings.env.items())
    return around + _words(words, known)


def _into_service(name: str, settings: CommandSettings, address: str | None) -> ByHand:
    """The commands for a service that only its running server can restore."""
    where = quote(address) if address is not None else "ADDRESS"
    stems = {"address": '"$ADDRESS"', "dump": '"$DUMP"'}
    around = "".join(f"{key}={_word(text, stems)} " for key, text in settings.env.items())
    load = around + _words(settings.restore, stems)
    load += "" if needs_file(settings) else ' <"$DUMP"'
    fetch = f"""\
DUMP=$PWD/{name}.dump
restic dump "$(snapshot {name})" "/$(fact {name} filename)" > "$DUMP"
"""
    text = (
        f"Start the service of {name}, set the variables with secrets that the command needs, and "
        "load the dump into the service:"
    )
    commands = f"ADDRESS={where}\n{load}\n"
    secret = {*settings.secrets, *settings.secret_files}
    adapt = address is None or bool(secret)
    passages = (Passage("Fetch the dump:", fetch), Passage(text, commands, adapt=adapt))
    known = _at(address)
    return ByHand(
        passages,
        ask=_ask(settings, known),
        values={"location": where, ADDRESS: where},
        environment=_environment(known),
    )


def _comparison(name: str, count: str) -> Passage:
    commands = f"""\
jq -r '.components[] | select(.component == "{name}") | .fingerprint.tables // {{}}
    | to_entries[] | [.key, .value[0]] | @tsv' manifest.json | sort > {name}.expected
(cd -- "$TARGET" && {count}) | sed '/^[0-9]*$/s/^/all\\t/' | sort > {name}.found
diff {name}.expected {name}.found
echo "{name}: the counts are as at the backup"
"""
    return Passage("Compare the counts with the counts at the backup:", commands, compares=True)


def _words(words: Sequence[str], stems: Mapping[str, str]) -> str:
    return " ".join(_word(word, stems) for word in words)


def _word(text: str, stems: Mapping[str, str]) -> str:
    """Quote a word, with variables of the shell instead of `${path}` and `${dump}`."""
    parts = [
        stems.get(part, quote(f"${{{part}}}")) if is_value else quote(part)
        for is_value, part in pieces(text)
    ]
    return "".join(parts) or "''"
