"""The inputs of a matrix: how they are called and what they may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from harness.vocabulary.fields import Shape, mistake
from harness.vocabulary.nearest import quoted

# How an input of a matrix is called; used, it stands in braces: `${cni}`.
INPUT_PATTERN = "[a-z][a-z0-9_-]{0,30}"
# Inputs are words, versions and networks. Each may be used many times over.
LONGEST_INPUT = 100


@dataclass(frozen=True)
class InputValue:
    """A value of a matrix: short text, a number, true or false."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._read)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {
            "type": ["string", "number", "boolean"],
            "minLength": 1,
            "maxLength": LONGEST_INPUT,
        }

    def _read(self, value: object) -> object:
        if not is_input_value(value):
            raise mistake(
                f"{quoted(value)} is not a value of a matrix: write a number, true, false, or text "
                f"of 1 to {LONGEST_INPUT} characters"
            )
        return value


def is_input_value(value: object) -> bool:
    """Whether a matrix may have `value`."""
    if isinstance(value, str):
        return 0 < len(value) <= LONGEST_INPUT
    return isinstance(value, (int, float))


InputName = Annotated[
    str,
    Shape(INPUT_PATTERN, "the name of an input: lower case letters, digits, hyphens, as in cni"),
]
