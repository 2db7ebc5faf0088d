"""The schema of what a plan says about times: when backups, prune and verification start."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from drd.fields import Duration, DurationOrAuto, DurationOrNever, DurationOrNone, Settings
from drd.model.cron import ALIASES, normalised
from drd.model.malformed import Malformed
from drd.model.windows import minutes_of

CRON = "Five fields in the format of Debian's cron, or a word like `@daily`."
ZONE = "Time zone of `cron` and `blackout`, like Europe/Berlin."
BLACKOUT = (
    "Times of day in which no run starts. A run that is due waits until the end; a run that "
    "has started continues."
)
TIMEOUT = "Time limit; drd ends a run that takes longer."
WEEKLY = "Time between two starts (default: 7d, if there is no `cron`). `never`: only by hand."

Cron = Annotated[
    str,
    BeforeValidator(normalised),
    WithJsonSchema({"type": "string", "examples": ["*/10 * * * *", *sorted(ALIASES)]}),
]


def _time_of_day(value: Any) -> str:
    if not isinstance(value, str):
        raise Malformed(
            f"{value} is not a time of day", 'write hours and minutes in quotes, like "22:00"'
        )
    minutes = minutes_of(value)
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


TimeOfDay = Annotated[
    str,
    BeforeValidator(_time_of_day),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^(([01]?[0-9]|2[0-3]):[0-5][0-9]|24:00)$",
            "examples": ["22:00"],
        }
    ),
]

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class BlackoutSettings(Settings):
    """A time of day in which no run starts, not even a backup that the RPO needs. If `to` is
    earlier than `from`, it is on the next day."""

    from_: TimeOfDay = Field(
        alias="from",
        description='The time of day at which the blackout begins, in quotes: `"22:00"`.',
    )
    to: TimeOfDay = Field(description='The end of the blackout; `"24:00"` is the end of the day.')
    days: list[Day] = Field(
        ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
        min_length=1,
        description="The days on which the blackout begins.",
    )


class Timed(Settings):
    """The times of a section of a plan. Each section says what applies if neither key is given."""

    every: float | Literal["auto", "never"] | None = None
    cron: Cron | None = Field(None, description=CRON)
    timezone: str = Field("UTC", description=ZONE)
    blackout: list[BlackoutSettings] = Field(default_factory=list, description=BLACKOUT)
    timeout: Duration = Field(3600.0, description=TIMEOUT)


class Backup(Timed):
    """When backups start. Without `every` and `cron`: by hand only."""

    unsaid: ClassVar = {"blackout": ([],), "retries": (5,), "jitter": (None,)}

    every: DurationOrAuto | None = Field(
        None,
        description="Time between two starts. `auto`: as rarely as the RPO allows. drd "
        "knows how long backups usually take, and starts the next backup so "
        "that a quarter of the RPO is left when this backup ends. If all components have a log "
        "(`wal`, `binlog`): "
        "once a day.",
    )
    retries: Annotated[int, Field(strict=True, ge=0, le=100)] = Field(
        5,
        description="How often drd tries a failed backup again before its next regular "
        "time, with growing pauses. After a failure that another try cannot "
        "correct, such as a wrong key, drd waits for the regular time.",
    )
    jitter: DurationOrNone | None = Field(
        None,
        description="The longest delay of a start, so that not all plans start at the same time. "
        "With `cron`, drd delays each start; with `every`, only the first one. The delay of a "
        "plan does not change from start to start. `none` means no delay. Default: `none` with "
        "`cron`, and at most 15s with `every`.",
    )


def _weekly(data: Any) -> Any:
    """Every 7 days, unless the plan says when."""
    if isinstance(data, dict) and not {"every", "cron"} & set(data):
        return {**data, "every": "7d"}
    return data


class Weekly(Timed):
    """What happens every 7 days unless the plan says when."""

    every: DurationOrNever | None = Field(
        None, description=WEEKLY, json_schema_extra={"default": "7d"}
    )

    _default = model_validator(mode="before")(_weekly)


class Copy(Timed):
    """When drd copies restore points to the repositories with `copy_of`. Without `every` and
    `cron`: after each backup. A copy run copies everything that is missing."""

    every: DurationOrNever | None = Field(
        None, description="Time between two starts. `never`: only by hand."
    )
    timeout: Duration = Field(12 * 3600.0, description=TIMEOUT)


class Prune(Weekly):
    """When drd removes data that no snapshot needs any more from the repositories. Meanwhile no
    other run can use the repository; prune waits while a backup is close to its RPO. Plans
    without retention need no prune."""

    timeout: Duration = Field(6 * 3600.0, description=TIMEOUT)


class Verification(Weekly):
    """When drd checks the repositories: that everything is there, and, one part at a time, that all
    data can be read as it was written. Backups continue meanwhile; a check does not begin
    while a backup is close to its RPO."""

    read_all_within: Duration = Field(
        90 * 86400.0,
        description="The time in which drd reads all data of the repository once. Each "
        "verification reads a part of this data. Some providers charge for the "
        "traffic.",
    )
    timeout: Duration = Field(12 * 3600.0, description=TIMEOUT)
