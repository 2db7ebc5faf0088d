"""Indicators: signs that a system was compromised, such as an address or the digest of a file.

The types of values, how a value is recognised, and its pattern in STIX 2.1. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address, ip_network

LONGEST_VALUE = 2000

_LABEL = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+[A-Za-z][A-Za-z0-9-]{{1,62}}")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
_EMAIL = re.compile(r"[^@\s]+@(?:[^@\s]+)")


class IndicatorType(StrEnum):
    """What the value of an indicator is."""

    IP = "ip"
    NETWORK = "network"
    DOMAIN = "domain"
    URL = "url"
    EMAIL = "email"
    SHA256 = "sha256"
    SHA1 = "sha1"
    MD5 = "md5"
    FILE = "file"
    ACCOUNT = "account"
    USER_AGENT = "user-agent"
    PROCESS = "process"
    CERTIFICATE = "certificate"
    OTHER = "other"


class NotOfType(ValueError):
    """A value that is not of its type; the text says what would be."""


def _digest(length: int) -> Callable[[str], str]:
    def read(value: str) -> str:
        if re.fullmatch(rf"[0-9A-Fa-f]{{{length}}}", value) is None:
            raise NotOfType(f"{length} hexadecimal digits")
        return value.lower()

    return read


def _ip(value: str) -> str:
    try:
        return str(ip_address(value))
    except ValueError:
        raise NotOfType("an address such as 203.0.113.7 or 2001:db8::7") from None


def _network(value: str) -> str:
    try:
        if "/" not in value:
            raise ValueError(value)
        return str(ip_network(value, strict=False))
    except ValueError:
        raise NotOfType("a network such as 203.0.113.0/24") from None


def _domain(value: str) -> str:
    if _DOMAIN.fullmatch(value.rstrip(".")) is None:
        raise NotOfType("a name such as evil.example")
    return value.rstrip(".").lower()


def _url(value: str) -> str:
    if _URL.fullmatch(value) is None:
        raise NotOfType("a URL such as https://evil.example/x")
    return value


def _email(value: str) -> str:
    if _EMAIL.fullmatch(value) is None or _DOMAIN.fullmatch(value.rpartition("@")[2]) is None:
        raise NotOfType("an address such as anna@evil.example")
    return value


def _any(value: str) -> str:
    return value


_READ: Mapping[IndicatorType, Callable[[str], str]] = {
    IndicatorType.IP: _ip,
    IndicatorType.NETWORK: _network,
    IndicatorType.SHA256: _digest(64),
    IndicatorType.SHA1: _digest(40),
    IndicatorType.MD5: _digest(32),
    IndicatorType.URL: _url,
    IndicatorType.EMAIL: _email,
    IndicatorType.DOMAIN: _domain,
    IndicatorType.CERTIFICATE: _digest(64),
    IndicatorType.FILE: _any,
    IndicatorType.ACCOUNT: _any,
    IndicatorType.USER_AGENT: _any,
    IndicatorType.PROCESS: _any,
    IndicatorType.OTHER: _any,
}
_RECOGNISED = tuple(_READ)[:8]
"""The types whose values cannot be mistaken, the most special first."""


@dataclass(frozen=True, slots=True)
class Value:
    """The value of an indicator, in its usual form, and its type."""

    type: IndicatorType
    text: str


def value_of(text: str, type_: IndicatorType | None = None) -> Value | None:
    """Return the value that a person typed; None if no type was given and none can be recognised.
    An address that was made harmless (`hxxps://evil[.]example`) is read as the real address. Raises
    NotOfType.
    """
    if type_ in (None, *_RECOGNISED):
        text = _armed(text)
    if type_ is not None:
        return Value(type_, _READ[type_](text))
    for each in _RECOGNISED:
        try:
            return Value(each, _READ[each](text))
        except NotOfType:
            continue
    return None


def _armed(text: str) -> str:
    text = re.sub(r"\[(\.|:|@|://)\]", r"\1", text)
    return re.sub(r"^hxxp", "http", text, flags=re.IGNORECASE)


def pattern(value: Value) -> str | None:
    """Return the STIX 2.1 pattern for the value; None if STIX has no pattern for this type."""
    path = _PATHS.get(value.type)
    if path is None:
        if value.type not in (IndicatorType.IP, IndicatorType.NETWORK):
            return None
        path = "ipv6-addr:value" if ":" in value.text else "ipv4-addr:value"
    operator = "ISSUBSET" if value.type is IndicatorType.NETWORK else "="
    return f"[{path} {operator} '{_quoted(value.text)}']"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


_PATHS: Mapping[IndicatorType, str] = {
    IndicatorType.DOMAIN: "domain-name:value",
    IndicatorType.URL: "url:value",
    IndicatorType.EMAIL: "email-addr:value",
    IndicatorType.SHA256: "file:hashes.'SHA-256'",
    IndicatorType.SHA1: "file:hashes.'SHA-1'",
    IndicatorType.MD5: "file:hashes.MD5",
    IndicatorType.FILE: "file:name",
    IndicatorType.ACCOUNT: "user-account:account_login",
    IndicatorType.USER_AGENT: "network-traffic:extensions.'http-request-ext'"
    ".request_header.'User-Agent'",
    IndicatorType.PROCESS: "process:command_line",
    IndicatorType.CERTIFICATE: "x509-certificate:hashes.'SHA-256'",
}
