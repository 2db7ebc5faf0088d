"""Whether a recovery kit is ready for a plan: a pure function of the catalogue's records."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from drd.model.finding import Finding, Severity
from drd.model.units import format_time

EXPORT, VERIFY = "export", "verify"
"""The subjects of runs of the kind `kit`, which say what the runs do."""

PASSPHRASE, IDENTITY, SHARES = "--passphrase-file F", "--identity F", "--share F --share F"
"""The options of `drd kit verify` by which a kit is opened."""


@dataclass(frozen=True, slots=True)
class KitTry:
    """The result of the last automatic test of the copy in `file`. `problem` is why it was of no
    use, None if it was usable. `there` says whether it could be read, `sha256` which kit it was,
    `away` that the host could not open the repositories either.
    """

    file: str
    at: datetime
    problem: str | None = None
    there: bool = True
    sha256: str = ""
    away: bool = False


@dataclass(frozen=True, slots=True)
class KitRecord:
    """The last kit of a plan, by the hash of the plan in it, and the result of its last test; never
    its content. `proof` is the hash of that part of the plan which a drill proves; None for a kit
    of an older drd. `sha256` is the file's. `verified_at` is None if it was never opened. `problem`
    is why the test failed, None if every repository opened; `away` says that the host itself could
    not open the repositories either. `tried` is the copy that drd tests by itself; it may be
    another kit.
    """

    made_at: datetime
    plan_digest: str
    sha256: str
    verified_at: datetime | None = None
    problem: str | None = None
    tried: KitTry | None = None
    away: bool = False
    proof: str | None = None


KIT_IN_ORDER = Finding("recovery-kit", "ok", "", "the kit is current and opened every repository")


def kit_findings(
    plan: str,
    digest: str,
    record: KitRecord | None,
    *,
    required: bool,
    proofs: Collection[str] = (),
    file: str | None = None,
    opener: str = PASSPHRASE,
    gone: bool = False,
    key_replaced: datetime | None = None,
) -> tuple[Finding, ...]:
    """Return the problems of the kit of a plan with the hash `digest`; empty if a kit was made of
    exactly this plan and opened every repository alone.

    `proofs` are further hashes: a kit with one of them recovers the present plan, and differs only
    in the schedule and other keys that no drill proves. `file` is the copy that drd tests by
    itself, `gone`: it does not exist now. `opener` is the option for `drd kit verify`, and for a
    passphrase also for `drd kit export`. `key_replaced` is when the key that signs restore points
    last replaced another one. A missing kit is a warning; if a kit is `required`, a problem is an
    error.
    """
    severity: Severity = "error" if required else "warning"
    where = file or "FILE"
    export = f"drd kit export {plan} --to {where}"
    if opener == PASSPHRASE:
        export += f" {PASSPHRASE}"
    values = [] if file else ["FILE: where to write the kit; keep it away from this host"]
    if opener == PASSPHRASE:
        values.append("F: a file with the kit's passphrase")
    explained = f"{export} ({'; '.join(values)})" if values else export
    verify = f"drd kit verify {where} {opener}"
    if record is None:
        missing = (
            "nobody has exported a recovery kit: if this host is lost, the secrets that open the "
            "repository are lost, too"
        )
        return (Finding("kit-missing", severity, "", missing, explained),)
    findings: list[Finding] = []
    made = f"the kit of {format_time(record.made_at)}"
    findings += _older(record, made, digest, proofs, severity=severity, remedy=explained)
    findings += _of_former_key(record, made, key_replaced, severity=severity, remedy=explained)
    if record.verified_at is None:
        text = f"nobody has tested {made}, so drd does not know whether the kit works"
        findings.append(Finding("kit-not-verified", severity, "", text, verify))
    elif record.problem is not None:
        text = (
            f"{made} did not open every repository at the last test "
            f"({format_time(record.verified_at)}): {record.problem}"
        )
        remedy = verify if record.away else explained
        findings.append(Finding("kit-does-not-open", severity, "", text, remedy))
    if file is not None:
        remedies = (f"{export}, then {verify}", verify)
        findings += _of_copy(record, file, gone=gone, severity=severity, remedies=remedies)
    return tuple(findings)


def _of_former_key(
    record: KitRecord, made: str, replaced: datetime | None, *, severity: Severity, remedy: str
) -> list[Finding]:
    """Return the finding that a host from the kit trusts a key that was replaced since."""
    if replaced is None or record.made_at >= replaced:
        return []
    text = (
        f"{made} is older than the present key that signs restore points, which replaced "
        f"another key at {format_time(replaced)}: a host that is made from this kit accepts "
        "restore points that are signed with the former key, unless the repositories show "
        "that this key was replaced"
    )
    return [Finding("kit-outdated", severity, "", text, remedy)]


def _of_copy(
    record: KitRecord, file: str, *, gone: bool, severity: Severity, remedies: tuple[str, str]
) -> list[Finding]:
    """Return the problem of the copy `file` that drd tests by itself. The first of the remedies
    makes the kit again, the second tries it again."""
    tried = record.tried
    if gone and (tried is None or tried.file != file or tried.there):
        tried = KitTry(file, record.made_at, f"{file} does not exist", there=False)
    if tried is None or tried.file != file or tried.problem is None:
        return []
    again, verify = remedies
    if not tried.there:
        text = f"drd cannot read the copy of the kit that it tests: {tried.problem}"
        return [Finding("kit-missing", severity, "", text, again)]
    if tried.sha256 == record.sha256:
        return []
    when = format_time(tried.at)
    text = f"the kit {file} did not work at the last test ({when}): {tried.problem}"
    return [Finding("kit-does-not-open", severity, "", text, verify if tried.away else again)]


def _older(
    record: KitRecord,
    made: str,
    digest: str,
    proofs: Collection[str],
    *,
    severity: Severity,
    remedy: str,
) -> list[Finding]:
    """Return the finding that the kit is older than the plan: graver if the plan is recovered in
    another way now.
    """
    if record.plan_digest == digest:
        return []
    if (record.proof or record.plan_digest) not in proofs:
        text = f"{made} is outdated: the plan was changed afterwards"
        return [Finding("kit-outdated", severity, "", text, remedy)]
    text = (
        f"{made} recovers the plan as it is now, but contains an older text of the plan: a "
        "host that is made from this kit has the former schedule, retention, owner or "
        "objectives"
    )
    return [Finding("kit-outdated", "warning", "", text, remedy)]
