"""The templates of messages of drd and of the installation. A template of the installation replaces
the template of drd with the same name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import drd
from drd.config.daemon import DaemonSettings
from drd.config.exposed_files import judged, state_owners
from drd.config.reading import read_bytes, read_reached
from drd.errors import ConfigError, Problem

SHIPPED = Path(drd.__file__).parent / "templates"
SUFFIX = ".j2"
MOST = 200
"""Templates in a directory."""
_WHAT = "template"


@dataclass(frozen=True, slots=True)
class Templates:
    """The texts by name (`customers`, `customers.de`), and the file of each. If a file of the
    installation cannot be used, this is a problem, and drd's own template is not used in its place.
    """

    texts: Mapping[str, str]
    files: Mapping[str, str]
    problems: tuple[Problem, ...] = ()

    def require(self) -> None:
        """Raise ConfigError for files that cannot be used: a message must not be sent with another
        template than the intended one."""
        if self.problems:
            raise ConfigError(list(self.problems))

    def of(self, name: str, language: str) -> str:
        """Return the name of the template in this language; if there is none, the name of the
        template without a language."""
        for each in (f"{name}.{language}", f"{name}.{language.partition('-')[0]}"):
            if each in self.texts:
                return each
        return name


def templates_of(settings: DaemonSettings) -> Templates:
    """Return the templates of drd and of an installation."""
    return load_templates(settings.templates_dir, state_owners(settings.state_dir))


def load_templates(directory: Path | None, trusted: Collection[int]) -> Templates:
    """Read the shipped templates and those of `directory`. Files that users other than the
    `trusted` ones can change are refused."""
    files = {path.name.removesuffix(SUFFIX): path for path in template_files(SHIPPED)}
    texts = {name: read_bytes(path, what=_WHAT)[0].decode() for name, path in files.items()}
    problems: list[Problem] = []
    own = template_files(directory) if directory is not None else []
    if directory is not None and not directory.is_dir():
        hint = "make the directory, or correct the key `templates` of drd.yaml."
        problems.append(Problem(str(directory), 1, "", "is not a directory", hint))
    if len(own) > MOST:
        hint = f"remove templates until {MOST} are left."
        problems.append(
            Problem(
                str(directory),
                1,
                "",
                f"has {len(own)} templates, but drd reads at most {MOST}",
                hint,
            )
        )
    for path in own[:MOST]:
        name = path.name.removesuffix(SUFFIX)
        try:
            texts[name] = _text(path, trusted)
            files[name] = path
        except ConfigError as error:
            problems += error.problems
    return Templates(texts, {n: str(p) for n, p in files.items()}, tuple(problems))


def template_files(directory: Path) -> list[Path]:
    """Return the files of templates in a directory."""
    return sorted(directory.glob(f"*{SUFFIX}"))


def _text(path: Path, trusted: Collection[int]) -> str:
    """Return the text of the file that was opened, if only trusted users can have written it.
    Raises ConfigError."""
    raw, reached = read_reached(path, what=_WHAT)
    exposed = judged(reached, trusted)
    if exposed is not None and not exposed.is_told_only:
        raise ConfigError([Problem(str(path), 1, "", f"the file {exposed.why}", exposed.remedy)])
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        hint = "write the file as UTF-8."
        raise ConfigError([Problem(str(path), line, "", "is not UTF-8 text", hint)]) from None
