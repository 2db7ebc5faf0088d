"""Known secrets, and text for people in which they are replaced.

What drd works with is never masked: the output of a child, a secret, an id. Text is masked where
it goes to people: errors mask themselves when they are made, and logs, findings, evidence and
whatever else keeps words of a child call `masked()`.
"""

from __future__ import annotations

MASK = "***"
"""What stands for a secret. A secret that reads like this is refused: it was masked by mistake."""

_SHORTEST = 4
_SHORTEST_LINE = 8

_secrets: set[str] = set()


def mask(secret: str) -> None:
    """From now on `masked()` replaces `secret`, each of its lines, and what JSON makes of these; too
    short ones would mask common words."""
    if len(secret) >= _SHORTEST:
        _secrets.update((secret, *_as_json(secret)))
    for line in secret.splitlines():
        if _SHORTEST_LINE <= len(line) < len(secret):
            _secrets.update((line, *_as_json(line)))


def _as_json(text: str) -> tuple[str, ...]:
    """The forms that the text has inside a JSON string, where they differ from the text itself."""
    if text.isascii() and text.isprintable() and not {'"', "\\"} & set(text):
        return ()
    from json import dumps

    return dumps(text)[1:-1], dumps(text, ensure_ascii=False)[1:-1]


def masked(text: str) -> str:
    """`text` with every known secret replaced; of two that overlap nothing is left of either.

    For people only: a text that drd is going to use must not come through here.
    """
    hidden = sorted(span for secret in tuple(_secrets) for span in _places(secret, text))
    if not hidden:
        return text
    shown: list[str] = []
    end = 0
    for begin, until in hidden:
        if begin > end or not shown:
            shown += [text[end:begin], MASK]
        end = max(end, until)
    return "".join([*shown, text[end:]])


def beginning(text: str, most: int) -> str:
    """How a text begins, for people: masked before it is cut, since a part of a secret is not known as
    one any more."""
    return masked(text)[:most]


def _places(secret: str, text: str) -> list[tuple[int, int]]:
    found, at = [], text.find(secret)
    while at >= 0:
        found.append((at, at + len(secret)))
        at = text.find(secret, at + 1)
    return found
