"""What the folder of a run adds to its report: machines, readings, the log's end, the files.

All of it is optional. A file that is absent, cut off or not what its name says costs what it would
have said and nothing else: a report is also made of runs that ended in the middle.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Interface
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import yaml

from harness import cni
from harness.base.untrusted import Limits, RefusedError, json_value, read_bytes, require_yaml_within
from harness.evidence.bundle import Bundle
from harness.evidence.lines import EVENTS, READINGS, Recorded, lines_of
from harness.evidence.reading import Reading
from harness.evidence.recorder import MISSING
from harness.evidence.redaction import redact

T = TypeVar("T")

# k0sctl says about 60 lines in all; what went wrong stands in the last of them.
LOG_LINES = 60
_LOG = "k0sctl.log"
_DEPLOYED = "k0sctl.yaml"
_ADDRESSES = "nodes/*/addresses.txt"
# Larger than any of these files was; what is larger is no page's matter.
_MOST_BYTES = 4_000_000
# What `ip -br address` says of a machine is 300 bytes, and a run has six machines at the most.
_MOST_ADDRESSES = 64 * 1024
_MOST_MACHINES = 20
_K0SCTL = Limits("a k0sctl.yaml", most_bytes=256 * 1024)
# A sentence for each piece; a run has a hundred pieces.
_MISSING = Limits("a list of missing pieces", most_bytes=_MOST_BYTES, most_levels=2)
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(frozen=True)
class Machine:
    """A machine as the drawing shows it; what was not seen is None.

    `nat` and `private` are its addresses on the two networks, `pods` the network of its pods.
    """

    name: str
    kubelet: bool
    nat: IPv4Interface | None = None
    private: IPv4Interface | None = None
    nat_name: str = "eth0"
    private_name: str = "eth1"
    pods: str | None = None

    @property
    def controller(self) -> bool:
        """Whether the API server runs on it: the harness names machines by their first role."""
        return self.name.startswith("controller")


@dataclass(frozen=True)
class RunFolder:
    """What was found in a run's folder.

    `readings` has, for each reading's machine and probe, all of them in order; `events` are the
    lines of the run's timeline; `files` has the paths relative to the folder with their sizes,
    `missing` the pieces of evidence that are not there with the reason.
    """

    machines: tuple[Machine, ...] = ()
    readings: Mapping[tuple[str, str], Sequence[Reading]] | None = None
    events: tuple[Mapping[str, Any], ...] = ()
    log: tuple[str, ...] = ()
    files: tuple[tuple[str, int], ...] = ()
    missing: Mapping[str, str] | None = None

    def last(self, began: float, ended: float) -> dict[tuple[str, str], Reading]:
        """Return the last reading of each probe between two times, in seconds of the run."""
        found = {}
        for key, readings in (self.readings or {}).items():
            inside = [each for each in readings if began <= each.elapsed <= ended]
            if inside:
                found[key] = inside[-1]
        return found


def of_bundle(bundle: Bundle) -> RunFolder:
    """Return what is in a bundle; its files are in it and nowhere else, so it has none to link."""
    addresses = {
        path: bundle.pieces[path][:_MOST_ADDRESSES]
        for path in bundle.pieces
        if PurePosixPath(path).match(_ADDRESSES)
    }
    return RunFolder(
        machines=tuple(_machines(bundle.pieces.get(_DEPLOYED, ""), addresses)),
        readings=_by_probe(bundle.readings),
        events=tuple(bundle.events),
        log=tuple(_log_tail(bundle.pieces.get(_LOG, ""))),
        missing=bundle.manifest.missing,
    )


def read(folder: Path) -> RunFolder:
    """Return what is in `folder`; raises nothing for what is not."""
    missing = _json(_text(folder / MISSING))
    addresses = {
        path.relative_to(folder).as_posix(): _text(path, _MOST_ADDRESSES)
        for path in folder.glob(_ADDRESSES)
    }
    return RunFolder(
        machines=tuple(_machines(_text(folder / _DEPLOYED), addresses)),
        readings=_by_probe(_recorded(folder, READINGS)),
        events=events(folder),
        log=tuple(_log_tail(_text(folder / _LOG))),
        files=tuple(_files(folder)),
        missing={str(path): str(why) for path, why in missing.items()}
        if isinstance(missing, dict)
        else {},
    )


def events(folder: Path) -> tuple[Mapping[str, Any], ...]:
    """Return the lines of the timeline in `folder`; none where there is none."""
    return tuple(_recorded(folder, EVENTS))


def _by_probe(readings: Iterable[Reading]) -> dict[tuple[str, str], list[Reading]]:
    found: dict[tuple[str, str], list[Reading]] = {}
    for reading in readings:
        found.setdefault((reading.where, reading.probe), []).append(reading)
    return found


def _machines(k0sctl: str, addresses: Mapping[str, str]) -> Iterator[Machine]:
    deployed = dict(_deployed(k0sctl))
    seen = {PurePosixPath(path).parent.name: text for path, text in addresses.items()}
    for name in sorted({*deployed, *seen}, key=_order)[:_MOST_MACHINES]:
        machine = deployed.get(name, Machine(name, kubelet=not name.startswith("controller")))
        yield _addressed(machine, seen.get(name, ""))


def _order(name: str) -> tuple[bool, str, int, str]:
    """Controllers first, then by number: worker10 comes after worker9."""
    stem = name.rstrip("0123456789")
    number = name[len(stem) :]
    return (
        not name.startswith("controller"),
        stem,
        int(number) if number.isascii() and number else 0,
        name,
    )


def _deployed(text: str) -> Iterator[tuple[str, Machine]]:
    """Yield the hosts of a k0sctl.yaml under the names the harness gives them, in its order."""
    try:
        require_yaml_within(text, _K0SCTL)
        hosts = yaml.safe_load(text)["spec"]["hosts"]
        roles = [str(host["role"]) for host in hosts]
        addresses = [str(host["privateAddress"]) for host in hosts]
    except (yaml.YAMLError, AttributeError, LookupError, OverflowError, TypeError, ValueError):
        return
    counts: dict[str, int] = {}
    for role, address in zip(roles, addresses, strict=True):
        kind = "worker" if role == "worker" else "controller"
        name = f"{kind}{counts.setdefault(kind, 0)}"
        counts[kind] += 1
        yield name, Machine(name, kubelet="worker" in role, private=_interface(address))


def _addressed(machine: Machine, text: str) -> Machine:
    """Add what `ip -br address` says: the name may have @if7 behind it, the state is second."""
    for words in (line.split() for line in text.splitlines()):
        addresses = [found for word in words[2:] if (found := _interface(word)) is not None]
        if not addresses:
            continue
        name = words[0].partition("@")[0]
        if name in cni.bridges():
            machine = replace(machine, pods=str(addresses[0].network), kubelet=True)
        elif machine.private is not None and machine.private.ip in [each.ip for each in addresses]:
            machine = replace(machine, private=addresses[0], private_name=name)
        elif name.startswith("e") and machine.nat is None:
            machine = replace(machine, nat=addresses[0], nat_name=name)
        elif name.startswith("e") and machine.private is None:
            machine = replace(machine, private=addresses[0], private_name=name)
    return machine


def _interface(text: str) -> IPv4Interface | None:
    try:
        return IPv4Interface(text)
    except ValueError:
        return None


def _recorded(folder: Path, recorded: Recorded[T]) -> Iterator[T]:
    """Yield the lines of a recording that are some, none of one that is larger than any was."""
    with contextlib.suppress(OSError, RefusedError):
        for line in lines_of(read_bytes(folder / recorded.file, recorded.whole), recorded):
            if line.value is not None:
                yield line.value


def _log_tail(text: str) -> list[str]:
    lines = [_ANSI.sub("", line.rstrip()) for line in redact(text).splitlines()]
    return [line for line in lines if line][-LOG_LINES:]


def _files(folder: Path) -> list[tuple[str, int]]:
    """Return every file but what is only just being written, shallow ones first."""
    try:
        found = [
            (str(path.relative_to(folder)), path.stat().st_size)
            for path in folder.rglob("*")
            if path.is_file() and not path.is_symlink() and not path.name.startswith(".")
        ]
    except OSError:
        return []
    return sorted(found, key=lambda each: ("/" in each[0], each[0]))


def _text(path: Path, most: int = _MOST_BYTES) -> str:
    try:
        with path.open("rb") as file:
            return file.read(most).decode(errors="replace")
    except OSError:
        return ""


def _json(text: str) -> Any:  # noqa: ANN401  # whatever the file holds
    try:
        return json_value(text, _MISSING)
    except RefusedError:
        return None
