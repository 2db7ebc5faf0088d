"""Files: paths with everything below them."""

from collections.abc import Mapping
from os.path import normpath
from typing import Any

from drd.kinds.files.settings import FilesSettings, FilesTarget, overlapping
from drd.ports.kinds import Ability, Holds, KeyUse, KindSpec, Starting


def _paths(settings: FilesSettings | FilesTarget) -> tuple[str, ...]:
    return tuple(settings.paths) if isinstance(settings, FilesSettings) else (settings.path,)


def _brings_back(facts: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(facts.get("paths", ()))


def _holes(facts: Mapping[str, Any]) -> int:
    return int(facts.get("holes", 0))


def _is_source(component: FilesSettings, target: FilesTarget) -> bool:
    return overlapping(map(normpath, component.paths), normpath(target.path)) is not None


SPEC = KindSpec(
    name="files",
    settings=FilesSettings,
    target=FilesTarget,
    adapter="drd.kinds.files.kind:FilesKind",
    holds=Holds.PATHS,
    can=frozenset(Ability)
    - {Ability.QUERY, Ability.SQL, Ability.DATABASES, Ability.LOG, Ability.INSTANT},
    comparison="files",
    room=1.0,
    paths=_paths,
    brings_back=_brings_back,
    is_source=_is_source,
    holes=_holes,
    keys={
        "paths": KeyUse.READS,
        "exclude": KeyUse.HARMLESS,
        "one_file_system": KeyUse.HARMLESS,
    },
    target_keys={"path": KeyUse.WRITES},
    by_hand="drd.kinds.files.by_hand:by_hand",
    starting=Starting(
        "drd.kinds.files.discovery:wishes",
        find="drd.kinds.files.discovery:found",
        otherwise=("/etc",),
    ),
    adopts="drd.kinds.files.adopted:adopts",
    recognises="drd.kinds.files.dump_file:recognise",
)
