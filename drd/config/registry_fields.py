"""Fields of plans and of drd.yaml whose model is found in a registry when a value is validated, so
that only the modules that a file needs are imported."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any, Union

from pydantic import (
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    TypeAdapter,
    ValidationError,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from drd.config.absent_kinds import lacking
from drd.extension_faults import FOREIGN, fault
from drd.fields import Settings
from drd.model.malformed import Malformed
from drd.registry import Registry

ModelOf = Callable[[Any], type[Settings]]


class OfKind:
    """An element with the key `kind`, which names a member of the registry."""

    def __init__(
        self,
        registry: Registry[Any],
        model_of: ModelOf,
        unavailable: type[Settings] | None = None,
    ) -> None:
        """`model_of` gives the model of a member's specification. `unavailable` is the model of an
        element whose package cannot be used; None: it is an error."""
        self.registry = registry
        self.model_of = model_of
        self.unavailable = unavailable

    def __get_pydantic_core_schema__(self, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._validated)

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(union(self.models(), discriminator="kind"))

    def models(self) -> list[type[Settings]]:
        return [self.model_of(spec) for spec in self.registry]

    def _validated(self, value: Any) -> Settings:
        if isinstance(value, Settings):
            return value
        if not isinstance(value, dict):
            raise PydanticKnownError("model_attributes_type")
        if "kind" not in value:
            raise PydanticKnownError("union_tag_not_found", {"discriminator": "'kind'"})
        kind = value["kind"]
        stand_in = self.unavailable
        if stand_in is not None and isinstance(kind, str) and lacking(self.registry.family, kind):
            return stand_in.model_validate(value)
        if not isinstance(kind, str) or kind not in self.registry:
            expected = ", ".join(f"'{name}'" for name in self.registry.names)
            tag = {"discriminator": "'kind'", "tag": str(kind), "expected_tags": expected}
            raise PydanticKnownError("union_tag_invalid", tag)
        model = self.model_of(self.registry[kind])
        try:
            return model.model_validate(value)
        except ValidationError:
            raise
        except FOREIGN as error:
            failed = fault(error, "", self.registry.extension(kind))
            if failed is None:
                raise
            raise Malformed(failed.message, failed.hint) from error


class AsWritten:
    """An element that is validated later: until then it stays as it was written."""

    def __init__(self, models: Callable[[], Iterable[type[Settings]]]) -> None:
        """`models` are the possible models of the element."""
        self.models = models

    def __get_pydantic_core_schema__(self, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.any_schema()

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(union(self.models()))


def union(models: Iterable[Any], discriminator: str | Discriminator | None = None) -> CoreSchema:
    """Return the schema of an element of one of these models."""
    either: Any = Union[tuple(models)]  # noqa: UP007 (made of as many as there are)
    if discriminator is not None:
        either = Annotated[either, Field(discriminator=discriminator)]
    return TypeAdapter(either).core_schema
