"""Make the plan reference for people from the JSON Schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from drd.config.steps import KEYS_OF_EVERY_STEP, step_kinds, step_model
from drd.model.text import with_article
from drd.registry import KINDS

HEAD = """\
# Plan reference

<!-- Made by `drd plan schema --markdown`; a test compares. Edit the descriptions in the code. -->

A plan is one YAML file for one service. Unknown keys are errors. Durations are written with units
(`15m`, `1h30m`, `7d`), and a secret is written as a reference, never as its value:

| reference | where drd reads the secret when it uses it |
|---|---|
| `{credential: NAME}` | `/etc/drd/credentials/NAME` (mode 0600); the service reads it only when \
it starts |
| `{file: PATH}` | the contents of a file |
| `{env: NAME}` | an environment variable of drd |
| `{command: [WORD, …]}` | what a command prints |

`drd plan check` says what is wrong with a plan, by file and line. Complete examples are in
[`plans/`](../plans). For completion in an editor with yaml-language-server, put the schema beside
the plan (`drd plan schema > plan.schema.json`) and begin the plan with
`# yaml-language-server: $schema=plan.schema.json`.
"""


def reference(schema: dict[str, Any]) -> str:
    """Return Markdown: the keys of a plan, then each section, then what is used in several
    places."""
    return "\n".join(_Reference(schema).lines()) + "\n"


class _Reference:
    def __init__(self, schema: dict[str, Any]) -> None:
        self.schema = schema
        self.forms: dict[str, Any] = schema["$defs"]
        self.nested = [*_TITLES, *sorted(self.forms.keys() - _TITLES.keys() - set(self._shown()))]

    def _shown(self) -> Iterator[str]:
        """The forms that stand in the section of their own key."""
        for key, about in self.schema["properties"].items():
            yield from _forms_of(about) if key != "runbook" else ()
        for kind in step_kinds():
            name = step_model(kind).__name__
            yield name
            yield from _forms_of(self.forms[name]["properties"][kind])

    def lines(self) -> Iterator[str]:
        yield HEAD
        yield "## The keys of a plan\n"
        yield from self._table(self.schema)
        for key, about in self.schema["properties"].items():
            forms = _forms_of(about) if key != "runbook" else []
            if forms:
                yield f"\n## {key}\n"
                if "$ref" not in about:
                    yield f"{about['description']}\n"
                for form in forms:
                    yield from self._form(form, titled=len(forms) > 1)
            if key == "runbook":
                yield from self._steps(about)
        yield "\n## Used in several places"
        for form in self.nested:
            yield from self._form(form, titled=True)

    def _steps(self, about: dict[str, Any]) -> Iterator[str]:
        yield f"\n## runbook\n\n{about['description']}\n\nKeys of every step:\n"
        every = KEYS_OF_EVERY_STEP
        names = [step_model(kind).__name__ for kind in step_kinds()]
        first = self.forms[names[0]]["properties"]
        yield from self._table({"properties": {k: v for k, v in first.items() if k in every}})
        for kind, name in zip(step_kinds(), names, strict=True):
            form = self.forms[name]
            own = {k: v for k, v in form["properties"].items() if k not in every}
            yield f"\n### {kind}\n"
            inner = self._inner(own[kind])
            if inner is None:
                yield f"{form['description']}\n"
                yield from self._table({"properties": own, "required": form["required"]})
                continue
            short = f" A text alone is `{inner['required'][0]}`." if "anyOf" in own[kind] else ""
            yield f"{' '.join(inner['description'].split())}{short}\n"
            below = {k: v for k, v in inner["properties"].items() if k not in every}
            yield from self._table({**inner, "properties": below})

    def _inner(self, about: dict[str, Any]) -> dict[str, Any] | None:
        """The keys below a step's own key, if it has keys."""
        for one in (about, *about.get("anyOf", ())):
            if "$ref" in one:
                return dict(self.forms[_name(one["$ref"])])
            if "properties" in one:
                return dict(one)
        return None

    def _form(self, name: str, *, titled: bool) -> Iterator[str]:
        form = self.forms[name]
        if titled:
            yield f"\n### {_title(name, form)}\n"
        yield f"{' '.join(form.get('description', '').split())}\n"
        yield from self._table(form)

    def _table(self, form: dict[str, Any]) -> Iterator[str]:
        required = set(form.get("required", ()))
        yield "| key | value | default | |"
        yield "|---|---|---|---|"
        for key, about in form["properties"].items():
            default = "**required**" if key in required else _default(about)
            description = " ".join(self._description(about).split()).replace("|", "\\|")
            yield f"| `{key}` | {self._value(about)} | {default} | {description} |"

    def _description(self, about: dict[str, Any]) -> str:
        own = about.get("description", "")
        return str(own or self.forms.get(_name(about.get("$ref", "")), {}).get("description", ""))

    def _value(self, about: dict[str, Any]) -> str:
        if "$ref" in about:
            return self._link(_name(about["$ref"]))
        if "const" in about:
            return f"`{about['const']}`"
        if "enum" in about:
            return " \\| ".join(f"`{v}`" for v in about["enum"])
        branches = about.get("anyOf") or about.get("oneOf")
        if branches:
            return " or ".join(dict.fromkeys(self._value(b) for b in branches))
        return self._plain(about)

    def _link(self, name: str) -> str:
        if name not in self.nested:
            return "see below"
        title = _title(name, self.forms[name])
        return f"[{title}](#{title})"

    def _plain(self, about: dict[str, Any]) -> str:
        kind = about.get("type", "")
        if kind == "array":
            items = self._value(about.get("items", {}))
            return f"list, {items}" if items == "see below" else f"list of {items}"
        if kind == "object":
            return "secret reference" if "credential" in about.get("properties", {}) else "by name"
        if "[smhdw]" in about.get("pattern", ""):
            return "duration"
        words = {"string": "text", "integer": "number", "number": "number", "boolean": "yes or no"}
        return "absolute path" if about.get("pattern") == "^/" else words.get(str(kind), "")


