"""What the user set, and where each value came from.

Command line beats environment beats default. The effective values are printed first in every run
and stand in its report, each with its origin.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from harness.base.errors import UsageError

E = TypeVar("E", bound=StrEnum)


class Keep(StrEnum):
    """When a run's machines stay for a closer look."""

    NEVER = "never"
    FAILURE = "failure"
    ALWAYS = "always"


class Driver(StrEnum):
    """How libvirt's machines get their processors: by the hardware, or by a program."""

    KVM = "kvm"
    QEMU = "qemu"


@dataclass(frozen=True)
class Settings:
    """Effective settings of one command.

    `origin` maps a field's name to where its value came from: `default`, the name of an
    environment variable, or the command line's option.
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
        for name, variable in _VARIABLES.items():
            if environ.get(variable):
                values[name] = environ[variable]
                origin[name] = variable
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
            reuse="reuse" in values and _switch(values["reuse"], origin["reuse"]),
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


_VARIABLES = {
    "state_dir": "K0S_HARNESS_STATE",
    "cache_dir": "K0S_HARNESS_CACHE",
    "runs_dir": "K0S_HARNESS_RUNS",
    "provider": "PROVIDER",
    "mirror": "K0S_HARNESS_MIRROR",
    "k0s_binary": "K0S_BINARY",
    "keep": "KEEP",
    # libvirt's own variable: virsh and vagrant-libvirt go by it too.
    "libvirt_uri": "LIBVIRT_DEFAULT_URI",
    "pool": "K0S_HARNESS_POOL",
    "driver": "K0S_HARNESS_DRIVER",
    "seed": "SEED",
    "same_nat_address": "SAME_NAT_ADDRESS",
    "fresh": "FRESH",
    "reuse": "REUSE",
    "box_url": "BOX_URL",
    "box_sha256": "BOX_SHA256",
    "box_sources": "BOX_SOURCES",
    "allow_unpinned": "K0S_HARNESS_ALLOW_UNPINNED",
}


def _absolute(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _switch(text: str, origin: str) -> bool:
    if text not in {"0", "1"}:
        raise UsageError(
            f"Reading {origin}", f"{text!r} is neither 1 nor 0", remedy=f"set {origin}=1 or 0"
        )
    return text == "1"


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
