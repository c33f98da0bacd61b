"""Parts of a scenario as models, and what a rule is: it yields a sentence with its place.

Rules are written against the models. Where a file has mistakes they run on what parsed of it: a
part that did not is missing, and a rule that looks at it ends there and says no more.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

Path: TypeAlias = tuple[str | int, ...]
"""Way from the top of a document, or of a part of it, to a value: keys and indexes."""

Found: TypeAlias = Iterator[tuple[Path, str]]
"""What a rule finds: where, and the sentence."""


class NotParsedError(Exception):
    """A rule looked at a part of the file that has a mistake of its own."""


class Missing:
    """Stands for what did not parse: whoever looks into it learns that."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # it has none
        raise NotParsedError(name)

    def __str__(self) -> str:
        raise NotParsedError


class Partial:
    """Base of the models: a field that did not parse is missing, and says so when it is asked."""

    # A type checker would take every name for one of the model's.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            if name in type(self).model_fields:
                raise NotParsedError(name)
            return super().__getattr__(name)


class Part(Partial, BaseModel):
    """A mapping of a scenario: strict, and each field's text is what editors show for it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the schema with the fields' texts; `use_attribute_docstrings` reads them always.

        That is an eighth of the time in which any command is there, for what one of them shows.
        """
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema)["properties"]
        for each in reversed(cls.__mro__):
            if issubclass(each, Part) and each is not Part:
                for name, text in _field_texts(each).items():
                    properties[cls.model_fields[name].alias or name]["description"] = text
        return schema


def _field_texts(model: type) -> Mapping[str, str]:
    """Return the docstring below each field of a class, those of its bases left out."""
    try:
        source = inspect.getsource(model)
    except OSError:
        # A class that was typed into a prompt has none.
        return {}
    (definition,) = ast.parse(textwrap.dedent(source)).body
    assert isinstance(definition, ast.ClassDef)
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in itertools.pairwise(definition.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr)
        if isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }


def said(*rules: Found) -> Found:
    """Yield what the rules find; one that looks at what did not parse ends there."""
    for rule in rules:
        try:
            yield from rule
        except NotParsedError:
            continue


def given(part: Partial, field: str) -> Any:  # noqa: ANN401  # each field has its own type
    """Return the field of a part, None where it did not parse."""
    try:
        return getattr(part, field)
    except NotParsedError:
        return None
