"""The findings about the protection of a bucket: its Object Lock, and its versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drd.model.finding import Finding
from drd.model.finding_codes import PROTECTION
from drd.model.text import counted
from drd.repositories import s3_errors as trouble


def finding_of_error(error: Exception, bucket: str) -> Finding:
    code = trouble.code_of(error)
    if code in ("ObjectLockConfigurationNotFoundError", "InvalidRequest"):
        return Finding(
            PROTECTION,
            "error",
            "",
            f"the plan has `protection: object-lock`, but bucket {bucket} has no Object Lock",
            "create a bucket with Object Lock and a default retention, and move the repository "
            "there.",
        )
    return Finding(
        PROTECTION,
        "warning",
        "",
        f"cannot find out whether bucket {bucket} has Object Lock: {code or error}",
        "allow s3:GetBucketObjectLockConfiguration for the access key, or use another key for "
        "this check.",
    )


def finding_of_lock(state: Mapping[str, Any], bucket: str) -> Finding:
    """Judge the body of the answer: some servers answer 200 with an empty one."""
    if not state.get("ObjectLockEnabled"):
        detail = f"cannot find out whether bucket {bucket} has Object Lock: the answer is empty"
        return Finding(PROTECTION, "warning", "", detail)
    retention = state.get("Rule", {}).get("DefaultRetention", {})
    units = [(retention.get(f"{unit.capitalize()}s"), unit) for unit in ("day", "year")]
    length = next((counted(n, unit) for n, unit in units if n), "")
    if state["ObjectLockEnabled"] != "Enabled" or not retention.get("Mode") or not length:
        return Finding(
            PROTECTION,
            "error",
            "",
            f"bucket {bucket} has Object Lock but no default retention, so nothing is protected",
            "set a default retention: restic does not set a retention on its objects.",
        )
    mode = str(retention["Mode"])
    return Finding(
        PROTECTION, "ok", "", f"Object Lock is on: new objects are locked for {length} ({mode})"
    )


def finding_of_versioning(state: str | None, bucket: str) -> Finding:
    """Judge the status in the answer; a bucket that never had versions answers without it."""
    if state == "Enabled":
        return Finding(PROTECTION, "ok", "", f"bucket {bucket} keeps versions")
    return Finding(
        PROTECTION,
        "warning" if state is None else "error",
        "",
        f"the plan has `protection: versioning`, but bucket {bucket} reports that versioning is "
        "not enabled",
        "enable versioning, and deny s3:PutBucketVersioning to the access key of drd.",
    )
