"""The types of a scenario's fields: each says in plain words what it wants, and its JSON Schema."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from harness.vocabulary.machines import POD_NETWORK, PODS_ON, SERVICE_NETWORK
from harness.vocabulary.nearest import nearest, quoted
from harness.vocabulary.version import Gate, K0sVersion

# The type of every error whose message is already a sentence of ours.
OURS = "k0s-harness"
# The same, for an entry with more keys than the one that is its kind.
SEVERAL_KINDS = "k0s-harness-several-kinds"

_DURATION = re.compile(
    r"(?:(?P<h>[0-9]{1,4})h)?(?:(?P<m>[0-9]{1,6})m)?(?:(?P<s>[0-9]{1,6}(?:\.[0-9]{1,3})?)s)?"
)
# The same for editors, which have no groups.
DURATION_PATTERN = r"^([0-9]+h)?([0-9]+m)?([0-9]+(\.[0-9]+)?s)?$"
# Nothing in a cluster takes longer to settle; a larger number is a wrong unit.
LONGEST_SECONDS = 3600.0
# What no NIC of a lab goes beyond.
MOST_MTU = 9000
# A hold wants an observation at least every 5 s, so a shorter one would rest on a single look.
SHORTEST_HOLD_SECONDS = 10.0


def mistake(message: str, *, several_kinds: bool = False) -> PydanticCustomError:
    """Return the error that reaches the reader as `message`, word for word."""
    kind = SEVERAL_KINDS if several_kinds else OURS
    return PydanticCustomError(kind, "{message}", {"message": message})


@dataclass(frozen=True)
class Shape:
    """Text of one shape: `pattern` is what it matches, `meaning` how a person would say it."""

    pattern: str
    meaning: str

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            self._check, core_schema.str_schema(strict=True)
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "pattern": f"^(?:{self.pattern})$"}

    def _check(self, text: str) -> str:
        if re.fullmatch(self.pattern, text) is None:
            raise mistake(f"{quoted(text)} is not {self.meaning}")
        return text


class _ReadFromText(ABC):
    """Base of what reads a value from text, and is written as that text again."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self._read, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @abstractmethod
    def _read(self, value: object) -> object:
        """Return the value, or raise a `mistake`."""


@dataclass(frozen=True)
class Parsed(_ReadFromText):
    """Text that is read by `parse`, whose `ValueError` is the message; `pattern` is for editors."""

    parse: Callable[[str], object]
    example: str
    pattern: str
    keep_text: bool = False

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "pattern": self.pattern, "examples": [self.example]}

    def _read(self, value: object) -> object:
        if not isinstance(value, str):
            raise mistake(f"{quoted(value)} is not text; write it as in {self.example}")
        try:
            parsed = self.parse(value)
        except ValueError as error:
            raise mistake(str(error)) from None
        return value if self.keep_text else parsed


@dataclass(frozen=True)
class Span:
    """A duration with its unit, as seconds; `zero` allows `0s`, `shortest` is the least other."""

    shortest: float = 1.0
    zero: bool = False

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self._read,
            serialization=core_schema.plain_serializer_function_ser_schema(duration_text),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "pattern": DURATION_PATTERN, "examples": ["45s", "2m"]}

    def _read(self, value: object) -> float:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            raise mistake(f"{quoted(value)} has no unit; write {value:g}s or {value:g}m")
        match = _DURATION.fullmatch(value) if isinstance(value, str) else None
        if not value or match is None:
            raise mistake(f"{quoted(value)} is not a duration; write it as in 45s, 2m or 1m30s")
        seconds = (
            int(match["h"] or 0) * 3600.0 + int(match["m"] or 0) * 60.0 + float(match["s"] or 0)
        )
        if seconds == 0 and self.zero:
            return seconds
        if not self.shortest <= seconds <= LONGEST_SECONDS:
            allowed = f"between {duration_text(self.shortest)} and {duration_text(LONGEST_SECONDS)}"
            raise mistake(
                f"{quoted(value)} is out of range; write {'0s or ' if self.zero else ''}"
                f"a duration {allowed}"
            )
        return seconds


