"""What a record's file may say, before anything of it is believed: its fields, types and forms.

Whether what it says is so, of the lab whose folder it lies in, is for `harness.state.records`.
"""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from ipaddress import IPv4Network
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from harness.base.run_id import is_machine_name
from harness.base.untrusted import Limits, RefusedError
from harness.host.vm_facts import uri_problem

FORMAT = 1
LIMITS = Limits("the record of a lab", most_bytes=64 * 1024, most_levels=8, most_values=1000)
# Seven machines are the most that a scenario may have.
_MOST_MACHINES = 50
# How much of what a record says is quoted.
_QUOTED = 100
# What a lab's subnets are chosen as (harness.host.subnets).
_PREFIX = 24


def moment(text: str) -> datetime:
    """Return an ISO 8601 time with its offset, in UTC; raises `ValueError` for any other text."""
    with contextlib.suppress(ValueError, OverflowError):
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None:
            return at.astimezone(UTC)
    raise ValueError(f"{text[:_QUOTED]!r} is no time in ISO 8601 with its offset")


def _time(text: str) -> str:
    moment(text)
    return text


def _machines(names: list[str]) -> list[str]:
    odd = [name for name in names if not is_machine_name(name)]
    if odd:
        raise ValueError(f"{odd[0][:_QUOTED]!r} is no name of a machine")
    if len(set(names)) != len(names):
        raise ValueError("a machine is named twice")
    return names


def _subnet(text: str) -> str:
    network = IPv4Network(text)
    if network.prefixlen != _PREFIX or not network.is_private:
        raise ValueError("it is no private /24")
    return text


def _uri(text: str) -> str:
    problem = uri_problem(text)
    if problem:
        raise ValueError(problem)
    return text


_Short = Annotated[str, StringConstraints(max_length=4096)]
_Time = Annotated[_Short, AfterValidator(_time)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class NetworkFields(_Strict):
    """What is said of a network."""

    name: _Short
    bridge: _Short
    subnet: Annotated[_Short, AfterValidator(_subnet)]


class NetworksFields(_Strict):
    """What is said of the two networks."""

    nat: NetworkFields
    private: NetworkFields


class RecordFields(_Strict):
    """What a record says; records from before there was libvirt have no `libvirt_uri`."""

    format: Annotated[int, Field(ge=FORMAT, le=FORMAT)]
    run_id: _Short
    scenario: _Short
    provider: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
    user: _Short
    pid: Annotated[int, Field(gt=0)]
    created: _Time
    folder: _Short
    machines: Annotated[list[_Short], Field(max_length=_MOST_MACHINES), AfterValidator(_machines)]
    networks: NetworksFields
    nft_table: _Short
    socket_dir: _Short
    kept_until: _Time | None = None
    libvirt_uri: Annotated[_Short, AfterValidator(_uri)] | None = None
    # What earlier ones say as well, and nobody asks for.
    pid_started: Annotated[str, StringConstraints(pattern=r"^[0-9]*$"), Field(exclude=True)] = ""


def parse(value: object) -> RecordFields:
    """Return a JSON value as a record's fields; raises `RefusedError` for what is odd."""
    try:
        return RecordFields.model_validate(value)
    except ValidationError as invalid:
        first = invalid.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part)[:_QUOTED] for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise RefusedError(f"{place}: {message}" if place else message) from None
