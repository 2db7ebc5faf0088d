"""How a new plan lists and restores the dumps of another tool: in a directory, or in a bucket."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from drd.config.starter import bucket_credentials
from drd.config.writing import inline
from drd.model.dump_names import Series, exactly
from drd.model.location import S3Location
from drd.ports.dumps import FILE, FoundDump

_AHEAD = "1 hour"
"""`FAR_AHEAD`, as the program find takes it."""

_PROVIDERS = {".amazonaws.com": "AWS", ".aliyuncs.com": "Alibaba"}
"""What rclone calls the servers whose host names contain the bucket, by the end of the host
name."""
_AMAZON = "s3.amazonaws.com"

_SELECT = (
    '.[] | select(.Path | test("\\\\A(" + $series + ")\\\\z")) | '
    "{name: .Path, time: .ModTime, bytes: .Size}"
)
"""The program for jq that makes the list of drd from the list of rclone. It has no `^` and `$`,
because these would match at each newline in a name."""


class DumpsPlace(Protocol):
    """A place with dumps, for a new plan. `where` is the place in words. `expression` says where in
    the plan the regular expression of the series is. `programs` are the Debian packages of the
    programs that the commands need."""

    @property
    def where(self) -> str: ...
    @property
    def expression(self) -> str: ...
    @property
    def programs(self) -> Sequence[str]: ...

    def notes(self) -> Iterator[str]:
        """Yield comments for the head of the plan."""

    def commands(
        self, plan: str, series: Series, dump: FoundDump, credentials: list[tuple[str, str]]
    ) -> Iterator[str]:
        """Yield the lines below `command`, and add the secrets that they need to `credentials`."""


@dataclass(frozen=True, slots=True)
class DumpsDirectory:
    """Implements `DumpsPlace`. A dump is finished if nobody has changed it for `settled_min`
    minutes."""

    directory: Path
    settled_min: int
    expression: str = field(default="-regex of `list`", init=False)
    programs: Sequence[str] = field(default=(), init=False)

    @property
    def where(self) -> str:
        return str(self.directory)

    def notes(self) -> Iterator[str]:
        yield "# If that directory is a disk of this host, the dumps are lost with the host."

    def commands(
        self,
        plan: str,  # noqa: ARG002 - no secrets
        series: Series,
        dump: FoundDump,
        credentials: list[tuple[str, str]],  # noqa: ARG002
    ) -> Iterator[str]:
        directory, most = str(self.directory), self.settled_min
        depth = str(1 + series.pattern.count("/"))
        listed = ["/usr/bin/find", "-H", directory, "-maxdepth", depth, "-type", "f"]
        listed += [
            "-regextype",
            "posix-extended",
            "-regex",
            f"{exactly(directory.rstrip('/'))}/{series.expression}",
        ]
        printed = '{"name": "%P", "time": %T@, "bytes": %s}\\n'
        file = f"{directory}/${{copy}}"
        words = [word.replace(FILE, file) for word in dump.unpack] or ["/bin/cat", file]
        yield (
            f"      # A dump is finished if nobody has changed it for {most} min. Raise "
            "this number if"
        )
        yield "      # the other tool can pause for longer while it writes."
        yield (
            "      # The list also has dumps dated in the future: drd reports that they "
            "do not count."
        )
        settled = ["(", "-mmin", f"+{most}", "-o", "-newermt", _AHEAD, ")"]
        yield f"      list: {inline([*listed, *settled, '-printf', printed])}"
        yield f"      restore: {inline(words)}"


@dataclass(frozen=True, slots=True)
class DumpsBucket:
    """Implements `DumpsPlace`."""

    location: S3Location
    region: str
    expression: str = field(default="the last word of `list`", init=False)
    programs: Sequence[str] = field(default=("rclone", "jq"), init=False)

    @property
    def where(self) -> str:
        return self.location.url

    def notes(self) -> Iterator[str]:
        yield (
            f"# The commands below need {' and '.join(self.programs)}: apt-get install "
            f"{' '.join(self.programs)}"
        )

    def commands(
        self, plan: str, series: Series, dump: FoundDump, credentials: list[tuple[str, str]]
    ) -> Iterator[str]:
        depth = 1 + series.pattern.count("/")
        reach = f"--max-depth {depth}" + (" --recursive" if depth > 1 else "")
        listing = (
            f"rclone lsjson --config= --files-only --no-mimetype --use-server-modtime {reach} "
            f'"$0" | jq -c --arg series "$1" {shlex.quote(_SELECT)}'
        )
        bash = ["bash", "-o", "pipefail", "-c"]
        key, secret = bucket_credentials(plan, credentials)
        env: Mapping[str, object] = {
            "RCLONE_S3_ACCESS_KEY_ID": {"credential": key},
            "RCLONE_S3_SECRET_ACCESS_KEY": {"credential": secret},
        }
        yield "      # A dump is as old as its object. If the dumps come into the bucket much later"
        yield "      # than they are made, and by rclone, remove --use-server-modtime."
        yield f"      list: {inline([*bash, listing, self._remote, series.expression])}"
        yield f"      restore: {inline(self._restore(bash, dump))}"
        yield f"      env: {inline(env)}"

    def _restore(self, bash: Sequence[str], dump: FoundDump) -> Sequence[str]:
        file = f"{self._remote}/${{copy}}"
        if not dump.unpack:
            return ["rclone", "cat", "--config=", file]
        unpack = f"{dump.packed} --decompress --stdout | " if dump.packed else ""
        script = f'rclone cat --config= "$0" | {unpack}"$@"'
        return [*bash, script, file, *(word.replace(FILE, "-") for word in dump.unpack)]

    @property
    def _remote(self) -> str:
        """Return the place as rclone takes it in an argument, without a configuration file."""
        host, endpoint = self.location.host, f'endpoint="{self.location.endpoint}",'
        provider = next((p for end, p in _PROVIDERS.items() if host.endswith(end)), "Other")
        said = "" if host == _AMAZON else endpoint
        settings = f"provider={provider},{said}region={self.region},list_url_encode=true"
        path = "/".join(part for part in (self.location.bucket, self.location.prefix) if part)
        return f":s3,{settings}:{path}"
