"""Anything that has a command that dumps it and a command that restores it."""

from collections.abc import Iterator, Mapping
from os.path import normpath

from drd.fields import Contradiction
from drd.kinds.command.settings import ADDRESS, CommandSettings, CommandTarget
from drd.model.values import references
from drd.ports.kinds import Ability, Compared, KeyUse, KindSpec, Starting


def _paths(settings: CommandSettings | CommandTarget) -> tuple[str, ...]:
    return (settings.path,) if settings.path is not None else ()


def _fingerprints(settings: CommandSettings) -> bool:
    return settings.count is not None


def _is_source(component: CommandSettings, target: CommandTarget | CommandSettings) -> bool:
    if component.loads:
        return component.address is not None and component.address == target.address
    if component.path is None or target.path is None:
        return False
    return normpath(component.path) == normpath(target.path)


def _misfits(component: CommandSettings, target: CommandTarget) -> Iterator[Contradiction]:
    if component.loads and target.address is None:
        hint = "add `address` to the target: the address of its service."
        message = "has no `address`, but `restore` loads the dump into a running service"
        yield Contradiction((), message, hint, True)
    elif not component.loads and target.path is None:
        hint = (
            "add `path` to the target: the directory to restore to. If `restore` loads the "
            "dump into a running service, add `first: true` to `serve` of the component "
            "instead."
        )
        yield Contradiction((), "has no `path`, but `restore` writes into a directory", hint, True)
    for key in ("count", "query"):
        words = getattr(component, key)
        if words and target.address is None and ADDRESS in references(" ".join(words)):
            message = f"has no `address`, which `{key}` of the component uses"
            hint = (
                "add `address` to the target: without `address`, the checks of a recovery "
                "cannot query its service."
            )
            yield Contradiction((), message, hint, True, warns=True)


def _asks_service(component: CommandSettings, place: CommandTarget | CommandSettings) -> str:
    if component.loads or place.path is None or place.address is None:
        return ""  # the service has to run before the restore, which says so itself
    keys = (
        key
        for key in ("count", "query")
        if ADDRESS in references(" ".join(getattr(component, key) or ()))
    )
    return next(keys, "")


def _without(settings: CommandSettings) -> Mapping[Ability, str]:
    lacking = {}
    if settings.loads:
        if not settings.dumps_target:
            lacking[Ability.KEEP] = (
                "give --no-undo to recover without a kept copy; or use ${address} in `dump` of "
                "the component, so that drd can dump the present data of the target."
            )
        lacking[Ability.BESIDE] = "leave out --into, or give another target."
        if settings.address is None:
            hint = "give --target NAME, or add `address` to the component."
            lacking[Ability.IN_PLACE] = hint
    elif settings.path is None:
        hint = "give --target NAME, or add `path` to the component: the directory of its data."
        lacking[Ability.IN_PLACE] = hint
    if settings.count is None:
        lacking[Ability.COMPARE] = "add `count` to the component: a command that counts."
    if settings.query is None:
        lacking[Ability.QUERY] = "add `query` to the component: a command that answers queries."
    return lacking


SPEC = KindSpec(
    name="command",
    settings=CommandSettings,
    target=CommandTarget,
    adapter="drd.kinds.command.kind:CommandKind",
    can=frozenset({Ability.KEEP, Ability.BESIDE, Ability.IN_PLACE, Ability.QUERY}),
    without=_without,
    comparison="rows",
    compared=Compared(("what `count` prints",), ("everything else",), counts_only=True),
    paths=_paths,
    values={"path": "DRD_PATH", "address": "DRD_ADDRESS"},
    fingerprints=_fingerprints,
    is_source=_is_source,
    misfits=_misfits,
    asks_service=_asks_service,
    keys={
        **dict.fromkeys(("dump", "restore", "serve", "count", "query", "env"), KeyUse.RUNS),
        "address": KeyUse.CONNECTS,
        "ends_with": KeyUse.HARMLESS,
        "timeout": KeyUse.HARMLESS,
    },
    target_keys={"path": KeyUse.WRITES, "address": KeyUse.CONNECTS},
    by_hand="drd.kinds.command.by_hand:by_hand",
    adopts="drd.kinds.command.adopted:adopts",
    plain_copies=False,
    for_backups=("dump",),
    recognises="drd.kinds.command.dump_file:recognise",
    keeps="drd.kinds.command.dump_file:keep",
    unpacks="drd.kinds.command.dump_file:unpack",
    starting=Starting(
        "drd.kinds.command.discovery:wishes",
        about="commands that print a dump, each as one word: 'slapcat -n 1'",
    ),
)
