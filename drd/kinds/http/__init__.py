"""Configuration behind an HTTP API: documents that are read by GET, and put back by requests."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from drd.kinds.http.settings import HttpSettings, HttpTarget, is_loopback, same_address
from drd.ports.kinds import Ability, KeyUse, KindSpec, Reveal, Starting


def _host(settings: HttpSettings, _: Reveal) -> str:
    return "" if is_loopback(settings.url) else urlsplit(settings.url).hostname or ""


def _is_source(component: HttpSettings, target: HttpTarget) -> bool:
    return same_address(component.url, target.url)


def _without(settings: HttpSettings) -> Mapping[Ability, str]:
    if any(document.put_back is not None for document in settings.documents):
        return {}
    hint = "add `put_back` to the entries of `documents`: the requests that restore them."
    return {Ability.IN_PLACE: hint, Ability.KEEP: hint}


def _files(settings: HttpSettings | HttpTarget) -> tuple[str, ...]:
    return (settings.ca_cert,) if settings.ca_cert else ()


_KEYS = {
    "timeout": KeyUse.HARMLESS,
    "total_timeout": KeyUse.HARMLESS,
    "ca_cert": KeyUse.HARMLESS,
    "url": KeyUse.CONNECTS,
}

_NO_PARTS = (
    "recover the whole component: drd sends requests only for the documents that differ. "
    "--dry-run lists these documents."
)

SPEC = KindSpec(
    name="http",
    settings=HttpSettings,
    target=HttpTarget,
    adapter="drd.kinds.http.kind:HttpKind",
    can=frozenset({Ability.KEEP, Ability.LIVE, Ability.IN_PLACE, Ability.LIST}),
    without=_without,
    remedies={Ability.PARTS: _NO_PARTS},
    comparison="documents",
    room=4.0,
    values={"path": "DRD_PATH", "url": "DRD_URL"},
    host=_host,
    paths=_files,
    families=("AF_INET", "AF_INET6"),
    is_source=_is_source,
    keys={**_KEYS, "stand_in": KeyUse.RUNS},
    target_keys=_KEYS,
    connection_stays_here="drd.kinds.http.settings:is_loopback",
    by_hand="drd.kinds.http.by_hand:by_hand",
    programs={"curl": ("curl",)},
    adopts_not="drd puts back only documents that drd itself has read from the API",
    starting=Starting("drd.kinds.http.discovery:wishes", find="drd.kinds.http.discovery:found"),
)
