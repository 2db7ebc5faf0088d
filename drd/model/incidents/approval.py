"""Who may approve a message to people outside. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from drd.errors import UsageError
from drd.model.actor import Actor, Sameness, compare
from drd.model.person_names import is_same
from drd.model.text import either, escaped


@dataclass(frozen=True, slots=True)
class ApprovalRule:
    """Who approves messages: people with one of these roles; without roles, everybody who may act
    in the incident. `two_person`: never the person who drafted the message."""

    roles: tuple[str, ...] = ()
    two_person: bool = False

    def require(
        self,
        name: str,
        people: Mapping[str, Sequence[str]],
        *,
        approver: Actor | None,
        drafter: Actor | None,
    ) -> None:
        """Raise UsageError if the person may not approve. `people` are the people of drd.yaml with
        their roles, `approver` and `drafter` what the kernel reported."""
        self._require_role(name, people)
        if self.two_person:
            _require_other(approver, drafter)

    def lacks(
        self,
        name: str,
        people: Mapping[str, Sequence[str]],
        *,
        approver: Actor | None,
        drafter: Actor | None,
    ) -> UsageError | None:
        """Return what an earlier approval lacks by this rule; None if it lacks nothing."""
        try:
            self.require(name, people, approver=approver, drafter=drafter)
        except UsageError as error:
            return error
        return None

    def _require_role(self, name: str, people: Mapping[str, Sequence[str]]) -> None:
        held = next((r for n, r in people.items() if is_same(n, name)), None)
        if not self.roles or (held is not None and set(held) & set(self.roles)):
            return
        holders = [n for n, roles in people.items() if set(roles) & set(self.roles)]
        raise UsageError(
            f"{escaped(name)} may not approve messages: drd.yaml asks for the role "
            f"{escaped(either(self.roles))} (`incident: approval: roles`)",
            hint=f"ask somebody who has this role: {escaped(either(holders))}."
            if holders
            else "nobody has this role: give it to a person under `people` in drd.yaml.",
        )


def _require_other(approver: Actor | None, drafter: Actor | None) -> None:
    """Raise UsageError unless the kernel proves that these are two persons."""
    own = compare(drafter, approver)
    if own is Sameness.OTHER:
        return
    who = drafter.short() if drafter is not None else "somebody unknown"
    hint = (
        "let another person approve the message, as a user of their own and not as root or "
        "drd's own user, or by sudo after a login as themselves (docs/messages.md)."
    )
    if own is Sameness.SAME:
        raise UsageError(
            f"{who} drafted this message, so another person has to approve it", hint=hint
        )
    me = approver.short() if approver is not None else "somebody unknown"
    raise UsageError(
        f"this message needs a second person, and drd cannot prove that {me} is another person "
        f"than {who}, who drafted it",
        hint=f"{hint} If root or drd's own user drafted the message without a login, draft "
        "the message again as yourself.",
    )
