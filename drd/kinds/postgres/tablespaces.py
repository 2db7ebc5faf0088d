"""Find the tablespaces that a restore of a dump uses."""

from __future__ import annotations

import re
from collections.abc import Sequence

from drd.kinds.postgres.load import Load
from drd.kinds.postgres.manifest import ADOPTED
from drd.model.snapshot import ComponentSnapshot

_WANTED = re.compile(r'^SET default_tablespace = ("(?:[^"]|"")+"|[^\'";]+);$', re.MULTILINE)


def wanted_tablespaces(snapshot: ComponentSnapshot, load: Load) -> Sequence[str]:
    """Return the tablespaces that a restore of the dump of `load` uses. A backup of drd has noted
    them; for a dump that another tool made, drd reads the dump. If pg_restore cannot read the dump,
    the result is empty: the restore itself will report the error."""
    if not snapshot.facts.get(ADOPTED, False):
        noted: Sequence[str] = snapshot.facts["tablespaces"]
        return noted
    done = load.schema()
    return in_schema(done.stdout) if done.exit_code == 0 else ()


def in_schema(sql: str) -> list[str]:
    """Return the tablespaces that the SQL of pg_restore sets; an empty text sets the default."""
    names = dict.fromkeys(wanted_space[1] for wanted_space in _WANTED.finditer(sql))
    return [n[1:-1].replace('""', '"') if n.startswith('"') else n for n in names]
