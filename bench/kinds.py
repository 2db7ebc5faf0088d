"""Measure backup, drill and recovery of each other kind against the script that an administrator
would write with the best tools of that database. Both alternate in the same run.

The RTA of a drill ends with its last check; the script says when it got there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from bench import kind_cases, measure
from bench.kind_cases import RTA_OF_DRILL, RTA_OF_RECOVER, Case
from bench.table import Row, cpu
from bench.workshop import Workshop
from drd.model.units import parse_size

KINDS = ("mariadb", "mariadb-server", "redis", "valkey", "postgres-cluster")
_ALLOWED_RATIO = 1.05


def rows(
    workshop: Workshop, kinds: list[str], size: str, times: int, say: Callable[[str], None]
) -> list[Row]:
    found: list[Row] = []
    megabytes = parse_size(size) / 1e6
    for kind in kinds:
        say(f"{kind}, {size}: filling the server")
        with _case(workshop, kind, megabytes) as case:
            say(f"{kind}, {size}: backup, drill and recover, {times} times each")
            found += _Bench(workshop, case, size).rows(times)
    return found


@contextmanager
def _case(workshop: Workshop, kind: str, megabytes: float) -> Iterator[Case]:
    if kind == "postgres-cluster":
        workshop.fill(int(megabytes * 1e6))
        tables = {
            t: int(workshop.postgres.execute(f"select count(*) from {t}", "shop")[0][0])
            for t in workshop.tables
        }
        yield kind_cases.cluster(workshop.postgres, tables, workshop.home / "cluster.back")
        return
    with getattr(kind_cases, kind.replace("-", "_"))(workshop.home / kind, megabytes) as case:
        yield case


class _Bench:
    """Both sides of one kind."""

    def __init__(self, workshop: Workshop, case: Case, size: str) -> None:
        self.workshop = workshop
        self.case = case
        self.size = size
        home = workshop.home
        self._script = Path(__file__).with_name(f"kind_{case.script}.sh")
        self._expected, self._queries = home / "kind-counts", home / "kind-queries"
        self._expected.write_text("".join(f"{t} {n}\n" for t, n in case.tables.items()))
        self._queries.write_text("select sum(customer) from part2\n" if case.tables else "")

    def rows(self, times: int) -> list[Row]:
        found = self._rows("backup", *measure.in_turn(self._backup, self._script_backup, times))
        repository = self.workshop.new_repository()
        plan = self._plan(repository)
        ours = json.loads(self.workshop.drd("backup", plan).output)["components"][0]["snapshot"]

        def drill() -> measure.Run:
            return self.workshop.drd("drill", plan)

        def recover() -> measure.Run:
            self._clear()
            return self.workshop.drd("recover", plan, "--target", "standby", "--yes")

        def script(act: str) -> Callable[[], measure.Run]:
            def run() -> measure.Run:
                self._clear()
                return self._run(act, repository, ours)

            return run

        left, right = measure.in_turn(drill, script("drill"), times)
        found += self._rows("drill", left, right)
        answered = median(float(run.output.split()[-1]) for run in right)
        found.append(self._line(RTA_OF_DRILL, median(map(measure.rta, left)), answered))
        left, right = measure.in_turn(recover, script("recover"), times)
        found += self._rows("recover, the whole command", left, right)
        rta, plain = median(map(measure.rta, left)), measure.seconds(right)
        found.append(self._line(RTA_OF_RECOVER, rta, plain))
        self._clear()
        self.workshop.remove(repository)
        return found

    def _rows(self, what: str, left: list[measure.Run], right: list[measure.Run]) -> list[Row]:
        line = self._line(what, measure.seconds(left), measure.seconds(right))
        return [line, *cpu("it", left, right)]

    def _line(self, what: str, drd: float, plain: float) -> Row:
        ratio, allowed = drd / plain, self.case.allowed.get(what, _ALLOWED_RATIO)
        return Row(
            f"{self.case.kind}, {self.size}: {what}", f"{drd:.2f} s", f"{plain:.2f} s", ratio,
            f"<= {allowed:.2f}x", ratio <= allowed,
        )  # fmt: skip

    def _backup(self) -> measure.Run:
        repository = self.workshop.new_repository()
        done = self.workshop.drd("backup", self._plan(repository))
        self.workshop.remove(repository)
        return done

    def _script_backup(self) -> measure.Run:
        repository = self.workshop.new_repository()
        done = self._run("backup", repository)
        self.workshop.remove(repository)
        return done

    def _run(self, act: str, repository: Path, snapshot: str = "") -> measure.Run:
        environment = {
            **self.workshop.restic(repository),
            **self.case.environment,
            "SANDBOX": str(self.workshop.home / "work/script"),
            "TARGET": str(self.case.target_path or ""),
        }
        words = [act, snapshot, str(self._expected), str(self._queries)]
        return measure.run(["bash", str(self._script), *words], environment)

    def _plan(self, repository: Path) -> str:
        case = self.case
        return self.workshop.write_plan(
            repository.name,
            repository,
            f"it: {{kind: {case.kind}, {case.component}}}",
            "checks:\n  - {name: counts, kind: rows, component: it}\n"
            f"{case.checks}targets: {{standby: {{it: {{{case.target}}}}}}}\n",
        )

    def _clear(self) -> None:
        """Remove what a recovery has made."""
        path = self.case.target_path
        if path is not None and path.is_dir():
            shutil.rmtree(path)
        elif path is not None:
            for file in path.parent.glob("*"):
                if path.name == "dump.rdb" and file.is_file():
                    file.unlink()
        if path is not None and self.case.owner:
            path.mkdir(mode=0o700)
            shutil.chown(path, self.case.owner)
        if self.case.drop is not None:
            server, database = self.case.drop
            server.execute(f"drop database if exists {database}")
