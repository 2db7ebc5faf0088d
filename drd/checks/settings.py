"""What a plan says about checks."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from drd.fields import Duration, Settings


class SqlCheck(Settings):
    """One value of a query against an expectation."""

    kind: Literal["sql"]
    name: str = Field(min_length=1, max_length=80, description="How people call this check.")
    component: str = Field(description="The component to ask.")
    query: str = Field(
        min_length=1,
        description="One query that gives a single value and changes nothing: SELECT, VALUES or "
        "TABLE; in PostgreSQL also SHOW with a setting, in SQLite also a PRAGMA that only reports "
        "something.",
    )
    expect: bool | str | int | float = Field(
        description="`> 0`, `>= 1`, `== 42`, `!= 0`, `< 10` (a bare value means ==); `within rpo` "
        "or `within 2h` for a time, measured back from the point's data time; `within 10%` of what "
        "the source answered at backup, or `within 10% of 5000`."
    )
    timeout: Duration = Field(60.0, description="Time for the query.")


class RowsCheck(Settings):
    """Row counts of every table against the fingerprint taken at backup."""

    kind: Literal["rows"]
    name: str = Field(min_length=1, max_length=80, description="How people call this check.")
    component: str = Field(description="The database to count.")
    tolerance: int | str = Field(
        0, description="Allowed difference per table: a number of rows, or a share like `1%`."
    )
    budget: Duration = Field(300.0, description="Time for counting in the restored database.")


class FilesCheck(Settings):
    """The restored tree against the fingerprint taken at backup."""

    kind: Literal["files"]
    name: str = Field(min_length=1, max_length=80, description="How people call this check.")
    component: str = Field(description="The files component to compare.")


class CommandCheck(Settings):
    """A command of your own; exit 0 is passed. It runs as the user that drd runs as."""

    kind: Literal["command"]
    name: str = Field(min_length=1, max_length=80, description="How people call this check.")
    component: str | None = Field(
        None,
        description="The component that it looks at: it gets that one's address in its "
        "environment. Without one, the check does not count as having looked at data.",
    )
    run: list[str] = Field(min_length=1, description="The command's words; no shell.")
    timeout: Duration = Field(60.0, description="After this it has failed.")
