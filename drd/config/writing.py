"""Write plain values as YAML text that every reader reads the same way."""

from __future__ import annotations

from typing import Any

import yaml

from drd.config.yaml import reads_as_text


class _Dumper(yaml.SafeDumper):
    """Block style, lists indented below their key, no aliases."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 (the base class's signature)
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Quote text that either version of YAML would read as something else."""
    style = None if reads_as_text(text) else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def yaml_text(data: Any) -> str:
    """YAML with keys in the order of the data. Words like `on` and numbers in text are quoted."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100, indent=2)


def inline(data: Any) -> str:
    """Return the data in one line, to follow a key or to be part of a list."""
    text = yaml.dump(
        data,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=float("inf"),
        default_flow_style=True,
    )
    return text.removesuffix("...\n").strip()