@dataclass(frozen=True)
class Word(_ReadFromText):
    """One word of the vocabulary `words`; another is reported with the nearest that exists.

    `only` are those that may stand here, where not all may.
    """

    words: type[StrEnum] | list[str]
    what: str
    only: tuple[StrEnum, ...] = ()

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "enum": self._values()}

    def _read(self, value: object) -> str:
        for word in self.only or self.words:
            if isinstance(value, str) and word == value:
                return word
        hint = nearest(value if isinstance(value, str) else "", self._values())
        raise mistake(f"unknown {self.what} {quoted(value)}{hint}")

    def _values(self) -> list[str]:
        return [str(word) for word in self.only or self.words]


def duration_text(seconds: float) -> str:
    """Return `seconds` as a scenario writes them: `45s`, `2m`, `1h`, `1m30s`."""
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    text = f"{f'{hours:.0f}h' if hours else ''}{f'{minutes:.0f}m' if minutes else ''}"
    return text + f"{left:g}s" if left or not text else text


_LABEL_KEY = r"(?:[A-Za-z0-9][A-Za-z0-9.-]*/)?[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_LABEL_VALUE = r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)?"
_REQUIREMENT = (
    rf"(?:{_LABEL_KEY}\s*(?:==|=|!=)\s*{_LABEL_VALUE}"
    rf"|{_LABEL_KEY}\s+(?:in|notin)\s+\(\s*{_LABEL_VALUE}(?:\s*,\s*{_LABEL_VALUE})*\s*\)"
    rf"|!?{_LABEL_KEY})"
)

Name = Annotated[
    str,
    Shape(
        r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?",
        "a name: lower case letters, digits and hyphens, at most 63, as in konnectivity-off",
    ),
]
Title = Annotated[str, Shape(r"\S(?:.{0,198}\S)?", "a title: one line of 1 to 200 characters")]
Reference = Annotated[str, Shape(r"https?://[^\s]+", "a link; write it with https://")]
ObjectName = Annotated[
    str,
    Shape(
        r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?",
        "the name of a Kubernetes object, as in v1beta1.metrics.k8s.io",
    ),
]
KernelModule = Annotated[
    str, Shape(r"[A-Za-z0-9_-]{1,64}", "the name of a kernel module, as in nf_conntrack")
]
MachineName = Annotated[
    str, Shape(r"[a-z][a-z0-9-]{0,30}", "the name of a machine, as in worker0, or `workers`")
]
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
# An IPv4 address or network.
PLACE_LITERAL = rf"(?:{_OCTET}\.){{3}}{_OCTET}(?:/(?:3[0-2]|[12]?[0-9]))?"
Place = Annotated[
    str,
    Shape(
        rf"{SERVICE_NETWORK}|{POD_NETWORK}|{PODS_ON}worker[0-9]|controller[0-9]|worker[0-9]|{PLACE_LITERAL}",
        f"a place: {SERVICE_NETWORK}, {POD_NETWORK}, {PODS_ON}worker0, a machine, an IPv4 address "
        "or a network, as in 10.96.0.0/12",
    ),
]
Interface = Annotated[
    str, Shape(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}", "the name of an interface, as in eth1")
]
Workload = Annotated[
    str,
    Shape(
        r"(?:deployment|statefulset)/[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?",
        "a workload that has replicas, as in deployment/metrics-server",
    ),
]
ImageName = Annotated[
    str,
    Shape(
        r"[a-z0-9](?:[a-z0-9._-]{0,126}[a-z0-9])?",
        "the last part of an image's name, as in metrics-server",
    ),
]
Selector = Annotated[
    str,
    Shape(
        rf"{_REQUIREMENT}(?:\s*,\s*{_REQUIREMENT})*",
        "a label selector, as in k8s-app=metrics-server",
    ),
]
ConfigPath = Annotated[
    str,
    Shape(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*", "a dotted path, as in spec.api.address"),
]
Within = Annotated[float, Span()]
Hold = Annotated[float, Span(shortest=SHORTEST_HOLD_SECONDS, zero=True)]
When = Annotated[
    str,
    Parsed(Gate.parse, "k0s >= 1.35.1", r"^\s*k0s\s*(>=|<=|==|!=|>|<)\s*v?[0-9]", keep_text=True),
]
Release = Annotated[
    K0sVersion,
    Parsed(
        K0sVersion.parse,
        "v1.32.3+k0s.0",
        r"^v?[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?\+k0s\.[0-9]+$",
    ),
]
