"""The control `tls`: version and certificate of a server."""

from __future__ import annotations

import socket
import ssl
import warnings
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from drd import http
from drd.controls.settings import ControlSettings
from drd.fields import AbsolutePath, Duration, host_and_port
from drd.model.controls import ControlResult, ControlSpec, ControlUnknown
from drd.model.units import format_duration, format_time
from drd.ports.control import ControlContext, ControlKind

_OLDER = {
    "1.2": (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1),
    "1.3": (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_2),
}


class TlsControl(ControlSettings):
    """A server whose certificate must be trusted and valid for some time, and that must refuse old
    versions of TLS."""

    kind: Literal["tls"]
    address: Annotated[str, AfterValidator(host_and_port)] = Field(
        description="The server, as HOST:PORT."
    )
    min_version: Literal["1.2", "1.3"] = Field(
        "1.2", description="The oldest version of TLS that the server may accept."
    )
    valid_for: Duration = Field(
        14 * 86400.0, description="How long the certificate must still be valid."
    )
    ca_cert: AbsolutePath | None = Field(
        None, description="PEM file of your own certificate authority."
    )


class Tls:
    """Holds if the certificate is trusted and valid long enough, and no older version is
    accepted."""

    def run(self, spec: ControlSpec, _context: ControlContext) -> ControlResult:
        settings = spec.settings
        assert isinstance(settings, TlsControl)
        valid_s = format_duration(settings.valid_for)
        expected = f"a trusted certificate, valid for {valid_s} or longer"
        try:
            version, ends = _certificate(settings, spec.timeout_s)
        except ssl.SSLCertVerificationError as error:
            remedy = f"renew or replace the certificate of {settings.address}"
            text = f"the certificate is not trusted: {error.verify_message}"
            return ControlResult(False, text, expected, remedy)
        left_s = (ends - datetime.now(UTC)).total_seconds()
        until = f"the certificate is valid until {format_time(ends)}"
        if left_s < settings.valid_for:
            remedy = f"renew the certificate of {settings.address}"
            return ControlResult(False, until, expected, remedy)
        if (accepted := _older(settings, spec.timeout_s)) is not None:
            remedy = f"switch off {accepted} in the settings of the server"
            wants = f"TLS {settings.min_version} or newer only"
            return ControlResult(False, f"the server accepts {accepted}", wants, remedy)
        expected += f", and TLS {settings.min_version} or newer only"
        return ControlResult(True, f"{version}, {until}", expected)


def _certificate(settings: TlsControl, timeout_s: float) -> tuple[str, datetime]:
    """Return the version that the server chooses, and the end of its certificate."""
    try:
        context = http.tls_context(settings.ca_cert, beside_system=True)
        with _connected(settings, context, timeout_s) as connection:
            ends = ssl.cert_time_to_seconds(str((connection.getpeercert() or {})["notAfter"]))
            return connection.version() or "", datetime.fromtimestamp(ends, UTC)
    except ssl.SSLCertVerificationError:
        raise
    except http.NoAnswer as error:
        raise ControlUnknown(error.message, hint=error.hint) from None
    except (OSError, KeyError) as error:
        words = error.reason if isinstance(error, ssl.SSLError) else getattr(error, "strerror", "")
        why = str(words or error).lower().replace("_", " ")
        raise ControlUnknown(
            f"cannot establish TLS with {settings.address}: {why}",
            hint=f"check that a server with TLS runs at {settings.address}",
        ) from None


def _older(settings: TlsControl, timeout_s: float) -> str | None:
    """Return an older version of TLS that the server accepts; None if it refuses all of them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():  # of Python, that these versions are old
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = _OLDER[settings.min_version]
    try:
        with _connected(settings, context, timeout_s) as connection:
            return connection.version()
    except TimeoutError:
        raise ControlUnknown(
            f"{settings.address} neither accepted nor refused an old version of TLS within "
            f"{format_duration(timeout_s)}",
            hint=f"if the server is only slow, raise `timeout` of control {settings.name}",
        ) from None
    except (ssl.SSLError, ConnectionError):
        return None
    except OSError as error:
        raise ControlUnknown(
            f"cannot ask {settings.address} for an old version of TLS: {error.strerror or error}",
            hint=f"check the network and the firewall on the way to {settings.address}",
        ) from None


def _connected(settings: TlsControl, context: ssl.SSLContext, timeout_s: float) -> ssl.SSLSocket:
    host, _, port = settings.address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    plain = socket.create_connection((host, int(port)), timeout_s)
    try:
        return context.wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise


SPEC = ControlKind("tls", TlsControl, Tls())
