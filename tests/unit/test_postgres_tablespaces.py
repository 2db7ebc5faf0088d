"""Tablespaces of dumps that another tool made, and the commands by hand that come with them."""

from __future__ import annotations

import subprocess
from pathlib import Path

from drd.kinds.postgres.by_hand import _superuser
from drd.kinds.postgres.tablespaces import in_schema
from drd.kit import stanza_by_hand


def test_the_schema_names_each_tablespace_once_and_not_the_default_one() -> None:
    sql = """
SET default_tablespace = '';
SET default_table_access_method = heap;
SET default_tablespace = schnell;
CREATE TABLE public.a (id integer);
SET default_tablespace = "Sehr ""schnell"" ü";
SET default_tablespace = schnell;
-- SET default_tablespace = commented;
"""
    assert in_schema(sql) == ["schnell", 'Sehr "schnell" ü']
    assert in_schema("") == []


def test_the_end_of_a_page_does_all_that_its_parts_left_to_do(tmp_path: Path) -> None:
    """The restored server that still runs is named although root's role was removed before, and
    also if that failed."""
    (begins,) = [
        part
        for part in stanza_by_hand.__dict__.values()
        if isinstance(part, str) and "AT_END=" in part
    ]
    start = begins.index("AT_END=")
    trap = begins[start : begins.index("\n", begins.index("trap ", start))]
    su = tmp_path / "su"
    su.write_text('#!/bin/bash\n[[ $3 != *dropuser* ]] || { echo "removed root"; exit 9; }\n')
    psql = tmp_path / "psql"
    psql.write_text("#!/bin/bash\necho off\n")
    for program in (su, psql):
        program.chmod(0o755)
    script = f"""
set -euo pipefail
remaining() {{ echo "the server still runs"; }}
{trap}
{_superuser("1 == 1", "''")}
{_superuser("1 == 1", "''", "--port=5433")}
exit 3
"""
    done = subprocess.run(
        ["bash", "-c", script],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == ["removed root", "removed root", "the server still runs"]
    assert (done.returncode, done.stderr) == (3, "")
