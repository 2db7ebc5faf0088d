"""Check the part of a manifest about a whole MariaDB server: it may contain only what the source
writes there. Facts become paths and arguments."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from drd.model import strict
from drd.model.snapshot import ComponentSnapshot, DatabaseFingerprint

DATA, LIST = "data", "files.json"
"""The data directory and the list of its files in a snapshot, below the fact `place`."""

FILE_PATH = re.compile(
    r"(?:[\w.-]+:\d+[KMG]?(?::autoextend)?(?::max:\d+[KMG]?)?;?){1,20}", re.ASCII
)
"""`innodb_data_file_path` with files in the data directory itself."""

_VERSION = re.compile(r"\d{1,3}\.\d{1,3}\.\d{1,4}")
_GTIDS = re.compile(r"[0-9,-]{0,10000}")
_BINLOG = re.compile(r"[^\x00-\x1f\x7f/]{0,255}")
_PAGE_SIZES = (4096, 8192, 16384, 32768, 65536)
_MOST = 100_000
_NAME = 256


def require_written(snapshot: ComponentSnapshot, private: Mapping[str, Any]) -> None:
    """Raise UnexpectedValue for facts, a fingerprint or a private part that no source writes."""
    facts, place = snapshot.facts, f"facts of {snapshot.component}"

    def of(key: str) -> tuple[Any, str]:
        return strict.member(facts, key, place), f"{place}.{key}"

    strict.absolute_path(*of("place"))
    strict.digest(*of("files_digest"))
    for key in ("server_version", "backup_version"):
        strict.matching(*of(key), _VERSION, "version")
    strict.matching(*of("data_file_path"), FILE_PATH, "list of files of the system tablespace")
    size, where = of("page_size")
    if strict.count(size, where) not in _PAGE_SIZES:
        raise strict.refuse(where, "is not a size of pages of InnoDB", size)
    strict.count(*of("undo_tablespaces"), most=127)
    strict.count(*of("lower_case_table_names"), most=2)
    for key in ("server_bytes", "server_id", "binlog_position", "events"):
        strict.count(*of(key))
    strict.matching(*of("binlog_file"), _BINLOG, "name of a binary log")
    for key in ("gtid_binlog_pos", "gtid_current_pos"):
        strict.matching(*of(key), _GTIDS, "list of GTIDs")
    _name(*of("database"))
    for key in ("databases", "plugins"):
        strict.each(_name, *of(key), most=_MOST)
    for key in private:
        strict.one_of(key, f"a name in private of {snapshot.component}", ())
    known = snapshot.fingerprint
    if known is not None and not isinstance(known, DatabaseFingerprint):
        raise strict.UnexpectedValue(
            f"the fingerprint of {snapshot.component} does not describe databases"
        )


def _name(value: Any, place: str) -> str:
    text = strict.text(value, place, most=_NAME)
    if not text or "\0" in text:
        raise strict.refuse(place, "is not a name", value)
    return text
