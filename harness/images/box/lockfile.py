"""The lock of the box: which version of each package it is made of, and the time it stands for.

    # what this is, and how it is renewed
    epoch=1795392000
    adduser=3.134
    ...

`name=version` a line, `epoch` the time that files in the box have at most.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.base.errors import HostLacksError, InfrastructureError
from harness.images.rootfs import BOXES

LOCK = BOXES / "debian12-amd64.lock"

_HEADER = """\
# Which packages the box is made of, and the time (seconds since 1970) that its files have at most.
# `make box-lock` renews it from today's archive, and boxes/catalog.json with it.
"""
_SHOWN = 10


@dataclass(frozen=True)
class PackageLock:
    """Each package's version by its name; `epoch` in seconds since 1970."""

    epoch: int
    versions: Mapping[str, str]

    def text(self) -> str:
        """Return the lock file's content."""
        lines = [f"{name}={version}" for name, version in sorted(self.versions.items())]
        return _HEADER + "\n".join([f"epoch={self.epoch}", *lines]) + "\n"

    def preferences(self) -> str:
        """Return apt's preferences that allow these versions and no others."""
        return "\n".join(
            f"Package: {name}\nPin: version {version}\nPin-Priority: 1001\n"
            for name, version in sorted(self.versions.items())
        )


def read_lock(path: Path = LOCK) -> PackageLock:
    """Return the lock in `path`."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    entries = dict(line.split("=", maxsplit=1) for line in lines)
    return PackageLock(int(entries.pop("epoch")), entries)


def check_available(lock: PackageLock, available: Mapping[str, frozenset[str]]) -> None:
    """Raise `HostLacksError` naming every package version that the sources do not have any more."""
    gone = [
        f"{name} {version} (there is {', '.join(sorted(available.get(name, ()))) or 'none'})"
        for name, version in sorted(lock.versions.items())
        if version not in available.get(name, frozenset())
    ]
    if gone:
        more = [f"and {len(gone) - _SHOWN} more"] if len(gone) > _SHOWN else []
        raise HostLacksError(
            "Making the box",
            f"this host's package sources do not have {len(gone)} of the {len(lock.versions)} "
            "package versions in the lock",
            details="\n".join([*gone[:_SHOWN], *more]),
            remedy="make box-lock takes today's versions (the box is then another one), or "
            "BOX_SOURCES=FILE names package sources that keep old versions, or BOX_URL=FILE and "
            "BOX_SHA256= bring a box that is made already",
        )


def check_installed(lock: PackageLock, installed: Mapping[str, str], log: Path | None) -> None:
    """Raise `InfrastructureError` where what was installed is not what the lock says."""
    differing = sorted(set(installed.items()) ^ set(lock.versions.items()))
    if differing:
        raise InfrastructureError(
            "Making the box",
            "what was installed is not what the lock says",
            details="\n".join(f"{name} {version}" for name, version in differing[:_SHOWN]),
            remedy="make box-lock renews the lock after boxes/*/packages.txt has changed",
            where=log,
        )


def parse_status(text: str) -> Mapping[str, str]:
    """Return each installed package's version from dpkg's `status` file."""
    installed = {}
    for paragraph in text.split("\n\n"):
        fields = dict(
            line.split(": ", maxsplit=1)
            for line in paragraph.splitlines()
            if ": " in line and not line.startswith(" ")
        )
        if fields.get("Status") == "install ok installed":
            installed[fields["Package"]] = fields["Version"]
    return installed
