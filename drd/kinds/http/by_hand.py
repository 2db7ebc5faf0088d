"""Put documents back by hand, with restic, jq and curl."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from shlex import quote

from drd.errors import DrdError
from drd.kinds.http.pointers import ANY, ELSEWHERE, FIELD, halves
from drd.kinds.http.settings import DOCUMENT, DocumentSettings, HttpSettings, HttpTarget
from drd.model.json_pointer import parts_of
from drd.model.plan import Component, SecretRef
from drd.ports.by_hand import ByHand, Passage

_IN_PATH = (
    f'def in_path: if test({json.dumps(ELSEWHERE)}; "i") '
    'then error("\\(@json) can lead a request to another path") else @uri end;'
)


def by_hand(
    component: Component,
    target: object | None,
    *,
    place: str,
    resolve: Callable[[SecretRef], str],
) -> ByHand:
    name, own = component.name, component.settings
    assert isinstance(own, HttpSettings)
    chosen = target if isinstance(target, HttpTarget) else own
    file, ca_cert = f"{place}/api.curl", f"{place}/ca.pem"
    url = quote(chosen.url.rstrip("/"))
    login, missing = _login(chosen, resolve, needed=target is not None)
    files = {file: login}
    if chosen.ca_cert is not None and (pem := _read(chosen.ca_cert)) is not None:
        files[ca_cert] = pem
    certificate = f'--cacert "$KIT/{ca_cert}" ' if ca_cert in files else ""
    passages = [
        *(Passage(f"Add the headers of a login to {file}: {why}.") for why in missing),
        Passage("Fetch the documents:", _fetch(name, url, f'-K "$KIT/{file}" {certificate}')),
        Passage(
            "Put the documents into a server that does not have these documents yet. A "
            f"document that none of the next commands sends stays in {name}.json: restore it "
            "with the tools of the server.",
            "".join(_placed(name, own.documents)),
        ),
        Passage(
            "Compare the server with the restore point. If a list has several pages, the server "
            "shows only the first page:",
            "".join(_compared(name, own.documents)),
            compares=True,
        ),
    ]
    return ByHand(
        tuple(passages),
        files=files,
        values={"location": url, "url": url},
        environment=f"DRD_URL={url}",
    )


def _login(
    settings: HttpSettings | HttpTarget, resolve: Callable[[SecretRef], str], *, needed: bool
) -> tuple[bytes, list[str]]:
    """Return a configuration file of curl: headers do not appear in the list of processes. Also why
    headers are missing in it; raises SecretUnavailable instead if they are `needed`."""
    lines: list[str] = []
    missing: list[str] = []
    references = {n: ("", ref) for n, ref in settings.headers.items()}
    if settings.token is not None:
        references["Authorization"] = ("Bearer ", settings.token)
    for name, (before, ref) in references.items():
        try:
            value = f"{name}: {before}{resolve(ref)}"
        except DrdError as error:
            if needed:
                raise
            missing.append(f"{name} ({error.message})")
        else:
            lines.append(f"header = {json.dumps(value, ensure_ascii=False)}")
    return "\n".join([*lines, ""]).encode(), missing


def _read(path: str) -> bytes | None:
    with suppress(OSError):
        return Path(path).read_bytes()
    return None


def _fetch(name: str, url: str, options: str) -> str:
    return f"""\
restic dump "$(snapshot {name})" "/$(fact {name} filename)" > {name}.json
URL={url}
IN_PATH={quote(_IN_PATH)}
api() {{
    curl -gsS --path-as-is --fail-with-body {options}-H 'Content-Type: application/json' "$@"
}}
of() {{ jq -c --arg of "$1" '.documents[] | select(.save_as == $of) | .document' {name}.json; }}
"""


def _placed(name: str, documents: Sequence[DocumentSettings]) -> Iterator[str]:
    for document in documents:
        put_back = document.put_back
        if put_back is None:
            continue
        first, second = put_back.create, put_back.update
        request = (first or second) if document.is_list else (second or first)
        assert request is not None
        path = quote(_path(request.path))
        yield f"""\
of {quote(document.save_as)} | while IFS= read -r document; do
    path=$(jq -r "$IN_PATH"{path} <<< "$document") || exit 1
    jq -c {quote(_json(request.body))} <<< "$document" |
        api -X {request.method} --data-binary @- -o /dev/null "$URL$path"
done
"""
    yield f"echo {quote(f'{name}: all requests were accepted')}\n"


def _compared(name: str, documents: Sequence[DocumentSettings]) -> Iterator[str]:
    for document in documents:
        form = quote(_saved_form(document))
        items = _at(document.items or "") + ("[]" if document.is_list else "")
        take = _at(document.take)
        if document.each is None:
            read = f'api "$URL"{quote(document.get)} | jq -c {quote(f"{items} | {take}")}'
        else:
            each = quote(_path(document.each))
            read = (
                f'api "$URL"{quote(document.get)} | jq -r "$IN_PATH"{quote(items)}" | "{each} |\n'
                f'    while IFS= read -r path; do api "$URL$path" | jq -c {quote(take)}; done'
            )
        yield f"""\
{read} | jq -S {form} | jq -s -S 'sort' > now
of {quote(document.save_as)} | jq -S {form} | jq -s -S 'sort' > saved
diff saved now && echo {quote(f"{name}: {document.save_as} as at the backup")}
"""


def _saved_form(document: DocumentSettings) -> str:
    steps = [f"del({_pattern(p)})" for p in document.leave_out]
    steps += [
        f'({_pattern(p)} |= if type == "array" then sort else . end)' for p in document.unordered
    ]
    return " | ".join(steps) or "."


def _pattern(pointer: str) -> str:
    parts = parts_of(pointer)
    return "." + "".join("[]?" if p == ANY else f"[{json.dumps(p)}]?" for p in parts)


def _at(pointer: str) -> str:
    return "." + "".join(
        f"[{p}]" if p.isdecimal() else f"[{json.dumps(p)}]" for p in parts_of(pointer)
    )


def _path(template: str) -> str:
    """Return a jq program that prints the path of a request, and fails for a value that could lead
    it elsewhere."""
    path, query = halves(template)
    return f"{_text(path, 'in_path')} + {_text(query, '@uri')}"


def _text(template: str, escape: str) -> str:
    """Return a jq program that prints the template with its fields filled in."""
    parts = []
    at = 0
    for field in FIELD.finditer(template):
        parts.append(json.dumps(template[at : field.start()]))
        inside = "".join(f"[{json.dumps(p)}]" for p in field[1].split("/"))
        parts.append(f"(.{inside} | tostring{f' | {escape}' if escape else ''})")
        at = field.end()
    parts.append(json.dumps(template[at:]))
    return " + ".join(parts)


def _json(template: object) -> str:
    """Return a jq program that makes the body of a request."""
    if template == DOCUMENT:
        return "."
    if isinstance(template, dict):
        return "{" + ", ".join(f"{json.dumps(k)}: {_json(v)}" for k, v in template.items()) + "}"
    if isinstance(template, list):
        return "[" + ", ".join(map(_json, template)) + "]"
    if isinstance(template, str) and FIELD.search(template):
        return f"({_text(template, '')})"
    return json.dumps(template)
