"""The check `contains`: a text stands in a file that came back."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from drd import process
from drd.checks.settings import CheckSettings
from drd.checks.words import not_run, result
from drd.fields import AbsolutePath
from drd.model.plan import CheckSpec
from drd.model.run import CheckResult, CheckVerdict
from drd.ports.check import CheckContext, CheckKind
from drd.ports.kinds import Holds


class ContainsCheck(CheckSettings):
    """A text that stands in a file."""

    kind: Literal["contains"]
    component: str = Field(description="The files component.")
    path: AbsolutePath = Field(description="The file, where the source has it.")
    text: str = Field(min_length=1, description="What stands in it.")


class Contains:
    """Failed is what lacks the text; not_run what could not be read."""

    def run(self, spec: CheckSpec, context: CheckContext) -> list[CheckResult]:
        settings = spec.settings
        assert isinstance(settings, ContainsCheck)
        expected = f'"{settings.text}" in {settings.path}'
        inspector = context.inspectors.get(settings.component)
        if inspector is None:
            return [not_run(spec, f"{settings.component} was not restored", expected)]
        process.check_cancelled()
        file = Path(inspector.location + settings.path)
        if not file.exists():
            return [result(spec, CheckVerdict.FAILED, "there is no such file", expected)]
        try:
            is_there = settings.text in file.read_text(errors="replace")
        except OSError as error:
            return [not_run(spec, f"cannot read it: {error.strerror}", expected)]
        if is_there:
            return [result(spec, CheckVerdict.PASSED, "it is there", expected)]
        return [result(spec, CheckVerdict.FAILED, "the file does not have it", expected)]


SPEC = CheckKind("contains", ContainsCheck, Contains(), fits=lambda kind: kind.holds is Holds.PATHS)
