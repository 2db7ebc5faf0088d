"""What a kind of component says about itself: all that the rest of drd knows of a kind.

The package of a kind exports one `KindSpec` as `SPEC`. Importing it loads nothing heavy: the
adapter, and what else is rarely needed, is written as `module:name` and imported at its first use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, NamedTuple

from drd.errors import NotSupported
from drd.model.log import LogPolicy
from drd.model.plan import Component, SecretRef
from drd.model.single_item import Part
from drd.model.source_version import SourceVersion

if TYPE_CHECKING:
    # `drd status` imports the ports, and pydantic would take longer than all that it does.
    from drd.fields import Contradiction, Settings

Reveal = Callable[[SecretRef], str | None]
"""Returns the value of a reference; None when it cannot be resolved here."""


UNKNOWN_ROOM = 2.0
"""How many times the size of a component a sandbox needs if its kind does not say it: for the
fetched data, and for the restored component."""


class Holds(StrEnum):
    """What a component of this kind consists of, for a person who names parts of it."""

    TABLES = "tables"
    PATHS = "paths"
    OPAQUE = "opaque"


WHOLE = "recover the whole component: leave out --path and --table."
ONE_DATABASE = (
    "to restore one database under another name, add --database NAME; leave out --into to recover "
    "the whole server."
)
"""What to do instead, for a kind of servers that lacks `Ability.BESIDE`."""

_PARTS = {
    Holds.TABLES: "--table NAME --into NAME restores a table.",
    Holds.PATHS: "--path PATH --into DIRECTORY restores a file or directory.",
    Holds.OPAQUE: WHOLE,
}


class Ability(StrEnum):
    """An ability that not every kind has. The value completes the sentence `kind NAME cannot …`."""

    PARTS = "restore single parts"
    """`Kind.narrow`, and a target for a part of tables or paths. Together with `DATABASES` also for
    a part that is one database, with its own name or another."""
    BESIDE = "be restored under another name"
    """A target for a part that is the whole: `--into`."""
    KEEP = "keep what a recovery replaces"
    """`Kind.kept`, and a target that keeps what it replaces: `drd undo`."""
    LIVE = "compare with live data"
    """`Kind.live`."""
    IN_PLACE = "be restored in place"
    """A target with the component's own settings: `--in-place`."""
    AS_OWNER = "be restored with its owner's rights"
    """A target that runs no code of the data with more rights than the owner has: `--as-owner`."""
    LIST = "list what a restore point contains"
    """`Kind.contents`."""
    COMPARE = "be compared with its source"
    """A fingerprint. Every kind with a `comparison` has it, unless settings take it away."""
    QUERY = "answer queries"
    """`Inspector.scalar` and `Capture.observe`."""
    SQL = "answer SQL"
    """The same, and `Inspector.execute`."""
    DATABASES = "answer queries of several databases"
    """`Inspector.database`: a component with more than one database."""
    LOG = "be recovered to a point in time"
    """`Kind.log` and the methods beside it, and destinations that replay a log (`ReplaysLog`)."""
    INSTANT = "be drilled without a whole restore"
    """`Kind.instant_sandbox`."""


class KeyUse(StrEnum):
    """What a value under a key of the settings can cause if somebody else has written it."""

    HARMLESS = "harmless"
    """The value only chooses how the kind works."""
    READS = "reads"
    """The value is a path whose contents are stored in the repository."""
    WRITES = "writes"
    """The value is a path to which a recovery writes."""
    RUNS = "runs"
    """The value decides which program runs, and how."""
    CONNECTS = "connects"
    """The value leads to a server; `connection_stays_here` says whether that is on this host."""


