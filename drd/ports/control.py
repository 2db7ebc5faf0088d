"""Controls: read-only checks of the live service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from drd.model.controls import (
    BucketEncryption,
    Changes,
    ControlResult,
    ControlSpec,
    ControlUnknown,
)
from drd.model.plan import S3Access, SecretRef

if TYPE_CHECKING:
    # `drd status` imports the ports, and pydantic would take longer than all that it does.
    from drd.fields import Settings


def _asks_no_bucket(_repository: str, url: str, _access: S3Access) -> BucketEncryption:
    raise ControlUnknown(f"this command cannot query the bucket {url}")


@dataclass(frozen=True, slots=True)
class ControlContext:
    """What controls may know: the name of the plan; `resolve` gives the value of a secret;
    `changes` compares the present state of a component with the restore point of the last check
    that held, at first with the newest point; `encryption` finds out how the bucket of a repository
    of the plan, or the bucket at a URL, encrypts.
    """

    plan: str
    resolve: Callable[[SecretRef], str]
    changes: Callable[[str], Changes]
    encryption: Callable[[str, str, S3Access], BucketEncryption] = _asks_no_bucket


class Control(Protocol):
    """Carries out one kind of control. It changes nothing. Stateless."""

    def run(self, spec: ControlSpec, context: ControlContext) -> ControlResult:
        """Return the result. Raises ControlUnknown if it cannot find out whether the control holds,
        and the errors that `context` raises.
        """


@dataclass(frozen=True, eq=False, slots=True)
class ControlKind:
    """One kind of control. `settings` is its model in a plan, derived from
    `drd.controls.settings.ControlSettings`.
    """

    name: str
    settings: type[Settings]
    control: Control