def _name(reference_to: str) -> str:
    return reference_to.rpartition("/")[2]


def _forms_of(about: dict[str, Any]) -> list[str]:
    """The names of the forms that a key's value, or each element of it, can have."""
    if "$ref" in about:
        return [_name(about["$ref"])]
    elements = (*about.get("patternProperties", {}).values(), about.get("additionalProperties"))
    within = (*about.get("oneOf", ()), *about.get("anyOf", ()), *elements, about.get("items"))
    return [form for one in within if isinstance(one, dict) for form in _forms_of(one)]


_TITLES = {
    "HookSettings": "hook",
    "DatabaseFingerprintSettings": "fingerprint",
    "S3": "s3",
    "RandomPoint": "restore_point",
    "BlackoutSettings": "blackout",
    "AcceptedFinding": "exceptions",
    "WhenKeys": "when",
    "Rollback": "rollback",
    "Ready": "ready",
    "Register": "erasures.register",
    "Replay": "erasures.replay",
    "StillThere": "erasures.check",
    "KitVerify": "verify",
}


def _title(name: str, form: dict[str, Any]) -> str:
    if kind := form["properties"].get("kind", {}).get("const"):
        return f"kind: {kind}"
    targets = {spec.target.__name__: f"for {_component(spec.name)}" for spec in KINDS}
    return targets.get(name) or _TITLES.get(name) or _as_key(name)


def _as_key(name: str) -> str:
    """Return the name of a class as a key of a plan is written: `PutBackSettings` is `put_back`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.removesuffix("Settings")).lower()


def _component(kind: str) -> str:
    return f"{with_article(kind)} component"


def _default(about: dict[str, Any]) -> str:
    if "default" not in about or about["default"] in ("", [], {}):
        return ""
    default = about["default"]
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"