class Wish(NamedTuple):
    """A component for a new plan.

    `name` is the name of the component, `fallback` the name when nothing is left of that; with
    `names_plan` the plan may have the name, too. `keys` gives its keys and values from the files
    that must not be copied as files (`live` of the others) and the name of its credential; the key
    `#` is a comment. `secret` describes the credential, if the component needs one. `target` gives
    the keys of an example of a target, from the name of the component; without it, the starter
    makes one for a kind whose targets need only a `path`. `units` are the systemd units of programs
    that have the data open; `serves` says that these are the server of the data itself, which must
    not run while a recovery replaces it. `where` is the place of the data, as a person names it.
    `sockets` are those of the server whose database this is; for a whole server, its own.
    """

    name: str
    fallback: str
    keys: Callable[[Sequence[str], str], Iterable[tuple[str, Any]]]
    live: tuple[str, ...] = ()
    secret: str = ""
    names_plan: bool = True
    target: Callable[[str], Iterable[tuple[str, Any]]] | None = None
    units: tuple[str, ...] = ()
    serves: bool = False
    where: str = ""
    sockets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Starting:
    """How `drd plan new` begins with the kind. `read` (`module:name`) makes wishes from the values
    of the option that has the kind's name, `find` makes wishes from what it finds on this host,
    with notes about what it left out, and why. `otherwise` is used when there are no other wishes.
    `about` is the help of the option."""

    read: str
    find: str = ""
    otherwise: tuple[str, ...] = ()
    about: str = ""

    def wishes(self, given: Iterable[str]) -> list[Wish]:
        """Make wishes from the values of the kind's option. Raises UsageError."""
        return list(resolve_name(self.read)(list(given)))

    def found(self) -> tuple[list[Wish], list[str]]:
        return resolve_name(self.find)() if self.find else ([], [])


def _nothing(_: Any) -> tuple[str, ...]:
    return ()


def _on_this_host(_: Any, __: Reveal) -> str:
    return ""


def _elsewhere(_: Any, __: Any) -> bool:
    return False


def _unnamed(_: Any) -> str:
    return ""


def _asks_none(_: Any, __: Any) -> str:
    return ""


def _fits(_: Any, __: Any) -> Iterable[Contradiction]:
    return ()


def _nothing_against(_: Any) -> Iterable[Contradiction]:
    return ()


def _has_every_ability(_: Any) -> Mapping[Ability, str]:
    return {}


def _always(_: Any) -> bool:
    return True


def _never(_: Any) -> bool:
    return False


def no_bytes(_facts: Mapping[str, Any]) -> int:
    """The default of functions of facts: nothing that the size does not say."""
    return 0


def _no_log(_: Any) -> LogPolicy | None:
    return None


def _no_version(_: Mapping[str, Any]) -> SourceVersion:
    return SourceVersion()


