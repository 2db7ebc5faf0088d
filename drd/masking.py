"""Known secrets, and their replacement in text for people.

Data that drd works with is never masked: the output of a child, a secret, an id. Text is masked on
its way to people: errors mask themselves when they are made, and logs, findings, evidence and
everything else that keeps a child's output call `masked()`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

MASK = "***"
"""The text instead of a secret. A secret with this value is refused, because it was masked by
mistake."""

_SHORTEST = 4
_SHORTEST_LINE = 8

_SHORTEST_CODE = 8
"""The minimum length of a part of base64: shorter parts also appear in unrelated text."""
_HEAD = _SHORTEST
"""The number of first characters by which a form is found among many."""
_CODE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_\\")
"""The characters of base64, also in the form for URLs, and in JSON, where a slash may be
escaped."""
_ENTITIES = (
    {38: "&amp;", 60: "&lt;", 62: "&gt;", 34: "&quot;", 39: "&#x27;"},
    {38: "&amp;", 60: "&lt;", 62: "&gt;", 34: "&#34;", 39: "&#39;"},
)


class Secrets:
    """The texts to hide: all forms of each secret. Some of them are parts of a longer code."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._codes: set[str] = set()
        self._forms: dict[str, tuple[str, ...]] = {}
        self._count = 0

    def add(self, secret: str) -> None:
        if secret in self._known:
            return
        codes = _codes(secret)
        self._codes |= codes
        for form in _forms(secret) | codes:
            alike = self._forms.get(form[:_HEAD], ())
            if form not in alike:
                self._forms[form[:_HEAD]] = (*alike, form)
                self._count += 1
        self._known.add(secret)

    def places(self, text: str) -> list[tuple[int, int, bool]]:
        """Return the places to hide in a text: where each begins and ends, and whether it is a part
        of a code."""
        # A daemon knows the secrets of thousands of plans. Searching each would then take longer
        # than checking each character, although that is a thousand times slower for one.
        each = self._count * (2000 + len(text)) < 1500 * len(text)
        places = self._each(text) if each else self._by_heads(text)
        return [(at, at + len(form), form in self._codes) for at, form in places]

    def _each(self, text: str) -> list[tuple[int, str]]:
        places = []
        for form in (form for alike in tuple(self._forms.values()) for form in alike):
            at = text.find(form)
            while at >= 0:
                places.append((at, form))
                at = text.find(form, at + 1)
        return places

    def _by_heads(self, text: str) -> list[tuple[int, str]]:
        known = self._forms
        return [
            (at, form)
            for at in range(len(text) - _HEAD + 1)
            for form in known.get(text[at : at + _HEAD], ())
            if text.startswith(form, at)
        ]


_secrets = Secrets()


def mask(secret: str) -> None:
    """From now on `masked()` replaces `secret`, each of its lines, and the forms in which a server
    may repeat it: JSON, HTML, URL codes and base64, also within longer base64. Very short secrets
    would mask common words.
    """
    _secrets.add(secret)


def mask_login(login: str, password: str) -> str:
    """Return the base64 of a login as a protocol needs it; from now on it and the password are
    masked."""
    code = _base64(login)
    mask(password)
    mask(code)
    return code


def _forms(secret: str) -> set[str]:
    """Return the readable texts that contain the secret, or one of its lines."""
    forms: set[str] = set()
    if len(secret) >= _SHORTEST:
        for text in (secret, *_decoded(secret)):
            forms |= {text, *_in_documents(text), *_in_urls(text)}
    for line in secret.splitlines():
        if _SHORTEST_LINE <= len(line) < len(secret):
            forms |= {line, *_in_documents(line)}
    return forms


def _codes(secret: str) -> set[str]:
    """For each base64 code of the secret, its longest part that is the same in all base64
    alphabets.
    """
    if len(secret) < _SHORTEST:
        return set()
    return {part for text in (secret, *_decoded(secret)) for part in _in_base64(text)}


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isalnum()


def _in_documents(text: str) -> set[str]:
    """Return the text as JSON strings and HTML write it."""
    if _is_plain(text):
        return set()
    from json import dumps

    forms = {dumps(text)[1:-1], dumps(text, ensure_ascii=False)[1:-1]}
    forms |= {form.replace("/", "\\/") for form in forms}
    return forms | {text.translate(entities) for entities in _ENTITIES}


def _decoded(text: str) -> set[str]:
    """The decoded text, if the text is a part of a URL."""
    if "%" not in text and "+" not in text:
        return set()
    from urllib.parse import unquote, unquote_plus

    decoded = {unquote(text), unquote_plus(text)} - {text}
    return {t for t in decoded if len(t.strip()) >= _SHORTEST}


def _in_urls(text: str) -> set[str]:
    if _is_plain(text):
        return set()
    from urllib.parse import quote, quote_plus

    data = _bytes(text)
    forms = {quote(data, ""), quote(data, "/"), quote(data, "!'()*"), quote_plus(data)}
    return forms | {_lower(form) for form in forms}


def _lower(form: str) -> str:
    """Return the same form with its percent codes in small letters."""
    first, *others = form.split("%")
    return "%".join([first, *(o[:2].lower() + o[2:] for o in others)])


_OF_URLS = str.maketrans("+/", "-_")


def _in_base64(text: str) -> set[str]:
    """Return the base64 codes that contain the text. There are three, depending on what precedes
    the text. For a short text it is the whole code.
    """
    codes, length = set(), len(_bytes(text))
    for before in range(3):
        code = _base64("\0" * before + text)
        code = code[-(-8 * before // 6) : 8 * (before + length) // 6]
        part = max(code.replace("+", "/").split("/"), key=len)
        # What lies between the characters in which alphabets differ may be too short.
        is_enough = len(part) >= _SHORTEST_CODE
        codes |= {part} if is_enough else {code, code.translate(_OF_URLS)}
    return {part for part in codes if len(part) >= _SHORTEST_CODE} or {_base64(text)}


def _base64(text: str) -> str:
    from binascii import b2a_base64

    return b2a_base64(_bytes(text), newline=False).decode()


def _bytes(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def masked(text: str, also: Iterable[str] = ()) -> str:
    """Replace every known secret in a text, in all of its forms, and the secrets in `also`, which
    are secret only here. Two secrets that overlap are replaced completely.

    For people only: never use it on text that drd processes further.
    """
    hidden = _secrets.places(text)
    if also:
        here = Secrets()
        for secret in also:
            here.add(secret)
        hidden += here.places(text)
    if not hidden:
        return text
    shown: list[str] = []
    end = 0
    for at, until, is_code in sorted(hidden):
        grown = is_code and until > end
        begin, past = _whole_code(text, max(at, end), until, end) if grown else (at, until)
        if begin > end or not shown:
            shown += [text[end:begin], MASK]
        end = max(end, past)
    return "".join([*shown, text[end:]])


def beginning(text: str, most: int) -> str:
    """Return the beginning of a text, for people: masked before it is cut, because a part of a
    secret is not recognised any more.
    """
    return masked(text)[:most]


def _whole_code(text: str, begin: int, until: int, after: int) -> tuple[int, int]:
    """The begin and end of the whole code that contains a known part: its rest may contain the rest
    of the secret.
    """
    while begin > after and text[begin - 1] in _CODE:
        begin -= 1
    while until < len(text) and (text[until] in _CODE or text[until] == "="):
        until += 1
    return begin, until
