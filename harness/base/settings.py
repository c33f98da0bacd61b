"""What the user set, and where each value came from.

Command line beats environment beats default. The effective values are printed first in every run
and stand in its report, each with its origin.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, TypeVar

from harness.base.errors import UsageError

E = TypeVar("E", bound=StrEnum)

# Each is a process and a lab of three machines.
MOST_JOBS = 64


class Keep(StrEnum):
    """When a run's machines stay for a closer look."""

    NEVER = "never"
    FAILURE = "failure"
    ALWAYS = "always"


class Driver(StrEnum):
    """How libvirt's machines get their processors: by the hardware, or by a program."""

    KVM = "kvm"
    QEMU = "qemu"


class Shard(NamedTuple):
    """One of several parts of what a command is given, each for a host of its own."""

    part: int
    of: int

    def __str__(self) -> str:
        return f"{self.part}/{self.of}"


@dataclass(frozen=True)
class Settings:
    """Effective settings of one command.

    `origin` maps a field's name to where its value came from: `default`, the name of an
    environment variable, or the command line's option. `jobs` is how many labs are there at once,
    0 for as many as this host carries. `shard` is which part of the scenarios is run here, None for
    all of them.
    """

    state_dir: Path
    cache_dir: Path
    runs_dir: Path
    provider: str | None = None
    mirror: str | None = None
    k0s_binary: Path | None = None
    keep: Keep = Keep.NEVER
    libvirt_uri: str = "qemu:///system"
    pool: str = "default"
    driver: Driver | None = None
    seed: bool | None = None
    same_nat_address: bool = False
    fresh: bool = False
    reuse: bool = False
    pause_on_failure: bool = False
    jobs: int = 0
    shard: Shard | None = None
    box_url: str | None = None
    box_sha256: str | None = None
    box_sources: Path | None = None
    allow_unpinned: bool = False
    origin: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_environment(
        cls,
        environ: Mapping[str, str],
        overrides: Mapping[str, str | None] | None = None,
        *,
        providers: Collection[str] = (),
    ) -> Settings:
        """Build settings from `environ` with the command line's `overrides` (field to text) on top.

        `providers` are the names that PROVIDER may have. Raises `UsageError` for a value that is
        not one of the known words; an unknown value is never taken for the default.
        """
        home = Path(environ.get("HOME", "/root"))
        state_home = Path(environ.get("XDG_STATE_HOME") or home / ".local/state")
        cache_home = Path(environ.get("XDG_CACHE_HOME") or home / ".cache")
        values: dict[str, str] = {
            "state_dir": str(state_home / "k0s-harness"),
            "cache_dir": str(cache_home / "k0s-harness"),
            "runs_dir": "runs",
        }
        origin = dict.fromkeys(values, "default")
        for name, variable in VARIABLES.items():
            if environ.get(variable.name):
                values[name] = environ[variable.name]
                origin[name] = variable.name
        for name, text in (overrides or {}).items():
            if text is not None:
                values[name] = text
                origin[name] = f"--{name.replace('_', '-')}"
        return cls(
            state_dir=_absolute(values["state_dir"]),
            cache_dir=_absolute(values["cache_dir"]),
            runs_dir=_absolute(values["runs_dir"]),
            provider=_known(providers, values["provider"], origin["provider"])
            if "provider" in values
            else None,
            mirror=values.get("mirror"),
            k0s_binary=_absolute(values["k0s_binary"]) if "k0s_binary" in values else None,
            keep=_word(Keep, values["keep"], origin["keep"]) if "keep" in values else Keep.NEVER,
            libvirt_uri=values.get("libvirt_uri", cls.libvirt_uri),
            pool=values.get("pool", cls.pool),
            driver=_word(Driver, values["driver"], origin["driver"])
            if "driver" in values
            else None,
            seed=_switch(values["seed"], origin["seed"]) if "seed" in values else None,
            same_nat_address="same_nat_address" in values
            and _switch(values["same_nat_address"], origin["same_nat_address"]),
            fresh="fresh" in values and _switch(values["fresh"], origin["fresh"]),
            jobs=_jobs(values["jobs"], origin["jobs"]) if "jobs" in values else cls.jobs,
            shard=_shard(values["shard"], origin["shard"]) if "shard" in values else None,
            reuse="reuse" in values and _switch(values["reuse"], origin["reuse"]),
            pause_on_failure="pause_on_failure" in values
            and _switch(values["pause_on_failure"], origin["pause_on_failure"]),
            box_url=values.get("box_url"),
            box_sha256=values.get("box_sha256"),
            box_sources=_absolute(values["box_sources"]) if "box_sources" in values else None,
            allow_unpinned="allow_unpinned" in values
            and _switch(values["allow_unpinned"], origin["allow_unpinned"]),
            origin=origin,
        )

    @property
    def labs_dir(self) -> Path:
        """Where the records and secrets of labs live, one folder (0700) a run."""
        return self.state_dir / "labs"


