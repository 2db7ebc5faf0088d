"""Name users and groups of restored data that this host lacks, and the commands that make them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from drd.kinds.file_system import is_root
from drd.model.finding import Finding
from drd.model.restored import ACCOUNTS, Task
from drd.model.snapshot import ComponentSnapshot
from drd.model.text import some
from drd.process.accounts import Account, accounts_of


def account_findings(snapshot: ComponentSnapshot, *, no_owner: bool) -> list[Finding]:
    """Return a warning about owners that this host lacks, where root restores owners."""
    absent = _absent(snapshot, no_owner=no_owner)
    if not absent:
        return []
    text = (
        f"this host lacks {_named(absent)}: the restored data will belong to a number "
        "without an account"
    )
    if taken := [a for a in absent if a.taken_by]:
        others = some([f"{a.number} is {a.sort} {a.taken_by}" for a in taken])
        text = (
            f"this host lacks {_named(absent)}. On this host, {others}: the restored data will "
            "belong to these other accounts"
        )
    return [Finding("accounts", "warning", "", text, " && ".join(_commands(absent)))]


def account_tasks(snapshot: ComponentSnapshot, *, no_owner: bool) -> tuple[Task, ...]:
    """Return the tasks about owners that this host still lacks."""
    absent = _absent(snapshot, no_owner=no_owner)
    if not absent:
        return ()
    text = (
        f"create {_named(absent)} before you start the programs of the restored data: this "
        "data belongs to these accounts"
    )
    if any(a.taken_by for a in absent):
        text += (
            "; then give these accounts the restored files with chown, because on this host "
            "other accounts have their numbers"
        )
    return (Task(code=ACCOUNTS, text=text, command=" && ".join(_commands(absent))),)


def _absent(snapshot: ComponentSnapshot, *, no_owner: bool) -> Sequence[Account]:
    return accounts_of(snapshot).absent if is_root() and not no_owner else ()


def _named(absent: Sequence[Account]) -> str:
    return some([f"{a.sort} {a.name or 'with the number'} {_number(a)}" for a in absent])


def _number(account: Account) -> str:
    return f"({account.number})" if account.name else str(account.number)


def _commands(absent: Sequence[Account]) -> Iterator[str]:
    groups = [a for a in absent if a.sort == "group"]
    for group in groups:
        yield f"groupadd --system{_same('gid', group)} {group.name or 'NAME'}"
    made = {g.name for g in groups}
    for user in absent:
        if user.sort == "user":
            own = f" --gid {user.name}" if user.name in made and user.name else ""
            yield f"useradd --system{_same('uid', user)}{own} {user.name or 'NAME'}"


def _same(what: str, account: Account) -> str:
    return "" if account.taken_by else f" --{what} {account.number}"
