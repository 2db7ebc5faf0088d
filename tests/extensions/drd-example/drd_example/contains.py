"""The check `contains`: a restored file contains a text."""

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
    """A text that a file must contain."""

    kind: Literal["contains"]
    component: str = Field(description="The files component.")
    path: AbsolutePath = Field(description="The file, by its path in the source.")
    text: str = Field(min_length=1, description="The text.")


class Contains:
    """Failed if the text is missing, not_run if the file cannot be read."""

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
            return [result(spec, CheckVerdict.FAILED, "the file does not exist", expected)]
        try:
            is_there = settings.text in file.read_text(errors="replace")
        except OSError as error:
            return [not_run(spec, f"cannot read the file: {error.strerror}", expected)]
        if is_there:
            return [result(spec, CheckVerdict.PASSED, "the file contains it", expected)]
        return [result(spec, CheckVerdict.FAILED, "the file does not contain it", expected)]


SPEC = CheckKind("contains", ContainsCheck, Contains(), fits=lambda kind: kind.holds is Holds.PATHS)
