"""What a probe is: where to run what, and a pure function from the raw reading to a value."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from harness.base.untrusted import RefusedError, plain_json
from harness.evidence.reading import Reading
from harness.probe.shape import fits_declared

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

# `Reading.where` of what was asked of the Kubernetes API instead of a machine.
API = "api"
# First word of `Reading.argv` of a round of new TCP connections; see `harness.probe.dials`.
DIAL = "dial"
# Behind it in `Reading.argv` of the API: what of the output is kept, as `grep -E` would.
PIPE = "|"


class UnreadableError(Exception):
    """A reading has no value: the look failed, or its text is not what the probe knows."""


# What a parser raises on a text that is not what it knows.
_UNKNOWN_SHAPE = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
# Of an error's words, which may hold all of the text.
_MOST_SAID = 200
# Of why there is no value: a line of a tool's, in a sentence.
_MOST_REASON = 2000

# What sudo -n says where it must not ask (sudo 1.8 and 1.9).
_SUDO_REFUSED = re.compile(
    # The last three are of sudo-rs, of sudo 1.8 and of a sudoers file with requiretty.
    r"^sudo: .*(?:password is required|terminal is required|interactive authentication is required"
    r"|no tty present|must have a tty)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Probe(Generic[T_co]):
    """One look to take. It never changes anything.

    `argv` is run on the machine `where`, as root with `sudo`; for `where == API` it is a kubectl
    command line, behind which `| grep -E PATTERN` may keep some lines only. `deadline` is in
    seconds. Of a round of dials `together` are made side by side.
    """

    name: str
    where: str
    argv: tuple[str, ...]
    parse: Callable[[Reading], T_co]
    sudo: bool = False
    deadline: float = 10.0
    together: int = 1


class Asked(Enum):
    """Which machines a probe is asked of."""

    MACHINES = auto()
    CONTROLLERS = auto()
    WORKERS = auto()
    LAB_CONTROLLERS = auto()
    """Controllers of a lab: what is read there nobody else has."""

    def of(self, *, controls: bool, works: bool, in_lab: bool) -> bool:
        """Whether a machine that controls or works is asked."""
        match self:
            case Asked.MACHINES:
                return True
            case Asked.WORKERS:
                return works
            case Asked.CONTROLLERS:
                return controls
            case Asked.LAB_CONTROLLERS:
                return controls and in_lab


@dataclass(frozen=True)
class ApiProbe(Generic[T_co]):
    """One fact of a cluster, asked of its API."""

    name: str
    argv: tuple[str, ...]
    parse: Callable[[Reading], T_co]
    deadline: float = 10.0

    def look(self) -> Probe[T_co]:
        """Return the look."""
        return Probe(self.name, API, self.argv, self.parse, deadline=self.deadline)


@dataclass(frozen=True)
class MachineProbe(Generic[T_co]):
    """One fact of each machine that is `asked`."""

    name: str
    argv: tuple[str, ...]
    parse: Callable[[Reading], T_co]
    asked: Asked
    sudo: bool = False

    def on(self, machine: str) -> Probe[T_co]:
        """Return the look at one machine."""
        return Probe(self.name, machine, self.argv, self.parse, sudo=self.sudo)


@dataclass(frozen=True)
class TargetProbe(Generic[T_co]):
    """One fact of each machine and each target: an address, or `address:port`."""

    name: str
    parse: Callable[[Reading], T_co]
    sudo: bool = False
    deadline: float = 10.0

    def of(self, target: str) -> str:
        """Return the name of the looks at one target."""
        return f"{self.name}:{target}"

    def on(self, machine: str, target: str, argv: tuple[str, ...]) -> Probe[T_co]:
        """Return the look from one machine at one target, which `argv` names."""
        name = self.of(target)
        return Probe(name, machine, argv, self.parse, sudo=self.sudo, deadline=self.deadline)


class ReadingSource(Protocol):
    """What takes readings; it is handed in, for nothing here reaches a cluster by itself."""

    def take(self, probes: Iterable[Probe[Any]]) -> tuple[Reading, ...]:
        """Return one reading a look, in their order; one that fails has an error and no text."""


AnyProbe: TypeAlias = ApiProbe[Any] | MachineProbe[Any] | TargetProbe[Any]


@dataclass(frozen=True)
class Observation(Generic[T]):
    """A reading and what it says; `value` is None exactly when `problem` says why there is none."""

    reading: Reading
    value: T | None
    problem: str | None = None


def observe(parse: Callable[[Reading], T], reading: Reading) -> Observation[T]:
    """Return the reading with its value, or with the reason why it has none."""
    try:
        value = parse(reading)
        if not fits_declared(parse)(value):
            raise TypeError("a value of another type")
    except UnreadableError as error:
        return Observation(reading, None, str(error)[:_MOST_REASON])
    except _UNKNOWN_SHAPE as error:
        # Another version of a tool may print another shape: a gap, and not the end of a run.
        said = f"{error!r:.{_MOST_SAID}}"
        problem = f"{reading.argv[0]} printed what {reading.probe} does not know: {said}"
        return Observation(reading, None, problem)
    return Observation(reading, value)


def require_success(reading: Reading) -> str:
    """Return stdout of a look that ended with status 0; else raise `UnreadableError`."""
    require_ended(reading)
    if reading.returncode != 0:
        said = (reading.stderr.strip() or reading.stdout.strip()).splitlines()
        raise UnreadableError(
            f"{reading.argv[0]} on {reading.where} ended with {reading.returncode}"
            + (f": {said[-1]}" if said else "")
        )
    return reading.stdout


def require_ended(reading: Reading) -> None:
    """Raise `UnreadableError` when the look itself failed, or sudo did not let it begin."""
    if reading.failed:
        raise UnreadableError(reading.error or "the look failed")
    if refused_by_sudo(reading):
        raise UnreadableError(
            f"sudo on {reading.where} wants a password: allow the user password-less sudo there, "
            "or name root in k0sctl.yaml"
        )


def refused_by_sudo(reading: Reading) -> bool:
    """Whether a look was not made because sudo asked for a password."""
    return reading.returncode not in (None, 0) and _SUDO_REFUSED.search(reading.stderr) is not None


def require_json(reading: Reading) -> Any:  # noqa: ANN401  # kubectl's and ip's JSON is what it is
    """Return stdout as JSON; raise `UnreadableError` when it is none or the look failed."""
    text = require_success(reading)
    try:
        return plain_json(text)
    except RefusedError as error:
        raise UnreadableError(f"{reading.argv[0]} on {reading.where}: {error}") from None


def not_found(reading: Reading) -> bool:
    """Whether kubectl said that the object does not exist."""
    return reading.returncode not in (None, 0) and "(NotFound)" in reading.stderr


def raw_probe(name: str, path: str, parse: Callable[[Reading], T]) -> ApiProbe[T]:
    """Return the probe of an API path, asked as it is: without discovery it costs one request."""
    return ApiProbe(name, ("kubectl", "get", "--raw", path), parse)