@dataclass(frozen=True, slots=True)
class Compared:
    """What a comparison of fingerprints covers, in words: `things`, and `left_out` for what a
    fingerprint does not contain. `by_hand` says how a person compares the left out things, with
    `{plan}`, `{component}` and `{point}`. With `counts_only`, a fingerprint never has digests of
    contents.
    """

    things: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    by_hand: str = ""
    counts_only: bool = False


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class KindSpec:
    """One kind. `settings` is the model of a component in a plan, including its `kind`; `target` is
    the model of what a target says about such a component; `adapter` is the class that implements
    `Kind`.

    `can` has what the kind can do beyond backups, drills and recoveries of the whole; what it lacks
    is refused by name. `without` gives, from the settings alone, the abilities that a component of
    the kind does not have, each with the remedy; `of` notes these in `remedies`. `comparison` is
    the kind of check that compares a component with its fingerprint, None when no fingerprint is
    taken, and `compared` says for `drd diff` what a fingerprint has. `room` is how many times its
    size a sandbox needs. `values` has the names of `${COMPONENT.…}`, each with its variable in
    `Inspector.environment`. With `properties`, `Restored.differences` is reported after every
    restore. With `freezes`, all data of a capture is from the moment of its `data_time`, even
    if others write while drd stores it; without, data can be as new as the end of the backup.
    `dated_at_end` says, from the settings alone, whether `open` first copies all data, and the data
    time is that of the end of copying: in a group of `consistency`, the others begin then.
    `made` says in a few words how a snapshot was made, by its facts.
    With `needs_start`, a recovery writes the files of a server that does not run: commands can ask
    this server only after a step of the runbook has started it; a drill has a server of its own.
    With `recovers_in_server`, a recovery starts a server of its own on the restored files: it gets
    a fence, and a place that the user of that server can reach.

    `host` gives the server of a component, empty for this host: backups of one server take turns.
    `paths` are the files and directories of this host that settings (of a component or a target)
    name, `sockets` are directories of sockets, `families` the address families that a backup opens.
    `fingerprints` says, from the settings alone, whether a backup takes a fingerprint. `version`
    gives the version of the source, by the facts of a snapshot: after another series, the plan has
    to be drilled again. `brings_back` gives the paths that a restore brings back, by the facts of a
    snapshot, if these decide what it writes and `paths` of the component's settings are the same
    paths in the plan; None: the facts name no paths. `holes` gives how many bytes of the data are
    holes of files, which a restore makes again, by the facts of a snapshot. `needs` gives how many
    bytes a sandbox needs in any case, `size` how many bytes the data has, if a snapshot contains
    more than one state of it; both by the facts of a snapshot.

    `misfits` gives what makes a target useless for a component, from the settings of both.
    `is_source` says, from the settings alone, whether a target is where a component is backed up
    from. `server_user` is the system user under whom sandbox servers can run when drd is root and
    no user is configured. `data_owner` is the system user to whom the restored files of a whole
    server belong, if root restores them where none were.

    `asks_service` gives the key of a command that asks the running service of a component or a
    target, from the settings of both; empty if none does. drd starts that service only in a drill.

    `keys` and `target_keys` say what drd may believe of settings that came out of a repository: a
    person has to accept every key that is not named here. With `queries_only_read`, even hostile
    SQL can only read.

    `by_hand` is the function for a recovery without drd (`ByHandOf`). `programs` are the programs
    that such a recovery uses, by their Debian package; `programs_of_others` has, by program, that
    of another product that the kind is for, and the product. `grants` is the function that writes
    the rights that components need on their servers (`GrantsOf`). `adopts` is the function that
    describes a copy that another tool has made (`AdoptsOf`); without it, such copies are refused,
    for the reason `adopts_not`. `adopts_server` does the same for a copy of the whole server
    (`AdoptsServerOf`), and `served_as` gives the component's name on its server, empty if settings
    alone do not say it. With `plain_copies`, a plain copy of its `paths` is such a copy.
    `for_backups` are keys that a component needs unless another tool makes its copies. `recognises`
    is the function that recognises a dump of the kind by its content, for a new plan
    (`RecognisesOf`), and `first_checks` gives such a plan checks without a dump (`FirstChecksOf`).
    `begins` is what such a dump begins with, if it always does. `also_for` are other products that
    the kind is for, by the names that a person may write as a kind.
    `keeps` and `unpacks` are for dumps and archives in larger copies (`KeepsOf`, `UnpacksOf`).
    `log` says, from the settings alone, how the log of a component is kept (`Ability.LOG`); None:
    not at all. `log_key` is the key of the settings that says it. `against_instant` gives warnings
    for a plan with instant drills: what in the settings makes drills restore the component as a
    whole all the same.
    """

    name: str
    settings: type[Settings]
    target: type[Settings]
    adapter: str
    holds: Holds = Holds.OPAQUE
    can: frozenset[Ability] = frozenset()
    without: Callable[[Any], Mapping[Ability, str]] = _has_every_ability
    remedies: Mapping[Ability, str] = field(default_factory=dict)
    comparison: str | None = None
    compared: Compared = field(default_factory=Compared)
    room: float = UNKNOWN_ROOM
    values: Mapping[str, str] = field(default_factory=lambda: {"path": "DRD_PATH"})
    properties: bool = False
    freezes: bool = False
    dated_at_end: Callable[[Any], bool] = _never
    recovers_in_server: bool = False
    needs_start: bool = False
    made: Callable[[Mapping[str, Any]], str] = _unnamed
    host: Callable[[Any, Reveal], str] = _on_this_host
    paths: Callable[[Any], tuple[str, ...]] = _nothing
    sockets: Callable[[Any], tuple[str, ...]] = _nothing
    families: tuple[str, ...] = ()
    fingerprints: Callable[[Any], bool] = _always
    version: Callable[[Mapping[str, Any]], SourceVersion] = _no_version
    brings_back: Callable[[Mapping[str, Any]], tuple[str, ...]] | None = None
    is_source: Callable[[Any, Any], bool] = _elsewhere
    holes: Callable[[Mapping[str, Any]], int] = no_bytes
    needs: Callable[[Mapping[str, Any]], int] = no_bytes
    size: Callable[[Mapping[str, Any]], int] = no_bytes
    misfits: Callable[[Any, Any], Iterable[Contradiction]] = _fits
    asks_service: Callable[[Any, Any], str] = _asks_none
    server_user: str = ""
    data_owner: str = ""
    keys: Mapping[str, KeyUse] = field(default_factory=dict)
    target_keys: Mapping[str, KeyUse] = field(default_factory=dict)
    connection_stays_here: str = ""
    queries_only_read: bool = False
    by_hand: str = ""
    grants: str = ""
    programs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    programs_of_others: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    starting: Starting | None = None
    adopts: str = ""
    adopts_server: str = ""
    served_as: Callable[[Any], str] = _unnamed
    adopts_not: str = ""
    plain_copies: bool = True
    for_backups: tuple[str, ...] = ()
    recognises: str = ""
    begins: bytes = b""
    also_for: tuple[str, ...] = ()
    first_checks: str = ""
    keeps: str = ""
    unpacks: str = ""
    log: Callable[[Any], LogPolicy | None] = _no_log
    log_key: str = ""
    against_instant: Callable[[Any], Iterable[Contradiction]] = _nothing_against

    def open(self) -> Any:
        """Import the adapter, and return an instance."""
        return resolve_name(self.adapter)()

    def of(self, settings: object) -> KindSpec:
        """Return the specification of a component with these settings, which can do no more than
        the component can."""
        return self.without_abilities(self.without(settings))

    def without_abilities(self, lacking: Mapping[Ability, str]) -> KindSpec:
        """Return the specification of a kind without these abilities, each with its remedy."""
        if not lacking:
            return self
        comparison = None if Ability.COMPARE in lacking else self.comparison
        can = self.can - set(lacking)
        remedies = {**self.remedies, **lacking}
        return replace(self, can=can, comparison=comparison, remedies=remedies)

    def in_copies(self, component: Component) -> tuple[str, ...]:
        """Return the paths of a component in each copy that another tool has made."""
        if component.copied_as:
            return (component.copied_as,)
        return self.paths(component.settings) if self.plain_copies else ()

    def stays_here(self, connection: str) -> bool:
        """Return whether a connection leads to this host, and uses no files of this host. False if
        this is uncertain."""
        if not self.connection_stays_here:
            return False
        return bool(resolve_name(self.connection_stays_here)(connection))

    def lacks(
        self, ability: Ability, hint: str = "", *, what: str = "", component: str = ""
    ) -> NotSupported:
        """Return the error for something that the kind cannot do; `what` describes it more exactly,
        `component` is the component for which it was requested."""
        lead = f"component {component}: " if component else ""
        remedy = self.remedies.get(ability, hint)
        return NotSupported(f"{lead}kind {self.name} cannot {what or ability}", hint=remedy)

    def room_for(self, size: int, facts: Mapping[str, Any]) -> int:
        """Return the bytes that a sandbox needs for a snapshot of `size` bytes. Holes of files need
        no room."""
        return max(int(self.room * max(0, size - self.holes(facts))), self.needs(facts))

    @property
    def answers(self) -> bool:
        """Whether a component can be asked for single values."""
        return not self.can.isdisjoint({Ability.QUERY, Ability.SQL})

    def has(self, part: Part) -> bool:
        """Return whether components of the kind consist of what such a part is made of."""
        if part.database is not None and Ability.DATABASES not in self.can:
            return False
        return part.is_whole or self.holds is (Holds.PATHS if part.paths else Holds.TABLES)

    def inside(self, part: Part | None) -> bool:
        """Return whether a running server gets such a part, and no place of the component's own:
        then the component need not have the place (`Ability.IN_PLACE`), and the part is restored
        like a database (`Ability.AS_OWNER`)."""
        wanted = {Ability.DATABASES, Ability.PARTS}
        return part is not None and not part.is_whole and wanted <= self.can

    def require_part(self, part: Part, component: str = "") -> None:
        """Raise NotSupported, with the kind's name, when the kind cannot restore such a part
        alone."""
        if part.is_whole:
            self.require(Ability.BESIDE, "leave out --into.", component=component)
        elif part.database is not None and not self.inside(part):
            hint = "leave out --database: the component is a single database."
            if Ability.DATABASES in self.can or self.holds is not Holds.TABLES:
                hint = "recover the whole component: leave out --database."
            raise self.lacks(
                Ability.PARTS, hint, what="restore single databases", component=component
            )
        elif not self.has(part) or Ability.PARTS not in self.can:
            what = f"restore single {Holds.PATHS if part.paths else Holds.TABLES}"
            hint = _PARTS[self.holds] if Ability.PARTS in self.can else WHOLE
            raise self.lacks(Ability.PARTS, hint, what=what, component=component)

    def require(
        self, ability: Ability, hint: str = "", *, what: str = "", component: str = ""
    ) -> None:
        """Raise NotSupported, with the kind's name, when the kind lacks the ability."""
        if ability not in self.can:
            raise self.lacks(ability, hint, what=what, component=component)


def any_kind(_: KindSpec) -> bool:
    """Accept every kind: for a check that can check every component."""
    return True