class Variable(NamedTuple):
    """An environment variable: its name, what it may be with the default, and what it decides."""

    name: str
    values: str
    decides: str


_SWITCH = "`0`, `1`"
VARIABLES: Mapping[str, Variable] = {
    "provider": Variable(
        "PROVIDER", "`docker`, `libvirt`, `virtualbox`; what fits the host", "what makes machines"
    ),
    "keep": Variable(
        "KEEP", "`never` (default), `failure`, `always`", "when machines stay, for 12 hours"
    ),
    "fresh": Variable("FRESH", _SWITCH, "machines of its own for each scenario"),
    "reuse": Variable("REUSE", _SWITCH, "begins on the lab that an earlier command left or saved"),
    "pause_on_failure": Variable("PAUSE", _SWITCH, "waits for Enter where a phase failed, lab up"),
    "jobs": Variable("JOBS", "a number; `auto`", "how many labs there are at once"),
    "shard": Variable("SHARD", "`2/5`; all", "which part of the scenarios is run on this host"),
    "k0s_binary": Variable("K0S_BINARY", "a file", "an own build of k0s"),
    "mirror": Variable("K0S_HARNESS_MIRROR", "a folder or URL", "where release files come from"),
    "allow_unpinned": Variable(
        "K0S_HARNESS_ALLOW_UNPINNED", _SWITCH, "takes files without a pin over plain http"
    ),
    "runs_dir": Variable("K0S_HARNESS_RUNS", "a folder; `runs`", "where evidence and reports go"),
    "cache_dir": Variable(
        "K0S_HARNESS_CACHE", "a folder; `~/.cache/k0s-harness`", "release files and boxes"
    ),
    "state_dir": Variable(
        "K0S_HARNESS_STATE", "a folder; `~/.local/state/k0s-harness`", "records and keys of labs"
    ),
    "seed": Variable(
        "SEED", f"{_SWITCH}; `1` where this host can", "k0s is in the machines already"
    ),
    "same_nat_address": Variable(
        "SAME_NAT_ADDRESS", _SWITCH, "every machine is 10.0.2.15 on its NAT interface"
    ),
    # libvirt's own variable: virsh and vagrant-libvirt go by it too.
    "libvirt_uri": Variable(
        "LIBVIRT_DEFAULT_URI", "`qemu:///system`, `qemu+ssh://…`", "which libvirt makes machines"
    ),
    "pool": Variable("K0S_HARNESS_POOL", "a name; `default`", "libvirt's storage pool"),
    "driver": Variable("K0S_HARNESS_DRIVER", "`kvm`, `qemu`; what works", "KVM or emulation"),
    "box_url": Variable("BOX_URL", "a file or URL", "another box, with BOX_SHA256"),
    "box_sha256": Variable("BOX_SHA256", "64 hex digits", "the checksum of BOX_URL"),
    "box_sources": Variable("BOX_SOURCES", "a file", "apt sources that the box is made from"),
}
"""The variables by the field of `Settings` that each is for."""


def _absolute(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _switch(text: str, origin: str) -> bool:
    if text not in {"0", "1"}:
        raise UsageError(
            f"Reading {origin}", f"{text!r} is neither 1 nor 0", remedy=f"set {origin}=1 or 0"
        )
    return text == "1"


def _jobs(text: str, origin: str) -> int:
    if text == "auto":
        return 0
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= MOST_JOBS:
        raise UsageError(
            f"Reading {origin}",
            f"{text!r} is neither auto nor a number from 1 to {MOST_JOBS}",
            remedy=f"set {origin} to how many labs may be there at once",
        )
    return int(text)


def _shard(text: str, origin: str) -> Shard:
    found = re.fullmatch(r"([0-9]{1,4})/([0-9]{1,4})", text)
    shard = Shard(*map(int, found.groups())) if found else None
    if shard is None or not 1 <= shard.part <= shard.of:
        raise UsageError(
            f"Reading {origin}",
            f"{text!r} is no part of several, such as 2/5",
            remedy=f"set {origin} to K/N: N hosts share the scenarios, K from 1 to N is this one",
        )
    return shard


def _word(kind: type[E], text: str, origin: str) -> E:
    return kind(_known([member.value for member in kind], text, origin))


def _known(words: Collection[str], text: str, origin: str) -> str:
    if text not in words:
        raise UsageError(
            f"Reading {origin}",
            f"{text!r} is not one of: {', '.join(words)}",
            remedy=f"set {origin} to one of them",
        )
    return text
