"""Read a plan or a drd.yaml that a repository stores: its values, and which of them belong to the
repository that a person named."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from drd.config.daemon_schema import DaemonFile
from drd.config.json_schema import SchemaView
from drd.config.schema import PlanFile
from drd.config.yaml import read
from drd.model.location import normal_url
from drd.model.plan import SecretRef
from drd.model.schemes import Scheme, scheme_of

KeyPath = tuple[str | int, ...]
Pattern = tuple[str, ...]

_SECRETS = {"file", "env", "credential", "command"}


def patterns(text: str) -> frozenset[Pattern]:
    """Return the patterns in a text: keys with dots, in which `*` is any name or place in a
    list."""
    return frozenset(tuple(words.split(".")) for words in text.split())


class StoredText(NamedTuple):
    """A stored text. `url` is the repository that a person named, with the settings `access`;
    `known` are the secrets whose values drd has."""

    data: dict[Any, Any]
    view: SchemaView
    url: str
    access: Mapping[str, object]
    known: Collection[SecretRef]


def stored(
    text: str, url: str, access: Mapping[str, object], known: Collection[SecretRef]
) -> StoredText | None:
    """Read a text; None if it is not a mapping. Raises ConfigError if it is not YAML."""
    data = read(text.encode(), "text", allow_empty=True).data
    if not isinstance(data, dict):
        return None
    view = SchemaView(PlanFile if "plan" in data else DaemonFile)
    return StoredText(data, view, url, access, known)


def leaves(value: Any, key: KeyPath, harmless: frozenset[Pattern]) -> Iterator[tuple[KeyPath, Any]]:
    """Return every value that is not harmless, with its key. Lists of plain values, such as the
    words of a command, count as one value."""
    if is_any(key, harmless):
        return
    if isinstance(value, dict) and value and not is_secret(value):
        for name, item in value.items():
            yield from leaves(item, (*key, str(name)), harmless)
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for index, item in enumerate(value):
            yield from leaves(item, (*key, index), harmless)
    elif value not in (None, [], {}):
        yield key, value


def is_any(key: KeyPath, patterns: Collection[Pattern]) -> bool:
    """Return whether a key matches one of the patterns, in which `*` stands for any part."""
    return any(
        len(key) == len(pattern)
        and all(p in ("*", str(k)) for k, p in zip(key, pattern, strict=True))
        for pattern in patterns
    )


def is_secret(value: dict[Any, Any]) -> bool:
    """Return whether a mapping says where a secret is read."""
    return len(value) == 1 and set(value) <= _SECRETS


def secret_ref(value: dict[Any, Any]) -> SecretRef:
    ((source, what),) = value.items()
    return SecretRef(source, tuple(what) if isinstance(what, list) else what)


# --- the repository that a person named ---------------------------------------------------------


def is_ours(key: KeyPath, value: Any, text: StoredText) -> bool:
    """Return whether a value is the URL of the named repository, or one of its known secrets."""
    if isinstance(value, dict):
        named = (
            key[0] == "repositories"
            and is_named(url_beside(key, text), text)
            and is_at_named(key, text)
        )
        # A file reference keeps its place, and is written there.
        return named and "file" not in value and secret_ref(value) in text.known
    return is_url(key) and is_named(value, text)


def is_url(key: KeyPath) -> bool:
    return key[:1] == ("repositories",) and key[2:] == ("url",)


def url_beside(key: KeyPath, text: StoredText) -> Any:
    """Return the URL of the repository to which a key belongs."""
    return _repository(key, text).get("url")


def _repository(key: KeyPath, text: StoredText) -> dict[Any, Any]:
    repositories = text.data.get("repositories")
    repository = repositories.get(key[1]) if isinstance(repositories, dict) and key[1:] else None
    return repository if isinstance(repository, dict) else {}


def is_place(key: KeyPath, text: StoredText) -> bool:
    """Return whether a key decides, together with the URL, where data and secrets are sent."""
    if key[0] != "repositories" or len(key) != 4:
        return False
    scheme = scheme_of(str(url_beside(key, text)))
    return scheme is not None and key[2] == scheme.name and key[3] in scheme.place({})


def is_as_named(key: KeyPath, text: StoredText) -> bool:
    """Return whether the stored plan has the value that the person gave for this repository."""
    url, setting = url_beside(key, text), key[3]
    scheme = scheme_of(str(url))
    if scheme is None or not is_named(url, text):
        return False
    here, typed = scheme.place(_section(key, scheme, text)), scheme.place(text.access)
    return here[str(setting)] == typed[str(setting)]


def is_at_named(key: KeyPath, text: StoredText) -> bool:
    """Return whether the repository to which a key belongs has the URL of the named repository, and
    the same other settings that decide where data and secrets are sent."""
    url = url_beside(key, text)
    scheme = scheme_of(str(url))
    if scheme is None or not is_named(url, text):
        return is_named(url, text)
    return scheme.place(_section(key, scheme, text)) == scheme.place(text.access)


def _section(key: KeyPath, scheme: Scheme, text: StoredText) -> dict[Any, Any]:
    section = _repository(key, text).get(scheme.name)
    return section if isinstance(section, dict) else {}


def unsaid_places(text: StoredText) -> Iterator[tuple[KeyPath, Any]]:
    """Yield settings that a text leaves out, so that its repository may be another than the named
    one: for example a suffix, for which Azure then uses its default."""
    repositories = text.data.get("repositories")
    for name in repositories if isinstance(repositories, dict) else ():
        beside: KeyPath = ("repositories", str(name))
        url = url_beside(beside, text)
        scheme = scheme_of(str(url))
        if scheme is None or not is_named(url, text):
            continue
        given = _section(beside, scheme, text)
        here, typed = scheme.place(given), scheme.place(text.access)
        for setting in here:
            if not given.get(setting) and here[setting] != typed[setting]:
                yield (*beside, scheme.name, setting), None


def is_named(url: Any, text: StoredText) -> bool:
    """Return whether this is the repository that was named."""
    try:
        return normal_url(str(url)) == text.url
    except ValueError:
        return False


def is_here(url: Any) -> bool:
    """Return whether a repository is a directory of this host."""
    return isinstance(url, str) and url.startswith("/")
