"""Whether a recovery kit is ready for a plan: a pure function of the catalogue's records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from drd.model.finding import Finding, Severity
from drd.model.units import format_time

EXPORT, VERIFY = "export", "verify"
"""The subjects of runs of the kind `kit`: what they do."""

PASSPHRASE, IDENTITY, SHARES = "--passphrase-file F", "--identity F", "--share F --share F"
"""What opens a kit, for the options of `drd kit verify`."""


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
    its content. `sha256` is the file's. `verified_at` is None if it was never opened. `problem` is
    why the test failed, None if every repository opened; `away` says that the host could not open
    them either. `tried` is the copy that drd tests by itself, which may be another kit.
    """

    made_at: datetime
    plan_digest: str
    sha256: str
    verified_at: datetime | None = None
    problem: str | None = None
    tried: KitTry | None = None
    away: bool = False


KIT_IN_ORDER = Finding("recovery-kit", "ok", "", "the kit is current and opened every repository")


def kit_findings(
    plan: str,
    digest: str,
    record: KitRecord | None,
    *,
    required: bool,
    file: str | None = None,
    opener: str = PASSPHRASE,
    gone: bool = False,
) -> tuple[Finding, ...]:
    """Return the problems of the kit of a plan with the hash `digest`; none if a kit was made of
    this very plan and opened every repository alone.

    `file` is the copy that drd tests by itself, `gone`: it does not exist now. `opener` is the
    option for `drd kit verify`, and for a passphrase also for `drd kit export`. A missing kit is a
    warning; a `required` one that is not in order is an error.
    """
    severity: Severity = "error" if required else "warning"
    where = file or "FILE"
    export = f"drd kit export {plan} --to {where}"
    if opener == PASSPHRASE:
        export += f" {PASSPHRASE}"
    verify = f"drd kit verify {where} {opener}"
    if record is None:
        missing = (
            "nobody has exported a recovery kit: if this host is lost, the repository's password "
            "is lost, too"
        )
        return (Finding("kit-missing", severity, "", missing, export),)
    findings = []
    made = f"the kit of {format_time(record.made_at)}"
    if record.plan_digest != digest:
        text = f"{made} is older than the plan, which changed afterwards"
        findings.append(Finding("kit-outdated", severity, "", text, export))
    if record.verified_at is None:
        text = f"{made} was never tried: it is unknown whether the kit works"
        findings.append(Finding("kit-not-verified", severity, "", text, verify))
    elif record.problem is not None:
        text = (
            f"{made} did not open every repository when it was tried last, "
            f"{format_time(record.verified_at)}: {record.problem}"
        )
        remedy = verify if record.away else export
        findings.append(Finding("kit-does-not-open", severity, "", text, remedy))
    tried = record.tried
    if file is not None and gone and (tried is None or tried.file != file or tried.there):
        tried = KitTry(file, record.made_at, f"{file} does not exist", there=False)
    if tried is not None and tried.file == file and tried.problem is not None:
        again = f"{export}, then {verify}"
        if not tried.there:
            text = f"drd cannot read the copy of the kit that it tests: {tried.problem}"
            findings.append(Finding("kit-missing", severity, "", text, again))
        elif tried.sha256 != record.sha256:
            when = format_time(tried.at)
            text = f"the kit {file} did not work when it was tried last, {when}: {tried.problem}"
            remedy = verify if tried.away else again
            findings.append(Finding("kit-does-not-open", severity, "", text, remedy))
    return tuple(findings)
